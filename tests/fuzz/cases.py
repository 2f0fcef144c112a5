"""Small right datasets of each format, as trees of contents that can be changed before they are written, and their truth.

Coordinates are those of the annotation files: of .mat files 1-based, of PANDA pixels and not yet fractions.
"""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from PIL import Image

MATLAB = ("shanghaitech", "ucf_qnrf")
POINTS = (*MATLAB, "points")
BOXES = ("coco", "panda")
COUNTING = (*POINTS, *BOXES)
DEPTH = ("nyu", "depth_maps")
OWN = ("points", "coco", "depth_maps")
AUTHORS = (*MATLAB, "panda")
FORMATS = (*COUNTING, *DEPTH)
FOLDERS = tuple(format for format in FORMATS if format != "nyu")

SMALL = ((32, 24), (24, 32), (40, 24))
LARGE = ((300, 220), (220, 300))

# --- What a file holds, as long as it is not yet bytes ---


@dataclass
class Photo:
    """A picture, and how it is saved. It is replaced, and never changed."""

    image: Image.Image
    kind: str
    options: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def _data(self) -> bytes:
        buffer = io.BytesIO()
        self.image.save(buffer, self.kind, **self.options)
        return buffer.getvalue()

    def dump(self) -> bytes:
        return self._data

    def decode(self) -> np.ndarray:
        """Return (H, W, 3) uint8, as the file shows it."""
        with Image.open(io.BytesIO(self.dump())) as image:
            return np.array(image.convert("RGB"))


@dataclass
class Table:
    """A CSV file."""

    rows: list[list[str]]
    encoding: str = "utf-8"
    form: dict[str, Any] = field(default_factory=dict)

    def dump(self) -> bytes:
        buffer = io.StringIO()
        csv.writer(buffer, **({"lineterminator": "\n"} | self.form)).writerows(self.rows)
        return buffer.getvalue().encode(self.encoding, "surrogateescape" if self.encoding == "utf-8" else "strict")


@dataclass
class Json:
    """A JSON file."""

    value: Any
    encoding: str = "utf-8"

    def dump(self) -> bytes:
        return json.dumps(self.value, ensure_ascii=False).encode(self.encoding, "surrogateescape")


@dataclass
class Mat:
    """A MATLAB file of version 5 or 4."""

    variables: dict[str, Any]
    options: dict[str, Any] = field(default_factory=lambda: {"do_compression": True})

    def dump(self) -> bytes:
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, self.variables, **self.options)
        if self.options.get("format") == "4":
            return buffer.getvalue()
        return b"MATLAB 5.0 MAT-file".ljust(116) + buffer.getvalue()[116:]  # without scipy's time of day


@dataclass
class Hdf5:
    """A MATLAB file of version 7.3. An array is a dataset, anything else is set as h5py sets it."""

    values: dict[str, Any]
    options: dict[str, Any] = field(default_factory=lambda: {"compression": "gzip"})

    def dump(self) -> bytes:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", userblock_size=512) as file:
            for key, value in self.values.items():
                if isinstance(value, np.ndarray) and value.size:
                    file.create_dataset(key, data=value, chunks=(1, *value.shape[1:]), **self.options)
                else:
                    file[key] = value
        return b"MATLAB 7.3 MAT-file".ljust(512) + buffer.getvalue()[512:]


@dataclass
class Npy:
    """An array saved by numpy."""

    array: np.ndarray
    version: tuple[int, int] | None = None

    def dump(self) -> bytes:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, self.array, self.version)
        return buffer.getvalue()


@dataclass
class Raw:
    """Bytes."""

    data: bytes

    def dump(self) -> bytes:
        return self.data


@dataclass
class Link:
    """A symbolic link, to a path relative to its own folder."""

    target: str


class Folder:
    """An empty folder."""


class Unfit(Exception):
    """There is nothing to choose from, or to change."""


def any_of(rng: np.random.Generator, choices: Iterable[Any]) -> Any:
    """Return one of several."""
    if not (choices := list(choices)):
        raise Unfit
    return choices[rng.integers(len(choices))]


# --- The dataset ---


@dataclass
class Truth:
    """What is right of one image.

    Attributes:
        split: the authors' or the folder's, "" if there is none.
        picture: its file; "" where one file holds all.
        note: the file of its heads or its depth.
        pixels: (H, W, 3) uint8.
        marks: (N, 2) points, or (N, 2, 2) corners of boxes.
        depth: (H, W) float32 metres, 0 = unknown.
    """

    split: str
    picture: str
    note: str
    pixels: np.ndarray
    marks: np.ndarray
    depth: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1::-1]

    def heads(self, format: str) -> np.ndarray:
        """Return (N, 4) float64, those heads that are inside the image: 0-based x, y, and the box's sides."""
        marks = np.asarray(self.marks, float)
        points = marks.mean(axis=1) if format in BOXES else marks
        sides = marks[:, 1] - marks[:, 0] if format in BOXES else np.zeros_like(points)
        kept = ((points >= 0) & (points <= self.size)).all(axis=1)
        if format in MATLAB:
            points = np.maximum(points - 1, 0)
        return np.hstack([points, sides])[kept]


@dataclass
class Case:
    """A dataset that is not yet written.

    Attributes:
        files: contents by path, relative to the dataset's folder; "../" leads out of it.
        truths: by the image's name.
        config: keys of the dataset's entry in a config, without `path`.
        root: name of the dataset's folder.
        path: what the config names, relative to the dataset's folder.
        named: paths of which one has to stand in an error or a warning.
    """

    format: str
    files: dict[str, Any]
    truths: dict[str, Truth]
    config: dict[str, Any]
    root: str = "data"
    path: str = ""
    named: set[str] = field(default_factory=set)

    def write(self, folder: Path) -> Path:
        """Write the files into a folder; return the dataset's path.

        Raises:
            Unfit: one is below another.
        """
        for name, content in self.files.items():
            file = Path(os.path.normpath(folder / self.root / name))
            try:
                if isinstance(content, Folder):
                    file.mkdir(parents=True, exist_ok=True)
                    continue
                file.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, Link):
                    file.symlink_to(content.target)
                else:
                    file.write_bytes(content.dump())
            except OSError as error:
                raise Unfit from error
        return folder / self.root / self.path

    def reference(self, name: str) -> str:
        """Return how the annotations call an image: its path below images/, or that of the dataset."""
        picture = self.truths[name].picture
        return picture.partition("images/")[2] if self.format in ("points", "coco") else picture

    def write_marks(self, name: str, marks: np.ndarray) -> None:
        """Put an image's heads into its annotation, instead of those that are there. The truth stays.

        Raises:
            Unfit: the annotation was changed before; what is odd about it would be gone.
        """
        truth, reference = self.truths[name], self.reference(name)
        if truth.note in self.named:
            raise Unfit
        note = self.files[truth.note]
        numbers = np.asarray(marks, float).tolist()
        if self.format == "points":
            others = [row for row in note.rows[1:] if row[0] != reference]
            note.rows[1:] = others + [[reference, *map(str, point)] for point in numbers]
        elif self.format == "coco":
            (number,) = [entry["id"] for entry in note.value["images"] if entry["file_name"] == reference]
            others = [entry for entry in note.value["annotations"] if entry["image_id"] != number]
            for (left, top), (right, bottom) in numbers:
                box = [left, top, right - left, bottom - top]
                others.append({"image_id": number, "category_id": 1, "bbox": box, "iscrowd": 0})
            note.value["annotations"] = [{"id": i} | entry for i, entry in enumerate(others)]
        elif self.format == "panda":
            note.value[reference]["objects list"] = [
                {"category": "person head", "rect": {"tl": {"x": left, "y": top}, "br": {"x": right, "y": bottom}}}
                for (left, top), (right, bottom) in (np.asarray(marks, float).reshape(-1, 2, 2) / truth.size).tolist()
            ]
        else:
            note.variables = matlab(self.format, np.asarray(marks, float))


def matlab(format: str, points: Any) -> dict[str, Any]:
    """Return the variables of an annotation."""
    if format == "ucf_qnrf":
        return {"annPoints": points}
    number, *_ = getattr(points, "shape", None) or (1,)
    return {"image_info": in_a_cell({"location": points, "number": float(number)})}


def in_a_cell(value: Any) -> np.ndarray:
    """Return a MATLAB cell array of one cell."""
    cell = np.empty((1, 1), object)
    cell[0, 0] = value
    return cell


HEADS = (4, 0, 5, 3, 6)
"""Numbers of heads in the images of a dataset."""

LAYOUTS = {
    "whole": ([""] * 5, {"val": 1, "test": 1}),
    "parted": (["train"] * 3 + ["test"] * 2, {"val": 1}),
    "with_val": (["train"] * 2 + ["val"] + ["test"] * 2, None),
}
"""The splits that images come with, and how the config divides them."""


def make(format: str, rng: np.random.Generator) -> Case:
    """Return a right dataset of five images."""
    sizes = LARGE if rng.random() < 0.15 else SMALL
    layout = "parted" if format in MATLAB else any_of(rng, LAYOUTS) if format in OWN else "whole"
    splits, divided = LAYOUTS[layout]
    images = dict(Counter(split or "all" for split in splits))
    case = Case(format, {}, {}, {"format": format, "images": images, "split": divided})
    suffix = any_of(rng, [".npy", ".png"])
    for i, (split, count) in enumerate(zip(splits, HEADS)):
        number = i - splits.index(split) + 1
        size = sizes[0] if format == "nyu" else sizes[rng.integers(len(sizes))]
        name, picture, note = _place(format, split, number, suffix)
        kind = "PNG" if picture.endswith(".png") else "JPEG"
        photo = Photo(_draw(rng, size, grey=i == 2 and format != "nyu"), kind)
        pixels = np.array(photo.image) if format == "nyu" else photo.decode()
        marks = _mark(format, rng, size, 0 if format in DEPTH else count)
        truth = Truth(split, picture, note, pixels, marks)
        if format in DEPTH:
            truth.depth = rng.integers(500, 9500, size[::-1]).astype(np.float32) * np.float32(0.001)
        case.truths[name] = truth
        if picture:
            case.files[picture] = photo
    _annotate(case, suffix)
    return case


def _place(format: str, split: str, number: int, suffix: str) -> tuple[str, str, str]:
    """Return an image's name, its file, and the file of its heads or depth."""
    if format == "nyu":
        return f"{number:04d}", "", "nyu_depth_v2_labeled.mat"
    if format == "shanghaitech":
        part = f"{split}_data"
        picture, note = f"{part}/images/IMG_{number}.jpg", f"{part}/ground_truth/GT_IMG_{number}.mat"
    elif format == "ucf_qnrf":
        stem = f"{split.capitalize()}/img_{number:04d}"
        picture, note = f"{stem}.jpg", f"{stem}_ann.mat"
    elif format == "panda":
        picture, note = f"Station/station_{number:02d}.jpg", "head_bbox_annotations.json"
    else:
        part = f"{split}/" if split else ""
        stem = ("frame_1", "hall/frame_2", "frame_3", "frame_10", "hall/frame_20")[number - 1]
        picture = f"{part}images/{stem}{'.png' if number == 2 else '.jpg'}"
        depth = f"{part}depths/{stem}{suffix}"
        note = {"points": f"{part}points.csv", "coco": f"{part}annotations.json", "depth_maps": depth}[format]
    return picture, picture, note


def _draw(rng: np.random.Generator, size: tuple[int, int], grey: bool) -> Image.Image:
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size).convert("L" if grey else "RGB")


def _mark(format: str, rng: np.random.Generator, size: tuple[int, int], count: int) -> np.ndarray:
    """Return heads all over the image. One is in the lower right corner: with x and y swapped, it is outside."""
    shares = rng.uniform(0.1, 0.9, (count, 2))
    shares[:1] = 0.92
    points = np.round(shares * size * 4) / 4
    if format in BOXES:
        return np.stack([points - [1, 1.5], points + [1, 1.5]], axis=1)
    return points + (format in MATLAB)


def _annotate(case: Case, suffix: str) -> None:
    """Write what stands beside the images."""
    format, truths = case.format, case.truths
    if format == "nyu":
        arrays = {
            "images": np.stack([truth.pixels.T for truth in truths.values()]),
            "depths": np.stack([truth.depth.T for truth in truths.values()]),
        }
        (case.path,) = {truth.note for truth in truths.values()}
        case.files[case.path] = Hdf5(arrays)
        return
    if format == "depth_maps":
        if suffix == ".png":
            case.config["unit"] = 0.001
        for truth in truths.values():
            counts = np.round(truth.depth * 1000).astype(np.uint16)
            case.files[truth.note] = Npy(truth.depth) if suffix == ".npy" else Photo(Image.fromarray(counts), "PNG")
        return
    for number, (name, truth) in enumerate(truths.items(), start=1):
        width, height = truth.size
        if format == "points":
            case.files.setdefault(truth.note, Table([["image", "x", "y"]]))
        elif format == "coco":
            empty = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "head"}]}
            note = case.files.setdefault(truth.note, Json(empty))
            entry = {"id": number, "file_name": case.reference(name), "width": width, "height": height}
            note.value["images"].append(entry)
        elif format == "panda":
            note = case.files.setdefault(truth.note, Json({}))
            note.value[truth.picture] = {"image size": {"height": height, "width": width}}
        else:
            case.files[truth.note] = Mat({})
        case.write_marks(name, truth.marks)
