"""Choose the fine-tuned annotator with the lowest validation error."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.training.candidates import select_weights

    select_weights(list(snakemake.input), snakemake.output[0])
