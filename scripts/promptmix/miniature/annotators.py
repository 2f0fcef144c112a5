"""The miniature's annotators: heavyweight networks, narrowed, and trained on many more images than any student sees."""

import logging
from pathlib import Path

import numpy as np
import torch

from promptmix.checkpoints import read_metadata, read_tensors, save_weights
from promptmix.datasets.index import Index
from promptmix.training import TrainingSettings, train

log = logging.getLogger(__name__)


def select(folder: Path, places: list[str], images: int) -> Index:
    """Return the first `images` crowds of the corpus at some places; the last tenth of them is the validation split.

    The heads' boxes are left out, as most datasets have none: every head gets the same kernel.
    """
    index = Index.open(folder / "index.csv")
    frame = index.frame[index.frame["place"].isin(places)].iloc[:images].reset_index(drop=True)
    if len(frame) < images:
        raise ValueError(f"the corpus has {len(frame)} images of {', '.join(places)}; {images} are asked for")
    frame["split"] = np.where(np.arange(images) < images * 9 // 10, "train", "val")
    return Unboxed(index.path, frame)


class Unboxed(Index):
    """An index whose heads have no boxes."""

    def heads(self, i: int) -> np.ndarray:
        return super().heads(i) * np.float32([1, 1, 0, 0])


def train_annotator(
    index: Index, settings: TrainingSettings, folder: Path, out: Path, device: torch.device, start: Path | None = None
) -> None:
    """Train an annotator in `folder` (resumable), from the weights `start` if given, and write it to `out` in half precision."""
    weights = None if start is None else {key: tensor.float() for key, tensor in read_tensors(start).items()}
    checkpoint = train(settings, index, None, folder, device, weights=weights)
    save_weights(out, read_tensors(checkpoint), read_metadata(checkpoint), torch.float16)
