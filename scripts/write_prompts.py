"""Write the prompts of a pool, from captions or texts, or as they were given."""

from promptmix.running import job

with job.start(snakemake):
    from promptmix.config.pools import expand
    from promptmix.datasets.index import Index
    from promptmix.records.captions import CAPTIONS
    from promptmix.records.prompts import PROMPTS
    from promptmix.records.texts import TEXTS
    from promptmix.synthesis import prompts

    pool, words, source = snakemake.params.pool, snakemake.params.words, snakemake.input
    if "edits" in pool:
        found = prompts.edit(PROMPTS.read(source.edited[0]), pool["edits"], pool["of"])
    elif "prompts" in pool:
        texts = expand(pool["prompts"], pool["locations"])
        found = prompts.by_hand(texts, pool["width"], pool["height"], pool["quality"])
    elif "dataset" not in pool:
        found = prompts.by_hand(TEXTS.read(source.texts[0])["text"], pool["width"], pool["height"], pool["quality"])
    else:
        if "written_by" in pool:
            captions = TEXTS.read(source.texts[0]).rename(columns={"text": "caption"})
        else:
            captions = CAPTIONS.read(source.captions[0])
        images = Index.open(source.index).frame
        found = prompts.from_captions(captions, images, words["prefix"], words["suffix"], pool.get("quality"))
    PROMPTS.write(snakemake.output[0], found)
