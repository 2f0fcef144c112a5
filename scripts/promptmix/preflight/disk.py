"""Does the disk have room for what remains to be written?"""

import logging
import math
import shutil
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from pathlib import Path

import torch

from promptmix.config.experiments import Needs, Network
from promptmix.config.plan import Plan
from promptmix.extensions import is_reference
from promptmix.files import count_bytes
from promptmix.networks.build import build
from promptmix.preflight.origins import Origins
from promptmix.preflight.report import FOUND, MISSING, Item, describe_bytes
from promptmix.preflight.sizes import ImageSizes

log = logging.getLogger(__name__)

JPEG = 0.5
"""Bytes per pixel of a generated image. UCF-QNRF's photographs, of quality 91 on average, take 0.51; others fewer."""

PREPARED = {"counting": 3, "depth": 7}
"""Bytes per pixel of a prepared dataset: RGB, and depth in float32."""

ANNOTATED = {"counting": 4 / 64, "depth": 2}
"""Bytes per pixel of an image of its annotation: float32 per 8x8 pixels, float16 per pixel."""


def check_disk(plan: Plan, needs: Mapping[str, Needs], sizes: ImageSizes, origins: Origins) -> Item:
    """Return what remains to be written, beside what is free.

    Args:
        needs: by table or figure.
        sizes: of the datasets that were read.
        origins: of all else that is needed, after they were asked for.
    """
    log.info("disk: adding up what will be written")
    still: dict[str, float] = {}
    for what, paths in list_outputs(plan, reduce(or_, needs.values(), Needs()), sizes, origins):
        still[what] = sum(max(0, size - count_bytes(path)) for path, size in paths.items())
    results, need = Path("results", plan.config["scale"]), sum(still.values())
    free = shutil.disk_usage(next(place for place in (results, *results.parents) if place.exists())).free
    parts = [f"{what} {describe_bytes(size)}" for what, size in still.items() if size >= max(0.01 * need, 1e6)]
    where = f"about {describe_bytes(need)} to write" + (f": {', '.join(parts)}" if parts else "")
    if unknown := [*sizes.list_unknown(needs.values()), *(f"download of {name}" for name in origins.unsized)]:
        where += f"; sizes not known yet: {', '.join(unknown)}"
    users = tuple(needs)
    if free >= need:
        return Item("disk", where, f"{FOUND} ({describe_bytes(free)} free)", users)
    advice = (
        f"{results}: about {describe_bytes(need)} are still to be written, and {describe_bytes(free)} are free. Make room, "
        "put `results` on a larger disk (a symbolic link will do), or choose fewer tables in `preflight` and make those "
        "first."
    )
    return Item("disk", where, f"{MISSING} ({describe_bytes(free)} free)", users, advice)


def list_outputs(
    plan: Plan, needs: Needs, sizes: ImageSizes, origins: Origins
) -> Iterator[tuple[str, Mapping[str, float]]]:
    """Yield what is written, with the bytes that each path will hold in the end."""
    results = f"results/{plan.config['scale']}"
    yield "downloads", origins.fetched
    prepared = {}
    for name in needs.datasets:
        pixels = sum(map(math.prod, sizes.of_dataset(name)))
        prepared[f"{results}/datasets/{name}"] = PREPARED[plan.task_of(name)] * pixels
    yield "datasets", prepared
    images, converted = {}, {}
    for (pool, generator), number in needs.images.items():
        if name := plan.pipeline_of(plan.generators[plan.diffusion_of(generator)]):
            converted[f"{results}/pipelines/{name}"] = count_bytes(plan.pipelines[name][0])
        images[f"{results}/images/{pool}/{generator}"] = JPEG * _count_pixels(sizes, pool, number)
    yield "models", converted
    yield "images", images
    annotations = {}
    for (pool, generator, name), number in needs.annotations.items():
        size = ANNOTATED[plan.annotators[name].task] * _count_pixels(sizes, pool, number)
        annotations[f"{results}/annotations/{pool}/{generator}/{name}"] = size
    yield "annotations", annotations
    experiments = [plan.experiments[name] for name in needs.experiments]
    networks = {experiment.network.name: experiment.network for experiment in experiments}
    weights = {name: _count_weights(network) for name, network in networks.items()}
    runs = {}
    for one in experiments:
        size = 4 * weights[one.network.name] * len(one.learning_rates) * one.repeats
        runs[f"{results}/runs/{one.name}"] = size
    yield "networks", runs


def _count_pixels(sizes: ImageSizes, pool: str, images: int) -> float:
    """Return the pixels of the given number of images of a pool together."""
    known = sizes.of_pool(pool)
    return images * sum(map(math.prod, known)) / len(known) if known else 0


def _count_weights(network: Network) -> int:
    """Return the numbers in a network's checkpoint; 0 for a network of the user's, of which it is not known."""
    if is_reference(network.reference):
        return 0
    with torch.device("meta"):
        return sum(tensor.numel() for tensor in build(network.reference, **network.settings).state_dict().values())
