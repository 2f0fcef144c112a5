"""Generate one block of images."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.records.prompts import PROMPTS
    from promptmix.synthesis import generation

    chosen = job.with_inputs(snakemake, snakemake.params.generator, "model")
    model = chosen.pop("model")
    settings = generation.GeneratorSettings(**chosen)
    files, pool = list(snakemake.output.images), snakemake.wildcards.pool
    prompts = PROMPTS.read(snakemake.input.prompts[0])
    images = generation.plan(prompts, int(snakemake.wildcards.block) * len(files), len(files))
    pipeline = generation.load_pipeline(model, settings, device)
    generation.write_block(pipeline, images, settings, files, snakemake.output.manifest, pool=pool)
