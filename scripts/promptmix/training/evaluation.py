"""Predict the images of a split, as rows from which every metric follows."""

import pandas as pd
import torch
from torch import nn

from promptmix.datasets.index import Index
from promptmix.datasets.split import Split
from promptmix.tasks.registry import load_task


def predict(network: nn.Module, index: Index, split: str, device: torch.device | str) -> pd.DataFrame:
    """Return a row per image of a split, with what its task's metrics are computed from.

    Counts: `image`, `count`, `predicted`, `error`. Depth: `image` and the sums of
    `promptmix.tasks.depth_metrics.image_sums`.

    Raises:
        InputError: the split has no images.
    """
    return load_task(network.task).predict(network, Split(index, split), device)
