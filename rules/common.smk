"""What the stages share: the checked config, constants, input functions, and the fingerprint of code."""

import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "scripts"))

from promptmix.configuration import Plan, as_text, check
from promptmix.errors import InputError
from promptmix.fingerprint import fingerprint

try:
    check(config, os.path.relpath((workflow.overwrite_configfiles or ["config/config.yaml"])[-1]))
except InputError as error:
    raise WorkflowError(str(error))

plan = Plan(config)

# Images per job. It is part of the files' names, so it is a constant: under another size all images would have other
# names. Not above 126: Snakemake keeps the records of 128 outputs of a job in memory.
BLOCK_SIZE = 100

# Image pixels per cell of a density map, along a side, of every lightweight network.
STRIDE = 8


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    captioner="|".join(config["captioners"]),
    pool="|".join(config["pools"]),
    generator="|".join(config["generators"]),
    annotator="|".join(config["annotators"]),
    experiment="|".join(config["experiments"]),
    block=r"\d{3}",
    lr=r"[0-9.e-]+",
    repeat=r"\d+",


def gpu_threads():
    """Return the threads of a job that computes on a GPU if there is one: an equal share of this machine's cores.

    Jobs that together start more threads than there are cores run many times slower than one after the other.
    """
    at_once = workflow.global_resources.get("gpu")
    return max(1, len(os.sched_getaffinity(0)) // max(1, int(at_once.value) if at_once else 1))


GPU_THREADS = gpu_threads()


def there_or_made(path):
    """Return a file or folder that the user supplies as an input, if it is there or a rule makes it.

    A missing one is no input, so that a dry run shows the whole plan; the job that needs it says what is missing.
    """
    made = str(path).startswith(f"results/{config['scale']}/")
    return [path] if made or os.path.exists(path) else []


# --- Input functions, in the order of the stages ---


def source_of_dataset(wildcards):
    """Return the folder of a dataset: a rendered one, or where the config says that it lies."""
    rendered = expand(rules.render_dataset.output, dataset=wildcards.dataset)[0]
    path = config["datasets"][wildcards.dataset]["path"]
    return there_or_made(rendered if path.startswith(rendered) else path)


def captions_of_pool(wildcards):
    """Return the captions and the index that a pool is made from; nothing for prompts written by hand."""
    pool = config["pools"][wildcards.pool]
    if "dataset" not in pool:
        return {}
    return {
        "captions": expand(rules.caption_images.output, **pool),
        "index": expand(rules.prepare_dataset.output.index, **pool),
    }


def annotator_weights(annotator):
    """Return the weights of an annotator: a given file, or what fine_tune_annotator makes."""
    settings = config["annotators"][annotator]
    if "weights" in settings:
        return there_or_made(settings["weights"])
    return [f"results/{config['scale']}/annotators/{annotator}.safetensors"]


def images_of_pools(experiment):
    """Return how many images an experiment takes of each of its pools: k per prompt."""
    fake = config["experiments"][experiment]["fake"]
    return [fake["images_per_prompt"] * plan.prompts_of(pool) for pool in fake["pools"]]


def blocks_of_experiment(wildcards, pattern):
    """Return the blocks, of images or of annotations, that an experiment's pools hold, in order."""
    fake = config["experiments"][wildcards.experiment]["fake"]
    return [
        path
        for pool, images in zip(fake["pools"], images_of_pools(wildcards.experiment))
        for path in expand(
            pattern,
            pool=pool,
            generator=fake["generator"],
            annotator=fake["annotator"],
            block=plan.blocks_of(images, BLOCK_SIZE),
        )
    ]


def index_of_experiment(wildcards):
    """Return the index of the dataset that an experiment trains and tests on."""
    return expand(rules.prepare_dataset.output.index, dataset=config["experiments"][wildcards.experiment]["dataset"])


def fake_of_experiment(wildcards):
    """Return D_fake of an experiment, or nothing for a baseline."""
    fake = config["experiments"][wildcards.experiment].get("fake")
    return expand(rules.mix_dataset.output, experiment=wildcards.experiment) if fake else []


def network_of(wildcards):
    """Return the name of an experiment's network."""
    return config["experiments"][wildcards.experiment]["network"]


def histories_of_experiment(wildcards):
    """Return the histories of all runs of an experiment: for each learning rate, all repeats."""
    training = plan.training_of(wildcards.experiment)
    return expand(
        rules.train_network.output.history,
        experiment=wildcards.experiment,
        lr=training["learning_rates"],
        repeat=range(training["repeats"]),
    )


def checkpoints_of_experiment(wildcards):
    """Return the checkpoints of all runs of an experiment, in the order of their histories."""
    return [path.replace("history.csv", "checkpoint.safetensors") for path in histories_of_experiment(wildcards)]


def runs_of_table(table, output):
    """Return an output of each experiment of a table; equal experiments are one."""
    return expand(output, experiment=[row["experiment"] for row in plan.rows_of_table(table)])


def example_of(output):
    """Return an output of the first block of Table I's first experiment with generated images."""
    experiment = config["experiments"][config["tables"]["table1"][0]["promptmix"]]
    return expand(
        output,
        dataset=experiment["dataset"],
        pool=experiment["fake"]["pools"][0],
        block="000",
        **{key: experiment["fake"][key] for key in ("generator", "annotator")},
    )


def annotator_like(name):
    """Return the settings of an annotator of the miniature, with those of the images that it is trained on."""
    settings = config["miniature"]["annotators"][name]
    dataset = settings["dataset"]
    return settings | {"render": config["render"][dataset], "resize": config["datasets"][dataset].get("resize")}


def starting_weights(wildcards):
    """Return the annotator that this one starts from, if there is one."""
    start = config["miniature"]["annotators"][wildcards.name].get("start")
    return [f"results/{config['scale']}/models/{start}.safetensors"] if start else []
