"""Draw the training curves of a table's experiments on one dataset."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.report.illustrations import draw_curves

    source, params = snakemake.input, snakemake.params
    selections = {Path(file).parent.name: file for file in source.selections}
    histories = {name: [] for name in selections}
    for file in source.histories:
        histories[Path(file).parents[2].name].append(file)
    runs = [{**run, "selection": selections[name], "histories": histories[name]} for name, run in params.runs.items()]
    draw_curves(snakemake.output[0], runs, params.task)
