"""Train an annotator of the miniature on images rendered like those of a dataset."""

from promptmix.running import job

with job.start(snakemake) as device:
    from functools import partial
    from pathlib import Path

    from promptmix.miniature.models import annotators
    from promptmix.miniature.softening import pass_through
    from promptmix.synthesis.generation import GeneratorSettings, load_pipeline
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
    folder, soften, share = out.with_suffix(""), None, 0.0
    if softened := chosen.get("softened"):
        generation = GeneratorSettings(steps=1, guidance=1.0)
        pipeline, share = load_pipeline(softened["model"], generation, device), softened["share"]
        soften = partial(pass_through, pipeline)
    index = annotators.render_images(
        folder, chosen["render"], chosen["resize"], chosen["images"], params.seed, snakemake.threads, soften, share
    )
    start = Path(snakemake.input.start[0]) if snakemake.input.start else None
    annotators.train_annotator(index, settings, folder, out, device, start)
