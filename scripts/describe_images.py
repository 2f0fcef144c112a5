"""Compute CLIP's features of each image of a block."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.synthesis.likeness import ImageEncoder, write_features
    from promptmix.synthesis.manifest import read_images, read_manifest

    manifest = snakemake.input.manifest
    names = read_manifest(manifest)["stem"].tolist()
    encoder = ImageEncoder(**job.with_inputs(snakemake, {"model": snakemake.params.model}, "model"), device=device)
    images = (image for _, image in read_images(manifest))
    write_features(snakemake.output[0], names, encoder.describe(images, total=len(names)))
