"""Keep the prompts that do not raise the validation error above the baseline's."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    import pandas as pd

    from promptmix.records.filters import FILTER
    from promptmix.records.prompts import PROMPTS
    from promptmix.synthesis.filtering import filter_prompts

    source = snakemake.input
    pools = {Path(file).stem: PROMPTS.read(file) for file in source.prompts}
    prompts = pd.concat(frame.assign(pool=pool, prompt_number=frame.index) for pool, frame in pools.items())
    is_dropped = [[*key] in snakemake.params.dropped for key in zip(prompts["pool"], prompts["prompt_number"])]
    prompts = prompts[[not dropped for dropped in is_dropped]]
    files = {Path(file).parent.name: file for file in source.selections}
    selections = {tuple(prompt): files[name] for name, prompt in snakemake.params.single_prompts.items()}
    FILTER.write(snakemake.output[0], filter_prompts(prompts, source.baseline[0], selections))
