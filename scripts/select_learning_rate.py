"""Choose the learning rate of an experiment by the validation error."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.training.selection import select_learning_rate

    rates, repeats = snakemake.params.learning_rates, snakemake.params.repeats
    files = [snakemake.input[i : i + repeats] for i in range(0, len(snakemake.input), repeats)]
    histories = dict(zip(rates, files, strict=True))
    select_learning_rate(histories, snakemake.output[0])
