"""What the formats for your own data share: folders of images, and heads in pixels.

A dataset is a folder that contains `images/` and the annotations, or `train/` and `test/`, each of that form.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from promptmix.datasets.pictures import open_image
from promptmix.datasets.sample import UNSPLIT, Sample, find_folder, find_member, natural_key
from promptmix.errors import InputError

logger = logging.getLogger(__name__)

IMAGES = (".jpg", ".jpeg", ".png")
ORIENTATION = 0x0112
"""The EXIF tag that says how a viewer must rotate the image."""


def find_parts(path: str | Path, expected: Mapping[str, int] | None, where: str) -> dict[str, Path]:
    """Return a dataset's folders by split: {"": folder}, or {"train": folder, "test": folder}.

    Args:
        expected: images per split, or {"all": ...} for a dataset without a split.

    Raises:
        InputError: the dataset is missing, or only one of train/ and test/ exists, or there is a split where none is
            expected, or the other way round.
    """
    folder = find_folder(path, where)
    split = [name for name in ("train", "test") if (folder / name).is_dir()]
    if split and (folder / "images").is_dir():
        raise InputError(f"{folder}: both 'images' and '{split[0]}' exist; move one of them elsewhere. {where}")
    found = {name: find_member(folder, [name], where) for name in ("train", "test")} if split else {"": folder}
    wanted = {name or UNSPLIT for name in found}
    if expected is not None and set(expected) != wanted:
        there = "train/ and test/ exist" if split else "there are no train/ and test/"
        form = "{train: ..., test: ...}" if split else "{all: ...}"
        raise InputError(f"{folder}: {there}, so give the number of images as {form}, not {dict(expected)}")
    return found


def files_in(folder: Path, suffixes: Sequence[str], where: str) -> dict[str, Path]:
    """Return the files in a folder and its subfolders that have one of the suffixes; hidden files are ignored.

    Args:
        suffixes: in lower case; files may have them in upper case too.

    Returns:
        Paths by name, in natural order. A name is the path relative to `folder`, with forward slashes.

    Raises:
        InputError: there is no such file.
    """
    names = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    names = sorted((name for name in names if "/." not in f"/{name}"), key=natural_key)
    files = {name: folder / name for name in names if Path(name).suffix.lower() in suffixes}
    listed = ", ".join(suffixes)
    if not files:
        raise InputError(f"{folder}: no file here ends in {listed}. {where}")
    if others := [name for name in names if name not in files]:
        logger.warning("%s: %d files end in none of %s: left out, such as '%s'", folder, len(others), listed, others[0])
    return files


def size_of(image: Path) -> tuple[int, int]:
    """Return the width and height of an image's stored pixels.

    Raises:
        InputError: the image is damaged, or its EXIF tag Orientation asks to rotate it.
    """
    with open_image(image) as file:
        orientation = file.getexif().get(ORIENTATION, 1) if file.format == "JPEG" else 1
        if orientation not in (0, 1):
            raise InputError(
                f"{image}: the EXIF tag Orientation ({orientation}) asks to rotate the image, and it is not known "
                "whether the annotations refer to it before or after that. Expected no such tag: rotate the pixels "
                "(mogrify -auto-orient), or, if the annotations refer to the pixels as stored, remove the tag "
                "(exiftool -Orientation=)"
            )
        return file.size


def make_samples(
    folder: Path,
    split: str,
    files: Sequence[Path],
    image: np.ndarray,
    points: np.ndarray,
    annotation: Path,
    boxes: np.ndarray | None = None,
) -> list[Sample]:
    """Return the samples of one split, without heads outside their image (a head on its edge is inside).

    Args:
        folder: the dataset's folder; the samples' names are relative to it.
        split: the samples' split.
        files: the images.
        image: (N,) integers, the position in `files` of each head's image.
        points: (N, 2) x and y of each head, in pixels.
        annotation: the file that the points come from, for messages.
        boxes: (N, 4) left, top, right and bottom of each head.

    Raises:
        InputError: an image is damaged; there are no heads; or coordinates are not pixels of the images: they are
            fractions, or most are outside.
    """
    if not len(points):
        raise InputError(f"{annotation}: no heads. Expected at least one in all images together")
    if ((points >= 0) & (points <= 1)).all():
        raise InputError(
            f"{annotation}: all coordinates are between 0 and 1, like fractions of the image. Expected pixels: "
            "multiply them by the image's width and height"
        )
    sizes = np.array([size_of(file) for file in files])
    kept = ((points >= 0) & (points <= sizes[image])).all(axis=1)
    lost = np.flatnonzero(~kept)
    if len(lost):
        first = f"({points[lost[0], 0]:g}, {points[lost[0], 1]:g}) in {files[image[lost[0]]].name}"
        first += " of {}x{} pixels".format(*sizes[image[lost[0]]])
        found = f"{annotation}: {len(lost)} of {len(points)} heads are outside their image, such as {first}"
        if 2 * len(lost) > len(points):
            asked = "Were the images resized, or x and y swapped?"
            raise InputError(f"{found}. Expected x and y in pixels of the image file. {asked}")
        logger.warning("%s: dropped", found)
    outside = np.bincount(image[~kept], minlength=len(files))
    order = np.flatnonzero(kept)[np.argsort(image[kept], kind="stable")]
    ends = np.cumsum(np.bincount(image[kept], minlength=len(files)))
    empty = int((np.diff(ends, prepend=0) == 0).sum())
    logger.info("%s: %d heads in %d images, %d of them without heads", annotation, len(order), len(files), empty)
    return [
        Sample(
            file.relative_to(folder).as_posix(),
            file,
            split,
            *map(int, size),
            points[heads],
            None if boxes is None else boxes[heads],
            outside=int(dropped),
        )
        for file, size, heads, dropped in zip(files, sizes, np.split(order, ends[:-1]), outside, strict=True)
    ]
