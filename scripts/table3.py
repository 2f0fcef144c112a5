"""Write Table III: size and cost of the networks beside their errors."""

import json

from promptmix.running import job

with job.start(snakemake):
    from promptmix.report.tables import write_cost_table

    output, params = snakemake.output, snakemake.params
    write_cost_table(json.loads(params.rows), output.markdown, output.csv, output.tex, params.scale)
