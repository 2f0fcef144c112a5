"""Write a table of the errors of experiments."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.report.tables import measure, write_table

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    predictions, selections = (
        {Path(f).parent.name: f for f in files} for files in (source.predictions, source.selections)
    )
    fakes = {Path(file).stem: file for file in source.fakes}
    rows = []
    for row in params.rows:
        name = row["experiment"]
        labels = row["labels"] | measure(fakes.get(name), params.measured)
        rows.append(row | {"labels": labels, "predictions": predictions[name], "selection": selections[name]})
    compared = {Path(file).stem: file for file in source.compared}
    tests = [(*names, file) for names, file in zip(params.annotators, source.get("annotators", []), strict=True)]
    halved = {Path(file).parent.name: file for file in source.get("halved", [])}
    said = {"claims": params.claims, "notes": params.notes, "compared": compared, "annotators": tests, "halved": halved}
    write_table(rows, output.markdown, output.csv, output.tex, output.html, params.scale, params.convention, **said)
