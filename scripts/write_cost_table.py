"""Write a table of the size and cost of networks beside their errors."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.report.tables import write_cost_table

    output, params = snakemake.output, snakemake.params
    convention = params.convention or "full-images"
    write_cost_table(params.rows, output.markdown, output.csv, output.tex, params.scale, params.task, convention)
