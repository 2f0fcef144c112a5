"""Predict the test images of a dataset with an annotator."""

import json

from promptmix import job

with job.start(snakemake) as device:
    from promptmix.checkpoints import load_network
    from promptmix.datasets.index import Index
    from promptmix.evaluation import predict
    from promptmix.files import write_csv

    params = snakemake.params
    weights = snakemake.input.weights[0] if snakemake.input.weights else params.weights
    network = load_network(params.network, weights, **json.loads(params.settings)).to(device)
    index = Index.open(snakemake.input.index)
    write_csv(snakemake.output[0], predict(network, index, "test", device).assign(repeat=0))
