"""Annotate one block of generated images."""

import json

from promptmix import job

with job.start(snakemake) as device:
    from promptmix.annotation import annotate, load_annotator
    from promptmix.manifest import read_images, read_manifest
    from promptmix.maps import write_maps
    from promptmix.progress import progress

    params, manifest = snakemake.params, snakemake.input.manifest
    annotator = load_annotator(json.loads(params.annotator), snakemake.input.weights, device)
    annotations = annotate(annotator, read_images(manifest), device, stride=params.stride)
    annotations = progress(annotations, len(read_manifest(manifest)), "images annotated")
    write_maps(snakemake.output[0], annotations, params.stride, snakemake.wildcards.annotator, annotator.task)
