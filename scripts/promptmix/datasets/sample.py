"""One annotated image, and what the readers share."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from promptmix.datasets.pictures import open_image
from promptmix.errors import InputError

logger = logging.getLogger(__name__)

UNSPLIT = "all"


@dataclass(frozen=True, eq=False)
class Sample:
    """An image of a dataset with the heads of its people, or (in a subclass) with depth.

    Coordinates are 0-based, continuous, in pixels of the image file: pixel i covers [i, i + 1). The 1-based
    coordinates of MATLAB files are taken minus 1, so that a head falls into the pixel in which the authors' density
    code puts it (floor of the coordinate).

    Attributes:
        name: path of the image relative to the dataset's folder, with forward slashes, or its number in a file of
            many; no two samples share it.
        image: path of the image, or of the file that holds it.
        split: "train" or "test"; "" if the dataset's authors do not split it.
        width, height: size of the image file.
        points: (N, 2) float64, x and y of each head. The count of the image is N.
        boxes: (N, 4) float64, left, top, right and bottom of each head, or None.
        outside: number of heads that the annotation has besides, outside the image, and that are dropped.
        has_depth: whether `depth` is there.
    """

    has_depth: ClassVar[bool] = False

    name: str
    image: Path
    split: str
    width: int
    height: int
    points: np.ndarray
    boxes: np.ndarray | None = None
    outside: int = 0

    @property
    def count(self) -> int:
        """Number of people."""
        return len(self.points)

    def open(self) -> AbstractContextManager[Image.Image]:
        """Open the image, in a `with` block; it is decoded when asked for. See `promptmix.datasets.pictures.opened`."""
        return open_image(self.image)

    def depth(self) -> np.ndarray:
        """Return the depth of each pixel, (H, W) float32 in metres, 0 = unknown."""
        raise NotImplementedError(f"{self.name}: an image without depth")


def known_depth(depth: np.ndarray) -> np.ndarray:
    """Return depth as float32, in which what is no distance (zero, negative, not finite) is 0 = unknown."""
    depth = depth.astype(np.float32, copy=False)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def natural_key(name: str) -> tuple[list, str]:
    """Sort key in which IMG_2 comes before IMG_10, and IMG_02 always before IMG_2."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(name))], str(name)


def pick_evenly(samples: Sequence[Sample], most: int = 24) -> list[Sample]:
    """Return at most so many of the samples, spread evenly over them: enough to look at where all take too long."""
    return [samples[i] for i in np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int)]


def find_member(folder: Path, spellings: Sequence[str], where: str) -> Path:
    """Return the first of a folder's members `spellings` that exists.

    Raises:
        InputError: none does; the message has `where`, the sentence about where the dataset comes from.
    """
    for spelling in spellings:
        if (folder / spelling).exists():
            return folder / spelling
    listed = " or ".join(f"'{spelling}'" for spelling in spellings)
    raise InputError(f"{folder}: {listed} is missing. {where}")


def find_folder(path: str | Path, where: str, spellings: Iterable[str] = ()) -> Path:
    """Return the folder of a dataset, or of another spelling of its name beside it.

    Raises:
        InputError: there is no such folder.
    """
    path = Path(path)
    for folder in (path, *(path.with_name(spelling) for spelling in spellings)):
        if folder.is_dir():
            return folder
    raise InputError(f"{path}: the dataset is missing, there is no such folder. {where}")


def keep_inside(points: np.ndarray, width: int, height: int, annotation: Path) -> tuple[np.ndarray, int]:
    """Turn 1-based points of a MATLAB file into 0-based ones and drop those outside the image.

    Returns the points and how many are dropped. Outside is, as in DM-Count, x < 0, x > width, y < 0 or y > height in the file's own coordinates. What remains lies
    in [0, width - 1] x [0, height - 1].

    Raises:
        InputError: coordinates that are not finite.
    """
    if not np.isfinite(points).all():
        raise InputError(f"{annotation}: some coordinates are not finite numbers. Fetch or copy the file again")
    kept = ((points >= 0) & (points <= [width, height])).all(axis=1)
    if not kept.all():
        logger.info("%s: %d of %d heads lie outside the image: dropped", annotation, (~kept).sum(), len(kept))
    return np.maximum(points[kept] - 1, 0), int((~kept).sum())


def check_counts(samples: Sequence[Sample], expected: Mapping[str, int] | None, path: Path, where: str) -> None:
    """Compare the number of images per split with the number that the dataset is known to have.

    Args:
        expected: such as {"train": 400, "test": 316}; "all" for datasets without a split; None: do not compare.

    Raises:
        InputError: a number differs; the message has the split, both numbers and the folder.
    """
    found = Counter(sample.split or UNSPLIT for sample in samples)
    for name, number in (expected or {}).items():
        if found[name] != number:
            raise InputError(f"{path}: {found[name]} images in '{name}', expected {number}. {where}")
    if not samples:
        raise InputError(f"{path}: no images. {where}")
