"""
Figures of predictions, of changes and errors, of prompts that differ in colour, and of generated images.

    takes   tables/{table}.csv, runs/{experiment}/predictions.csv
            datasets/{dataset}/index.csv, images/.../block-{block}.csv, annotations/.../block-{block}.h5
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
    """Return the dataset of the experiment that a figure shows, and the first blocks of its generated images."""
    figure = TARGETS[wildcards.figure]
    experiment = plan.experiments[figure.experiment]
    chosen = {"generator": experiment.fake.generator, "annotator": experiment.fake.annotator}
    chosen |= {"pool": figure.pool, "block": blocks_of(figure.pool, chosen["generator"], figure.columns)}
    images = {
        "manifests": expand("<results>/images/{pool}/{generator}/block-{block}.csv", **chosen),
        "annotations": expand("<results>/annotations/{pool}/{generator}/{annotator}/block-{block}.h5", **chosen),
    }
    return prepared(experiment.dataset) | images


def images_of_colours(
    wildcards,
):
    """Return the first blocks of each prompt's images."""
    figure = TARGETS[wildcards.figure]
    return [
        path
        for pool in figure.pools
        for path in expand(
            "<results>/images/{pool}/{generator}/block-{block}.csv",
            pool=pool,
            generator=figure.generator,
            block=blocks_of(pool, figure.generator, figure.columns),
        )
    ]


def results_of_predictions(
    wildcards,
):
    """Return the datasets, selections and checkpoints of a figure's experiments."""
    names = TARGETS[wildcards.figure].experiments
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
    for title, names in TARGETS[wildcards.figure].rows:
        experiments = {method: plan.experiments[name] for method, name in names.items()}
        first = next(iter(experiments.values()))
        row = {"title": title, "dataset": plan.title_of(first.dataset), "index": prepared(first.dataset)["index"]}
        row |= {key: first.training[key] for key in ("sigma", "kernel")}
        row["networks"] = {
            method: {
                "experiment": experiment.name,
                "reference": experiment.network.reference,
                "settings": in_order(dict(experiment.network.settings)),
            }
            for method, experiment in experiments.items()
        }
        rows.append(row)
    return rows


def convention_of_changes(
    wildcards,
):
    """Return the way to score depth, for figures with a table of depth: others do not change with it."""
    tasks = {table.task for table in TARGETS[wildcards.figure].tables.values()}
    return "{crop}-{average}".format(**config["evaluation"]) if "depth" in tasks else None


def code_of_predictions(
    wildcards,
):
    """Return a fingerprint of the script and of the networks that a figure compares."""
    found = (plan.experiments[name] for name in TARGETS[wildcards.figure].experiments)
    return fingerprint("draw_predictions", *sorted({experiment.network.code for experiment in found}))


rule show_examples:
    """Figure {wildcards.figure}: training images, and generated images below."""
    input:
        unpack(images_of_examples),
    output:
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/examples.rst",
            category="figures",
            labels={"figure": "{figure}"},
        ),
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
    """Figure {wildcards.figure}: images of prompts that differ in colour, from the same seeds."""
    input:
        images_of_colours,
    output:
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/colours.rst",
            category="figures",
            labels={"figure": "{figure}"},
        ),
        csv="<results>/figures/{figure}.csv",
    log:
        "<logs>/draw_colours/{figure}.log",
    wildcard_constraints:
        figure=figures_of(targets.ColoursFigure),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        columns=lambda wildcards: TARGETS[wildcards.figure].columns,
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
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/predictions.rst",
            category="figures",
            labels={"figure": "{figure}"},
        ),
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


rule draw_changes:
    """Figure {wildcards.figure}: the changes in tables of errors, with intervals, beside the paper's."""
    input:
        tables=lambda wildcards: expand("<results>/tables/{table}.csv", table=TARGETS[wildcards.figure].tables),
    output:
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/changes.rst",
            category="figures",
            labels={"figure": "{figure}"},
        ),
        csv="<results>/figures/{figure}.csv",
    log:
        "<logs>/draw_changes/{figure}.log",
    wildcard_constraints:
        figure=figures_of(targets.ChangesFigure),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        columns=lambda wildcards: {
            name: list(table.rows[0].labels) for name, table in TARGETS[wildcards.figure].tables.items()
        },
        convention=convention_of_changes,
        code=fingerprint("draw_changes"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_changes.py"


rule draw_sizes:
    """Figure {wildcards.figure}: the error by the number of people in the image, without and with PromptMix."""
    input:
        predictions=lambda wildcards: expand(
            rules.evaluate_network.output, experiment=TARGETS[wildcards.figure].experiments
        ),
    output:
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/sizes.rst",
            category="figures",
            labels={"figure": "{figure}"},
        ),
        csv="<results>/figures/{figure}.csv",
    log:
        "<logs>/draw_sizes/{figure}.log",
    wildcard_constraints:
        figure=figures_of(targets.SizesFigure),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        rows=lambda wildcards: TARGETS[wildcards.figure].rows,
        code=fingerprint("draw_sizes"),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/draw_sizes.py"


rule show_figure:
    """Show {wildcards.figure} in figures/, for whatever scale was asked for last."""
    input:
        multiext("<results>/figures/{figure}", ".png", ".csv"),
    output:
        multiext("figures/{figure}", png=".png", csv=".csv"),
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
        "cp {input} $(dirname {output.png}) 2> {log}"
