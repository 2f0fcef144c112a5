"""What the formats for your own data share: folders of images, and heads in pixels.

A dataset is a folder that contains `images/` and the annotations, or `train/`, `test/` and perhaps `val/`, each of that
form.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from promptmix.datasets.pictures import measure
from promptmix.datasets.sample import UNSPLIT, Sample, composed, find_folder, find_member, natural_key
from promptmix.errors import InputError
from promptmix.listing import describe_absent, list_files

logger = logging.getLogger(__name__)

IMAGES = (".jpg", ".jpeg", ".png")
PARTS = {"train": ["train"], "val": ["val", "valid", "validation"], "test": ["test"]}
"""What the folders of a split are called, in lower case; they may have capitals."""

VALIDATED = "the images to validate on are some of the training images, as many as `split: {val: ...}` says"
"""For formats whose authors divide a dataset in two."""


def find_parts(path: str | Path, expected: Mapping[str, int] | None, where: str) -> dict[str, Path]:
    """Return a dataset's folders by split: {"": folder}, or those of "train", of "val" if it is there, and of "test".

    A warning names other folders that may have been meant as parts.

    Args:
        expected: images per split, or {"all": ...} for a dataset without a split.

    Raises:
        InputError: the dataset is missing, or one of train/ and test/ is, a part is there twice, or there is another
            split than expected.
    """
    folder = find_folder(path, where)
    inside = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() or entry.is_symlink())
    there = {split: [name for name in inside if name.lower() in names] for split, names in PARTS.items()}
    names = [name for found in there.values() for name in found]
    if names and (folder / "images").is_dir():
        raise InputError(f"{folder}: both 'images' and '{names[0]}' exist; move one of them elsewhere. {where}")
    for split, found in there.items():
        if len(found) > 1:
            raise InputError(f"{folder}: both {' and '.join(found)} exist; expected one folder of images for '{split}'")
    needed = ["train", *(["val"] if there["val"] else []), "test"] if names else []
    parts = {split: find_member(folder, there[split] or [split], where) for split in needed} or {"": folder}
    wanted = {name or UNSPLIT for name in parts}
    if expected is not None and set(expected) != wanted:
        found = f"there are {', '.join(f'{part.name}/' for part in parts.values())}" if needed else "there is no train/"
        form = ", ".join(f"{name}: ..." for name in needed or [UNSPLIT])
        rest = " and no `split`" if "val" in parts else ""
        raise InputError(f"{folder}: {found}, so give `images` as {{{form}}}{rest}, not {dict(expected)}")
    called = "Parts of a dataset are called train/, test/, and val/, valid/ or validation/"
    # Beside images/, folders of all kinds are usual.
    report_left_out(folder, names, called, within="" if names else "images")
    return parts


def report_left_out(folder: Path, parts: Sequence[str], called: str, within: str = "") -> None:
    """Warn of folders with files beside a dataset's parts, which may have been meant as parts.

    Args:
        parts: the names of the parts.
        called: how parts are called, for the message.
        within: the folder in such a folder that has to have files.
    """
    others = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if others := [name for name in others if name not in parts and any(list_files(folder / name / within))]:
        logger.warning("%s: %d folders are left out, such as '%s'. %s", folder, len(others), others[0], called)


def files_in(folder: Path, suffixes: Sequence[str], where: str) -> dict[str, Path]:
    """Return the files in a folder and its subfolders that have one of the suffixes; hidden files are ignored.

    Links are followed.

    Args:
        suffixes: in lower case; files may have them in upper case too.

    Returns:
        Paths by name, in natural order. A name is the path relative to `folder`, with forward slashes.

    Raises:
        InputError: there is no such file, or a link to such a file or a folder leads nowhere.
    """
    names = sorted((name for name, _ in list_files(folder)), key=natural_key)
    for file in (folder / name for name in names):
        if file.suffix.lower() in (*suffixes, "") and not file.exists():
            raise InputError(f"{file} {describe_absent(file)}. Mend the link, or take it away")
    files = {name: folder / name for name in names if Path(name).suffix.lower() in suffixes}
    listed = ", ".join(suffixes)
    if not files:
        raise InputError(f"{folder}: no file here ends in {listed}. {where}")
    if others := [name for name in names if name not in files]:
        logger.warning("%s: %d files end in none of %s: left out, such as '%s'", folder, len(others), listed, others[0])
    return files


def by_composed_name(files: Mapping[str, Path]) -> dict[str, Path]:
    """Return files by their names as annotations may write them, see `promptmix.datasets.sample.composed`.

    Raises:
        InputError: two names look the same.
    """
    found: dict[str, Path] = {}
    for name, file in files.items():
        if (other := found.setdefault(composed(name), file)) != file:
            raise InputError(
                f"{file}: another file has a name that looks the same, with other characters for its accents "
                f"({other.name!a} and {file.name!a}). Rename one of them"
            )
    return found


def size_of(image: Path) -> tuple[int, int]:
    """Return the width and height of an image's stored pixels.

    Raises:
        InputError: the image is damaged, or its EXIF tag Orientation asks to rotate it.
    """
    size, orientation = measure(image)
    if orientation != 1:
        raise InputError(
            f"{image}: the EXIF tag Orientation ({orientation}) asks to rotate the image, and it is not known "
            "whether the annotations refer to it before or after that. Expected no such tag: rotate the pixels "
            "(mogrify -auto-orient), or, if the annotations refer to the pixels as stored, remove the tag "
            "(exiftool -Orientation=)"
        )
    return size


def make_samples(
    folder: Path,
    split: str,
    files: Sequence[Path],
    image: np.ndarray,
    points: np.ndarray,
    annotation: Path,
    boxes: np.ndarray | None = None,
) -> list[Sample]:
    """Return the samples of one split, with all their heads.

    Args:
        folder: the dataset's folder; the samples' names are relative to it.
        split: the samples' split.
        files: the images.
        image: (N,) integers, the position in `files` of each head's image.
        points: (N, 2) x and y of each head, in pixels.
        annotation: the file that the points come from.
        boxes: (N, 4) left, top, right and bottom of each head.

    Raises:
        InputError: an image is damaged, or asks to be rotated.
    """
    order = np.argsort(image, kind="stable")
    ends = np.cumsum(np.bincount(image, minlength=len(files)))[:-1]
    return [
        Sample(
            composed(file.relative_to(folder).as_posix()),
            file,
            split,
            *size_of(file),
            points[heads],
            None if boxes is None else boxes[heads],
            annotation=annotation,
        )
        for file, heads in zip(files, np.split(order, ends), strict=True)
    ]
