"""Train an annotator of the miniature on crowds of the corpus."""

import json

from promptmix import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature import annotators
    from promptmix.training import TrainingSettings

    params, out = snakemake.params, Path(snakemake.output[0])
    chosen = json.loads(params.settings)
    settings = TrainingSettings(
        network=chosen["network"],
        network_settings={"width": chosen["width"]},
        learning_rate=float(chosen["learning_rate"]),
        epochs=chosen["epochs"],
        decay=chosen["decay"],
        batch_size=8,
        flip=True,
        seed=params.seed,
        sigma=params.sigma,
        kernel=params.kernel,
    )
    index = annotators.select(Path(snakemake.input.corpus), chosen["locations"], chosen["images"])
    start = Path(snakemake.input.start[0]) if snakemake.input.start else None
    annotators.train_annotator(index, settings, out.with_suffix(""), out, device, start)
