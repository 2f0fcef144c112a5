"""
Give the generated images of an experiment to others.

    takes   fake/{experiment}.csv, images/.../block-{block}.csv, annotations/.../block-{block}.h5
            quality/.../block-{block}.csv, q and CLIP scores, for experiments that filter images by them
    gives   published/{experiment}/     images, annotations, points, metadata.csv, dataset card, croissant.json, SHA256SUMS
"""

from promptmix.config import materials


def published_experiment(
    wildcards,
):
    """Return the experiment to publish, if it has generated images, and if their licences allow it."""
    try:
        experiment = materials.experiment_to_publish(plan, wildcards.experiment)
        used = materials.materials_of(plan, experiment.name)
        materials.check_publishable(used, config["publish"]["accept"])
    except InputError as error:
        raise WorkflowError(str(error))
    return experiment


PUBLISHED = ("manifests", "annotations", "scores", "clip_scores")


def images_to_publish(
    wildcards,
):
    """Return D_fake, and the blocks that its images, and their scores if it filters them, are in."""
    found = blocks_to_mix(wildcards) if published_experiment(wildcards) else {}
    fake = {"fake": expand(rules.mix_dataset.output.fake, **wildcards)}
    return fake | {name: found[name] for name in PUBLISHED if name in found}


def facts_to_publish(
    wildcards,
):
    """Return what the dataset card says of an experiment's images."""
    return in_order(materials.card_of(plan, published_experiment(wildcards).name))


rule publish_dataset:
    """Put the generated images of {wildcards.experiment} into a folder for others, if licences allow it."""
    input:
        unpack(images_to_publish),
    output:
        directory("<results>/published/{experiment}"),
    log:
        "<logs>/publish_dataset/{experiment}.log",
    wildcard_constraints:
        experiment=r"[^/]+",
    conda:
        "../envs/promptmix.yaml"
    resources:
        mem_mb=growing(2000),
        runtime=60,
    params:
        task=lambda wildcards: published_experiment(wildcards).task,
        facts=facts_to_publish,
        code=fingerprint("publish_dataset"),
    message:
        "Publishing the generated images of {wildcards.experiment}"
    script:
        "../scripts/publish_dataset.py"
