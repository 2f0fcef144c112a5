"""
Say what tables and figures will cost, before anything is computed, and beside it what was spent.

    takes   what is there of results/{scale}/, and benchmarks/{rule}/... of jobs that have run
    gives   plan.md, plan.csv             in results/{scale}/; written anew each time
"""

from snakemake.io import strip_wildcard_constraints


def known_of_rules(
    wildcards,
):
    """Return of each rule the patterns of its files and of its record, and whether it computes on a GPU."""
    return {
        each.name: {
            "outputs": [strip_wildcard_constraints(file) for file in each.output],
            "benchmark": strip_wildcard_constraints(each.benchmark or ""),
            "gpu": "gpu" in each.resources,
        }
        for each in workflow.rules
        if each.output
    }


rule plan:
    """Count jobs, images, hours, disk and energy of the config's tables and figures, and what of them is done."""
    log:
        "<logs>/plan.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    params:
        rules=known_of_rules,
        at_once=int(limits()[0] or 1),
        cores=limits()[1] or 1,
        markdown=f"{RESULTS}/plan.md",
        csv=f"{RESULTS}/plan.csv",
    message:
        "Planning: jobs, hours, disk and energy"
    script:
        "../scripts/plan_costs.py"
