"""Write the prompts of a pool, from captions or as they were given."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.config.pools import expand
    from promptmix.datasets.index import Index
    from promptmix.records.captions import CAPTIONS
    from promptmix.records.prompts import PROMPTS
    from promptmix.synthesis import prompts

    pool, words, source = snakemake.params.pool, snakemake.params.words, snakemake.input
    if "edits" in pool:
        found = prompts.edit(PROMPTS.read(source.edited[0]), pool["edits"], pool["of"])
    elif "prompts" in pool:
        texts = expand(pool["prompts"], pool["locations"])
        found = prompts.by_hand(texts, pool["width"], pool["height"], pool["quality"])
    else:
        captions, images = CAPTIONS.read(source.captions[0]), Index.open(source.index).frame
        found = prompts.from_captions(captions, images, words["prefix"], words["suffix"], pool.get("quality"))
    PROMPTS.write(snakemake.output[0], found)
