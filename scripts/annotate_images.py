"""Annotate one block of generated images."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.synthesis.annotation import annotate, load_annotator
    from promptmix.synthesis.manifest import read_images, read_manifest
    from promptmix.synthesis.maps import write_maps

    params, manifest = snakemake.params, snakemake.input.manifest
    annotator = load_annotator(**job.with_inputs(snakemake, params.annotator, "weights"), device=device)
    name, total = snakemake.wildcards.annotator, len(read_manifest(manifest))
    annotations = annotate(annotator, read_images(manifest), device, params.stride, name=name, total=total)
    write_maps(snakemake.output[0], annotations, params.stride, name, annotator.task)
