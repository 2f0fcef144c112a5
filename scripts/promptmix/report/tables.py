"""Tables of errors, the paper's numbers beside ours where there are any: Markdown, LaTeX and CSV.

A row is an experiment. A cell is the mean over its repeats and the standard deviation between them; a change is the
mean of the differences to the row's baseline, repeat by repeat, as a baseline and its PromptMix twin share the seed of
their first weights and of the order of the real images. What a change is worth is said by `promptmix.report.statistics`. The
CSV holds one row per run, with everything that the cells are computed from but the bootstrap's predictions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from promptmix.errors import InputError
from promptmix.files import write_csv
from promptmix.records.halving import HALVING
from promptmix.records.predictions import PREDICTIONS
from promptmix.report.layout import write_html, write_markdown, write_tex
from promptmix.report.statistics import (
    DRAWS,
    FEWEST,
    LEVEL,
    Metric,
    bootstrap,
    chance,
    correct,
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
        paper_baseline: its numbers of the baseline that the row is compared with.
        ours: whether the paper's table has no such row.
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
    paper_baseline: Mapping[str, float] = field(default_factory=dict)
    ours: bool = False
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
        frame, scores = read_scores(predictions, task)
        repeats = sorted(frame["repeat"].unique())
        choice = json.loads(Path(selection).read_text())
        validation = choice["candidates"][choice["learning_rate"]]["repeats"]
        if not repeats or len(repeats) != len(validation):
            raise InputError(
                f"{predictions} has {len(repeats)} repeats and {selection} has {len(validation)}; expected as many"
            )
        runs = {"learning_rate": choice["learning_rate"], "repeat": repeats, "images": frame["image"].nunique()}
        runs = pd.DataFrame(runs | scores | {"val_error": [run["val_error"] for run in validation]})
        known = {name: facts.pop(name) for name in list(facts) if name in cls.__dataclass_fields__}
        return cls(experiment, labels, task, runs, frame, **known, r_mix=choice["r_mix"], more=facts)


def read_scores(predictions: str | Path, task: str) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return a `predictions.csv`, and all metrics of the task by column, (repeats,) each.

    Raises:
        InputError: the file lacks columns of the task, or holds an image more or less often than once per repeat.
    """
    frame = PREDICTIONS.read(predictions)
    try:
        return frame, {metric.column: metric.score(metric.sums(frame)) for metric in metrics_of(task)}
    except KeyError as missing:
        raise InputError(
            f"{predictions}: expected one row per repeat and image with the columns of {task}; {missing} is missing"
        ) from None
    except InputError as error:
        raise InputError(f"{predictions}: {error}") from None


@dataclass(frozen=True)
class Change:
    """How an experiment differs from another in a metric, repeat by repeat.

    Args:
        metric: what changes.
        before, after: its sums, over the same repeats and images: see `Metric.sums`.
        resolved: whether it is certain, among all differences of its table: see `Comparisons`.
    """

    metric: Metric
    before: np.ndarray
    after: np.ndarray
    resolved: bool = False

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


class Comparisons:
    """The differences of a table's error that are judged, together.

    They are those of each row to its baseline and its control, of the best of the rows with one baseline to the
    runner-up, and of the rows that the paper's claims name. Their p-values are corrected for their number (Holm).

    Args:
        rows: the table's.
        metric: its error.
        claims: what the paper says of the rows, see `promptmix.config.paper.Claim`.

    Raises:
        InputError: a comparison with an experiment that is not in the table, or that was tested on other images.
    """

    def __init__(self, rows: Sequence[Row], metric: Metric, claims: Sequence[Mapping[str, Any]] = ()):
        self.metric = metric
        self._rows = {row.experiment: row for row in rows}
        self._ranked = {row.experiment: self._rank(row) for row in rows}
        pairs = [(name, row.experiment) for row in rows for name in (row.baseline, row.control) if name]
        pairs += [(ranked[1], ranked[0]) for ranked in self._ranked.values() if len(ranked) > 1]
        pairs += [(claim["higher"], claim["lower"]) for claim in claims if claim["lower"]]
        found = {}
        for before, after in pairs:
            if before not in self._rows:
                raise InputError(
                    f"{after} is compared with {before}, which is not in the table; add {before} to the table's rows"
                )
            found[before, after] = Change.between(self._rows[before], self._rows[after], metric)
        changes = {pair: change for pair, change in found.items() if change is not None}
        chances = {frozenset(pair): chance(change.differences) for pair, change in changes.items()}
        certain = {pair for pair, value in zip(chances, correct(list(chances.values()))) if value < 1 - LEVEL}
        self._number = len(chances)
        self._changes = {pair: replace(change, resolved=frozenset(pair) in certain) for pair, change in changes.items()}

    def __len__(self) -> int:
        return self._number

    def change(self, before: str | None, after: str) -> Change | None:
        """Return the change from one experiment to another, None without the first or without common repeats."""
        return self._changes.get((before, after)) if before else None

    def is_best(self, row: Row) -> bool:
        """Return whether a row's error is certainly lower than that of all others with its baseline, and its."""
        ranked = self._ranked[row.experiment]
        if len(ranked) < 2 or ranked[0] != row.experiment:
            return False
        change = self.change(ranked[1], ranked[0])
        return change is not None and change.resolved and change.mean < 0

    def _rank(self, row: Row) -> list[str]:
        """Return the experiments that share a row's baseline, and the baseline, by rising error."""
        key = row.baseline or row.experiment
        group = [name for name, other in self._rows.items() if key in (name, other.baseline)]
        return sorted(group, key=lambda name: self._rows[name].runs[self.metric.column].mean())


def write_table(
    rows: Iterable[Mapping],
    markdown: str | Path,
    csv: str | Path,
    tex: str | Path,
    html: str | Path,
    scale: str,
    convention: str = "full-images",
    claims: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
    compared: Mapping[str, str | Path] | None = None,
    annotators: Sequence[tuple[str, str, str | Path]] = (),
    halved: Mapping[str, str | Path] | None = None,
) -> pd.DataFrame:
    """Write a table of the errors of experiments.

    Args:
        rows: one mapping per experiment, in the order of the table: what `Row.read` takes.
        markdown, csv, tex, html: the files to write.
        scale: the name of the scale, said under the table.
        convention: how depth is scored, a key of `promptmix.report.statistics.DEPTH` such as "eigen-pixels".
        claims: what the paper says of the rows, see `promptmix.config.paper.Claim`.
        notes: what else is to be said of the table.
        compared: by experiment how its generated images compare with real ones, see `promptmix.synthesis.comparing`.
        annotators: what annotates the generated images of the rows: its name, the title of a dataset, and its predictions
            of that dataset's test images.
        halved: by experiment what halving has found about its prompts, see `promptmix.records.halving`.

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
    comparisons = Comparisons(read, metrics[0], claims)
    table = lay_out(read, metrics, comparisons)
    said = [*notes, *compare_claims(read, comparisons, claims), *describe(read, comparisons, scale, convention)]
    said += compared_with_real(compared or {})
    said += filtered(compared or {})
    said += saved_by_halving(halved or {})
    said += annotators_tested(annotators, read[0].task, metrics)
    of_paper = sum(not row.ours for row in read) if any(row.paper for row in read) else None
    write_markdown(markdown, table, said, of_paper)
    write_tex(tex, table, said, of_paper)
    write_html(html, table, said, of_paper)
    write_csv(csv, runs_of(read, comparisons, scale))
    return table


def lay_out(rows: Sequence[Row], metrics: Sequence[Metric], comparisons: Comparisons) -> pd.DataFrame:
    """Return the cells of a table; bold is in `**`. A column that would be empty is left out."""
    error = metrics[0]
    ordered = [*metrics[1:], error] if rows[0].task == "depth" else metrics  # as in the paper's Table II
    printed = [metric for metric in ordered if any(metric.name in row.paper for row in rows)] or [error]
    lines = []
    for row in rows:
        change, against_control = (comparisons.change(name, row.experiment) for name in (row.baseline, row.control))
        line = {name: str(label) for name, label in row.labels.items()}
        line |= {metric.title: mean_cell(row, metric) for metric in ordered}
        line[error.title] = bold_if(comparisons.is_best(row), line[error.title])
        line |= {
            f"Paper's {' / '.join(metric.title for metric in printed)}": paper_cell(row, printed),
            f"Change of {error.title} [95 % over repeats]": change.over_repeats() if change else NONE,
            "[95 % over images]": change.over_images() if change else NONE,
            "Paper's change": paper_change(row, error),
            "Same way": same_way(row, change, error),
            "Against the control [95 % over repeats]": against_control.over_repeats() if against_control else NONE,
        }
        lines.append(line)
    table = pd.DataFrame(lines).fillna("")
    return table.loc[:, [name in rows[0].labels or (table[name] != NONE).any() for name in table.columns]]


def same_way(row: Row, change: Change | None, error: Metric) -> str:
    """Return "yes" or "no" for an error that changes as in the paper or not, "unresolved" if ours is uncertain.

    The paper's direction is what its numbers for the row and for its baseline say.
    """
    if change is None or not row.baseline or error.name not in row.paper or error.name not in row.paper_baseline:
        return NONE
    difference = row.paper[error.name] - row.paper_baseline[error.name]
    if not difference:
        return NONE
    return "unresolved" if not change.resolved else "yes" if (change.mean < 0) == (difference < 0) else "no"


def compare_claims(rows: Sequence[Row], comparisons: Comparisons, claims: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a note for each statement of the paper on some rows of the table, with what is found here."""
    notes, by_name, error = [], {row.experiment: row for row in rows}, comparisons.metric
    for claim in claims:
        if not claim["lower"]:
            notes.append(largest_gain(rows, comparisons, claim))
            continue
        lower, higher = by_name[claim["lower"]], by_name[claim["higher"]]
        change = comparisons.change(higher.experiment, lower.experiment)
        theirs = " against ".join(f"{number:.{error.digits}f}" for number in claim["paper"])
        ours = " against ".join(mean_cell(row, error) for row in (lower, higher))
        verdict = "unresolved"
        if change is not None and change.resolved:
            verdict = "the same" if change.mean < 0 else "the opposite"
        found = f", difference {change.over_repeats().replace('**', '')}" if change else ""
        notes.append(f"The paper: {claim['says']}, {error.title} {theirs}. Here: {ours}{found}: {verdict}.")
    return notes


def largest_gain(rows: Sequence[Row], comparisons: Comparisons, claim: Mapping[str, Any]) -> str:
    """Return the note on how much the error falls at most, here and in the paper."""
    gains = {}
    for row in rows:
        change = comparisons.change(row.baseline, row.experiment)
        if change and row.r_mix and not row.ours:
            gains[row.experiment] = 100 * -change.mean / change.metric.score(change.before).mean(), change.resolved
    found = "nothing to compare"
    if gains:
        name, (gain, resolved) = max(gains.items(), key=lambda item: item[1][0])
        found = f"by up to {gain:.1f} % ({name}{'' if resolved else ', unresolved'})" if gain > 0 else "no row gains"
    return f"The paper: {claim['says']} ({claim['paper'][0]:.1f} % in its table). Here: {found}."


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


def paper_change(row: Row, metric: Metric) -> str:
    """Return by how much the paper's number is above or below its baseline's: "−26.3 %"."""
    if not row.baseline or metric.name not in row.paper or metric.name not in row.paper_baseline:
        return NONE
    return f"{signed(100 * (row.paper[metric.name] / row.paper_baseline[metric.name] - 1), 1)} %"


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


def describe(rows: Sequence[Row], comparisons: Comparisons, scale: str, convention: str) -> list[str]:
    """Return the notes under a table: how its numbers are made, how to read them, what was run."""
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
            "Bold: a change that is certain; and the lowest error of the rows with one baseline, if its difference to "
            f"the runner-up is. Certain: the paired t-test's p-value is below {1 - LEVEL:.2g} after Holm's correction "
            f"for the {len(comparisons)} differences of this table, so the printed interval, which is not corrected, may "
            "exclude zero where nothing is bold."
        )
        if max(repeats) < FEWEST:
            notes[-1] += f" Here nothing is: the deviation of fewer than {FEWEST} repeats says next to nothing."
        if any(row.paper for row in rows):
            notes[-1] += " Same way: whether the error changes as in the paper; unresolved if it may not change at all."
        notes.append(resolution(rows, comparisons))
    return [*notes, *settings(rows)]


def resolution(rows: Sequence[Row], comparisons: Comparisons) -> str:
    """Return the smallest differences that the repeats could have resolved, a number or range for each baseline."""
    parts, error = [], comparisons.metric
    baselines = list(dict.fromkeys(row.baseline for row in rows if row.baseline))
    several = len(baselines) > 1
    for baseline in baselines:
        compared = [row for row in rows if row.baseline == baseline]
        changes = [comparisons.change(name, row.experiment) for row in compared for name in (baseline, row.control)]
        found = [resolvable(change.differences) for change in changes if change is not None]
        smallest = [value for value in found if value is not None]
        if not smallest:
            continue
        ends = dict.fromkeys(f"{value:.{error.digits}f}" for value in (min(smallest), max(smallest)))
        labels = next(row.labels for row in rows if row.experiment == baseline)
        name = ", ".join(labels.values()).replace(" (baseline)", "") if several else ""
        parts.append(f"{name} {' to '.join(ends)}".strip())
    if not parts:
        return "One repeat could have resolved no difference: it has no interval over repeats, and nothing is bold."
    return (
        f"Smallest true difference of {error.title} that so many repeats could have resolved (power 80 %): "
        f"{'; '.join(parts)}. That is (t(0.975) + t(0.8)) s / √n: s the deviation of the n paired differences, t Student's "
        "quantile with n − 1 degrees of freedom."
    )


def compared_with_real(compared: Mapping[str, str | Path]) -> Iterator[str]:
    """Yield the note on what annotators see in generated images, against real ones; see `write_table`."""
    found: dict[str, list[str]] = {}
    for name, file in compared.items():
        facts = json.loads(Path(file).read_text(encoding="utf-8"))
        found.setdefault("; ".join([facts["says"], *facts["doubts"]]), []).append(name)
    if found:
        parts = " ".join(f"{', '.join(names)}: {text}." for text, names in found.items())
        yield f"Real training images against those of D_fake as annotated, mean (lowest to highest) per image. {parts}"


def filtered(compared: Mapping[str, str | Path]) -> Iterator[str]:
    """Yield the notes on what filters beyond the paper's left out, and on images that are like test images."""
    left_out, like = [], []
    for name, file in compared.items():
        if found := json.loads(Path(file).read_text(encoding="utf-8")).get("filters"):
            parts = ", ".join(f"the {by} {number}" for by, number in found["left_out"].items()) or "nothing"
            left_out.append(f"{name}: of {found['images']} images {parts}.")
            if "like_test_images" in found:
                like.append(f"{name} {found['like_test_images']}")
    if left_out:
        yield f"Left out of D_fake by filters. {' '.join(left_out)}"
    if like:
        yield (
            f"Images of D_fake that are like test images: {', '.join(like)}. Which ones, leaks/ lists; by this none is chosen or "
            "left out."
        )


def saved_by_halving(halved: Mapping[str, str | Path]) -> Iterator[str]:
    """Yield the note on the updates that prompt filters saved by halving."""
    parts = []
    for name, file in halved.items():
        found = HALVING.read(file)
        made, in_full = found["updates"].sum(), found["updates_in_full"].sum()
        share = f", {100 - 100 * made / in_full:.0f} % less" if in_full else ""
        parts.append(f"{name}: {made} updates in place of {in_full}{share}")
    if parts:
        yield f"Prompts filtered by halving in place of a full training with each. {'; '.join(parts)}."


def annotators_tested(
    annotators: Sequence[tuple[str, str, str | Path]], task: str, metrics: Sequence[Metric]
) -> Iterator[str]:
    """Yield the note on how far annotators are from the truth of the real test images, if there are any.

    Args:
        annotators: see `write_table`.
    """
    parts = []
    for name, dataset, predictions in annotators:
        _, scores = read_scores(predictions, task)
        numbers = ", ".join(f"{metric.title} {scores[metric.column][0]:.{metric.digits}f}" for metric in metrics)
        parts.append(f"{name} on {dataset}: {numbers}")
    if parts:
        yield (
            "What annotates the generated images, on the real test images, by which nothing is chosen: "
            f"{'; '.join(parts)}. A network that learns from annotations learns their errors too."
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


def runs_of(rows: Iterable[Row], comparisons: Comparisons, scale: str) -> pd.DataFrame:
    """Return one row per run with everything that the cells are computed from, and whether the change is certain."""
    parts = []
    for row in rows:
        facts: dict[str, Any] = {"scale": scale, "experiment": row.experiment, **row.labels, "task": row.task}
        facts |= {"baseline": row.baseline, "control": row.control}
        facts |= {"k": row.k, "r_mix": row.r_mix, "repeated": row.repeated, "in_paper": int(not row.ours)}
        change = comparisons.change(row.baseline, row.experiment)
        facts |= {"certain": int(change is not None and change.resolved), **row.more}
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
