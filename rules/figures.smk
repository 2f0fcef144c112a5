"""
Figures of predictions, of prompts in grey and in colour, and of generated images.

    takes   datasets/{dataset}/index.csv, images/.../block-000.csv, annotations/.../block-000.h5
            runs/{experiment}/selection.json, runs/{experiment}/lr-{lr}/repeat-{repeat}/checkpoint.safetensors
    gives   figures/{figure}.png, .csv            in results/{scale}/, and in figures/ those of the scale asked for last
"""


def figures_of(
    kind,
):
    """Return a regular expression that fits the figures of a kind."""
    return one_of(name for name, figure in TARGETS.items() if isinstance(figure, kind))


def images_of_examples(
    wildcards,
):
    """Return the dataset of the experiment that a figure shows, and the first block of its generated images."""
    figure = TARGETS[wildcards.figure]
    experiment = plan.experiments[figure.experiment]
    chosen = {"generator": experiment.fake.generator, "annotator": experiment.fake.annotator}
    chosen |= {"pool": figure.pool, "block": "000"}
    images = {
        "manifest": expand("<results>/images/{pool}/{generator}/block-{block}.csv", **chosen)[0],
        "annotations": expand(rules.annotate_images.output, **chosen)[0],
    }
    return prepared(experiment.dataset) | images


def images_of_colours(
    wildcards,
):
    """Return the first block of grey and of coloured images."""
    figure = TARGETS[wildcards.figure]
    pattern = "<results>/images/{pool}/{generator}/block-000.csv"
    pools = {"grey": figure.grey, "colour": figure.colour}
    return {name: expand(pattern, pool=pool, generator=figure.generator)[0] for name, pool in pools.items()}


def results_of_predictions(
    wildcards,
):
    """Return the datasets, selections and checkpoints of a figure's experiments."""
    names = [name for pair in TARGETS[wildcards.figure].pairs for name in pair]
    tested = dict.fromkeys(plan.experiments[name].dataset for name in names)
    return {
        "datasets": [path for dataset in tested for path in prepared(dataset).values()],
        "selections": expand(rules.select_learning_rate.output, experiment=names),
        "checkpoints": runs_of(rules.train_network.output.checkpoint, *names),
    }


def comparisons_of_figure(
    wildcards,
):
    """Return what each row of a figure compares: see scripts/draw_predictions.py."""
    rows = []
    for pair in TARGETS[wildcards.figure].pairs:
        baseline, promptmix = (plan.experiments[name] for name in pair)
        row = {"title": plan.title_of(baseline.dataset), "index": prepared(baseline.dataset)["index"]}
        row |= {key: baseline.training[key] for key in ("sigma", "kernel")}
        for method, experiment in (("baseline", baseline), ("promptmix", promptmix)):
            network = {
                "reference": experiment.network.reference,
                "settings": in_order(dict(experiment.network.settings)),
            }
            row[method] = {"experiment": experiment.name} | network
        rows.append(row)
    return rows


def code_of_predictions(
    wildcards,
):
    """Return a fingerprint of the script and of the networks that a figure compares."""
    found = (plan.experiments[name] for pair in TARGETS[wildcards.figure].pairs for name in pair)
    return fingerprint("draw_predictions", *sorted({experiment.network.code for experiment in found}))


rule show_examples:
    """Figure {wildcards.figure}: training images, and generated images below."""
    input:
        unpack(images_of_examples),
    output:
        png="<results>/figures/{figure}.png",
        csv="<results>/figures/{figure}.csv",
    log:
        "<logs>/show_examples/{figure}.log",
    wildcard_constraints:
        figure=figures_of(targets.ExamplesFigure),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        columns=lambda wildcards: TARGETS[wildcards.figure].columns,
        annotator=lambda wildcards: plan.experiments[TARGETS[wildcards.figure].experiment].fake.annotator,
        code=fingerprint("show_examples"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/show_examples.py"


rule draw_colours:
    """Figure {wildcards.figure}: the first image of each grey prompt above that of the same prompt in colour."""
    input:
        unpack(images_of_colours),
    output:
        png="<results>/figures/{figure}.png",
        csv="<results>/figures/{figure}.csv",
    log:
        "<logs>/draw_colours/{figure}.log",
    wildcard_constraints:
        figure=figures_of(targets.ColoursFigure),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        prompts=lambda wildcards: TARGETS[wildcards.figure].columns,
        code=fingerprint("draw_colours"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_colours.py"


rule draw_predictions:
    """Figure {wildcards.figure}: test images, predictions without and with PromptMix, and the ground truth."""
    input:
        unpack(results_of_predictions),
    output:
        png="<results>/figures/{figure}.png",
        csv="<results>/figures/{figure}.csv",
    log:
        "<logs>/draw_predictions/{figure}.log",
    wildcard_constraints:
        figure=figures_of(targets.PredictionsFigure),
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=30,
    params:
        comparisons=comparisons_of_figure,
        code=code_of_predictions,
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_predictions.py"


rule show_figure:
    """Show {wildcards.figure} in figures/, for whatever scale was asked for last."""
    input:
        multiext("<results>/figures/{figure}", ".png", ".csv"),
    output:
        multiext("figures/{figure}", ".png", ".csv"),
    log:
        "<logs>/show_figure/{figure}.log",
    wildcard_constraints:
        figure=one_of(config["figures"]),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    message:
        "Copying {wildcards.figure} into figures/"
    shell:
        "cp {input} figures/ 2> {log}"
