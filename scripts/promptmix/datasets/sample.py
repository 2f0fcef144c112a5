"""One annotated image, and functions that the readers share."""

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
    coordinates of MATLAB files are reduced by 1, so that a head falls into the pixel where the authors' density code
    puts it (floor of the coordinate).

    Attributes:
        name: path of the image relative to the dataset's folder, with forward slashes, or its number in a file that
            holds many; unique within the dataset.
        image: path of the image, or of the file that holds it.
        split: "train" or "test"; "" if the dataset's authors define no split.
        width, height: size of the image file.
        points: (N, 2) float64, x and y of each head. The count of the image is N.
        boxes: (N, 4) float64, left, top, right and bottom of each head, or None.
        outside: number of further heads in the annotation, outside the image, which are dropped.
        has_depth: whether `depth` works.
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
        """Open the image, in a `with` block; it is decoded on access. See `promptmix.datasets.pictures.open_image`."""
        return open_image(self.image)

    def depth(self) -> np.ndarray:
        """Return the depth of each pixel, (H, W) float32 in metres, 0 = unknown."""
        raise NotImplementedError(f"{self.name}: this image has no depth")


def known_depth(depth: np.ndarray) -> np.ndarray:
    """Return depth as float32, with 0 = unknown where a value is not a distance (zero, negative, not finite)."""
    depth = depth.astype(np.float32, copy=False)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def natural_key(name: str) -> tuple[list, str]:
    """Return a sort key by which IMG_2 comes before IMG_10, and IMG_02 always before IMG_2."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(name))], str(name)


def pick_evenly(samples: Sequence[Sample], most: int = 24) -> list[Sample]:
    """Return at most `most` samples, evenly spaced among all: for checks that would take too long on all of them."""
    return [samples[i] for i in np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int)]


def find_member(folder: Path, spellings: Sequence[str], where: str) -> Path:
    """Return the path of the first of `spellings` that exists in a folder.

    Raises:
        InputError: none exists; the message includes `where`, which says what is expected and where to get it.
    """
    for spelling in spellings:
        if (folder / spelling).exists():
            return folder / spelling
    listed = " or ".join(f"'{spelling}'" for spelling in spellings)
    raise InputError(f"{folder}: {listed} is missing. {where}")


def find_folder(path: str | Path, where: str, spellings: Iterable[str] = ()) -> Path:
    """Return a dataset's folder, or, if it does not exist, one beside it with another spelling of its name.

    Raises:
        InputError: there is no such folder; the message includes `where`.
    """
    path = Path(path)
    for folder in (path, *(path.with_name(spelling) for spelling in spellings)):
        if folder.is_dir():
            return folder
    raise InputError(f"{path}: the dataset is missing, there is no such folder. {where}")


def keep_inside(points: np.ndarray, width: int, height: int, annotation: Path) -> tuple[np.ndarray, int]:
    """Convert the 1-based points of a MATLAB file to 0-based ones and drop those outside the image.

    As in DM-Count, a point is outside if x < 0, x > width, y < 0 or y > height in the file's own coordinates.

    Returns:
        The remaining points, in [0, width - 1] x [0, height - 1], and the number of dropped ones.

    Raises:
        InputError: a coordinate is not finite.
    """
    if not np.isfinite(points).all():
        raise InputError(f"{annotation}: some coordinates are not finite numbers. Fetch or copy the file again")
    kept = ((points >= 0) & (points <= [width, height])).all(axis=1)
    if not kept.all():
        logger.info("%s: %d of %d heads are outside the image: dropped", annotation, (~kept).sum(), len(kept))
    return np.maximum(points[kept] - 1, 0), int((~kept).sum())


def check_counts(samples: Sequence[Sample], expected: Mapping[str, int] | None, path: Path, where: str) -> None:
    """Compare the number of images per split with the number that the dataset is known to have.

    Args:
        expected: such as {"train": 400, "test": 316}, or {"all": 45} for a dataset without a split; None skips this.

    Raises:
        InputError: a number differs (the message has the split, both numbers and the folder), or there are no images.
    """
    found = Counter(sample.split or UNSPLIT for sample in samples)
    for name, number in (expected or {}).items():
        if found[name] != number:
            raise InputError(f"{path}: {found[name]} images in '{name}', expected {number}. {where}")
    if not samples:
        raise InputError(f"{path}: no images. {where}")
