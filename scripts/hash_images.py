"""Compute the perceptual hash of each image of a block."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.records.likeness import HASHES
    from promptmix.synthesis.hashing import perceptual_hash
    from promptmix.synthesis.manifest import read_images

    images = read_images(snakemake.input.manifest)
    HASHES.write(snakemake.output[0], [{"stem": stem, "phash": perceptual_hash(image)} for stem, image in images])
