"""
The paper's figures, and a picture of generated images.

    takes   datasets/{dataset}/index.csv, images/.../block-000.csv, annotations/.../block-000.h5
            runs/{experiment}/selection.json, runs/{experiment}/lr-{lr}/repeat-{repeat}/checkpoint.safetensors
    gives   figures/figure2.png, figure3.png, figure4.png, each with a .csv of its numbers
            figures/examples.png
"""


rule show_examples:
    """The first training images of Table I's first dataset, and below each what was generated from its caption."""
    input:
        index=example_of(rules.prepare_dataset.output.index),
        manifest=example_of("<results>/images/{pool}/{generator}/block-{block}.csv"),
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


rule figure2:
    """Figure 2: the first image of each grey prompt above that of the same prompt in colour, from the same seed."""
    input:
        unpack(images_of_figure2),
    output:
        png="figures/figure2.png",
        csv="figures/figure2.csv",
    log:
        "<logs>/figure2.log",
    localrule: True
    conda:
        "../envs/promptmix.yaml"
    params:
        prompts=lambda wildcards: plan.chosen("figures", "figure2")["columns"],
        code=fingerprint("figure2"),
    message:
        "Drawing Figure 2"
    script:
        "../scripts/figure2.py"


rule draw_predictions:
    """Figures 3 and 4: test images, predictions without and with PromptMix, and the ground truth."""
    input:
        indexes=lambda wildcards: indexes_of_figure(f"figure{wildcards.n}"),
        selections=lambda wildcards: of_figure(f"figure{wildcards.n}", selection_of),
        checkpoints=lambda wildcards: of_figure(f"figure{wildcards.n}", checkpoints_of),
    output:
        png="figures/figure{n}.png",
        csv="figures/figure{n}.csv",
    log:
        "<logs>/draw_predictions/{n}.log",
    wildcard_constraints:
        n="[34]",
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        gpu=1,
        mem_mb=growing(8000),
        runtime=30,
    params:
        comparisons=lambda wildcards: as_text(plan.comparisons_of_figure(f"figure{wildcards.n}")),
        code=lambda wildcards: fingerprint("draw_predictions", *code_of_figure(f"figure{wildcards.n}")),
    message:
        "Drawing Figure {wildcards.n}"
    script:
        "../scripts/draw_predictions.py"
