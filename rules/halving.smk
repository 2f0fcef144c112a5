"""
Tell good prompts from bad ones by trainings that end as soon as they tell (in place of the full ones of filtering.smk).

    takes   fake/{single}.csv                                  D_fake of one prompt
            runs/{experiment}/.../history.csv                  of the baseline
    gives   halving/{experiment}/{single}/rung-{rung}.csv      histories of the trainings with one prompt so far
            halving/{experiment}/rung-{rung}.csv               prompts that are decided, and those that go on
            filters/{experiment}.csv                           each prompt's validation error, kept or not
"""

HALVING = {name: each for name, each in plan.experiments.items() if each.fake and each.fake.halving}


def rung_of(
    wildcards,
):
    """Return until which epoch a rung goes, and whether it is the last one."""
    rungs = HALVING[wildcards.experiment].rungs
    return {"until": rungs[int(wildcards.rung) - 1], "is_last": int(wildcards.rung) == len(rungs)}


def decided_before(
    wildcards,
):
    """Return what was found at the rung before; nothing at the first one."""
    rung = int(wildcards.rung) - 1
    return expand(rules.halve_prompts.output, experiment=wildcards.experiment, rung=rung) if rung else []


def data_of_rung(
    wildcards,
):
    """Return what a training with one prompt takes, and what was found at the rung before."""
    return data_to_train(wildcards.single) | {"decided": decided_before(wildcards)}


def runs_of_rung(
    wildcards,
):
    """Return the settings of each repeat of the training with one prompt, by learning rate."""
    experiment = plan.experiments[wildcards.single]
    return {
        rate: [in_order(experiment.run_settings(rate, repeat, config["seed"])) for repeat in range(experiment.repeats)]
        for rate in experiment.learning_rates
    }


def minutes_of_rung(
    wildcards,
):
    """Return the minutes of all trainings with one prompt up to a rung, as if none had gone on from the one before."""
    experiment = plan.experiments[wildcards.single]
    runs = len(experiment.learning_rates) * experiment.repeats
    return ASKING.minutes_of_training(experiment, runs * rung_of(wildcards)["until"])


def prompt_of_rung(
    wildcards,
):
    """Return the pool and number of the prompt that a training is with."""
    return list(plan.experiments[wildcards.single].fake.prompt)


def histories_to_halve(
    wildcards,
):
    """Return the histories of the baseline and of the trainings with each prompt, the prompts, and the rung before."""
    experiment = experiment_of(wildcards)
    return {
        "baseline": runs_of(rules.train_network.output.history, experiment.baseline),
        "histories": expand(rules.train_rung.output, single=experiment.single_prompts.values(), **wildcards),
        "prompts": expand(rules.write_prompts.output, pool=experiment.fake.pools),
        "before": decided_before(wildcards),
    }


def last_rung(
    experiment,
):
    """Return what was found at the last rung of an experiment."""
    return expand(rules.halve_prompts.output, experiment=experiment, rung=len(HALVING[experiment].rungs))


rule train_rung:
    """Train with the images of one prompt up to a rung of halving; nothing is done for a prompt that is decided."""
    input:
        unpack(data_of_rung),
    output:
        "<results>/halving/{experiment}/{single}/rung-{rung}.csv",
    log:
        "<logs>/train_rung/{experiment}/{single}/rung-{rung}.log",
    benchmark:
        "<benchmarks>/train_rung/{experiment}/{single}/rung-{rung}.tsv"
    wildcard_constraints:
        experiment=one_of(HALVING),
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(lambda wildcards: ASKING.memory_of_training(plan.experiments[wildcards.single])),
        runtime=minutes_of_rung,
    params:
        runs=runs_of_rung,
        until=lambda wildcards: rung_of(wildcards)["until"],
        is_last=lambda wildcards: rung_of(wildcards)["is_last"],
        prompt=prompt_of_rung,
        backbone=lambda wildcards: experiment_of(wildcards).network.backbone,
        takes_what_is_left=takes_what_is_left,
        contents=lambda wildcards: contents_of(experiment_of(wildcards).network.backbone),
        code=lambda wildcards: fingerprint(
            "train_rung", experiment_of(wildcards).network.code, *modules_of_training(experiment_of(wildcards).task)
        ),
    message:
        "Training {wildcards.single}, rung {wildcards.rung}"
    script:
        "../scripts/train_rung.py"


rule halve_prompts:
    """Decide about half of the prompts that are left, those that are the furthest from the baseline."""
    input:
        unpack(histories_to_halve),
    output:
        "<results>/halving/{experiment}/rung-{rung}.csv",
    log:
        "<logs>/halve_prompts/{experiment}/rung-{rung}.log",
    wildcard_constraints:
        experiment=one_of(HALVING),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        single_prompts=single_prompts,
        dropped=dropped_prompts,
        settings=lambda wildcards: rung_of(wildcards) | {"epochs": experiment_of(wildcards).training["epochs"]},
        code=fingerprint("halve_prompts"),
    message:
        "Halving the prompts of {wildcards.experiment}, rung {wildcards.rung}"
    script:
        "../scripts/halve_prompts.py"


rule conclude_halving:
    """Keep the prompts that halving has found to do no harm."""
    input:
        lambda wildcards: last_rung(wildcards.experiment),
    output:
        "<results>/filters/{experiment}.csv",
    log:
        "<logs>/conclude_halving/{experiment}.log",
    wildcard_constraints:
        experiment=one_of(HALVING),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        code=fingerprint("conclude_halving"),
    message:
        "Filtering the prompts of {wildcards.experiment}"
    script:
        "../scripts/conclude_halving.py"
