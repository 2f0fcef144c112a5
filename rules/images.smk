"""
Generate images from prompts (paper, section III, third stage).

    takes   prompts/{pool}.csv, a latent diffusion model
            a diffusion model that is one file, and its base
            a face detector, a face parser, GFPGAN, for generators with a `restorer`
    gives   pipelines/{pipeline}/                               a model that was one file, in diffusers' format
            images/{pool}/{generator}/block-{block}/seed-*.jpg  image g: seed g, prompt g mod M
            images/{pool}/{generator}/block-{block}.csv         manifest: image, seed, prompt, size, quality, SHA-256

A block is at most `images_per_block` images, and the last one holds no more than the config asks for. Where it asks for more later, they are
further blocks: jobs that use images ask `blocks_of`, which goes on from the blocks that are there.
"""

DIFFUSION = {name: entry for name, entry in plan.generators.items() if "model" in entry}
RESTORED = {name: entry for name, entry in plan.generators.items() if "restorer" in entry}


def diffusion_of(
    wildcards,
):
    """Return the diffusion model that generates images, with the settings that images depend on."""
    return settings_of_generator(DIFFUSION[wildcards.generator])


def images_to_generate(
    wildcards,
):
    """Return the prompts of a pool, and the models that a generator reads."""
    prompts = expand(rules.write_prompts.output, pool=wildcards.pool)
    return {"prompts": prompts} | models_to_read(DIFFUSION[wildcards.generator])


def memory_of_generation(
    wildcards,
):
    """Return the MB of a job that generates images."""
    return ASKING.memory_of_generation(wildcards.pool, bytes_of_models(DIFFUSION[wildcards.generator]))


def minutes_of_generation(
    wildcards,
):
    """Return the minutes of a job that generates the images of a block."""
    generator, images = DIFFUSION[wildcards.generator], len(blocks.seeds_of(wildcards.block))
    return ASKING.minutes_of_generation(wildcards.pool, generator, images, bytes_of_models(generator))


def restorer_of(
    wildcards,
):
    """Return what restores faces: detector, parser, restorer, and settings."""
    return in_order(config["restorers"][RESTORED[wildcards.generator]["restorer"]])


def weights_of_restorer(
    wildcards,
):
    """Return the paths of the checkpoints of a generator's restorer, by network."""
    return {name: restorer_of(wildcards)[name]["weights"] for name in ("detector", "parser", "restorer")}


def images_to_restore(
    wildcards,
):
    """Return the block of images in which faces are restored, another generator's, and the restorer's checkpoints."""
    of_source = dict(wildcards) | {"generator": RESTORED[wildcards.generator]["generator"]}
    checkpoints = {name: supplied(path) for name, path in weights_of_restorer(wildcards).items()}
    return {"manifest": expand(rules.generate_images.output.manifest, **of_source)[0]} | checkpoints


rule convert_pipeline:
    """Write {wildcards.pipeline}, which is one file, in diffusers' format."""
    input:
        file=lambda wildcards: supplied(plan.pipelines[wildcards.pipeline][0]),
        base=lambda wildcards: supplied(plan.pipelines[wildcards.pipeline][1]),
    output:
        directory("<results>/pipelines/{pipeline}"),
    log:
        "<logs>/convert_pipeline/{pipeline}.log",
    wildcard_constraints:
        pipeline=one_of(plan.pipelines),
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(16000),
        runtime=60,
    params:
        models=lambda wildcards: dict(zip(("file", "base"), plan.pipelines[wildcards.pipeline])),
        contents=lambda wildcards: contents_of(*plan.pipelines[wildcards.pipeline]),
        code=fingerprint("convert_pipeline"),
    message:
        "Converting {wildcards.pipeline}"
    script:
        "../scripts/convert_pipeline.py"


rule generate_images:
    """Generate the images {wildcards.block} of {wildcards.pool}."""
    input:
        unpack(images_to_generate),
    output:
        images=directory("<results>/images/{pool}/{generator}/block-{block}"),
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
    log:
        "<logs>/generate_images/{pool}/{generator}/{block}.log",
    benchmark:
        "<benchmarks>/generate_images/{pool}/{generator}/{block}.tsv"
    wildcard_constraints:
        generator=one_of(DIFFUSION),
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(memory_of_generation),
        runtime=minutes_of_generation,
        offload=lambda wildcards: DIFFUSION[wildcards.generator].get("offload", "none"),
    params:
        seeds=lambda wildcards: [blocks.seeds_of(wildcards.block).start, len(blocks.seeds_of(wildcards.block))],
        generator=diffusion_of,
        contents=lambda wildcards: contents_of(*models_of(DIFFUSION[wildcards.generator]).values()),
        code=fingerprint("generate_images"),
    message:
        "Generating images {wildcards.block} of {wildcards.pool}"
    script:
        "../scripts/generate_images.py"


rule restore_faces:
    """Restore the faces in the images {wildcards.block} of {wildcards.pool}."""
    input:
        unpack(images_to_restore),
    output:
        images=directory("<results>/images/{pool}/{generator}/block-{block}"),
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
    log:
        "<logs>/restore_faces/{pool}/{generator}/{block}.log",
    benchmark:
        "<benchmarks>/restore_faces/{pool}/{generator}/{block}.tsv"
    wildcard_constraints:
        generator=one_of(RESTORED),
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=240,
    params:
        restorer=restorer_of,
        contents=lambda wildcards: contents_of(*weights_of_restorer(wildcards).values()),
        code=fingerprint(
            "restore_faces",
            "promptmix.networks.retinaface",
            "promptmix.networks.parsenet",
            "promptmix.networks.gfpgan",
        ),
    message:
        "Restoring faces in images {wildcards.block} of {wildcards.pool}"
    script:
        "../scripts/restore_faces.py"
