"""Train with one prompt's images up to a rung."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.networks.checkpoints import read_backbone
    from promptmix.synthesis.halving import find_left
    from promptmix.synthesis.mixing import read_fake
    from promptmix.training.rungs import train_rung
    from promptmix.training.settings import TrainingSettings

    source, params = snakemake.input, snakemake.params
    fake = read_fake(source.fake[0])
    runs = {rate: [TrainingSettings(**one) for one in repeats] for rate, repeats in params.runs.items()}
    if params.takes_what_is_left:  # nobody knows beforehand how many images the filters leave
        runs = {rate: [one.with_at_most(len(fake)) for one in repeats] for rate, repeats in runs.items()}
    backbone = job.with_inputs(snakemake, {"backbone": params.backbone}, "backbone")["backbone"]
    first = next(iter(runs.values()))[0]
    train_rung(
        runs,
        params.until,
        find_left(source.decided[0] if source.get("decided") else None, *params.prompt, list(runs)),
        Index.open(source.index),
        fake,
        snakemake.output[0],
        device,
        read_backbone(first.network, backbone, **first.network_settings) if backbone else None,
        params.code,
        snakemake.wildcards.single,
        params.is_last,
        snakemake.resources.mem_mb * 10**6 // 4,  # as in train_network
    )
