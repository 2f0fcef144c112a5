"""Train a lightweight network."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from dataclasses import replace
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.networks.checkpoints import read_backbone
    from promptmix.synthesis.mixing import read_fake
    from promptmix.training.loop import train
    from promptmix.training.settings import TrainingSettings

    settings = TrainingSettings(**json.loads(snakemake.params.settings))
    index = Index.open(snakemake.input.index[0])
    fake = read_fake(snakemake.input.fake[0]) if snakemake.input.fake else None
    if snakemake.params.filtered:  # nobody knows beforehand how many images a prompt filter leaves
        settings = replace(settings, r_mix=min(settings.r_mix, len(fake)))
    backbone = snakemake.params.backbone
    weights = read_backbone(settings.network, backbone, **settings.network_settings) if backbone else None
    folder = Path(snakemake.output.checkpoint).parent
    run = snakemake.wildcards
    keys = {"experiment": run.experiment, "learning_rate": run.lr, "repeat": int(run.repeat)}
    train(settings, index, fake, folder, device, weights, snakemake.params.code, keys=keys)
