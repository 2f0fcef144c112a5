"""Caption the training images of a dataset."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.records import CAPTIONS
    from promptmix.running.progress import progress
    from promptmix.synthesis.captions import Captioner

    captioner = Captioner(**json.loads(snakemake.params.captioner), device=device)
    index = Index.open(snakemake.input.index)
    training = index.split("train")
    captions = captioner.caption(index.image(i) for i in training)
    captions = progress(captions, len(training), "images captioned")
    names = index.frame["image"].iloc[training]
    rows = [{"image": name, "caption": caption} for name, caption in zip(names, captions, strict=True)]
    CAPTIONS.write(snakemake.output[0], rows)
