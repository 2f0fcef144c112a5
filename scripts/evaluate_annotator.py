"""Predict the test images of a dataset with an annotator."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.records.predictions import PREDICTIONS
    from promptmix.synthesis.ensemble import load_members
    from promptmix.training.evaluation import predict, with_keys

    members = [
        job.with_inputs(snakemake, member, weights=f"weights_{i}") for i, member in enumerate(snakemake.params.members)
    ]
    found = predict(load_members(members, device), Index.open(snakemake.input.index), "test", device)
    PREDICTIONS.write(snakemake.output[0], with_keys(found, snakemake.wildcards.annotator))
