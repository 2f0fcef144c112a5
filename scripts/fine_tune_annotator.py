"""Train an annotator further on the training split of a dataset."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.training.fine_tuning import fine_tune
    from promptmix.training.settings import TrainingSettings

    params, out = snakemake.params, Path(snakemake.output[0])
    weights = job.with_inputs(snakemake, {"weights": params.weights}, "weights")["weights"]
    settings = TrainingSettings(**params.settings)
    fine_tune(Index.open(snakemake.input.index), weights, settings, out, device, params.code)
