"""Predict the counts of the test images with the chosen learning rate's networks."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.networks.checkpoints import load_network
    from promptmix.records import PREDICTIONS
    from promptmix.training.evaluation import predict_runs

    source, params = snakemake.input, snakemake.params
    settings = json.loads(params.settings)

    def load(checkpoint):
        return load_network(params.network, checkpoint, **settings).to(device)

    choice = json.loads(Path(source.selection[0]).read_text())
    index = Index.open(source.index[0])
    PREDICTIONS.write(snakemake.output[0], predict_runs(source.checkpoints, choice, load, index, device))
