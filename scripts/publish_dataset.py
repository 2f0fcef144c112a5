"""Put the generated images of an experiment into a folder for others."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.report.publishing import publish

    source, params = snakemake.input, snakemake.params
    scores, clip_scores = {}, {}
    for name, found in (("scores", scores), ("clip_scores", clip_scores)):
        for file in source.get(name, []):
            found.setdefault(Path(file).parents[2].name, []).append(file)
    publish(snakemake.output[0], source.fake[0], source.manifests, scores, params.task, params.facts, clip_scores)
