"""Annotations of generated images: one HDF5 file of maps per block, pool, generator and annotator.

A file has one HDF5 dataset per image, `map/<file stem of the image>`, with the attributes `height` and `width` (of the
image, in pixels) and `count` (the sum of a density map) or `depth` (the mean of what a depth map knows). The file has the
attributes `task` ("counting" or "depth"), `stride` (image pixels per cell, along a side) and `annotator`. Density is float32, in people per cell. Depth is in
metres, float16 to save space: at 10 m its steps are 8 mm, far below any annotator's error.
"""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pandas as pd

from promptmix.errors import InputError, command
from promptmix.files import replacing
from promptmix.networks.registry import map_shape

DTYPES = {"counting": np.float32, "depth": np.float16}
"""The number format of a task's maps in the file."""


class Annotation(NamedTuple):
    """One image's map, (h, w) float32, in people per cell or in metres, and the image's size in pixels."""

    stem: str
    map: np.ndarray
    height: int
    width: int


def reduce_map(density: np.ndarray, stride: int, shape: tuple[int, int]) -> np.ndarray:
    """Return a density map summed over blocks of `stride` x `stride` cells; the total stays the same.

    Args:
        density: (H, W), people per pixel or cell.
        stride: side of a block; blocks at the right and lower edge may be partial.
        shape: (h, w) of the result, at least as large as the number of blocks; cells beyond the blocks are 0.

    Raises:
        ValueError: `shape` is smaller than the number of blocks.
    """
    height, width = density.shape
    if shape[0] * stride < height or shape[1] * stride < width:
        raise ValueError(f"a {height}x{width} map in blocks of {stride} does not fit into {shape[0]}x{shape[1]} cells")
    padded = np.zeros((shape[0] * stride, shape[1] * stride), dtype=np.float64)
    padded[:height, :width] = density
    return padded.reshape(shape[0], stride, shape[1], stride).sum(axis=(1, 3)).astype(np.float32)


def write_maps(
    path: str | Path, annotations: Iterable[Annotation], stride: int, annotator: str, task: str = "counting"
) -> None:
    """Write annotations; the file appears when it is complete.

    Until then it is in memory (100 depth maps of 2560x1440 pixels: 0.7 GB). If HDF5 wrote to the disk itself, a full
    disk would end the job with a segmentation fault.

    Raises:
        ValueError: a map's shape does not fit its image's size, or two images have the same stem.
    """
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["stride"] = stride
        file.attrs["annotator"] = annotator
        file.attrs["task"] = task
        maps = file.create_group("map")
        for stem, found, height, width in annotations:
            if found.shape != map_shape(height, width, stride):
                raise ValueError(
                    f"{path}: {stem}: a map of {found.shape[0]}x{found.shape[1]} cells of {stride} pixels for an "
                    f"image of {height}x{width} pixels"
                )
            if stem in maps:
                raise ValueError(f"{path}: two images are called {stem}")
            dataset = maps.create_dataset(stem, data=np.asarray(found, dtype=DTYPES[task]))
            if task == "counting":
                dataset.attrs["count"] = float(found.sum(dtype=np.float64))
            elif (known := found > 0).any():
                dataset.attrs["depth"] = float(found[known].mean(dtype=np.float64))
            dataset.attrs["height"] = height
            dataset.attrs["width"] = width
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def open_maps(path: str | Path) -> h5py.File:
    """Open a file of annotations for reading.

    Raises:
        InputError: it is missing or damaged, or has no maps.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file of annotations. Make it with `{command(path)}`") from None
    except OSError as error:
        raise InputError(f"{path}: not HDF5 ({error}). Delete it and run `{command(path)}`") from None
    if "map" not in file or "stride" not in file.attrs:
        keys = ", ".join(file.keys()) or "nothing"
        file.close()
        raise InputError(
            f"{path}: expected the group `map` and the attribute `stride`, found {keys}. Delete it and run "
            f"`{command(path)}`"
        )
    return file


def read_map(file: str | Path | h5py.File, stem: str) -> np.ndarray:
    """Return the map of one image, (h, w), float32 for density and float16 for depth, from a path or an open file.

    Raises:
        InputError: the file has no map of this image.
    """
    if not isinstance(file, h5py.File):
        with open_maps(file) as opened:
            return read_map(opened, stem)
    if stem not in file["map"]:
        raise InputError(missing_maps(file.filename, [stem], len(file["map"])))
    return file["map"][stem][()]


def read_counts(path: str | Path) -> pd.DataFrame:
    """Return `count` (NaN for depth), `depth` (the mean; NaN for counting), `height` and `width` of all maps in a file.

    They are indexed by the images' stems.
    """
    with open_maps(path) as file:
        attributes = {stem: dict(dataset.attrs) for stem, dataset in file["map"].items()}
    columns = ["count", "depth", "height", "width"]
    return pd.DataFrame.from_dict(attributes, orient="index").reindex(columns=columns).rename_axis("stem")


def missing_maps(path: str | Path, stems: list[str], found: int) -> str:
    """Return a message that a file of `found` maps has none of the images with these stems, and what to do."""
    named = ", ".join(stems[:3]) + (f" and {len(stems) - 3} more" if len(stems) > 3 else "")
    return f"{path}: no annotation of {named}; the file holds {found} maps. Delete it and run `{command(path)}`"
