"""Decide about half of the prompts that are left at a rung."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.records.halving import HALVING
    from promptmix.synthesis.filtering import read_prompts
    from promptmix.synthesis.halving import halve_prompts

    source, params = snakemake.input, snakemake.params
    files = {Path(file).parent.name: file for file in source.histories}
    found = halve_prompts(
        read_prompts(source.prompts, params.dropped),
        HALVING.read(source.before[0]) if source.get("before") else None,
        source.baseline,
        {tuple(prompt): files[name] for name, prompt in params.single_prompts.items()},
        **params.settings,
    )
    HALVING.write(snakemake.output[0], found)
