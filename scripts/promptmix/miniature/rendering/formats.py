"""Writers of rendered crowds as ShanghaiTech, UCF-QNRF and PANDA-Crowd, and of rendered rooms as NYU Depth V2.

So the miniature's datasets are read by the same readers as the real ones. A crowd has `image` (H, W, 3) uint8 RGB,
`points` (N, 2) 0-based x and y, `boxes` (N, 4) left, top, right and bottom, `location` and `grey`; a room has `image`,
`depth` (H, W) float32 in metres and `kind`. Equal scenes give equal bytes.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from promptmix.datasets.pictures import encode_jpeg
from promptmix.datasets.writing import encode_mat, encode_shanghaitech, one_based
from promptmix.errors import InputError
from promptmix.files import replacing

WRITER = "PromptMix's miniature"


class Scene(Protocol):
    """The attributes of a rendered crowd that the writers use."""

    image: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    location: str
    grey: bool


class Interior(Protocol):
    """The attributes of a rendered room that the writer uses."""

    image: np.ndarray
    depth: np.ndarray
    kind: str


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
        height, width = scene.image.shape[:2]
        annotation = encode_shanghaitech(scene.points, width, height, WRITER)
        _write(base / "ground_truth" / f"GT_IMG_{number}.mat", annotation)


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
        height, width = scene.image.shape[:2]
        points = one_based(scene.points, width, height)
        _write(base / f"img_{number:04d}_ann.mat", encode_mat({"annPoints": points}, WRITER))


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


def write_nyu(path: str | Path, rooms: Sequence[Interior]) -> None:
    """Write NYU Depth V2's `nyu_depth_v2_labeled.mat`, without labels, accelerometer data and white frame.

    The file is as MATLAB 7.3 writes it: HDF5 after a header of 512 bytes, all axes reversed, texts as UTF-16 in
    `#refs#` with references to them. `depths` is exact; `rawDepths` has holes (0) where a Kinect would have them.

    Raises:
        InputError: there is no room, or the rooms have different sizes: the file has one array for all images.
    """
    if len(sizes := {room.image.shape[1::-1] for room in rooms}) != 1:
        listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)) or "no images"
        raise InputError(
            f"{path}: all images of this format must have the same size, found {listed}. Give one entry in 'sizes'"
        )
    scenes = [f"{'_'.join(room.kind.split())}_{number:04d}" for number, room in enumerate(rooms, start=1)]
    with replacing(path) as temporary:
        with h5py.File(temporary, "w", userblock_size=512) as file:
            _write_array(file, "images", [room.image for room in rooms], "uint8")
            _write_array(file, "depths", [room.depth for room in rooms], "single")
            _write_array(file, "rawDepths", [_cut_holes(room.depth) for room in rooms], "single")
            _write_cells(file, "sceneTypes", ["_".join(room.kind.split()) for room in rooms])
            _write_cells(file, "scenes", scenes)
            _write_cells(file, "rawRgbFilenames", [f"{scene}/r-0.ppm" for scene in scenes])
            _write_cells(file, "rawDepthFilenames", [f"{scene}/d-0.pgm" for scene in scenes])
        text = b"MATLAB 7.3 MAT-file, written by PromptMix's miniature. HDF5 schema 1.00 .".ljust(116)
        with open(temporary, "r+b") as file:
            file.write(text + bytes(8) + b"\x00\x02IM")  # no subsystem data, version 2.0, little-endian


def _write_array(file: h5py.File, key: str, arrays: Sequence[np.ndarray], kind: str) -> None:
    """Write arrays of one shape, stacked along MATLAB's last axis, which is HDF5's first."""
    stacked = np.stack([array.T for array in arrays])
    dataset = file.create_dataset(key, data=stacked, chunks=(1, *stacked.shape[1:]), compression="gzip")
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)


def _write_cells(file: h5py.File, key: str, texts: Sequence[str]) -> None:
    """Write texts as an Nx1 cell array of MATLAB."""
    references = np.empty((1, len(texts)), dtype=h5py.ref_dtype)
    for i, text in enumerate(texts):
        codes = np.frombuffer(text.encode("utf-16-le"), dtype=np.uint16)[:, None]
        cell = file.require_group("#refs#").create_dataset(f"{key}{i}", data=codes)
        cell.attrs["MATLAB_class"] = np.bytes_("char")
        cell.attrs["MATLAB_int_decode"] = np.int32(2)
        references[0, i] = cell.ref
    file.create_dataset(key, data=references).attrs["MATLAB_class"] = np.bytes_("cell")


def _cut_holes(depth: np.ndarray) -> np.ndarray:
    """Return depths with 0 where a sensor measures none: at the image's rim, and beside edges, on the farther side."""
    far = np.zeros(depth.shape, bool)
    far[:, 1:] |= depth[:, 1:] > 1.1 * depth[:, :-1]
    far[:, :-1] |= depth[:, :-1] > 1.1 * depth[:, 1:]
    rim = max(1, depth.shape[1] // 64)
    inner = np.zeros(depth.shape, bool)
    inner[rim:-rim, rim:-rim] = True
    return np.where(inner & ~far, depth, np.float32(0))


def _write_image(path: Path, scene: Scene, quality: int) -> None:
    _write(path, encode_jpeg(scene.image, quality, scene.grey))


def _write(path: Path, contents: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(contents)
