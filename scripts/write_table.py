"""Write one of the tables that compare experiments: I, II, IV, V, VI or VII."""

import json

from promptmix.running import job

with job.start(snakemake):
    from promptmix.report.tables import NONE, write_table
    from promptmix.synthesis.mixing import read_fake

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    fakes = iter(source.fakes)
    rows = []
    for row, predictions, selection in zip(json.loads(params.rows), source.predictions, source.selections, strict=True):
        measured = dict.fromkeys(row.pop("measured", []), NONE)
        if row["k"] is not None:
            fake = read_fake(next(fakes))
            facts = {
                "generated images": len(fake),
                "prompts kept": len(fake[["pool", "prompt_number"]].drop_duplicates()),
                "faces restored": fake["faces"].sum(),
            }
            measured = {name: str(facts[name]) for name in measured}
        labels = row["labels"] | measured
        rows.append({**row, "labels": labels, "predictions": predictions, "selection": selection})
    write_table(rows, output.markdown, output.csv, output.tex, params.scale, params.convention)
