"""Is there a GPU, if one is needed, and does its memory suffice for the largest images?"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

import torch

from promptmix.config.experiments import Needs
from promptmix.config.plan import Plan
from promptmix.errors import InputError, list_some
from promptmix.extensions import is_reference
from promptmix.networks.text_to_image import described_by
from promptmix.preflight import memory
from promptmix.preflight.report import FOUND, MISSING, WRONG, Item, describe_bytes
from promptmix.preflight.sizes import ImageSizes, Size
from promptmix.running import hub
from promptmix.synthesis.pipelines import check_pipeline, check_refiner

log = logging.getLogger(__name__)

LARGE = 512 * 512
"""Image pixels from which on generating or training without a GPU takes too long to be meant."""

SMALLER = "make the images smaller (`resize` of the dataset, `width` and `height` of the pool)"

NO_GPU = (
    "There is no GPU here, and images of {megapixels:.1f} megapixels are to be generated or trained on, which takes far too "
    "long on a CPU. If jobs run on other machines, as on a cluster, look there, for example by `srun --gres=gpu:1 uv run "
    "snakemake preflight ...`."
)


@dataclass(frozen=True)
class Generation:
    """A diffusion model makes images: a folder, or a name in the Hub's cache, and the settings on which its memory depends."""

    model: str
    precision: str
    native: int | Sequence[int] | None = None
    offload: str | None = None
    refiner: str | None = None

    def predict(self, size: Size) -> int:
        """Return the bytes that it takes for images of a size."""
        try:
            check_pipeline(self.model)
            if self.refiner:
                check_refiner(self.refiner)
            folder = hub.locate(self.model)
        except InputError:  # which is said elsewhere
            folder = None
        refiner = hub.locate(self.refiner) if self.refiner and folder else None
        return memory.generation(
            *size, self.precision, model=folder, native=self.native, offload=self.offload, refiner=refiner
        )

    def describe(self, size: Size) -> str:
        """Return it in words."""
        return f"generating images of {_show(size)} in {self.precision}"

    def remedy(self, size: Size, limit: int) -> str:
        """Return what takes less memory."""
        if self.precision == "float32":
            return "set the generator's `precision` to float16"
        return SMALLER if self.offload else "set the generator's `offload` to model"


@dataclass(frozen=True)
class Annotation:
    """A network annotates images."""

    network: str
    settings: Mapping[str, Any]
    precision: str = "float32"

    def predict(self, size: Size) -> int:
        """Return the bytes that it takes for images of a size."""
        return memory.annotation(self.network, *size, self.settings, precision=self.precision)

    def describe(self, size: Size) -> str:
        """Return it in words."""
        return f"annotating images of {_show(size)} with {self.network}"

    def remedy(self, size: Size, limit: int) -> str:
        """Return what takes no more than that many bytes for images of a size."""
        if self.precision == "float32" and replace(self, precision="bfloat16").predict(size) <= limit:
            return "set the annotator's `precision` to bfloat16"
        return SMALLER


@dataclass(frozen=True)
class Training:
    """A network is trained."""

    network: str
    settings: Mapping[str, Any]
    batch_size: int
    precision: str
    accumulate: int = 1

    def predict(self, size: Size) -> int:
        """Return the bytes that it takes for images of a size."""
        at_once = max(math.ceil(self.batch_size / self.accumulate), min(self.batch_size, 2))
        return memory.training(self.network, *size, at_once, self.precision, self.settings)

    def describe(self, size: Size) -> str:
        """Return it in words."""
        return f"training {self.network} on {self.batch_size} images of {_show(size)} at once"

    def remedy(self, size: Size, limit: int) -> str:
        """Return what takes no more than that many bytes for images of a size: settings that keep the batch."""
        found = []
        mixed = replace(self, precision="bfloat16")
        if self.precision == "float32" and mixed.predict(size) <= limit:
            found.append("`precision` to bfloat16")
        parts, most = self.accumulate, max(1, self.batch_size // 2)
        while parts < most:
            parts = min(2 * parts, most)
            if replace(self, accumulate=parts).predict(size) <= limit:
                found.append(f"`accumulate` to {parts}, which keeps updates of {self.batch_size} images")
                break
        if not found and replace(mixed, accumulate=most).predict(size) <= limit:
            found.append(f"`precision` to bfloat16 and `accumulate` to {most}")
        return f"set {', or '.join(found)}" if found else SMALLER


Step = Generation | Annotation | Training


@dataclass
class Case:
    """A step on images of a size.

    Attributes:
        users: pools, annotators or experiments with this step whose largest images these are.
        needed: bytes, once they are predicted.
    """

    step: Step
    size: Size
    users: list[str]
    needed: int = 0

    def describe(self) -> str:
        """Return it in words."""
        return self.step.describe(self.size)


def check_gpu(plan: Plan, needs: Mapping[str, Needs], sizes: ImageSizes) -> Item | None:
    """Return the largest memory that something needs, beside the GPU's, and all that does not fit there.

    Returns None if nothing is computed on images.

    Args:
        needs: by table or figure.
        sizes: of the datasets that were read.
    """
    cases = _gather(_list_steps(plan, reduce(or_, needs.values(), Needs()), sizes))
    users, unknown, here = tuple(needs), ", ".join(sizes.list_unknown(needs.values())), torch.cuda.is_available()
    if not cases and not unknown:
        return None
    large = max((math.prod(case.size) for case in cases if not isinstance(case.step, Annotation)), default=0)
    if unknown and (not cases or (large < LARGE and not here)):
        return Item("GPU", f"sizes not known yet: {unknown}", "not known yet", users)
    if large < LARGE and not here:
        return Item("GPU", "no large images to generate or to train on", "none; CPU suffices", users)
    devices = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count() if here else 0)]
    smallest = min(devices, key=lambda device: device.total_memory, default=None)
    log.info("GPU: working out the memory of %d kinds of steps", len(cases))
    try:
        cases = _predict(cases, smallest.total_memory if smallest else math.inf)
    except InputError as error:
        return Item("GPU", "unknown", WRONG, users, str(error))
    where = f"{describe_bytes(cases[0].needed)} for {cases[0].describe()}"
    where += f"; sizes not known yet: {unknown}" if unknown else ""
    if smallest is None:
        return Item("GPU", where, MISSING, users, NO_GPU.format(megapixels=large / 1e6))
    has = describe_bytes(smallest.total_memory)
    if not (misfits := [case for case in cases if case.needed > smallest.total_memory]):
        return Item("GPU", where, f"{FOUND} ({has})", users)
    advice = f"{smallest.name} has {has}. Use a larger GPU, or change what does not fit:"
    for case in misfits:
        remedy = case.step.remedy(case.size, smallest.total_memory)
        advice += f"\n- {case.describe()} needs about {describe_bytes(case.needed)} ({list_some(case.users)}): {remedy}"
    return Item("GPU", where, f"{WRONG} ({has})", users, advice)


def _list_steps(plan: Plan, needs: Needs, sizes: ImageSizes) -> Iterator[tuple[Step, list[Size], str]]:
    """Yield what is computed on images, the images' sizes, and for what. What a user's own code needs is not known."""
    for pool, generator in needs.images:
        if "model" in (entry := plan.generators[generator]):
            further = {key: entry[key] for key in ("native", "offload") if key in entry}
            refiner = entry["refiner"]["model"] if "refiner" in entry else None
            yield (
                Generation(described_by(entry), entry["precision"], **further, refiner=refiner),
                sizes.of_pool(pool),
                pool,
            )
    annotated = [(name, sizes.of_pool(pool)) for pool, _, name in needs.annotations]
    tested = [(member, dataset) for name, dataset in sorted(needs.tests) for member in plan.members_of(name)]
    annotated += [(name, sizes.of_dataset(dataset)) for name, dataset in tested]
    for name, of_images in annotated:
        annotator = plan.annotators[name]
        if annotator.is_network:
            yield Annotation(annotator.reference, annotator.settings, annotator.precision), of_images, name
    for name in sorted(needs.annotators):
        if given := plan.annotators[name].fine_tune:
            made = plan.fine_tuning_of(name, plan.learning_rates_of(name)[0])
            step = Training(
                made["network"],
                made["network_settings"],
                made["batch_size"],
                made["precision"],
                made.get("accumulate", 1),
            )
            yield step, sizes.of_dataset(given["dataset"]), name
    for name in sorted(needs.experiments):
        experiment = plan.experiments[name]
        network, training = experiment.network, experiment.training
        if not is_reference(network.reference):
            of_images = [*sizes.of_dataset(experiment.dataset)]
            for pool in experiment.fake.pools if experiment.fake and not experiment.fake.rendered else ():
                of_images += sizes.of_pool(pool)
            yield (
                Training(
                    network.reference,
                    network.settings,
                    training["batch_size"],
                    training["precision"],
                    training.get("accumulate", 1),
                ),
                of_images,
                name,
            )


def _gather(steps: Iterator[tuple[Step, list[Size], str]]) -> list[Case]:
    """Return each step with each size once, the largest first; none whose images' sizes are not known."""
    largest = [(step, max(of_images, key=math.prod), user) for step, of_images, user in steps if of_images]
    found: list[Case] = []
    for step, size, user in sorted(largest, key=lambda each: math.prod(each[1]), reverse=True):
        # Settings cannot be keys of a dictionary.
        case = next((known for known in found if (known.step, known.size) == (step, size)), None)
        if case is None:
            found.append(Case(step, size, [user]))
        elif user not in case.users:
            case.users.append(user)
    return found


def _predict(cases: list[Case], limit: float) -> list[Case]:
    """Return what was predicted, the largest first: of each step the largest size, and the next as long as they exceed a limit."""
    found: list[Case] = []
    for case in cases:
        last = next((other for other in reversed(found) if other.step == case.step), None)
        if last is None or last.needed > limit:
            case.needed = case.step.predict(case.size)
            found.append(case)
    return sorted(found, key=lambda case: case.needed, reverse=True)


def _show(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
