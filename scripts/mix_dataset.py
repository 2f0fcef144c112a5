"""List the generated images of an experiment with their annotations."""

from promptmix import job

with job.start(snakemake):
    import pandas as pd

    from promptmix.mixing import mix, write_fake

    source, blocks = snakemake.input, snakemake.params.blocks
    parts, first = [], 0
    for count, images in zip(blocks, snakemake.params.images, strict=True):
        pool = slice(first, first + count)
        parts.append(mix(source.manifests[pool], source.annotations[pool], limit=images))
        first += count
    write_fake(snakemake.output[0], pd.concat(parts, ignore_index=True))
