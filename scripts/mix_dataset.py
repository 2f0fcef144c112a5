"""List the generated images of an experiment with their annotations."""

from promptmix.running import job

with job.start(snakemake):
    import logging
    from pathlib import Path

    from promptmix.datasets.index import Index
    from promptmix.records.filters import FILTER
    from promptmix.records.likeness import LEAKS
    from promptmix.synthesis.comparing import compare, write_comparison
    from promptmix.synthesis.mixing import write_fake
    from promptmix.synthesis.sifting import Block, check_sifted, chosen, sift

    def by_block(files, depth):
        """Return files by pool and block, of which the pool is the folder that many levels up."""
        return {(Path(file).parents[depth].name, Path(file).stem): file for file in files}

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    annotations, manifests = by_block(source.annotations, 2), by_block(source.manifests, 1)
    scores, hashes, clip = (by_block(source.get(name, []), 2) for name in ("scores", "hashes", "clip_scores"))
    blocks = [
        Block(manifest, annotations[key], scores.get(key), hashes.get(key), clip.get(key))
        for key, manifest in manifests.items()
    ]
    kept = FILTER.read(source.kept_prompts[0]) if source.get("kept_prompts") else None
    leaks = LEAKS.read(source.leaks[0]) if source.get("leaks") else None
    settings = dict(params.settings)
    fewest = settings.pop("fewest", 0)
    images = sift(blocks, kept=kept, leaks=leaks, **settings)
    filtered = {"filters": check_sifted(images, settings["filters"], fewest)} if "filters" in settings else {}
    fake = chosen(images)
    found = compare(fake, Index.open(source.index), params.task)
    logging.info("real training images against generated ones: %s", found["says"])
    for doubt in found["doubts"]:
        logging.log(logging.INFO if params.settings["prompt"] else logging.WARNING, "%s: %s", found["says"], doubt)
    write_fake(output.fake, fake)
    write_comparison(output.compared, found | filtered)
