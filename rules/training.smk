"""
Train the lightweight networks, choose the learning rate, evaluate (paper, section III, fourth stage, and IV).

    takes   datasets/{dataset}/index.csv, fake/{experiment}.csv
            a backbone's weights from ImageNet, for networks that name one
    gives   runs/{experiment}/lr-{lr}/repeat-{repeat}/checkpoint.safetensors   weights of the best epoch by validation
            runs/{experiment}/lr-{lr}/repeat-{repeat}/history.csv              loss and validation error by epoch
            runs/{experiment}/selection.json                                   the learning rate, by validation error
            runs/{experiment}/predictions.csv                                  what each test image's errors follow from
"""


rule train_network:
    """Train on the real images and, each epoch, r_mix of the generated ones; keep the best epoch by validation."""
    input:
        index=index_of_experiment,
        fake=fake_of_experiment,
        backbone=lambda wildcards: there_or_made(plan.backbone_of(wildcards.experiment)),
    output:
        checkpoint="<results>/runs/{experiment}/lr-{lr}/repeat-{repeat}/checkpoint.safetensors",
        history="<results>/runs/{experiment}/lr-{lr}/repeat-{repeat}/history.csv",
    log:
        "<logs>/train_network/{experiment}/lr-{lr}/repeat-{repeat}.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(16000),
        runtime=2880,
    params:
        settings=lambda wildcards: as_text(
            plan.settings_of_run(wildcards.experiment, wildcards.lr, int(wildcards.repeat))
        ),
        backbone=lambda wildcards: plan.backbone_of(wildcards.experiment),
        filtered=lambda wildcards: "prompt_filter" in plan.experiments[wildcards.experiment].get("fake", {}),
        contents=lambda wildcards: contents_of(plan.backbone_of(wildcards.experiment)),
        code=lambda wildcards: fingerprint("train_network", plan.code_of(wildcards.experiment)),
    message:
        "Training {wildcards.experiment}, learning rate {wildcards.lr}, repeat {wildcards.repeat}"
    script:
        "../scripts/train_network.py"


rule select_learning_rate:
    """Choose the learning rate with the lowest validation error, averaged over repeats; the test split is not read."""
    input:
        lambda wildcards: histories_of(wildcards.experiment),
    output:
        "<results>/runs/{experiment}/selection.json",
    log:
        "<logs>/select_learning_rate/{experiment}.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        learning_rates=lambda wildcards: plan.training_of(wildcards.experiment)["learning_rates"],
        repeats=lambda wildcards: plan.training_of(wildcards.experiment)["repeats"],
        code=fingerprint("select_learning_rate"),
    message:
        "Selecting the learning rate of {wildcards.experiment}"
    script:
        "../scripts/select_learning_rate.py"


rule evaluate_network:
    """Predict each test image with the chosen learning rate's networks, one per repeat."""
    input:
        index=index_of_experiment,
        selection=rules.select_learning_rate.output,
        checkpoints=lambda wildcards: checkpoints_of(wildcards.experiment),
    output:
        "<results>/runs/{experiment}/predictions.csv",
    log:
        "<logs>/evaluate_network/{experiment}.log",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=60,
    params:
        learning_rates=lambda wildcards: plan.training_of(wildcards.experiment)["learning_rates"],
        repeats=lambda wildcards: plan.training_of(wildcards.experiment)["repeats"],
        network=lambda wildcards: plan.network_of(wildcards.experiment),
        settings=lambda wildcards: as_text(plan.network_settings_of(wildcards.experiment)),
        code=lambda wildcards: fingerprint("evaluate_network", plan.code_of(wildcards.experiment)),
    message:
        "Evaluating {wildcards.experiment}"
    script:
        "../scripts/evaluate_network.py"
