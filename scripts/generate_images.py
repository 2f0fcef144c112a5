"""Generate one block of images."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.records import PROMPTS
    from promptmix.synthesis import generation

    chosen = json.loads(snakemake.params.generator)
    model = chosen.pop("model")
    settings = generation.GeneratorSettings(**chosen)
    files = list(snakemake.output.images)
    prompts = PROMPTS.read(snakemake.input.prompts[0])
    images = generation.plan(prompts, int(snakemake.wildcards.block) * len(files), len(files))
    pipeline = generation.load_pipeline(model, settings, device)
    generation.write_block(pipeline, images, settings, files, snakemake.output.manifest, pool=snakemake.wildcards.pool)
