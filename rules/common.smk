"""What the stages share: the checked config, constants, input functions, and the fingerprint of code."""

import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "scripts"))

from promptmix.configuration import Plan, as_text, check
from promptmix.errors import InputError
from promptmix.fingerprint import fingerprint

try:
    check(config)
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
