"""A figure of the error by the size of the crowd: without and with PromptMix, for quarters of the test images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from promptmix.errors import InputError
from promptmix.files import write_csv
from promptmix.records.predictions import COUNTS
from promptmix.report.style import DPI, HEADINGS, LARGE, LINE, MARKS, SMALL, WIDTH, save, wrap

QUARTILES = (0.25, 0.5, 0.75)

COLUMNS = 4
"""Panels beside each other at most."""

HEIGHT = 1.8
"""Of a panel with its labels, in inches."""

NOTE = (
    "Mean absolute error of the test images with so many people, by the quartiles of the true count: in each bin about a quarter "
    "of a dataset's images, and the lowest and the highest count in it. A mark is the mean over the repeats, a line from the "
    "lowest to the highest of them. The learning rate was chosen by validation."
)


def draw_sizes(path: str | Path, csv: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the error by the number of people in the image as a PNG, a panel for each row.

    Args:
        path, csv: the files to write; the CSV has what `errors_by_size` returns, row by row, after its `row`.
        rows: of each its `title`, and by method, a key of `HEADINGS`, the `predictions` (predictions.csv).

    Raises:
        InputError: see `errors_by_size`.
    """
    found = [(row["title"], errors_by_size(row["predictions"])) for row in rows]
    write_csv(
        csv, pd.concat([errors.assign(row=title) for title, errors in found], ignore_index=True)[["row", *found[0][1]]]
    )
    save(_draw(found), path)


def errors_by_size(predictions: Mapping[str, str | Path]) -> pd.DataFrame:
    """Return the mean absolute error of the test images by their number of people.

    The bins are those of `bins_of`, the same for all methods.

    Args:
        predictions: of experiments on one dataset, by method.

    Returns:
        by method and bin, from the smallest crowds on: `method`, `experiment`, the lowest and the highest true count `fewest`
        and `most`, the number of `images` and of `repeats`, the error `mae` in people, which is the mean over the repeats, and
        that of the best and the worst repeat, `mae_lowest` and `mae_highest`.

    Raises:
        InputError: a file that does not hold predicted counts, or without any, or methods that were tested on other images.
    """
    read = {method: COUNTS.read(file) for method, file in predictions.items()}
    first = next(iter(read.values())).drop_duplicates("image").set_index("image")["count"].sort_index()
    if first.empty:
        raise InputError(f"{next(iter(predictions.values()))}: no predictions; expected one of each test image")
    bins = pd.Series(bins_of(first.to_numpy()), first.index)
    rows = []
    for method, frame in read.items():
        for _, run in frame.groupby("repeat"):
            if not run.set_index("image")["count"].sort_index().equals(first):
                raise InputError(
                    f"{predictions[method]}: other images or true counts than in {next(iter(predictions.values()))}; expected "
                    "predictions of the same test images, each once in each repeat"
                )
        errors = frame["error"].abs().groupby([frame["image"].map(bins), frame["repeat"]]).mean().unstack()
        for number, of_repeats in errors.iterrows():
            counts = first[bins == number]
            row = {
                "method": method,
                "experiment": frame["experiment"].iloc[0],
                "fewest": counts.min(),
                "most": counts.max(),
            }
            row |= {"images": len(counts), "repeats": len(of_repeats), "mae": of_repeats.mean()}
            rows.append(row | {"mae_lowest": of_repeats.min(), "mae_highest": of_repeats.max()})
    return pd.DataFrame(rows)


def bins_of(counts: np.ndarray) -> np.ndarray:
    """Return the bin of each count, from 0 on: up to the first quartile, up to the second, the third, and above.

    Quartiles are interpolated linearly. Equal counts are in one bin, so there are fewer than four bins if some would be empty.

    Args:
        counts: true counts, (n,), one or more.
    """
    edges = np.quantile(counts, QUARTILES)
    return np.unique(np.searchsorted(edges, counts, side="left"), return_inverse=True)[1]


def _draw(found: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """Return the figure: panels of one size in rows, whose scales of errors begin at 0."""
    columns = min(COLUMNS, len(found))
    lines = -(-len(found) // columns)
    note = wrap(NOTE, WIDTH)
    layout = ConstrainedLayoutEngine(h_pad=0.08)
    figure = Figure((WIDTH, lines * HEIGHT + LINE * (note.count("\n") + 4)), dpi=DPI, layout=layout)
    all_axes = figure.subplots(lines, columns, squeeze=False)
    for ax in all_axes.flat[len(found) :]:
        ax.set_axis_off()
    for ax, (title, errors) in zip(all_axes.flat, found, strict=False):
        ax.set_title(wrap(title, WIDTH / columns), fontsize=LARGE)
        _draw_panel(ax, errors)
    for ax in all_axes[:, 0]:
        ax.set_ylabel("MAE (people)", fontsize=SMALL)
    handles = all_axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper right", ncols=len(handles[0]), fontsize=SMALL, frameon=False)
    figure.supxlabel(f"people in the image\n{note}", fontsize=SMALL)
    return figure


def _draw_panel(ax: Axes, errors: pd.DataFrame) -> None:
    by_method = list(errors.groupby("method", sort=False))
    for i, (method, bins) in enumerate(by_method):
        colour, marker = MARKS[method]
        x = np.arange(len(bins)) + 0.16 * (i - (len(by_method) - 1) / 2)
        spread = [bins["mae"] - bins["mae_lowest"], bins["mae_highest"] - bins["mae"]]
        ax.errorbar(
            x, bins["mae"], spread, color=colour, marker=marker, label=HEADINGS[method], markersize=3.5, linewidth=0.8
        )
    ends = zip(bins["fewest"], bins["most"], strict=True)
    labels = [f"{low:.0f}" if low == high else f"{low:.0f}–\n{high:.0f}" for low, high in ends]
    ax.set_xticks(range(len(labels)), labels)
    ax.set_ylim(bottom=0)
    ax.tick_params(labelsize=SMALL)
    ax.spines[["right", "top"]].set_visible(False)
