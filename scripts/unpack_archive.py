"""Unpack an archive, without writing outside its folder."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.retrieval.download import unpack

    unpack(snakemake.input[0], snakemake.output[0])
