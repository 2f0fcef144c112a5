"""Your own images with a point for each head.

Layout: `images/` (.jpg, .jpeg or .png, also in subfolders) with `points.csv` beside it, or `train/` and `test/`, each
of that form. The table has a row per head: `image`, the path relative to `images/`, and `x` and `y`, 0-based,
continuous, in pixels of the file; other columns are not read. All images are used: one without a row shows no people.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from promptmix.datasets.readers.folders import IMAGES, files_in, find_parts, make_samples
from promptmix.datasets.sample import Sample, check_counts, find_member
from promptmix.errors import InputError

ANNOTATIONS = "points.csv"
COLUMNS = ("image", "x", "y")
WHERE = (
    f"Expected: a folder with images/ (.jpg or .png) and {ANNOTATIONS} (a header 'image,x,y', and a row per head, in "
    "pixels), or with train/ and test/, each of that form"
)


def read(path: str | Path, expected: Mapping[str, int] | None = None) -> list[Sample]:
    """Return the samples, sorted by name: first training, then test images, or with split "" if there is no split.

    Args:
        path: the folder.
        expected: images per split, see `check_counts`.

    Raises:
        InputError: folders, images or the table are missing, damaged or do not fit together; coordinates are not
            numbers, or not pixels; or the number of images is not the expected one.
    """
    samples = []
    for split, part in find_parts(path, expected, WHERE).items():
        images = files_in(find_member(part, ["images"], WHERE), IMAGES, WHERE)
        annotation = find_member(part, [ANNOTATIONS], WHERE)
        image, points = _read_points(annotation, list(images))
        samples += make_samples(Path(path), split, list(images.values()), image, points, annotation)
    check_counts(samples, expected, Path(path), WHERE)
    return samples


def _read_points(file: Path, images: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the position in `images` of each head's image, (N,), and the points, (N, 2) float64."""
    import pandas as pd  # here, since Snakemake imports this package at every start and pandas is slow to import

    try:
        frame = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True)
    except ValueError as error:  # pandas' own errors are ValueErrors too
        raise InputError(f"{file}: not a readable CSV file ({str(error).strip()}). {WHERE}") from error
    for column in COLUMNS:
        if column not in frame:
            there = ", ".join(f"'{name}'" for name in frame)
            raise InputError(f"{file}: no column '{column}', there is {there}. {WHERE}")
    if not isinstance(frame.index, pd.RangeIndex):
        raise InputError(f"{file}: rows have more fields than the header names. {WHERE}")
    if unknown := sorted(set(frame["image"]) - set(images)):
        raise InputError(
            f"{file}: '{unknown[0]}' is not among the images ({len(unknown)} such names in all). "
            f"Expected paths relative to images/, such as '{images[0]}'"
        )
    points = frame[["x", "y"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    for row, column in np.argwhere(~np.isfinite(points))[:1]:
        name, value = COLUMNS[1 + column], frame[COLUMNS[1 + column]].iloc[row]
        raise InputError(
            f"{file}: row {row + 1} ('{frame['image'].iloc[row]}'): {name} is '{value}'; expected a number of pixels"
        )
    return pd.Index(images).get_indexer(frame["image"]), points
