"""Caption the training images of a dataset."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.datasets.split import Split
    from promptmix.records.captions import CAPTIONS
    from promptmix.running.progress import progress
    from promptmix.synthesis.captions import Captioner

    settings = job.with_inputs(snakemake, snakemake.params.captioner, "clip", "tokenizer", "weights")
    captioner = Captioner(**settings, device=device)
    images = Split(Index.open(snakemake.input.index), "train")
    captions = captioner.caption(images.image(i) for i in range(len(images)))
    captions = progress(captions, len(images), "images captioned")
    rows = [{"image": name, "caption": text} for name, text in zip(images.frame["image"], captions, strict=True)]
    CAPTIONS.write(snakemake.output[0], rows)
