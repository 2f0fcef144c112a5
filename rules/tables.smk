"""
The paper's tables, ours beside theirs.

    takes   runs/{experiment}/predictions.csv, runs/{experiment}/selection.json
    gives   tables/table{n}.md, .csv, .tex
"""


rule table1:
    """Table I: the error on each dataset, without and with PromptMix."""
    input:
        predictions=runs_of_table("table1", rules.evaluate_network.output[0]),
        selections=runs_of_table("table1", rules.select_learning_rate.output[0]),
    output:
        markdown="tables/table1.md",
        csv="tables/table1.csv",
        tex="tables/table1.tex",
    log:
        "<logs>/table1.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        rows=as_text(plan.rows_of_table("table1")),
        scale=config["scale"],
        code=fingerprint("table1"),
    message:
        "Writing Table I"
    script:
        "../scripts/table1.py"
