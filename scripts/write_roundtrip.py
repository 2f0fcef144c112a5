"""Compare what generated images show, in the captioner's words, with what was asked for."""

import json

from promptmix.running import job

with job.start(snakemake):
    from promptmix.report.roundtrip import read_round_trip, write_round_trip

    source, params = snakemake.input, snakemake.params
    suffixes = json.loads(params.suffix).values()
    pools, first = {}, 0
    for pool, prompts in zip(params.pools, params.prompts, strict=True):
        count = -(-prompts // params.block_size)
        blocks = slice(first, first + count)
        files = source.manifests[blocks], source.captions[blocks]
        pools[pool] = read_round_trip(*files, params.prefix, suffixes, params.seed, limit=prompts)
        first += count
    write_round_trip(pools, snakemake.output.markdown, snakemake.output.csv, params.scale)
