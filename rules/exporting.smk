"""
Networks for use elsewhere: ONNX with the preprocessing inside, weights, and a card. Made when asked for, as
`snakemake results/{scale}/exported/{experiment}`; scripts/predict.py uses them.

    takes   datasets/{dataset}/index.csv
            runs/{experiment}/selection.json, predictions.csv, lr-{lr}/repeat-{repeat}/checkpoint.safetensors
    gives   exported/{experiment}/network.onnx            images in, density and count or depth out
            exported/{experiment}/network.safetensors     the same weights for PyTorch
            exported/{experiment}/README.md               data, errors, cost, latency, licences
"""

from promptmix.config import materials


def network_to_export(
    wildcards,
):
    """Return what an experiment is evaluated with, and its predictions."""
    return networks_to_evaluate(wildcards) | {"predictions": expand(rules.evaluate_network.output, **wildcards)}


def facts_of_export(
    wildcards,
):
    """Return what a card says of an experiment, and how its images are resized."""
    experiment = experiment_of(wildcards)
    return {
        "title": experiment.network.title,
        "dataset": plan.title_of(experiment.dataset),
        "method": METHODS[experiment.method],
        "convention": "{crop}-{average}".format(**config["evaluation"]) if experiment.task == "depth" else None,
        "resize": in_order(config["datasets"][experiment.dataset].get("resize")),
    }


rule export_network:
    """Write {wildcards.experiment}'s network as ONNX and safetensors, with a card, after comparing it with PyTorch."""
    input:
        unpack(network_to_export),
    output:
        directory("<results>/exported/{experiment}"),
    log:
        "<logs>/export_network/{experiment}.log",
    benchmark:
        "<benchmarks>/export_network/{experiment}.tsv"
    conda:
        "../envs/promptmix.yaml"
    threads: GPU_THREADS
    resources:
        mem_mb=growing(8000),
        runtime=120,
    params:
        network=network_of_experiment,
        facts=facts_of_export,
        terms=lambda wildcards: materials.terms_of_training(plan, experiment_of(wildcards).name),
        code=lambda wildcards: fingerprint(
            "export_network",
            experiment_of(wildcards).network.code,
        ),
    message:
        "Exporting the network of {wildcards.experiment}"
    script:
        "../scripts/export_network.py"
