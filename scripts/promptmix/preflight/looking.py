"""What a folder of images holds: in which format of datasets it is, and what is to be known of it before a config is written."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from promptmix.datasets.depths import FARTHEST, NEAREST, UNITS
from promptmix.datasets.pictures import jpeg_quality
from promptmix.datasets.readers import coco, nyu, panda, points
from promptmix.datasets.readers.folders import IMAGES, PARTS
from promptmix.datasets.registry import SUFFIXES, TASKS, read_dataset
from promptmix.datasets.sample import UNSPLIT, Sample, pick_evenly
from promptmix.errors import InputError
from promptmix.listing import describe_absent, list_files

INNER = ("images", "depths", *(name for names in PARTS.values() for name in names))
"""What folders within a dataset are called."""


def _in_each_part(name: str) -> tuple[str, ...]:
    return name, *(f"{part}/{name}" for names in PARTS.values() for part in names)


SIGNS = {
    "points": _in_each_part(points.ANNOTATIONS),
    "coco": _in_each_part(coco.ANNOTATIONS),
    "depth_maps": _in_each_part("depths"),
    "shanghaitech": ("train_data", "test_data"),
    "ucf_qnrf": ("Train/*_ann.mat", "Test/*_ann.mat"),
    "panda": (panda.ANNOTATIONS,),
    "nyu": (nyu.FILE,),
}
"""What a dataset of each format has and no other, as patterns."""

READ = (
    f"images/ with {points.ANNOTATIONS} (points: a row image,x,y per head), {coco.ANNOTATIONS} (coco: a box around each head) "
    "or depths/ (depth_maps: a map per image) beside it, or train/ and test/ of that form; or a dataset as its authors "
    f"ship it: Shanghai Tech (train_data/), UCF-QNRF (Train/ with _ann.mat files), PANDA-Crowd ({panda.ANNOTATIONS}), NYU "
    f"Depth V2 ({nyu.FILE})"
)
"""The formats that would be read, for messages."""

DEEP = 2
"""How many folders below the given one are looked into for a dataset."""

WHOLE_PEOPLE = 2.0
"""From this height per width on, the typical box is around a whole person and not a head."""

HALF = 0.5
"""Share of a dataset's depths that has to be within what networks learn, for a unit to be possible."""

ROOMS = 0.7, 7.0
"""Between which metres the median depth of rooms usually is."""

MAPS = 8
"""Depth maps that are measured in each unit."""


@dataclass(frozen=True)
class Unit:
    """A unit in which depths may be.

    Attributes:
        name: in words.
        metres: per count.
        share: of the depths that would be within what networks learn.
        median, highest: of the depths, in metres.
    """

    name: str
    metres: float
    share: float
    median: float
    highest: float

    def __str__(self) -> str:
        return f"{self.name} ({self.metres:g}): half nearer than {self.median:.3g} m, up to {self.highest:.3g} m"


@dataclass(frozen=True, eq=False)
class Found:
    """A dataset that was found and read.

    Attributes:
        path: its folder, or its file.
        samples: all of it; those of `depth_maps` with a unit of 1.
        qualities: JPEG quality of some images, in ascending order; only of those that are JPEGs.
        kinds: what kind of files some images are.
        units: for `depth_maps`, those that are possible, the likeliest first.
    """

    format: str
    path: Path
    samples: Sequence[Sample]
    qualities: Sequence[int]
    kinds: Sequence[str]
    units: Sequence[Unit]

    @property
    def task(self) -> str:
        return TASKS[self.format]

    @property
    def images(self) -> dict[str, int]:
        """Number of images by split, as a config says it."""
        return dict(Counter(sample.split or UNSPLIT for sample in self.samples))

    @property
    def size(self) -> tuple[int, int]:
        """The usual width and height."""
        return Counter((sample.width, sample.height) for sample in self.samples).most_common(1)[0][0]

    @property
    def quality(self) -> int | None:
        """The middle JPEG quality; None without JPEGs."""
        return self.qualities[len(self.qualities) // 2] if self.qualities else None

    @property
    def heads(self) -> float:
        """People per image."""
        return sum(sample.count for sample in self.samples) / len(self.samples)

    @property
    def box_shape(self) -> float | None:
        """Height per width of the middle box; None without boxes."""
        boxes = [sample.boxes for sample in self.samples if sample.boxes is not None and len(sample.boxes)]
        if not boxes:
            return None
        left, top, right, bottom = np.concatenate(boxes).T
        return float(np.median((bottom - top) / np.maximum(right - left, 1e-6)))

    def describe(self) -> list[str]:
        """Return what was found, a line each."""
        images, sizes = self.images, Counter((sample.width, sample.height) for sample in self.samples)
        split = "without a split" if UNSPLIT in images else ", ".join(f"{n} {name}" for name, n in images.items())
        usual = "{}x{}".format(*self.size)
        sides = f"{usual} pixels" if len(sizes) == 1 else f"{len(sizes)} sizes, mostly {usual} pixels"
        if len(sizes) > 1:
            (least, *_, most) = sorted(sizes, key=lambda size: size[0] * size[1])
            sides += ", {}x{} to {}x{}".format(*least, *most)
        return [
            f"format: {self.format} ({self.task})",
            f"images: {len(self.samples)}, {split}",
            f"sizes: {sides}; {self._describe_files()}",
            *self._describe_annotations(),
        ]

    def _describe_files(self) -> str:
        if not self.qualities:
            return " and ".join(self.kinds)
        lowest, highest = self.qualities[0], self.qualities[-1]
        jpeg = f"JPEG of quality {lowest}" + (f" to {highest}" if highest > lowest else "")
        return " and ".join([jpeg, *(kind for kind in self.kinds if kind != "JPEG")])

    def _describe_annotations(self) -> list[str]:
        if self.task == "depth":
            return [f"depth: as {unit}" for unit in self.units] or ["depth: in metres"]
        counts = [sample.count for sample in self.samples]
        shape = self.box_shape
        boxes = f"; boxes, typically {shape:.1f} times as high as wide" if shape else ""
        return [f"people: {sum(counts)}, {self.heads:.1f} per image ({min(counts)} to {max(counts)}){boxes}"]


def find_dataset(given: str | Path, format: str | None = None) -> tuple[str, Path]:
    """Return the format and the path of the dataset in a folder, which may also be a folder within the dataset.

    Args:
        given: the folder, or NYU Depth V2's file.
        format: what it is, where that is known.

    Raises:
        InputError: there is no such folder, it has no images or no annotations, or is of several formats.
    """
    path = Path(os.path.abspath(given))
    if path.is_file():
        if path.suffix.lower() == ".mat":
            return "nyu", path
        raise InputError(f"{given}: a file. Expected the folder of the images, or {nyu.FILE}: {READ}")
    if not path.is_dir():
        raise InputError(f"{given}: {describe_absent(path)}. Expected a folder: {READ}")
    path = _outermost(path)
    formats = [format] if format else _formats_of(path)
    if len(formats) > 1:
        raise InputError(
            f"{given}: of several formats at once: "
            f"{' and '.join(f'{name} ({_sign_of(path, name)})' for name in formats)}. Say which one "
            f"counts (such as --format {formats[0]}), or move the others elsewhere"
        )
    if not formats:
        raise InputError(_describe_absence(path))
    return formats[0], path


def look(format: str, path: Path, unit: float | None = None, anchor: str | None = None) -> Found:
    """Read a dataset, and return what is to be known of it.

    Args:
        unit: metres per count of depth maps, if that is known.
        anchor: of boxes, if that is known.

    Raises:
        InputError: it is damaged or incomplete, as in `promptmix.datasets.registry.read_dataset`, or its depths are in no unit
            that is known.
    """
    samples = read_dataset(format, path, unit=1.0 if format == "depth_maps" else unit, anchor=anchor)
    kinds, qualities = Counter[str](), list[int]()
    for sample in pick_evenly(samples):
        with sample.open() as image:
            is_jpeg = image.format in ("JPEG", "MPO")
            kinds["JPEG" if is_jpeg else image.format or "no files of their own"] += 1
            qualities += [jpeg_quality(image)] if is_jpeg else []
    units = _find_units(samples, unit) if format == "depth_maps" else []
    return Found(format, path, samples, sorted(qualities), [kind for kind, _ in kinds.most_common()], units)


def shown(path: str | Path) -> str:
    """Return a path as a config says it: from the current folder if it is within, else absolute."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith("..") else relative


def _outermost(path: Path) -> Path:
    """Return the dataset's folder, given one within it: its images/, or train/ where there are parts."""
    while path.name in INNER and _formats_of(path.parent):
        if path.name not in ("images", "depths") and not (path.parent / "train").is_dir():
            break
        path = path.parent
    return path


def _formats_of(folder: Path) -> list[str]:
    return [name for name in SIGNS if _sign_of(folder, name)]


def _sign_of(folder: Path, format: str) -> str:
    """Return what says that a folder is of a format, such as "points.csv"; "" if nothing does."""
    found = (file for pattern in SIGNS[format] for file in folder.glob(pattern))
    return next((file.relative_to(folder).as_posix() for file in found), "")


def _describe_absence(path: Path) -> str:
    """Return why a folder is no dataset, and what to do."""
    names = [name for name, _ in list_files(path)]
    below = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, min(name.count("/"), DEEP) + 1)}
    others = {shown(path / name): formats for name in sorted(below) if (formats := _formats_of(path / name))}
    if others:
        told = ", ".join(f"{folder} ({' and '.join(formats)})" for folder, formats in others.items())
        return f"{shown(path)}: no dataset here, but below it: {told}. Give one of these folders"
    images = [name for name in names if Path(name).suffix.lower() in IMAGES]
    if not images:
        there = Counter(Path(name).suffix.lower() or "no suffix" for name in names).most_common(3)
        told = ", ".join(f"{number} of {suffix}" for suffix, number in there) or "no files at all"
        return f"{shown(path)}: no images: none of its files ends in {', '.join(IMAGES)} (there are {told}). Expected {READ}"
    rest = [name for name in names if name not in images and Path(name).suffix.lower() in (*SUFFIXES, ".txt", ".xml")]
    told = f" If it is '{rest[0]}', bring that into one of these forms." if rest else ""
    return (
        f"{shown(path)}: {len(images)} images, such as '{images[0]}', but no annotations, without which nothing can be "
        f"trained or tested.{told} Expected {READ}"
    )


def _find_units(samples: Sequence[Sample], given: float | None) -> list[Unit]:
    """Return the units in which most depths are such as networks learn, the likeliest first; or the one that is given."""
    names = {metres: name for name, metres in UNITS.items()}
    known = {given: names.get(given, "as given")} if given else names
    measured = {metres: _measure(pick_evenly(samples, MAPS), metres) for metres in known}
    total = max(depths.size for depths in measured.values())
    units = [
        Unit(name, metres, _learnt(depths) / total, float(np.median(depths)), float(depths.max()))
        for metres, name in known.items()
        if (depths := measured[metres]).size
    ]
    possible = [unit for unit in units if given or unit.share >= HALF]
    if given and not possible:
        replace(samples[0], unit=given).depth()  # which raises an error that says why
    if not possible:
        raise InputError(
            f"{samples[0].image}, and others: depths in no unit that is known here: in none of {', '.join(UNITS)} are most of "
            f"them {NEAREST:g} to {FARTHEST:g} m, which networks learn. Give metres per count, such as --unit 0.001"
        )
    return sorted(possible, key=lambda unit: 0 if ROOMS[0] <= unit.median <= ROOMS[1] else 2 - unit.share)


def _measure(samples: Sequence[Any], metres: float) -> np.ndarray:
    """Return the known depths of some maps, (N,) in metres; those of maps that cannot be in this unit are left out."""
    found = [np.zeros(0, np.float32)]
    for sample in samples:
        try:
            depth = replace(sample, unit=metres).depth()
        except InputError:  # of another unit, or damaged, which is found later
            continue
        found.append(depth[depth > 0])
    return np.concatenate(found)


def _learnt(depths: np.ndarray) -> int:
    return int(np.count_nonzero((depths >= NEAREST) & (depths <= FARTHEST)))
