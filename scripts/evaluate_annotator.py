"""Predict the test images of a dataset with an annotator."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.datasets.index import Index
    from promptmix.files import write_csv
    from promptmix.synthesis.annotation import load_annotator
    from promptmix.training.evaluation import predict

    annotator = load_annotator(**job.with_inputs(snakemake, snakemake.params.annotator, "weights"), device=device)
    index = Index.open(snakemake.input.index)
    found = predict(annotator, index, "test", device)
    for column, value in (("repeat", 0), ("learning_rate", ""), ("experiment", snakemake.wildcards.annotator)):
        found.insert(0, column, value)
    write_csv(snakemake.output[0], found)
