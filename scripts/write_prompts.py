"""Write the prompts of a pool, from captions or as they were given."""

import json

from promptmix.running import job

with job.start(snakemake):
    from promptmix.config.pools import expand
    from promptmix.datasets.index import Index
    from promptmix.records import CAPTIONS, PROMPTS
    from promptmix.synthesis import prompts

    params, source = snakemake.params, snakemake.input
    pool = json.loads(params.pool)
    if "prompts" in pool:
        texts = expand(pool["prompts"], pool.get("locations", []))
        found = prompts.by_hand(texts, pool["width"], pool["height"], pool["quality"])
    else:
        captions = CAPTIONS.read(source.captions[0])
        images = Index.open(source.index[0]).frame
        found = prompts.from_captions(captions, images, params.prefix, json.loads(params.suffix))
    PROMPTS.write(snakemake.output[0], found)
