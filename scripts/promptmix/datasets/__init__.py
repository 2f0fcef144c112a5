"""Datasets as their authors ship them (one module per format), and the uniform index made of them."""

from collections.abc import Mapping
from pathlib import Path

from promptmix.datasets import nyu, panda, shanghaitech, ucf_qnrf
from promptmix.datasets.sample import Sample
from promptmix.errors import InputError, did_you_mean

READERS = {"shanghaitech": shanghaitech.read, "ucf_qnrf": ucf_qnrf.read, "panda": panda.read, "nyu": nyu.read}

TASKS = {"shanghaitech": "counting", "ucf_qnrf": "counting", "panda": "counting", "nyu": "depth"}
"""What networks learn on a dataset of each format."""

__all__ = ["READERS", "TASKS", "Sample", "read_dataset"]


def read_dataset(format: str, path: str | Path, expected: Mapping[str, int] | None = None) -> list[Sample]:
    """Read a dataset from disk: heads in memory, images and depths where they are.

    Args:
        format: key of `READERS`.
        path: the dataset's folder, or its one file.
        expected: images per split, such as {"train": 400, "test": 316}, or {"all": 45} for a dataset without a split.

    Raises:
        InputError: an unknown format, or a dataset that is missing, incomplete or damaged.
    """
    if format not in READERS:
        known = ", ".join(sorted(READERS))
        raise InputError(f"'{format}' is not a format of datasets. Known: {known}.{did_you_mean(format, READERS)}")
    return READERS[format](path, expected)
