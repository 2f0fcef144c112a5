"""Your own images with a depth map each.

Layout: `images/` (.jpg, .jpeg or .png, also in folders in it) and `depths/` beside it, or `train/` and `test/`, each of
that form. The depth of `images/a/1.jpg` is `depths/a/1.png`, grey with 16 bits, or `depths/a/1.npy`, (H, W) integers
or floats; it has a value for each pixel of the image. A value times `unit` is metres along the optical axis; zero,
negative or not finite is unknown.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from promptmix.datasets.pictures import open_image
from promptmix.datasets.readers.folders import IMAGES, files_in, find_parts, size_of
from promptmix.datasets.sample import Sample, check_counts, find_member, known_depth, natural_key, pick_evenly
from promptmix.errors import InputError

logger = logging.getLogger(__name__)

DEPTHS = (".png", ".npy")
SIXTEEN_BITS = ("I;16", "I;16B", "I")
"""Modes in which Pillow opens a grey PNG of 16 bits."""

NEAREST, FARTHEST = 0.1, 10.0
"""Metres between which training tells depths apart, see `promptmix.training.depth_loss`."""

WHERE = (
    "Expected: a folder with images/ (.jpg or .png) and depths/ (for each image a .png with 16 bits or a .npy of the "
    "same name), or with train/ and test/, each of that form"
)


@dataclass(frozen=True, eq=False)
class Scene(Sample):
    """An image with a depth map in a file of its own, read when asked for.

    Attributes:
        file: the depth map.
        unit: metres per count.
    """

    has_depth: ClassVar[bool] = True

    file: Path = field(kw_only=True)
    unit: float = field(kw_only=True)

    def depth(self) -> np.ndarray:
        """Return (H, W) float32 in metres, 0 = unknown.

        Raises:
            InputError: the file is damaged, or no depth in it is known.
        """
        depth = known_depth(_values(self.file).astype(np.float32) * np.float32(self.unit))
        if not depth.any():
            raise InputError(
                f"{self.file}: no depth is known: no value is a number above 0. Leave the image out, or mend the file"
            )
        return depth


def read(path: str | Path, expected: Mapping[str, int] | None = None, unit: float | None = None) -> list[Sample]:
    """Return the samples, training before test images if there is such a split, else with split "", by name.

    Depth maps stay in their files; of some, spread evenly, the range is looked at.

    Args:
        path: the folder.
        expected: images per split, see `check_counts`.
        unit: metres per count, such as 0.001 for millimetres; must be given for integers, and is 1 for floats if not.

    Raises:
        InputError: folders, images or depth maps are missing, damaged, of another kind or size, or do not fit
            together; integers without a unit; no depth is in the range that is learnt; or there are not as many
            images as expected.
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
    _check_range(folder, samples)
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
    """Return the files of a folder by their name without the suffix."""
    files: dict[str, Path] = {}
    for name, file in files_in(folder, suffixes, WHERE).items():
        other = files.setdefault(name.removesuffix(file.suffix), file)
        if other != file:
            raise InputError(f"{other} and {file.name}: expected one file of this name. Take one of them away")
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
        raise InputError(f"{file}: whole numbers without a unit; give metres per count, such as 0.001 for millimetres")
    name = image.relative_to(folder).as_posix()
    return Scene(name, image, split, width, height, np.zeros((0, 2)), file=file, unit=unit or 1.0)


def _read_form(file: Path) -> tuple[tuple[int, int], bool]:
    """Return width and height of a depth map, and whether its values are whole numbers, without reading them."""
    if file.suffix.lower() == ".png":
        with open_image(file) as image:
            if image.mode not in SIXTEEN_BITS:
                raise InputError(
                    f"{file}: a PNG of mode {image.mode}; expected grey with 16 bits. 8 bits are too few for depth, "
                    "and colours are no distances: export the depths again"
                )
            return image.size, True
    array = _values(file)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or array.dtype.itemsize == 1:
        raise InputError(
            f"{file}: {array.dtype} of shape {array.shape}; expected (height, width) floats, or integers of 16 bits or more"
        )
    return array.shape[::-1], array.dtype.kind != "f"


def _values(file: Path) -> np.ndarray:
    """Return a depth map's values, (H, W); those of .npy stay on disk until they are used."""
    if file.suffix.lower() == ".png":
        with open_image(file) as image:
            return np.asarray(image)
    try:
        return np.lib.format.open_memmap(file, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{file}: not a readable .npy file ({error}). Save it again with numpy.save") from error


def _check_range(folder: Path, samples: Sequence[Scene]) -> None:
    """Compare the depths of some maps, spread evenly, with what can be learnt."""
    looked_at = pick_evenly(samples)
    known = learnt = far = 0
    lowest, highest = math.inf, 0.0
    for sample in looked_at:
        depth = sample.depth()
        depth = depth[depth > 0]
        known, far = known + depth.size, far + int((depth > FARTHEST).sum())
        learnt += int(((depth >= NEAREST) & (depth <= FARTHEST)).sum())
        lowest, highest = min(lowest, depth.min()), max(highest, depth.max())
    maps = f"{len(looked_at)} of {len(samples)} depth maps"
    if not learnt:
        raise InputError(
            f"{folder}: depths are {lowest:g} to {highest:g} m in {maps}. Networks for depth learn {NEAREST:g} to "
            f"{FARTHEST:g} m: is the unit right ({samples[0].unit:g} m per count)?"
        )
    if far:
        logger.warning(
            "%s: %.1f %% of the known depths are farther than %g m, up to %.4g m (%s looked at). Networks for depth "
            "give at most %g m, so these count as errors; a smaller unit brings all nearer, and errors are then in it",
            *(folder, 100 * far / known, FARTHEST, highest, maps, FARTHEST),
        )
