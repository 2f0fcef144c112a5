"""Fetch a file as its authors published it."""

from promptmix import job

with job.start(snakemake):
    from promptmix.retrieval import fetch

    params = snakemake.params
    fetch(params.url, snakemake.output[0], params.bytes, params.sha256)
