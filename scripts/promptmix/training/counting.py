"""The training objective for counting: CSRNet's loss on density maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from promptmix.errors import InputError
from promptmix.tasks.batching import density
from promptmix.tasks.counting import predict_counts
from promptmix.tasks.density import density_at_stride

if TYPE_CHECKING:
    from promptmix.datasets.split import Split


class Objective:
    """A network learns the number of people in each cell of its map.

    Args:
        network: defines the stride of the maps.
        sigma, kernel: deviation and side of the ground truth's Gaussian, in pixels.
        density_scale: the network learns density times this number.

    Raises:
        InputError: `density_scale` is not 1 and the network has no convolution `output_layer`.
    """

    def __init__(self, network: nn.Module, sigma: float, kernel: int, density_scale: float = 1.0):
        self._stride, self._sigma, self._kernel, self._scale = network.stride, sigma, kernel, density_scale
        if density_scale != 1 and not isinstance(getattr(network, "output_layer", None), nn.Conv2d):
            raise InputError(
                f"density_scale is {density_scale}; it must be 1, as {type(network).__name__} has no `output_layer` "
                "whose weights could be divided by it"
            )

    def target(self, images: Split, i: int) -> np.ndarray:
        """Return the number of people in each cell, (h, w) float32."""
        heads, size = images.heads(i), images.sizes[i]
        # A head without a box has sides of 0; then `density_at_stride` uses the fixed kernel.
        return density_at_stride(
            heads[:, :2], *size, self._stride, sigma=self._sigma, kernel=self._kernel, boxes=heads[:, 2:]
        )

    def forward(self, network: nn.Module, images: Sequence[np.ndarray], device: torch.device | str) -> Tensor:
        """Return the density times `density_scale`, (N, h, w)."""
        return density(network, images, device)

    def loss(self, predicted: Tensor, targets: Tensor) -> Tensor:
        """Return the squared error summed over the cells, as a mean over the images."""
        return (predicted.float() - targets * self._scale).square().sum(dim=(1, 2)).mean()

    def error(self, network: nn.Module, images: Split, device: torch.device | str) -> float:
        """Return the mean absolute error of the counts."""
        found = predict_counts(network, images, device) / self._scale
        return float(np.abs(found - images.frame["count"].to_numpy(dtype=np.float64)).mean())

    def weights(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return weights that give density, made from weights that give density times `density_scale`."""
        scale = self._scale
        return {n: t / scale if n.startswith("output_layer.") and scale != 1 else t for n, t in weights.items()}
