"""What the stages share: the checked config, constants, params, and the fingerprint of code.

A manifest (block-{block}.csv) stands for the images of its block, and fake/{experiment}.csv for the manifests and
annotations that it lists: jobs read those files too, whose contents the manifest and D_fake name by their SHA-256.
"""

import os
import re
import shlex
import sys

SCRIPTS = os.path.join(workflow.basedir, "scripts")
sys.path.insert(0, SCRIPTS)
# The jobs' scripts find the library too, also those in a folder of scripts/.
os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, [SCRIPTS, os.environ.get("PYTHONPATH")]))}

from promptmix.config import targets, validation
from promptmix.config.experiments import BLOCK_SIZE, blocks_of
from promptmix.datasets import registry as datasets
from promptmix.errors import OPTIONS, InputError
from promptmix.networks.registry import STRIDES
from promptmix.running import devices, failures, locks, slurm
from promptmix.running.fingerprint import fingerprint
from promptmix.tasks import registry as tasks
from promptmix.training import objective

CONFIGS = [os.path.relpath(file) for file in workflow.overwrite_configfiles or [DEFAULT_CONFIG]]

try:
    checked = validation.read(CONFIGS, config)
    config.clear()
    config.update(checked)
    plan, TARGETS = validation.resolve(config)
    if workflow.is_main_process:
        LOCK = locks.hold_and_clear(cluster=bool(workflow.resource_settings.nodes), check=slurm.refuse_orphans)
except InputError as error:
    raise WorkflowError(str(error))

RESULTS = f"results/{config['scale']}"

CLUSTER_THREADS = 8  # to load images beside a GPU; --max-threads lowers it


def one_of(names):
    """Return a regular expression that fits these names and no others."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    dataset=one_of(config["datasets"]),
    captioner=one_of(config["captioners"]),
    pool=one_of(config["pools"]),
    generator=one_of(plan.generators),
    annotator=one_of(plan.annotators),
    annotators=r"[a-z0-9+-]+",
    experiment=one_of(plan.experiments),
    network="[a-z0-9-]+",
    block=r"\d{3}",
    lr=r"[0-9.e-]+",
    repeat=r"\d+",


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

if workflow.is_main_process:
    # How this run was called, as far as results depend on it, for commands in the messages of its jobs.
    words = ["--configfile", *CONFIGS] if workflow.overwrite_configfiles else []
    if not workflow.resource_settings.nodes:  # not on a cluster
        gpu, cores = limits()
        words += ["--cores", str(cores)] + (["--resources", f"gpu={gpu}"] if gpu else [])
    os.environ[OPTIONS] = shlex.join(words)


def growing(mem_mb):
    """Return a job's memory in MB: the given amount, and as much again each time that it is tried again (--retries)."""
    return lambda wildcards, attempt: attempt * mem_mb


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


def prepared(dataset):
    """Return the files of a prepared dataset, by name."""
    return {name: expand(path, dataset=dataset)[0] for name, path in rules.prepare_dataset.output.items()}
