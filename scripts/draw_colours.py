"""Show generated images of prompts that differ in colour (Figure 2)."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.report.figures import draw_colours

    output = snakemake.output
    draw_colours(output.png, output.csv, list(snakemake.input), snakemake.params.columns)
