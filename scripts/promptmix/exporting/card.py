"""The card of an exported network: what it is, what it was trained on, how well it does, how fast, under which terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from promptmix.exporting.checking import Agreement, Latency
from promptmix.exporting.graph import OPSET, TOLERANCE
from promptmix.exporting.session import ONNX, WEIGHTS
from promptmix.files import replacing
from promptmix.report.statistics import LEVEL, bootstrap, metrics_of

OUTPUTS = {
    "counting": (
        "`density` (N, ⌈height/8⌉, ⌈width/8⌉) float32, people per cell of 8x8 pixels; `count` (N,) float32, the people in "
        "the image: its sum"
    ),
    "depth": "`depth` (N, height, width) float32, metres",
}

ERRORS = {"counting": "in people per image", "depth": "RMSE in metres, δ as the share of pixels"}

SPLITS = {"train": "train", "val": "validate", "test": "test"}
"""The splits, and what their images are for."""

VALIDATION = {"counting": "MAE {:.2f}", "depth": "RMSE {:.3f} m"}


@dataclass(frozen=True)
class Facts:
    """What a card says.

    Attributes:
        about: what the files say of themselves.
        title: of the network.
        method: how it was trained: "baseline", "control" or "PromptMix".
        convention: under which depth is scored, such as "eigen-pixels"; None for counting.
        run: the repeat that was exported, see `promptmix.exporting.export.best_run`.
        predictions: of the test images, by all repeats of the learning rate.
        images: number of the dataset's by split.
        cost: `parameters` and `gmac`, of an image of the latency's size.
        bytes: size of each file.
        terms: of what it was made from, each with `what`, `title` and `licence`.
    """

    about: Mapping[str, str]
    title: str
    method: str
    convention: str | None
    run: Mapping[str, Any]
    predictions: pd.DataFrame
    images: Mapping[str, int]
    cost: Mapping[str, float]
    agreement: Agreement
    latency: Latency
    bytes: Mapping[str, int]
    terms: Sequence[Mapping[str, str]]


def write_card(path: str | Path, facts: Facts) -> None:
    """Write a card as Markdown, with a header that the Hugging Face Hub understands."""
    about, run, latency = facts.about, facts.run, facts.latency
    task, repeats = about["task"], facts.predictions["repeat"].nunique()
    depth = task == "depth"
    free = all(term["licence"].startswith("MIT") for term in facts.terms)
    size = f"{latency.width}x{latency.height} pixels"
    what = "depth of each pixel" if depth else "number of people in an image and where they are"
    resized = f" They are resized first as the dataset's were, `{about['resize']}`: `scripts/predict.py` does so." * (
        about["resize"] != "null"
    )
    parts = [
        "\n".join(
            [
                "---",
                f"license: {'mit' if free else 'other'}",
                "library_name: onnx",
                *(["pipeline_tag: depth-estimation"] if depth else []),
                f"tags: [{'depth-estimation' if depth else 'crowd-counting'}, promptmix]",
                "---",
            ]
        ),
        f"# {facts.title}: {about['experiment']}",
        f"{facts.title} tells the {what}. It was trained on {about['dataset']} ({facts.method}), with the method of [PromptMix]"
        "(https://arxiv.org/abs/2301.12914). Of the learning rate that was chosen by validation error, "
        f"{about['learning_rate']}, this is the repeat with the lowest validation error: repeat {run['repeat']} of "
        f"{repeats} (counted from 0), epoch {run['epoch']}, {VALIDATION[task].format(run['val_error'])}.",
        "## Use",
        f"```bash\nuv run python scripts/predict.py path/to/this/folder IMAGE_OR_FOLDER_OR_VIDEO\n```\n\n`{ONNX}` (opset {OPSET}) "
        f"takes `images`, (N, height, width, 3) uint8 RGB of any number and size; normalisation and padding are inside."
        f"{resized} It gives {OUTPUTS[task]}. `{WEIGHTS}` has the same weights for PyTorch: `load_network({about['network']!r}, "
        f"'{WEIGHTS}', **{about['settings']})` of `promptmix.networks.checkpoints`.",
        _table(
            ["file", "size"],
            [[f"`{name}`", f"{number / 1e6:.2f} MB"] for name, number in facts.bytes.items()],
        ),
        "## Data",
        f"{about['dataset']}: "
        + ", ".join(f"{facts.images[split]} images to {verb}" for split, verb in SPLITS.items())
        + ". The test images chose nothing.",
        "## Errors",
        _errors(facts),
        f"On the {facts.agreement.images} test images, {ERRORS[task]}"
        f"{f' ({facts.convention})' if depth else ''}. The interval is a bootstrap's over test images ({LEVEL:.0%}), and tells "
        "nothing of images of another kind: of other places, cameras or weather.",
        "## Cost",
        _table(
            ["", ""],
            [
                ["parameters", f"{facts.cost['parameters']:,.0f}".replace(",", " ")],
                ["operations", f"{facts.cost['gmac']:.3g} GMac for an image of {size}"],
                [
                    "latency",
                    f"{1000 * latency.seconds:.3g} ms for an image of {size}, on one thread of {latency.processor} (ONNX "
                    f"Runtime, median of {latency.runs} runs)",
                ],
            ],
        ),
        f"On the test images ONNX Runtime and PyTorch differ by at most {facts.agreement.difference:.1g} of a map"
        + (f", {facts.agreement.count:.1g} of a count" if not depth else "")
        + f", as a share; up to {TOLERANCE} was allowed.",
        "## Licence",
        "The code of the network is under the MIT licence of this repository, unless it is a class of your own. A trained "
        "network depends on the terms of what it was trained with as well; this is no legal advice.",
        _table(
            ["trained with", "which", "licence"],
            [[term["what"], term["title"], term["licence"]] for term in facts.terms],
        ),
    ]
    with replacing(path) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _errors(facts: Facts) -> str:
    """Return the table of errors: of the exported repeat with its interval over images, and of all repeats."""
    rows = []
    repeats = sorted(facts.predictions["repeat"].unique())
    mine = repeats.index(facts.run["repeat"])
    for metric in metrics_of(facts.about["task"], facts.convention):
        sums = metric.sums(facts.predictions)
        scores, own = metric.score(sums), sums[:, [mine]]
        without = own * np.array([0, 1])[:, None, None]  # a metric is what it differs from 0
        low, high = bootstrap(without, own, metric)
        cells = [scores[mine], low, high, scores.mean(), scores.min(), scores.max()]
        value, low, high, mean, least, most = (f"{cell:.{metric.digits}f}" for cell in cells)
        rows.append([metric.title, value, f"{low} to {high}", f"{mean} ({least} to {most})"])
    return _table(
        ["", "this network", f"{LEVEL:.0%} interval", f"mean of {len(repeats)} repeats (least to most)"], rows
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
