"""Train the autoencoder of the miniature's latent diffusion model."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature.models import autoencoder

    corpus = Path(snakemake.input.corpus).parent
    autoencoder.train(corpus, snakemake.params.steps, snakemake.params.seed, Path(snakemake.output[0]), device)
