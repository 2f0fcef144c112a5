"""
Tell good generated images and prompts from bad ones (paper, section III, fourth and sixth stage).

    takes   annotations/{pool}/{generator}/{annotator}/block-{block}.h5   of two annotators or more
            images/{pool}/{generator}/block-{block}.csv                   manifest of generated images
            datasets/{dataset}/index.csv, for the leak guard alone
            runs/{experiment}/selection.json                              of a baseline, and of one training per prompt
    gives   quality/{pool}/{generator}/{annotators}/block-{block}.csv     q of each image: how far annotators disagree
            quality/{pool}/{generator}/phash/block-{block}.csv            perceptual hash of each image
            quality/{pool}/{generator}/clip-{clip}/block-{block}.npz      CLIP's features of each image
            quality/{pool}/{generator}/clip-{clip}/block-{block}.csv      CLIP score of each image and its prompt
            leaks/test/{dataset}/phash.csv, clip-{clip}.npz               hashes and features of the test images
            leaks/{experiment}.csv                                        generated images that are like test images
            filters/{experiment}.csv                                      each prompt's validation error, kept or not
"""


def annotations_to_compare(
    wildcards,
):
    """Return a block's annotations by each of the annotators in a name such as "dmcount-qnrf+sasnet-shtb"."""
    return expand(rules.annotate_images.output, annotator=wildcards.annotators.split("+"), **wildcards)


def model_of_clip(
    wildcards,
):
    """Return the folder, or the name on the Hub, of a CLIP that a filter names."""
    return plan.clips[wildcards.clip]


def likeness_of(
    experiment,
    pattern,
    **chosen,
):
    """Return a file of each block of an experiment's images."""
    fake = experiment.fake
    return [
        path
        for pool, number in fake.images.items()
        for path in expand(
            pattern, pool=pool, generator=fake.generator, block=blocks_of(pool, fake.generator, number), **chosen
        )
    ]


def images_to_guard(
    wildcards,
):
    """Return the hashes of an experiment's images and of the test images and, with a CLIP, the features of both."""
    experiment = experiment_of(wildcards)
    found = {
        "manifests": likeness_of(experiment, "<results>/images/{pool}/{generator}/block-{block}.csv"),
        "hashes": likeness_of(experiment, rules.hash_images.output[0]),
        "test_hashes": expand(rules.hash_test_images.output, dataset=experiment.dataset),
    }
    if model := experiment.fake.filters["leak_guard"].get("model"):
        clip = plan.clip_of(model)
        found["features"] = likeness_of(experiment, rules.describe_images.output[0], clip=clip)
        found["test_features"] = expand(rules.describe_test_images.output, dataset=experiment.dataset, clip=clip)
    return found


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


rule hash_images:
    """Compute the perceptual hashes of the images of a block."""
    input:
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
    output:
        "<results>/quality/{pool}/{generator}/phash/block-{block}.csv",
    log:
        "<logs>/hash_images/{pool}/{generator}/{block}.log",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        code=fingerprint("hash_images"),
    message:
        "Hashing images {wildcards.block} of {wildcards.pool}"
    script:
        "../scripts/hash_images.py"


rule describe_images:
    """Compute the features of the images of a block by {wildcards.clip}."""
    input:
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
        model=lambda wildcards: supplied(model_of_clip(wildcards)),
    output:
        "<results>/quality/{pool}/{generator}/clip-{clip}/block-{block}.npz",
    log:
        "<logs>/describe_images/{pool}/{generator}/{clip}/{block}.log",
    benchmark:
        "<benchmarks>/describe_images/{pool}/{generator}/{clip}/{block}.tsv"
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(6000),
        runtime=60,
    params:
        model=model_of_clip,
        contents=lambda wildcards: contents_of(model_of_clip(wildcards)),
        code=fingerprint("describe_images"),
    message:
        "Describing images {wildcards.block} of {wildcards.pool} with {wildcards.clip}"
    script:
        "../scripts/describe_images.py"


rule score_prompts:
    """Score the images of a block by how alike {wildcards.clip} finds each and its prompt."""
    input:
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
        features=rules.describe_images.output[0],
        model=lambda wildcards: supplied(model_of_clip(wildcards)),
    output:
        "<results>/quality/{pool}/{generator}/clip-{clip}/block-{block}.csv",
    log:
        "<logs>/score_prompts/{pool}/{generator}/{clip}/{block}.log",
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(6000),
        runtime=30,
    params:
        model=model_of_clip,
        contents=lambda wildcards: contents_of(model_of_clip(wildcards)),
        code=fingerprint("score_prompts"),
    message:
        "Scoring images {wildcards.block} of {wildcards.pool} by their prompts"
    script:
        "../scripts/score_prompts.py"


rule hash_test_images:
    """Compute the perceptual hashes of the test images of {wildcards.dataset}, for the leak guard alone."""
    input:
        index=rules.prepare_dataset.output.index,
        pixels=rules.prepare_dataset.output.pixels,
    output:
        "<results>/leaks/test/{dataset}/phash.csv",
    log:
        "<logs>/hash_test_images/{dataset}.log",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=10,
    params:
        code=fingerprint("hash_test_images"),
    message:
        "Hashing the test images of {wildcards.dataset}"
    script:
        "../scripts/hash_test_images.py"


rule describe_test_images:
    """Compute the features of the test images of {wildcards.dataset} by {wildcards.clip}, for the leak guard alone."""
    input:
        index=rules.prepare_dataset.output.index,
        pixels=rules.prepare_dataset.output.pixels,
        model=lambda wildcards: supplied(model_of_clip(wildcards)),
    output:
        "<results>/leaks/test/{dataset}/clip-{clip}.npz",
    log:
        "<logs>/describe_test_images/{dataset}/{clip}.log",
    benchmark:
        "<benchmarks>/describe_test_images/{dataset}/{clip}.tsv"
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(6000),
        runtime=60,
    params:
        model=model_of_clip,
        contents=lambda wildcards: contents_of(model_of_clip(wildcards)),
        code=fingerprint("describe_test_images"),
    message:
        "Describing the test images of {wildcards.dataset} with {wildcards.clip}"
    script:
        "../scripts/describe_test_images.py"


rule guard_leaks:
    """List the generated images of {wildcards.experiment} that are like test images."""
    input:
        unpack(images_to_guard),
    output:
        "<results>/leaks/{experiment}.csv",
    log:
        "<logs>/guard_leaks/{experiment}.log",
    wildcard_constraints:
        experiment=one_of(
            name for name, each in plan.experiments.items() if each.fake and "leak_guard" in each.fake.filters
        ),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        guard=lambda wildcards: in_order(experiment_of(wildcards).fake.filters["leak_guard"]),
        images=lambda wildcards: in_order(experiment_of(wildcards).fake.images),
        code=fingerprint("guard_leaks"),
    message:
        "Comparing the generated images of {wildcards.experiment} with test images"
    script:
        "../scripts/guard_leaks.py"


rule filter_prompts:
    """Keep the prompts whose images do not raise the validation error of {wildcards.experiment}'s baseline."""
    input:
        unpack(selections_to_compare),
    output:
        "<results>/filters/{experiment}.csv",
    log:
        "<logs>/filter_prompts/{experiment}.log",
    wildcard_constraints:
        experiment=one_of(name for name, each in plan.experiments.items() if not (each.fake and each.fake.halving)),
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
