"""Crowd counting: people per cell of the network's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from promptmix.batching import BATCH_PIXELS, by_size, density
from promptmix.density import density_at_stride
from promptmix.errors import InputError
from promptmix.out_of_memory import SMALLER, in_parts
from promptmix.progress import progress

if TYPE_CHECKING:
    from promptmix.datasets.index import Index
    from promptmix.evaluation import Images, Split
    from promptmix.training import TrainingSettings


class Counting:
    """The number of people in an image as the sum over a map.

    Args:
        settings: `sigma` and `kernel` of the ground truth's Gaussian, `density_scale`.
        network: gives the stride of the maps.
    """

    def __init__(self, settings: TrainingSettings, network: nn.Module):
        self._sigma, self._kernel, self._scale = settings.sigma, settings.kernel, settings.density_scale
        self._stride = network.stride
        if self._scale != 1 and not isinstance(getattr(network, "output_layer", None), nn.Conv2d):
            raise InputError(
                f"density_scale is {self._scale}; {type(network).__name__} has no `output_layer` to divide by it, so it "
                "must be 1"
            )

    def target(self, index: Index, i: int) -> np.ndarray:
        """Return the people in each cell, (h, w) float32."""
        heads, size = index.heads(i), index.image(i).shape[:2]
        # A head without a box has sides of 0, and density takes the fixed kernel for it.
        return density_at_stride(
            heads[:, :2], *size, self._stride, sigma=self._sigma, kernel=self._kernel, boxes=heads[:, 2:]
        )

    def forward(self, network: nn.Module, images: Sequence[np.ndarray], device: torch.device | str) -> Tensor:
        """Return the density times `density_scale`, (N, h, w)."""
        return density(network, images, device)

    def loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        """Return the squared error summed over the cells, as a mean over the images."""
        return (predicted.float() - targets * self._scale).square().sum(dim=(1, 2)).mean()

    def error(self, network: nn.Module, images: Images, device: torch.device | str) -> float:
        """Return the mean absolute error of the counts."""
        found = predict_counts(network, images, device) / self._scale
        return float(np.abs(found - images.frame["count"].to_numpy(dtype=np.float64)).mean())

    def weights(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return weights that give density, of weights that give density times `density_scale`."""
        scale = self._scale
        return {n: t / scale if n.startswith("output_layer.") and scale != 1 else t for n, t in weights.items()}

    @staticmethod
    def predictions(network: nn.Module, images: Split, device: torch.device | str) -> pd.DataFrame:
        """Return each image's `count` (of its points), `predicted` count and `error` (predicted minus true)."""
        count = images.frame["count"].to_numpy(dtype=np.float64)
        predicted = predict_counts(network, images, device)
        columns = {"image": images.frame["image"].to_numpy(), "count": count, "predicted": predicted}
        return pd.DataFrame(columns | {"error": predicted - count})


def predict_counts(network: nn.Module, images: Images, device: torch.device | str) -> np.ndarray:
    """Return the predicted number of people in each image, (N,) float64: the sum over its map.

    The network is left in evaluation mode. Images of one size go through it together, in float32, fewer of them where
    memory does not suffice.
    """
    network.eval()
    counts = np.zeros(len(images.sizes))
    at_once = max(1, BATCH_PIXELS // max((h * w for h, w in images.sizes), default=1))

    def counts_of(batch: list[int]) -> np.ndarray:
        with torch.inference_mode():
            maps = density(network, [images.image(i) for i in batch], device)
            return maps.double().sum(dim=(1, 2)).cpu().numpy()

    batches = progress(by_size(images.sizes, at_once), len(counts), "images predicted", len)
    for batch, found in in_parts(batches, counts_of, SMALLER):
        counts[batch] = found
    return counts
