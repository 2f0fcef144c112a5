"""List the generated images of an experiment with their annotations."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.records.filters import FILTER
    from promptmix.synthesis.mixing import Block, mix, write_fake

    def by_block(files, depth):
        """Return files by pool and block, of which the pool is the folder that many levels up."""
        return {(Path(file).parents[depth].name, Path(file).stem): file for file in files}

    source = snakemake.input
    annotations, scores = by_block(source.annotations, 2), by_block(source.get("scores", []), 2)
    manifests = by_block(source.manifests, 1)
    blocks = [Block(manifest, annotations[key], scores.get(key)) for key, manifest in manifests.items()]
    kept = FILTER.read(source.kept_prompts[0]) if source.get("kept_prompts") else None
    write_fake(snakemake.output[0], mix(blocks, kept=kept, **snakemake.params.settings))
