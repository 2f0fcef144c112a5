"""Convert one published checkpoint to safetensors."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.errors import InputError
    from promptmix.retrieval.importing import import_checkpoint

    params = snakemake.params
    if not snakemake.input.source:
        raise InputError(params.how_to_get)
    import_checkpoint(
        params.network,
        snakemake.input.source[0],
        snakemake.output[0],
        params.metadata,
        backbone=params.backbone,
        bytes=params.bytes,
        sha256=params.sha256,
    )
