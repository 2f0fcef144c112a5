"""
Choose the generated images of an experiment (paper, section III, fifth stage).

    takes   images/.../block-{block}.csv, annotations/.../block-{block}.h5
            quality/.../block-{block}.csv, filters/{experiment}.csv, leaks/{experiment}.csv, for experiments that filter
            datasets/{dataset}/index.csv, to compare with
    gives   fake/{experiment}.csv                D_fake: image, annotation, count
            fake/{experiment}.json               how its counts or depths compare with the real images', what filters left out
"""


def blocks_to_mix(
    wildcards,
):
    """Return an experiment's blocks of images, annotations and, if it filters images, scores; kept prompts; the dataset."""
    fake = fake_of(wildcards)
    patterns = {
        "manifests": "<results>/images/{pool}/{generator}/block-{block}.csv",
        "annotations": rules.annotate_images.output[0],
    }
    if fake.scored_by:
        patterns["scores"] = rules.score_images.output[0]
    if "near_duplicates" in fake.filters:
        patterns["hashes"] = rules.hash_images.output[0]
    if "clip_score" in fake.filters:
        patterns["clip_scores"] = rules.score_prompts.output[0]
    chosen = {"generator": fake.generator, "annotator": fake.annotator, "annotators": "+".join(fake.scored_by)}
    chosen["clip"] = plan.clip_of(fake.filters.get("clip_score", {}).get("model", ""))
    found = {
        name: [
            path
            for pool, number in fake.images.items()
            for path in expand(pattern, pool=pool, block=blocks_of(pool, fake.generator, number), **chosen)
        ]
        for name, pattern in patterns.items()
    }
    if fake.prompt_filter:
        found["kept_prompts"] = expand(rules.filter_prompts.output, **wildcards)
    if "leak_guard" in fake.filters:
        found["leaks"] = expand(rules.guard_leaks.output, **wildcards)
    return found | prepared(experiment_of(wildcards).dataset)


def settings_of_mix(
    wildcards,
):
    """Return k, r_img, the only prompt whose images count, if there is one, and what a review and filters leave out."""
    fake = fake_of(wildcards)
    found = {"k": fake.k, "r_img": fake.r_img, "prompt": fake.prompt, "reviewed": in_order(dict(fake.reviewed))}
    return found | ({"filters": in_order(dict(fake.filters))} if fake.filters else {})


def settings_of_d_fake(
    wildcards,
):
    """Return what D_fake is mixed by and, where filters could leave too few images, the fewest that an epoch draws."""
    fake, found = fake_of(wildcards), settings_of_mix(wildcards)
    return found | ({"fewest": fake.r_mix} if fake.filters and not fake.is_open else {})


RENDERED = [name for name, experiment in plan.experiments.items() if experiment.fake and experiment.fake.rendered]


rule mix_dataset:
    """List the generated images of {wildcards.experiment} with the annotation that each is trained on."""
    input:
        unpack(blocks_to_mix),
    output:
        fake="<results>/fake/{experiment}.csv",
        compared="<results>/fake/{experiment}.json",
    log:
        "<logs>/mix_dataset/{experiment}.log",
    wildcard_constraints:
        experiment=one_of(set(plan.experiments) - set(RENDERED)),
    priority: FIRST
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        settings=settings_of_d_fake,
        task=lambda wildcards: experiment_of(wildcards).task,
        code=fingerprint("mix_dataset"),
    message:
        "Mixing the generated images of {wildcards.experiment}"
    script:
        "../scripts/mix_dataset.py"
