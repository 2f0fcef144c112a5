"""
Annotate generated images with heavyweight networks (paper, section III, third stage).

    takes   images/{pool}/{generator}/block-{block}.csv        manifest of generated images
            a heavyweight network: shipped, published, or fine-tuned here; or a function of the user's own
    gives   annotators/{annotator}.safetensors                 a fine-tuned network
            annotators/{annotator}/{dataset}.csv               its predictions of a dataset's test split
            annotations/{pool}/{generator}/{annotator}/block-{block}.h5
"""


def annotator_of(
    wildcards,
):
    """Return the annotator that a job is for."""
    return plan.annotators[wildcards.annotator]


def weights_of_annotator(
    name,
):
    """Return the weights of an annotator: a given file, or what fine_tune_annotator makes; nothing of a function."""
    annotator = plan.annotators[name]
    if annotator.fine_tune:
        return expand(rules.fine_tune_annotator.output, annotator=name)
    return [] if annotator.is_function else supplied(annotator.weights)


def settings_of_annotator(
    wildcards,
):
    """Return what `promptmix.synthesis.annotation.load_annotator` takes."""
    annotator = annotator_of(wildcards)
    facts = {"reference": annotator.reference, "task": annotator.task, "weights": annotator.weights}
    return in_order(facts | {"settings": dict(annotator.settings)})


def contents_of_annotator(
    wildcards,
):
    """Return a name for the contents of an annotator's weights, if the user supplies them."""
    return contents_of(annotator_of(wildcards).weights)


def start_of_annotator(
    wildcards,
):
    """Return the dataset that an annotator is fine-tuned on, and the weights that it starts from."""
    start = annotator_of(wildcards).fine_tune
    return prepared(start["dataset"]) | {"weights": weights_of_annotator(start["annotator"])}


def start_weights(
    wildcards,
):
    """Return the path of the weights that an annotator is fine-tuned from; "" if these are fine-tuned too."""
    return plan.annotators[annotator_of(wildcards).fine_tune["annotator"]].weights


rule fine_tune_annotator:
    """Train {wildcards.annotator} further on a dataset's training split."""
    input:
        unpack(start_of_annotator),
    output:
        "<results>/annotators/{annotator}.safetensors",
    log:
        "<logs>/fine_tune_annotator/{annotator}.log",
    benchmark:
        "<benchmarks>/fine_tune_annotator/{annotator}.tsv"
    wildcard_constraints:
        annotator=one_of(name for name, annotator in plan.annotators.items() if annotator.fine_tune),
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(12000),
        runtime=720,
    params:
        settings=lambda wildcards: in_order(plan.fine_tuning_of(wildcards.annotator)),
        weights=start_weights,
        contents=lambda wildcards: contents_of(start_weights(wildcards)),
        code=lambda wildcards: fingerprint(
            "fine_tune_annotator", annotator_of(wildcards).code, *modules_of_training(annotator_of(wildcards).task)
        ),
    message:
        "Fine-tuning {wildcards.annotator}"
    script:
        "../scripts/fine_tune_annotator.py"


rule annotate_images:
    """Predict {wildcards.annotator}'s density or depth map of each image of a block."""
    input:
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
        weights=lambda wildcards: weights_of_annotator(wildcards.annotator),
    output:
        "<results>/annotations/{pool}/{generator}/{annotator}/block-{block}.h5",
    log:
        "<logs>/annotate_images/{pool}/{generator}/{annotator}/{block}.log",
    benchmark:
        "<benchmarks>/annotate_images/{pool}/{generator}/{annotator}/{block}.tsv"
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=120,
    params:
        annotator=settings_of_annotator,
        stride=lambda wildcards: STRIDES[annotator_of(wildcards).task],
        contents=contents_of_annotator,
        code=lambda wildcards: fingerprint("annotate_images", annotator_of(wildcards).code),
    message:
        "Annotating images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool} with {wildcards.annotator}"
    script:
        "../scripts/annotate_images.py"


rule evaluate_annotator:
    """Predict the test split of {wildcards.dataset} with {wildcards.annotator}, for comparison."""
    input:
        **rules.prepare_dataset.output,
        weights=lambda wildcards: weights_of_annotator(wildcards.annotator),
    output:
        "<results>/annotators/{annotator}/{dataset}.csv",
    log:
        "<logs>/evaluate_annotator/{annotator}/{dataset}.log",
    benchmark:
        "<benchmarks>/evaluate_annotator/{annotator}/{dataset}.tsv"
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=60,
    params:
        annotator=settings_of_annotator,
        contents=contents_of_annotator,
        code=lambda wildcards: fingerprint(
            "evaluate_annotator", annotator_of(wildcards).code, tasks.module_of(annotator_of(wildcards).task)
        ),
    message:
        "Evaluating {wildcards.annotator} on {wildcards.dataset}"
    script:
        "../scripts/evaluate_annotator.py"
