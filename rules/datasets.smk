"""
Bring every dataset into one form.

    takes   a dataset as its authors ship it, or as it is rendered in its authors' format
    gives   rendered/{dataset}/                  a rendered dataset
            datasets/{dataset}/index.csv         image, split, size, grey, JPEG quality, count
            datasets/{dataset}/pixels.npy        the images at training size, one after the other
            datasets/{dataset}/heads.npy         x, y, box width, box height; of depth datasets none
            datasets/{dataset}/depths.npy        metres in each pixel; of crowd datasets none
"""


def source_of_dataset(
    wildcards,
):
    """Return the folder of a dataset: a rendered one, or where the config says that it is."""
    if wildcards.dataset in config["render"]:
        return expand(rules.render_dataset.output, dataset=wildcards.dataset)
    return supplied(config["datasets"][wildcards.dataset]["path"])


def contents_of_dataset(
    wildcards,
):
    """Return a name for the contents of a dataset that is not rendered; say what the job will refuse to read."""
    entry = config["datasets"][wildcards.dataset]
    try:
        datasets.check_names(entry["format"], entry["path"])
    except InputError as error:
        warn(str(error))
    is_folder_of_a_file = entry["format"] == "nyu" and os.path.isdir(entry["path"])
    return contents_of(os.path.join(entry["path"], datasets.TOP["nyu"]) if is_folder_of_a_file else entry["path"])


def reader_of_dataset(
    wildcards,
):
    """Return the module that reads a dataset's format."""
    return datasets.reader_of(config["datasets"][wildcards.dataset]["format"])


rule render_dataset:
    """Render crowds with known heads, or rooms with known depth, in the format of the dataset whose part they play."""
    output:
        directory("<results>/rendered/{dataset}"),
    log:
        "<logs>/render_dataset/{dataset}.log",
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(1000),
        runtime=10,
    params:
        settings=setting("render", "{dataset}"),
        images=setting("datasets", "{dataset}", "images"),
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
    benchmark:
        "<benchmarks>/prepare_dataset/{dataset}.tsv"
    priority: FIRST
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(6000),
        runtime=120,
    params:
        path=lambda wildcards: placed(config["datasets"][wildcards.dataset]["path"]),
        format=setting("datasets", "{dataset}", "format"),
        unit=setting("datasets", "{dataset}", "unit"),
        anchor=setting("datasets", "{dataset}", "anchor"),
        images=setting("datasets", "{dataset}", "images"),
        split=setting("datasets", "{dataset}", "split"),
        resize=setting("datasets", "{dataset}", "resize"),
        seed=config["seed"],
        contents=contents_of_dataset,
        code=lambda wildcards: fingerprint("prepare_dataset", reader_of_dataset(wildcards)),
    message:
        "Preparing {wildcards.dataset}"
    script:
        "../scripts/prepare_dataset.py"
