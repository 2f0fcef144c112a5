"""Your own images with a point for each head.

Layout: `images/` (.jpg, .jpeg or .png, also in subfolders) with `points.csv` beside it, or `train/` and `test/` (and
`val/`), each of that form. The table has a row per head: `image`, the path relative to `images/`, and `x` and `y`, 0-based,
continuous, in pixels of the file; other columns are not read. All images are used: one without a row, or with a row
without x and y, shows no people. Rows without anything are passed over. Semicolons and tabs may separate the columns;
then numbers may have a decimal comma, as spreadsheets write them in many countries.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from promptmix.datasets.readers.folders import IMAGES, by_composed_name, files_in, find_parts, make_samples
from promptmix.datasets.sample import Sample, check_counts, composed, find_member
from promptmix.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

ANNOTATIONS = "points.csv"
COLUMNS = ("image", "x", "y")
WHERE = (
    f"Expected: a folder with images/ (.jpg or .png) and {ANNOTATIONS} (a header 'image,x,y', and a row per head, in "
    "pixels), or with train/ and test/, each of that form"
)


def read(path: str | Path, expected: Mapping[str, int] | None = None) -> list[Sample]:
    """Return the samples, sorted by name: training, validation, test images, or with split "" if there is no split.

    Args:
        path: the folder.
        expected: images per split, see `check_counts`.

    Raises:
        InputError: folders, images or the table are missing, damaged or do not fit together; coordinates are not
            numbers, or not pixels; or the number of images is not the expected one.
    """
    samples = []
    for split, part in find_parts(path, expected, WHERE).items():
        images = by_composed_name(files_in(find_member(part, ["images"], WHERE), IMAGES, WHERE))
        annotation = find_member(part, [ANNOTATIONS], WHERE, "file")
        image, points = _read_points(annotation, list(images))
        samples += make_samples(Path(path), split, list(images.values()), image, points, annotation)
    check_counts(samples, expected, Path(path), WHERE)
    return samples


def read_column(path: str | Path, column: str) -> dict[str, str]:
    """Return what a column of the table says of each image, by the sample's name in composed letters (NFC).

    Raises:
        InputError: there is no such column, or an image has two values in it.
    """
    found: dict[str, str] = {}
    for part in find_parts(path, None, WHERE).values():
        file, folder = part / ANNOTATIONS, (part / "images").relative_to(path)
        frame, _ = _read_table(file, ("image", column))
        for image, value in frame.drop_duplicates().itertuples(index=False):
            if (other := found.setdefault(composed(f"{folder}/{image}"), value)) != value:
                raise InputError(
                    f"{file}: '{image}' has both '{other}' and '{value}' as {column}; expected one of them"
                )
    return found


def _read_points(file: Path, images: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the position in `images` of each head's image, (N,), and the points, (N, 2) float64."""
    import pandas as pd  # here, since Snakemake imports this package at every start and pandas is slow to import

    frame, decimal_comma = _read_table(file, COLUMNS)
    frame["image"] = frame["image"].map(composed)
    if len(wrong := frame[~frame["image"].isin(images)]):
        names = sorted(set(wrong["image"]))
        raise InputError(
            f"{file}: row {wrong.index[0]}: '{wrong['image'].iloc[0]}' is not among the images ({len(names)} such "
            f"names in all). Expected paths relative to images/, such as '{images[0]}'"
        )
    frame = frame[(frame[["x", "y"]] != "").any(axis=1)]  # without both: an image without heads
    text = frame[["x", "y"]]
    if decimal_comma:
        text = text.apply(lambda column: column.str.replace(",", ".", regex=False))
    points = text.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    for row, column in np.argwhere(~np.isfinite(points))[:1]:
        name = COLUMNS[1 + column]
        raise InputError(
            f"{file}: row {frame.index[row]} ('{frame['image'].iloc[row]}'): {name} is '{frame[name].iloc[row]}'; "
            "expected a number of pixels, such as 12.5"
        )
    return pd.Index(images).get_indexer(frame["image"]), points


def _read_table(file: Path, columns: Sequence[str]) -> "tuple[pd.DataFrame, bool]":
    """Return some columns as text, and whether numbers may have a decimal comma.

    The index says in which row of the file each one is; the header is row 1.
    """
    import pandas as pd

    with open(file, "rb") as opened:
        start = opened.read(4096)
    header = start.lstrip().partition(b"\n")[0]
    separator = max(",;\t", key=lambda mark: header.count(mark.encode()))
    try:
        if b"\0" in start:
            raise UnicodeError("it has bytes of 0, like UTF-16")
        table = pd.read_csv(
            file, sep=separator, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False,
            skipinitialspace=True, encoding="utf-8-sig", index_col=False
        )  # fmt: skip
    except UnicodeError as error:
        raise InputError(
            f"{file}: not text in UTF-8 ({error}). Save it as 'CSV UTF-8', as spreadsheets call it. {WHERE}"
        ) from error
    except ValueError as error:  # pandas' own errors are ValueErrors too
        raise InputError(f"{file}: not a readable CSV file ({str(error).strip()}). {WHERE}") from error
    table = table.fillna("").apply(lambda column: column.str.strip())
    table.index += 1
    table = table[(table != "").any(axis=1)]
    names = table.iloc[0].tolist() if len(table) else []
    for column in columns:
        if names.count(column) != 1:
            found = "no column" if column not in names else "more than one column"
            there = ", ".join(f"'{name}'" for name in names)
            raise InputError(f"{file}: {found} '{column}', there is {there or 'nothing'}. {WHERE}")
    table = table.iloc[1:].set_axis(names, axis="columns")
    return table[list(columns)].copy(), separator != ","
