"""The prepared form of a dataset: decoded once, at training size, read many times.

A folder holds four files:

    index.csv     one row per image: image (the sample's name), split, width, height (at training size), grey (0 or 1),
                  quality (of the JPEG), count, offset (first byte in pixels.npy), first_head, heads (rows in heads.npy)
    pixels.npy    1-D uint8: all images one after the other, each (height, width, 3) in C order; to be memory-mapped
    heads.npy     (K, 4) float32: x, y, width and height of the box (0, 0 without boxes), pixels at training size
    depths.npy    1-D float32: the depths of all pixels in metres, 0 = unknown, each image (height, width) in C order,
                  in the order of pixels.npy; empty if the dataset has no depth

"""

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.datasets.decoding import Decoded, decode_each
from promptmix.datasets.depths import DepthFacts, report
from promptmix.datasets.pictures import training_size
from promptmix.datasets.sample import Sample
from promptmix.datasets.splits import SPLITS
from promptmix.errors import InputError
from promptmix.files import no_room, replacing
from promptmix.running.progress import progress

COLUMNS = ("image", "split", "width", "height", "grey", "quality", "count", "offset", "first_head", "heads")


def prepare(
    samples: Sequence[Sample],
    folder: str | Path,
    resize: Mapping[str, Sequence[int]] | None = None,
    workers: int = 1,
) -> None:
    """Decode a dataset's images, resize images, heads and depths, and write the four files.

    Each of the four files is either complete or absent.

    Args:
        samples: split into "train", "val" and "test"; all with depth, or all without.
        folder: where the files go.
        resize: see `promptmix.datasets.pictures.training_size`.
        workers: number of threads that decode.

    Raises:
        InputError: an image or its depth is damaged (the message has its name), or a sample has no split.
    """
    folder = Path(folder)
    if loose := [sample.name for sample in samples if sample.split not in SPLITS]:
        raise InputError(f"{loose[0]}: the image belongs to no split ({len(loose)} in all); split the dataset first")
    frame = pd.DataFrame(
        [(sample.name, sample.split, *training_size(sample.width, sample.height, resize)) for sample in samples],
        columns=COLUMNS[:4],
    )
    frame["count"] = frame["heads"] = [sample.count for sample in samples]
    frame["offset"] = _starts(frame["width"] * frame["height"] * 3)
    frame["first_head"] = _starts(frame["heads"])
    heads = [
        _resize_heads(sample, row.width, row.height) for sample, row in zip(samples, frame.itertuples(), strict=True)
    ]
    with (
        replacing(folder / "index.csv") as index_file,
        replacing(folder / "heads.npy") as heads_file,
        replacing(folder / "pixels.npy") as pixels_file,
        replacing(folder / "depths.npy") as depths_file,
    ):
        total = int((frame["width"] * frame["height"]).sum())
        pixels = np.lib.format.open_memmap(pixels_file, mode="w+", dtype=np.uint8, shape=(total * 3,))
        has_depth = all(sample.has_depth for sample in samples)
        depths = np.lib.format.open_memmap(depths_file, "w+", np.float32, (total if has_depth else 0,))
        _reserve(pixels_file)
        _reserve(depths_file)

        def store(position: int, decoded: Decoded) -> tuple[bool, int, DepthFacts | None]:
            offset = frame["offset"].iloc[position]
            pixels[offset : offset + decoded.pixels.size] = decoded.pixels.reshape(-1)
            if decoded.depth is not None:
                depths[offset // 3 : offset // 3 + decoded.depth.size] = decoded.depth.reshape(-1)
            return decoded.grey, decoded.quality, decoded.facts

        rows = []
        with closing(decode_each(samples, resize, workers, store)) as decoded:
            for row in progress(decoded, len(samples), "images prepared"):
                if isinstance(row, InputError):
                    raise row  # and no more images are decoded
                rows.append(row)
        grey, frame["quality"], facts = zip(*rows, strict=True)
        frame["grey"] = np.array(grey, dtype=int)
        if has_depth:
            report(facts)
        pixels.flush()
        depths.flush()
        np.save(heads_file, np.concatenate(heads) if heads else np.zeros((0, 4), np.float32))
        frame[list(COLUMNS)].to_csv(index_file, index=False, lineterminator="\n")


def _reserve(path: Path) -> None:
    """Allocate a file's full size on disk now: writing to a memory map on a full disk kills the process silently.

    Raises:
        OSError: there is no room.
    """
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            if no_room(error):  # other errors mean that the file system cannot allocate ahead
                raise


def _starts(lengths: pd.Series) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths.to_numpy(dtype=np.int64))])[:-1]


def _resize_heads(sample: Sample, width: int, height: int) -> np.ndarray:
    """Return (N, 4) float32: x, y, width and height of the box, in pixels of an image of width x height."""
    scale = np.array([width / sample.width, height / sample.height])
    sides = np.zeros_like(sample.points) if sample.boxes is None else sample.boxes[:, 2:] - sample.boxes[:, :2]
    return np.concatenate([sample.points * scale, sides * scale], axis=1, dtype=np.float32, casting="same_kind")


class Index:
    """A prepared dataset, opened by `Index.open(path of index.csv)`. Images are read from disk on access.

    Attributes:
        path: of index.csv.
        frame: the table, one row per image.
    """

    def __init__(self, path: str | Path, frame: pd.DataFrame):
        self.path = Path(path)
        self.frame = frame

    @classmethod
    def open(cls, path: str | Path) -> "Index":
        """Read index.csv; pixels.npy and heads.npy must be beside it, and depths.npy to read depth.

        Raises:
            InputError: a file is missing, or the files do not belong together.
        """
        path = Path(path)
        try:
            frame = pd.read_csv(path, dtype={"image": str, "split": str}, keep_default_na=False)
        except FileNotFoundError:
            raise InputError(f"{path}: no such index. Make it: snakemake {path}") from None
        if missing := [column for column in COLUMNS if column not in frame]:
            raise InputError(f"{path}: no column '{missing[0]}'; this is not the index of a prepared dataset")
        index = cls(path, frame)
        pixels = (frame["width"] * frame["height"]).sum()
        fits = {
            "pixels.npy": index._pixels.shape == (pixels * 3,),
            "heads.npy": index._heads.shape == (frame["heads"].sum(), 4),
            "depths.npy": not path.with_name("depths.npy").exists() or index._depths.shape in ((0,), (pixels,)),
        }
        if not all(fits.values()):
            others = " and ".join(name for name, fit in fits.items() if not fit)
            raise InputError(f"{path}: does not match {others} beside it. Remove all these files and make them again")
        return index

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.frame)

    def __reduce__(self):
        """Pickle as the path, so that a worker process maps the pixels instead of copying them."""
        return Index.open, (self.path,)

    @cached_property
    def _pixels(self) -> np.ndarray:
        return self._array("pixels.npy")

    @cached_property
    def _heads(self) -> np.ndarray:
        return self._array("heads.npy")

    @cached_property
    def _depths(self) -> np.ndarray:
        return self._array("depths.npy")

    @cached_property
    def _spans(self) -> np.ndarray:
        return self.frame[["offset", "height", "width", "first_head", "heads"]].to_numpy(dtype=np.int64)

    def _array(self, name: str) -> np.ndarray:
        file = self.path.with_name(name)
        try:
            # An empty array cannot be mapped.
            return np.load(file, mmap_mode="r" if file.stat().st_size > 128 else None)
        except FileNotFoundError:
            raise InputError(f"{file}: missing beside {self.path.name}. Make it: snakemake {file}") from None
        except (ValueError, io.UnsupportedOperation) as error:
            raise InputError(f"{file}: truncated or damaged ({error}). Remove it and make it again") from error

    def image(self, i: int) -> np.ndarray:
        """Return image `i` at training size, (H, W, 3) uint8 RGB: a read-only view of the file."""
        offset, height, width = self._spans[i, :3]
        return np.asarray(self._pixels[offset : offset + height * width * 3]).reshape(height, width, 3)

    def heads(self, i: int) -> np.ndarray:
        """Return the heads of image `i`, (n, 4) float32: x, y, width and height of the box (0, 0 without boxes)."""
        first, number = self._spans[i, 3:]
        return np.array(self._heads[first : first + number])

    def depth(self, i: int) -> np.ndarray:
        """Return the depth of image `i` at training size, (H, W) float32 in metres, 0 = unknown: a view of the file.

        Raises:
            InputError: the dataset has no depth, or depths.npy is missing.
        """
        if not self._depths.size:
            raise InputError(f"{self.path}: the dataset has no depth (depths.npy beside it is empty)")
        offset, height, width = self._spans[i, :3]
        return np.asarray(self._depths[offset // 3 : offset // 3 + height * width]).reshape(height, width)

    def split(self, name: str) -> np.ndarray:
        """Return the positions of the images of a split ("train", "val" or "test"), in the order of the table."""
        if name not in SPLITS:
            raise ValueError(f"'{name}' is not a split; expected {', '.join(SPLITS)}")
        return np.flatnonzero(self.frame["split"] == name)
