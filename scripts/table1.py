"""Write Table I."""

import json

from promptmix import job

with job.start(snakemake):
    from promptmix.tables import table1

    source, output = snakemake.input, snakemake.output
    rows = [
        {**row, "predictions": predictions, "selection": selection}
        for row, predictions, selection in zip(
            json.loads(snakemake.params.rows), source.predictions, source.selections, strict=True
        )
    ]
    table1(rows, output.markdown, output.csv, output.tex, snakemake.params.scale)
