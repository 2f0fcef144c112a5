"""Generate one block of images."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.records.prompts import PROMPTS
    from promptmix.running.contents import state_of
    from promptmix.synthesis import generation

    chosen = job.with_models(snakemake, snakemake.params.generator)
    model = chosen.pop("model")
    settings = generation.GeneratorSettings(**chosen)
    output, params, pool = snakemake.output, snakemake.params, snakemake.wildcards.pool
    made_by = f"{params.generator} {params.contents} {params.code} {state_of(*snakemake.input)}"
    images = generation.plan(PROMPTS.read(snakemake.input.prompts[0]), *params.seeds)
    pipeline = generation.load_pipeline(model, settings, device)
    generation.write_block(pipeline, images, settings, output.images, output.manifest, pool, made_by)
