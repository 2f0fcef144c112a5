"""Predict the test images of a dataset with an annotator."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.files import write_csv
    from promptmix.synthesis.annotation import load_annotator
    from promptmix.training.evaluation import predict

    annotator = load_annotator(json.loads(snakemake.params.annotator), snakemake.input.weights, device)
    index = Index.open(snakemake.input.index)
    write_csv(snakemake.output[0], predict(annotator, index, "test", device).assign(repeat=0))
