"""Keep the prompts that do not raise the validation error above the baseline's."""

from promptmix.running import job

with job.start(snakemake):
    import pandas as pd

    from promptmix.files import write_csv
    from promptmix.synthesis.filtering import filter_prompts

    source = snakemake.input
    pools = [pd.read_csv(pool, dtype={"prompt": str}, keep_default_na=False) for pool in source.prompts]
    texts = [text for pool in pools for text in pool["prompt"]]
    write_csv(snakemake.output[0], filter_prompts(texts, source.baseline[0], source.selections))
