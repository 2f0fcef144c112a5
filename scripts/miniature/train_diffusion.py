"""Train the UNet of the miniature's latent diffusion model, and save the pipeline."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature.models import diffusion

    source = snakemake.input
    corpus, vae, clip = Path(source.corpus).parent, Path(source.autoencoder[0]), Path(source.clip[0])
    params, out = snakemake.params, Path(snakemake.output[0])
    diffusion.train(corpus, vae, clip, params.steps, params.seed, out, device, rooms_share=params.rooms)
