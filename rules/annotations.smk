"""
Annotate generated images with heavyweight networks (paper, section III, third stage).

    takes   images/{pool}/{generator}/block-{block}.csv        manifest of generated images
            a heavyweight network: shipped, published, or fine-tuned here; or a function of the user's own
    gives   annotators/{annotator}.safetensors                 a fine-tuned network
            annotators/{annotator}/{dataset}.csv               its predictions of a dataset's test split
            annotations/{pool}/{generator}/{annotator}/block-{block}.h5
"""


rule fine_tune_annotator:
    """Train {wildcards.annotator} further on a dataset's training split."""
    input:
        index=lambda wildcards: expand(
            rules.prepare_dataset.output.index,
            dataset=config["annotators"][wildcards.annotator]["fine_tune"]["dataset"],
        ),
        weights=lambda wildcards: annotator_weights(config["annotators"][wildcards.annotator]["fine_tune"]["annotator"]),
    output:
        "<results>/annotators/{annotator}.safetensors",
    log:
        "<logs>/fine_tune_annotator/{annotator}.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(12000),
        runtime=720,
    params:
        settings=lambda wildcards: as_text(plan.fine_tuning_of(wildcards.annotator)),
        contents=lambda wildcards: contents_of(plan.fine_tuning_of(wildcards.annotator)["weights"]),
        code=lambda wildcards: fingerprint("fine_tune_annotator", plan.code_of_annotator(wildcards.annotator)),
    message:
        "Fine-tuning {wildcards.annotator}"
    script:
        "../scripts/fine_tune_annotator.py"


rule annotate_images:
    """Predict {wildcards.annotator}'s density or depth map of each image of a block."""
    input:
        manifest="<results>/images/{pool}/{generator}/block-{block}.csv",
        weights=lambda wildcards: annotator_weights(wildcards.annotator),
    output:
        "<results>/annotations/{pool}/{generator}/{annotator}/block-{block}.h5",
    log:
        "<logs>/annotate_images/{pool}/{generator}/{annotator}/{block}.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=120,
    params:
        annotator=lambda wildcards: as_text(plan.annotator_of(wildcards.annotator)),
        stride=lambda wildcards: STRIDES[plan.annotator_of(wildcards.annotator)["task"]],
        contents=lambda wildcards: contents_of(plan.annotator_of(wildcards.annotator).get("weights")),
        code=lambda wildcards: fingerprint("annotate_images", plan.code_of_annotator(wildcards.annotator)),
    message:
        "Annotating images {wildcards.block}00 to {wildcards.block}99 of {wildcards.pool} with {wildcards.annotator}"
    script:
        "../scripts/annotate_images.py"


rule evaluate_annotator:
    """Predict the test split of {wildcards.dataset} with {wildcards.annotator}, for comparison."""
    input:
        index=rules.prepare_dataset.output.index,
        weights=lambda wildcards: annotator_weights(wildcards.annotator),
    output:
        "<results>/annotators/{annotator}/{dataset}.csv",
    log:
        "<logs>/evaluate_annotator/{annotator}/{dataset}.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=60,
    params:
        annotator=lambda wildcards: as_text(plan.annotator_of(wildcards.annotator)),
        contents=lambda wildcards: contents_of(plan.annotator_of(wildcards.annotator).get("weights")),
        code=lambda wildcards: fingerprint("evaluate_annotator", plan.code_of_annotator(wildcards.annotator)),
    message:
        "Evaluating {wildcards.annotator} on {wildcards.dataset}"
    script:
        "../scripts/evaluate_annotator.py"
