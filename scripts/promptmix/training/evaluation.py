"""Predict the images of a split, as rows from which every metric follows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from promptmix.datasets.index import Index
from promptmix.datasets.split import Split
from promptmix.errors import InputError, command
from promptmix.networks.checkpoints import read_metadata
from promptmix.tasks.registry import load_task


def predict(network: nn.Module, index: Index, split: str, device: torch.device | str) -> pd.DataFrame:
    """Return a row per image of a split, with what its task's metrics are computed from.

    Counts: `image`, `count`, `predicted`, `error`. Depth: `image` and the sums of
    `promptmix.tasks.depth_metrics.image_sums`.

    Raises:
        InputError: the split has no images.
    """
    return load_task(network.task).predict(network, Split(index, split), device)


def predict_runs(
    checkpoints: Sequence[str | Path],
    choice: Mapping[str, Any],
    load: Callable[[str | Path], nn.Module],
    index: Index,
    device: torch.device | str,
) -> pd.DataFrame:
    """Return what an experiment's networks of the chosen learning rate predict for the test split, repeat by repeat.

    Args:
        checkpoints: of all runs of the experiment, in any order.
        choice: what `promptmix.training.selection.select_learning_rate` returned.
        load: returns the network, on the device, of a checkpoint.

    Returns:
        the columns of `promptmix.records.predictions.PREDICTIONS` and those of the task, see `predict`.

    Raises:
        InputError: a run without a checkpoint, or the split has no images.
    """
    experiment, rate = choice["experiment"], choice["learning_rate"]
    parts = []
    for run in choice["candidates"][rate]["repeats"]:
        network = load(checkpoint_of(checkpoints, rate, run["repeat"]))
        parts.append(with_keys(predict(network, index, "test", device), experiment, rate, run["repeat"]))
    return pd.concat(parts, ignore_index=True)


def with_keys(predictions: pd.DataFrame, experiment: str, learning_rate: str = "", repeat: int = 0) -> pd.DataFrame:
    """Return predictions with the columns in front that say by which network they are (`promptmix.records.runs.RUN_KEYS`).

    Args:
        experiment: its name; of an annotator's predictions, the annotator's.
        learning_rate: as it is spelled in the config; empty for an annotator.
        repeat: from 0.
    """
    keys = pd.DataFrame({"experiment": experiment, "learning_rate": learning_rate, "repeat": repeat}, predictions.index)
    return pd.concat([keys, predictions], axis=1)


def checkpoint_of(checkpoints: Sequence[str | Path], learning_rate: str, repeat: int = 0) -> str | Path:
    """Return the checkpoint of a run, by what the checkpoints' metadata say.

    Args:
        checkpoints: of all runs of one experiment, in any order.
        learning_rate: as it is spelled in the config.

    Raises:
        InputError: none of the checkpoints is of this run, or more than one.
    """
    wanted = {"learning_rate": learning_rate, "repeat": str(repeat)}
    found = [checkpoint for checkpoint in checkpoints if wanted.items() <= read_metadata(checkpoint).items()]
    if len(found) != 1:
        raise InputError(
            f"of the checkpoints {', '.join(map(str, checkpoints))}, {len(found)} say in their metadata that they are of "
            f"learning rate {learning_rate}, repeat {repeat}; expected one. Delete them and run "
            f"`{command(*checkpoints)}`"
        )
    return found[0]
