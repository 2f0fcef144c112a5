"""Manifests of generated images: one CSV per block, beside its images.

Later stages take manifests instead of images, so that the DAG stays small, and check each image against its SHA-256
when they read it.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from promptmix.errors import InputError, command
from promptmix.files import replacing

COLUMNS = ["image", "seed", "prompt", "width", "height", "quality", "source", "sha256"]


def write_manifest(path: str | Path, rows: Iterable[Mapping] | pd.DataFrame) -> None:
    """Write the manifest of a block of images.

    Args:
        path: the manifest, in the folder of the images.
        rows: one mapping per image with the keys `COLUMNS`; `image` is the file's name beside the manifest, or any
            path, of which the name is taken.

    Raises:
        ValueError: a column is missing.
    """
    frame = pd.DataFrame(rows) if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), columns=None)
    if frame.empty:
        frame = pd.DataFrame(columns=COLUMNS)
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise ValueError(f"{path}: a manifest needs {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    frame = frame[COLUMNS].assign(image=[Path(image).name for image in frame["image"]])
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False)


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Return a manifest's rows, with `image` as an absolute path.

    Prompts and sources are text, also where they look like numbers or are empty.

    Raises:
        InputError: no such manifest, or one without the columns of `COLUMNS`.
    """
    path = Path(path)
    try:
        frame = pd.read_csv(path, dtype={"image": str, "prompt": str, "source": str, "sha256": str}, na_filter=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such manifest. Make it with `{command(path)}`") from None
    except pd.errors.EmptyDataError:
        raise InputError(f"{path}: the manifest is empty. Delete it and run `{command(path)}`") from None
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise InputError(
            f"{path}: not a manifest of generated images: columns {', '.join(missing)} are missing, "
            f"found {', '.join(frame.columns)}. Delete it and run `{command(path)}`"
        )
    folder = path.resolve().parent
    return frame.assign(image=[str(folder / name) for name in frame["image"]])


def read_verified(image: str | Path, sha256: str) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 RGB after comparing its file with its SHA-256.

    Args:
        image: path of the image.
        sha256: what its manifest says, 64 hexadecimal digits.

    Raises:
        InputError: the file is missing, is not the one that was generated, or is no image.
    """
    try:
        content = Path(image).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{image}: the image is missing. Generate it again with `{command(image)}`") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(
            f"{image}: not the image that was generated: its SHA-256 is {found}, its manifest says {sha256}. "
            f"Delete it and generate it again with `{command(image)}`"
        )
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return np.asarray(opened.convert("RGB"))
    except OSError as error:
        raise InputError(f"{image}: not an image ({error}). Delete it and run `{command(image)}`") from None


def read_images(manifest: str | Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the file stem and the pixels, (H, W, 3) uint8, of each image of a manifest; see `read_verified`."""
    frame = read_manifest(manifest)
    for image, digest in zip(frame["image"], frame["sha256"], strict=True):
        yield Path(image).stem, read_verified(image, digest)
