"""What the stages share: the checked config, constants, input functions, and the fingerprint of code."""

import os
import re
import shlex
import sys
from functools import cache

SCRIPTS = os.path.join(workflow.basedir, "scripts")
sys.path.insert(0, SCRIPTS)
# The jobs' scripts find the library too, also those in a folder of scripts/.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SCRIPTS, os.environ.get("PYTHONPATH")]))

from promptmix.running import devices
from promptmix.running import failures
from promptmix.running import locks
from promptmix.running import slurm
from promptmix.config import sources
from promptmix.config.validation import as_text, check
from promptmix.running.contents import contents, is_known
from promptmix.datasets.readers import nyu
from promptmix.errors import OPTIONS, InputError
from promptmix.running.fingerprint import fingerprint
from promptmix.networks.registry import STRIDES
from promptmix.config.plan import Plan

try:
    check(config, os.path.relpath((workflow.overwrite_configfiles or ["config/config.yaml"])[-1]))
    SOURCES = sources.load()
except InputError as error:
    raise WorkflowError(str(error))

plan = Plan(config)

# What comes from elsewhere: files by their address, and archives by the folder of resources/datasets that they become.
FETCHED = sources.downloads()
ARCHIVES = sources.archives()
RETRIEVED = {
    *(f"resources/downloads/{file}" for file in FETCHED),
    *(f"resources/datasets/{archive}" for archive in ARCHIVES),
    *(f"resources/hub/{model}" for model in SOURCES["models"]),
    *(f"resources/checkpoints/{checkpoint}.safetensors" for checkpoint in SOURCES["checkpoints"]),
}

# Images per job. It is part of the files' names, so it is a constant: under another size all images would have other
# names. Not above 126: Snakemake keeps the records of 128 outputs of a job in memory.
BLOCK_SIZE = 100

CLUSTER_THREADS = 8  # to load images beside a GPU; --max-threads lowers it


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    captioner="|".join(config["captioners"]),
    pool="|".join(config["pools"]),
    generator="|".join(config["generators"]),
    annotator="|".join(config["annotators"]),
    annotators=r"[a-z0-9+-]+",
    experiment="|".join(plan.experiments),
    network="[a-z0-9-]+",
    block=r"\d{3}",
    lr=r"[0-9.e-]+",
    repeat=r"\d+",


def gpu_threads():
    """Return the threads of a job that computes on a GPU if there is one: its share of the cores that there are.

    A cluster's jobs ask for CLUSTER_THREADS: the cores of the machine that submits them say nothing about theirs.
    """
    if workflow.resource_settings.nodes or workflow.remote_exec:
        return CLUSTER_THREADS
    at_once, limit = (workflow.global_resources.get(name).value for name in ("gpu", "_cores"))
    return devices.threads(int(at_once or 1), limit)


GPU_THREADS = gpu_threads()


def options():
    """Return how this run was called, as far as results hang on it, for commands in the messages of its jobs."""
    configs = [os.path.relpath(file) for file in workflow.overwrite_configfiles]
    words = ["--configfile", *configs] if configs else []
    if not workflow.resource_settings.nodes:  # not on a cluster
        gpu, cores = (workflow.global_resources.get(name).value for name in ("gpu", "_cores"))
        words += ["--cores", str(cores)] + (["--resources", f"gpu={gpu}"] if gpu else [])
    return shlex.join(words)


if workflow.is_main_process:
    try:
        LOCK = locks.hold_and_clear(cluster=bool(workflow.resource_settings.nodes), check=slurm.refuse_orphans)
    except InputError as error:
        raise WorkflowError(str(error))
    os.environ[OPTIONS] = options()


def growing(mem_mb):
    """Return a job's memory in MB: so much, and as much again each time that it is tried again (--retries)."""
    return lambda wildcards, attempt: attempt * mem_mb


def one_of(names):
    """Return a regular expression that fits these names and no others."""
    return "|".join(map(re.escape, names)) or "(?!)"


def is_made(path):
    """Tell what a rule makes from what the user supplies."""
    return path.startswith(f"results/{config['scale']}/") or path.rstrip("/") in RETRIEVED


def there_or_made(path):
    """Return a file or folder that the user supplies as an input, if it is there or a rule makes it.

    Times of the former say nothing, as a fresh clone is newer than results from elsewhere: rules have its `contents_of`
    as a param. A missing one is no input, so that a dry run shows the whole plan; the job that needs it says what is
    missing. But one that was there before stays an input: Snakemake then keeps what was made of it.
    """
    if is_made(path):
        return [path]
    if not os.path.exists(path) and not is_known(path):
        return []
    if not os.path.exists(path):
        warn(f"{path} is not there any more. What was made of it is kept as it is, whatever the config says of it now")
    return [ancient(path)]


@cache
def warn(text):
    """Say something once, and not again for each job."""
    if workflow.is_main_process:
        logger.warning(text)


def contents_of(*paths):
    """Return a name for the contents of what the user supplies; what rules make, Snakemake follows by itself."""
    return contents(*(path for path in paths if path and not is_made(path)))


# --- Input functions, in the order of the stages ---


def source_of_dataset(wildcards):
    """Return the folder of a dataset: a rendered one, or where the config says that it lies."""
    rendered = expand(rules.render_dataset.output, dataset=wildcards.dataset)[0]
    path = config["datasets"][wildcards.dataset]["path"]
    if path.startswith(rendered):
        return [rendered]
    return there_or_made(path)


def download_of(checkpoint):
    """Return the file as which a checkpoint is published."""
    return f"resources/downloads/{SOURCES['checkpoints'][checkpoint]['download']}"


def contents_of_dataset(dataset):
    """Return a name for the contents of a dataset that is not rendered."""
    path = config["datasets"][dataset]["path"]
    is_nyu = config["datasets"][dataset]["format"] == "nyu" and os.path.isdir(path)
    return contents_of(os.path.join(path, nyu.FILE) if is_nyu else path)


def captions_of_pool(wildcards):
    """Return the captions and the index that a pool is made from; nothing for prompts written by hand."""
    pool = config["pools"][wildcards.pool]
    if "dataset" not in pool:
        return {}
    return {
        "captions": expand(rules.caption_images.output, **pool),
        "index": expand(rules.prepare_dataset.output.index, **pool),
    }


def contents_of_captioner(captioner):
    """Return a name for the contents of a captioner's CLIP, tokeniser and weights."""
    return contents_of(*(config["captioners"][captioner][key] for key in ("clip", "tokenizer", "weights")))


def annotator_weights(annotator):
    """Return the weights of an annotator: a given file, or what fine_tune_annotator makes; nothing of a function."""
    settings = config["annotators"][annotator]
    if "function" in settings:
        return []
    if "weights" in settings:
        return there_or_made(settings["weights"])
    return [f"results/{config['scale']}/annotators/{annotator}.safetensors"]


def fake_settings(experiment):
    """Return what the config says of an experiment's generated images, with their number by pool: k per prompt."""
    fake = plan.experiments[experiment]["fake"]
    prompts = [plan.prompts_of(pool) for pool in fake["pools"]]
    return fake | {"prompts": prompts, "images": [fake["images_per_prompt"] * number for number in prompts]}


def blocks_of_experiment(experiment, pattern, **wildcards):
    """Return the blocks, of images, annotations or scores, that an experiment's pools hold, in order."""
    fake = fake_settings(experiment)
    return [
        path
        for pool, images in zip(fake["pools"], fake["images"])
        for path in expand(
            pattern,
            pool=pool,
            generator=fake["generator"],
            block=plan.blocks_of(images, BLOCK_SIZE),
            **{"annotator": fake["annotator"]} | wildcards,
        )
    ]


def scores_of_experiment(wildcards):
    """Return the scores of an experiment's images, or nothing where all images are kept."""
    fake = plan.experiments[wildcards.experiment]["fake"]
    if fake["r_img"] == 100:
        return []
    return blocks_of_experiment(
        wildcards.experiment, rules.score_images.output[0], annotators="+".join(sorted(fake["scored_by"]))
    )


def kept_prompts_of_experiment(wildcards):
    """Return which prompts an experiment's filter keeps, or nothing without a filter."""
    filtered = "prompt_filter" in plan.experiments[wildcards.experiment]["fake"]
    return expand(rules.filter_prompts.output, experiment=wildcards.experiment) if filtered else []


def selections_of_prompts(wildcards):
    """Return the selections of the trainings that tell an experiment's prompts apart, one per prompt."""
    return expand(rules.select_learning_rate.output, experiment=plan.of_single_prompts(wildcards.experiment))


def selection_of_baseline(wildcards):
    """Return the selection of the baseline that an experiment's prompts are compared with."""
    baseline = plan.experiments[wildcards.experiment]["fake"]["prompt_filter"]["baseline"]
    return expand(rules.select_learning_rate.output, experiment=plan.canonical(baseline))


def index_of_experiment(wildcards):
    """Return the index of the dataset that an experiment trains and tests on."""
    return expand(rules.prepare_dataset.output.index, dataset=plan.experiments[wildcards.experiment]["dataset"])


def fake_of_experiment(wildcards):
    """Return D_fake of an experiment, or nothing for a baseline."""
    fake = plan.experiments[wildcards.experiment].get("fake")
    return expand(rules.mix_dataset.output, experiment=wildcards.experiment) if fake else []


def histories_of(experiment):
    """Return the histories of all runs of an experiment: for each learning rate, all repeats."""
    training = plan.training_of(experiment)
    return expand(
        rules.train_network.output.history,
        experiment=experiment,
        lr=training["learning_rates"],
        repeat=range(training["repeats"]),
    )


def checkpoints_of(experiment):
    """Return the checkpoints of all runs of an experiment, in the order of their histories."""
    return [path.replace("history.csv", "checkpoint.safetensors") for path in histories_of(experiment)]


def selection_of(experiment):
    """Return the selection of an experiment's learning rate."""
    return expand(rules.select_learning_rate.output, experiment=experiment)


def runs_of_table(table, output):
    """Return an output of each experiment of a table; equal experiments are one."""
    return expand(output, experiment=[row["experiment"] for row in plan.rows_of_table(table)])


def fakes_of_table(table):
    """Return D_fake of each experiment of a table that has one."""
    names = [row["experiment"] for row in plan.rows_of_table(table)]
    return expand(rules.mix_dataset.output, experiment=[name for name in names if "fake" in plan.experiments[name]])


def convention_of_table(table):
    """Return the way to score depth, for tables of depth only: others do not change with it."""
    is_depth = plan.rows_of_table(table)[0]["task"] == "depth"
    return "{crop}-{average}".format(**config["evaluation"]) if is_depth else None


def rows_of_costs():
    """Return the rows of Table III."""
    return plan.rows_of_costs(f"results/{config['scale']}")


def images_of_roundtrip(pattern):
    """Return the blocks that hold the first image of each prompt of the pools whose images are captioned again."""
    chosen = plan.chosen("tables", "roundtrip")
    return [
        path
        for pool in chosen["pools"]
        for path in expand(
            pattern,
            pool=pool,
            generator=chosen["generator"],
            captioner=chosen["captioner"],
            block=plan.blocks_of(plan.prompts_of(pool), BLOCK_SIZE),
        )
    ]


def images_of_figure2(wildcards):
    """Return the first block of grey and of coloured images."""
    chosen = plan.chosen("figures", "figure2")
    pattern = "<results>/images/{pool}/{generator}/block-000.csv"
    return {name: expand(pattern, pool=chosen[name], generator=chosen["generator"])[0] for name in ("grey", "colour")}


def indexes_of_figure(figure):
    """Return the indexes of the datasets of a figure's comparisons."""
    names = [plan.experiments[pair["baseline"]]["dataset"] for pair in plan.chosen("figures", figure)]
    return [path for name in names for path in expand(rules.prepare_dataset.output.index, dataset=name)]


def of_figure(figure, output_of):
    """Return outputs of the experiments of a figure's comparisons: of each baseline, then of its PromptMix twin."""
    pairs = plan.chosen("figures", figure)
    return [
        path for pair in pairs for role in ("baseline", "promptmix") for path in output_of(plan.canonical(pair[role]))
    ]


def code_of_figure(figure):
    """Return the code of the networks in a figure's comparisons."""
    return sorted({plan.code_of(pair["baseline"]) for pair in plan.chosen("figures", figure)})


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


def images_to_restore(wildcards):
    """Return the block of images in which a generator's restorer restores faces: another generator's."""
    source = config["generators"][wildcards.generator]["generator"]
    pattern = rules.generate_images.output.manifest
    return {"manifest": expand(pattern, pool=wildcards.pool, generator=source, block=wildcards.block)[0]}


def networks_of_restorer(generator):
    """Return the paths of the checkpoints of a generator's restorer: detector, parser and restorer."""
    settings = config["restorers"][config["generators"][generator]["restorer"]]
    return {name: settings[name]["weights"] for name in ("detector", "parser", "restorer")}


def weights_of_restorer(wildcards):
    """Return the checkpoints of a generator's restorer."""
    return {name: there_or_made(path) for name, path in networks_of_restorer(wildcards.generator).items()}
