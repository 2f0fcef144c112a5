"""
Caption the real training images (paper, section III, first stage).

    takes   datasets/{dataset}/index.csv
            images/{pool}/{generator}/block-{block}.csv
    gives   captions/{dataset}/{captioner}.csv   P_auto: image, caption
            captions/{pool}/{generator}/{captioner}/block-{block}.csv   captions of generated images
"""

CAPTIONER = ("clip", "tokenizer", "weights")


def files_of_captioner(
    wildcards,
):
    """Return a captioner's CLIP, tokeniser and weights, by name."""
    return {name: supplied(config["captioners"][wildcards.captioner][name]) for name in CAPTIONER}


def contents_of_captioner(
    wildcards,
):
    """Return a name for the contents of a captioner's CLIP, tokeniser and weights."""
    return contents_of(*(config["captioners"][wildcards.captioner][name] for name in CAPTIONER))


rule caption_images:
    """Caption the training images of {wildcards.dataset}, and no others."""
    input:
        unpack(files_of_captioner),
        index=rules.prepare_dataset.output.index,
        pixels=rules.prepare_dataset.output.pixels,
    output:
        "<results>/captions/{dataset}/{captioner}.csv",
    log:
        "<logs>/caption_images/{dataset}/{captioner}.log",
    benchmark:
        "<benchmarks>/caption_images/{dataset}/{captioner}.tsv"
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(6000),
        runtime=60,
    params:
        captioner=setting("captioners", "{captioner}"),
        contents=contents_of_captioner,
        code=fingerprint("caption_images", "promptmix.networks.clipcap"),
    message:
        "Captioning the training images of {wildcards.dataset}"
    script:
        "../scripts/caption_images.py"


rule caption_generated:
    """Caption the generated images of a block, to compare the captions with the prompts."""
    input:
        unpack(files_of_captioner),
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
    output:
        "<results>/captions/{pool}/{generator}/{captioner}/block-{block}.csv",
    log:
        "<logs>/caption_generated/{pool}/{generator}/{captioner}/{block}.log",
    benchmark:
        "<benchmarks>/caption_generated/{pool}/{generator}/{captioner}/{block}.tsv"
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(6000),
        runtime=60,
    params:
        captioner=setting("captioners", "{captioner}"),
        contents=contents_of_captioner,
        code=fingerprint("caption_generated", "promptmix.networks.clipcap"),
    message:
        "Captioning generated images {wildcards.block} of {wildcards.pool}"
    script:
        "../scripts/caption_generated.py"
