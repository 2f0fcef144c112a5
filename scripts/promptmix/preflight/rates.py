"""How fast a device computes and what it draws: as the config says, from data sheets, from records, or measured on this machine."""

import json
import logging
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import nnls

from promptmix.errors import InputError, did_you_mean
from promptmix.networks.build import build
from promptmix.networks.registry import map_shape
from promptmix.preflight import memory
from promptmix.preflight.jobs import Work
from promptmix.preflight.operations import Operations
from promptmix.synthesis import generation as generating
from promptmix.tasks.batching import BATCH_PIXELS, padded_size
from promptmix.training.objective import load_objective
from promptmix.training.optimiser import AdamW

log = logging.getLogger(__name__)


class Device(NamedTuple):
    """What a data sheet says.

    Attributes:
        float16, float32: 10^12 operations per second at most. Of float32 those of TF32 where there is that, which torch takes
            for convolutions.
        watts: the most that it draws.
    """

    float16: float
    float32: float
    watts: float


DEVICES = {
    "t4": Device(65, 8.1, 70),
    "v100": Device(125, 15.7, 300),
    "l4": Device(121, 60, 72),
    "a10": Device(125, 62.5, 150),
    "rtx3090": Device(71, 35.6, 350),
    "rtx4090": Device(165, 82.6, 450),
    "a6000": Device(155, 77.4, 300),  # the paper's
    "l40s": Device(362, 183, 350),
    "a100": Device(312, 156, 400),
    "h100": Device(989, 495, 700),
    "h200": Device(989, 495, 700),
}
"""NVIDIA's data sheets, dense and with sums in float32; the SXM form where there are several."""

REACHED = 0.15
"""The share of a data sheet's operations that networks reach. An assumption: calibrate, or give `tflops`."""

START = 10.0
"""Seconds that a job takes to start, for imports and weights, where neither measurement nor records tell. An assumption."""

RECORDS = 10
"""Fewest records that tell a job's start."""

APART = 100
"""How many times the operations of the smallest recorded job the largest must have had for them to tell a start: of jobs that are
all large it cannot be told."""

CPU_WATTS = 65.0
"""What a processor draws, for all jobs on it together. An assumption."""

SECONDS = 1.5
"""How long each kind of work is measured."""

LARGEST = {"cpu": 256 * 256, "cuda": 1024 * 1024}
"""Most pixels of an image to measure on; from there on, the rate hardly depends on it."""

MOST_AT_ONCE = {"cpu": 16, "cuda": 64}
"""Most images to measure on at once."""


@dataclass(frozen=True)
class Rates:
    """What is known of a device.

    Attributes:
        source: where it is known from, in words.
        of: operations per second of some work, None if nothing is known.
        start: seconds that a job takes to start.
        start_source: where that is known from.
        watts: that a device draws, None if it is not known.
        watts_source: where that is known from.
        shared: whether all jobs at once share one device: a CPU.
    """

    source: str
    of: Callable[[Work], float | None] = field(default=lambda work: None)
    start: float = START
    start_source: str = "an assumption"
    watts: float | None = None
    watts_source: str = ""
    shared: bool = False

    @property
    def known(self) -> bool:
        """Whether there are rates at all."""
        return bool(self.source)


def read(settings: Mapping[str, Any]) -> Rates:
    """Return the rates that a config's `plan` gives; none if it names neither device nor `tflops`.

    Raises:
        InputError: a device that nobody knows, without what has to be known of it, or a contradiction.
    """
    name, tflops, watts = (settings.get(key) for key in ("device", "tflops", "watts"))
    if settings.get("calibrate") and (name or tflops):
        other = "device" if name else "tflops"
        raise InputError(
            f"plan: calibrate measures this machine, and {other} is of a device that the config describes; take away the one "
            "or the other"
        )
    known = DEVICES.get(str(name).lower().replace(" ", "").replace("-", ""))
    if name and not known and not tflops:
        raise InputError(
            f"plan.device: '{name}' is not a device whose data sheet is known. Known: {', '.join(DEVICES)}."
            f"{did_you_mean(str(name).lower(), DEVICES)} Of another device, give tflops, the 10^12 operations per second that it reaches, "
            "and watts"
        )
    found = Rates("")
    if tflops:
        found = Rates(f"{tflops:g} TFLOPS, from `plan.tflops`", lambda work: tflops * 1e12)
    elif known:
        source = f"{REACHED:.0%} of the {known.float16:g} (float16) or {known.float32:g} (float32) TFLOPS of {name}'s data sheet"
        found = Rates(
            source, lambda work: REACHED * 1e12 * (known.float32 if work.precision == "float32" else known.float16)
        )
    if watts:
        return replace(found, watts=watts, watts_source="`plan.watts`")
    if known:
        return replace(found, watts=known.watts, watts_source=f"{name}'s data sheet, the most that it draws")
    return found


def of_records(known: Sequence[tuple[float, float]]) -> Rates:
    """Return the rate, and if they tell it the start, of jobs that have run.

    Args:
        known: the operations and the seconds of each, above 0, of one at least.
    """
    operations, seconds = np.array(known).T
    if (fitted := _fit_start(operations, seconds)) is not None:
        start, source, rest = fitted, "which fits these records best", seconds - fitted
    else:
        start, source = START, "an assumption, as these records are too few or too alike to tell"
        rest = np.maximum(seconds - START, seconds / 2)  # it may have started in less
    rate = float(operations.sum() / rest.sum())  # so that together the jobs take as long as they took
    return Rates(
        f"the records of {len(known)} jobs that are there: {rate / 1e12:.3g} TFLOPS, and by rule as they differ from it",
        lambda work: rate,
        start,
        source,
    )


def _fit_start(operations: np.ndarray, seconds: np.ndarray) -> float | None:
    """Return the start with which start + operations / rate is least off, in shares of the seconds; None if they do not tell.

    Of shares, so that small jobs, which are hardly more than a start, count as much as large ones, and a job that was held up
    for long hardly at all.
    """
    if len(seconds) < RECORDS or operations.max() < APART * operations.min():
        return None
    of_each = np.column_stack([np.ones_like(seconds), operations / operations.max()]) / seconds[:, None]
    (start, per_operation), _ = nnls(of_each, np.ones_like(seconds))
    return float(start) if per_operation > 0 and start < seconds.mean() else None


def calibrate(works: Iterable[Work], operations: Operations, device: str, watts: float | None = None) -> Rates:
    """Return the rates of this machine, after each kind of work was done for a moment on random images.

    Args:
        works: what is to be done; each model is measured on the image size that it is given most often.
        device: "cuda" or "cpu".
        watts: what it draws, where the config says so.
    """
    most: dict[tuple[str, str, str, str], Work] = {}
    for work in works:
        if work.kind in ("generate", "predict", "train") and operations.of_image(work) is not None:
            key = _kind(work)
            if key not in most or work.passes > most[key].passes:
                most[key] = work
    measured = {key: _measure(work, operations, device) for key, work in most.items()}
    slowest = min(measured.values(), default=None)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    threads = "" if device == "cuda" else f" ({torch.get_num_threads()} threads each)"
    found = Rates(
        f"{len(measured)} kinds of work, measured on this machine's {name}{threads}",
        lambda work: measured.get(_kind(work), slowest),
        _measure_start(),
        "measured too",
        shared=device == "cpu",
    )
    if watts:
        return replace(found, watts=watts, watts_source="`plan.watts`")
    if device == "cpu":
        return replace(found, watts=CPU_WATTS, watts_source="an assumption for a processor")
    known = next((key for key in sorted(DEVICES, key=len, reverse=True) if key in name.lower().replace(" ", "")), None)
    if known:
        return replace(found, watts=DEVICES[known].watts, watts_source=f"{known}'s data sheet, the most that it draws")
    return found


def _kind(work: Work) -> tuple[str, str, str, str]:
    return work.kind, work.model, work.settings, work.precision


def _measure(work: Work, operations: Operations, device: str) -> float:
    """Return the operations per second of some work, on images that are no larger than `LARGEST`."""
    width, height = work.size
    scale = min(1.0, math.sqrt(LARGEST[device] / (width * height)))
    if scale < 1:
        width, height = (max(64, round(side * scale / 32) * 32) for side in (width, height))
    work = replace(work, size=(width, height))
    one = operations.of_image(work)
    assert one is not None
    prepare = _prepare_generation if work.kind == "generate" else _prepare_network
    run, done = prepare(work, operations, device, one)
    run()  # the first time takes longer
    repeats, begin = 0, _now(device)
    while repeats == 0 or time.perf_counter() - begin < SECONDS:
        run()
        repeats += 1
        if device == "cuda":
            torch.cuda.synchronize()
    rate = repeats * done / (_now(device) - begin)
    log.info("%s %s at %dx%d: %.3g TFLOPS", work.kind, work.model, width, height, rate / 1e12)
    return rate


def _prepare_generation(work: Work, operations: Operations, device: str, one: float):
    """Return a function that takes a diffusion model's step on a batch, and its operations."""
    with torch.device(device), torch.no_grad():
        dtype = torch.float32 if (work.precision, device) == ("float16", "cpu") else getattr(torch, work.precision)
        diffusion = memory.load_diffusion(operations.folder_of(work.model), dtype)
        if diffusion.family.denoiser == "unet":
            diffusion.denoiser.to(memory_format=torch.channels_last)
        width, height = diffusion.inner_size(*work.size, operations.native_of(work.model))
        passes = operations.passes_of(work.model)
        batch = max(1, generating.BATCH_PIXELS[device] // (width * height))
        latents = diffusion.latents(passes * batch, width, height).normal_()
    step = operations.of_step(work.model, work.size)

    @torch.no_grad()
    def run():
        diffusion.step(latents)

    return run, passes * batch * step


def _prepare_network(work: Work, operations: Operations, device: str, one: float):
    """Return a function that predicts a batch, or makes an update with it, and its operations."""
    width, height = work.size
    network = build(work.model, **json.loads(work.settings)).to(device, memory_format=torch.channels_last)
    at_once = BATCH_PIXELS // (width * height) if work.kind == "predict" else work.batch
    batch = max(1, min(at_once, MOST_AT_ONCE[device]))
    images = torch.randn(batch, 3, *padded_size(network, height, width), device=device)
    images = images.to(memory_format=torch.channels_last)
    forward = network.density if network.task == "counting" else network
    mixed = work.precision == "bfloat16" or (work.precision == "float16" and device == "cuda")
    if work.kind == "predict":
        network.eval()

        @torch.no_grad()
        def predict():
            with torch.autocast(device, getattr(torch, work.precision), enabled=mixed):
                forward(images)

        return predict, batch * one
    objective = load_objective(network, sigma=4, kernel=15, density_scale=1)
    optimiser = AdamW(network.parameters(), lr=1e-6, fused=True)
    rows, columns = map_shape(height, width, network.stride)
    targets = torch.rand(batch, rows, columns, device=device)

    def update():
        with torch.autocast(device, getattr(torch, work.precision), enabled=mixed):
            predicted = forward(images)
        predicted = predicted[:, 0, :rows, :columns] if network.task == "counting" else predicted
        optimiser.zero_grad(set_to_none=True)
        objective.loss(predicted.float(), targets).backward()
        optimiser.step()

    return update, 3 * batch * one


def _measure_start() -> float:
    """Return the seconds that a job takes before it computes: most of them are imports."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import promptmix.training.loop"], check=True)
    return time.perf_counter() - begin


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
