"""
The paper's tables, ours beside theirs.

    takes   runs/{experiment}/predictions.csv, runs/{experiment}/selection.json, fake/{experiment}.csv
            annotators/{annotator}/{dataset}.csv
            captions/{pool}/{generator}/{captioner}/block-{block}.csv
    gives   cost/{network}.json                  parameters and operations of a published network
            tables/table{n}.md, .csv, .tex
            tables/roundtrip.md, .csv
"""

import json


rule write_table:
    """Tables I, II, IV, V, VI and VII: the errors of experiments, and how they differ from a baseline's."""
    input:
        predictions=lambda wildcards: runs_of_table(f"table{wildcards.n}", rules.evaluate_network.output[0]),
        selections=lambda wildcards: runs_of_table(f"table{wildcards.n}", rules.select_learning_rate.output[0]),
        fakes=lambda wildcards: fakes_of_table(f"table{wildcards.n}"),
    output:
        markdown="tables/table{n}.md",
        csv="tables/table{n}.csv",
        tex="tables/table{n}.tex",
    log:
        "<logs>/write_table/{n}.log",
    wildcard_constraints:
        n="[124567]",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        rows=lambda wildcards: json.dumps(plan.rows_of_table(f"table{wildcards.n}")),  # labels in the order of columns
        convention=lambda wildcards: convention_of_table(f"table{wildcards.n}"),
        scale=config["scale"],
        code=fingerprint("write_table"),
    message:
        "Writing Table {wildcards.n}"
    script:
        "../scripts/write_table.py"


rule count_cost:
    """Count the parameters and multiply-accumulate operations of {wildcards.network} at its published size."""
    output:
        "<results>/cost/{network}.json",
    log:
        "<logs>/count_cost/{network}.log",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(4000),
        runtime=10,
    params:
        network=lambda wildcards: plan.counted(wildcards.network)["network"],
        settings=lambda wildcards: as_text(plan.counted(wildcards.network)["settings"]),
        height=768,
        width=1024,
        code=lambda wildcards: fingerprint("count_cost", plan.counted(wildcards.network)["code"]),
    message:
        "Counting the operations of {wildcards.network}"
    script:
        "../scripts/count_cost.py"


rule table3:
    """Table III: cost of the published networks, beside the errors of runs."""
    input:
        costs=lambda wildcards: [row["cost"] for row in rows_of_costs()],
        predictions=lambda wildcards: [mae["predictions"] for row in rows_of_costs() for mae in row["maes"]],
    output:
        markdown="tables/table3.md",
        csv="tables/table3.csv",
        tex="tables/table3.tex",
    log:
        "<logs>/table3.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        rows=lambda wildcards: as_text(rows_of_costs()),
        scale=config["scale"],
        code=fingerprint("table3"),
    message:
        "Writing Table 3"
    script:
        "../scripts/table3.py"


rule roundtrip:
    """The edit-distance check of section III: from prompt to image to caption."""
    input:
        manifests=lambda wildcards: images_of_roundtrip("<results>/images/{pool}/{generator}/block-{block}.csv"),
        captions=lambda wildcards: images_of_roundtrip(rules.caption_generated.output[0]),
    output:
        markdown="tables/roundtrip.md",
        csv="tables/roundtrip.csv",
    log:
        "<logs>/roundtrip.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        pools=lambda wildcards: plan.chosen("tables", "roundtrip")["pools"],
        prompts=lambda wildcards: [plan.prompts_of(pool) for pool in plan.chosen("tables", "roundtrip")["pools"]],
        block_size=BLOCK_SIZE,
        prefix=config["prompts"]["prefix"],
        suffix=as_text(config["prompts"]["suffix"]),
        seed=config["seed"],
        scale=config["scale"],
        code=fingerprint("roundtrip"),
    message:
        "Comparing captions of generated images with their prompts"
    script:
        "../scripts/roundtrip.py"
