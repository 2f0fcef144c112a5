"""
Tell good generated images and prompts from bad ones (paper, section III, fifth and sixth stage).

    takes   annotations/{pool}/{generator}/{annotator}/block-{block}.h5   of two annotators or more
            runs/{experiment}/selection.json                              of a baseline, and of one training per prompt
    gives   quality/{pool}/{generator}/{annotators}/block-{block}.csv     q of each image: how far annotators disagree
            filters/{experiment}.csv                                      each prompt's validation error, kept or not
"""


rule score_images:
    """Score the images of a block by the disagreement of {wildcards.annotators}."""
    input:
        lambda wildcards: expand(rules.annotate_images.output, annotator=wildcards.annotators.split("+"), **wildcards),
    output:
        "<results>/quality/{pool}/{generator}/{annotators}/block-{block}.csv",
    log:
        "<logs>/score_images/{pool}/{generator}/{annotators}/{block}.log",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        code=fingerprint("score_images"),
    message:
        "Scoring images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool}"
    script:
        "../scripts/score_images.py"


rule filter_prompts:
    """Keep the prompts whose images do not raise the validation error of {wildcards.experiment}'s baseline."""
    input:
        baseline=selection_of_baseline,
        selections=selections_of_prompts,
        prompts=lambda wildcards: expand(
            rules.write_prompts.output, pool=plan.experiments[wildcards.experiment]["fake"]["pools"]
        ),
    output:
        "<results>/filters/{experiment}.csv",
    log:
        "<logs>/filter_prompts/{experiment}.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        code=fingerprint("filter_prompts"),
    message:
        "Filtering the prompts of {wildcards.experiment}"
    script:
        "../scripts/filter_prompts.py"
