"""Choose the learning rate by the validation error. Nothing here reads a dataset, let alone its test split."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.errors import InputError
from promptmix.files import replacing
from promptmix.records.histories import HISTORY
from promptmix.records.runs import RUN_KEYS


def select_learning_rate(histories: Sequence[str | Path], path: str | Path | None = None) -> dict:
    """Choose the learning rate with the lowest validation error, averaged over repeats.

    Args:
        histories: `history.csv` of each run of one experiment: of each learning rate each repeat. Nothing else is read,
            and none of these files knows the test split.
        path: where to write the choice as JSON.

    Returns:
        `experiment`; `learning_rate`, the chosen one as it is spelled in the config; `val_error`, its error (MAE of the
        counts, or RMSE in metres for depth); `r_mix`, how many generated images its runs have seen in each epoch, which
        is less than the config's where a prompt filter left fewer; and `candidates`, for each learning rate, in the order
        of `histories`, the best `val_error` of each `repeat` with its `epoch`, and their `mean` (null for a run that
        diverged). The first of equals is chosen.

    Raises:
        InputError: no history, histories of different experiments, two of the same run, learning rates with different
            repeats, or no learning rate with a finite error in all repeats.
    """
    experiment, rates = _by_rate(histories)
    candidates = {}
    for rate, repeats in rates.items():
        runs = [{"repeat": repeat} | _best_epoch(repeats[repeat]) for repeat in sorted(repeats)]
        candidates[rate] = {"mean": float(np.mean([run["val_error"] for run in runs])), "repeats": runs}
    finite = {rate: c["mean"] for rate, c in candidates.items() if math.isfinite(c["mean"])}
    if not finite:
        raise InputError(
            f"{experiment}: training diverged with each of the learning rates {', '.join(candidates)}; try lower ones"
        )
    chosen = min(finite, key=finite.get)
    r_mix = max(int(history["generated"].max()) for history in rates[chosen].values())
    choice = {"experiment": experiment, "learning_rate": chosen, "val_error": finite[chosen], "r_mix": r_mix}
    choice["candidates"] = candidates
    choice = json.loads(json.dumps(choice), parse_constant=lambda _: None)  # JSON has no infinity
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(choice, indent=2) + "\n")
    return choice


def _by_rate(files: Sequence[str | Path]) -> tuple[str, dict[str, dict[int, pd.DataFrame]]]:
    """Return the experiment and its histories by learning rate and repeat, after checking that they belong together."""
    if not files:
        raise InputError("no histories to choose a learning rate by; expected one file for each run of an experiment")
    rates: dict[str, dict[int, pd.DataFrame]] = {}
    experiments = {}
    for file in files:
        history = HISTORY.read(file)
        if len(keys := history[[*RUN_KEYS]].drop_duplicates()) != 1:
            raise InputError(
                f"{file}: the history of {len(keys)} runs; expected that of one. Delete it and train again"
            )
        experiment, rate, repeat = keys.iloc[0]
        experiments[experiment] = file
        if len(experiments) > 1:
            named = ", ".join(f"{name} ({file})" for name, file in experiments.items())
            raise InputError(f"expected the histories of one experiment, and found those of {named}")
        repeats = rates.setdefault(rate, {})
        if repeat in repeats:
            raise InputError(f"{file}: a second history of learning rate {rate}, repeat {repeat}; expected one of each")
        repeats[int(repeat)] = history
    if len({frozenset(repeats) for repeats in rates.values()}) != 1:
        named = "; ".join(f"{rate}: {', '.join(map(str, sorted(repeats)))}" for rate, repeats in rates.items())
        raise InputError(f"{experiment}: expected the same repeats of each learning rate, and found {named}")
    return experiment, rates


def _best_epoch(history: pd.DataFrame) -> dict[str, float]:
    errors = history["val_error"]
    errors = errors[np.isfinite(errors)]
    if errors.empty:
        return {"val_error": math.inf, "epoch": 0}
    return {"val_error": float(errors.min()), "epoch": int(history["epoch"][errors.idxmin()])}
