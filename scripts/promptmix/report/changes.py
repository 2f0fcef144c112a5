"""A figure of the changes in tables of errors: ours with their intervals, and the paper's, row by row (a forest plot).

All numbers are those of the tables, whose CSV files are read, in percent of the baseline's error.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from promptmix.errors import InputError
from promptmix.files import write_csv
from promptmix.report.statistics import interval, metrics_of
from promptmix.report.style import DPI, LARGE, LINE, MARKS, SMALL, WIDTH, save, wrap

BETWEEN = " · "
"""Stands between the cells of a row's label, and between the headings of their columns."""

ASIDE, THEIRS = "#808080", "#d55e00"
"""Colours of what the paper does not have, and of what it reports."""

OFFSET = 0.28
"""How far the paper's mark is above ours and the control's below it, in lines."""

_MARK: dict[str, Any] = {"markersize": 4.5, "linestyle": ""}
_PAPER = _MARK | {"marker": "d", "color": THEIRS}

NOTE = (
    "Change of the error against the baseline, as a share of the baseline's mean error: the mean over repeats, each with the "
    "baseline's run of the same seed, with its 95 % t-interval where there are two repeats or more. Filled: the change is certain "
    "(bold in the table, after Holm's correction for the number of its differences; the intervals are not corrected). A triangle: "
    "the interval goes on beyond the figure. Left of zero the error is lower than the baseline's."
)


@dataclass(frozen=True)
class Changes:
    """The changes of a table.

    Args:
        name: the table's.
        columns: those of the table in which its rows differ.
        rows: one per experiment with a baseline: `table`, `line` (its cells in `columns`), `experiment`, `baseline`,
            `control_of` (the experiment on whose line a control is drawn, else ""), `measure`, `repeats`; `change`, `low`,
            `high` and `paper_change` in percent, NaN where there is none; `certain` and `in_paper`, 0 or 1.
    """

    name: str
    columns: Sequence[str]
    rows: pd.DataFrame


def draw_changes(
    path: str | Path, csv: str | Path, tables: Sequence[Mapping[str, Any]], convention: str | None = None
) -> None:
    """Write the changes of tables of errors as a PNG, a line per row; a control is on the line of what it controls.

    Args:
        path, csv: the files to write; the CSV has the `rows` of all tables, see `Changes`.
        tables: of each its `name`, its `csv`, and the `columns` that tell its rows apart.
        convention: how depth is scored, a key of `promptmix.report.statistics.DEPTH`; needed if a table is of depth.

    Raises:
        InputError: a file that is not a table of errors, a table without changes, or a baseline whose error is 0.
    """
    found = [read_changes(**table, convention=convention) for table in tables]
    write_csv(csv, pd.concat([changes.rows for changes in found], ignore_index=True))
    save(_draw(found), path)


def read_changes(name: str, csv: str | Path, columns: Sequence[str], convention: str | None = None) -> Changes:
    """Return the changes of a table from its CSV, as `promptmix.report.tables.write_table` writes it.

    Args, Raises: see `draw_changes`.
    """
    texts = dict.fromkeys(["experiment", "task", "baseline", "control", *columns], str)
    runs = pd.read_csv(csv, dtype=texts, keep_default_na=False, na_values={"baseline": [""], "control": [""]})
    if missing := {*texts, "repeat", "certain", "in_paper"} - {*runs}:
        raise InputError(
            f"{csv}: not the CSV of a table of errors: {', '.join(sorted(missing))} missing; make {name} anew"
        )
    metric = metrics_of(runs["task"].iloc[0], convention)[0]
    errors = runs.pivot(index="repeat", columns="experiment", values=metric.column)
    facts = runs.drop_duplicates("experiment").set_index("experiment")
    paper = (
        pd.to_numeric(facts[column]) if (column := f"paper_{metric.name}") in facts else pd.Series(np.nan, facts.index)
    )
    changed = facts[facts["baseline"].notna()]
    if changed.empty:
        raise InputError(f"{csv}: no experiment with a baseline, so no change to draw; take {name} out of the figure")
    of_control = {facts.at[name, "control"]: name for name in changed.index}
    line_of = {name: of_control.get(name, name) for name in changed.index}
    own = changed.loc[list(dict.fromkeys(line_of.values()))]
    telling = [column for column in columns if own[column].nunique() > 1] or list(columns)
    rows = []
    for experiment, baseline in changed["baseline"].items():
        pairs = errors[[baseline, experiment]].dropna()
        before = pairs[baseline].mean()
        if before == 0:
            raise InputError(f"{csv}: the error of {baseline} is 0, so no change is a share of it")
        differences = 100 * (pairs[experiment] - pairs[baseline]).to_numpy() / before
        low, high = interval(differences) or (np.nan, np.nan)
        row: dict[str, Any] = {"table": name, "line": BETWEEN.join(own.loc[line_of[experiment], telling])}
        row |= {"experiment": experiment, "baseline": baseline, "control_of": of_control.get(experiment, "")}
        row |= {"measure": metric.title, "repeats": len(pairs)}
        row |= {"change": differences.mean() if len(pairs) else np.nan, "low": low, "high": high}
        row |= {"paper_change": 100 * (paper[experiment] / paper[baseline] - 1)}
        rows.append(row | {key: facts.at[experiment, key] for key in ("certain", "in_paper")})
    return Changes(name, telling, pd.DataFrame(rows))


def limits_of(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the scale: all changes are within, and of intervals what is not much longer than their range."""
    marks = [0.0, *rows["change"].dropna(), *rows["paper_change"].dropna()]
    low, high = min(marks), max(marks)
    room = max(high - low, 1.0)
    low, high = max(low - room / 2, min(low, rows["low"].min())), min(high + room / 2, max(high, rows["high"].max()))
    return low - room / 20, high + room / 20


def _draw(found: Sequence[Changes]) -> Figure:
    """Return the figure: axes for each table, one below the other, which share one scale."""
    every = pd.concat([changes.rows for changes in found], ignore_index=True)
    lines = [int((changes.rows["control_of"] == "").sum()) for changes in found]
    note = wrap(NOTE, WIDTH)
    height = LINE * (1.7 if (every["control_of"] != "").any() else 1.45)
    rest = LINE * (1.5 * len(found) + note.count("\n") + 5)  # headings, note, scale and legend
    figure = Figure((WIDTH, height * sum(lines) + rest), dpi=DPI, layout="constrained")
    all_axes = figure.subplots(len(found), 1, sharex=True, squeeze=False, height_ratios=lines)[:, 0]
    limits = limits_of(every)
    for ax, changes in zip(all_axes, found, strict=True):
        measure = changes.rows["measure"].iloc[0]
        ax.set_title(f"{changes.name}, {measure}: {BETWEEN.join(changes.columns)}", fontsize=LARGE, loc="left")
        _draw_table(ax, changes.rows, limits)
    all_axes[-1].tick_params(bottom=True)
    all_axes[-1].set_xlabel("change of the error (%)", fontsize=SMALL)
    figure.legend(handles=list(_legend(every)), loc="outside upper right", ncols=5, fontsize=SMALL, frameon=False)
    figure.supxlabel(note, fontsize=SMALL)
    return figure


def _draw_table(ax: Axes, rows: pd.DataFrame, limits: tuple[float, float]) -> None:
    own = rows[rows["control_of"] == ""]
    position = {name: float(y) for y, name in enumerate(own["experiment"])}
    ax.grid(axis="x", color="#d0d0d0", linewidth=0.5)
    ax.set_axisbelow(True)
    ax.axvline(0, color="black", linewidth=0.8, zorder=1)
    for band in range(0, len(own), 2):
        ax.axhspan(band - 0.5, band + 0.5, color="#f2f2f2", linewidth=0, zorder=0)
    for row in rows.itertuples():
        is_control = row.control_of != ""
        y = position[row.control_of] + OFFSET if is_control else position[row.experiment]
        ends = np.clip([row.low, row.high], *limits)
        style = _style(is_control, row.in_paper == 1, row.certain == 1)
        ax.plot(ends, [y, y], color=style["color"], linewidth=1.2, zorder=2)
        for end, true, marker in zip(ends, (row.low, row.high), "<>", strict=True):
            if end != true and np.isfinite(true):
                ax.plot(end, y, marker=marker, color=style["color"], markersize=3.5, clip_on=False, zorder=2)
        ax.plot(row.change, y, **style, zorder=3)
        ax.plot(row.paper_change, y - OFFSET, **_PAPER, clip_on=False, zorder=3)
    ax.set(xlim=limits, ylim=(len(own) - 0.5, -0.5), yticks=range(len(own)), yticklabels=own["line"])
    ax.tick_params(labelsize=SMALL, length=0)
    ax.tick_params(axis="y", pad=7)  # beside a triangle
    ax.spines[["left", "right", "top"]].set_visible(False)


def _style(is_control: bool, in_paper: bool, certain: bool) -> dict[str, Any]:
    """Return how a change of ours is marked."""
    colour = MARKS["promptmix"][0] if in_paper and not is_control else ASIDE
    face = colour if certain else "white"
    return _MARK | {"marker": "s" if is_control else "o", "color": colour, "markerfacecolor": face}


def _legend(rows: pd.DataFrame) -> Iterator[Line2D]:
    """Yield what each kind of mark means, of those that are drawn."""
    control, ours = rows["control_of"] != "", rows["in_paper"] == 1
    certain = rows["certain"] == 1
    for label, drawn, style in (
        ("ours, certain", ~control & ours & certain, _style(False, True, True)),
        ("ours, not certain", ~control & ours & ~certain, _style(False, True, False)),
        ("control", control, _style(True, False, False)),
        ("a row that the paper does not have", ~control & ~ours, _style(False, False, False)),
        ("the paper's", rows["paper_change"].notna(), _PAPER),
    ):
        if drawn.any():
            yield Line2D([], [], label=label, **style)
