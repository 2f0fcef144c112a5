"""Train the miniature's CLIP."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature.models import clip

    corpus = Path(snakemake.input.corpus).parent
    clip.train(corpus, snakemake.params.steps, snakemake.params.seed, Path(snakemake.output[0]), device)
