"""List the generated images of an experiment with their annotations."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.records import FILTER, MANIFEST
    from promptmix.synthesis.mixing import Block, mix, write_fake

    source, params = snakemake.input, snakemake.params
    scores = source.scores or [None] * len(source.manifests)
    blocks = [Block(*files) for files in zip(source.manifests, source.annotations, scores, strict=True)]
    kept = FILTER.read(source.kept_prompts[0]) if source.kept_prompts else None
    prompt = None
    if params.prompt is not None:  # a number over all pools
        pools = dict.fromkeys(pool for block in blocks for pool in MANIFEST.read(block.manifest)["pool"])
        prompt = [(pool, i) for pool, count in zip(pools, params.prompts) for i in range(count)][params.prompt]
    k = params.images[0] // params.prompts[0]
    write_fake(snakemake.output[0], mix(blocks, k, params.r_img, kept, prompt))
