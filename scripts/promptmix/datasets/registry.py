"""Formats of datasets by name, and what is known about each without reading a dataset.

Each format is read by the module of the same name in `promptmix.datasets.readers`.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path

from promptmix.datasets.sample import Sample
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

TOP = {"ucf_qnrf": "UCF-QNRF_ECCV18", "panda": "PANDA_Crowd", "nyu": "nyu_depth_v2_labeled.mat"}
"""What a dataset is called as its authors ship it, its folder or its file; a part of Shanghai Tech has its own name."""


def reader_of(format: str) -> str:
    """Return the name of the module that reads a format."""
    return f"promptmix.datasets.readers.{format}"


def read_dataset(
    format: str, path: str | Path, expected: Mapping[str, int] | None = None, unit: float | None = None
) -> list[Sample]:
    """Read a dataset from disk: heads into memory; images and depths stay on disk.

    Args:
        format: a key of `TASKS`.
        path: the dataset's folder, or its file if it is a single one.
        expected: images per split, such as {"train": 400, "test": 316}, or {"all": 45} for a dataset without a split.
        unit: metres per count, for `depth_maps` only.

    Raises:
        InputError: the format is unknown or takes no unit, or the dataset is missing, incomplete or damaged.
    """
    if format not in TASKS:
        known = ", ".join(sorted(TASKS))
        raise InputError(f"'{format}' is not a format of datasets. Known: {known}.{did_you_mean(format, TASKS)}")
    if unit is not None and format != "depth_maps":
        raise InputError(f"{path}: a unit ({unit}) is given, but the format {format} takes none; remove it")
    read = importlib.import_module(reader_of(format)).read
    return read(path, expected) if unit is None else read(path, expected, unit)
