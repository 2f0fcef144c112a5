"""A prompt filter for a part of the cost: successive halving over prompts and learning rates.

The paper's filter (section III, sixth stage) trains with each prompt's images to the end, with each learning rate. Here the
trainings stop at rungs, after a 32nd of their epochs, a 16th and so on. At each, the half of the prompts whose validation errors
are the furthest from the baseline's in as many epochs, above or below it, is decided; of the learning rates of the others the
better half goes on. What is left at the last rung, after half of the epochs, is decided there.

The scheme is that of Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization" (2016),
but for this: they look for the best candidate and drop the worst half, while here the question is which are better than the
baseline, and so the clearest half is taken out.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.errors import InputError, command
from promptmix.records.filters import FILTER
from promptmix.records.halving import HALVING, VERDICTS
from promptmix.records.histories import HISTORY
from promptmix.synthesis.filtering import check_prompts

log = logging.getLogger(__name__)


def find_left(decided: str | Path | None, pool: str, number: int, rates: Sequence[str]) -> list[str]:
    """Return the learning rates with which a prompt is trained on; none if it is decided.

    Args:
        decided: what the rung before has found; None before the first.
        pool, number: the prompt's.
        rates: those of the config, all of which are left before the first rung.
    """
    if decided is None:
        return list(rates)
    found = HALVING.read(decided)
    row = found[(found["pool"] == pool) & (found["prompt_number"] == number)]
    if len(row) != 1:
        raise InputError(
            f"{decided}: {len(row)} rows of prompt {number} (from 0) of pool {pool}; expected one. Delete the file and run "
            f"`{command(decided)}`"
        )
    return [] if row["verdict"].iloc[0] else row["learning_rates"].iloc[0].split()


def halve_prompts(
    prompts: pd.DataFrame,
    before: pd.DataFrame | None,
    baseline: Sequence[str | Path],
    histories: Mapping[tuple[str, int], str | Path],
    until: int,
    epochs: int,
    is_last: bool = False,
) -> pd.DataFrame:
    """Decide about half of the prompts that are left, those whose errors are the furthest from the baseline's.

    Args:
        prompts: `pool`, `prompt_number` (from 0) and `prompt` of each.
        before: what was found at the rung before; None at the first.
        baseline: the histories of all runs without generated images.
        histories: for each prompt, by pool and number, the file of the histories of its runs up to this rung.
        until: the epochs of a training up to this rung.
        epochs: those of a full training.
        is_last: whether all that are left are decided.

    Returns:
        the columns of `promptmix.records.halving.HALVING`, in the order of `prompts`. An odd number is halved in favour of those
        that go on, of prompts as of learning rates. Those with which all repeats have diverged are out.

    Raises:
        InputError: a prompt without histories or the reverse, or the baseline's trainings diverged.
    """
    check_prompts(prompts, histories)
    limit = _errors_by_rate(pd.concat([HISTORY.read(file) for file in baseline]), until).min()
    if not math.isfinite(limit):
        raise InputError(
            f"all trainings without generated images diverged within {until} epochs. Lower their `learning_rates`"
        )
    rows = {} if before is None else {(row["pool"], row["prompt_number"]): row for row in before.to_dict("records")}
    left = []
    for prompt in prompts.to_dict("records"):
        key = prompt["pool"], prompt["prompt_number"]
        row = rows.setdefault(key, prompt | {"verdict": "", "updates": 0, "updates_in_full": 0})
        if row["verdict"]:
            continue
        left.append(row)
        history = HISTORY.read(histories[key])
        errors = _errors_by_rate(history, until).sort_values(kind="stable")
        errors = errors[np.isfinite(errors)]
        rates = sorted(errors.index[: math.ceil(len(errors) / 2)], key=list(history["learning_rate"].unique()).index)
        row |= {"epochs": until, "learning_rates": " ".join(rates), "baseline": limit}
        row |= {"val_error": errors.min() if len(errors) else math.nan}
        is_new = history["epoch"] > _last_epoch(before, key)
        row["updates"] += int(history["updates"][is_new].sum())
        if before is None:
            row["updates_in_full"] = _updates_in_full(history, epochs)
    far = sorted(left, key=lambda row: -abs(np.nan_to_num(row["val_error"], nan=np.inf) - limit))
    for place, row in enumerate(far):
        if is_last or place < len(far) // 2 or not row["learning_rates"]:
            row["verdict"] = VERDICTS[row["val_error"] <= limit]
    log.info(
        "After %d epochs: %s are kept, %s dropped, %d of %d go on",
        until,
        *(sum(row["verdict"] == verdict for row in rows.values()) for verdict in VERDICTS.values()),
        sum(not row["verdict"] for row in rows.values()),
        len(rows),
    )
    return pd.DataFrame([rows[key] for key in zip(prompts["pool"], prompts["prompt_number"])])[[*HALVING.columns]]


def conclude(halved: str | Path) -> pd.DataFrame:
    """Return what the last rung has found as the columns of `promptmix.records.filters.FILTER`."""
    found = HALVING.read(halved)
    kept = found["verdict"] == VERDICTS[True]
    if not kept.any():
        log.warning("every prompt is dropped: what is trained with them is trained on the real images alone")
    return found.assign(kept=kept.astype(int))[[*FILTER.columns]]


def _errors_by_rate(history: pd.DataFrame, until: int) -> pd.Series:
    """Return the lowest validation error up to an epoch, averaged over repeats, by learning rate in their order."""
    seen = history[history["epoch"] <= until]
    errors = seen["val_error"].where(np.isfinite(seen["val_error"]))
    best = errors.groupby([seen["learning_rate"], seen["repeat"]], sort=False).min().fillna(math.inf)
    return best.groupby("learning_rate", sort=False).mean()


def _last_epoch(before: pd.DataFrame | None, key: tuple[str, int]) -> int:
    if before is None:
        return 0
    pool, number = key
    return int(before["epochs"][(before["pool"] == pool) & (before["prompt_number"] == number)].iloc[0])


def _updates_in_full(history: pd.DataFrame, epochs: int) -> int:
    """Return the updates of full trainings, as these have begun; of one that has diverged those that it has made."""
    made = history.groupby(["learning_rate", "repeat"]).agg(
        updates=("updates", "sum"), epochs=("epoch", "max"), loss=("loss", "last")
    )
    return int((made["updates"] * np.where(np.isfinite(made["loss"]), epochs / made["epochs"], 1)).sum())
