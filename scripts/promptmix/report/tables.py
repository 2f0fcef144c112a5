"""Tables of errors and of cost, the paper's numbers beside ours where there are any: Markdown, LaTeX and CSV.

A row is an experiment. A cell is the mean over its repeats and the standard deviation between them; a change is the
mean of the differences to the row's baseline, repeat by repeat, as a baseline and its PromptMix twin share the seed of
their first weights and of the order of the real images. What a change is worth is said by `promptmix.report.statistics`. The
CSV holds one row per run, with everything that the cells are computed from but the bootstrap's predictions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from promptmix.errors import InputError
from promptmix.files import write_csv
from promptmix.records.predictions import PREDICTIONS
from promptmix.report.layout import write_markdown, write_tex
from promptmix.report.statistics import (
    DRAWS,
    Metric,
    bootstrap,
    excludes_zero,
    interval,
    metrics_of,
    resolvable,
)
from promptmix.synthesis.mixing import read_fake

NONE = "—"

CONVENTION_WORDS = {
    "full": "whole images",
    "eigen": "Eigen's crop",
    "guidedepth": "GuideDepth's crop",
    "images": "averaged over the images",
    "pixels": "of the pixels of all images together",
}
"""What notes call the crops and averages of `promptmix.tasks.depth_metrics`."""


@dataclass(frozen=True)
class Row:
    """An experiment as a table sees it.

    Args:
        experiment: its name.
        labels: the leading cells by column, such as `{"Dataset": "UCF-QNRF", "Network": "csrnet"}`.
        task: "counting" or "depth".
        runs: one row per repeat: `learning_rate`, `repeat`, `images` (number tested), all metrics of the task,
            `val_error`.
        predictions: what the metrics are computed from, one row per repeat and image.
        baseline: experiment that the row is compared with; None for a baseline.
        control: experiment that the row is also compared with; the baseline trained for as many updates.
        k, r_mix: generated images per prompt and per epoch; None and 0 without generated images.
        repeated: real images that an epoch draws a second time.
        paper: the paper's numbers by metric, those that are known.
        more: what else the CSV is to hold.
    """

    experiment: str
    labels: Mapping[str, str]
    task: str
    runs: pd.DataFrame
    predictions: pd.DataFrame
    baseline: str | None = None
    control: str | None = None
    k: int | None = None
    r_mix: int = 0
    repeated: int = 0
    paper: Mapping[str, float] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, predictions: str | Path, selection: str | Path, experiment: str, labels, task: str, **facts) -> "Row":
        """Return the row of an experiment from its `predictions.csv` and its `selection.json`.

        Args:
            facts: `baseline`, `control`, `k`, `repeated` and `paper` where there are any;
                what has another name goes to the CSV as it is.

        Raises:
            InputError: predictions without the columns of the task or without rows, or another number of repeats than
                in the selection.
        """
        frame = PREDICTIONS.read(predictions)
        choice = json.loads(Path(selection).read_text())
        validation = choice["candidates"][choice["learning_rate"]]["repeats"]
        try:
            scores = {metric.column: metric.score(metric.sums(frame)) for metric in metrics_of(task)}
            repeats = sorted(frame["repeat"].unique())
        except KeyError as missing:
            raise InputError(
                f"{predictions}: expected one row per repeat and image with the columns of {task}; {missing} is missing"
            ) from None
        except InputError as error:
            raise InputError(f"{predictions}: {error}") from None
        if not repeats or len(repeats) != len(validation):
            raise InputError(
                f"{predictions} has {len(repeats)} repeats and {selection} has {len(validation)}; expected as many"
            )
        runs = {"learning_rate": choice["learning_rate"], "repeat": repeats, "images": frame["image"].nunique()}
        runs = pd.DataFrame(runs | scores | {"val_error": [run["val_error"] for run in validation]})
        known = {name: facts.pop(name) for name in list(facts) if name in cls.__dataclass_fields__}
        return cls(experiment, labels, task, runs, frame, **known, r_mix=choice["r_mix"], more=facts)


@dataclass(frozen=True)
class Change:
    """How an experiment differs from another in a metric, repeat by repeat.

    Args:
        metric: what changes.
        before, after: its sums, over the same repeats and images: see `Metric.sums`.
    """

    metric: Metric
    before: np.ndarray
    after: np.ndarray

    @classmethod
    def between(cls, before: Row, after: Row, metric: Metric) -> "Change | None":
        """Return the change from one row to another over the repeats that both have, None if there are none.

        Raises:
            InputError: the two were tested on different images.
        """
        common = set(before.runs["repeat"]) & set(after.runs["repeat"])
        if not common:
            return None
        a, b = (row.predictions[row.predictions["repeat"].isin(common)] for row in (before, after))
        if set(a["image"]) != set(b["image"]):
            raise InputError(
                f"{before.experiment} and {after.experiment} were tested on different images, so there is no "
                "difference between them; compare experiments of one dataset"
            )
        return cls(metric, metric.sums(a), metric.sums(b))

    @property
    def differences(self) -> np.ndarray:
        """The metric's difference in each repeat, (repeats,)."""
        return self.metric.score(self.after) - self.metric.score(self.before)

    @property
    def mean(self) -> float:
        return float(self.differences.mean())

    @property
    def resolved(self) -> bool:
        """Whether the interval over repeats excludes zero."""
        return excludes_zero(interval(self.differences))

    @property
    def direction(self) -> str:
        return "lower" if self.mean < 0 else "higher"

    def over_repeats(self) -> str:
        """Return mean, share of what it changes and interval over repeats: "−1.20, −11.0 % [−2.10, −0.30]"."""
        digits, before, ends = self.metric.digits, self.metric.score(self.before).mean(), interval(self.differences)
        text = signed(self.mean, digits)
        if before:
            text += f", {signed(100 * self.mean / before, 1)} %"
        return bold_if(self.resolved, text if ends is None else f"{text} {brackets(ends, digits)}")

    def over_images(self) -> str:
        """Return the bootstrap's interval over the test images: "[−2.10, −0.30]"."""
        return brackets(bootstrap(self.before, self.after, self.metric), self.metric.digits)


def write_table(
    rows: Iterable[Mapping],
    markdown: str | Path,
    csv: str | Path,
    tex: str | Path,
    scale: str,
    convention: str = "full-images",
) -> pd.DataFrame:
    """Write a table of the errors of experiments.

    Args:
        rows: one mapping per experiment, in the order of the table: what `Row.read` takes.
        markdown, csv, tex: the files to write.
        scale: the name of the scale, said under the table.
        convention: how depth is scored, a key of `promptmix.report.statistics.DEPTH` such as "eigen-pixels".

    Returns:
        the table as it is printed.

    Raises:
        InputError: rows of different tasks, or a comparison with an experiment that is not in the table.
    """
    read = [Row.read(**row) for row in rows]
    tasks = {row.task for row in read}
    if len(tasks) != 1:
        raise InputError(f"the rows have the tasks {', '.join(sorted(tasks)) or 'none'}; a table has one task")
    metrics = metrics_of(read[0].task, convention)
    table = lay_out(read, metrics)
    notes = describe(read, metrics, scale, convention)
    write_markdown(markdown, table, notes)
    write_tex(tex, table, notes)
    write_csv(csv, runs_of(read, scale))
    return table


def lay_out(rows: Sequence[Row], metrics: Sequence[Metric]) -> pd.DataFrame:
    """Return the cells of a table; bold is in `**`. A column that would be empty is left out."""
    error = metrics[0]
    printed = [metric for metric in metrics if any(metric.name in row.paper for row in rows)] or [error]
    lines = []
    for row in rows:
        change, against_control = (change_to(name, row, rows, error) for name in (row.baseline, row.control))
        line = {name: str(label) for name, label in row.labels.items()}
        line |= {metric.title: bold_if(is_best(row, rows, metric), mean_cell(row, metric)) for metric in metrics}
        line |= {
            f"Change of {error.title} [95 % over repeats]": change.over_repeats() if change else NONE,
            "[95 % over images]": change.over_images() if change else NONE,
            "Against the control [95 % over repeats]": against_control.over_repeats() if against_control else NONE,
            f"Paper's {' / '.join(metric.title for metric in printed)}": paper_cell(row, printed),
            "Same way": same_way(row, change, rows, error),
        }
        lines.append(line)
    table = pd.DataFrame(lines).fillna("")
    return table.loc[:, [name in rows[0].labels or (table[name] != NONE).any() for name in table.columns]]


def change_to(name: str | None, row: Row, rows: Sequence[Row], metric: Metric) -> Change | None:
    """Return the change of a row against the experiment `name`, None if there is nothing to compare.

    Raises:
        InputError: no row of the table is that experiment.
    """
    if name is None:
        return None
    other = next((other for other in rows if other.experiment == name), None)
    if other is None:
        raise InputError(
            f"{row.experiment} is compared with {name}, which is not in the table; add {name} to the table's rows"
        )
    return Change.between(other, row, metric)


def is_best(row: Row, rows: Sequence[Row], metric: Metric) -> bool:
    """Return whether a row is better than all others with its baseline, and certainly better than the runner-up.

    The baseline takes part. Certainly: the interval over repeats of the paired difference excludes zero.
    """
    key = row.baseline or row.experiment
    group = {other.experiment: other for other in rows if key in (other.experiment, other.baseline)}
    sign = 1 if metric.lower_is_better else -1
    ranked = sorted(group.values(), key=lambda other: sign * other.runs[metric.column].mean())
    if len(ranked) < 2 or ranked[0].experiment != row.experiment:
        return False
    change = Change.between(ranked[1], ranked[0], metric)
    return change is not None and change.resolved and sign * change.mean < 0


def same_way(row: Row, change: Change | None, rows: Sequence[Row], error: Metric) -> str:
    """Return "yes" or "no" for an error that changes as in the paper or not, "unresolved" if ours is uncertain.

    The paper's direction is what its numbers for the row and for its baseline say.
    """
    baseline = next((other for other in rows if other.experiment == row.baseline), None)
    theirs = None
    if baseline is not None and error.name in row.paper and error.name in baseline.paper:
        difference = row.paper[error.name] - baseline.paper[error.name]
        theirs = "lower" if difference < 0 else "higher" if difference > 0 else None
    if change is None or theirs is None:
        return NONE
    return "unresolved" if not change.resolved else "yes" if change.direction == theirs else "no"


# --- Cells ---


def mean_cell(row: Row, metric: Metric) -> str:
    """Return mean and standard deviation (n - 1) over the repeats: "10.90 ± 1.20"; one run has no deviation."""
    return mean_and_deviation(row.runs[metric.column], metric.digits)


def mean_and_deviation(values: pd.Series, digits: int) -> str:
    mean = f"{values.mean():.{digits}f}"
    return f"{mean} ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else mean


def paper_cell(row: Row, metrics: Sequence[Metric]) -> str:
    """Return the paper's numbers: "68.20", or "0.639 / 0.743" of several metrics."""
    if not any(metric.name in row.paper for metric in metrics):
        return NONE
    return " / ".join(
        f"{row.paper[metric.name]:.{metric.digits}f}" if metric.name in row.paper else NONE for metric in metrics
    )


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, a real minus; zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def brackets(ends: tuple[float, float], digits: int) -> str:
    """Return an interval: "[−2.10, −0.30]"."""
    return f"[{signed(ends[0], digits)}, {signed(ends[1], digits)}]"


def bold_if(condition: bool, text: str) -> str:
    return f"**{text}**" if condition else text


# --- Notes ---


def describe(rows: Sequence[Row], metrics: Sequence[Metric], scale: str, convention: str) -> list[str]:
    """Return the notes under a table: how its numbers are made, how to read them, what was run."""
    error = metrics[0]
    if rows[0].task == "counting":
        scored = (
            "The count of an image is the number of its points. RMSE is the root of the mean squared error (in crowd "
            "counting papers often called MSE)."
        )
    else:
        crop, average = convention.split("-")
        scored = (
            "RMSE in metres; δ1, δ2, δ3: share of pixels that are right within a factor of 1.25, 1.25², 1.25³. "
            f"Convention {convention}: {CONVENTION_WORDS[crop]}, {CONVENTION_WORDS[average]}; the CSV holds the others too."
        )
    repeats = {len(row.runs) for row in rows}
    number = " to ".join(str(n) for n in sorted({min(repeats), max(repeats)}))
    notes = [f"Scale: {scale}. Test split. {scored}"]
    notes.append("One run each." if repeats == {1} else f"Mean ± standard deviation over {number} repeats.")
    if any(row.baseline for row in rows):
        over_repeats = "" if repeats == {1} else "the 95 % t-interval over repeats; beside it "
        notes[-1] += (
            f" Change: mean difference to the baseline's run of the same seed, with {over_repeats}the 95 % percentile "
            f"interval over test images ({DRAWS} bootstrap draws, the networks as they are)."
        )
        notes.append(
            "Bold: a change whose interval over repeats excludes zero; and the best of the rows with one baseline, if "
            "the interval of its difference to the runner-up does. No interval is corrected for the number of "
            "comparisons."
        )
        if any(row.paper for row in rows):
            notes[-1] += " Same way: whether the error changes as in the paper; unresolved if it may not change at all."
        notes.append(resolution(rows, error))
    return [*notes, *settings(rows)]


def resolution(rows: Sequence[Row], error: Metric) -> str:
    """Return the smallest differences that the repeats could have resolved, a number or range for each baseline."""
    parts = []
    for baseline in dict.fromkeys(row.baseline for row in rows if row.baseline):
        compared = [row for row in rows if row.baseline == baseline]
        changes = [change_to(name, row, rows, error) for row in compared for name in (baseline, row.control)]
        found = [resolvable(change.differences) for change in changes if change is not None]
        smallest = [value for value in found if value is not None]
        if not smallest:
            continue
        ends = dict.fromkeys(f"{value:.{error.digits}f}" for value in (min(smallest), max(smallest)))
        group = [row.labels for row in rows if baseline in (row.experiment, row.baseline)]
        name = ", ".join(
            str(label) for key, label in group[0].items() if len(group) > 1 and all(g.get(key) == label for g in group)
        )
        parts.append(f"{name} {' to '.join(ends)}".strip())
    if not parts:
        return "One repeat could have resolved no difference: it has no interval over repeats, and nothing is bold."
    return (
        f"Smallest true difference of {error.title} that so many repeats could have resolved (power 80 %): "
        f"{'; '.join(parts)}. That is (t(0.975) + t(0.8)) s / √n: s the deviation of the n paired differences, t Student's "
        "quantile with n − 1 degrees of freedom."
    )


def settings(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what was run, a line for each distinct setting that is not in the table: "a, b: k 2, r_mix 40, ..."."""
    several = len({len(row.runs) for row in rows}) > 1
    lines: dict[str, list[str]] = {}
    for row in rows:
        parts = []
        if row.r_mix:
            parts += [f"{name} {getattr(row, name)}" for name in ("k", "r_mix") if name not in row.labels]
        elif not row.repeated:
            parts.append("real images only")
        if row.repeated:
            parts.append(f"{row.repeated} real images a second time in each epoch")
        parts.append(f"learning rate {row.runs['learning_rate'].iloc[0]}")
        if several:
            parts.append("1 repeat" if len(row.runs) == 1 else f"{len(row.runs)} repeats")
        lines.setdefault(", ".join(parts), []).append(row.experiment)
    for text, experiments in lines.items():
        yield f"{', '.join(dict.fromkeys(experiments))}: {text}."


def runs_of(rows: Iterable[Row], scale: str) -> pd.DataFrame:
    """Return one row per run with everything that the cells are computed from."""
    parts = []
    for row in rows:
        facts: dict[str, Any] = {"scale": scale, "experiment": row.experiment, **row.labels, "task": row.task}
        facts |= {"baseline": row.baseline, "control": row.control}
        facts |= {"k": row.k, "r_mix": row.r_mix, "repeated": row.repeated, **row.more}
        paper = {f"paper_{name}": value for name, value in row.paper.items()}
        parts += [facts | run | paper for run in row.runs.to_dict("records")]
    return pd.DataFrame(parts).astype({"k": "Int64"})


def measure(fake: str | Path | None, names: Sequence[str]) -> dict[str, str]:
    """Return what is counted in D_fake, as cells by column.

    Args:
        fake: its file; None for an experiment without generated images.
        names: "generated images", "prompts kept" or "faces restored".
    """
    if fake is None:
        return dict.fromkeys(names, NONE)
    found = read_fake(fake)
    facts = {
        "generated images": len(found),
        "prompts kept": len(found[["pool", "prompt_number"]].drop_duplicates()),
        "faces restored": found["faces"].sum(),
    }
    return {name: str(facts[name]) for name in names}


# --- Tables of cost ---


def write_cost_table(
    rows: Iterable[Mapping],
    markdown: str | Path,
    csv: str | Path,
    tex: str | Path,
    scale: str,
    task: str = "counting",
    convention: str = "full-images",
) -> pd.DataFrame:
    """Write a table of the size and cost of networks beside their error on each dataset, such as Table III.

    Args:
        rows: one mapping per row of the table: `network`, its title; `method`, such as "baseline", "PromptMix" or
            "annotator"; `cost`, the JSON of `count_cost`; `paper`, what is known of its `gmac` and `parameters` (in
            millions); `settings`, those of the network that was tested where it is not the one that was counted; and
            `tests`, its predictions.csv by the title of the dataset.
        markdown, csv, tex, scale, convention: as of `write_table`.
        task: "counting" or "depth".

    Returns:
        the table as it is printed.

    Raises:
        InputError: predictions that are not those of the task.
    """
    lines, runs, sizes, others = [], [], set(), {}
    metrics = metrics_of(task, convention)
    error = metrics[0]
    for row in rows:
        cost = json.loads(Path(row["cost"]).read_text())
        paper = row.get("paper") or {}
        sizes.add(f"{cost['width']}x{cost['height']}")
        if row.get("settings", cost["settings"]) != cost["settings"]:
            others[row["network"]] = ", ".join(f"{name} {value}" for name, value in row["settings"].items())
        line = {
            "Network": row["network"],
            "Method": row["method"],
            "Parameters (M)": quantity(cost["parameters"] / 1e6),
            "GMac": quantity(cost["gmac"]),
            "Paper's parameters (M) / GMac": " / ".join(
                quantity(paper[name]) if name in paper else NONE for name in ("parameters", "gmac")
            )
            if paper
            else NONE,
        }
        facts = {"scale": scale, "network": row["network"], "method": row["method"]}
        facts |= {name: cost[name] for name in ("height", "width", "parameters", "gmac")}
        facts |= {f"paper_{name}": value for name, value in paper.items()}
        for dataset, predictions in row["tests"].items():
            frame = PREDICTIONS.read(predictions)
            try:
                scores = {metric.column: metric.score(metric.sums(frame)) for metric in metrics_of(task)}
            except (KeyError, InputError) as problem:
                raise InputError(
                    f"{predictions}: expected one row per repeat and image, as for {task}: {problem}"
                ) from None
            line[f"{error.title} on {dataset}"] = mean_and_deviation(pd.Series(scores[error.column]), error.digits)
            facts |= {"dataset": dataset, "images": frame["image"].nunique()}
            repeats = pd.DataFrame({"repeat": sorted(frame["repeat"].unique())} | scores)
            runs += [facts | run for run in repeats.to_dict("records")]
        if not row["tests"]:
            runs.append(facts)
        lines.append(line)
    table = pd.DataFrame(lines).fillna(NONE)
    notes = [
        f"Scale: {scale}. Parameters and multiply-accumulate operations (ptflops) of a {', '.join(sorted(sizes))} image.",
        f"{error.title} on the test split: mean ± standard deviation over repeats; an annotator is one network.",
    ]
    if others:
        texts = [f"{network} ({text})" for network, text in others.items()]
        notes.append(f"The errors are not those of the networks that are counted, but of {', '.join(texts)}.")
    write_markdown(markdown, table, notes)
    write_tex(tex, table, notes)
    write_csv(csv, runs)
    return table


def quantity(value: float) -> str:
    """Return two digits behind the point, three digits that count below 1: "26.54", "0.0246"."""
    return f"{value:.2f}" if value >= 1 else f"{value:#.3g}"
