"""Your own images with a box around each head, in COCO's detection format.

Layout: `images/` (.jpg, .jpeg or .png, also in subfolders) with `annotations.json` beside it, or `train/` and `test/`,
each of that form. The keys that are read:

    images        id, file_name (path relative to `images/`), width, height
    annotations   image_id, category_id, bbox ([left, top, width, height] in pixels), iscrowd (0 if missing)
    categories    id, name

Points are the centres of the boxes, and the boxes set the size of the kernels. One category counts: the only one with
boxes or, if there are several, the one named `head`. Regions of crowds (iscrowd: 1) are not heads and are left out.
"""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np

from promptmix.datasets.readers.folders import IMAGES, files_in, find_parts, make_samples, size_of
from promptmix.datasets.sample import Sample, check_counts, find_member, natural_key
from promptmix.errors import InputError

logger = logging.getLogger(__name__)

ANNOTATIONS = "annotations.json"
HEAD = "head"
KINDS = {int | str: "a number or text", str: "text", int | float: "a number", list: "a list"}
WHERE = (
    f"Expected: a folder with images/ (.jpg or .png) and {ANNOTATIONS} (COCO's detection format, with images, "
    "annotations and categories), or with train/ and test/, each of that form"
)


def read(path: str | Path, expected: Mapping[str, int] | None = None) -> list[Sample]:
    """Return the samples, sorted by name: first training, then test images, or with split "" if there is no split.

    Only images that the annotation file lists are read; others in `images/` are left out.

    Args:
        path: the folder.
        expected: images per split, see `check_counts`.

    Raises:
        InputError: folders, images or annotations are missing, damaged or do not fit together; there are several
            categories and none is named `head`; or the number of images is not the expected one.
    """
    samples = []
    for split, part in find_parts(path, expected, WHERE).items():
        images = files_in(find_member(part, ["images"], WHERE), IMAGES, WHERE)
        file = find_member(part, [ANNOTATIONS], WHERE)
        entries = _read_json(file)
        positions, files = _order_images(file, entries["images"], images)
        image, boxes = _convert_boxes(file, entries, positions)
        points = (boxes[:, :2] + boxes[:, 2:]) / 2
        samples += make_samples(Path(path), split, files, image, points, file, boxes)
    check_counts(samples, expected, Path(path), WHERE)
    return samples


def _read_json(file: Path) -> dict[str, list]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({error}). {WHERE}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(entries, dict) or not isinstance(entries.get(key), list):
            raise InputError(f"{file}: no list '{key}'. {WHERE}")
    return entries


def _values(file: Path, section: str, entries: list, key: str, kind: type | UnionType) -> list:
    """Return a key's value in each entry of a section; raise an InputError if one is not of the given kind."""
    values = [entry.get(key) if isinstance(entry, dict) else None for entry in entries]
    for i, value in enumerate(values):
        if not isinstance(value, kind):
            shown = "missing" if value is None else json.dumps(value)[:60]
            raise InputError(f"{file}: {section}[{i}]: '{key}' is {shown}; expected {KINDS[kind]}. {WHERE}")
    return values


def _order_images(file: Path, entries: list, images: Mapping[str, Path]) -> tuple[dict[Any, int], list[Path]]:
    """Return each image's position by its id, and the files sorted by name; check ids, names and sizes."""
    if not entries:
        raise InputError(f"{file}: 'images' is empty. {WHERE}")
    ids, names, widths, heights = (
        _values(file, "images", entries, key, kind)
        for key, kind in (("id", int | str), ("file_name", str), ("width", int | float), ("height", int | float))
    )
    for key, values in (("id", ids), ("file_name", names)):
        value, times = Counter(values).most_common(1)[0]
        if times > 1:
            raise InputError(f"{file}: {times} images have the {key} {value!r}; expected one")
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
            raise InputError(
                f"{images[name]}: the image has {found} pixels, {file.name} says {width}x{height}. "
                "Expected boxes in pixels of the file: resize both image and boxes, or neither"
            )
    order = sorted(range(len(names)), key=lambda i: natural_key(names[i]))
    return {ids[i]: place for place, i in enumerate(order)}, [images[names[i]] for i in order]


def _convert_boxes(
    file: Path, entries: Mapping[str, list], positions: Mapping[Any, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the position of each head's image, (N,), and its left, top, right and bottom, (N, 4) float64."""
    heads = _select_heads(file, entries)
    image = np.array([positions.get(i, -1) for i in _values(file, "annotations", heads, "image_id", int | str)], int)
    unknown = np.flatnonzero(image < 0)
    if len(unknown):
        name = heads[unknown[0]]["image_id"]
        raise InputError(
            f"{file}: an annotation's image_id is {name!r}, but no image has this id ({len(unknown)} or more in all). "
            "Expected the id of an entry of 'images'"
        )
    found = _values(file, "annotations", heads, "bbox", list)
    try:
        boxes = np.array(found, dtype=np.float64).reshape(len(found), 4)
        wrong = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < 0).any(axis=1)
    except (TypeError, ValueError):
        wrong = [len(box) != 4 or not all(isinstance(value, int | float) for value in box) for box in found]
    if np.any(wrong):
        box = json.dumps(found[np.argmax(wrong)])[:60]
        raise InputError(f"{file}: a bbox is {box}; expected [left, top, width, height] in pixels")
    boxes[:, 2:] += boxes[:, :2]
    return image, boxes


def _select_heads(file: Path, entries: Mapping[str, list]) -> list[dict]:
    """Return the annotations of the category that is counted, without regions of crowds."""
    categories, annotations = entries["categories"], entries["annotations"]
    ids = _values(file, "categories", categories, "id", int | str)
    names = dict(zip(ids, _values(file, "categories", categories, "name", str), strict=True))
    of = _values(file, "annotations", annotations, "category_id", int | str)
    if unknown := [i for i in of if i not in names]:
        raise InputError(f"{file}: category_id {unknown[0]!r} is not the id of a category. {WHERE}")
    single = [(names[i], head) for i, head in zip(of, annotations, strict=True) if not head.get("iscrowd")]
    if len(single) < len(annotations):
        crowds = len(annotations) - len(single)
        logger.warning(
            "%s: %d regions of crowds (iscrowd) are left out; the people in them are not counted", file, crowds
        )
    used = sorted({name for name, _ in single})
    if len(used) > 1 and HEAD not in used:
        raise InputError(
            f"{file}: boxes of {len(used)} categories: {', '.join(used)}; which are the heads? "
            f"Expected one category, or one named '{HEAD}'"
        )
    heads = [head for name, head in single if len(used) == 1 or name == HEAD]
    if len(heads) < len(single):
        logger.info("%s: %d boxes are of other categories than '%s': left out", file, len(single) - len(heads), HEAD)
    return heads
