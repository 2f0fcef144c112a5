"""
Choose the generated images of an experiment (paper, section III, fifth stage).

    takes   images/.../block-{block}.csv, annotations/.../block-{block}.h5
            quality/.../block-{block}.csv, filters/{experiment}.csv, for experiments that filter
    gives   fake/{experiment}.csv                D_fake: image, annotation, count
"""


def blocks_to_mix(
    wildcards,
):
    """Return the blocks of an experiment's images, annotations and, if it filters images, scores; and the kept prompts."""
    fake = experiment_of(wildcards).fake
    patterns = {
        "manifests": "<results>/images/{pool}/{generator}/block-{block}.csv",
        "annotations": rules.annotate_images.output[0],
    }
    if fake.scored_by:
        patterns["scores"] = rules.score_images.output[0]
    chosen = {"generator": fake.generator, "annotator": fake.annotator, "annotators": "+".join(fake.scored_by)}
    found = {
        name: [expand(pattern, pool=pool, block=block, **chosen)[0] for pool, block in fake.blocks()]
        for name, pattern in patterns.items()
    }
    if fake.prompt_filter:
        found["kept_prompts"] = expand(rules.filter_prompts.output, **wildcards)
    return found


def settings_of_mix(
    wildcards,
):
    """Return k, r_img, and the only prompt whose images count, if there is one."""
    fake = experiment_of(wildcards).fake
    return {"k": fake.k, "r_img": fake.r_img, "prompt": fake.prompt}


rule mix_dataset:
    """List the generated images of {wildcards.experiment} with the annotation that each is trained on."""
    input:
        unpack(blocks_to_mix),
    output:
        "<results>/fake/{experiment}.csv",
    log:
        "<logs>/mix_dataset/{experiment}.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        settings=settings_of_mix,
        code=fingerprint("mix_dataset"),
    message:
        "Mixing the generated images of {wildcards.experiment}"
    script:
        "../scripts/mix_dataset.py"
