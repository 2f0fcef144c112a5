"""Render a dataset in the format of the real dataset that it replaces."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.miniature.rendering.datasets import render_dataset

    params = snakemake.params
    render_dataset(Path(snakemake.output[0]), params.settings, params.images, params.seed)
