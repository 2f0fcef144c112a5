"""Caption one block of generated images."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from pathlib import Path

    from promptmix.files import write_csv
    from promptmix.running.progress import progress
    from promptmix.synthesis.captions import Captioner
    from promptmix.synthesis.manifest import read_images, read_manifest

    captioner = Captioner(**json.loads(snakemake.params.captioner), device=device)
    manifest = snakemake.input.manifest
    captions = captioner.caption(image for _, image in read_images(manifest))
    stems = [Path(image).stem for image in read_manifest(manifest)["image"]]
    captions = progress(captions, len(stems), "images captioned")
    write_csv(snakemake.output[0], [{"image": s, "caption": c} for s, c in zip(stems, captions, strict=True)])
