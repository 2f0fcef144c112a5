"""Datasets as their authors ship them (one module per format), and the uniform index made of them."""

from collections.abc import Mapping
from pathlib import Path

from promptmix.datasets import coco, depth_maps, nyu, panda, points, shanghaitech, ucf_qnrf
from promptmix.datasets.sample import Sample
from promptmix.errors import InputError, did_you_mean

READERS = {
    "shanghaitech": shanghaitech.read,
    "ucf_qnrf": ucf_qnrf.read,
    "panda": panda.read,
    "nyu": nyu.read,
    "points": points.read,
    "coco": coco.read,
    "depth_maps": depth_maps.read,
}

TASKS = {name: "depth" if name in ("nyu", "depth_maps") else "counting" for name in READERS}
"""What networks learn on a dataset of each format."""

__all__ = ["READERS", "TASKS", "Sample", "read_dataset"]


def read_dataset(
    format: str, path: str | Path, expected: Mapping[str, int] | None = None, unit: float | None = None
) -> list[Sample]:
    """Read a dataset from disk: heads in memory, images and depths where they are.

    Args:
        format: key of `READERS`.
        path: the dataset's folder, or its one file.
        expected: images per split, such as {"train": 400, "test": 316}, or {"all": 45} for a dataset without a split.
        unit: for `depth_maps` only, metres per count.

    Raises:
        InputError: an unknown format, a unit for a format that has its own, or a dataset that is missing, incomplete or
            damaged.
    """
    if format not in READERS:
        known = ", ".join(sorted(READERS))
        raise InputError(f"'{format}' is not a format of datasets. Known: {known}.{did_you_mean(format, READERS)}")
    if unit is None:
        return READERS[format](path, expected)
    if format != "depth_maps":
        raise InputError(f"{path}: a unit ({unit}) is given, but the format {format} has its own; take it away")
    return depth_maps.read(path, expected, unit)
