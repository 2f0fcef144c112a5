"""Manifests of generated images: one CSV per block, beside the folder of its images (`promptmix.records.manifests.MANIFEST`).

Later stages take manifests instead of images, so that the DAG stays small, and check each image against its SHA-256
when they read it.
"""

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from promptmix.errors import InputError, command
from promptmix.records.manifests import MANIFEST


def write_manifest(path: str | Path, rows: pd.DataFrame | Iterable[Mapping]) -> None:
    """Write the manifest of a block of images.

    Args:
        path: the manifest.
        rows: the columns of `MANIFEST` for each image, with the path of the image in `file`.

    Raises:
        ValueError: a column is missing.
    """
    frame = pd.DataFrame(rows) if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if "file" in frame:
        frame = frame.assign(file=[os.path.relpath(file, Path(path).parent) for file in frame["file"]])
    MANIFEST.write(path, frame)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Return a manifest's rows, with `file` as an absolute path, and the file's `stem` as a further column.

    Raises:
        InputError: there is no such manifest, or it is not one; see `Record.read`.
    """
    frame = MANIFEST.read(path)
    files = [Path(path).resolve().parent / file for file in frame["file"]]
    columns = {"file": [str(file) for file in files], "stem": [file.stem for file in files]}
    return frame.assign(**{name: pd.Series(texts, frame.index, dtype=str) for name, texts in columns.items()})


def read_verified(file: str | Path, sha256: str) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 RGB after comparing its file with its SHA-256.

    Args:
        file: path of the image.
        sha256: what its manifest says, 64 hexadecimal digits.

    Raises:
        InputError: the file is missing, is not the one that was generated, or is not an image.
    """
    try:
        content = Path(file).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{file}: the image is missing. {_again(file)}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(
            f"{file}: not the image that was generated: its SHA-256 is {found}, its manifest says {sha256}. "
            f"{_again(file)}"
        )
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return np.asarray(opened.convert("RGB"))
    except OSError as error:
        raise InputError(f"{file}: not an image ({error}). {_again(file)}") from None


def _again(file: str | Path) -> str:
    """Return what to do about an image that is not as it should be: images are made block by block, in folders."""
    folder = Path(file).parent
    return f"Delete the folder {folder} and generate its images again with `{command(folder)}`"


def read_images(manifest: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the file stem and the pixels, (H, W, 3) uint8, of each image of a manifest; see `read_verified`."""
    frame = read_manifest(manifest)
    for stem, file, digest in zip(frame["stem"], frame["file"], frame["sha256"], strict=True):
        yield stem, read_verified(file, digest)
