"""
Tell good generated images and prompts from bad ones (paper, section III, fourth and sixth stage).

    takes   annotations/{pool}/{generator}/{annotator}/block-{block}.h5   of two annotators or more
            runs/{experiment}/selection.json                              of a baseline, and of one training per prompt
    gives   quality/{pool}/{generator}/{annotators}/block-{block}.csv     q of each image: how far annotators disagree
            filters/{experiment}.csv                                      each prompt's validation error, kept or not
"""


def annotations_to_compare(
    wildcards,
):
    """Return a block's annotations by each of the annotators in a name such as "dmcount-qnrf+sasnet-shtb"."""
    return expand(rules.annotate_images.output, annotator=wildcards.annotators.split("+"), **wildcards)


def selections_to_compare(
    wildcards,
):
    """Return the selections of an experiment's baseline and of the trainings on one prompt each, and the prompts."""
    experiment = experiment_of(wildcards)
    return {
        "baseline": expand(rules.select_learning_rate.output, experiment=experiment.baseline),
        "selections": expand(rules.select_learning_rate.output, experiment=experiment.single_prompts.values()),
        "prompts": expand(rules.write_prompts.output, pool=experiment.fake.pools),
    }


def dropped_prompts(
    wildcards,
):
    """Return the pool and number of each prompt that a review leaves out."""
    reviewed = experiment_of(wildcards).fake.reviewed
    return [[pool, number] for pool, review in reviewed.items() for number in review["drop"]]


def single_prompts(
    wildcards,
):
    """Return the pool and number of each prompt by the name of the training on it."""
    return {name: [pool, number] for (pool, number), name in experiment_of(wildcards).single_prompts.items()}


rule score_images:
    """Score the images of a block by the disagreement of {wildcards.annotators}."""
    input:
        annotations_to_compare,
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
        "Scoring images {wildcards.block} of {wildcards.pool}"
    script:
        "../scripts/score_images.py"


rule filter_prompts:
    """Keep the prompts whose images do not raise the validation error of {wildcards.experiment}'s baseline."""
    input:
        unpack(selections_to_compare),
    output:
        "<results>/filters/{experiment}.csv",
    log:
        "<logs>/filter_prompts/{experiment}.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        single_prompts=single_prompts,
        dropped=dropped_prompts,
        code=fingerprint("filter_prompts"),
    message:
        "Filtering the prompts of {wildcards.experiment}"
    script:
        "../scripts/filter_prompts.py"
