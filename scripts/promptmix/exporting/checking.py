"""An exported network against PyTorch on the test images, and how fast it is on one thread."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from promptmix.datasets.split import Split
from promptmix.errors import InputError
from promptmix.exporting.graph import ADVICE, TOLERANCE, largest_difference, predict
from promptmix.exporting.session import Exported
from promptmix.out_of_memory import SMALLER, explain_lack_of_memory
from promptmix.running.progress import progress

log = logging.getLogger(__name__)

TIMED, SECONDS = 30, 60.0
"""The most runs that are timed, and the seconds after which no further one begins."""


@dataclass(frozen=True)
class Agreement:
    """What was found of an exported network on the test images.

    Attributes:
        images: how many were compared.
        difference: the largest of a map from PyTorch's, as a share, see `graph.largest_difference`.
        count: the largest of a count from PyTorch's, as a share; 0 for depth.
    """

    images: int
    difference: float
    count: float


def compare_on(images: Split, network: nn.Module, exported: Exported) -> Agreement:
    """Compare an exported network with PyTorch on each image of a split, both on the CPU.

    Raises:
        InputError: for one of them, map or count differ by more than `TOLERANCE`.
    """
    maps, counts = 0.0, 0.0
    for i in progress(range(len(images)), len(images), "images compared"):
        image = images.image(i)[None]
        with explain_lack_of_memory("a single image", SMALLER):
            expected = predict(network, image)
        difference = largest_difference(exported.predict(image), expected)
        count = 0.0
        if exported.task == "counting":
            total = float(expected.sum(dtype=np.float64))
            count = abs(float(exported.predict_counts(image)[0]) - total) / max(abs(total), 1)
        if not max(difference, count) <= TOLERANCE:
            raise InputError(
                f"{type(network).__name__} cannot be written as ONNX: of the test image {images.frame['image'].iloc[i]}, the "
                f"result differs from PyTorch's by {max(difference, count):.2g}, as a share; at most {TOLERANCE} is "
                f"expected. {ADVICE}"
            )
        maps, counts = max(maps, difference), max(counts, count)
    log.info("ONNX and PyTorch agree on %d images, to %.2g as a share", len(images), max(maps, counts))
    return Agreement(len(images), maps, counts)


@dataclass(frozen=True)
class Latency:
    """How long an exported network takes for an image on one thread of a CPU.

    Attributes:
        seconds: median of the runs.
        runs: how many were timed, after one that was not.
        height, width: of the image in pixels, the most frequent size of the test images.
        processor: name of the CPU.
    """

    seconds: float
    runs: int
    height: int
    width: int
    processor: str


def time_on(images: Split, exported: Exported) -> Latency:
    """Return how long the exported network, opened with one thread, takes for a test image of the most frequent size."""
    size = max(dict.fromkeys(images.sizes), key=images.sizes.count)
    image = images.image(images.sizes.index(size))[None]
    exported.predict(image)
    taken: list[float] = []
    while not taken or (len(taken) < TIMED and sum(taken) < SECONDS):
        begun = time.perf_counter()
        exported.predict(image)
        taken.append(time.perf_counter() - begun)
    return Latency(float(np.median(taken)), len(taken), *size, _processor())


def _processor() -> str:
    """Return the name of the CPU, as Linux knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "an unknown CPU")
