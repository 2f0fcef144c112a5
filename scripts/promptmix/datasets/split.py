"""The images of one split of a dataset."""

import numpy as np

from promptmix.datasets.index import Index
from promptmix.errors import InputError


class Split:
    """The images of one split, in the order of the index.

    Args:
        index: the prepared dataset.
        name: "train", "val" or "test".

    Attributes:
        frame: the rows of these images, see `promptmix.datasets.index`.
        sizes: (height, width) of each image.

    Raises:
        InputError: the split has no images.
    """

    def __init__(self, index: Index, name: str):
        self.index, self.rows = index, np.asarray(index.split(name))
        if not len(self.rows):
            raise InputError(f"the dataset has no image in the split {name!r}; check `split` in its configuration")
        self.frame = index.frame.iloc[self.rows]
        self.sizes = list(zip(self.frame["height"].tolist(), self.frame["width"].tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.rows)

    def image(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB, read from a memory map, so that the operating system caches it."""
        return self.index.image(self.rows[i])

    def heads(self, i: int) -> np.ndarray:
        """Return x, y and the box's width and height of each head, (N, 4) float32 pixels; 0 where there is no box."""
        return self.index.heads(self.rows[i])

    def depth(self, i: int) -> np.ndarray:
        """Return (H, W) float32 in metres, 0 = unknown."""
        return self.index.depth(self.rows[i])
