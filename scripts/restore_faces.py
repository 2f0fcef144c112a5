"""Restore the faces of one block of generated images."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.synthesis import faces

    chosen = json.loads(snakemake.params.restorer)
    networks = {name: chosen.pop(name) for name in ("detector", "parser", "restorer")}
    restorer = faces.load_restorer(**networks, settings=faces.FaceSettings(**chosen), device=device)
    faces.restore_block(restorer, snakemake.input.manifest, snakemake.output.images, snakemake.output.manifest)
