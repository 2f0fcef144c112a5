"""
Generate images from prompts (paper, section III, third stage).

    takes   prompts/{pool}.csv, a latent diffusion model
            a face detector, a face parser, GFPGAN, for generators with a `restorer`
    gives   images/{pool}/{generator}/seed-{block}{i}.jpg      image g: seed g, prompt g mod M
            images/{pool}/{generator}/block-{block}.csv        manifest: image, seed, prompt, size, quality, SHA-256
"""


rule generate_images:
    """Generate images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool}."""
    input:
        prompts=rules.write_prompts.output,
        model=lambda wildcards: there_or_made(config["generators"][wildcards.generator]["model"]),
    output:
        images=[f"<results>/images/{{pool}}/{{generator}}/seed-{{block}}{i:02d}.jpg" for i in range(BLOCK_SIZE)],
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
    log:
        "<logs>/generate_images/{pool}/{generator}/{block}.log",
    wildcard_constraints:
        generator="|".join(name for name, entry in config["generators"].items() if "model" in entry),
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(12000),
        runtime=720,
    params:
        generator=lambda wildcards: as_text(config["generators"][wildcards.generator]),
        contents=lambda wildcards: contents_of(config["generators"][wildcards.generator]["model"]),
        code=fingerprint("generate_images"),
    message:
        "Generating images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool}"
    script:
        "../scripts/generate_images.py"


rule restore_faces:
    """Restore the faces in images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool}."""
    input:
        unpack(images_to_restore),
        unpack(weights_of_restorer),
    output:
        images=[f"<results>/images/{{pool}}/{{generator}}/seed-{{block}}{i:02d}.jpg" for i in range(BLOCK_SIZE)],
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
    log:
        "<logs>/restore_faces/{pool}/{generator}/{block}.log",
    wildcard_constraints:
        generator="|".join(name for name, entry in config["generators"].items() if "restorer" in entry) or "(?!)",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=240,
    params:
        restorer=lambda wildcards: as_text(config["restorers"][config["generators"][wildcards.generator]["restorer"]]),
        contents=lambda wildcards: contents_of(*networks_of_restorer(wildcards.generator).values()),
        code=fingerprint(
            "restore_faces",
            "promptmix.networks.retinaface",
            "promptmix.networks.parsenet",
            "promptmix.networks.gfpgan",
        ),
    message:
        "Restoring faces in images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool}"
    script:
        "../scripts/restore_faces.py"
