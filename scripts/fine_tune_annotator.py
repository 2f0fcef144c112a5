"""Train an annotator further on the training split of a dataset."""

import json

from promptmix import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.annotation import fine_tune
    from promptmix.datasets.index import Index
    from promptmix.training import TrainingSettings

    chosen = json.loads(snakemake.params.settings)
    weights = snakemake.input.weights[0] if snakemake.input.weights else chosen["weights"]
    index, out = Index.open(snakemake.input.index[0]), Path(snakemake.output[0])
    fine_tune(index, weights, TrainingSettings(**chosen["training"]), out, device, snakemake.params.code)
