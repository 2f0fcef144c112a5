"""What a job asks a scheduler for, memory and time, by its network and by the number and size of its images.

The facts of networks here are counted by `promptmix.preflight.memory` and `promptmix.networks.cost`, which a test holds them to:
these need torch, and Snakemake asks in each of its processes. Sizes are as far as the config tells them, as in
`promptmix.preflight.sizes`, whose imports take half a second. What the process itself takes, and the speed of a GPU, are assumptions
on the safe side; `benchmarks/README.md` has what jobs took. Where jobs compute on a CPU, the tensors are in the computer's memory.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from promptmix.config.experiments import Experiment, split_of
from promptmix.config.plan import EDITED, Plan


@dataclass(frozen=True)
class Facts:
    """A network at its published width.

    Attributes:
        parameters: millions.
        predicting: bytes of tensors per pixel of a batch, beside the weights, in float32.
        updating: the same of an update.
        operations: multiply-accumulates per pixel of a forward pass.
    """

    parameters: float
    predicting: float
    updating: float
    operations: float


NETWORKS = {
    "csrnet": Facts(16.3, 524, 1527, 414e3),
    "rescsrnet": Facts(1.57, 140, 448, 33.8e3),
    "guidedepth": Facts(5.82, 349, 2002, 34.4e3),
    "sasnet": Facts(38.9, 2180, 9580, 888e3),
    "dmcount": Facts(21.5, 524, 1585, 413e3),
    "adabins": Facts(78.3, 920, 8796, 604e3),
}

LARGEST = NETWORKS["sasnet"]
"""What a network of the user's is taken for."""

SIZE = (1024, 768)
"""The size of images that the config does not tell."""

PREDICTED = 4 * 1024 * 768
"""Pixels that a network predicts at once, unless one image has more; `promptmix.tasks.batching.BATCH_PIXELS`."""

PROCESS, ON_CPU = 6000, 1500
"""MB of a job beside its tensors: with CUDA's libraries and buffers, and without them."""

SLACK = 1.25
"""Bytes for each byte of tensors on a CPU; trainings were seen to take up to that."""

CACHED = 4000
"""MB up to which a training's generated images are meant to stay in memory; it keeps as much of two other kinds."""

MODEL = 4300
"""MB of a diffusion model that is not there yet: Stable Diffusion v1's."""

DECODED = 5000
"""MB of tensors with which an image of 1024x768 is decoded on a CPU; larger ones are decoded in tiles."""

SLOW = 10e12
"""Operations per second that any GPU that is used reaches; those of today reach several times as many."""

GENERATED = 20
"""Seconds of such a GPU for an image of 1024x768 pixels, in fifty steps, of a model of MODEL's size."""

LONGEST = 2880
"""Minutes that a job asks for at most: two days, as many clusters allow no more. What takes longer goes on where it was."""

LEAST = 60
"""Minutes that a job asks for at least."""


class Asking:
    """What the jobs of a plan ask for.

    Args:
        plan: of a config that was checked.
        gpu: whether jobs compute on a GPU.
    """

    def __init__(self, plan: Plan, gpu: bool):
        self._plan, self._config, self._gpu = plan, plan.config, gpu

    def memory_of_training(self, experiment: Experiment) -> int:
        """Return the MB of a training run."""
        cached = 0.0
        pixels = self._pixels_of_dataset(experiment.dataset)
        if (fake := experiment.fake) and not fake.rendered:
            for pool, number in fake.images.items():
                size = self._pixels_of_pool(pool)
                cached += 3 * number * size / 1e6
                pixels = max(pixels, size)
        settings, network = experiment.training, experiment.network
        tensors = self._updates(network.reference, network.settings, settings, pixels)
        return self._process(tensors) + 4 * math.ceil(min(cached, CACHED))

    def memory_of_fine_tuning(self, annotator: str) -> int:
        """Return the MB of the fine-tuning of an annotator."""
        settings = self._plan.fine_tuning_of(annotator, self._plan.learning_rates_of(annotator)[0])
        pixels = self._pixels_of_dataset(self._plan.annotators[annotator].fine_tune["dataset"])
        return self._process(self._updates(settings["network"], settings["network_settings"], settings, pixels))

    def memory_of_predicting(
        self, reference: str, settings: Mapping[str, Any], dataset: str = "", pool: str = ""
    ) -> int:
        """Return the MB of a job that predicts maps of a dataset's or of a pool's images."""
        pixels = self._pixels_of_pool(pool) if pool else self._pixels_of_dataset(dataset)
        facts, width = _facts_of(reference, settings)
        tensors = 4e6 * facts.parameters * width**2 + facts.predicting * width * max(pixels, PREDICTED)
        return self._process(tensors) + (2000 if self._gpu else 0)

    def memory_of_generation(self, pool: str, model_bytes: int) -> int:
        """Return the MB of a job that generates images.

        Args:
            model_bytes: of the diffusion model's files; 0 if they are not there.
        """
        model = model_bytes / 1e6 or MODEL
        if self._gpu:
            return PROCESS + round(2 * model)  # in float32, while it is loaded
        decoded = DECODED * min(1.0, self._pixels_of_pool(pool) / math.prod(SIZE))
        return ON_CPU + round(2 * model + SLACK * decoded)

    def minutes_of_training(self, experiment: Experiment, epochs: int | None = None) -> int:
        """Return the minutes of a training run.

        Args:
            epochs: if not all.
        """
        pixels = split_of(self._config, experiment.dataset)["train"] * self._pixels_of_dataset(experiment.dataset)
        if not experiment.real_images:
            pixels = 0
        if fake := experiment.fake:
            sizes = [self._pixels_of_pool(pool) for pool in fake.images] if not fake.rendered else []
            pixels += fake.r_mix * max(sizes, default=self._pixels_of_dataset(experiment.dataset))
        pixels += experiment.repeated * self._pixels_of_dataset(experiment.dataset)
        return self._minutes(
            experiment.network.reference, experiment.network.settings, pixels, epochs or experiment.training["epochs"]
        )

    def minutes_of_fine_tuning(self, annotator: str) -> int:
        """Return the minutes of the fine-tuning of an annotator."""
        settings = self._plan.fine_tuning_of(annotator, self._plan.learning_rates_of(annotator)[0])
        dataset = self._plan.annotators[annotator].fine_tune["dataset"]
        pixels = split_of(self._config, dataset)["train"] * self._pixels_of_dataset(dataset)
        return self._minutes(settings["network"], settings["network_settings"], pixels, settings["epochs"])

    def minutes_of_generation(self, pool: str, generator: Mapping[str, Any], images: int, model_bytes: int) -> int:
        """Return the minutes of a job that generates so many images."""
        large = (
            self._pixels_of_pool(pool) / math.prod(SIZE)
        ) ** 1.5  # attention grows with its square, all else with it
        of_model = max(1.0, model_bytes / 1e6 / MODEL)
        return _within(images * GENERATED * large * of_model * generator["steps"] / 50 / 60)

    def _minutes(self, reference: str, settings: Mapping[str, Any], pixels: float, epochs: int) -> int:
        """Return the minutes of a training on so many pixels in each epoch, validations included."""
        facts, width = _facts_of(reference, settings)
        operations = 2 * 3.5 * facts.operations * width**2 * pixels * epochs
        return _within(2 * operations / SLOW / 60)

    def _updates(self, reference: str, network: Mapping[str, Any], settings: Mapping[str, Any], pixels: float) -> float:
        """Return the bytes of the tensors of updates."""
        batch = settings["batch_size"]
        at_once = max(math.ceil(batch / settings.get("accumulate", 1)), min(batch, 2))
        facts, width = _facts_of(reference, network)
        weights = 4 * 4e6 * facts.parameters * width**2  # with their gradients, and AdamW's two moments
        return weights + facts.updating * width * at_once * pixels

    def _process(self, tensors: float) -> int:
        """Return the MB of a process with so many bytes of tensors."""
        return PROCESS if self._gpu else ON_CPU + math.ceil(SLACK * tensors / 1e6)

    def _pixels_of_dataset(self, name: str) -> int:
        """Return the pixels of a dataset's images at training size, the largest that the config tells."""
        entry = self._config["datasets"][name]
        if resize := entry.get("resize"):
            return max(map(math.prod, resize.values()))
        if size := entry.get("facts", {}).get("size"):
            return math.prod(size)
        if name in self._config["render"]:
            return max(map(math.prod, self._config["render"][name]["sizes"]))
        return math.prod(SIZE)

    def _pixels_of_pool(self, name: str) -> int:
        """Return the pixels of a pool's images."""
        pools = self._config["pools"]
        entry = pools.get(name) or pools[name.removesuffix(EDITED)]
        return self._pixels_of_dataset(entry["dataset"]) if "dataset" in entry else entry["width"] * entry["height"]


def _facts_of(reference: str, settings: Mapping[str, Any]) -> tuple[Facts, float]:
    """Return what is known of a network, and its width; a user's own may call anything `width`."""
    return (NETWORKS[reference], settings.get("width", 1)) if reference in NETWORKS else (LARGEST, 1)


def _within(minutes: float) -> int:
    return min(LONGEST, max(LEAST, math.ceil(minutes)))
