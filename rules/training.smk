"""
Train the lightweight networks, choose the learning rate, evaluate (paper, section III, fifth stage).

    takes   datasets/{dataset}/index.csv, fake/{experiment}.csv
            a backbone's weights from ImageNet, for networks that name one
    gives   runs/{experiment}/lr-{lr}/repeat-{repeat}/checkpoint.safetensors   weights of the best epoch by validation
            runs/{experiment}/lr-{lr}/repeat-{repeat}/history.csv              loss and validation error by epoch
            runs/{experiment}/selection.json                                   the learning rate, by validation error
            runs/{experiment}/predictions.csv                                  what each test image's errors follow from
"""


def modules_of_training(
    task,
):
    """Return the modules that training loads by the name of its task."""
    return tasks.module_of(task), objective.module_of(task)


def data_of_experiment(
    wildcards,
):
    """Return the dataset that an experiment trains on, its D_fake, and the weights that its network starts from."""
    return data_to_train(wildcards.experiment)


def data_to_train(
    name,
):
    """Return the same of an experiment by its name."""
    experiment = plan.experiments[name]
    fake = expand(rules.mix_dataset.output.fake, experiment=name) if experiment.fake else []
    return prepared(experiment.dataset) | {"fake": fake, "backbone": supplied(experiment.network.backbone)}


def settings_of_run(
    wildcards,
):
    """Return the arguments of `promptmix.training.settings.TrainingSettings` for a run."""
    found = experiment_of(wildcards).run_settings(wildcards.lr, int(wildcards.repeat), config["seed"])
    return in_order(found)


def takes_what_is_left(
    wildcards,
):
    """Return whether only the filters tell how many generated images an experiment has."""
    fake = plan.experiments[wildcards.get("single", wildcards.experiment)].fake
    return bool(fake and fake.is_open)


def runs_of(
    pattern,
    *experiments,
):
    """Return an output of all runs of experiments: of each learning rate and repeat."""
    found = (plan.experiments[name] for name in experiments)
    return [
        path for e in found for path in expand(pattern, experiment=e.name, lr=e.learning_rates, repeat=range(e.repeats))
    ]


def networks_to_evaluate(
    wildcards,
):
    """Return the dataset that an experiment is tested on, its selection, and the checkpoints of all its runs."""
    selection = expand(rules.select_learning_rate.output, **wildcards)
    checkpoints = runs_of(rules.train_network.output.checkpoint, wildcards.experiment)
    return prepared(experiment_of(wildcards).dataset) | {"selection": selection, "checkpoints": checkpoints}


def memory_of_evaluation(
    wildcards,
):
    """Return the MB of a job that tests an experiment's networks."""
    network, dataset = experiment_of(wildcards).network, experiment_of(wildcards).dataset
    return ASKING.memory_of_predicting(network.reference, network.settings, dataset=dataset)


def network_of_experiment(
    wildcards,
):
    """Return what `promptmix.networks.build` takes: the network's reference, and its settings."""
    network = experiment_of(wildcards).network
    return {"reference": network.reference, "settings": in_order(dict(network.settings))}


rule train_network:
    """Train on the real images and, each epoch, r_mix of the generated ones; keep the best epoch by validation."""
    input:
        unpack(data_of_experiment),
    output:
        checkpoint="<results>/runs/{experiment}/lr-{lr}/repeat-{repeat}/checkpoint.safetensors",
        history="<results>/runs/{experiment}/lr-{lr}/repeat-{repeat}/history.csv",
    log:
        "<logs>/train_network/{experiment}/lr-{lr}/repeat-{repeat}.log",
    benchmark:
        "<benchmarks>/train_network/{experiment}/lr-{lr}/repeat-{repeat}.tsv"
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(lambda wildcards: ASKING.memory_of_training(experiment_of(wildcards))),
        runtime=lambda wildcards: ASKING.minutes_of_training(experiment_of(wildcards)),
        scratch_mb=0,  # of disk, in `tmpdir`, for decoded images that do not fit into memory
    params:
        settings=settings_of_run,
        backbone=lambda wildcards: experiment_of(wildcards).network.backbone,
        takes_what_is_left=takes_what_is_left,
        contents=lambda wildcards: contents_of(experiment_of(wildcards).network.backbone),
        code=lambda wildcards: fingerprint(
            "train_network", experiment_of(wildcards).network.code, *modules_of_training(experiment_of(wildcards).task)
        ),
    message:
        "Training {wildcards.experiment}, learning rate {wildcards.lr}, repeat {wildcards.repeat}"
    script:
        "../scripts/train_network.py"


rule select_learning_rate:
    """Choose the learning rate with the lowest validation error, averaged over repeats; the test split is not read."""
    input:
        lambda wildcards: runs_of(rules.train_network.output.history, wildcards.experiment),
    output:
        "<results>/runs/{experiment}/selection.json",
    log:
        "<logs>/select_learning_rate/{experiment}.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        code=fingerprint("select_learning_rate"),
    message:
        "Selecting the learning rate of {wildcards.experiment}"
    script:
        "../scripts/select_learning_rate.py"


rule evaluate_network:
    """Predict each test image with the chosen learning rate's networks, one per repeat."""
    input:
        unpack(networks_to_evaluate),
    output:
        "<results>/runs/{experiment}/predictions.csv",
    log:
        "<logs>/evaluate_network/{experiment}.log",
    benchmark:
        "<benchmarks>/evaluate_network/{experiment}.tsv"
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(memory_of_evaluation),
        runtime=60,
    params:
        network=network_of_experiment,
        code=lambda wildcards: fingerprint(
            "evaluate_network",
            experiment_of(wildcards).network.code,
            tasks.module_of(experiment_of(wildcards).task),
        ),
    message:
        "Evaluating {wildcards.experiment}"
    script:
        "../scripts/evaluate_network.py"
