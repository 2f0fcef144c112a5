"""Train an annotator of the miniature on images rendered like those of a dataset."""

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.miniature.models import annotators
    from promptmix.training.settings import TrainingSettings

    params, out = snakemake.params, Path(snakemake.output[0])
    chosen = params.settings
    settings = TrainingSettings(
        network=chosen["network"],
        network_settings=chosen["settings"],
        learning_rate=float(chosen["learning_rate"]),
        epochs=chosen["epochs"],
        decay=chosen["decay"],
        batch_size=8,
        flip=True,
        seed=params.seed,
        sigma=params.sigma,
        kernel=params.kernel,
    )
    folder = out.with_suffix("")
    index = annotators.render_images(
        folder, chosen["render"], chosen["resize"], chosen["images"], params.seed, snakemake.threads
    )
    start = Path(snakemake.input[0]) if snakemake.input else None
    annotators.train_annotator(index, settings, folder, out, device, start)
