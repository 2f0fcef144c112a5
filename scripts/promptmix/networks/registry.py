"""The networks by name: what can be known without importing torch. `promptmix.networks.build` makes them."""

from promptmix.errors import did_you_mean
from promptmix.extensions import is_reference

NETWORKS = {
    "csrnet": "CSRNet",
    "rescsrnet": "ResCSRNet",
    "sasnet": "SASNet",
    "dmcount": "DMCount",
    "adabins": "AdaBins",
    "guidedepth": "GuideDepth",
    "clipcap": "ClipCap",
    "gfpgan": "GFPGAN",
    "parsenet": "ParseNet",
    "retinaface": "RetinaFace",
}
"""Class of each network, in the module of the network's name."""

TITLES = NETWORKS | {"dmcount": "DM-Count"}
"""What papers call each network."""

TASKS = {
    "csrnet": "counting",
    "rescsrnet": "counting",
    "sasnet": "counting",
    "dmcount": "counting",
    "adabins": "depth",
    "guidedepth": "depth",
}
"""Task of each network that regresses a map, the same as its class's `task`. The others do not regress one."""

STRIDES = {"counting": 8, "depth": 1}
"""Image pixels per cell of an annotation, along a side. All lightweight networks of a task have this stride."""

NEAREST, FARTHEST = 0.1, 10.0
"""Range of depths in metres that lightweight networks predict.

The same as in `promptmix.datasets.readers.depth_maps`, which may not import this package.
"""


def map_shape(height: int, width: int, stride: int) -> tuple[int, int]:
    """Return how many rows and columns of cells cover an image; both are rounded up."""
    return -(-height // stride), -(-width // stride)


def task_of(name: str) -> str:
    """Return "counting" or "depth", the task of the network `name`, without importing torch.

    Raises:
        ValueError: no network that regresses a map has this name.
    """
    if name not in TASKS:
        raise ValueError(
            f"{name!r} is not a network for counting or depth. Known: {', '.join(sorted(TASKS))}."
            f"{did_you_mean(name, TASKS)}"
        )
    return TASKS[name]


def module_of(name: str) -> str:
    """Return the name of a network's code for `promptmix.running.fingerprint`: a module, or the reference itself."""
    return name if is_reference(name) else f"promptmix.networks.{name}"
