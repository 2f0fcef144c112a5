"""Illustrations of a table: how its networks were trained, and examples of the images that they were trained on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from promptmix.datasets.index import Index
from promptmix.datasets.split import Split
from promptmix.errors import InputError
from promptmix.records.histories import HISTORY
from promptmix.report.figures import draw_sheet
from promptmix.report.style import DPI, LINE, MARKS, SMALL, WIDTH, save, wrap
from promptmix.synthesis.manifest import read_verified
from promptmix.synthesis.mixing import read_fake

ERRORS = {"counting": "validation error (MAE, people)", "depth": "validation error (RMSE, metres)"}

HEIGHT = 2.6
"""Of the curves' axes with their labels, in inches."""


def draw_curves(path: str | Path, runs: Sequence[Mapping[str, Any]], task: str) -> None:
    """Write the training curves of experiments as a PNG: loss and validation error by epoch, for each network.

    A line is the mean over an experiment's repeats with the chosen learning rate, with the range of the repeats around it.

    Args:
        path: the file to write.
        runs: of each experiment its `title`, `network`, `method` (a key of `MARKS`), `selection` (selection.json) and
            `histories` (history.csv of all its runs).
        task: "counting" or "depth".

    Raises:
        InputError: a selection whose learning rate has no history, or a file that is not what it should be.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault(run["network"], []).append(run)
    columns = max(1, int(WIDTH * 72 / (0.6 * SMALL * (8 + max(len(run["title"]) for run in runs)))))  # of the legend
    heights = [HEIGHT + LINE * (-(-len(group) // columns) + 1) for group in groups.values()]
    figure = Figure((WIDTH, sum(heights)), dpi=DPI, layout="constrained")
    parts = figure.subfigures(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, group in zip(parts, groups.values(), strict=True):
        axes = part.subplots(1, 2)
        for run, colour in zip(group, _colours([run["method"] for run in group]), strict=True):
            history = _chosen(run["selection"], run["histories"])
            for ax, column in zip(axes, ("loss", "val_error"), strict=True):
                by_epoch = history.dropna(subset=[column]).groupby("epoch")[column].agg(["mean", "min", "max"])
                marker = "." if len(by_epoch) < 3 else ""
                ax.plot(by_epoch.index, by_epoch["mean"], color=colour, label=run["title"], linewidth=1, marker=marker)
                ax.fill_between(by_epoch.index, by_epoch["min"], by_epoch["max"], color=colour, alpha=0.15, linewidth=0)
        for ax, label in zip(axes, ("loss", ERRORS[task]), strict=True):
            ax.set_xlabel("epoch", fontsize=SMALL)
            ax.set_ylabel(label, fontsize=SMALL)
            ax.tick_params(labelsize=SMALL)
            ax.xaxis.get_major_locator().set_params(integer=True)
        handles = axes[0].get_legend_handles_labels()
        part.legend(*handles, loc="outside lower left", ncols=columns, fontsize=SMALL, frameon=False)
    save(figure, path)


def _colours(methods: Sequence[str]) -> np.ndarray | list[str]:
    """Return a colour for each line: that of its method if it is the only one, else one of its own."""
    if len(set(methods)) == len(methods):
        return [MARKS[method][0] for method in methods]
    few = len(methods) <= colormaps["tab10"].N
    return colormaps["tab10"](range(len(methods))) if few else colormaps["viridis"](np.linspace(0, 0.95, len(methods)))


def _chosen(selection: str | Path, histories: Sequence[str | Path]) -> pd.DataFrame:
    """Return the histories of the chosen learning rate's runs, one below the other."""
    rate = json.loads(Path(selection).read_text())["learning_rate"]
    found = [history for history in map(HISTORY.read, histories) if (history["learning_rate"] == rate).all()]
    if not found:
        raise InputError(
            f"{selection} chose the learning rate {rate}, and none of {', '.join(map(str, histories))} has it"
        )
    return pd.concat(found, ignore_index=True)


def show_generated(path: str | Path, index: str | Path, fakes: Sequence[Mapping[str, Any]], columns: int) -> None:
    """Write training images, and below them images of each D_fake with what its annotator found, as a PNG.

    Args:
        path: the file to write.
        index: of the real dataset.
        fakes: of each D_fake its `title`, `annotator` and `fake` (its CSV). One without images is left out.
        columns: images in a row at most: the first training images, and images spread evenly over a D_fake.

    Raises:
        InputError: an image that is missing or has changed.
    """
    images = Split(Index.open(index), "train")
    read = [(fake, read_fake(fake["fake"])) for fake in fakes]
    read = [(fake, frame) for fake, frame in read if len(frame)]
    columns = min(columns, len(images), *(len(frame) for _, frame in read))
    counted = images.index.frame["count"].any()
    rows = [[images.image(i) for i in range(columns)]]
    captions = [[f"{count} people" if counted else "" for count in images.frame["count"].iloc[:columns]]]
    for fake, frame in read:
        shown = frame.iloc[np.linspace(0, len(frame) - 1, columns).round().astype(int)]
        rows.append([read_verified(file, digest) for file, digest in zip(shown["file"], shown["sha256"], strict=True)])
        found = [
            f"{row.count_:.0f} people" if np.isfinite(row.count_) else f"mean {row.depth:.2f} m"
            for row in shown.rename(columns={"count": "count_"}).itertuples()
        ]
        captions.append([f"“{prompt}”\n{fake['annotator']}: {text}" for prompt, text in zip(shown["prompt"], found)])
    tallest = WIDTH / columns * max(image.shape[0] / image.shape[1] for row in rows for image in row)
    titles = [wrap(title.replace("+", " + "), tallest) for title in ("real", *(fake["title"] for fake, _ in read))]
    save(draw_sheet(rows, captions, titles), path)
