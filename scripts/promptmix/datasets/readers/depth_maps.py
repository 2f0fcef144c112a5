"""Your own images, each with a depth map.

Layout: `images/` (.jpg, .jpeg or .png, also in subfolders) with `depths/` beside it, or `train/` and `test/` (and
`val/`), each of that form. The depth of `images/a/1.jpg` is `depths/a/1.png`, grey with 16 bits, or `depths/a/1.npy`,
(H, W) integers or floats, with a value for each pixel of the image. A value times `unit` is metres along the optical axis; see
`promptmix.datasets.depths` for values that are unknown.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from promptmix.datasets.depths import DepthFacts, measure
from promptmix.datasets.pictures import open_image
from promptmix.datasets.readers.folders import IMAGES, files_in, find_parts, size_of
from promptmix.datasets.sample import Sample, check_counts, composed, find_member, natural_key
from promptmix.errors import InputError

DEPTHS = (".png", ".npy")
SIXTEEN_BITS = ("I;16", "I;16B", "I")
"""Modes in which Pillow opens a grey PNG of 16 bits."""

WHERE = (
    "Expected: a folder with images/ (.jpg or .png) and depths/ (for each image a .png with 16 bits or a .npy of the "
    "same name), or with train/ and test/, each of that form"
)


@dataclass(frozen=True, eq=False)
class Scene(Sample):
    """An image whose depth map is in a separate file, read on access.

    Attributes:
        file: the depth map.
        unit: metres per count.
    """

    has_depth: ClassVar[bool] = True

    file: Path = field(kw_only=True)
    unit: float = field(kw_only=True)

    def measure(self) -> tuple[np.ndarray, DepthFacts]:
        """Return (H, W) float32 in metres with 0 = unknown, and what is known of it.

        Raises:
            InputError: the file is damaged; and as in `promptmix.datasets.depths.measure`.
        """
        remedy = "correct `unit`, which is the same for all files, or bring this file into it"
        return measure(_values(self.file), self.unit, str(self.file), remedy)


def read(path: str | Path, expected: Mapping[str, int] | None = None, unit: float | None = None) -> list[Sample]:
    """Return the samples, sorted by name: training, validation, test images, or with split "" if there is no split.

    Depth maps stay in their files, and so does what may be wrong with their values.

    Args:
        path: the folder.
        expected: images per split, see `check_counts`.
        unit: metres per count, such as 0.001 for millimetres; required for integers, 1 by default for floats.

    Raises:
        InputError: folders, images or depth maps are missing, damaged, of another kind or size, or do not fit
            together; integers have no unit; or the number of images is not the expected one.
    """
    if unit is not None and not 0 < unit < math.inf:
        raise InputError(f"{path}: the unit is {unit}; expected metres per count, such as 0.001 for millimetres")
    folder = Path(path)
    samples = [
        _scene(folder, split, image, depth, unit)
        for split, part in find_parts(folder, expected, WHERE).items()
        for image, depth in _match_pairs(part)
    ]
    check_counts(samples, expected, folder, WHERE)
    return samples


def _match_pairs(part: Path) -> list[tuple[Path, Path]]:
    """Return each image with its depth map."""
    images, depths = (
        _index_by_stem(find_member(part, [name], WHERE), suffixes)
        for name, suffixes in (("images", IMAGES), ("depths", DEPTHS))
    )
    for one, other, what in ((images, depths, "depth map"), (depths, images, "image")):
        if lost := [stem for stem in one if stem not in other]:
            raise InputError(f"{one[lost[0]]}: there is no {what} of this name ({len(lost)} missing in all). {WHERE}")
    return [(file, depths[stem]) for stem, file in images.items()]


def _index_by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Return a folder's files by their names without suffix, in natural order.

    Letters with accents can be written in two ways that look the same (as on a Mac and elsewhere): they are one here.
    """
    files: dict[str, Path] = {}
    for name, file in files_in(folder, suffixes, WHERE).items():
        other = files.setdefault(composed(name.removesuffix(file.suffix)), file)
        if other != file:
            raise InputError(f"{other} and {file.name}: expected one file of this name. Remove one of them")
    return dict(sorted(files.items(), key=lambda item: natural_key(item[0])))


def _scene(folder: Path, split: str, image: Path, file: Path, unit: float | None) -> Scene:
    width, height = size_of(image)
    size, whole = _read_form(file)
    if size != (width, height):
        raise InputError(
            f"{file}: the depth map has {size[0]}x{size[1]} values, {image} has {width}x{height} pixels. "
            "Expected one for each pixel; resize the image, or the map without interpolation"
        )
    if whole and unit is None:
        raise InputError(
            f"{file}: whole numbers without a unit; set `unit` to metres per count, such as 0.001 for millimetres"
        )
    name = image.relative_to(folder).as_posix()
    return Scene(name, image, split, width, height, np.zeros((0, 2)), file=file, unit=unit or 1.0)


def _read_form(file: Path) -> tuple[tuple[int, int], bool]:
    """Return (width, height) of a depth map, and whether its values are whole numbers, without reading them."""
    if file.suffix.lower() == ".png":
        with open_image(file) as image:
            if image.mode not in SIXTEEN_BITS:
                raise InputError(
                    f"{file}: a PNG of mode {image.mode}; expected grey with 16 bits. 8 bits are too few for depth, "
                    "and colours are not distances: export the depths again"
                )
            return image.size, True
    array = _values(file)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.dtype.itemsize == 1:
        raise InputError(
            f"{file}: {array.dtype} of shape {array.shape}; expected (height, width) floats, or integers of 16 bits or "
            "more"
        )
    return array.shape[::-1], array.dtype.kind != "f"


def _values(file: Path) -> np.ndarray:
    """Return a depth map's values, (H, W); values in .npy files stay on disk until they are used."""
    if file.suffix.lower() == ".png":
        with open_image(file) as image:
            return np.asarray(image)
    try:
        return np.lib.format.open_memmap(file, mode="r")
    except (OSError, ValueError, EOFError, OverflowError) as error:  # of a size beyond all numbers, too
        raise InputError(f"{file}: not a readable .npy file ({error}). Save it again with numpy.save") from error
