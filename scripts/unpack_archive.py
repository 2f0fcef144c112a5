"""Unpack an archive, without writing outside its folder."""

from promptmix import job

with job.start(snakemake):
    from promptmix.retrieval import unpack

    unpack(snakemake.input[0], snakemake.output[0])
