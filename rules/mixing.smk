"""
Choose the generated images of an experiment (paper, section III, fourth stage).

    takes   images/.../block-{block}.csv, annotations/.../block-{block}.h5
    gives   fake/{experiment}.csv                D_fake: image, annotation, count
"""


rule mix_dataset:
    """List the generated images of {wildcards.experiment} with the annotation that each is trained on."""
    input:
        manifests=lambda wildcards: blocks_of_experiment(wildcards, rules.generate_images.output.manifest),
        annotations=lambda wildcards: blocks_of_experiment(wildcards, rules.annotate_images.output[0]),
    output:
        "<results>/fake/{experiment}.csv",
    log:
        "<logs>/mix_dataset/{experiment}.log",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        images=lambda wildcards: images_of_pools(wildcards.experiment),
        blocks=lambda wildcards: [
            len(plan.blocks_of(images, BLOCK_SIZE)) for images in images_of_pools(wildcards.experiment)
        ],
        code=fingerprint("mix_dataset"),
    message:
        "Mixing the generated images of {wildcards.experiment}"
    script:
        "../scripts/mix_dataset.py"
