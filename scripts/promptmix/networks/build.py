"""Make networks by name. Each network is one file, imported only when the network is used.

A name can also be a reference to a class outside this project, such as "my_network.py:MyNetwork"; see
`promptmix.networks.own`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection
from typing import TYPE_CHECKING

from promptmix.errors import did_you_mean
from promptmix.extensions import is_reference, load
from promptmix.networks import own
from promptmix.networks.registry import NETWORKS, module_of

if TYPE_CHECKING:
    from torch import nn


def network_class(name: str) -> type[nn.Module]:
    """Return the class of the network `name`, or the class that a reference names.

    Raises:
        InputError: the reference names nothing.
        ValueError: no network has this name.
    """
    if is_reference(name):
        return load(name)
    if name not in NETWORKS:
        raise ValueError(f"{name!r} is not a network. {known_names(name, NETWORKS)}")
    return getattr(importlib.import_module(module_of(name)), NETWORKS[name])


def settings_of(network: type[nn.Module]) -> list[str]:
    """Return the names of the settings that a network's class takes."""
    return [name for name in inspect.signature(network.__init__).parameters if name != "self"]


def build(name: str, **settings) -> nn.Module:
    """Return a new network, initialised as its docstring says, in training mode.

    Args:
        name: a key of `NETWORKS`, or a reference.
        settings: arguments of the class; the published values are the defaults. With a reference also `task`,
            "counting" or "depth", which is not passed to the class.

    Raises:
        InputError: the reference names nothing, or something that is not a network for the task.
        ValueError: no network has this name, or it does not take one of the settings.
    """
    if is_reference(name):
        return own.build(name, **settings)
    network = network_class(name)
    known = settings_of(network)
    for setting in settings:
        if setting not in known:
            raise ValueError(f"{setting!r} is not a setting of {name}. {known_names(setting, known)}")
    return network(**settings)


def known_names(name: str, known: Collection[str]) -> str:
    """Return the end of an error message: the known names, and the one that was probably meant."""
    return f"Known: {', '.join(sorted(known))}.{did_you_mean(name, known)}"
