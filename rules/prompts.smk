"""
Turn captions into prompts, or take prompts written by hand (paper, section III, second stage).

    takes   captions/{dataset}/{captioner}.csv, datasets/{dataset}/index.csv
    gives   prompts/{pool}.csv                   P': prompt, width, height, quality, grey, source
"""


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
        pool=lambda wildcards: as_text(config["pools"][wildcards.pool]),
        prefix=config["prompts"]["prefix"],
        suffix=as_text(config["prompts"]["suffix"]),
        code=fingerprint("write_prompts"),
    message:
        "Writing the prompts of {wildcards.pool}"
    script:
        "../scripts/write_prompts.py"
