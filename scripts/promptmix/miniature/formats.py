"""Rendered crowds in the file formats of ShanghaiTech, UCF-QNRF and PANDA-Crowd.

The miniature's datasets are read by the same readers as the real ones. A scene has `image` (H, W, 3) uint8 RGB,
`points` (N, 2) 0-based x and y, `boxes` (N, 4) left, top, right and bottom, `location` and `grey`.
Equal scenes give equal bytes.
"""

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import scipy.io

from promptmix.files import replacing
from promptmix.images import encode_jpeg


class Scene(Protocol):
    """What the writers need of a rendered crowd."""

    image: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    location: str
    grey: bool


def write_shanghaitech(
    folder: str | Path, part_name: str, split: str, scenes: Iterable[Scene], quality: int = 75
) -> None:
    """Write one split of a part in the original layout.

    Files: `{folder}/{part_name}/{split}_data/images/IMG_1.jpg` (one channel if the scene is grey) and
    `ground_truth/GT_IMG_1.mat`, whose 1-based points are `mat["image_info"][0, 0][0, 0][0]`.

    Args:
        part_name: "part_A_final" or "part_B_final".
        split: "train" or "test".
    """
    base = Path(folder) / part_name / f"{split}_data"
    for number, scene in enumerate(scenes, start=1):
        _write_image(base / "images" / f"IMG_{number}.jpg", scene, quality)
        info = np.empty((1, 1), dtype=object)
        info[0, 0] = {"location": _matlab_points(scene), "number": float(len(scene.points))}
        _write_mat(base / "ground_truth" / f"GT_IMG_{number}.mat", {"image_info": info})


def write_ucf_qnrf(folder: str | Path, split: str, scenes: Iterable[Scene], qualities: Sequence[int]) -> None:
    """Write one split: `{folder}/Train/img_0001.jpg` and `img_0001_ann.mat`, with 1-based points under `annPoints`.

    Args:
        folder: such as UCF-QNRF_ECCV18.
        split: "train" or "test".
        qualities: JPEG quality of each scene.
    """
    base = Path(folder) / split.capitalize()
    for number, (scene, quality) in enumerate(zip(scenes, qualities, strict=True), start=1):
        _write_image(base / f"img_{number:04d}.jpg", scene, quality)
        _write_mat(base / f"img_{number:04d}_ann.mat", {"annPoints": _matlab_points(scene)})


def write_panda(folder: str | Path, scenes: Iterable[Scene], quality: int = 95) -> None:
    """Write PANDA-Crowd's `head_bbox_annotations.json` and `{Location}/{location}_01.jpg`, a folder per location."""
    folder = Path(folder)
    entries: dict[str, Any] = {}
    numbers: Counter[str] = Counter()
    for scene in scenes:
        place = "_".join(scene.location.split())
        numbers[place] += 1
        name = f"{place[:1].upper() + place[1:]}/{place.lower()}_{numbers[place]:02d}.jpg"
        _write_image(folder / name, scene, quality)
        height, width = scene.image.shape[:2]
        corners = (np.asarray(scene.boxes, dtype=np.float64).reshape(-1, 2, 2) / [width, height]).tolist()
        entries[name] = {
            "image size": {"height": height, "width": width},
            "objects list": [
                {
                    "category": "person head",
                    "rect": {corner: {"x": x, "y": y} for corner, (x, y) in zip(("tl", "br"), box, strict=True)},
                }
                for box in corners
            ],
        }
    with replacing(folder / "head_bbox_annotations.json") as temporary:
        temporary.write_text(json.dumps(entries))


def _matlab_points(scene: Scene) -> np.ndarray:
    """Return 1-based points, (N, 2) float64; a head in the last pixel lies at most on it (width, height)."""
    height, width = scene.image.shape[:2]
    points = np.asarray(scene.points, dtype=np.float64).reshape(-1, 2)
    return np.clip(points + 1, 1, [width, height])


def _write_image(path: Path, scene: Scene, quality: int) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(encode_jpeg(scene.image, quality, scene.grey))


def _write_mat(path: Path, variables: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, variables, do_compression=True)
    # The first 116 bytes are free text, in which scipy writes the time of day.
    contents = b"MATLAB 5.0 MAT-file, written by PromptMix's miniature".ljust(116) + buffer.getvalue()[116:]
    with replacing(path) as temporary:
        temporary.write_bytes(contents)
