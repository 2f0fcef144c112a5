"""Caption one block of generated images."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.records.captions import GENERATED_CAPTIONS
    from promptmix.synthesis.captioning import check_captions
    from promptmix.synthesis.manifest import read_images
    from promptmix.synthesis.registry import load_captioner

    settings = job.with_inputs(snakemake, snakemake.params.captioner, "clip", "tokenizer", "weights", "model")
    captioner = load_captioner(settings, device)
    stems = [stem for stem, _ in read_images(snakemake.input.manifest)]
    captions = list(captioner.caption((image for _, image in read_images(snakemake.input.manifest)), total=len(stems)))
    check_captions(captions)
    rows = [{"stem": stem, "caption": text} for stem, text in zip(stems, captions, strict=True)]
    GENERATED_CAPTIONS.write(snakemake.output[0], rows)
