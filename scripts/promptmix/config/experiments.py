"""Experiments: what is trained on what, and what each needs. `promptmix.config.plan` makes them from a config."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from promptmix.config.pools import expand
from promptmix.datasets.splits import check_agreement, numbers, shares_of
from promptmix.errors import InputError
from promptmix.networks import registry as networks
from promptmix.networks.transformers_models import MODULES, TRANSFORMERS

RUNGS = 5
"""How often halving decides on half of the prompts at most: see `Experiment.rungs`."""

METHODS = {"baseline": "baseline", "control": "control", "promptmix": "PromptMix"}
"""How an experiment is trained, and what tables call it."""

FAKE_KEYS = (
    *("pools", "prompt", "k", "generator", "precision", "restorer", "annotator", "r_mix"),
    *("filters", "scored_by", "r_img", "prompt_filter", "real_images", "rendered"),
)
"""What a config may say of D_fake."""


@dataclass(frozen=True)
class Network:
    """A lightweight network.

    Attributes:
        name: its key in the config.
        reference: what `promptmix.networks.build` calls it: the name, or the reference to a class of the user's.
        task: "counting" or "depth".
        settings: those that differ from the published network's, or the arguments of the user's class.
        backbone: the file of weights that its first layers start from; "" for none.
    """

    name: str
    reference: str
    task: str
    settings: Mapping[str, Any]
    backbone: str = ""

    @property
    def title(self) -> str:
        """What tables call it: as the paper does, or its key in the config."""
        return networks.TITLES.get(self.name, self.name)

    @property
    def code(self) -> str:
        """Its code, as `promptmix.running.fingerprint` knows it."""
        return networks.module_of(self.reference)


@dataclass(frozen=True)
class Annotator:
    """What annotates images: a heavyweight network, a function of the user's, a model of transformers, or several, averaged.

    Attributes:
        name: its key in the config.
        task: "counting" or "depth".
        reference: the network's name, the reference to the function, or `TRANSFORMERS`; "" of an average.
        settings: those that differ from the published network's; of a model of transformers what it counts, and so on.
        weights: the file of a network's weights, "" if the workflow makes it, or for a function; or the folder of a model of
            transformers, or its name on the Hub.
        fine_tune: how the weights are made, as the config says it; empty if they are not made here.
        trained_on: the dataset that a network was trained on; "" if the config does not say.
        mean_of: the annotators whose annotations are averaged, in the order of their names.
        files: what a function reads besides its code.
        flip: whether its maps are the mean over the image and the mirrored image.
        precision: of a network, "float32", or "bfloat16" for mixed precision.
    """

    name: str
    task: str
    reference: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    fine_tune: Mapping[str, Any] = field(default_factory=dict)
    trained_on: str = ""
    mean_of: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    flip: bool = False
    precision: str = "float32"

    @property
    def is_network(self) -> bool:
        """Whether it is a network of ours, with weights."""
        return not (self.is_function or self.is_of_transformers or self.mean_of)

    @property
    def is_of_transformers(self) -> bool:
        """Whether it is a model of transformers."""
        return self.reference == TRANSFORMERS

    @property
    def is_function(self) -> bool:
        """Whether it is a function of the user's."""
        return ":" in self.reference

    @property
    def code(self) -> str:
        """Its code, as `promptmix.running.fingerprint` knows it."""
        return MODULES[self.task] if self.is_of_transformers else networks.module_of(self.reference)


@dataclass(frozen=True)
class Fake:
    """D_fake: generated images with annotations, or in their place as many rendered ones, to compare with.

    Attributes:
        pools: number of prompts, M, of each pool, in order. Prompts that a review edits are a pool of their own.
        k: images per prompt.
        generator: what makes the images, a key of `Plan.generators`.
        annotator: whose annotations are learnt.
        r_mix: images per epoch, drawn afresh.
        r_img: percentage of the images to keep, those with the lowest q.
        scored_by: the annotators whose disagreement is q, in the order of their names; none if all images are kept.
        filters: further filters of images, by name, with their settings: `near_duplicates` and `clip_score`, which leave out
            images before those of the highest q go, and `leak_guard`, which leaves out none.
        prompt_filter: whether prompts are dropped whose images raise the validation error.
        halving: whether the prompt filter trains with each prompt for as long as it takes to tell, and not to the end.
        real_images: whether the prompt filter trains on the real images besides a prompt's own.
        prompt: the pool and number of the only prompt whose images count, None for all.
        reviewed: what a review leaves out, by pool: `drop`, prompts by number or text, and `exclude`, images by seed.
        rendered: "" for generated images. Else images are rendered like the dataset's own, `kept` of them, and this is
            whose labels they have: "truth", or "annotator" for those of `annotator`.
    """

    pools: Mapping[str, int]
    k: int
    generator: str
    annotator: str
    r_mix: int
    r_img: float = 100
    scored_by: tuple[str, ...] = ()
    filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    prompt_filter: bool = False
    halving: bool = False
    real_images: bool = True
    prompt: tuple[str, int] | None = None
    reviewed: Mapping[str, Mapping[str, Sequence]] = field(default_factory=dict)
    rendered: str = ""

    @property
    def images(self) -> dict[str, int]:
        """Number of images of each pool."""
        return {pool: self.k * prompts for pool, prompts in self.pools.items()}

    @property
    def left(self) -> int:
        """Number of images that a review leaves, as far as is known: an image can be left out twice, with its prompt and
        by itself, and several captions can have the text that one is named by.
        """
        made = sum(self.images.values()) if self.prompt is None else self.k
        parts = self.reviewed.values()
        return max(0, made - sum(self.k * len(part["drop"]) + len(part["exclude"]) for part in parts))

    @property
    def kept(self) -> int:
        """Number of images that the filters of images leave of them, each share rounded up; that of prompts is not counted,
        nor is a filter of which only its job tells how many images it leaves.
        """
        share = self.filters.get("clip_score", {}).get("keep", 100)
        return _share_of(_share_of(self.left, share), self.r_img)

    @property
    def is_filtered(self) -> bool:
        """Whether filters look at images: which are left of one prompt then depends on those of all."""
        return self.r_img < 100 or bool({"near_duplicates", "clip_score"} & set(self.filters))

    @property
    def is_open(self) -> bool:
        """Whether only the filters tell how many images are left; an epoch then takes r_mix or all that there are."""
        return self.prompt_filter or (self.prompt is not None and (self.is_filtered or bool(self.reviewed)))


@dataclass(frozen=True)
class Needs:
    """What has to be there, or be made, for something.

    Attributes:
        experiments, datasets, captioners, annotators: names.
        images: number by (pool, generator).
        annotations: number by (pool, generator, annotator).
        tests: (annotator, dataset) to evaluate.
    """

    experiments: frozenset[str] = frozenset()
    datasets: frozenset[str] = frozenset()
    captioners: frozenset[str] = frozenset()
    annotators: frozenset[str] = frozenset()
    images: Mapping[tuple[str, str], int] = field(default_factory=dict)
    annotations: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    tests: frozenset[tuple[str, str]] = frozenset()

    def __or__(self, other: "Needs") -> "Needs":
        """Return what has to be there for both."""
        merged: dict[str, Any] = {}
        for part in fields(self):
            mine, others = getattr(self, part.name), getattr(other, part.name)
            if isinstance(mine, frozenset):
                merged[part.name] = mine | others
            else:
                merged[part.name] = {key: max(mine.get(key, 0), others.get(key, 0)) for key in {**mine, **others}}
        return Needs(**merged)


@dataclass(frozen=True)
class Experiment:
    """A network that is trained on a dataset.

    Attributes:
        name: part of the names of its files.
        where: the place in the config that describes it.
        method: a key of `METHODS`.
        dataset: real images to train, validate and test on.
        network: what is trained.
        training: epochs, batch size and so on; `learning_rates` and `repeats` too.
        fake: generated images to train on besides; None for a baseline and a control.
        repeated: real images that an epoch holds once more than the others: a control for r_mix.
        real_images: whether the real images are trained on.
        baseline: the experiment without generated images that it is compared with; None for a baseline.
        single_prompts: the trainings on one prompt each that a prompt filter decides by.
    """

    name: str
    where: str
    method: str
    dataset: str
    network: Network
    training: Mapping[str, Any]
    fake: Fake | None = None
    repeated: int = 0
    real_images: bool = True
    baseline: str | None = None
    single_prompts: Mapping[tuple[str, int], str] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """Return "counting" or "depth"."""
        return self.network.task

    @property
    def learning_rates(self) -> list[str]:
        """The candidates, as the config spells them."""
        return self.training["learning_rates"]

    @property
    def repeats(self) -> int:
        """Number of runs per learning rate."""
        return self.training["repeats"]

    @property
    def rungs(self) -> list[int]:
        """The epochs after which halving decides on prompts: a 32nd of a training's, a 16th and so on, and half of them."""
        epochs, every = self.training["epochs"], self.training.get("validate_every", 1)
        parts = (math.ceil(epochs / 2**part / every) * every for part in range(RUNGS, 0, -1))
        return sorted({min(part, epochs) for part in parts})

    @property
    def key(self) -> str:
        """What is equal for experiments that are one."""
        facts = asdict(replace(self, name="", where="", method="", baseline=None, single_prompts={}))
        if self.fake:
            facts["fake"]["pools"] = list(self.fake.pools.items())  # their order counts
        return json.dumps(_comparable(facts), sort_keys=True)

    def run_settings(self, learning_rate: str, repeat: int, seed: int) -> dict[str, Any]:
        """Return the arguments of `promptmix.training.settings.TrainingSettings` for a run.

        A baseline, its control and its PromptMix twin have equal seeds in equal repeats.
        """
        return run_settings(self.training, learning_rate, seed + repeat) | {
            "network": self.network.reference,
            "network_settings": dict(self.network.settings),
            "r_mix": self.fake.r_mix if self.fake else 0,
            "repeated": self.repeated,
            "real_images": self.real_images,
        }


def _share_of(number: int, percent: float) -> int:
    """Return percent of a number, rounded up: 14.3 % of 1000 are 143, and not 144 by rounding."""
    return math.ceil(number * Fraction(str(percent)) / 100)


def _comparable(value: Any) -> Any:
    """Return facts in which 60.0 is 60: they are equal, and a config may say either."""
    if isinstance(value, Mapping):
        return {key: _comparable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_comparable(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def run_settings(training: Mapping[str, Any], learning_rate: str, seed: int) -> dict[str, Any]:
    """Return what `promptmix.training.settings.TrainingSettings` takes of the settings in a config."""
    common = {key: value for key, value in training.items() if key not in ("learning_rates", "repeats")}
    return common | {"learning_rate": float(learning_rate), "seed": seed}


def split_of(config: Mapping[str, Any], dataset: str) -> dict[str, int]:
    """Return the number of "train", "val" and "test" images of a dataset.

    Raises:
        InputError: a split that is impossible, or given twice; see `promptmix.datasets.splits.split`.
    """
    entry = config["datasets"][dataset]
    images, settings = entry["images"], entry.get("split")
    check_agreement(images, settings)
    if "val" in images:
        return dict(images)
    shares = shares_of(settings)
    dealt = numbers(shares, images["all"] if "all" in images else images["train"])
    dealt |= {"test": images["test"]} if "test" in images else {}
    if empty := [name for name, number in dealt.items() if number < 1]:
        raise InputError(f"split: {json.dumps(shares)} leaves no image in '{empty[0]}'; expected one or more")
    return dealt


def prompts_of(config: Mapping[str, Any], entry: Mapping[str, Any]) -> int:
    """Return the number of prompts in a pool, M: the texts, one per training image of its dataset, or the edited ones.

    A language model writes so many on a topic, or for each training image.
    """
    if "edits" in entry:
        return len(entry["edits"])
    if "prompts" in entry:
        return len(expand(entry["prompts"], entry.get("locations", [])))
    written = entry["written_by"]["count"] if "written_by" in entry else 1
    return written * (split_of(config, entry["dataset"])["train"] if "dataset" in entry else 1)
