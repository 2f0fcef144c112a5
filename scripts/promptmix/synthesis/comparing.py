"""How far what annotators see in generated images is from what is in the real ones: people, or depth.

Nothing is chosen by it. A generator or an annotator that does not suit a dataset shows here first.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from promptmix.datasets.index import Index
from promptmix.files import replacing

FACTOR = 3
"""From this factor between the means on, a comparison has a doubt."""

SAMPLE = 200
"""Real images whose depths are read."""

UNITS = {"counting": ("people", 1), "depth": ("mean depth in m", 2)}
"""By task what is compared, and digits."""


def compare(fake: pd.DataFrame, index: Index, task: str) -> dict[str, Any]:
    """Return what D_fake and the real training images hold.

    Args:
        fake: D_fake, see `promptmix.records.fakes`.
        index: the dataset that an experiment trains on.
        task: "counting" or "depth".

    Returns:
        `task`; `real` and `generated`, each with the number of `images` and, unless that is 0, the `mean`, `lowest` and
        `highest` of their counts, or of the means over the known depths of each; the same in words, `says`; and `doubts`,
        a list of sentences.
    """
    generated = fake["count" if task == "counting" else "depth"].dropna()
    found = {"task": task, "real": _summary(_real(index, task)), "generated": _summary(generated.to_numpy())}
    pixels = fake["width"] * fake["height"]
    doubts = [*_constant(generated), *(_constant(generated / pixels, "per pixel ") if pixels.nunique() > 1 else ())]
    return found | {"says": _describe(found), "doubts": doubts[:1] + _other_size(found)}


def _describe(found: Mapping[str, Any]) -> str:
    """Return a comparison in words, real against generated: "people 5.5 (0.0 to 33.0) against 8.1 (1.2 to 40.3)"."""
    unit, digits = UNITS[found["task"]]
    real, generated = (
        f"{part['mean']:.{digits}f} ({part['lowest']:.{digits}f} to {part['highest']:.{digits}f})"
        if part["images"]
        else "none"
        for part in (found["real"], found["generated"])
    )
    return f"{unit} {real} against {generated}"


def write_comparison(path: str | Path, found: Mapping[str, Any]) -> None:
    """Write a comparison as JSON; the file is either complete or absent."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _real(index: Index, task: str) -> np.ndarray:
    """Return the count of each training image, or the mean of the known depths of some that are spread evenly."""
    rows = index.split("train")
    if task == "counting":
        return index.frame["count"].to_numpy(np.float64)[rows]
    some = rows[np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows)), dtype=int))]
    depths = (index.depth(int(i)) for i in some)
    return np.array([known.mean(dtype=np.float64) for depth in depths if len(known := depth[depth > 0])])


def _summary(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {"images": 0}
    numbers = {"mean": values.mean(), "lowest": values.min(), "highest": values.max()}
    return {"images": len(values)} | {name: float(number) for name, number in numbers.items()}


def _constant(values: pd.Series, of: str = "") -> list[str]:
    """Return a doubt if the values of all images are the same."""
    if len(values) < 2 or np.ptp(values.to_numpy()) > 1e-3 * abs(values.mean()):
        return []
    return [
        f"all {len(values)} generated images have the same annotation, {of}{values.mean():.4g}: does the annotator work?"
    ]


def _other_size(found: Mapping[str, Any]) -> list[str]:
    """Return a doubt if the means are a factor apart."""
    if not (found["real"]["images"] and found["generated"]["images"]):
        return []
    real, generated = found["real"]["mean"], max(found["generated"]["mean"], 0.0)
    if min(real, generated) * FACTOR >= max(real, generated):
        return []
    more = "more" if generated > real else "less"
    what = "people" if found["task"] == "counting" else "depth"
    return [
        f"generated images have {more} {what} than real ones by more than a factor of {FACTOR}: check the prompts and the "
        "images, and what the annotator sees in them"
    ]
