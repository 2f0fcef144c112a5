"""Predict the test images of a dataset with an annotator."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.records import PREDICTIONS
    from promptmix.synthesis.annotation import load_annotator
    from promptmix.training.evaluation import predict, with_keys

    annotator = load_annotator(json.loads(snakemake.params.annotator), snakemake.input.weights, device)
    index = Index.open(snakemake.input.index)
    predictions = with_keys(predict(annotator, index, "test", device), snakemake.wildcards.annotator)
    PREDICTIONS.write(snakemake.output[0], predictions)
