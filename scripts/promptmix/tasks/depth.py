"""Monocular depth: metres in each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.batching import BATCH_PIXELS, by_size, depth, network_input
from promptmix.depth_loss import adabins_loss, guidedepth_loss, inverse
from promptmix.depth_metrics import image_sums, metrics
from promptmix.out_of_memory import SMALLER, in_parts
from promptmix.progress import progress

if TYPE_CHECKING:
    from promptmix.datasets.index import Index
    from promptmix.evaluation import Split
    from promptmix.training import TrainingSettings


class Depth:
    """The distance of what each pixel shows, in metres; 0 where it is not known, and nothing is learnt there."""

    def __init__(self, settings: TrainingSettings, network: nn.Module):
        pass

    def target(self, index: Index, i: int) -> np.ndarray:
        """Return the depth of each pixel, (H, W) float32 metres."""
        return index.depth(i)

    def forward(self, network: nn.Module, images: Sequence[np.ndarray], device: torch.device | str):
        """Return what the network gives for the images, padded as it needs them: see `loss`."""
        return network(network_input(network, images, device))

    def loss(self, predicted: Tensor | tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        """Return AdaBins' loss for AdaBins, which gives bin edges and depth, and GuideDepth's for 10/depth.

        What lies outside the image, where the network's input was padded, is unknown and so left out.
        """
        targets = targets[:, None]
        if isinstance(predicted, tuple):
            edges, metres = predicted
            return adabins_loss(edges.float(), metres.float(), _padded(targets, metres.shape, 2))
        return guidedepth_loss(predicted.float(), inverse(_padded(targets, predicted.shape)))

    def error(self, network: nn.Module, images: Split, device: torch.device | str) -> float:
        """Return the root mean squared error in metres, of whole images, averaged over the images."""
        return metrics(self.predictions(network, images, device), "full", "images")["rmse"]

    def weights(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights as they are."""
        return weights

    @staticmethod
    def predictions(network: nn.Module, images: Split, device: torch.device | str) -> pd.DataFrame:
        """Return the sums of each image from which every metric and convention follows (`promptmix.depth_metrics`)."""
        network.eval()
        rows: list[dict] = [{}] * len(images.sizes)
        at_once = max(1, BATCH_PIXELS // max((h * w for h, w in images.sizes), default=1))

        def depth_of(batch: list[int]) -> np.ndarray:
            with torch.inference_mode():
                return depth(network, [images.image(i) for i in batch], device).float().cpu().numpy()

        batches = progress(by_size(images.sizes, at_once), len(rows), "images predicted", len)
        for batch, found in in_parts(batches, depth_of, SMALLER):
            for i, predicted in zip(batch, found, strict=True):
                rows[i] = {"image": images.frame["image"].iloc[i]} | image_sums(predicted, images.depth(i))
        return pd.DataFrame(rows)


def _padded(targets: Tensor, shape: torch.Size, scale: int = 1) -> Tensor:
    """Return targets with unknown depth on the right and below, `scale` times as large as a prediction of `shape`."""
    height, width = scale * shape[-2], scale * shape[-1]
    return F.pad(targets, (0, width - targets.shape[-1], 0, height - targets.shape[-2]))
