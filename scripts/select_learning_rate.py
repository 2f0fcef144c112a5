"""Choose the learning rate of an experiment by the validation error."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.training.selection import select_learning_rate

    select_learning_rate(snakemake.input, snakemake.output[0])
