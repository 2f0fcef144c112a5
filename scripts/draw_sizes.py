"""Draw the error by the number of people in the image, without and with PromptMix."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.report.sizes import draw_sizes

    output = snakemake.output
    files = {Path(file).parent.name: file for file in snakemake.input.predictions}
    rows = [
        {"title": title, "predictions": {method: files[name] for method, name in experiments.items()}}
        for title, experiments in snakemake.params.rows
    ]
    draw_sizes(output.png, output.csv, rows)
