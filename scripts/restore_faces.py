"""Restore the faces of one block of generated images."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.synthesis import faces

    chosen = dict(snakemake.params.restorer)
    networks = {
        name: job.with_inputs(snakemake, chosen.pop(name), weights=name) for name in ("detector", "parser", "restorer")
    }
    restorer = faces.load_restorer(**networks, settings=faces.FaceSettings(**chosen), device=device)
    faces.restore_block(restorer, snakemake.input.manifest, snakemake.output.images, snakemake.output.manifest)
