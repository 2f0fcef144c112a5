"""What the stages share: the checked config, constants, params, and the fingerprint of code.

A manifest (block-{block}.csv) stands for the images in the folder block-{block} beside it, and fake/{experiment}.csv for
the manifests and annotations that it lists: jobs read those files too, whose contents the manifest and D_fake name by
their SHA-256.
"""

import functools
import glob
import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

SCRIPTS = os.path.join(REPOSITORY, "scripts")
if not os.path.isdir(SCRIPTS):
    raise WorkflowError(
        f"{REPOSITORY}: the workflow needs its scripts/ as files. Clone it, and give the clone's Snakefile"
    )
sys.path.insert(0, SCRIPTS)
# The jobs' scripts find the library too, also those in a folder of scripts/.
os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, [SCRIPTS, os.environ.get("PYTHONPATH")]))}

from promptmix.config import blocks, targets, validation
from promptmix.config.asking import Asking
from promptmix.config.columns import NONE
from promptmix.config.experiments import METHODS
from promptmix.datasets import registry as datasets
from promptmix.errors import OPTIONS, InputError, command
from promptmix.files import count_bytes
from promptmix.networks.registry import STRIDES
from promptmix.running import devices, failures, locks, slurm
from promptmix.running.fingerprint import fingerprint
from promptmix.tasks import registry as tasks
from promptmix.training import objective

try:
    if workflow.modifier.skip_configfile:  # a `module` statement gives the config, which is of no file
        extended = config.get("extends")
        files, called = [str(extended)] if extended else [], "the module's config"
    else:
        files, called = [os.path.relpath(file) for file in GIVEN_CONFIGS or [DEFAULT_CONFIG]], "--config"
    config = validation.read(files, config, called)
    plan, TARGETS = validation.resolve(config)
    if workflow.is_main_process:
        LOCK = locks.hold_and_clear(cluster=bool(workflow.resource_settings.nodes), check=slurm.refuse_orphans)
except InputError as error:
    raise WorkflowError(str(error))

RESULTS = f"results/{config['scale']}"
PATHS = workflow.modifier.path_modifier  # the `prefix` that a `module` statement puts before what rules make and read

CLUSTER_THREADS = 8  # to load images beside a GPU; --max-threads lowers it


def one_of(names):
    """Return a regular expression that fits these names and no others."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    captioner=one_of(config["captioners"]),
    pool=one_of(plan.pools),
    generator=one_of(plan.generators),
    annotator=one_of(plan.annotators),
    annotators=r"[a-z0-9-]+(\+[a-z0-9-]+)+",
    clip=one_of(plan.clips),
    experiment=one_of(plan.experiments),
    network="[a-z0-9-]+",
    block=r"\d{5}-\d{5}",
    lr=r"[0-9.e-]+",
    repeat=r"\d+",
    single=one_of(plan.experiments),
    rung=r"\d+",


def limits():
    """Return how many GPU jobs and how many cores this run may use at once, each None if nothing says so."""
    return [workflow.global_resources.get(name).value for name in ("gpu", "_cores")]


def gpu_threads():
    """Return the threads of a job that computes on a GPU if there is one: its share of the cores that there are.

    A cluster's jobs ask for CLUSTER_THREADS: the cores of the machine that submits them say nothing about theirs.
    """
    if workflow.resource_settings.nodes or workflow.remote_exec:
        return CLUSTER_THREADS
    at_once, cores = limits()
    return devices.threads(int(at_once or 1), cores)


GPU_THREADS = gpu_threads()

ASKING = Asking(plan, gpu=bool(workflow.resource_settings.nodes or workflow.remote_exec or devices.gpus()))
"""What jobs ask for whose memory and time depend on their networks and images."""

FIRST = 1
"""The priority of what trainings wait for: generated images come before other trainings, or they would be made one by one at
the end, with cores or GPUs idle."""

if workflow.is_main_process:
    # How this run was called, as far as results depend on it, for commands in the messages of its jobs.
    place = os.path.abspath if workflow.overwrite_workdir else os.path.relpath
    words = ["--snakefile", place(workflow.main_snakefile)] if place(workflow.main_snakefile) != "Snakefile" else []
    words += ["--directory", os.getcwd()] if workflow.overwrite_workdir else []
    if workflow.overwrite_configfiles:
        words += ["--configfile", *map(place, workflow.overwrite_configfiles)]
    if not workflow.resource_settings.nodes:  # not on a cluster
        gpu, cores = limits()
        words += ["--cores", str(cores)] + (["--resources", f"gpu={gpu}"] if gpu else [])
    os.environ[OPTIONS] = shlex.join(words)


def growing(mem_mb):
    """Return a job's memory in MB: the given amount, and as much again each time that it is tried again (--retries).

    Args:
        mem_mb: a number, or a function of the wildcards.
    """
    return lambda wildcards, attempt: attempt * (mem_mb(wildcards) if callable(mem_mb) else mem_mb)


def in_order(value):
    """Return a part of the config with its keys sorted: Snakemake compares params by their text."""
    return {key: in_order(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def setting(*path, default=None):
    """Return a param: what the config says at a place such as "pools", "{pool}", or else the default."""

    def get(wildcards):
        found = config
        for part in path:
            found = found.get(part.format(**wildcards), default)
        return in_order(found)

    return get


def experiment_of(wildcards):
    """Return the experiment that a job is for."""
    return plan.experiments[wildcards.experiment]


def fake_of(wildcards):
    """Return what an experiment's generated images are made from.

    Raises:
        InputError: it has none.
    """
    experiment = experiment_of(wildcards)
    if not experiment.fake or experiment.fake.rendered:
        mixed = {name: other.fake for name, other in plan.experiments.items() if other.fake}
        others = [name for name, fake in mixed.items() if not (fake.prompt or fake.rendered)]
        why = "has rendered images" if experiment.fake else f"is a {METHODS[experiment.method]}"
        raise InputError(
            f"{experiment.name} ({experiment.where}) {why}: it has no generated images. "
            f"Expected one of {', '.join(others) or '(none of the experiments has any)'}"
        )
    return experiment.fake


@functools.cache
def images_asked():
    """Return how many images of a pool anything in the config asks for at most, by pool and generator."""
    found = plan.needs(*plan.experiments)
    for target in TARGETS.values():
        found |= target.needs
    return found.images


@functools.cache
def blocks_made(pool, diffusion):
    """Return the blocks of a pool's images by a diffusion model, with faces restored or not, whose manifests are there."""
    same = [name for name in plan.generators if plan.diffusion_of(name) == diffusion]
    names = expand(rules.generate_images.output.manifest, pool=pool, generator=same, block="?????-?????")
    return {Path(path).stem.removeprefix("block-") for name in names for path in glob.glob(name)}


def blocks_of(pool, generator, number):
    """Return the blocks that hold the first images of a pool: those that are there, and those to make beside them.

    Images with faces restored are in the same blocks as those that they are made from.
    """
    diffusion = plan.diffusion_of(generator)
    asked, made = images_asked()[pool, diffusion], blocks_made(pool, diffusion)
    return blocks.cover(number, asked, made, config["images_per_block"])


def prepared(dataset):
    """Return the files of a prepared dataset, by name."""
    return {name: expand(path, dataset=dataset)[0] for name, path in rules.prepare_dataset.output.items()}
