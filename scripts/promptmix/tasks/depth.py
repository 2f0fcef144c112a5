"""Monocular depth estimation: the depth of each pixel in metres, 0 where it is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import nn

from promptmix.out_of_memory import SMALLER, compute_in_parts
from promptmix.running.progress import progress
from promptmix.tasks.batching import BATCH_PIXELS, batch_by_size, depth
from promptmix.tasks.depth_metrics import image_sums

if TYPE_CHECKING:
    from promptmix.datasets.split import Split


def predict(network: nn.Module, images: Split, device: torch.device | str) -> pd.DataFrame:
    """Return for each image the sums from which `promptmix.tasks.depth_metrics` computes every metric and convention.

    Pixels whose depth an annotator leaves unknown (0), as some functions and sensors do, take no part; a network to train
    has no such pixels, and all of its count. The network is left in evaluation mode. Images of one size are predicted together, in float32, and fewer at once if
    memory runs out.
    """
    network.eval()
    rows: list[dict] = [{}] * len(images.sizes)
    at_once = max(1, BATCH_PIXELS // max((h * w for h, w in images.sizes), default=1))

    def depth_of(batch: list[int]) -> np.ndarray:
        with torch.inference_mode():
            return depth(network, [images.image(i) for i in batch], device).float().cpu().numpy()

    batches = progress(batch_by_size(images.sizes, at_once), len(rows), "images predicted", len)
    for batch, found in compute_in_parts(batches, depth_of, SMALLER):
        for i, predicted in zip(batch, found, strict=True):
            true = images.depth(i)
            if getattr(network, "leaves_out", False):
                true = np.where(predicted > 0, true, 0)
            rows[i] = {"image": images.frame["image"].iloc[i]} | image_sums(predicted, true)
    return pd.DataFrame(rows)
