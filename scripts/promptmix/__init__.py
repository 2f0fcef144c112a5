"""PromptMix: the library behind the workflow, everything that can be called and tested without Snakemake."""
