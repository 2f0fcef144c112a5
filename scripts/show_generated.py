"""Show training images of a dataset above those of each D_fake that a table's experiments mix with it."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.report.illustrations import show_generated

    source, params = snakemake.input, snakemake.params
    files = {Path(file).stem: file for file in source.fakes}
    fakes = [fake | {"fake": files[fake["experiment"]]} for fake in params.fakes]
    show_generated(snakemake.output[0], source.index, fakes, params.columns)
