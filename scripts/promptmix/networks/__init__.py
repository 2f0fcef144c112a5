"""The networks by name. Each is one file; its class is imported when it is asked for.

So a Snakefile can check a config against `NETWORKS` without waiting for torch. Where a network is asked for, the name can
be a reference to a class outside this project, such as "my_network.py:MyNetwork": see `promptmix.networks.own`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Collection
from typing import TYPE_CHECKING

from promptmix.extensions import is_reference, load

if TYPE_CHECKING:
    from torch import nn

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
"""Class of each network, in the file of the network's name."""

TASKS = {
    "csrnet": "counting",
    "rescsrnet": "counting",
    "sasnet": "counting",
    "dmcount": "counting",
    "adabins": "depth",
    "guidedepth": "depth",
}
"""What each network gives for an image: its class's `task`. The others do not regress a map."""

STRIDES = {"counting": 8, "depth": 1}
"""Image pixels per cell of an annotation, along a side: that of every lightweight network of a task."""


def network_class(name: str) -> type[nn.Module]:
    """Return the class of the network `name`, or of a reference.

    Raises:
        InputError: a reference to nothing.
        ValueError: no network has this name.
    """
    if is_reference(name):
        return load(name)
    if name not in NETWORKS:
        raise ValueError(f"{name!r} is not a network. {suggest(name, NETWORKS)}")
    return getattr(importlib.import_module(f"{__name__}.{name}"), NETWORKS[name])


def task_of(name: str) -> str:
    """Return "counting" or "depth", the task of the network `name`, without importing torch.

    Raises:
        ValueError: no network that regresses a map has this name.
    """
    if name not in TASKS:
        raise ValueError(f"{name!r} is not a network for counting or depth. {suggest(name, TASKS)}")
    return TASKS[name]


def module_of(name: str) -> str:
    """Return what `promptmix.fingerprint` calls the code of the network `name`: a module, or the reference itself."""
    return name if is_reference(name) else f"{__name__}.{name}"


def settings_of(network: type[nn.Module]) -> list[str]:
    """Return the names of the settings that a network's class takes."""
    return [name for name in inspect.signature(network.__init__).parameters if name != "self"]


def build(name: str, **settings) -> nn.Module:
    """Return a new network, initialised as its docstring says, in training mode.

    Args:
        name: a key of `NETWORKS`, or a reference.
        settings: what the class takes; the published values where not given. Beside a reference also `task`, "counting"
            or "depth", which the class does not get.

    Raises:
        InputError: a reference to nothing, or to what is no network for the task.
        ValueError: no network has this name, or it does not take one of the settings.
    """
    if is_reference(name):
        from promptmix.networks import own

        return own.build(name, **settings)
    network = network_class(name)
    known = settings_of(network)
    for setting in settings:
        if setting not in known:
            raise ValueError(f"{setting!r} is not a setting of {name}. {suggest(setting, known)}")
    return network(**settings)


def suggest(name: str, known: Collection[str]) -> str:
    """Return the known names, and the one that was perhaps meant, as the end of an error message."""
    close = difflib.get_close_matches(str(name), known, n=1)
    return f"Known: {', '.join(sorted(known))}." + (f" Did you mean {close[0]!r}?" if close else "")
