"""Open a text-to-image pipeline in diffusers' format: can this project use it, is it whole, does it fit together?

A pipeline is what its model_index.json says, and nothing else: each class that can be used stands in `PIPELINES`, and
of the others the error says the name. Only the parts that make images of prompts are read; those that do not (a safety
checker and its feature extractor, an encoder of images) need not be there.
"""

import importlib.util
import inspect
import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    LatentConsistencyModelPipeline,
    SchedulerMixin,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors import SafetensorError, safe_open
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from promptmix.errors import InputError, list_some
from promptmix.synthesis.pretrained import (
    check_vocabulary,
    explain,
    load_part,
    load_tokenizer,
    locate,
    read_json,
    silence,
)

log = logging.getLogger(__name__)

PIPELINES: dict[str, type[DiffusionPipeline]] = {
    "StableDiffusionPipeline": StableDiffusionPipeline,
    "StableDiffusionImg2ImgPipeline": StableDiffusionPipeline,  # of the same parts
    "LatentConsistencyModelPipeline": LatentConsistencyModelPipeline,
    "LatentConsistencyModelImg2ImgPipeline": LatentConsistencyModelPipeline,
}
"""By the class that a model_index.json names, the class that makes images of prompts with its parts."""

NETWORKS = ("text_encoder", "unet", "vae")
"""The parts of these pipelines that have weights; beside them there are a tokenizer and a scheduler."""

LIBRARIES = ("diffusers", "transformers")
"""Where the classes of parts may be from: others would be code that came with the model."""

EXPECTED = (
    "a Stable Diffusion pipeline: a folder in diffusers' format (model_index.json, unet/, vae/, text_encoder/, tokenizer/, "
    "scheduler/), such as resources/models/stable-diffusion, or the name of a model in the Hub's cache"
)

MULTIPLE = 8
"""These pipelines accept sides that are multiples of this, in pixels."""

ADAPTER = re.compile(r"lora|lycoris|learned_embeds|textual_inversion|hypernetwork|ip[-_]adapter", re.IGNORECASE)
"""In the name of a file, or of a tensor in it, what marks it as an addition to a model."""

STEPS = 10
"""Steps for which a sampler is tried."""


def check_pipeline(model: str) -> None:
    """Find out whether a model can make images, from its files and without computing.

    Raises:
        InputError: it cannot; one line for each part that is wrong.
    """
    _open(model, locate(model, EXPECTED), None, "meta")


def open_pipeline(model: str, dtype: torch.dtype) -> DiffusionPipeline:
    """Return a pipeline on the CPU, after the same checks as `check_pipeline`.

    Args:
        model: folder in diffusers' format, or name of a model in the Hub's cache.
        dtype: of the networks.

    Raises:
        InputError: it cannot make images.
    """
    folder = locate(model, EXPECTED)
    log.info("%s: reading %s", model, folder)
    if unused := list(_find_adapters(folder)):
        log.warning(
            "%s: not used: %s. A pipeline is what its model_index.json says: merge what is added into its networks, and save "
            "those",
            *(model, list_some(sorted(unused))),
        )
    return _open(model, folder, dtype, "cpu")


def size_multiple(pipeline: DiffusionPipeline) -> int:
    """Return of what number, in pixels, the sides of a pipeline's images are multiples."""
    return math.lcm(MULTIPLE, pipeline.vae_scale_factor)


def takes_negative_prompt(pipeline: DiffusionPipeline) -> bool:
    """Tell whether images can be guided away from a text: not if the network was distilled with its guidance."""
    return pipeline.unet.config.time_cond_proj_dim is None


def _open(model: str, folder: Path, dtype: torch.dtype | None, device: str) -> DiffusionPipeline:
    index = _read_index(model, folder)
    kind = PIPELINES[index["_class_name"]]
    parts: dict[str, Any] = {}
    problems = []
    for name in (*NETWORKS, "tokenizer", "scheduler"):
        try:
            parts[name] = _load(name, index.get(name), folder / name, dtype, device)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n- ".join([f"{model} is incomplete, or another model:", *problems]))
    _check_fit(model, *(parts[name] for name in (*NETWORKS, "tokenizer")))
    optional = {name: None for name in inspect.signature(kind.__init__).parameters if name in kind._optional_components}
    with silence():
        pipeline = kind(**parts, **optional, requires_safety_checker=False)
    pipeline.register_to_config(_name_or_path=model)
    # One that does not know its length would pass a text on that is too long for the encoder.
    pipeline.tokenizer.model_max_length = min(
        pipeline.tokenizer.model_max_length, pipeline.text_encoder.config.max_position_embeddings
    )
    return pipeline


def _read_index(model: str, folder: Path) -> dict[str, Any]:
    """Return a model_index.json whose class can be used."""
    if not (folder / "model_index.json").exists():
        raise InputError(
            f"{model} is incomplete, or another model:\n- model_index.json is missing in {folder}. Expected {EXPECTED}"
        )
    index = dict(read_json(folder / "model_index.json"))
    name = index.get("_class_name")
    if not isinstance(name, str) or name not in PIPELINES:
        named = " of ".join(map(str, reversed(name))) if isinstance(name, list) else name
        raise InputError(
            f"{model} is incomplete, or another model:\n- model_index.json: a {named}; expected one of "
            f"{', '.join(PIPELINES)}, as of Stable Diffusion 1 and 2"
        )
    known = {*inspect.signature(PIPELINES[name].__init__).parameters}
    if others := sorted(key for key, value in index.items() if _is_part(value) and key not in known):
        raise InputError(
            f"{model} is incomplete, or another model:\n- model_index.json: a {name} with {', '.join(others)}, which it does "
            f"not have; as what was it saved?"
        )
    return index


def _is_part(value: object) -> bool:
    """Tell whether a value of model_index.json is a library and a class in it."""
    return isinstance(value, list) and len(value) == 2 and value[0] is not None


def _load(name: str, given: object, folder: Path, dtype: torch.dtype | None, device: str) -> Any:
    """Return a part of a pipeline.

    Args:
        given: its library and class, as model_index.json gives them.
    """
    if not _is_part(given):
        raise InputError(f"model_index.json: {name} is missing")
    library, of_class = given
    if library not in LIBRARIES:
        raise InputError(
            f"model_index.json: {name} is a {of_class} of {library}, which came with the model; not supported"
        )
    kind = getattr(importlib.import_module(library), str(of_class), None)
    if not isinstance(kind, type):
        raise InputError(f"model_index.json: {name} is a {of_class}, which {library} does not have")
    if name == "tokenizer":
        return load_tokenizer(kind, folder)
    if name == "scheduler":
        return _load_scheduler(kind, folder)
    return load_part(kind, folder, dtype, device)


def _load_scheduler(kind: type, folder: Path) -> SchedulerMixin:
    other = "Save the pipeline with another scheduler, such as DPMSolverMultistepScheduler"
    if missing := [name for name in getattr(kind, "_backends", ()) if not importlib.util.find_spec(name)]:
        raise InputError(
            f"scheduler: a {kind.__name__}, which needs {', '.join(missing)} and draws noise that no seed decides. {other}"
        )
    read_json(folder / "scheduler_config.json")
    with explain(f"{folder.name}/"), silence():
        scheduler = kind.from_pretrained(folder, local_files_only=True)
        if _draws_noise_of_its_own(scheduler):
            raise InputError(
                f"scheduler: a {kind.__name__} that draws noise which the image's seed does not decide (its `step` takes no "
                f"generator), so images could not be made again. {other}"
            )
    return scheduler


def _draws_noise_of_its_own(scheduler: SchedulerMixin) -> bool:
    """Tell whether a sampler's result depends on more than the start and the generator: on torch's state, on the batch."""

    def run(state: int) -> torch.Tensor:
        sampler = type(scheduler).from_config(scheduler.config)
        takes_generator = "generator" in inspect.signature(sampler.step).parameters
        given = {"generator": [torch.Generator().manual_seed(0) for _ in range(2)]} if takes_generator else {}
        sampler.set_timesteps(STEPS)
        sample = torch.ones(2, 4, 8, 8) * sampler.init_noise_sigma
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state)
            for time in sampler.timesteps:
                predicted = sampler.scale_model_input(sample, time) / 10
                sample = sampler.step(predicted, time, sample, **given).prev_sample
        return sample.nan_to_num()

    first, second = run(0), run(1)
    return not (torch.equal(first, second) and torch.equal(first[0], first[1]))


def _check_fit(
    model: str,
    text_encoder: CLIPTextModel,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Raise an InputError if the parts do not fit together."""
    check_vocabulary(
        tokenizer, text_encoder.get_input_embeddings().num_embeddings, f"{model}: tokenizer", "text_encoder"
    )
    takes, numbers, channels = unet.config, text_encoder.config.hidden_size, vae.config.latent_channels
    width = takes.cross_attention_dim
    if takes.encoder_hid_dim_type is None and any(
        one != numbers for one in ([width] if isinstance(width, int) else width)
    ):
        raise InputError(f"{model}: text_encoder gives {numbers} numbers per token, and unet takes {width}")
    if not channels == takes.in_channels == takes.out_channels:
        raise InputError(
            f"{model}: vae has latents of {channels} channels, and unet takes {takes.in_channels} and gives "
            f"{takes.out_channels}; was it trained for another task, such as to fill in parts of images?"
        )
    if more := [
        key for key in ("addition_embed_type", "class_embed_type", "num_class_embeds") if takes[key] is not None
    ]:
        raise InputError(f"{model}: unet takes more than a text ({', '.join(more)}), as those of other pipelines")


def _find_adapters(folder: Path) -> Iterator[str]:
    """Yield the names of files in a model's folder, or beside it, that add to a model and that no pipeline reads."""
    for file in sorted([*folder.rglob("*"), *folder.absolute().parent.glob("*")]):
        if file.suffix in (".safetensors", ".bin", ".pt", ".ckpt") and file.is_file():
            if ADAPTER.search(file.name):
                yield file.name
            elif file.suffix == ".safetensors":
                try:
                    with safe_open(file, "pt") as opened:
                        keys = opened.keys()
                        if any(map(ADAPTER.search, keys)):
                            yield file.name
                except (SafetensorError, OSError):
                    continue
