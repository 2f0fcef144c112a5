"""Size and cost of a network, as Table III counts them: parameters, and multiply-accumulate operations (GMac).

The paper's numbers come out to the digit with ptflops, whose count depends on how a network is written: it sees modules
and not functions. (By default its later versions also count functions, and so the activations of a module twice.)
"""

from collections.abc import Mapping
from typing import Any

import torch
from ptflops import get_model_complexity_info
from torch import nn

from promptmix.errors import InputError
from promptmix.networks.build import build


def count(
    name: str, settings: Mapping[str, Any] | None = None, height: int = 768, width: int = 1024
) -> dict[str, float]:
    """Return `parameters` and `gmac`, 10^9 multiply-accumulate operations for one image.

    Nothing is computed: the network and the image have shapes and no values.

    Args:
        name: a key of `promptmix.networks.registry.NETWORKS`.
        settings: what the network's class takes; the published values where not given.
        height, width: of the image, in pixels; the paper's are 768 and 1024.

    Raises:
        InputError: the network cannot take an image of that size.
        ValueError: no network has this name, or it does not take one of the settings.
    """
    with torch.device("meta"):
        network = build(name, **settings or {}).eval()
        image = torch.empty(1, 3, height, width)
    try:
        with torch.no_grad():
            network(image)
    except (RuntimeError, ValueError) as error:  # ptflops would only print it
        raise InputError(
            f"{name} cannot take an image of {width}x{height} pixels; give another size. {error}"
        ) from error
    return count_operations(network, height, width)


def count_operations(network: nn.Module, height: int, width: int) -> dict[str, float]:
    """Return the same of a network that there is, which must be able to take an image of that size."""
    macs, _ = get_model_complexity_info(
        network,
        (3, height, width),
        print_per_layer_stat=False,
        as_strings=False,
        verbose=False,
        backend="pytorch",
        backend_specific_config={"count_functional": False},
    )
    return {"parameters": sum(parameter.numel() for parameter in network.parameters()), "gmac": macs / 1e9}
