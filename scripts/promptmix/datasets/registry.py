"""Formats of datasets by name, and what is known about each without reading a dataset.

Each format is read by the module of the same name in `promptmix.datasets.readers`.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path

from promptmix import listing
from promptmix.datasets.heads import settle
from promptmix.datasets.sample import Sample
from promptmix.datasets.splits import split
from promptmix.errors import InputError, did_you_mean

TASKS = {
    "shanghaitech": "counting",
    "ucf_qnrf": "counting",
    "panda": "counting",
    "nyu": "depth",
    "points": "counting",
    "coco": "counting",
    "depth_maps": "depth",
}
"""The task that networks learn on a dataset of each format."""

OPTIONS = {"depth_maps": "unit", "coco": "anchor"}
"""The key of a format that other formats do not have."""

ONE_BASED = ("shanghaitech", "ucf_qnrf")
"""Formats whose coordinates begin at 1, as MATLAB's do."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".npy", ".mat", ".csv", ".json")
"""What the names of files end in that some format reads."""

TOP = {"ucf_qnrf": "UCF-QNRF_ECCV18", "panda": "PANDA_Crowd", "nyu": "nyu_depth_v2_labeled.mat"}
"""What a dataset is called as its authors ship it, its folder or its file; a part of Shanghai Tech has its own name."""


def reader_of(format: str) -> str:
    """Return the name of the module that reads a format."""
    return f"promptmix.datasets.readers.{format}"


def check_names(format: str, path: str | Path) -> None:
    """Raise an `InputError` if a file that a format may read has a name that cannot be written down."""
    if format != "nyu":  # a single file, whose folder may hold others
        listing.check_names(path, SUFFIXES)


def read_dataset(
    format: str,
    path: str | Path,
    expected: Mapping[str, int] | None = None,
    unit: float | None = None,
    anchor: str | None = None,
) -> list[Sample]:
    """Read a dataset from disk: heads into memory; images and depths stay on disk.

    Whatever the format, heads are judged as those of a whole dataset, see `promptmix.datasets.heads.settle`.

    Args:
        format: a key of `TASKS`.
        path: the dataset's folder, or its file if it is a single one.
        expected: images per split, such as {"train": 400, "test": 316}, or {"all": 45} for a dataset without a split.
        unit: metres per count, for `depth_maps` only.
        anchor: where in its box a head is counted, for `coco` only.

    Raises:
        InputError: the format is unknown or takes no unit or anchor, or the dataset is missing, incomplete or damaged,
            or its heads cannot be where it says.
    """
    if format not in TASKS:
        known = ", ".join(sorted(TASKS))
        raise InputError(f"'{format}' is not a format of datasets. Known: {known}.{did_you_mean(format, TASKS)}")
    options = {"unit": unit, "anchor": anchor}
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name != OPTIONS.get(format):
            raise InputError(f"{path}: {name} ({value}) is given, but the format {format} takes none; remove it")
    check_names(format, path)
    read = importlib.import_module(reader_of(format)).read
    samples = read(path, expected, **given)
    return settle(samples, path, int(format in ONE_BASED)) if TASKS[format] == "counting" else samples


def read_split(
    format: str,
    path: str | Path,
    expected: Mapping[str, int] | None,
    unit: float | None,
    settings: Mapping[str, float | int | str] | None,
    seed: int,
    anchor: str | None = None,
) -> list[Sample]:
    """Return a dataset divided into "train", "val" and "test"; see `read_dataset` and `promptmix.datasets.splits.split`.

    All that can be wrong is found here but what is in pixels, which `promptmix.datasets.decoding.find_problems` finds.
    """
    samples = read_dataset(format, path, expected, unit, anchor)
    column = (settings or {}).get("group_column")
    found = importlib.import_module(reader_of(format)).read_column(path, column) if column else {}
    try:
        return split(samples, settings, seed, found)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
