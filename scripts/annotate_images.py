"""Annotate one block of generated images."""

import json

from promptmix import job

with job.start(snakemake) as device:
    from promptmix.annotation import annotate
    from promptmix.checkpoints import load_network
    from promptmix.manifest import read_images
    from promptmix.maps import write_maps

    params = snakemake.params
    weights = snakemake.input.weights[0] if snakemake.input.weights else params.weights
    network = load_network(params.network, weights, **json.loads(params.settings)).to(device)
    annotations = annotate(network, read_images(snakemake.input.manifest), device, stride=params.stride)
    write_maps(snakemake.output[0], annotations, params.stride, snakemake.wildcards.annotator, network.task)
