"""Show generated images of grey prompts above those of the same prompts in colour (Figure 2)."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.report.figures import draw_grey_and_colour

    source, output = snakemake.input, snakemake.output
    draw_grey_and_colour(output.png, output.csv, source.grey, source.colour, snakemake.params.prompts)
