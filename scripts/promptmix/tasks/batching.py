"""From images to batches and from batches to maps: the one place that fits image sizes to a network.

Images keep their size. Where a network's map would not cover the image (CSRNet rounds a side down to a multiple of 8
pixels, DM-Count of 16, AdaBins of 32), the image is padded after the normalisation, on the right and below, by as
little as possible, with zeros, which are the mean colour; cells outside the image are cut off again. Training,
validation, testing and annotation all use this module. The paper does not say what it does with such sizes; this is
our choice. A prediction is compared with the number of points in the whole image.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.registry import map_shape

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's mean and standard deviation of RGB in [0, 1]."""

BATCH_PIXELS = 4 * 1024 * 768
"""Image pixels that are predicted at once at most, unless a single image has more."""


def padded_size(network: nn.Module, height: int, width: int) -> tuple[int, int]:
    """Return the smallest size, at least the image's, whose map covers the image."""
    rows, columns = map_shape(height, width, network.stride)
    while network.output_size(height, width)[0] < rows:
        height += 1
    while network.output_size(height, width)[1] < columns:
        width += 1
    return height, width


def network_input(network: nn.Module, images: Sequence[np.ndarray] | Tensor, device: torch.device | str) -> Tensor:
    """Return images of one size as a batch for a network: normalised, and padded if needed.

    Args:
        network: may have a `mean` and a `std` of RGB in [0, 1]; ImageNet's are the default.
        images: (H, W, 3) uint8 RGB each; or all in one tensor, (N, H, W, 3), on any device.
        device: where the batch goes; the images are copied there as bytes.

    Returns:
        (N, 3, H', W') float32, channels last in memory; H' and W' from `padded_size`.
    """
    batch = images if isinstance(images, Tensor) else torch.from_numpy(np.stack(images))
    batch = batch.to(device, non_blocking=True)
    mean = _of_colours(tuple(getattr(network, "mean", MEAN)), batch.device)
    deviation = _of_colours(tuple(getattr(network, "std", STD)), batch.device)
    batch = ((batch - mean) / deviation).permute(0, 3, 1, 2)
    height, width = images[0].shape[:2]
    size = padded_size(network, height, width)
    if size != (height, width):
        batch = F.pad(batch, (0, size[1] - width, 0, size[0] - height))
    return batch


@cache
def _of_colours(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return numbers in [0, 1] as numbers in [0, 255] on a device; made for each batch, a GPU would be waited for."""
    with torch.inference_mode(False):  # a prediction may be the first to ask, and training the next
        return torch.tensor([255 * value for value in values], dtype=torch.float32, device=device)


def pixels_of(image: Tensor) -> np.ndarray:
    """Return RGB in [0, 255], (N, 3, H, W), as bytes, (N, H, W, 3), on the CPU."""
    return image.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def density(network: nn.Module, images: Sequence[np.ndarray], device: torch.device | str) -> Tensor:
    """Return the network's density maps of images of one size.

    Args:
        network: one of `promptmix.networks`, on the device.
        images: (H, W, 3) uint8 RGB each.

    Returns:
        (N, h, w), people per cell, one cell for each (also partial) block of `network.stride` pixels a side.
    """
    height, width = images[0].shape[:2]
    rows, columns = map_shape(height, width, network.stride)
    return network.density(network_input(network, images, device))[:, 0, :rows, :columns]


def depth(network: nn.Module, images: Sequence[np.ndarray], device: torch.device | str) -> Tensor:
    """Return the network's depth maps, (N, H, W) metres, of images of one size, (H, W, 3) uint8 RGB each."""
    height, width = images[0].shape[:2]
    return network.depth(network_input(network, images, device))[:, 0, :height, :width]


def batch_by_size(sizes: Iterable[tuple[int, int]], batch_size: int) -> list[list[int]]:
    """Return batches of positions, each of one size and of `batch_size` or fewer, in the order given.

    Rare sizes make small batches; if all sizes differ, each batch has one image.
    """
    return list(group(enumerate(sizes), batch_size, lambda item: item[1], lambda item: item[0]))


def group(items: Iterable, batch_size: int, size_of, value_of=lambda item: item) -> Iterator[list]:
    """Yield lists of items of one size as soon as they are full, and the rest at the end."""
    waiting: dict = {}
    for item in items:
        batch = waiting.setdefault(size_of(item), [])
        batch.append(value_of(item))
        if len(batch) == batch_size:
            yield waiting.pop(size_of(item))
    yield from waiting.values()
