"""Keep the prompts that do not raise the validation error above the baseline's."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.records.filters import FILTER
    from promptmix.synthesis.filtering import filter_prompts, read_prompts

    source, params = snakemake.input, snakemake.params
    prompts = read_prompts(source.prompts, params.dropped)
    files = {Path(file).parent.name: file for file in source.selections}
    selections = {tuple(prompt): files[name] for name, prompt in params.single_prompts.items()}
    FILTER.write(snakemake.output[0], filter_prompts(prompts, source.baseline[0], selections))
