"""Networks of a user's own, for experiments: what such a class must have, and what it need not say itself.

A class is a `torch.nn.Module` with

    stride                      image pixels per cell of its map, along a side: 8 for counting, 1 for depth
    forward(image)              for RGB (N, 3, H, W), ImageNet-normalised: people per cell, or 10 / depth in 1/m for
                                depth, (N, 1, h, w)

and may have

    output_size(height, width)  (h, w) of an image's map; else both are divided by the stride and rounded down. Images
                                are padded until their map covers them, so a network for depth whose sides must be
                                multiples of 32 says (height - height % 32, width - width % 32)
    mean, std                   of RGB in [0, 1], if they are not ImageNet's
    depth(image)                metres, (N, 1, h, w); else 10 / forward(image), in the range that is learnt, 0.1 to 10 m
    output_layer                the last layer, a convolution: needed where density_scale is not 1
"""

from __future__ import annotations

from torch import Tensor, nn

from promptmix import extensions
from promptmix.errors import InputError
from promptmix.networks.layers import CrowdNetwork
from promptmix.networks.registry import FARTHEST, NEAREST, STRIDES


class Counter(CrowdNetwork):
    """What a network for counting need not say itself."""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        return height // self.stride, width // self.stride


class DepthEstimator(nn.Module):
    """What a network for depth need not say itself."""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def depth(self, image: Tensor) -> Tensor:
        return (10 / self(image)).clamp(NEAREST, FARTHEST)


COMPLETED = {"counting": Counter, "depth": DepthEstimator}


def build(reference: str, task: str, **settings) -> nn.Module:
    """Return a new network of a user's own, with what its class does not say itself, in training mode.

    Args:
        reference: such as "my_network.py:MyNetwork", see `promptmix.extensions`.
        task: what it does, "counting" or "depth".
        settings: what the class takes.

    Raises:
        InputError: no such class, one that does not take the settings, or one that is no network for the task.
    """
    kind = extensions.load(reference)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise InputError(f"{reference} is no class of networks; expected one that inherits from torch.nn.Module")
    completed = type(kind.__name__, (kind, COMPLETED[task]), {"task": task, "__module__": kind.__module__})
    with extensions.attribute_errors(reference, f"cannot be made with {settings or 'no settings'}"):
        network = completed(**settings)
    stride, expected = getattr(network, "stride", None), STRIDES[task]
    if stride != expected:
        found = "no stride" if stride is None else f"stride {stride!r}"
        raise InputError(
            f"{reference} has {found}; a network for {task} has `stride = {expected}`: image pixels per cell of its map"
        )
    network.register_forward_hook(_check)
    return network


def _check(network: nn.Module, images: tuple[Tensor], output: object) -> None:
    """Raise an error if a network's output is not a map of the size that it says."""
    knows_tuples = network.task == "depth" or type(network).people is not CrowdNetwork.people
    if isinstance(output, tuple) and knows_tuples:  # made of one of ours: see `AdaBins.forward` and `DMCount.people`
        return
    image = images[0]
    expected = (len(image), 1, *network.output_size(*image.shape[-2:]))
    found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if found != expected:
        raise InputError(
            f"{type(network).__name__}.forward gave {found} for images of {tuple(image.shape)}; expected a tensor of "
            f"{expected}: one map per image, of the size that output_size says"
        )
