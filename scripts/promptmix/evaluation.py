"""Predict the images of a split, and score the predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from promptmix.errors import InputError
from promptmix.tasks import TASKS

if TYPE_CHECKING:
    from promptmix.datasets.index import Index


class Images(Protocol):
    """Images in a row: their sizes (height, width), and each as (H, W, 3) uint8 RGB."""

    sizes: Sequence[tuple[int, int]]

    def image(self, i: int) -> np.ndarray: ...


class Split:
    """The images of any one split of a dataset."""

    def __init__(self, index: Index, split: str):
        self._index, self._rows = index, np.asarray(index.split(split))
        self.frame = index.frame.iloc[self._rows]
        self.sizes = list(zip(self.frame["height"].tolist(), self.frame["width"].tolist(), strict=True))

    def image(self, i: int) -> np.ndarray:
        return self._index.image(self._rows[i])

    def depth(self, i: int) -> np.ndarray:
        return self._index.depth(self._rows[i])


def predict(network: nn.Module, index: Index, split: str, device: torch.device | str) -> pd.DataFrame:
    """Return a row per image of a split, with what its task's metrics are computed from.

    Counts: `image`, `count`, `predicted`, `error`. Depth: `image` and the sums of `promptmix.depth_metrics.image_sums`.

    Raises:
        InputError: the split has no images.
    """
    images = Split(index, split)
    if not images.sizes:
        raise InputError(f"the dataset has no image in the split {split!r}; see `split` in its configuration")
    return TASKS[network.task].predictions(network, images, device)
