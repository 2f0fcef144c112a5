"""
Annotate generated images with heavyweight networks (paper, section III, third stage).

    takes   images/{pool}/{generator}/block-{block}.csv        manifest of generated images
            a heavyweight network: shipped, published, or fine-tuned here; a function of the user's own; or a model of
            transformers
    gives   annotators/{annotator}/lr-{lr}.safetensors         a network, fine-tuned with one learning rate
            annotators/{annotator}.safetensors                 that with the lowest validation error
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
    """Return the weights of an annotator: a given file or model, what select_annotator chooses, or what a function reads."""
    annotator = plan.annotators[name]
    if annotator.fine_tune:
        return expand(rules.select_annotator.output, annotator=name)
    return [path for file in files_of(annotator) for path in supplied(file)]


def files_of(
    annotator,
):
    """Return the files that an annotator reads, if the config names them."""
    return annotator.files if annotator.is_function else [annotator.weights]


def settings_of_annotator(
    name,
):
    """Return what `promptmix.synthesis.annotation.load_annotator` takes."""
    annotator = plan.annotators[name]
    facts = {"reference": annotator.reference, "task": annotator.task, "weights": annotator.weights}
    facts |= {"files": list(annotator.files)} if annotator.files else {}
    facts |= {"flip": True} if annotator.flip else {}
    facts |= {"precision": annotator.precision} if annotator.precision != "float32" else {}
    return in_order(facts | {"settings": dict(annotator.settings)})


def contents_of_annotator(
    wildcards,
):
    """Return a name for the contents of an annotator's weights, or of a function's files, if the user supplies them."""
    return contents_of(*files_of(annotator_of(wildcards)))


def members_of(
    wildcards,
):
    """Return the annotators that an average is of; of any other itself."""
    return plan.members_of(wildcards.annotator)


def weights_of_members(
    wildcards,
):
    """Return the weights of the annotators that an average is of, as "weights_0" and so on; of any other its own."""
    return {f"weights_{i}": weights_of_annotator(name) for i, name in enumerate(members_of(wildcards))}


def contents_of_members(
    wildcards,
):
    """Return a name for the contents of the files that they read, if the user supplies them."""
    return contents_of(*(file for name in members_of(wildcards) for file in files_of(plan.annotators[name])))


def code_of_members(
    wildcards,
):
    """Return a fingerprint of the script that evaluates an annotator and of the networks or functions in it."""
    members = [plan.annotators[name] for name in members_of(wildcards)]
    return fingerprint(
        "evaluate_annotator", *dict.fromkeys(each.code for each in members), tasks.module_of(members[0].task)
    )


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


def memory_of_annotator(
    wildcards,
):
    """Return the MB of a job that annotates images of a pool, or of a dataset, with one annotator after the other."""
    of = {"pool": wildcards.pool} if "pool" in wildcards.keys() else {"dataset": wildcards.dataset}
    members = [plan.annotators[name] for name in members_of(wildcards)]
    return max(ASKING.memory_of_predicting(member.reference, member.settings, **of) for member in members)


FINE_TUNED = one_of(name for name, annotator in plan.annotators.items() if annotator.fine_tune)
AVERAGES = one_of(name for name, annotator in plan.annotators.items() if annotator.mean_of)


rule fine_tune_annotator:
    """Train {wildcards.annotator} further on a dataset's training split, with one learning rate."""
    input:
        unpack(start_of_annotator),
    output:
        "<results>/annotators/{annotator}/lr-{lr}.safetensors",
    log:
        "<logs>/fine_tune_annotator/{annotator}/lr-{lr}.log",
    benchmark:
        "<benchmarks>/fine_tune_annotator/{annotator}/lr-{lr}.tsv"
    wildcard_constraints:
        annotator=FINE_TUNED,
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(lambda wildcards: ASKING.memory_of_fine_tuning(wildcards.annotator)),
        runtime=lambda wildcards: ASKING.minutes_of_fine_tuning(wildcards.annotator),
    params:
        settings=lambda wildcards: in_order(plan.fine_tuning_of(wildcards.annotator, wildcards.lr)),
        weights=start_weights,
        contents=lambda wildcards: contents_of(start_weights(wildcards)),
        code=lambda wildcards: fingerprint(
            "fine_tune_annotator", annotator_of(wildcards).code, *modules_of_training(annotator_of(wildcards).task)
        ),
    message:
        "Fine-tuning {wildcards.annotator}, learning rate {wildcards.lr}"
    script:
        "../scripts/fine_tune_annotator.py"


rule select_annotator:
    """Choose {wildcards.annotator}'s learning rate, that with the lowest validation error; the test split is not read."""
    input:
        lambda wildcards: expand(
            rules.fine_tune_annotator.output,
            annotator=wildcards.annotator,
            lr=plan.learning_rates_of(wildcards.annotator),
        ),
    output:
        "<results>/annotators/{annotator}.safetensors",
    log:
        "<logs>/select_annotator/{annotator}.log",
    wildcard_constraints:
        annotator=FINE_TUNED,
    priority: FIRST
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        code=fingerprint("select_annotator"),
    message:
        "Selecting the learning rate of {wildcards.annotator}"
    script:
        "../scripts/select_annotator.py"


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
    wildcard_constraints:
        annotator=one_of(name for name, annotator in plan.annotators.items() if not annotator.mean_of),
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(memory_of_annotator),
        runtime=120,
    params:
        annotator=lambda wildcards: settings_of_annotator(wildcards.annotator),
        stride=lambda wildcards: STRIDES[annotator_of(wildcards).task],
        contents=contents_of_annotator,
        code=lambda wildcards: fingerprint("annotate_images", annotator_of(wildcards).code),
    message:
        "Annotating images {wildcards.block} of {wildcards.pool} with {wildcards.annotator}"
    script:
        "../scripts/annotate_images.py"


rule average_annotations:
    """Average the maps of the annotators that {wildcards.annotator} is the mean of."""
    input:
        lambda wildcards: expand(
            rules.annotate_images.output, annotator=annotator_of(wildcards).mean_of, allow_missing=True
        ),
    output:
        "<results>/annotations/{pool}/{generator}/{annotator}/block-{block}.h5",
    log:
        "<logs>/average_annotations/{pool}/{generator}/{annotator}/{block}.log",
    wildcard_constraints:
        annotator=AVERAGES,
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=20,
    params:
        code=fingerprint("average_annotations"),
    message:
        "Averaging the annotations of images {wildcards.block} of {wildcards.pool}"
    script:
        "../scripts/average_annotations.py"


rule evaluate_annotator:
    """Predict the test split of {wildcards.dataset} with {wildcards.annotator}, for tables: nothing is chosen by it."""
    input:
        unpack(weights_of_members),
        **rules.prepare_dataset.output,
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
        mem_mb=growing(memory_of_annotator),
        runtime=60,
    params:
        members=lambda wildcards: [settings_of_annotator(name) for name in members_of(wildcards)],
        contents=contents_of_members,
        code=code_of_members,
    message:
        "Evaluating {wildcards.annotator} on {wildcards.dataset}"
    script:
        "../scripts/evaluate_annotator.py"
