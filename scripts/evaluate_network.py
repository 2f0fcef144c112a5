"""Predict the test images with the chosen learning rate's networks, one per repeat."""

from promptmix.running import job

with job.start(snakemake) as device:
    import json
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.networks.checkpoints import load_network
    from promptmix.records.predictions import PREDICTIONS
    from promptmix.training.evaluation import predict_runs

    source, network = snakemake.input, snakemake.params.network

    def load(checkpoint):
        return load_network(network["reference"], checkpoint, **network["settings"]).to(device)

    choice = json.loads(Path(source.selection[0]).read_text())
    found = predict_runs(source.checkpoints, choice, load, Index.open(source.index), device)
    PREDICTIONS.write(snakemake.output[0], found)
