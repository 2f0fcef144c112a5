"""Compute CLIP's features of each test image of a dataset, for the leak guard alone."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.datasets.split import Split
    from promptmix.synthesis.likeness import ImageEncoder, write_features

    tests = Split(Index.open(snakemake.input.index), "test")
    encoder = ImageEncoder(**job.with_inputs(snakemake, {"model": snakemake.params.model}, "model"), device=device)
    features = encoder.describe((tests.image(i) for i in range(len(tests))), total=len(tests))
    write_features(snakemake.output[0], tests.frame["image"].tolist(), features)
