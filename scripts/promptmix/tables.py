"""Tables I to VII: ours beside the paper's, as Markdown, LaTeX and CSV.

A table is made of `Result`s, one per experiment. A cell is the mean over the repeats of an experiment, the standard
deviation between them, and their number; a change is the mean of the paired differences, repeat by repeat, as a
baseline and its PromptMix twin share the seed of their first weights and of the order of the real images. The CSV holds
one row per run, with everything the cells are computed from.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from promptmix.errors import InputError
from promptmix.evaluation import metrics
from promptmix.files import replacing, write_csv

NONE = "—"
BASELINE, PROMPTMIX = "baseline", "PromptMix"


@dataclass(frozen=True)
class Result:
    """An experiment as a table sees it.

    Args:
        experiment, dataset, network: their names.
        method: "baseline" or "PromptMix".
        learning_rate: the chosen one, as the config spells it.
        runs: one row per repeat: `repeat`, `mae`, `rmse`, `val_mae`, `images` (number tested).
        k, r_mix: generated images per prompt and per epoch; None or 0 for a baseline.
        paper_mae: the paper's, if it is known.
    """

    experiment: str
    dataset: str
    network: str
    method: str
    learning_rate: str
    runs: pd.DataFrame
    k: int | None = None
    r_mix: int = 0
    paper_mae: float | None = None

    @classmethod
    def read(cls, predictions: str | Path, selection: str | Path, **names) -> "Result":
        """Return the result of an experiment from its `predictions.csv` and its `selection.json`.

        Args:
            names: `experiment`, `dataset`, `network`, `method`, and `k`, `r_mix`, `paper_mae` where there are any.

        Raises:
            InputError: predictions without the columns `repeat` and `error`, or without rows.
        """
        frame = pd.read_csv(predictions)
        if not {"repeat", "error"} <= set(frame.columns) or frame.empty:
            raise InputError(f"{predictions}: expected one row per repeat and image, with the columns repeat and error")
        choice = json.loads(Path(selection).read_text())
        runs = metrics(frame)
        runs["images"] = frame.groupby("repeat").size()
        validation = [run["val_mae"] for run in choice["candidates"][choice["learning_rate"]]["repeats"]]
        if len(validation) != len(runs):
            raise InputError(
                f"{predictions} has {len(runs)} repeats and {selection} has {len(validation)}; expected as many"
            )
        runs["val_mae"] = validation
        return cls(learning_rate=choice["learning_rate"], runs=runs.reset_index(), **names)


def table1(
    experiments: Iterable[Mapping], markdown: str | Path, csv: str | Path, tex: str | Path, scale: str
) -> pd.DataFrame:
    """Write Table I: MAE and RMSE of each network on each dataset, without and with PromptMix.

    Args:
        experiments: one mapping per experiment, in the order of the table: what `Result.read` takes.
        markdown, csv, tex: the files to write.
        scale: the name of the scale, said under the table.

    Returns:
        the table as it is printed.

    Raises:
        InputError: two baselines of one dataset and network, or an unknown method.
    """
    results = [Result.read(**experiment) for experiment in experiments]
    baselines = baselines_of(results)
    rows = []
    for result in results:
        rows.append(
            {
                "Dataset": result.dataset,
                "Network": result.network,
                "Method": result.method,
                "MAE": mean_cell(result.runs["mae"]),
                "RMSE": mean_cell(result.runs["rmse"]),
                "MAE in the paper": NONE if result.paper_mae is None else f"{result.paper_mae:.2f}",
            }
        )
        baseline = baselines.get((result.dataset, result.network))
        if result is baseline or baseline is None:
            continue
        rows.append(
            {
                "Dataset": result.dataset,
                "Network": result.network,
                "Method": "change",
                "MAE": change_cell(baseline, result, "mae"),
                "RMSE": change_cell(baseline, result, "rmse"),
                "MAE in the paper": paper_change(baseline.paper_mae, result.paper_mae),
            }
        )
    table = pd.DataFrame(rows)
    notes = [
        f"Scale: {scale}. Test split; the count of an image is the number of its points. "
        "RMSE is the root of the mean squared error (in crowd counting papers often called MSE).",
        "Mean ± standard deviation over repeats (number of repeats); change is the mean difference between runs of the "
        "same seed.",
        *(describe(result) for result in results),
    ]
    write_markdown(markdown, table, notes)
    write_tex(tex, table, notes)
    write_csv(csv, runs_of(results, scale))
    return table


def baselines_of(results: Sequence[Result]) -> dict[tuple[str, str], Result]:
    """Return the baseline of each dataset and network.

    Raises:
        InputError: there are two of one, or a method is neither "baseline" nor "PromptMix".
    """
    baselines: dict[tuple[str, str], Result] = {}
    for result in results:
        if result.method not in (BASELINE, PROMPTMIX):
            raise InputError(
                f"{result.experiment}: method is {result.method!r}; expected {BASELINE!r} or {PROMPTMIX!r}"
            )
        if result.method == BASELINE:
            first = baselines.setdefault((result.dataset, result.network), result)
            if first is not result:
                raise InputError(
                    f"{first.experiment} and {result.experiment} are both baselines of {result.network} on "
                    f"{result.dataset}; a table compares with one"
                )
    return baselines


def mean_cell(values: pd.Series) -> str:
    """Return mean, standard deviation (n - 1) and number of values: "10.90 ± 1.20 (3)"; one value has no deviation."""
    deviation = f"{values.std(ddof=1):.2f}" if len(values) > 1 else NONE
    return f"{values.mean():.2f} ± {deviation} ({len(values)})"


def change_cell(baseline: Result, result: Result, metric: str) -> str:
    """Return the mean paired difference to the baseline: "−1.20 ± 0.80, −11.0 % (3)".

    That is with its deviation, as a share of the baseline, and the number of pairs. Repeats that only one of the two
    has are left out.
    """
    pairs = baseline.runs.merge(result.runs, on="repeat", suffixes=("_baseline", ""))
    if pairs.empty:
        return NONE
    before, difference = pairs[f"{metric}_baseline"], pairs[metric] - pairs[f"{metric}_baseline"]
    deviation = f"{difference.std(ddof=1):.2f}" if len(pairs) > 1 else NONE
    return f"{signed(difference.mean(), 2)} ± {deviation}, {percent(before.mean(), difference.mean())} ({len(pairs)})"


def paper_change(baseline: float | None, value: float | None) -> str:
    """Return the paper's change in percent, if both of its numbers are known."""
    return NONE if baseline is None or value is None else percent(baseline, value - baseline)


def percent(before: float, difference: float) -> str:
    """Return a difference as a share of what it changes: "−11.0 %"."""
    return f"{signed(100 * difference / before, 1)} %" if before else NONE


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, a real minus; zero has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def describe(result: Result) -> str:
    """Return what was run: "rescsrnet on shtb, PromptMix: k 1000, r_mix 500, learning rate 1e-4, 3 repeats."."""
    mixing = f"k {result.k}, r_mix {result.r_mix}, " if result.method == PROMPTMIX else ""
    repeats = "1 repeat" if len(result.runs) == 1 else f"{len(result.runs)} repeats"
    name = f"{result.network} on {result.dataset}, {result.method}"
    return f"{name}: {mixing}learning rate {result.learning_rate}, {repeats}."


def runs_of(results: Iterable[Result], scale: str) -> pd.DataFrame:
    """Return one row per run with everything that the cells are computed from."""
    parts = []
    for result in results:
        names = {"scale": scale, "experiment": result.experiment, "dataset": result.dataset}
        names |= {"network": result.network, "method": result.method, "k": result.k, "r_mix": result.r_mix}
        part = pd.DataFrame([names | {"learning_rate": result.learning_rate}] * len(result.runs))
        part[["repeat", "images", "mae", "rmse", "val_mae"]] = result.runs[
            ["repeat", "images", "mae", "rmse", "val_mae"]
        ].to_numpy()
        part = part.astype({"repeat": int, "images": int, "k": "Int64", "r_mix": int})
        parts.append(part.assign(paper_mae=result.paper_mae).astype({"paper_mae": float}))
    return pd.concat(parts, ignore_index=True)


def write_markdown(path: str | Path, table: pd.DataFrame, notes: Sequence[str]) -> None:
    """Write a table of text with notes below."""
    body = table.to_markdown(index=False, disable_numparse=True)
    with replacing(path) as temporary:
        temporary.write_text("\n\n".join([body, notes[0] if notes else "", *notes[1:]]).rstrip() + "\n")


def write_tex(path: str | Path, table: pd.DataFrame, notes: Sequence[str]) -> None:
    """Write a table of text as a `tabular` for the package booktabs, with notes below."""
    lines = [f"\\begin{{tabular}}{{{'l' * len(table.columns)}}}", "\\toprule", _tex_row(table.columns), "\\midrule"]
    lines += [_tex_row(row) for row in table.itertuples(index=False)]
    lines += ["\\bottomrule", "\\end{tabular}", "", *(f"\\par\\noindent {{\\footnotesize {_tex(n)}}}" for n in notes)]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n")


def _tex_row(cells: Iterable) -> str:
    return " & ".join(_tex(str(cell)) for cell in cells) + r" \\"


def _tex(text: str) -> str:
    """Return text with LaTeX's special characters escaped and the signs used here in math mode."""
    special = {"\\": r"\textbackslash{}", "±": r"$\pm$", "−": "$-$", "—": "---", "~": r"\textasciitilde{}"}
    special |= {"^": r"\textasciicircum{}", **{c: "\\" + c for c in "&%$#_{}"}}
    return "".join(special.get(character, character) for character in text)
