"""
Turn captions into prompts, or take prompts written by hand (paper, section III, second stage).

    takes   captions/{dataset}/{captioner}.csv, datasets/{dataset}/index.csv
    gives   prompts/{pool}.csv                   P': prompt, width, height, quality, grey, source
            prompts/{pool}-edited.csv            of what `reviewed` edits
"""


def source_of_pool(
    wildcards,
):
    """Return what a pool is made from: captions and their images, or the prompts that were edited; nothing by hand."""
    pool = plan.pools[wildcards.pool]
    if "edits" in pool:
        return {"edited": expand(rules.write_prompts.output, pool=pool["of"])}
    if "prompts" in pool:
        return {}
    index = prepared(pool["dataset"])["index"]
    return {"captions": expand(rules.caption_images.output, **pool), "index": index}


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
        pool=lambda wildcards: in_order(plan.pools[wildcards.pool]),
        words=setting("prompts"),
        code=fingerprint("write_prompts"),
    message:
        "Writing the prompts of {wildcards.pool}"
    script:
        "../scripts/write_prompts.py"
