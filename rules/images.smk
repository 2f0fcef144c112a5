"""
Generate images from prompts (paper, section III, third stage).

    takes   prompts/{pool}.csv, a latent diffusion model
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
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=12000,
        runtime=120,
    params:
        generator=lambda wildcards: as_text(config["generators"][wildcards.generator]),
        code=fingerprint("generate_images"),
    message:
        "Generating images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool}"
    script:
        "../scripts/generate_images.py"
