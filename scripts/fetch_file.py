"""Fetch a file as its authors published it."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.retrieval.download import fetch

    params = snakemake.params
    fetch(params.url, snakemake.output[0], params.bytes, params.sha256)
