"""Train a lightweight network."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.networks.checkpoints import read_backbone
    from promptmix.synthesis.mixing import read_fake
    from promptmix.training.loop import train
    from promptmix.training.settings import TrainingSettings

    params, wildcards = snakemake.params, snakemake.wildcards
    settings = TrainingSettings(**params.settings)
    fake = read_fake(snakemake.input.fake[0]) if snakemake.input.fake else None
    if params.takes_what_is_left:  # nobody knows beforehand how many images the filters leave
        settings = settings.with_at_most(len(fake))
    backbone = job.with_inputs(snakemake, {"backbone": params.backbone}, "backbone")["backbone"]
    weights = read_backbone(settings.network, backbone, **settings.network_settings) if backbone else None
    train(
        settings,
        Index.open(snakemake.input.index),
        fake,
        Path(snakemake.output.checkpoint).parent,
        device,
        weights,
        params.code,
        keys={"experiment": wildcards.experiment, "learning_rate": wildcards.lr, "repeat": int(wildcards.repeat)},
        cache_bytes=snakemake.resources.mem_mb * 10**6 // 4,  # three caches; a quarter is left for all else
        scratch=job.open_scratch(snakemake),
    )
