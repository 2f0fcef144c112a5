"""
Tables: ours, and the paper's numbers beside them where there are any.

    takes   runs/{experiment}/predictions.csv, runs/{experiment}/selection.json, fake/{experiment}.csv and .json
            annotators/{annotator}/{dataset}.csv
            captions/{pool}/{generator}/{captioner}/block-{block}.csv
    gives   cost/{network}-{size}.json            parameters and operations of a published network
            tables/{table}.md, .csv, .tex         in results/{scale}/, and in tables/ those of the scale asked for last
            tables/{table}.html                   for the report, as the two below; in results/{scale}/ only
            tables/{table}/{dataset}-curves.png     loss and validation error by epoch, of a table of errors
            tables/{table}/{dataset}-generated.png  training images above those of each D_fake
"""


def tables_of(
    kind,
):
    """Return the tables of a kind, by name."""
    return {name: table for name, table in TARGETS.items() if isinstance(table, kind)}


def tests_of_annotators(
    pairs,
):
    """Return the predictions of annotators for the test images of datasets: of each pair, (annotator, dataset)."""
    return [expand(rules.evaluate_annotator.output, annotator=a, dataset=d)[0] for a, d in pairs]


def datasets_of(
    table,
):
    """Return the datasets of a table of errors, in its order."""
    return list(dict.fromkeys(plan.experiments[name].dataset for name in table.experiments))


def title_of_dataset(
    wildcards,
):
    """Return what tables call a dataset."""
    return plan.title_of(wildcards.dataset)


def subcategory_of_table(
    wildcards,
):
    """Return where the report shows a table: with its dataset if it has one, or above its datasets."""
    table = TARGETS[wildcards.table]
    of_table = datasets_of(table) if isinstance(table, targets.ErrorTable) else []
    return plan.title_of(of_table[0]) if len(of_table) == 1 else "All datasets"


def results_of_table(
    wildcards,
):
    """Return the predictions, selections and D_fakes of a table's experiments."""
    names = TARGETS[wildcards.table].experiments
    mixed = [name for name in names if plan.experiments[name].fake]
    return {
        "predictions": expand(rules.evaluate_network.output, experiment=names),
        "selections": expand(rules.select_learning_rate.output, experiment=names),
        "fakes": expand(rules.mix_dataset.output.fake, experiment=mixed),
        "compared": expand(rules.mix_dataset.output.compared, experiment=mixed),
        "annotators": tests_of_annotators(TARGETS[wildcards.table].annotators),
        "halved": [path for name in names if name in HALVING for path in last_rung(name)],
    }


def rows_of_table(
    wildcards,
):
    """Return what a table says of each row: experiment, labels, what it is compared with, and the paper's numbers."""
    rows = []
    for row in TARGETS[wildcards.table].rows:
        experiment = plan.experiments[row.experiment]
        facts = {"task": experiment.task, "repeated": experiment.repeated}
        if experiment.fake:
            facts |= {"k": experiment.fake.k}
        rows.append(vars(row) | facts)
    return rows


def convention_of_table(
    wildcards,
):
    """Return the way to score depth, for tables of depth only: others do not change with it."""
    return "{crop}-{average}".format(**config["evaluation"]) if TARGETS[wildcards.table].task == "depth" else None


def name_of_cost(
    network,
    size,
):
    """Return the file of a network's cost for an image of a size."""
    return expand(rules.count_cost.output, network=network, width=size[0], height=size[1])[0]


def results_of_costs(
    wildcards,
):
    """Return the costs of a table's networks, and the predictions of their experiments and annotators."""
    table = TARGETS[wildcards.table]
    experiments = [name for row in table.rows for name in row.experiments.values()]
    tests = [(annotator, dataset) for row in table.rows for dataset, annotator in row.annotators.items()]
    return {
        "costs": [name_of_cost(row.network, table.size) for row in table.rows if row.network],
        "predictions": [
            *expand(rules.evaluate_network.output, experiment=experiments),
            *tests_of_annotators(tests),
        ],
    }


def rows_of_costs(
    wildcards,
):
    """Return what a table of costs says of each row, with the predictions by the title of the dataset."""
    table = TARGETS[wildcards.table]
    rows = []
    for row in table.rows:
        tests = {d: expand(rules.evaluate_network.output, experiment=e)[0] for d, e in row.experiments.items()}
        tests |= dict(zip(row.annotators, tests_of_annotators((a, d) for d, a in row.annotators.items())))
        facts = {
            "network": row.network or row.title,
            "title": row.title,
            "method": row.method,
            "settings": in_order(dict(row.settings)),
            "paper": row.paper,
            "ours": row.ours,
        }
        cost = name_of_cost(row.network, table.size) if row.network else None
        rows.append(facts | {"cost": cost, "tests": {plan.title_of(d): path for d, path in tests.items()}})
    return rows


def images_of_roundtrip(
    wildcards,
):
    """Return the blocks that hold the first image of each prompt, and the captions of these images."""
    table = TARGETS[wildcards.table]
    patterns = {
        "manifests": "<results>/images/{pool}/{generator}/block-{block}.csv",
        "captions": rules.caption_generated.output[0],
    }
    chosen = {"generator": table.generator, "captioner": table.captioner}
    return {
        name: [
            path
            for pool, prompts in table.pools.items()
            for path in expand(pattern, pool=pool, block=blocks_of(pool, table.generator, prompts), **chosen)
        ]
        for name, pattern in patterns.items()
    }


def experiments_shown(
    wildcards,
):
    """Return the experiments of a table that are of a dataset, with what sets each apart in the table."""
    found = {}
    for row in TARGETS[wildcards.table].rows:
        if plan.experiments[row.experiment].dataset == wildcards.dataset:
            words = [text for column, text in row.labels.items() if column != "Dataset" and text != NONE]
            found[row.experiment] = ", ".join(words) or row.experiment
    return found


def curves_shown(
    wildcards,
):
    """Return what curves say of a table's experiments on a dataset: see scripts/draw_curves.py."""
    found = {}
    for name, title in experiments_shown(wildcards).items():
        experiment = plan.experiments[name]
        found[name] = {"title": title, "network": experiment.network.title, "method": experiment.method}
    return found


def fakes_shown(
    wildcards,
):
    """Return the D_fakes of a table's experiments on a dataset; one of several that differ in numbers of images only."""
    found = {}
    for name, title in experiments_shown(wildcards).items():
        fake = plan.experiments[name].fake
        if fake:
            alike = str(replace(fake, k=0, r_mix=0))
            by = "truth" if fake.rendered == "truth" else fake.annotator
            found.setdefault(alike, {"experiment": name, "title": title, "annotator": by})
    return list(found.values())


def runs_shown(
    wildcards,
):
    """Return the selections, and the histories of all runs, of a table's experiments on a dataset."""
    names = list(experiments_shown(wildcards))
    return {
        "selections": expand(rules.select_learning_rate.output, experiment=names),
        "histories": runs_of(rules.train_network.output.history, *names),
    }


def generated_shown(
    wildcards,
):
    """Return the prepared dataset, and the D_fakes to show beside it."""
    names = [fake["experiment"] for fake in fakes_shown(wildcards)]
    return prepared(wildcards.dataset) | {"fakes": expand(rules.mix_dataset.output.fake, experiment=names)}


def for_report_of_table(
    wildcards,
):
    """Return what the report shows of a table: its page and, of a table of errors, its datasets' pictures."""
    table = TARGETS[wildcards.table]
    found = expand("<results>/tables/{table}.html", **wildcards)
    if not isinstance(table, targets.ErrorTable):
        return found
    for dataset in datasets_of(table):
        found += expand(rules.draw_curves.output, table=wildcards.table, dataset=dataset)
        if any(plan.experiments[name].fake for name in table.experiments if plan.experiments[name].dataset == dataset):
            found += expand(rules.show_generated.output, table=wildcards.table, dataset=dataset)
    return found


rule write_table:
    """Table {wildcards.table}: the errors of experiments, and how they differ from a baseline's."""
    input:
        unpack(results_of_table),
    output:
        markdown="<results>/tables/{table}.md",
        csv="<results>/tables/{table}.csv",
        tex="<results>/tables/{table}.tex",
        html=report(
            "<results>/tables/{table}.html",
            caption="../report/errors.rst",
            category="{table}",
            subcategory=subcategory_of_table,
            labels={"shows": "table"},
        ),
    log:
        "<logs>/write_table/{table}.log",
    wildcard_constraints:
        table=one_of(tables_of(targets.ErrorTable)),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        rows=rows_of_table,
        measured=lambda wildcards: list(TARGETS[wildcards.table].measured),
        claims=lambda wildcards: [vars(claim) for claim in TARGETS[wildcards.table].claims],
        notes=lambda wildcards: list(TARGETS[wildcards.table].notes),
        annotators=lambda wildcards: [[a, plan.title_of(d)] for a, d in TARGETS[wildcards.table].annotators],
        convention=convention_of_table,
        scale=config["scale"],
        code=fingerprint("write_table"),
    message:
        "Writing {wildcards.table}"
    script:
        "../scripts/write_table.py"


rule draw_curves:
    """Training curves of {wildcards.table}'s experiments on {wildcards.dataset}."""
    input:
        unpack(runs_shown),
    output:
        report(
            "<results>/tables/{table}/{dataset}-curves.png",
            caption="../report/curves.rst",
            category="{table}",
            subcategory=title_of_dataset,
            labels={"shows": "training curves"},
        ),
    log:
        "<logs>/draw_curves/{table}/{dataset}.log",
    wildcard_constraints:
        table=one_of(tables_of(targets.ErrorTable)),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        runs=curves_shown,
        task=lambda wildcards: TARGETS[wildcards.table].task,
        code=fingerprint("draw_curves"),
    message:
        "Drawing the training curves of {wildcards.table} on {wildcards.dataset}"
    script:
        "../scripts/draw_curves.py"


rule show_generated:
    """Training images of {wildcards.dataset} above generated images that {wildcards.table}'s experiments train on."""
    input:
        unpack(generated_shown),
    output:
        report(
            "<results>/tables/{table}/{dataset}-generated.png",
            caption="../report/generated.rst",
            category="{table}",
            subcategory=title_of_dataset,
            labels={"shows": "generated images"},
        ),
    log:
        "<logs>/show_generated/{table}/{dataset}.log",
    wildcard_constraints:
        table=one_of(tables_of(targets.ErrorTable)),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        fakes=fakes_shown,
        columns=5,
        code=fingerprint("show_generated"),
    message:
        "Showing generated images of {wildcards.table} for {wildcards.dataset}"
    script:
        "../scripts/show_generated.py"


rule count_cost:
    """Count the parameters and multiply-accumulate operations of {wildcards.network} at its published size."""
    output:
        "<results>/cost/{network}-{width}x{height}.json",
    log:
        "<logs>/count_cost/{network}-{width}x{height}.log",
    wildcard_constraints:
        width=r"\d+",
        height=r"\d+",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=10,
    params:
        network=lambda wildcards: vars(plan.published(wildcards.network)),
        code=lambda wildcards: fingerprint("count_cost", plan.published(wildcards.network).code),
    message:
        "Counting the operations of {wildcards.network}"
    script:
        "../scripts/count_cost.py"


rule write_cost_table:
    """Table {wildcards.table}: cost of the published networks, beside the errors of runs."""
    input:
        unpack(results_of_costs),
    output:
        markdown="<results>/tables/{table}.md",
        csv="<results>/tables/{table}.csv",
        tex="<results>/tables/{table}.tex",
        html=report(
            "<results>/tables/{table}.html",
            caption="../report/costs.rst",
            category="{table}",
            subcategory=subcategory_of_table,
            labels={"shows": "table"},
        ),
    log:
        "<logs>/write_cost_table/{table}.log",
    wildcard_constraints:
        table=one_of(tables_of(targets.CostTable)),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        rows=rows_of_costs,
        claims=lambda wildcards: list(TARGETS[wildcards.table].claims),
        task=lambda wildcards: TARGETS[wildcards.table].task,
        convention=convention_of_table,
        scale=config["scale"],
        code=fingerprint("write_cost_table"),
    message:
        "Writing {wildcards.table}"
    script:
        "../scripts/write_cost_table.py"


rule write_roundtrip:
    """Table {wildcards.table}: the edit-distance check of section III, from prompt to image to caption."""
    input:
        unpack(images_of_roundtrip),
    output:
        markdown="<results>/tables/{table}.md",
        csv="<results>/tables/{table}.csv",
        tex="<results>/tables/{table}.tex",
        html=report(
            "<results>/tables/{table}.html",
            caption="../report/roundtrip.rst",
            category="{table}",
            subcategory=subcategory_of_table,
            labels={"shows": "table"},
        ),
    log:
        "<logs>/write_roundtrip/{table}.log",
    wildcard_constraints:
        table=one_of(tables_of(targets.RoundTrip)),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        pools=lambda wildcards: list(TARGETS[wildcards.table].pools),
        seed=config["seed"],
        paper=lambda wildcards: TARGETS[wildcards.table].paper,
        scale=config["scale"],
        code=fingerprint("write_roundtrip"),
    message:
        "Comparing captions of generated images with their prompts"
    script:
        "../scripts/write_roundtrip.py"


rule show_table:
    """Show {wildcards.table} in tables/, for whatever scale was asked for last."""
    input:
        files=multiext("<results>/tables/{table}", ".md", ".csv", ".tex"),
        for_report=for_report_of_table,
    output:
        multiext("tables/{table}", markdown=".md", csv=".csv", tex=".tex"),
    log:
        "<logs>/show_table/{table}.log",
    wildcard_constraints:
        table=one_of(config["tables"]),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    message:
        "Copying {wildcards.table} into tables/"
    shell:
        "cp {input.files} $(dirname {output.markdown}) 2> {log}"
