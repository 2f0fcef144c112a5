"""Choose the learning rate by the validation error. Nothing here reads a dataset, let alone its test split."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.errors import InputError
from promptmix.files import replacing


def select_learning_rate(histories: Mapping[str, Sequence[str | Path]], path: str | Path | None = None) -> dict:
    """Choose the learning rate with the lowest validation error, averaged over repeats.

    Args:
        histories: for each learning rate, as it is spelled in the config, `history.csv` of each repeat. Nothing else is
            read, and none of these files knows the test split.
        path: where to write the choice as JSON.

    Returns:
        `learning_rate`, the chosen one as it was spelled; `val_error`, its error (MAE of the counts, or RMSE in metres
        for depth); and `candidates`, for each learning rate the best `val_error` of each repeat with its `epoch`, and
        their `mean` (null for a run that diverged). The first of equals is chosen.

    Raises:
        InputError: no history, or no learning rate with a finite error in all repeats.
    """
    candidates = {}
    for rate, files in histories.items():
        if not files:
            raise InputError(f"no history of learning rate {rate}; expected one `history.csv` per repeat")
        runs = [_best_epoch(file) for file in files]
        mean = float(np.mean([run["val_error"] for run in runs]))
        candidates[rate] = {"mean": mean, "repeats": runs}
    finite = {rate: c["mean"] for rate, c in candidates.items() if math.isfinite(c["mean"])}
    if not finite:
        raise InputError(f"training diverged with each of the learning rates {', '.join(candidates)}; try lower ones")
    chosen = min(finite, key=finite.get)
    choice = {"learning_rate": chosen, "val_error": finite[chosen], "candidates": candidates}
    choice = json.loads(json.dumps(choice), parse_constant=lambda _: None)  # JSON knows no infinity
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(choice, indent=2) + "\n")
    return choice


def _best_epoch(file: str | Path) -> dict:
    history = pd.read_csv(file)
    errors = history["val_error"].astype(float)
    errors = errors[np.isfinite(errors)]
    if errors.empty:
        return {"val_error": math.inf, "epoch": 0}
    return {"val_error": float(errors.min()), "epoch": int(history["epoch"][errors.idxmin()])}
