"""Trainings with the images of one prompt that stop at rungs, for `promptmix.synthesis.halving`."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from promptmix.datasets.index import Index
from promptmix.records.histories import HISTORY
from promptmix.training.images import CACHE_BYTES
from promptmix.training.loop import train
from promptmix.training.settings import TrainingSettings


def train_rung(
    runs: Mapping[str, Sequence[TrainingSettings]],
    until: int,
    left: Sequence[str],
    index: Index,
    fake: pd.DataFrame,
    out: str | Path,
    device: torch.device | str,
    weights: dict[str, Tensor] | None = None,
    code: str = "",
    experiment: str = "",
    is_last: bool = False,
    cache_bytes: int = CACHE_BYTES,
) -> None:
    """Train with one prompt's images up to a rung, and write the histories of all runs in one file.

    The trainings go on where those of the rung before have stopped: their states are in `lr-{lr}/repeat-{repeat}` beside `out`.
    Without them they begin anew, and end with the same numbers.

    Args:
        runs: the settings of each repeat, by learning rate as the config spells it.
        until: the epoch to stop after.
        left: the learning rates that are left. Without any, the prompt is decided, and the file has no rows.
        index, fake, device, weights, code, cache_bytes: as for `promptmix.training.loop.train`.
        out: the file of histories.
        experiment: the name of the training on this prompt, for the histories.
        is_last: whether no rung follows; states are removed then, as are at any rung those of learning rates that are out.
    """
    out = Path(out)
    for rate in runs:
        if rate not in left:
            shutil.rmtree(out.parent / f"lr-{rate}", ignore_errors=True)
    found = []
    for rate in left:
        for repeat, settings in enumerate(runs[rate]):
            folder = out.parent / f"lr-{rate}" / f"repeat-{repeat}"
            keys = {"experiment": experiment, "learning_rate": rate, "repeat": repeat}
            train(settings, index, fake, folder, device, weights, code, keys=keys, until=until, cache_bytes=cache_bytes)
            found.append(HISTORY.read(folder / "history.csv"))
    HISTORY.write(out, pd.concat(found) if found else pd.DataFrame(columns=list(HISTORY.columns)))
    if is_last:
        for rate in left:
            shutil.rmtree(out.parent / f"lr-{rate}")
