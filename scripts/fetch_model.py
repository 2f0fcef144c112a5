"""Fetch a model from the Hub, at a pinned revision."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.retrieval.download import fetch_model

    params = snakemake.params
    fetch_model(params.repository, params.revision, list(params.files), snakemake.output[0])
