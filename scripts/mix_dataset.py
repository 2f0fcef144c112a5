"""List the generated images of an experiment with their annotations."""

from promptmix.running import job

with job.start(snakemake):
    import pandas as pd

    from promptmix.synthesis.filtering import keep_images
    from promptmix.synthesis.mixing import mix, write_fake

    source, params = snakemake.input, snakemake.params
    parts, first, prompts_before = [], 0, 0
    for prompts, images in zip(params.prompts, params.images, strict=True):
        blocks = -(-images // params.block_size)
        pool = slice(first, first + blocks)
        part = mix(source.manifests[pool], source.annotations[pool], limit=images, prompts=prompts)
        if source.scores:
            scores = pd.concat([pd.read_csv(file, dtype={"image": str}) for file in source.scores[pool]])
            part = part.assign(q=scores.set_index("image")["q"].reindex(part["stem"]).to_numpy())
        parts.append(part.assign(prompt_number=part["prompt_number"] + prompts_before))
        first, prompts_before = first + blocks, prompts_before + prompts
    fake = pd.concat(parts, ignore_index=True)
    if params.prompt is not None:
        fake = fake[fake["prompt_number"] == params.prompt]
    if source.kept_prompts:
        filtered = pd.read_csv(source.kept_prompts[0])
        fake = fake[fake["prompt_number"].isin(filtered["prompt_number"][filtered["kept"] == 1])]
    if source.scores:
        fake = fake.iloc[keep_images(fake["q"], params.r_img)]
    write_fake(snakemake.output[0], fake.reset_index(drop=True))
