"""Show training images above generated images."""

from promptmix.running import job

with job.start(snakemake):
    from itertools import chain, islice

    import pandas as pd

    from promptmix.datasets.index import Index
    from promptmix.datasets.split import Split
    from promptmix.report.figures import contact_sheet
    from promptmix.synthesis.manifest import read_images
    from promptmix.synthesis.maps import read_counts

    source, columns = snakemake.input, snakemake.params.columns
    images = Split(Index.open(source.index), "train")
    shown = range(min(columns, len(images)))
    generated = list(islice(chain.from_iterable(map(read_images, source.manifests)), columns))
    counts = pd.concat(map(read_counts, source.annotations))["count"]
    people = [f"{count} people" if images.index.frame["count"].any() else "" for count in images.frame["count"]]
    found = [
        f"{snakemake.params.annotator}: {counts[stem]:.0f}" if counts.notna().all() else "" for stem, _ in generated
    ]
    contact_sheet(
        snakemake.output.png,
        snakemake.output.csv,
        [[images.image(i) for i in shown], [image for _, image in generated]],
        [people[: len(shown)], found],
    )
