"""The user's own networks for experiments: what such a class must define, and what it may define.

A class is a `torch.nn.Module` that must define

    stride                      image pixels per cell of its map, along a side: 8 for counting, 1 for depth
    forward(image)              for RGB (N, 3, H, W), ImageNet-normalised: people per cell, or 10 / depth in 1/m for
                                depth, (N, 1, h, w)

and may define

    output_size(height, width)  (h, w) of an image's map. Default: the size divided by the stride, rounded down. Images
                                are padded until their map covers them, so a network for depth whose sides must be
                                multiples of 32 returns (height - height % 32, width - width % 32)
    mean, std                   mean and standard deviation of RGB in [0, 1]. Default: ImageNet's
    depth(image)                metres, (N, 1, h, w). Default: 10 / forward(image), limited to the range that networks
                                learn, 0.1 to 10 m
    output_layer                the last layer, a convolution; required if density_scale is not 1
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor, nn

from promptmix import extensions
from promptmix.errors import InputError
from promptmix.networks.layers import CrowdNetwork
from promptmix.networks.registry import FARTHEST, NEAREST, STRIDES


class Counter(CrowdNetwork):
    """Defaults for a network for counting."""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        return height // self.stride, width // self.stride


class DepthEstimator(nn.Module):
    """Defaults for a network for depth."""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def depth(self, image: Tensor) -> Tensor:
        return (10 / self(image)).clamp(NEAREST, FARTHEST)


CALLED = ("forward", "depth", "density", "people", "output_size")
"""Methods of a network that are called."""

COMPLETED = {"counting": Counter, "depth": DepthEstimator}


def build(reference: str, task: str, **settings) -> nn.Module:
    """Return a new network of the user's class, with the defaults for what it does not define, in training mode.

    Args:
        reference: such as "my_network.py:MyNetwork", see `promptmix.extensions`.
        task: the network's task, "counting" or "depth".
        settings: arguments of the class.

    Raises:
        InputError: there is no such class, it does not take the settings, or it is not a network for the task.
    """
    kind = extensions.load(reference)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise InputError(f"{reference} is not a network; expected a class that inherits from torch.nn.Module")
    called = {name: _called(reference, kind, name) for name in CALLED if hasattr(kind, name)}
    completed = type(kind.__name__, (kind, COMPLETED[task]), {"task": task, "__module__": kind.__module__} | called)
    with extensions.attribute_errors(reference, f"cannot be made with {settings or 'no settings'}"):
        network = completed(**settings)
    stride, expected = getattr(network, "stride", None), STRIDES[task]
    if stride != expected:
        found = "no stride" if stride is None else f"stride {stride!r}"
        raise InputError(
            f"{reference} has {found}; a network for {task} must have `stride = {expected}`: image pixels per cell of "
            "its map"
        )
    network.register_forward_hook(_check)
    return network


def _called(reference: str, kind: type[nn.Module], name: str) -> Callable:
    """Return a method of the user's class whose errors name the class, and the file and line that they come from."""
    method = getattr(kind, name)

    @wraps(method)
    def call(network: nn.Module, *given: Any, **named: Any) -> Any:
        what = [tuple(one.shape) if isinstance(one, Tensor) else one for one in given]
        with extensions.attribute_errors(reference, f"failed in {name}, called with {', '.join(map(str, what))}"):
            return method(network, *given, **named)

    return call


def _check(network: nn.Module, images: tuple[Tensor], output: object) -> None:
    """Raise an InputError if a network's output is not a map of the size that its `output_size` returns."""
    knows_tuples = network.task == "depth" or type(network).people is not CrowdNetwork.people
    if isinstance(output, tuple) and knows_tuples:  # a subclass of ours: see `AdaBins.forward`, `DMCount.people`
        return
    image = images[0]
    expected = (len(image), 1, *network.output_size(*image.shape[-2:]))
    found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if found != expected:
        raise InputError(
            f"{type(network).__name__}.forward gave {found} for images of {tuple(image.shape)}; expected a tensor of "
            f"{expected}: one map per image, of the size that output_size returns"
        )
