"""Show the generated images of an experiment on a page, to review them."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.datasets.split import Split
    from promptmix.records.filters import FILTER
    from promptmix.records.likeness import LEAKS
    from promptmix.report.gallery import write_gallery
    from promptmix.synthesis.sifting import Block, sift

    def block_of(file, depth):
        """Return the pool and the block of a file, of which the pool is the folder that many levels up."""
        return Path(file).parents[depth].name, Path(file).stem

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    found = {block_of(file, 2): file for file in source.annotations}
    scores, hashes, clip = (
        {block_of(file, 2): file for file in source.get(name, [])} for name in ("scores", "hashes", "clip_scores")
    )
    shown = {block_of(file, 2): {} for file in source.annotations}
    for file in [*source.annotations, *source.others]:
        shown[block_of(file, 2)][Path(file).parent.name] = file
    keys = {block_of(file, 1): file for file in source.manifests}
    kept = FILTER.read(source.kept_prompts[0]) if source.get("kept_prompts") else None
    leaks = LEAKS.read(source.leaks[0]) if source.get("leaks") else None
    blocks = [Block(file, found[key], scores.get(key), hashes.get(key), clip.get(key)) for key, file in keys.items()]
    write_gallery(
        output.page,
        output.pictures,
        sift(blocks, kept=kept, leaks=leaks, **params.settings),
        {str(Path(found[key]).resolve()): files for key, files in shown.items()},
        Split(Index.open(source.index), "train"),
        params.reviewed,
        {"experiment": snakemake.wildcards.experiment, **params.title},
        kept,
        snakemake.threads,
    )
