"""Train an annotator further on the training split of a dataset."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.training.fine_tuning import fine_tune
    from promptmix.training.settings import TrainingSettings

    chosen = json.loads(snakemake.params.settings)
    weights = snakemake.input.weights[0] if snakemake.input.weights else chosen["weights"]
    index, out = Index.open(snakemake.input.index[0]), Path(snakemake.output[0])
    fine_tune(index, weights, TrainingSettings(**chosen["training"]), out, device, snakemake.params.code)
