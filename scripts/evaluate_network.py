"""Predict the counts of the test images with the chosen learning rate's networks."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    import pandas as pd

    from promptmix.datasets.index import Index
    from promptmix.files import write_csv
    from promptmix.networks.checkpoints import load_network
    from promptmix.training.evaluation import predict

    params = snakemake.params
    choice = json.loads(Path(snakemake.input.selection[0]).read_text())["learning_rate"]
    first = params.learning_rates.index(choice) * params.repeats
    checkpoints = snakemake.input.checkpoints[first : first + params.repeats]
    index = Index.open(snakemake.input.index[0])
    predictions = []
    for repeat, checkpoint in enumerate(checkpoints):
        network = load_network(params.network, checkpoint, **json.loads(params.settings)).to(device)
        predictions.append(predict(network, index, "test", device).assign(repeat=repeat))
    write_csv(snakemake.output[0], pd.concat(predictions, ignore_index=True))
