"""Train the UNet of the miniature's latent diffusion model further, and save the pipeline."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature.models import diffusion

    source, params = snakemake.input, snakemake.params
    start = Path(source.start[0])
    diffusion.train(
        Path(source.corpus).parent,
        start / "vae",
        Path(source.clip[0]),
        params.steps,
        params.seed,
        Path(snakemake.output[0]),
        device,
        learning_rate=6e-4,
        start=start,
        rooms_share=params.rooms,
        loose=True,
    )
