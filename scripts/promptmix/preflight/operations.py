"""How many operations the networks of a config's jobs take, counted without computing anything.

Networks for maps are counted as Table III counts them (`promptmix.networks.cost`), diffusion models with attention too. An
operation is one addition or multiplication of floating-point numbers: a multiply-accumulate is two.
"""

import functools
import importlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    CLIPVisionModel,
)

from promptmix.errors import InputError
from promptmix.extensions import is_reference
from promptmix.networks import cost
from promptmix.networks.build import build
from promptmix.networks.registry import TASKS
from promptmix.networks.text_to_image import described_by
from promptmix.networks.transformers_models import MODULES
from promptmix.preflight import memory
from promptmix.preflight.jobs import Work
from promptmix.preflight.sizes import Size
from promptmix.running import hub
from promptmix.synthesis.pipelines import check_pipeline, check_refiner
from promptmix.tasks.batching import padded_size

log = logging.getLogger(__name__)

BACKWARD = 3
"""How many times the operations of a forward pass an update takes: forward, and gradients of activations and of weights."""

BEAMS = {"greedy": 1, "beam": 5}
"""Captions that are continued at once, by the captioner's `decoding`."""

READ = 600
"""Tokens of an image and an instruction that a captioner of transformers reads. An assumption: LLaVA's."""

INSTRUCTION = 80
"""Tokens of an instruction that a language model reads. An assumption."""


class Operations:
    """The operations of jobs.

    Args:
        generators: what generates images, by name, as `promptmix.config.plan.Plan.generators`.
        captioners, pools: the config's, with their defaults.
    """

    def __init__(
        self,
        generators: Mapping[str, Mapping[str, Any]],
        captioners: Mapping[str, Mapping[str, Any]],
        pools: Mapping[str, Mapping[str, Any]],
    ):
        self._generators, self._captioners, self._pools = generators, captioners, pools
        self._folders: dict[str, Path | None] = {}

    def of(self, work: Work) -> float | None:
        """Return the operations of some work; None if it is of a network that cannot be counted."""
        one = self.of_image(work)
        if one is None:
            return None
        return one * (work.passes * (BACKWARD if work.kind == "train" else 1) + work.forward)

    def of_image(self, work: Work) -> float | None:
        """Return the operations of predicting, generating or captioning one image, None if they cannot be counted."""
        if work.kind == "generate":
            return self._of_generator(work.model, work.size)
        if work.kind == "caption":
            return self._of_captioner(work.model)
        if work.kind == "write":
            writer = self._pools[work.model]["written_by"]
            return _of_writing(AutoModelForCausalLM, writer["model"], INSTRUCTION + writer["max_tokens"])
        if work.kind == "annotate":
            return _of_transformers(work.model, work.settings, work.size)
        return _of_network(work.model, work.settings, work.size)

    def folder_of(self, generator: str) -> Path | None:
        """Return the folder of a generator's model, None if it is not there; Stable Diffusion v1 is counted then."""
        entry = self._generators[generator]
        return self._folder_of(described_by(entry), check_pipeline)

    def _folder_of(self, model: str, check: Callable[[str], object]) -> Path | None:
        if model not in self._folders:
            try:
                check(model)
                self._folders[model] = hub.locate(model)
            except InputError:  # which the preflight says
                self._folders[model] = None
        return self._folders[model]

    @property
    def assumed(self) -> list[str]:
        """The models that are not there, which are taken to be as large as Stable Diffusion v1."""
        return [model for model, folder in self._folders.items() if folder is None]

    def of_step(self, generator: str, size: Size) -> float:
        """Return the operations of a diffusion model's network for one image, with or without a prompt."""
        return _of_diffusion(self.folder_of(generator), size, self.native_of(generator))[0]

    def passes_of(self, generator: str) -> int:
        """Return how many times a step takes the network: twice with guidance, unless that was distilled into it."""
        guided = _diffusion_on_meta(self.folder_of(generator)).passes
        return guided if self._generators[generator]["guidance"] > 1 else 1

    def native_of(self, generator: str) -> tuple[int, ...] | None:
        """Return the width and height of which the number of pixels is generated, None for the image's."""
        native = self._generators[generator].get("native")
        return (native, native) if isinstance(native, int) else tuple(native) if native else None

    def _of_generator(self, name: str, size: Size) -> float:
        entry, native = self._generators[name], self.native_of(name)
        step, decoding = _of_diffusion(self.folder_of(name), size, native)
        if refiner := entry.get("refiner"):
            later = _of_diffusion(self._folder_of(refiner["model"], check_refiner), size, native)[0]
            step = refiner["from"] * step + (1 - refiner["from"]) * later
        return entry["steps"] * self.passes_of(name) * step + decoding

    def _of_captioner(self, name: str) -> float | None:
        entry = self._captioners[name]
        if "model" in entry:
            tokens = READ + entry["max_tokens"] * BEAMS[entry["decoding"]]
            return _of_writing(AutoModelForImageTextToText, entry["model"], tokens)
        folder = hub.locate(entry["clip"])
        config = CLIPVisionConfig.from_pretrained(folder) if folder else CLIPVisionConfig()  # of ViT-B/32
        with torch.device("meta"):
            captioner, clip = build("clipcap", **entry.get("settings", {})), CLIPVisionModel(config)
        tokens = captioner.prefix_length + entry["max_tokens"]
        patches = (config.image_size // config.patch_size) ** 2 + 1
        return 2.0 * (_count(clip) * patches + _count(captioner.gpt) * tokens * BEAMS[entry["decoding"]])


@functools.cache
def _of_diffusion(folder: Path | None, size: Size, native: tuple[int, ...] | None) -> tuple[float, float]:
    """Return the operations of a pass of the network and of decoding, for one image."""
    log.info("counting the operations of %s for %dx%d", folder or "Stable Diffusion v1", *size)
    with torch.device("meta"), torch.no_grad():
        diffusion = _diffusion_on_meta(folder)
        latents = diffusion.latents(1, *diffusion.inner_size(*size, native))
        with FlopCounterMode(display=False) as step:
            diffusion.step(latents)
        with FlopCounterMode(display=False) as decoding:
            diffusion.parts["vae"].decode(latents)
    return step.get_total_flops(), decoding.get_total_flops()


@functools.cache
def _diffusion_on_meta(folder: Path | None) -> memory.Diffusion:
    with torch.device("meta"):
        return memory.load_diffusion(folder)


@functools.cache
def _of_network(name: str, text: str, size: Size) -> float | None:
    log.info("counting the operations of %s for %dx%d", name, *size)
    settings = json.loads(text)
    width, height = size
    try:
        if name in TASKS or is_reference(name):
            with torch.device("meta"):
                height, width = padded_size(build(name, **settings), height, width)
        return 2e9 * cost.count(name, settings, height, width)["gmac"]
    except Exception as error:
        if not is_reference(name):
            raise
        log.warning("%s: its operations cannot be counted, so the hours of its jobs are not known: %s", name, error)
        return None


@functools.cache
def _of_writing(kind: type, model: str, tokens: int) -> float | None:
    """Return the operations of reading and writing so many tokens; None if the model is not there or not of transformers' own."""
    if (folder := hub.locate(model)) is None:
        return None
    try:
        with torch.device("meta"):
            return 2.0 * _count(kind.from_config(AutoConfig.from_pretrained(folder, trust_remote_code=False))) * tokens
    except (OSError, ValueError) as error:  # which the preflight says
        log.warning("%s: its operations cannot be counted, so the hours of its jobs are not known: %s", model, error)
        return None


@functools.cache
def _of_transformers(model: str, text: str, size: Size) -> float | None:
    """Return the operations of a model of transformers that annotates, None if it is not there or cannot be counted.

    Models that look at the values of tensors, such as of masks, cannot be counted on "meta"; they compute one black image.
    """
    log.info("counting the operations of %s for %dx%d", model, *size)
    problem: Exception | None = None
    for device in ("meta", "cpu"):
        settings = json.loads(text)
        try:
            annotator = importlib.import_module(MODULES[settings.pop("task")]).load(model, device, **settings)
            with FlopCounterMode(display=False) as counter:
                annotator.compute(torch.zeros(1, 3, *reversed(size)))
            return counter.get_total_flops()
        except Exception as error:  # code of many models, which can fail anywhere
            problem = error
    log.warning("%s: its operations cannot be counted, so the hours of its jobs are not known: %s", model, problem)
    return None


def _count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
