"""Train one of the miniature's models that restore faces: retinaface, parsenet or gfpgan."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature.models.faces import TRAINERS

    params, out = snakemake.params, Path(snakemake.output[0])
    TRAINERS[snakemake.wildcards.name](params.steps, params.seed, out, device, params.settings)
