"""Train the UNet of the miniature's latent diffusion model, and save the pipeline."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature.models import diffusion

    source = snakemake.input
    corpus, vae, clip = Path(source.corpus).parent, Path(source.autoencoder[0]), Path(source.clip[0])
    steps, seed = snakemake.params.steps, snakemake.params.seed
    diffusion.train(corpus, vae, clip, steps, seed, Path(snakemake.output[0]), device)
