"""PANDA-Crowd (Wang et al., CVPR 2020): a few gigapixel images with a box for each head, without a test split.

Layout: `head_bbox_annotations.json` beside one folder of images per scene. The file maps an image's path, such as
"Marathon/marathon_01.jpg", to its size and its heads, whose corners are fractions of width and height.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from promptmix.datasets.pictures import open_image
from promptmix.datasets.sample import Sample, check_counts, find_folder, find_member, natural_key
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
    file = find_member(folder, [ANNOTATIONS], WHERE)
    try:
        entries = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON ({error}). Fetch or copy it again") from error
    if not isinstance(entries, dict):
        raise InputError(f"{file}: expected a mapping from image paths to annotations. {WHERE}")
    samples = [_sample(folder, file, name, entries[name]) for name in sorted(entries, key=natural_key)]
    check_counts(samples, expected, folder, WHERE)
    return samples


def _sample(folder: Path, file: Path, name: str, entry: Any) -> Sample:
    path = folder / name
    if not path.exists():
        raise InputError(f"{path}: this image, listed in {file.name}, is missing. {WHERE}")
    with open_image(path) as image:
        size = image.size
    heads = _get(entry, "objects list", f"{file}: '{name}'")
    boxes = np.array(
        [
            _corners(head, f"{file}: '{name}', object {index}")
            for index, head in enumerate(heads)
            if _get(head, "category", f"{file}: '{name}', object {index}") == HEAD
        ],
        dtype=np.float64,
    ).reshape(-1, 2, 2)
    if len(boxes) < len(heads):
        logger.info(
            "%s: %s: %d objects are not of the category '%s': left out", file, name, len(heads) - len(boxes), HEAD
        )
    boxes = boxes * size  # the corners are relative: the file's own "image size" is not needed
    centres = boxes.mean(axis=1)
    kept = ((centres >= 0) & (centres <= size)).all(axis=1)
    if not kept.all():
        logger.info("%s: %s: %d heads are outside the image: dropped", file, name, (~kept).sum())
    boxes = boxes[kept].reshape(-1, 4)
    return Sample(Path(name).as_posix(), path, "", *size, centres[kept], boxes, outside=int((~kept).sum()))


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
