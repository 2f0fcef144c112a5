"""Crowd counting: the number of people in an image is the sum over its density map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn

from promptmix.out_of_memory import SMALLER, compute_in_parts
from promptmix.running.progress import progress
from promptmix.tasks.batching import BATCH_PIXELS, batch_by_size, density

if TYPE_CHECKING:
    from promptmix.datasets.split import Split


def predict(network: nn.Module, images: Split, device: torch.device | str) -> pd.DataFrame:
    """Return each image's `image` (name), `count` (of its points), `predicted` count and `error` (predicted - true)."""
    count = images.frame["count"].to_numpy(dtype=np.float64)
    predicted = predict_counts(network, images, device)
    columns = {"image": images.frame["image"].to_numpy(), "count": count, "predicted": predicted}
    return pd.DataFrame(columns | {"error": predicted - count})


def predict_counts(network: nn.Module, images: Split, device: torch.device | str) -> np.ndarray:
    """Return the predicted number of people in each image, (N,) float64: the sum over its map.

    The network is left in evaluation mode. Images of one size are predicted together, in float32, and fewer at once if
    memory runs out.
    """
    network.eval()
    counts = np.zeros(len(images.sizes))
    at_once = max(1, BATCH_PIXELS // max((h * w for h, w in images.sizes), default=1))

    def counts_of(batch: list[int]) -> np.ndarray:
        with torch.inference_mode():
            maps = density(network, [images.image(i) for i in batch], device)
            return maps.double().sum(dim=(1, 2)).cpu().numpy()

    batches = progress(batch_by_size(images.sizes, at_once), len(counts), "images predicted", len)
    for batch, found in compute_in_parts(batches, counts_of, SMALLER):
        counts[batch] = found
    return counts
