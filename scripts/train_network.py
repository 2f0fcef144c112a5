"""Train a lightweight network."""

import json

from promptmix import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.mixing import read_fake
    from promptmix.training import TrainingSettings, train

    settings = TrainingSettings(**json.loads(snakemake.params.settings))
    index = Index.open(snakemake.input.index[0])
    fake = read_fake(snakemake.input.fake[0]) if snakemake.input.fake else None
    train(settings, index, fake, Path(snakemake.output.checkpoint).parent, device)
