"""Caption one block of generated images."""

import json

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.records import GENERATED_CAPTIONS
    from promptmix.running.progress import progress
    from promptmix.synthesis.captions import Captioner
    from promptmix.synthesis.manifest import read_images, read_manifest

    captioner = Captioner(**json.loads(snakemake.params.captioner), device=device)
    manifest = snakemake.input.manifest
    captions = captioner.caption(image for _, image in read_images(manifest))
    stems = read_manifest(manifest)["stem"]
    captions = progress(captions, len(stems), "images captioned")
    rows = [{"stem": stem, "caption": caption} for stem, caption in zip(stems, captions, strict=True)]
    GENERATED_CAPTIONS.write(snakemake.output[0], rows)
