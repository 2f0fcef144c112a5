"""One annotated image, and functions that the readers share."""

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from PIL import Image

from promptmix.datasets.depths import DepthFacts
from promptmix.datasets.pictures import describe_foreign, open_image
from promptmix.errors import InputError
from promptmix.listing import describe_absent

UNSPLIT = "all"


@dataclass(frozen=True, eq=False)
class Sample:
    """An image of a dataset with the heads of its people, or (in a subclass) with depth.

    Coordinates are 0-based, continuous, in pixels of the image file: pixel i covers [i, i + 1). A reader gives those of
    its format, with all heads that are annotated; `promptmix.datasets.heads.settle` makes these of them.

    Attributes:
        name: path of the image relative to the dataset's folder, with forward slashes, or its number in a file that
            holds many; unique within the dataset.
        image: path of the image, or of the file that holds it.
        split: "train", "val" or "test"; "" if the dataset's authors define no split.
        width, height: size of the image file.
        points: (N, 2) float64, x and y of each head. The count of the image is N.
        boxes: (N, 4) float64, left, top, right and bottom of each head, or None.
        outside: number of further heads in the annotation, outside the image, which are dropped.
        annotation: the file that the heads come from, for messages.
        orientation: the image's EXIF tag Orientation, 1 if there is nothing to turn.
        has_depth: whether `depth` and `measure` work.
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
    annotation: Path | None = None
    orientation: int = 1

    @property
    def count(self) -> int:
        """Number of people."""
        return len(self.points)

    def open(self) -> AbstractContextManager[Image.Image]:
        """Open the image, in a `with` block; it is decoded on access. See `promptmix.datasets.pictures.open_image`."""
        return open_image(self.image)

    def depth(self) -> np.ndarray:
        """Return the depth of each pixel, (H, W) float32 in metres, 0 = unknown."""
        return self.measure()[0]

    def measure(self) -> tuple[np.ndarray, DepthFacts]:
        """Return `depth`, and what is known of it: see `promptmix.datasets.depths.measure`, also for errors."""
        raise NotImplementedError(f"{self.name}: this image has no depth")


def natural_key(name: str) -> tuple[list, str]:
    """Return a sort key by which IMG_2 comes before IMG_10, and IMG_02 always before IMG_2."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(name))], str(name)


def pick_evenly(samples: Sequence[Sample], most: int = 24) -> list[Sample]:
    """Return at most `most` samples, evenly spaced among all: for checks that would take too long on all of them."""
    return [samples[i] for i in np.linspace(0, len(samples) - 1, min(most, len(samples))).round().astype(int)]


def composed(name: str) -> str:
    """Return a name with each accented letter as one character: names that look the same are then equal.

    A Mac may store such a letter as two characters, and an annotation tool write it as one, or the other way round.
    """
    return unicodedata.normalize("NFC", name)


def files_by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Return the files of a folder that have one of the suffixes by their names without it, in natural order.

    Hidden files, such as the `._IMG_1.jpg` of a Mac, are left out.

    Args:
        suffixes: in lower case; files may have them in upper case too. Of files that differ in it, the first counts.

    Raises:
        InputError: two files have the same name and suffix but for upper case.
    """
    found: dict[str, Path] = {}
    there = [file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    for file in sorted(there, key=lambda file: (natural_key(file.stem), suffixes.index(file.suffix.lower()))):
        other = found.setdefault(composed(file.stem), file)
        if other != file and other.suffix.lower() == file.suffix.lower():
            raise InputError(f"{other} and {file.name}: expected one file of this name. Remove one of them")
    return found


def match_pairs(
    images: Path, suffixes: Sequence[str], annotations: Path, named: str, where: str
) -> list[tuple[Path, Path]]:
    """Return each image of a folder with its annotation, in natural order of the images.

    Args:
        images, suffixes: the folder of the images, and how their names end, see `files_by_stem`.
        annotations: the folder of the annotations; it may be the same.
        named: what an annotation is called, with {} for the image's name without suffix: "GT_{}.mat". Others are left out.
        where: what is expected, the message's end.

    Raises:
        InputError: an image has no annotation, or an annotation no image, or see `files_by_stem`.
    """
    pattern, suffix = os.path.splitext(named)
    prefix, _, ending = pattern.partition("{}")
    pictures = files_by_stem(images, suffixes)
    answers = {
        stem.removeprefix(prefix).removesuffix(ending): file
        for stem, file in files_by_stem(annotations, (suffix,)).items()
        if stem.startswith(prefix) and stem.endswith(ending)
    }
    for folder, name, of, absent, there in (
        (annotations, named, "the annotation of an image", answers, pictures),
        (images, f"{{}}{suffixes[0]}", "the image of an annotation", pictures, answers),
    ):
        if lost := [stem for stem in there if stem not in absent]:
            file = folder / name.format(lost[0])
            raise InputError(f"{file}: {of} is missing ({len(lost)} in all). {where}")
    return [(file, answers[stem]) for stem, file in pictures.items()]


def read_json(file: Path, where: str) -> Any:
    """Return what a JSON file holds, in any encoding of Unicode, with or without a byte order mark.

    Raises:
        InputError: it is not valid; the message includes `where`.
    """
    try:
        return json.loads(file.read_bytes())  # bytes, since json then finds out which encoding it is
    except UnicodeError as error:
        raise InputError(f"{file}: not text in UTF-8 ({error}). Save it in this encoding. {where}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not valid JSON ({error}){describe_foreign(file)}. {where}") from error


def find_member(folder: Path, spellings: Sequence[str], where: str, kind: Literal["folder", "file"] = "folder") -> Path:
    """Return the path of the first of `spellings` that exists in a folder.

    Raises:
        InputError: none exists, or it is not of this kind; the message includes `where`, which says what is expected and
            where to get it.
    """
    for path in (folder / spelling for spelling in spellings):
        if path.is_file() if kind == "file" else path.is_dir():
            return path
        if path.exists():
            raise InputError(f"{path} is not a {kind}. {where}")
        if path.is_symlink():
            raise InputError(f"{path} {describe_absent(path)}. Mend the link. {where}")
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
    why = describe_absent(path) if path.is_symlink() else "there is no such folder"
    raise InputError(f"{path}: the dataset is missing, {why}. {where}")


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
