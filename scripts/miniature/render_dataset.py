"""Render a dataset in the format of the real dataset that it replaces."""

import json

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.miniature.rendering.datasets import render_dataset

    params = snakemake.params
    render_dataset(Path(snakemake.output[0]), json.loads(params.settings), json.loads(params.images), params.seed)
