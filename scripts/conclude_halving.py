"""Keep the prompts that halving has found to do no harm."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.records.filters import FILTER
    from promptmix.synthesis.halving import conclude

    FILTER.write(snakemake.output[0], conclude(snakemake.input[0]))
