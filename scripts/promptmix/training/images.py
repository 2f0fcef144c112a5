"""What training reads: real images with their targets, and generated images with their annotations."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd

from promptmix.datasets.index import Index
from promptmix.datasets.split import Split
from promptmix.errors import InputError, command
from promptmix.networks.registry import map_shape
from promptmix.running.scratch import NO_SCRATCH, Place, Scratch
from promptmix.synthesis.manifest import read_verified
from promptmix.synthesis.maps import open_maps, read_map

if TYPE_CHECKING:
    from promptmix.training.objective import Objective

CACHE_BYTES = 4 * 2**30
"""Size up to which each of three caches grows in memory: targets, generated images, and their annotations.

A job that knows how much memory it has says so, see `promptmix.training.loop.train`.
"""


class RealImages(Split):
    """The images of the training or the validation split with their targets; several threads may read them at once.

    Raises:
        InputError: the split has no images.
        ValueError: any other split is asked for.
    """

    def __init__(self, index: Index, name: str, objective: Objective, cache_bytes: int = CACHE_BYTES):
        if name not in ("train", "val"):
            raise ValueError(f"training reads the splits 'train' and 'val', not {name!r}")
        super().__init__(index, name)
        self._targets = Cache(lambda i: objective.target(self, i), cache_bytes)

    def target(self, i: int) -> np.ndarray:
        """Return the target of the network's output, (h, w) float32."""
        return self._targets[i]


class FakeImages:
    """The images of D_fake with their annotations; each is read from its file when it is first drawn.

    Several threads may read them at once. What memory has no room for goes to `scratch`.
    """

    def __init__(
        self, fake: pd.DataFrame | None, stride: int, cache_bytes: int = CACHE_BYTES, scratch: Scratch = NO_SCRATCH
    ):
        self.frame = pd.DataFrame(columns=["height", "width"]) if fake is None else fake.reset_index(drop=True)
        self.sizes = list(zip(self.frame["height"].tolist(), self.frame["width"].tolist(), strict=True))
        self._stride = stride
        self._files: dict[str, h5py.File] = {}
        self._opening = Lock()
        self._images = Cache(self._image, cache_bytes, scratch)
        self._targets = Cache(self._target, cache_bytes, scratch)

    def __len__(self) -> int:
        return len(self.frame)

    def image(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB."""
        return self._images[i]

    def target(self, i: int) -> np.ndarray:
        """Return the annotation, (h, w): people per cell of the network's output, or metres."""
        return self._targets[i]

    def _image(self, i: int) -> np.ndarray:
        image = read_verified(self.frame["file"][i], self.frame["sha256"][i])
        if image.shape[:2] != self.sizes[i]:
            height, width = self.sizes[i]
            raise InputError(
                f"{self.frame['file'][i]}: {image.shape[1]}x{image.shape[0]} pixels; D_fake says {width}x{height}. "
                f"Delete the image and generate it again with `{command(self.frame['file'][i])}`"
            )
        return image

    def _target(self, i: int) -> np.ndarray:
        path, stem = self.frame["maps"][i], self.frame["stem"][i]
        with self._opening:  # h5py itself sees to it that one thread at a time reads
            if path not in self._files:
                self._files[path] = self._open(path)
        target, expected = read_map(self._files[path], stem), map_shape(*self.sizes[i], self._stride)
        if target.shape != expected:
            raise InputError(
                f"{path}: the map of {stem} has the shape {target.shape}; expected {expected}, which fits the image. "
                f"Delete the file and make it again with `{command(path)}`"
            )
        return target

    def _open(self, path: str) -> h5py.File:
        file = open_maps(path)
        if file.attrs["stride"] != self._stride:
            raise InputError(
                f"{path}: annotated at stride {file.attrs['stride']}, but the network has stride {self._stride}"
            )
        return file


class Cache:
    """The results of a function of a number, kept in memory up to `limit` bytes, then in `scratch`, and else computed anew.

    No result is removed for another one, as each epoch needs every real image and random ones of the generated images.
    Threads that ask for one number at the same time may each compute its result, of which one is kept.
    """

    def __init__(self, function, limit: int, scratch: Scratch = NO_SCRATCH):
        self._function, self._left, self._keeping = function, limit, Lock()
        self._kept: dict[int, np.ndarray] = {}
        self._scratch, self._placed = scratch, dict[int, Place]()

    def __getitem__(self, i: int) -> np.ndarray:
        if i in self._kept:
            return self._kept[i]
        if i in self._placed:
            return self._scratch.read(self._placed[i])
        result = self._function(i)
        with self._keeping:
            if i in self._kept or i in self._placed:
                return result
            if result.nbytes <= self._left:
                self._left -= result.nbytes
                self._kept[i] = result
            elif place := self._scratch.keep(result):
                self._placed[i] = place
        return result
