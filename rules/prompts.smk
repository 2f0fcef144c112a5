"""
Turn captions into prompts, or take prompts written by hand (paper, section III, second stage).

    takes   captions/{dataset}/{captioner}.csv, datasets/{dataset}/index.csv
    gives   prompts/{pool}.csv                   P': prompt, width, height, quality, grey, source
"""


def captions_of_pool(
    wildcards,
):
    """Return the captions and the index that a pool is made from; nothing for prompts written by hand."""
    pool = config["pools"][wildcards.pool]
    if "dataset" not in pool:
        return {}
    index = prepared(pool["dataset"])["index"]
    return {"captions": expand(rules.caption_images.output, **pool), "index": index}


rule write_prompts:
    """Write the prompts of {wildcards.pool}."""
    input:
        unpack(captions_of_pool),
    output:
        "<results>/prompts/{pool}.csv",
    log:
        "<logs>/write_prompts/{pool}.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        pool=setting("pools", "{pool}"),
        words=setting("prompts"),
        code=fingerprint("write_prompts"),
    message:
        "Writing the prompts of {wildcards.pool}"
    script:
        "../scripts/write_prompts.py"
