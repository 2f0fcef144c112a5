"""
Turn captions into prompts, or take prompts written by hand (paper, section III, second stage) or by a language model.

    takes   captions/{dataset}/{captioner}.csv, datasets/{dataset}/index.csv
    gives   texts/{pool}.csv                     what a language model wrote: image, text
            prompts/{pool}.csv                   P': prompt, width, height, quality, grey, source
            prompts/{pool}-edited.csv            of what `reviewed` edits
"""

WRITTEN = {name: entry for name, entry in plan.pools.items() if "written_by" in entry}


def writer_of(
    wildcards,
):
    """Return the language model that writes a pool's prompts, with its settings."""
    return in_order(WRITTEN[wildcards.pool]["written_by"])


def source_of_texts(
    wildcards,
):
    """Return what a language model needs to write: itself, and the captions that it varies, if any."""
    pool = WRITTEN[wildcards.pool]
    found = {"model": supplied(pool["written_by"]["model"])}
    return found | ({"captions": captions_of(pool)} if "dataset" in pool else {})


def captions_of(
    pool,
):
    """Return the captions that a pool is made of."""
    return expand(rules.caption_images.output, dataset=pool["dataset"], captioner=pool["captioner"])


def source_of_pool(
    wildcards,
):
    """Return what a pool is made from: captions and their images, what was written, or what was edited; nothing by hand."""
    pool = plan.pools[wildcards.pool]
    if "edits" in pool:
        return {"edited": expand(rules.write_prompts.output, pool=pool["of"])}
    found = {}
    if "written_by" in pool:
        found["texts"] = expand(rules.write_texts.output, pool=wildcards.pool)
    elif "dataset" in pool:
        found["captions"] = captions_of(pool)
    return found | ({"index": prepared(pool["dataset"])["index"]} if "dataset" in pool else {})


def settings_of_pool(
    wildcards,
):
    """Return what a pool's prompts are made with, without what their texts are written with."""
    pool = plan.pools[wildcards.pool]
    return in_order({key: True if key == "written_by" else value for key, value in pool.items()})


rule write_texts:
    """Write the texts of {wildcards.pool} with a language model."""
    input:
        unpack(source_of_texts),
    output:
        "<results>/texts/{pool}.csv",
    log:
        "<logs>/write_texts/{pool}.log",
    benchmark:
        "<benchmarks>/write_texts/{pool}.tsv"
    wildcard_constraints:
        pool=one_of(WRITTEN),
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(16000),
        runtime=720,
    params:
        writer=writer_of,
        contents=lambda wildcards: contents_of(writer_of(wildcards)["model"]),
        code=fingerprint("write_texts"),
    message:
        "Writing the texts of {wildcards.pool}"
    script:
        "../scripts/write_texts.py"


rule write_prompts:
    """Write the prompts of {wildcards.pool}."""
    input:
        unpack(source_of_pool),
    output:
        "<results>/prompts/{pool}.csv",
    log:
        "<logs>/write_prompts/{pool}.log",
    priority: FIRST
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        pool=settings_of_pool,
        words=setting("prompts"),
        code=fingerprint("write_prompts"),
    message:
        "Writing the prompts of {wildcards.pool}"
    script:
        "../scripts/write_prompts.py"
