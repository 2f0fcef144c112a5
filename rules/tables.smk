"""
Tables: ours, and the paper's numbers beside them where there are any.

    takes   runs/{experiment}/predictions.csv, runs/{experiment}/selection.json, fake/{experiment}.csv
            annotators/{annotator}/{dataset}.csv
            captions/{pool}/{generator}/{captioner}/block-{block}.csv
    gives   cost/{network}-{size}.json            parameters and operations of a published network
            tables/{table}.md, .csv, .tex         in results/{scale}/, and in tables/ those of the scale asked for last
"""


def tables_of(
    kind,
):
    """Return the tables of a kind, by name."""
    return {name: table for name, table in TARGETS.items() if isinstance(table, kind)}


def results_of_table(
    wildcards,
):
    """Return the predictions, selections and D_fakes of a table's experiments."""
    names = TARGETS[wildcards.table].experiments
    return {
        "predictions": expand(rules.evaluate_network.output, experiment=names),
        "selections": expand(rules.select_learning_rate.output, experiment=names),
        "fakes": expand(rules.mix_dataset.output, experiment=[n for n in names if plan.experiments[n].fake]),
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
        "costs": [name_of_cost(row.network, table.size) for row in table.rows],
        "predictions": [
            *expand(rules.evaluate_network.output, experiment=experiments),
            *(expand(rules.evaluate_annotator.output, annotator=a, dataset=d)[0] for a, d in tests),
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
        tests |= {
            d: expand(rules.evaluate_annotator.output, annotator=a, dataset=d)[0] for d, a in row.annotators.items()
        }
        facts = {
            "network": row.network,
            "method": row.method,
            "settings": in_order(dict(row.settings)),
            "paper": row.paper,
        }
        cost = name_of_cost(row.network, table.size)
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
            for path in expand(pattern, pool=pool, block=blocks_of(prompts), **chosen)
        ]
        for name, pattern in patterns.items()
    }


rule write_table:
    """Table {wildcards.table}: the errors of experiments, and how they differ from a baseline's."""
    input:
        unpack(results_of_table),
    output:
        markdown="<results>/tables/{table}.md",
        csv="<results>/tables/{table}.csv",
        tex="<results>/tables/{table}.tex",
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
        convention=convention_of_table,
        scale=config["scale"],
        code=fingerprint("write_table"),
    message:
        "Writing {wildcards.table}"
    script:
        "../scripts/write_table.py"


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
    log:
        "<logs>/write_cost_table/{table}.log",
    wildcard_constraints:
        table=one_of(tables_of(targets.CostTable)),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        rows=rows_of_costs,
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
    log:
        "<logs>/write_roundtrip/{table}.log",
    wildcard_constraints:
        table=one_of(tables_of(targets.RoundTrip)),
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        pools=lambda wildcards: list(TARGETS[wildcards.table].pools),
        words=setting("prompts"),
        seed=config["seed"],
        scale=config["scale"],
        code=fingerprint("write_roundtrip"),
    message:
        "Comparing captions of generated images with their prompts"
    script:
        "../scripts/write_roundtrip.py"


rule show_table:
    """Show {wildcards.table} in tables/, for whatever scale was asked for last."""
    input:
        multiext("<results>/tables/{table}", ".md", ".csv", ".tex"),
    output:
        multiext("tables/{table}", ".md", ".csv", ".tex"),
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
        "cp {input} tables/ 2> {log}"
