"""Score the images of a block by how alike CLIP finds each and its prompt."""

from promptmix.running import job

with job.start(snakemake) as device:
    from promptmix.records.likeness import CLIP_SCORES
    from promptmix.synthesis.likeness import TextEncoder, read_features, score_prompts
    from promptmix.synthesis.manifest import read_manifest

    images = read_manifest(snakemake.input.manifest)
    features = read_features(snakemake.input.features, images["stem"].tolist())
    encoder = TextEncoder(**job.with_inputs(snakemake, {"model": snakemake.params.model}, "model"), device=device)
    scores = score_prompts(features, images["prompt"].tolist(), encoder)
    CLIP_SCORES.write(snakemake.output[0], images[["stem"]].assign(clip_score=scores))
