"""The training objective for depth: GuideDepth's loss, or AdaBins' loss for AdaBins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.tasks.batching import network_input
from promptmix.tasks.depth import predict
from promptmix.tasks.depth_metrics import metrics
from promptmix.training.depth_loss import adabins_loss, guidedepth_loss, inverse

if TYPE_CHECKING:
    from promptmix.datasets.split import Split


class Objective:
    """A network learns the depth of each pixel, in metres. It is 0 where it is unknown; such pixels are left out."""

    def __init__(self, network: nn.Module, sigma: float, kernel: int, density_scale: float = 1.0):
        """Accept the arguments of all objectives; depth uses none of them."""

    def target(self, images: Split, i: int) -> np.ndarray:
        """Return the depth of each pixel, (H, W) float32 metres."""
        return images.depth(i)

    def forward(self, network: nn.Module, images: Sequence[np.ndarray], device: torch.device | str):
        """Return the network's output for the images, which are padded as it needs; see `loss`."""
        return network(network_input(network, images, device))

    def loss(self, predicted: Tensor | tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        """Return AdaBins' loss for AdaBins, whose output is bin edges and depth, else GuideDepth's for 10/depth.

        Depth is unknown where the network's input was padded, so these pixels are left out.
        """
        targets = targets[:, None]
        if isinstance(predicted, tuple):
            edges, metres = predicted
            return adabins_loss(edges.float(), metres.float(), _pad(targets, metres.shape, 2))
        return guidedepth_loss(predicted.float(), inverse(_pad(targets, predicted.shape)))

    def error(self, network: nn.Module, images: Split, device: torch.device | str) -> float:
        """Return the root mean squared error in metres, of whole images, averaged over the images."""
        return metrics(predict(network, images, device), "full", "images")["rmse"]

    def weights(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights as they are."""
        return weights


def _pad(targets: Tensor, shape: torch.Size, scale: int = 1) -> Tensor:
    """Pad targets with unknown depth at the right and below to `scale` times the size of a prediction of `shape`."""
    height, width = scale * shape[-2], scale * shape[-1]
    return F.pad(targets, (0, width - targets.shape[-1], 0, height - targets.shape[-2]))
