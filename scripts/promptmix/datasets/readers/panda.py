"""PANDA-Crowd (Wang et al., CVPR 2020): a few gigapixel images with a box for each head, without a test split.

Layout: `head_bbox_annotations.json` beside one folder of images per scene. The file maps an image's path, such as
"Marathon/marathon_01.jpg", to its size and its heads, whose corners are fractions of width and height.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from promptmix.datasets.pictures import measure
from promptmix.datasets.readers.folders import IMAGES
from promptmix.datasets.sample import (
    Sample,
    check_counts,
    composed,
    files_by_stem,
    find_folder,
    find_member,
    natural_key,
    read_json,
)
from promptmix.errors import InputError

logger = logging.getLogger(__name__)

ANNOTATIONS = "head_bbox_annotations.json"
HEAD = "person head"
WHERE = (
    f"Expected: PANDA_Crowd/ with {ANNOTATIONS} and one folder of images per scene. Get it from "
    "https://www.panda-dataset.com (now www.gigavision.cn), Download page, PANDA-Crowd; it has to be fetched by hand"
)


def read(path: str | Path, expected: Mapping[str, int] | None = None) -> list[Sample]:
    """Return the samples, sorted by path, with split "", since the dataset has none. Points are the boxes' centres.

    Args:
        path: the folder that contains the annotation file.
        expected: number of images, see `check_counts`. The dataset has {"all": 45}.

    Raises:
        InputError: the annotation file or images are missing or damaged, entries lack keys, or the number of images is
            not the expected one.
    """
    folder = find_folder(path, WHERE)
    file = find_member(folder, [ANNOTATIONS], WHERE, "file")
    entries = read_json(file, WHERE)
    if not isinstance(entries, dict):
        raise InputError(f"{file}: expected a mapping from image paths to annotations. {WHERE}")
    samples = [_sample(folder, file, name, entries[name]) for name in sorted(entries, key=natural_key)]
    check_counts(samples, expected, folder, WHERE)
    _check_fractions(samples, file)
    return samples


def _check_fractions(samples: list[Sample], file: Path) -> None:
    """Raise an InputError if most corners are no fractions."""
    boxes = np.concatenate([sample.boxes / (2 * (sample.width, sample.height)) for sample in samples])
    largest = np.abs(boxes).max(axis=1)
    if len(boxes) and (typical := np.median(largest)) > 2:
        unit = "percentages" if np.quantile(largest, 0.99) <= 101 else "pixels"
        raise InputError(
            f"{file}: the corners of the boxes are like {unit} (half of them are above {typical:g}). Expected fractions "
            f"of the image, 0 to 1: divide x and y by {'100' if unit == 'percentages' else 'its width and height'}"
        )


def _sample(folder: Path, file: Path, name: str, entry: Any) -> Sample:
    path = _find_image(folder, name)
    if path is None:
        raise InputError(f"{folder / name}: this image, listed in {file}, is missing. {WHERE}")
    size, orientation = measure(path)
    heads = _get(entry, "objects list", f"{file}: '{name}'")
    if not isinstance(heads, list):
        raise InputError(f"{file}: '{name}': 'objects list' is {str(heads)[:60]!r}; expected a list. {WHERE}")
    corners = [
        _corners(head, f"{file}: '{name}', object {index}")
        for index, head in enumerate(heads)
        if _get(head, "category", f"{file}: '{name}', object {index}") == HEAD
    ]
    if len(corners) < len(heads):
        logger.info(
            "%s: %s: %d objects are not of the category '%s': left out", file, name, len(heads) - len(corners), HEAD
        )
    try:
        boxes = np.array(corners, dtype=np.float64).reshape(-1, 2, 2)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{file}: '{name}': some x or y is not a number ({error}). Fetch or copy it again") from error
    boxes = boxes * size  # the corners are relative: the file's own "image size" is not needed
    if len(wrong := np.flatnonzero((boxes[:, 1] < boxes[:, 0]).any(axis=1))):
        raise InputError(
            f"{file}: '{name}': {len(wrong)} boxes have 'br' to the left of 'tl' or above it. Expected the lower right "
            "corner in 'br' and the upper left one in 'tl'"
        )
    points, boxes = boxes.mean(axis=1), boxes.reshape(-1, 4)
    return Sample(Path(name).as_posix(), path, "", *size, points, boxes, annotation=file, orientation=orientation)


def _find_image(folder: Path, name: str) -> Path | None:
    """Return an image's path; its suffix may be written in another way, or its accents (see `composed`)."""
    path = folder / name
    if path.is_file() or path.is_symlink():
        return path
    return files_by_stem(path.parent, IMAGES).get(composed(path.stem)) if path.parent.is_dir() else None


def _corners(head: Any, place: str) -> tuple[tuple[float, float], tuple[float, float]]:
    rect = _get(head, "rect", place)
    corners = [_get(rect, corner, f"{place}, 'rect'") for corner in ("tl", "br")]
    return tuple(
        tuple(_get(point, axis, f"{place}, 'rect', '{corner}'") for axis in ("x", "y"))
        for corner, point in zip(("tl", "br"), corners, strict=True)
    )


def _get(mapping: Any, key: str, place: str) -> Any:
    if not isinstance(mapping, dict) or key not in mapping:
        there = ", ".join(f"'{k}'" for k in mapping) if isinstance(mapping, dict) else repr(mapping)[:60]
        raise InputError(
            f"{place}: no key '{key}', there is {there or 'nothing'}. Is this PANDA-Crowd's {ANNOTATIONS}?"
        )
    return mapping[key]
