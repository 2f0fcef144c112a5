"""Generate one block of images."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.records.prompts import PROMPTS
    from promptmix.synthesis import generation

    chosen = job.with_models(snakemake, snakemake.params.generator)
    model = chosen.pop("model")
    settings = generation.GeneratorSettings(**chosen)
    output, pool = snakemake.output, snakemake.wildcards.pool
    images = generation.plan(PROMPTS.read(snakemake.input.prompts[0]), *snakemake.params.seeds)
    pipeline = generation.load_pipeline(model, settings, device)
    generation.write_block(pipeline, images, settings, output.images, output.manifest, pool=pool)
