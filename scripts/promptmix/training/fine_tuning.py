"""Train an annotator further on a dataset (paper, section IV: SASNet on PANDA-Crowd)."""

import os
from pathlib import Path

from promptmix.datasets.index import Index
from promptmix.networks.checkpoints import load_network
from promptmix.training.loop import train
from promptmix.training.settings import TrainingSettings


def fine_tune(
    index: Index, weights: str | Path, settings: TrainingSettings, out: Path, device: str, code: str = ""
) -> None:
    """Train a heavyweight network further on a dataset's training split (paper, section IV: SASNet on PANDA-Crowd).

    The state of an unfinished training is in the folder named like `out` without its ending; the history stays there.

    Args:
        index: the dataset.
        weights: file of the weights to start from.
        settings: network, learning rate, epochs and so on.
        out: file for the weights of the epoch with the lowest validation error.
        device, code: as for `train`.
    """
    network = load_network(settings.network, weights, **settings.network_settings)
    start = network.state_dict()
    checkpoint = train(settings, index, None, out.with_suffix(""), device, weights=start, code=code)
    os.replace(checkpoint, out)
