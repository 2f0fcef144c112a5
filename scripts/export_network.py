"""Write the network of an experiment as ONNX and safetensors, with a card."""

from promptmix.running import job

with job.start(snakemake):
    import json
    from pathlib import Path

    import torch

    from promptmix.datasets.index import Index
    from promptmix.exporting.export import export
    from promptmix.records.predictions import PREDICTIONS

    source, params = snakemake.input, snakemake.params
    torch.set_num_threads(snakemake.threads)
    export(
        snakemake.output[0],
        json.loads(Path(source.selection[0]).read_text()),
        source.checkpoints,
        PREDICTIONS.read(source.predictions[0]),
        Index.open(source.index),
        **params.network,
        facts=params.facts,
        terms=params.terms,
        threads=snakemake.threads,
    )
