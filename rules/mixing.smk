"""
Choose the generated images of an experiment (paper, section III, fourth stage).

    takes   images/.../block-{block}.csv, annotations/.../block-{block}.h5
            quality/.../block-{block}.csv, filters/{experiment}.csv, for experiments that filter
    gives   fake/{experiment}.csv                D_fake: image, annotation, count
"""


rule mix_dataset:
    """List the generated images of {wildcards.experiment} with the annotation that each is trained on."""
    input:
        manifests=lambda wildcards: blocks_of_experiment(
            wildcards.experiment, "<results>/images/{pool}/{generator}/block-{block}.csv"
        ),
        annotations=lambda wildcards: blocks_of_experiment(wildcards.experiment, rules.annotate_images.output[0]),
        scores=scores_of_experiment,
        kept_prompts=kept_prompts_of_experiment,
    output:
        "<results>/fake/{experiment}.csv",
    log:
        "<logs>/mix_dataset/{experiment}.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        prompts=lambda wildcards: fake_settings(wildcards.experiment)["prompts"],
        images=lambda wildcards: fake_settings(wildcards.experiment)["images"],
        prompt=lambda wildcards: fake_settings(wildcards.experiment).get("prompt"),
        r_img=lambda wildcards: fake_settings(wildcards.experiment)["r_img"],
        block_size=BLOCK_SIZE,
        code=fingerprint("mix_dataset"),
    message:
        "Mixing the generated images of {wildcards.experiment}"
    script:
        "../scripts/mix_dataset.py"
