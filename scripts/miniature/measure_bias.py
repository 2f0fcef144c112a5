"""Measure how far an annotator is off on true images, on the same through the autoencoder, and on generated ones."""

from promptmix.running import job

with job.start(snakemake) as device:
    import pandas as pd

    from promptmix.datasets.index import Index
    from promptmix.miniature import bias
    from promptmix.synthesis.ensemble import load_members
    from promptmix.synthesis.generation import GeneratorSettings, load_pipeline
    from promptmix.synthesis.mixing import read_fake

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    members = [job.with_inputs(snakemake, member, weights=f"weights_{i}") for i, member in enumerate(params.members)]
    annotator = load_members(members, device)
    chosen = job.with_models(snakemake, params.generator)
    model = chosen.pop("model")
    settings = GeneratorSettings(**chosen)
    pipeline = load_pipeline(model, settings, device)
    rows = list(bias.compare_real(annotator, pipeline, Index.open(source.index), device))
    rows += bias.compare_fake(read_fake(source.fake[0]), annotator.task)
    if annotator.task == "counting":
        of_dataset = (params.render, params.resize, params.words, params.captions, params.seed)
        rows += bias.compare_captioned(annotator, pipeline, settings, *of_dataset, device)
    bias.write_bias(pd.DataFrame(rows), output.markdown, output.csv, *params.names, annotator.task)
