"""Predict the test images of a dataset with an annotator."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.records.predictions import PREDICTIONS
    from promptmix.synthesis.annotation import load_annotator
    from promptmix.training.evaluation import predict, with_keys

    annotator = load_annotator(**job.with_inputs(snakemake, snakemake.params.annotator, "weights"), device=device)
    found = predict(annotator, Index.open(snakemake.input.index), "test", device)
    PREDICTIONS.write(snakemake.output[0], with_keys(found, snakemake.wildcards.annotator))
