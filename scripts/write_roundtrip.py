"""Compare what generated images show, in the captioner's words, with what was asked for."""

from promptmix.running import job

with job.start(snakemake):
    from pathlib import Path

    from promptmix.report.roundtrip import read_round_trip, write_round_trip

    source, output, params = snakemake.input, snakemake.output, snakemake.params
    captions = {(Path(file).parents[2].name, Path(file).stem): file for file in source.captions}
    blocks = [(file, captions[Path(file).parents[1].name, Path(file).stem]) for file in source.manifests]
    trips = read_round_trip(blocks, params.seed)
    write_round_trip(trips, output.markdown, output.csv, output.tex, output.html, params.scale, params.paper)
