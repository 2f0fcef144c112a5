"""An experiment's network in a folder for others: ONNX, weights, and a card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from promptmix.datasets.index import Index
from promptmix.datasets.split import Split
from promptmix.exporting.card import Facts, write_card
from promptmix.exporting.checking import compare_on, time_on
from promptmix.exporting.graph import write_onnx
from promptmix.exporting.session import CARD, ONNX, WEIGHTS, Exported
from promptmix.files import replacing_folder
from promptmix.networks.checkpoints import load_network, save_weights
from promptmix.networks.cost import count_operations
from promptmix.tasks.batching import padded_size
from promptmix.training.evaluation import checkpoint_of


def best_run(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run of the chosen learning rate with the lowest validation error: `repeat`, `val_error` and `epoch`.

    Args:
        choice: what `promptmix.training.selection.select_learning_rate` returned. The test split has no say.
    """
    runs = choice["candidates"][choice["learning_rate"]]["repeats"]
    return min(runs, key=lambda run: run["val_error"])


def export(
    folder: str | Path,
    choice: Mapping[str, Any],
    checkpoints: Sequence[str | Path],
    predictions: pd.DataFrame,
    index: Index,
    reference: str,
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
    terms: Sequence[Mapping[str, str]],
    threads: int = 1,
) -> None:
    """Write an experiment's network of the chosen learning rate, the repeat with the lowest validation error.

    Args:
        folder: what is made; it appears when it is complete.
        choice: the experiment's selection.
        checkpoints: of all its runs.
        predictions: its `predictions.csv`.
        index: the dataset, whose test images are compared and timed.
        reference, settings: of the network, as `promptmix.networks.build` takes them.
        facts: `title` of the network, `dataset` (its title), `method`, `convention` of depth, and `resize` of the images.
        terms: of what it was trained with, see `promptmix.config.materials.terms_of_training`.
        threads: of the comparison.

    Raises:
        InputError: ONNX cannot express the network, or a file is wrong.
    """
    run = best_run(choice)
    network = load_network(reference, checkpoint_of(checkpoints, choice["learning_rate"], run["repeat"]), **settings)
    about = {
        "task": network.task,
        "stride": str(network.stride),
        "resize": json.dumps(facts["resize"]),
        "experiment": choice["experiment"],
        "learning_rate": choice["learning_rate"],
        "repeat": str(run["repeat"]),
        "network": reference,
        "settings": json.dumps(settings),
        "dataset": facts["dataset"],
    }
    with replacing_folder(folder) as part:
        write_onnx(network, part / ONNX, about)
        test = Split(index, "test")
        agreement = compare_on(test, network, Exported.open(part, threads))
        latency = time_on(test, Exported.open(part, 1))
        save_weights(part / WEIGHTS, network, about)
        size = padded_size(network, latency.height, latency.width)
        found = Facts(
            about=about,
            title=facts["title"],
            method=facts["method"],
            convention=facts["convention"],
            run=run,
            predictions=predictions,
            images={split: len(index.split(split)) for split in ("train", "val", "test")},
            cost=count_operations(network, *size),
            agreement=agreement,
            latency=latency,
            bytes={name: (part / name).stat().st_size for name in (ONNX, WEIGHTS)},
            terms=terms,
        )
        write_card(part / CARD, found)
