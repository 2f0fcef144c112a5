"""The plan counts the jobs that Snakemake would run."""

import csv

from support.workflow import jobs


def test_the_plan_counts_as_many_jobs_as_snakemake(workflow):
    planned = workflow.run("plan")
    assert planned.returncode == 0, planned.stdout
    counts = jobs(workflow.run("-n").stdout)
    with open(workflow.folder / "results/tiny/plan.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    rules = {row["name"]: int(row["jobs"]) for row in rows if row["kind"] == "rule"}
    assert rules == {rule: number for rule, number in counts.items() if rule not in ("all", "total")}
    assert int(next(row["jobs"] for row in rows if row["kind"] == "total")) == sum(rules.values())
    assert "Hours and energy are not known" in planned.stdout
