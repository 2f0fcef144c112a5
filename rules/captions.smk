"""
Caption the real training images (paper, section III, first stage).

    takes   datasets/{dataset}/index.csv
            images/{pool}/{generator}/block-{block}.csv
    gives   captions/{dataset}/{captioner}.csv   P_auto: image, caption
            captions/{pool}/{generator}/{captioner}/block-{block}.csv   captions of generated images
"""

from promptmix.synthesis.registry import modules_of_captioner

CAPTIONER = ("clip", "tokenizer", "weights", "model")


def paths_of_captioner(
    wildcards,
):
    """Return the paths of a captioner's model, or of its CLIP, tokeniser and weights, by name."""
    entry = config["captioners"][wildcards.captioner]
    return {name: entry[name] for name in CAPTIONER if name in entry}


def files_of_captioner(
    wildcards,
):
    """Return a captioner's model, or its CLIP, tokeniser and weights, by name."""
    return {name: supplied(path) for name, path in paths_of_captioner(wildcards).items()}


def contents_of_captioner(
    wildcards,
):
    """Return a name for the contents of a captioner's files."""
    return contents_of(*paths_of_captioner(wildcards).values())


def modules_of(
    wildcards,
):
    """Return the modules of a captioner, which its scripts load by name."""
    return modules_of_captioner(config["captioners"][wildcards.captioner])


def memory_of_captioner(
    wildcards,
    attempt,
):
    """Return the MB of a job that captions; a model of transformers can be large."""
    return attempt * (16000 if "model" in config["captioners"][wildcards.captioner] else 6000)


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
        mem_mb=memory_of_captioner,
        runtime=240,
    params:
        captioner=setting("captioners", "{captioner}"),
        contents=contents_of_captioner,
        code=lambda wildcards: fingerprint("caption_images", *modules_of(wildcards)),
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
        mem_mb=memory_of_captioner,
        runtime=240,
    params:
        captioner=setting("captioners", "{captioner}"),
        contents=contents_of_captioner,
        code=lambda wildcards: fingerprint("caption_generated", *modules_of(wildcards)),
    message:
        "Captioning generated images {wildcards.block} of {wildcards.pool}"
    script:
        "../scripts/caption_generated.py"
