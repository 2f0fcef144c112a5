"""Count the people in the images of a split, and score the counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from promptmix.batching import BATCH_PIXELS, by_size, density
from promptmix.errors import InputError

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


def mae(errors) -> float:
    """Return the mean absolute error of counts, given the differences of predicted and true counts."""
    return float(np.abs(np.asarray(errors, dtype=np.float64)).mean())


def rmse(errors) -> float:
    """Return the root of the mean squared error of counts (crowd counting papers print it as "MSE")."""
    return float(np.sqrt(np.square(np.asarray(errors, dtype=np.float64)).mean()))


def predict_counts(network: nn.Module, images: Images, device: torch.device | str) -> np.ndarray:
    """Return the predicted number of people in each image, (N,) float64: the sum over its map.

    The network is left in evaluation mode. Images of one size go through it together, in float32.
    """
    network.eval()
    counts = np.zeros(len(images.sizes))
    at_once = max(1, BATCH_PIXELS // max((h * w for h, w in images.sizes), default=1))
    with torch.inference_mode():
        for batch in by_size(images.sizes, at_once):
            maps = density(network, [images.image(i) for i in batch], device)
            counts[batch] = maps.double().sum(dim=(1, 2)).cpu().numpy()
    return counts


def predict(network: nn.Module, index: Index, split: str, device: torch.device | str) -> pd.DataFrame:
    """Return each image's `count` (of its points), `predicted` count and `error` (predicted minus true).

    Raises:
        InputError: the split has no images.
    """
    images = Split(index, split)
    if not images.sizes:
        raise InputError(f"the dataset has no image in the split {split!r}; see `shares` in its configuration")
    count = images.frame["count"].to_numpy(dtype=np.float64)
    predicted = predict_counts(network, images, device)
    columns = {"image": images.frame["image"].to_numpy(), "count": count, "predicted": predicted}
    return pd.DataFrame(columns | {"error": predicted - count})


def metrics(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return `mae` and `rmse` of each repeat, given `predictions.csv`: the columns `repeat` and `error` are used."""
    errors = predictions.groupby("repeat")["error"]
    return pd.DataFrame({"mae": errors.apply(mae), "rmse": errors.apply(rmse)})
