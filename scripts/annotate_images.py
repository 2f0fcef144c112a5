"""Annotate one block of generated images."""

import json

from promptmix import job

with job.start(snakemake) as device:
    from promptmix.annotation import annotate, load_annotator
    from promptmix.manifest import read_images
    from promptmix.maps import write_maps

    params = snakemake.params
    annotator = load_annotator(json.loads(params.annotator), snakemake.input.weights, device)
    annotations = annotate(annotator, read_images(snakemake.input.manifest), device, stride=params.stride)
    write_maps(snakemake.output[0], annotations, params.stride, snakemake.wildcards.annotator, annotator.task)
