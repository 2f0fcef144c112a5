"""
Caption the real training images (paper, section III, first stage).

    takes   datasets/{dataset}/index.csv
            images/{pool}/{generator}/block-{block}.csv
    gives   captions/{dataset}/{captioner}.csv   P_auto: image, caption
            captions/{pool}/{generator}/{captioner}/block-{block}.csv   captions of generated images
"""


rule caption_images:
    """Caption the training images of {wildcards.dataset}, and no others."""
    input:
        index=rules.prepare_dataset.output.index,
        pixels=rules.prepare_dataset.output.pixels,
        clip=lambda wildcards: there_or_made(config["captioners"][wildcards.captioner]["clip"]),
        tokenizer=lambda wildcards: there_or_made(config["captioners"][wildcards.captioner]["tokenizer"]),
        weights=lambda wildcards: there_or_made(config["captioners"][wildcards.captioner]["weights"]),
    output:
        "<results>/captions/{dataset}/{captioner}.csv",
    log:
        "<logs>/caption_images/{dataset}/{captioner}.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(6000),
        runtime=60,
    params:
        captioner=lambda wildcards: as_text(config["captioners"][wildcards.captioner]),
        contents=lambda wildcards: contents_of_captioner(wildcards.captioner),
        code=fingerprint("caption_images", "promptmix.networks.clipcap"),
    message:
        "Captioning the training images of {wildcards.dataset}"
    script:
        "../scripts/caption_images.py"


rule caption_generated:
    """Caption the generated images of a block, to compare the captions with the prompts."""
    input:
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
        clip=lambda wildcards: there_or_made(config["captioners"][wildcards.captioner]["clip"]),
        tokenizer=lambda wildcards: there_or_made(config["captioners"][wildcards.captioner]["tokenizer"]),
        weights=lambda wildcards: there_or_made(config["captioners"][wildcards.captioner]["weights"]),
    output:
        "<results>/captions/{pool}/{generator}/{captioner}/block-{block}.csv",
    log:
        "<logs>/caption_generated/{pool}/{generator}/{captioner}/{block}.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(6000),
        runtime=60,
    params:
        captioner=lambda wildcards: as_text(config["captioners"][wildcards.captioner]),
        contents=lambda wildcards: contents_of_captioner(wildcards.captioner),
        code=fingerprint("caption_generated", "promptmix.networks.clipcap"),
    message:
        "Captioning generated images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool}"
    script:
        "../scripts/caption_generated.py"
