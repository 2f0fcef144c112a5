"""Annotate images with a heavyweight network (paper, section III, third stage)."""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from promptmix.batching import BATCH_PIXELS, density, depth
from promptmix.checkpoints import load_network
from promptmix.datasets.index import Index
from promptmix.maps import Annotation, map_shape, reduce_map
from promptmix.training import TrainingSettings, train

log = logging.getLogger(__name__)


def annotate(
    network: nn.Module,
    images: Iterable[tuple[str, np.ndarray]],
    device: torch.device | str,
    stride: int = 8,
    batch_pixels: int = BATCH_PIXELS,
) -> Iterator[Annotation]:
    """Yield an annotation of each image, not always in the order of the images.

    A density map is summed over blocks to the stride of the network that will be trained on it, which keeps the count
    (choice 4: the paper does not name a resolution). Depth is as the network gives it, in each pixel. Images of equal
    size go through the network together.

    Args:
        network: one of `promptmix.networks`, on the device.
        images: file stem and (H, W, 3) uint8 RGB of each image; read one after the other.
        stride: image pixels per cell of the annotations, along a side; 1 for depth.
        batch_pixels: image pixels to predict at once; an image that has more goes alone.

    Raises:
        ValueError: the network's own stride does not divide `stride`.
    """
    if stride % network.stride:
        raise ValueError(f"maps at stride {network.stride} cannot be summed to stride {stride}")
    predict = {"counting": density, "depth": depth}[network.task]
    network.eval()
    done = 0
    for batch in _batches(images, batch_pixels):
        with torch.inference_mode():
            maps = predict(network, [image for _, image in batch], device).float().cpu().numpy()
        for (stem, image), full in zip(batch, maps, strict=True):
            height, width = image.shape[:2]
            if stride > network.stride:
                full = reduce_map(full, stride // network.stride, map_shape(height, width, stride))
            yield Annotation(stem, full, height, width)
        done += len(batch)
        log.debug("%d images annotated", done)
    log.info("%d images annotated", done)


def _batches(images: Iterable[tuple[str, np.ndarray]], pixels: int) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Yield lists of images of one size with at most so many pixels together, or of one image."""
    waiting: dict[tuple[int, int], list] = {}
    for stem, image in images:
        size = image.shape[:2]
        batch = waiting.setdefault(size, [])
        batch.append((stem, image))
        if (len(batch) + 1) * size[0] * size[1] > pixels:
            yield waiting.pop(size)
    yield from waiting.values()


def fine_tune(index: Index, weights: str | Path, settings: TrainingSettings, out: Path, device: str) -> None:
    """Train a heavyweight network further on a dataset's training split (paper, section IV: SASNet on PANDA-Crowd).

    The state of an unfinished training lies in the folder named like `out` without its ending, and its history stays.

    Args:
        index: the dataset.
        weights: of the network to start from.
        settings: network, learning rate, epochs and so on.
        out: the weights of the best epoch by the validation error.
    """
    network = load_network(settings.network, weights, **settings.network_settings)
    checkpoint = train(settings, index, None, out.with_suffix(""), device, weights=network.state_dict())
    os.replace(checkpoint, out)
