"""
Bring every dataset into one form.

    takes   a dataset as its authors ship it, or as it is rendered in its authors' format
    gives   rendered/{dataset}/                  a rendered dataset
            datasets/{dataset}/index.csv         image, split, size, grey, JPEG quality, count
            datasets/{dataset}/pixels.npy        the images at training size, one after the other
            datasets/{dataset}/heads.npy         x, y, box width, box height; of depth datasets none
            datasets/{dataset}/depths.npy        metres in each pixel; of crowd datasets none
"""


rule render_dataset:
    """Render crowds with known heads, or rooms with known depth, in the format of the dataset whose part they play."""
    output:
        directory("<results>/rendered/{dataset}"),
    log:
        "<logs>/render_dataset/{dataset}.log",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        settings=lambda wildcards: as_text(config["render"][wildcards.dataset]),
        images=lambda wildcards: as_text(config["datasets"][wildcards.dataset]["images"]),
        seed=config["seed"],
        code=fingerprint("miniature/render_dataset"),
    message:
        "Rendering {wildcards.dataset}"
    script:
        "../scripts/miniature/render_dataset.py"


rule prepare_dataset:
    """Read {wildcards.dataset}, split it, and store its images at training size."""
    input:
        source_of_dataset,
    output:
        index="<results>/datasets/{dataset}/index.csv",
        pixels="<results>/datasets/{dataset}/pixels.npy",
        heads="<results>/datasets/{dataset}/heads.npy",
        depths="<results>/datasets/{dataset}/depths.npy",
    log:
        "<logs>/prepare_dataset/{dataset}.log",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(6000),
        runtime=120,
    params:
        path=lambda wildcards: config["datasets"][wildcards.dataset]["path"],
        format=lambda wildcards: config["datasets"][wildcards.dataset]["format"],
        unit=lambda wildcards: config["datasets"][wildcards.dataset].get("unit"),
        images=lambda wildcards: as_text(config["datasets"][wildcards.dataset]["images"]),
        split=lambda wildcards: as_text(config["datasets"][wildcards.dataset]["split"]),
        resize=lambda wildcards: as_text(config["datasets"][wildcards.dataset].get("resize")),
        seed=config["seed"],
        contents=lambda wildcards: contents_of_dataset(wildcards.dataset),
        code=fingerprint("prepare_dataset"),
    message:
        "Preparing {wildcards.dataset}"
    script:
        "../scripts/prepare_dataset.py"
