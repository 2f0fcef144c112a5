"""Train the miniature's ClipCap."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature.models import captioner

    corpus, clip = Path(snakemake.input.corpus).parent, Path(snakemake.input.clip[0])
    out = Path(snakemake.output[0])
    captioner.train(corpus, clip, snakemake.params.steps, snakemake.params.seed, out, device)
