"""Write a text-to-image model that is one file in diffusers' format."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.synthesis.single_file import convert

    models = job.with_inputs(snakemake, snakemake.params.models, "file", "base")
    convert(models["file"], models["base"], snakemake.output[0])
