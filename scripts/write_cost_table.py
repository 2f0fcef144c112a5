"""Write a table of the size and cost of networks beside their errors."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.report.costs import write_cost_table

    output, params = snakemake.output, snakemake.params
    convention = params.convention or "full-images"
    files = output.markdown, output.csv, output.tex, output.html
    write_cost_table(params.rows, *files, params.scale, params.task, convention, params.claims)
