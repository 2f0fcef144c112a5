"""Render the corpus of captioned images on which the miniature's models are trained."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.miniature.rendering.corpus import render_corpus

    settings = snakemake.params.settings
    folder = Path(snakemake.output.index).parent
    render_corpus(folder, settings["images"], settings["seed"], settings["rooms"], snakemake.threads)
