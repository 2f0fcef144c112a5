"""Draw how errors change in tables, with intervals, beside the paper's changes."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.report.changes import draw_changes

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    files = {Path(file).stem: file for file in source.tables}
    tables = [{"name": name, "csv": files[name], "columns": columns} for name, columns in params.columns.items()]
    draw_changes(output.png, output.csv, tables, params.convention)
