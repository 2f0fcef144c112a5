"""Tables of the size and cost of networks beside their errors, such as Table III."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from promptmix.errors import InputError
from promptmix.files import write_csv
from promptmix.networks.registry import TITLES
from promptmix.records.predictions import PREDICTIONS
from promptmix.report.layout import write_html, write_markdown, write_tex
from promptmix.report.statistics import metrics_of
from promptmix.report.tables import NONE, mean_and_deviation


def write_cost_table(
    rows: Iterable[Mapping],
    markdown: str | Path,
    csv: str | Path,
    tex: str | Path,
    html: str | Path,
    scale: str,
    task: str = "counting",
    convention: str = "full-images",
    claims: Sequence[Mapping[str, Any]] = (),
) -> pd.DataFrame:
    """Write a table of the size and cost of networks beside their error on each dataset, such as Table III.

    Args:
        rows: one mapping per row of the table: `network`; `title`, what the table calls it; `method`, such as "baseline",
            "PromptMix" or "annotator"; `cost`, the JSON of `count_cost`, None where it is not known; `paper`, what is known
            of its `gmac`, `parameters` (in millions) and error; `ours`, whether the paper has no such row; `settings`, those
            of the network that was tested where it is not the one that was counted; and `tests`, its predictions.csv by
            the title of the dataset.
        markdown, csv, tex, html, scale, convention: as of `write_table`.
        task: "counting" or "depth".
        claims: what the paper says of a `small` and a `large` network: how many times less `gmac` and `parameters` the
            small one has, and by how many percent its error is lower.

    Returns:
        the table as it is printed.

    Raises:
        InputError: predictions that are not those of the task.
    """
    lines, runs, others, uncounted = [], [], {}, []
    found: dict[str, dict[str, float]] = {}
    error = metrics_of(task, convention)[0]
    rows = list(rows)
    costs = [json.loads(Path(row["cost"]).read_text()) if row["cost"] else None for row in rows]
    size = next((f"{cost['width']}x{cost['height']}" for cost in costs if cost), "")
    for row, cost in zip(rows, costs, strict=True):
        paper = row.get("paper") or {}
        line = {"Method": row["title"]}
        if size:
            line[f"GMac for {size} input"] = quantity(cost["gmac"]) if cost else NONE
            line["Params (M)"] = quantity(cost["parameters"] / 1e6) if cost else NONE
        if cost is None:
            uncounted.append(row["title"])
        elif row.get("settings", cost["settings"]) != cost["settings"]:
            others[row["title"]] = ", ".join(f"{name} {value}" for name, value in row["settings"].items())
        known = ("gmac", "parameters", error.name)
        theirs = {
            f"Paper's GMac / Params (M) / {error.title}": " / ".join(
                quantity(paper[name]) if name in paper else NONE for name in known
            )
            if paper
            else NONE
        }
        sized = found.setdefault(row["network"], {name: cost[name] for name in ("gmac", "parameters") if cost})
        facts = {"scale": scale, "network": row["network"], "method": row["method"]}
        facts |= {"in_paper": int(not row.get("ours"))}
        facts |= {name: cost[name] if cost else None for name in ("height", "width", "parameters", "gmac")}
        facts |= {"title": row["title"]} | {f"paper_{name}": value for name, value in paper.items()}
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
            sized.setdefault(row["method"], scores[error.column].mean())  # of the first dataset
            repeats = pd.DataFrame({"repeat": sorted(frame["repeat"].unique())} | scores)
            runs += [facts | run for run in repeats.to_dict("records")]
        if not row["tests"]:
            runs.append(facts)
        lines.append(line | theirs)
    table = pd.DataFrame(lines).fillna(NONE)
    last = next(iter(theirs))
    table = table[[*(name for name in table.columns if name != last), last]]
    notes = [
        *(compare_sizes(claim, found) for claim in claims),
        f"Scale: {scale}."
        + (f" Parameters and multiply-accumulate operations (ptflops) of a {size} image." if size else ""),
        f"{error.title} on the test split: mean ± standard deviation over repeats; an annotator is one network.",
    ]
    if uncounted:
        notes.append(
            f"What {', '.join(uncounted)} costs is not known: only networks are counted, not a function of one's own, a model "
            "of transformers or an average of annotators."
        )
    if others:
        texts = [f"{network} ({text})" for network, text in others.items()]
        notes.append(f"The errors are not those of the networks that are counted, but of {', '.join(texts)}.")
    of_paper = sum(not row.get("ours") for row in rows)
    write_markdown(markdown, table, notes, of_paper)
    write_tex(tex, table, notes, of_paper)
    write_html(html, table, notes, of_paper)
    write_csv(csv, runs)
    return table


def compare_sizes(claim: Mapping[str, Any], found: Mapping[str, Mapping[str, float]]) -> str:
    """Return what the paper says of a small network with PromptMix beside a large one without, and what is found here.

    Args:
        claim: see `write_cost_table`.
        found: by network `gmac`, `parameters`, and the error by method.
    """
    small, large = found[claim["small"]], found[claim["large"]]
    ratios = [large[name] / small[name] for name in ("gmac", "parameters")]
    text = (
        f"The paper: {TITLES[claim['small']]} takes {claim['gmac']:.2f} times less computation and has "
        f"{claim['parameters']:.2f} times fewer parameters than {TITLES[claim['large']]}, and with PromptMix "
        f"{claim['mae']:.2f} % less error. Here: {ratios[0]:.2f} times, {ratios[1]:.2f} times"
    )
    if "PromptMix" in small and "baseline" in large:
        less = 100 * (1 - small["PromptMix"] / large["baseline"])
        text += f", {abs(less):.2f} % {'less' if less > 0 else 'more'} error"
    return f"{text}."


def quantity(value: float) -> str:
    """Return two digits behind the point, three digits that count below 1: "26.54", "0.0246"."""
    return f"{value:.2f}" if value >= 1 else f"{value:#.3g}"
