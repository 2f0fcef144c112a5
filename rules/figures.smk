"""
Pictures of results.

    takes   datasets/{dataset}/index.csv, images/.../block-000.csv, annotations/.../block-000.h5
    gives   figures/examples.png
"""


rule show_examples:
    """The first training images of Table I's first dataset, and below each what was generated from its caption."""
    input:
        index=example_of(rules.prepare_dataset.output.index),
        manifest=example_of(rules.generate_images.output.manifest),
        annotations=example_of(rules.annotate_images.output[0]),
    output:
        "figures/examples.png",
    log:
        "<logs>/show_examples.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        columns=6,
        annotator=config["experiments"][config["tables"]["table1"][0]["promptmix"]]["fake"]["annotator"],
        code=fingerprint("show_examples"),
    message:
        "Drawing examples"
    script:
        "../scripts/show_examples.py"
