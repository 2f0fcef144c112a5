"""Compare what generated images show, in the captioner's words, with what was asked for."""

import json

from promptmix.running import job

with job.start(snakemake):
    from promptmix.report.roundtrip import read_round_trip, write_round_trip

    source, params = snakemake.input, snakemake.params
    suffixes = json.loads(params.suffix).values()
    blocks = zip(source.manifests, source.captions, strict=True)
    trips = read_round_trip(blocks, params.prefix, suffixes, params.seed)
    write_round_trip(trips, snakemake.output.markdown, snakemake.output.csv, params.scale)
