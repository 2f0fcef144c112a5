"""Your own images with a box around each head, in COCO's detection format.

Layout: `images/` (.jpg, .jpeg or .png, also in subfolders) with `annotations.json` beside it, or `train/` and `test/`
(and `val/`), each of that form. The keys that are read:

    images        id, file_name (path relative to `images/`), width, height
    annotations   image_id, category_id, bbox ([left, top, width, height] in pixels), iscrowd (0 if missing)
    categories    id, name

Points are the centres of the boxes, and the boxes set the size of the kernels. With the anchor "top", boxes are around
whole people: points are the middles of their upper edges, and kernels have the fixed size.

One category counts, the same one in all files: `head` if a file lists it, else the only one with boxes. Regions of
crowds (iscrowd: 1) are not heads and are left out.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple

import numpy as np

from promptmix.datasets.readers.folders import IMAGES, by_composed_name, files_in, find_parts, make_samples, size_of
from promptmix.datasets.sample import Sample, check_counts, composed, find_member, natural_key, read_json
from promptmix.errors import InputError

logger = logging.getLogger(__name__)

ANNOTATIONS = "annotations.json"
HEAD = "head"
ANCHORS = ("center", "top")
KINDS = {int | str | float: "a number or text", str: "text", int | float: "a number", list: "a list"}
CROWD = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True, "": False, None: False}
"""What tools write into `iscrowd`."""

WHERE = (
    f"Expected: a folder with images/ (.jpg or .png) and {ANNOTATIONS} (COCO's detection format, with images, "
    "annotations and categories), or with train/ and test/, each of that form"
)


class _Part(NamedTuple):
    """What an annotation file holds.

    Attributes:
        split: of its images, "" if the dataset has no split.
        images: the files in `images/` by name.
        entries: of the images.
        categories: the names that it lists.
        boxes: of single people, each with the name of its category.
    """

    split: str
    file: Path
    images: Mapping[str, Path]
    entries: list
    categories: list[str]
    boxes: list[tuple[str, dict]]


def read(path: str | Path, expected: Mapping[str, int] | None = None, anchor: str = "center") -> list[Sample]:
    """Return the samples, sorted by name: training, validation, test images, or with split "" if there is no split.

    Only images that the annotation file lists are read; others in `images/` are left out.

    Args:
        path: the folder.
        expected: images per split, see `check_counts`.
        anchor: where in its box a head is counted: "center", or "top" for the middle of the upper edge.

    Raises:
        InputError: folders, images or annotations are missing, damaged or do not fit together; there are several
            categories and none is named `head`; boxes are given by their corners; or the number of images is not the
            expected one.
    """
    if anchor not in ANCHORS:
        raise InputError(f"{path}: the anchor is '{anchor}'; expected {' or '.join(ANCHORS)}")
    parts = [_read_part(split, folder) for split, folder in find_parts(path, expected, WHERE).items()]
    counted = _choose_category(parts, Path(path))
    samples = []
    for part in parts:
        positions, files = _order_images(part.file, part.entries, part.images)
        heads = [head for name, head in part.boxes if name in counted]
        if others := len(part.boxes) - len(heads):
            names = " or ".join(f"'{name}'" for name in sorted(counted))
            logger.info("%s: %d boxes are of other categories than %s: left out", part.file, others, names)
        image, boxes = _convert_boxes(part.file, heads, positions)
        points, kernels = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes
        if anchor == "top":
            points, kernels = np.column_stack([points[:, 0], boxes[:, 1]]), None
        found = make_samples(Path(path), part.split, files, image, points, part.file, kernels)
        sizes = np.array([(sample.width, sample.height) for sample in found])
        _check_corners(part.file, boxes, sizes[image])
        samples += found
    check_counts(samples, expected, Path(path), WHERE)
    return samples


def _read_part(split: str, folder: Path) -> _Part:
    images = by_composed_name(files_in(find_member(folder, ["images"], WHERE), IMAGES, WHERE))
    file = find_member(folder, [ANNOTATIONS], WHERE, "file")
    entries = read_json(file, WHERE)
    for key in ("images", "annotations", "categories"):
        if not isinstance(entries, dict) or not isinstance(entries.get(key), list):
            raise InputError(f"{file}: no list '{key}'. {WHERE}")
    ids = _ids(file, "categories", entries["categories"], "id")
    _check_unique(file, "categories", "id", ids)
    names = dict(zip(ids, _values(file, "categories", entries["categories"], "name", str), strict=True))
    of = _ids(file, "annotations", entries["annotations"], "category_id")
    if unknown := [i for i in of if i not in names]:
        raise InputError(f"{file}: category_id {unknown[0]!r} is not the id of a category. {WHERE}")
    found = list(zip((names[i] for i in of), entries["annotations"], strict=True))
    single = [(name, head) for i, (name, head) in enumerate(found) if not _is_crowd(file, i, head)]
    if len(single) < len(found):
        logger.warning(
            "%s: %d regions of crowds (iscrowd) are left out; the people in them are not counted",
            *(file, len(found) - len(single)),
        )
    own = Counter(str(head["id"]) for _, head in found if "id" in head)
    if repeated := own.total() - len(own):
        logger.warning("%s: %d annotations have the id of another one; each box is counted", file, repeated)
    return _Part(split, file, images, entries["images"], list(names.values()), single)


def _is_crowd(file: Path, position: int, annotation: Mapping[str, Any]) -> bool:
    value = annotation.get("iscrowd", 0)
    try:
        return CROWD[value.strip().lower() if isinstance(value, str) else value]
    except (KeyError, TypeError):
        raise InputError(
            f"{file}: annotations[{position}]: 'iscrowd' is {json.dumps(value)[:60]}; expected 0, or 1 for a region"
        ) from None


def _choose_category(parts: list[_Part], folder: Path) -> set[str]:
    """Return the names of the category that counts in all files: `head` if one lists it, else the only one with boxes.

    Raises:
        InputError: no file lists `head`, and there are boxes of several; or `head` is listed, but has no boxes.
    """
    place = parts[0].file if len(parts) == 1 else folder
    heads = {name for part in parts for name in part.categories if name.strip().lower() == HEAD}
    used = {name for part in parts for name, _ in part.boxes}
    listed = ", ".join(sorted(used))
    if heads and used and not heads & used:
        raise InputError(
            f"{place}: the category '{HEAD}' is listed, but all boxes are of: {listed}. Expected boxes of heads; if these "
            f"are what is to be counted, take '{HEAD}' out of 'categories'"
        )
    if not heads and len(used) > 1:
        raise InputError(
            f"{place}: boxes of {len(used)} categories: {listed}; which are the heads? Expected one category, or one "
            f"named '{HEAD}'"
        )
    return heads or used


def _values(file: Path, section: str, entries: list, key: str, kind: type | UnionType) -> list:
    """Return a key's value in each entry of a section; raise an InputError if one is not of the given kind."""
    values = [entry.get(key) if isinstance(entry, dict) else None for entry in entries]
    for i, value in enumerate(values):
        if not isinstance(value, kind):
            shown = "missing" if value is None else json.dumps(value)[:60]
            raise InputError(f"{file}: {section}[{i}]: '{key}' is {shown}; expected {KINDS[kind]}. {WHERE}")
    return values


def _ids(file: Path, section: str, entries: list, key: str) -> list[int | str | float]:
    """Return a key's value in each entry of a section, of which '1', 1 and 1.0 are the same id."""
    return [_as_id(value) for value in _values(file, section, entries, key, int | str | float)]


def _as_id(value: int | str | float) -> int | str | float:
    try:
        whole = int(value)
    except (ValueError, OverflowError):
        return value
    return whole if value in (whole, str(whole)) else value


def _check_unique(file: Path, section: str, key: str, values: Iterable) -> None:
    value, times = Counter(values).most_common(1)[0] if values else ("", 0)
    if times > 1:
        raise InputError(f"{file}: {times} {section} have the {key} {value!r}; expected one")


def _order_images(file: Path, entries: list, images: Mapping[str, Path]) -> tuple[dict[Any, int], list[Path]]:
    """Return each image's position by its id, and the files sorted by name; check ids, names and sizes."""
    if not entries:
        raise InputError(f"{file}: 'images' is empty. {WHERE}")
    ids = _ids(file, "images", entries, "id")
    names, widths, heights = (
        _values(file, "images", entries, key, kind)
        for key, kind in (("file_name", str), ("width", int | float), ("height", int | float))
    )
    names = [composed(name) for name in names]
    for key, values in (("id", ids), ("file_name", names)):
        _check_unique(file, "images", key, values)
    if lost := [name for name in names if name not in images]:
        raise InputError(
            f"{file}: '{lost[0]}' is not among the images ({len(lost)} in all). "
            f"Expected file_name: a path relative to images/, such as '{next(iter(images))}'"
        )
    if len(images) > len(names):
        more = len(images) - len(names)
        logger.warning("%s: %d files in images/ are not listed under 'images': left out", file, more)
    for name, width, height in zip(names, widths, heights, strict=True):
        size = size_of(images[name])
        if size != (width, height):
            found = "{}x{}".format(*size)
            if min(width, height) <= 0:
                remedy = f"Expected the size of the image: write {found} there"
            elif size == (height, width):
                remedy = (
                    "Expected boxes in pixels of the file: if the image was turned after it was annotated, turn it "
                    f"back; if only the numbers are swapped, write {found} there"
                )
            else:
                remedy = "Expected boxes in pixels of the file: resize both image and boxes, or neither"
            raise InputError(
                f"{images[name]}: the image has {found} pixels, {file.name} says {width}x{height}. {remedy}"
            )
    order = sorted(range(len(names)), key=lambda i: natural_key(names[i]))
    return {ids[i]: place for place, i in enumerate(order)}, [images[names[i]] for i in order]


def _convert_boxes(file: Path, heads: list[dict], positions: Mapping[Any, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each head's image, (N,), and its left, top, right and bottom, (N, 4) float64."""
    image = np.array([positions.get(i, -1) for i in _ids(file, "annotations", heads, "image_id")], int)
    unknown = np.flatnonzero(image < 0)
    if len(unknown):
        name = heads[unknown[0]]["image_id"]
        raise InputError(
            f"{file}: an annotation's image_id is {name!r}, but no image has this id ({len(unknown)} or more in all). "
            "Expected the id of an entry of 'images'"
        )
    found = _values(file, "annotations", heads, "bbox", list)
    try:
        boxes = np.array(found, dtype=np.float64) if found else np.zeros((0, 4))
    except (TypeError, ValueError, OverflowError):
        boxes = np.zeros(0)
    if boxes.shape == (len(found), 4):
        wrong = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
    else:
        wrong = [len(box) != 4 or not all(map(_is_number, box)) for box in found]
    if np.any(wrong):
        box = json.dumps(found[np.argmax(wrong)])[:60]
        raise InputError(f"{file}: a bbox is {box}; expected [left, top, width, height] in pixels")
    boxes[:, 2:] += boxes[:, :2]
    return image, boxes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e300  # a larger integer does not fit into a float


def _check_corners(file: Path, boxes: np.ndarray, sizes: np.ndarray) -> None:
    """Raise an InputError if boxes, (N, 4), seem to be given by two corners, not by a corner, width and height.

    A width that exceeds the left edge and a height that exceeds the top are usual for a head that is close to the
    image's corner. Of all heads they are not, the less so if the boxes then go beyond the image, (N, 2).
    """
    given = boxes.copy()
    given[:, 2:] -= boxes[:, :2]
    ordered = (given[:, 2:] >= given[:, :2]).all(axis=1) & (given[:, 2:] <= sizes + 1).all(axis=1)
    beyond = (boxes[:, 2:] > sizes + 1).any()
    if len(boxes) and np.abs(given).max() > 2 and ordered.mean() > 0.95 and (beyond or len(boxes) >= 10):
        raise InputError(
            f"{file}: in {ordered.sum()} of {len(boxes)} boxes the third number is not below the first and the fourth not "
            f"below the second, such as {json.dumps(given[np.argmax(ordered)].tolist())}, like the corners of a box. "
            "Expected [left, top, width, height]: subtract left and top from the others"
        )
