"""Caption the training images of a dataset."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.datasets.split import Split
    from promptmix.records.captions import CAPTIONS
    from promptmix.synthesis.captioning import check_captions
    from promptmix.synthesis.registry import load_captioner

    settings = job.with_inputs(snakemake, snakemake.params.captioner, "clip", "tokenizer", "weights", "model")
    captioner = load_captioner(settings, device)
    images = Split(Index.open(snakemake.input.index), "train")
    captions = list(captioner.caption((images.image(i) for i in range(len(images))), total=len(images)))
    check_captions(captions)
    rows = [{"image": name, "caption": text} for name, text in zip(images.frame["image"], captions, strict=True)]
    CAPTIONS.write(snakemake.output[0], rows)
