"""Show training images above the images generated from their captions."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.datasets.index import Index
    from promptmix.report.figures import contact_sheet
    from promptmix.synthesis.manifest import read_images
    from promptmix.synthesis.maps import read_counts

    source, columns = snakemake.input, snakemake.params.columns
    index = Index.open(source.index[0])
    chosen = index.split("train")[:columns]
    # image g is of prompt g mod M, and the prompts stand in the order of the training images
    generated = [image for _, (_, image) in zip(chosen, read_images(source.manifest[0]))]
    counts = read_counts(source.annotations[0])["count"].iloc[: len(chosen)]
    contact_sheet(
        snakemake.output[0],
        [[index.image(i) for i in chosen], generated],
        [
            [f"{index.frame['count'][i]} people" for i in chosen],
            [f"{snakemake.params.annotator}: {count:.0f}" for count in counts],
        ],
    )
