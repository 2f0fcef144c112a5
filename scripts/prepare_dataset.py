"""Read a dataset as its authors ship it, split it, and store it in the form that all later stages read."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.datasets.index import prepare
    from promptmix.datasets.registry import read_split

    params = snakemake.params
    samples = read_split(
        *(params.format, params.path, params.images, params.unit, params.split, params.seed), anchor=params.anchor
    )
    prepare(samples, Path(snakemake.output.index).parent, params.resize, snakemake.threads)
