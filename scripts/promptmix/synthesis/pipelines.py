"""Open a text-to-image pipeline in diffusers' format: can this project use it, is it whole, does it fit together?

A pipeline is what its model_index.json says, and nothing else: each class that can be used stands in
`promptmix.synthesis.families`, and of the others the error says the name. Only the parts that make images of prompts are
read; those that do not (a safety checker and its feature extractor, an encoder of images) need not be there.
"""

import importlib.util
import inspect
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from safetensors import SafetensorError, safe_open

from promptmix.errors import InputError, did_you_mean, list_some
from promptmix.networks.text_to_image import find_guidance, find_refused
from promptmix.synthesis import families
from promptmix.synthesis.families import FAMILIES, REFINER, Family, family_of
from promptmix.synthesis.loras import merge_lora
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

LIBRARIES = ("diffusers", "transformers")
"""Where the classes of parts may be from: others would be code that came with the model."""

EXPECTED = (
    "a text-to-image pipeline: a folder in diffusers' format (model_index.json, unet/ or transformer/, vae/, text_encoder/, "
    "tokenizer/, scheduler/), such as resources/models/stable-diffusion, or the name of a model in the Hub's cache"
)

LEVELS = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "rescale_betas_zero_snr"),
    *("prediction_type", "shift", "use_dynamic_shifting"),
)
"""What a model's scheduler says of how the model was trained; another one must say the same."""

ADAPTER = re.compile(r"lora|lycoris|learned_embeds|textual_inversion|hypernetwork|ip[-_]adapter", re.IGNORECASE)
"""In the name of a file, or of a tensor in it, what marks it as an addition to a model."""

REFINERS = {REFINER.kind.__name__: REFINER}
"""What can go on where SDXL stops."""

STEPS = 10
"""Steps for which a sampler is tried."""


@dataclass(frozen=True)
class GeneratorSettings:
    """How images are made from a prompt and a seed.

    Args:
        steps: number of the sampler's steps.
        guidance: scale of the classifier-free guidance; 1 or less for no guidance. Of a network that was distilled with its
            guidance, the scale that it is told.
        negative_prompt: text from which images are guided away.
        precision: of the networks, "float32", "float16" or "bfloat16". On a CPU, float16 is computed in float32, and what each
            layer gives is rounded.
        scheduler: class in diffusers of the sampler; None for the model's own.
        variant: of the files of weights, such as "fp16"; None for those without one, and else fp16.
        native: a side, or width and height, in pixels, whose number of pixels images are generated with before they are
            brought to their size; None for their size.
        lora: what is added to the networks' weights, see `promptmix.synthesis.loras.merge_lora`.
        refiner: `model`, the second half of SDXL, and `from`, the share of the steps after which it goes on.
        offload: what waits in the computer's memory while a GPU computes: "model", whole networks, or "sequential", their
            layers; None for nothing.
    """

    steps: int
    guidance: float
    negative_prompt: str = ""
    precision: str = "float32"
    scheduler: str | None = None
    variant: str | None = None
    native: int | Sequence[int] | None = None
    lora: Sequence[Mapping[str, Any]] = ()
    refiner: Mapping[str, Any] | None = None
    offload: str | None = None


def check_pipeline(model: str, settings: GeneratorSettings | None = None) -> None:
    """Find out whether a model can make images, from its files and without computing.

    Args:
        settings: how; None for those that every model takes.

    Raises:
        InputError: it cannot, or does not take a setting; one line for each part that is wrong.
    """
    _open(model, settings, "meta")


def check_refiner(model: str) -> None:
    """Find out whether a model can go on where SDXL stops, as `check_pipeline` does.

    Raises:
        InputError: it cannot.
    """
    _read(model, REFINERS, None, "meta")


def open_pipeline(model: str, settings: GeneratorSettings) -> DiffusionPipeline:
    """Return a pipeline on the CPU, after the same checks as `check_pipeline`.

    Its attribute `guided` says how it is guided, as `promptmix.networks.text_to_image.find_guidance`, and `refiner` is the
    pipeline that goes on after it, or None.

    Args:
        model: folder in diffusers' format, or name of a model in the Hub's cache.

    Raises:
        InputError: it cannot make images, or does not take a setting.
    """
    folder = locate(model, EXPECTED)
    log.info("%s: reading %s", model, folder)
    used = {Path(given.get("file", given["model"])).name for given in settings.lora}
    if unused := sorted(set(_find_adapters(folder)) - used):
        log.warning(
            "%s: not used: %s. A pipeline is what its model_index.json says: name a LoRA in the generator's `lora`, and merge "
            "what else is added into the networks",
            *(model, list_some(unused)),
        )
    return _open(model, settings, "cpu")


def size_multiple(pipeline: DiffusionPipeline) -> int:
    """Return of what number, in pixels, the sides of a pipeline's images are multiples."""
    family = family_of(pipeline)
    patch = denoiser_of(pipeline).config.get("patch_size") or 1
    return family.multiple(pipeline.vae_scale_factor, patch)


def denoiser_of(pipeline: DiffusionPipeline) -> torch.nn.Module:
    """Return the network of a pipeline that denoises."""
    return getattr(pipeline, family_of(pipeline).denoiser)


def read_index(
    model: str, folder: Path, known: Mapping[str, Family] = FAMILIES | REFINERS
) -> tuple[dict[str, Any], Family]:
    """Return a model's model_index.json and its family.

    Args:
        known: families by the class that it may name; by default all, and SDXL's refiner.

    Raises:
        InputError: it is none that can be used.
    """
    wrong = f"{model} is incomplete, or another model:\n- model_index.json"
    if not (folder / "model_index.json").exists():
        raise InputError(f"{wrong} is missing in {folder}. Expected {EXPECTED}")
    index = dict(read_json(folder / "model_index.json"))
    name = index.get("_class_name")
    if not isinstance(name, str) or name not in known:
        named = " of ".join(map(str, reversed(name))) if isinstance(name, list) else name
        titles = ", ".join(dict.fromkeys(family.title for family in known.values()))
        hint = "; name SDXL's refiner in the generator's `refiner`" if named in REFINERS else ""
        raise InputError(f"{wrong}: a {named}; expected one of {', '.join(known)}, as of {titles}{hint}")
    parameters = {*inspect.signature(getattr(diffusers, name).__init__).parameters}
    if others := sorted(key for key, value in index.items() if _is_part(value) and key not in parameters):
        raise InputError(f"{wrong}: a {name} with {', '.join(others)}, which it does not have; as what was it saved?")
    return index, known[name]


def _open(model: str, settings: GeneratorSettings | None, device: str) -> DiffusionPipeline:
    """Return a pipeline with its settings, on "cpu", or on "meta" for a check."""
    pipeline = _read(model, FAMILIES, settings, device)
    if settings is None:
        return pipeline
    _check_settings(pipeline, settings)
    for lora in settings.lora:
        merge_lora(pipeline, lora)
    if settings.refiner:
        pipeline.refiner = _read(settings.refiner["model"], REFINERS, settings, device)
    for part in (pipeline, pipeline.refiner):
        if part is not None and settings.scheduler:
            part.scheduler = _replace_scheduler(part, settings.scheduler)
    if settings.refiner:
        _check_refiner(pipeline, settings)
    return pipeline


def _read(
    model: str, known: Mapping[str, Family], settings: GeneratorSettings | None, device: str
) -> DiffusionPipeline:
    """Return a pipeline of which each part was checked.

    Args:
        known: families by the class that model_index.json names.
    """
    folder = locate(model, EXPECTED)
    index, family = read_index(model, folder, known)
    dtype = getattr(torch, settings.precision) if settings and device == "cpu" else None
    variant = settings.variant if settings else None
    parts: dict[str, Any] = {}
    problems = []
    for name in (*family.networks, *family.tokenizers, "scheduler"):
        if name in family.optional and not _is_part(index.get(name)):
            parts[name] = None
            continue
        try:
            parts[name] = _load(name, index.get(name), folder / name, family, dtype, device, variant)
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n- ".join([f"{model} is incomplete, or another model:", *problems]))
    _check_fit(model, family, parts, bool(index.get("requires_aesthetics_score")))
    names = inspect.signature(family.kind.__init__).parameters
    optional = {name: None for name in names if name in family.kind._optional_components}
    said = {name: index[name] for name in names if name in index and not isinstance(index[name], list)}
    without = {name: False for name in ("requires_safety_checker", "add_watermarker") if name in names}
    with silence():
        pipeline = family.kind(**optional | said | without | parts)
    pipeline.register_to_config(_name_or_path=model)
    own = {"_class_name": type(pipeline.scheduler).__name__, **pipeline.scheduler.config}
    pipeline.guided = find_guidance(family.name, denoiser_of(pipeline).config, own)
    pipeline.refiner = None
    return pipeline


def _is_part(value: object) -> bool:
    """Tell whether a value of model_index.json is a library and a class in it."""
    return isinstance(value, list) and len(value) == 2 and value[0] is not None


def _load(
    name: str, given: object, folder: Path, family: Family, dtype: torch.dtype | None, device: str, variant: str | None
) -> Any:
    """Return a part of a pipeline.

    Args:
        given: its library and class, as model_index.json gives them.
    """
    if not _is_part(given):
        raise InputError(f"model_index.json: {name} is missing")
    assert isinstance(given, list)
    library, of_class = given
    if library not in LIBRARIES:
        raise InputError(
            f"model_index.json: {name} is a {of_class} of {library}, which came with the model; not supported"
        )
    kind = getattr(importlib.import_module(library), str(of_class), None)
    if not isinstance(kind, type):
        raise InputError(f"model_index.json: {name} is a {of_class}, which {library} does not have")
    if name in family.tokenizers:
        return load_tokenizer(kind, folder)
    if name == "scheduler":
        return _load_scheduler(kind, folder, family)
    if not issubclass(kind, expected := family.networks[name]):
        raise InputError(f"model_index.json: {name} is a {of_class}, and {family.title} has a {expected.__name__}")
    return load_part(kind, folder, dtype, device, variant=variant)


# --- Samplers ---


def _load_scheduler(kind: type, folder: Path, family: Family) -> SchedulerMixin:
    read_json(folder / "scheduler_config.json")
    usual = "FlowMatchEulerDiscreteScheduler" if family.flow else "DPMSolverMultistepScheduler"
    other = f"Save the pipeline with another scheduler, such as {usual}"
    _check_installed(kind, other)
    with explain(f"{folder.name}/"), silence():
        scheduler = kind.from_pretrained(folder, local_files_only=True)
        _check_scheduler(scheduler, family, other)
    return scheduler


def _replace_scheduler(pipeline: DiffusionPipeline, name: str) -> SchedulerMixin:
    """Return another sampler for a pipeline, with what its own one says of how the network was trained.

    Raises:
        InputError: there is no such class, or it does not fit the model.
    """
    family, model = family_of(pipeline), pipeline.name_or_path
    kind, own = getattr(diffusers, name, None), pipeline.scheduler
    known = sorted(each for each in dir(diffusers) if each.endswith("Scheduler"))
    if not (isinstance(kind, type) and name in known):
        raise InputError(
            f"scheduler: diffusers has no {name}.{did_you_mean(name, known)} The model {model} comes with a "
            f"{type(own).__name__}; leave `scheduler` out to keep it"
        )
    other = f"Name another one, or leave `scheduler` out: {model} comes with a {type(own).__name__}"
    _check_installed(kind, other)
    with explain(f"scheduler: a {name} with the settings of {model}'s {type(own).__name__}"), silence():
        found = kind.from_config(own.config)
        _check_scheduler(found, family, other)
    takes = inspect.signature(kind.__init__).parameters  # `found.config` has what it does not take, too
    if ignored := [key for key in LEVELS if own.config.get(key) and key not in takes]:
        raise InputError(
            f"scheduler: {model} was trained with {ignored[0]} {own.config[ignored[0]]}, which a {name} cannot be told. {other}"
        )
    return found


def _check_installed(kind: type, other: str) -> None:
    if missing := [name for name in getattr(kind, "_backends", ()) if not importlib.util.find_spec(name)]:
        raise InputError(
            f"scheduler: a {kind.__name__}, which needs {', '.join(missing)} and draws noise that no seed decides. {other}"
        )


def _check_scheduler(scheduler: SchedulerMixin, family: Family, other: str) -> None:
    """Raise an InputError if a sampler is not for such networks, or draws noise that no seed decides."""
    name, config = type(scheduler).__name__, scheduler.config
    flow = name.startswith("FlowMatch") or bool(config.get("use_flow_sigmas"))
    if flow != family.flow:
        learnt = (
            "straight paths from noise to images (flow matching)" if family.flow else "to take noise out step by step"
        )
        raise InputError(f"scheduler: a {name}, which is not for {family.title}: its networks learn {learnt}. {other}")
    if not hasattr(scheduler, "step") or not hasattr(scheduler, "set_timesteps"):
        raise InputError(f"scheduler: a {name} makes no images of prompts. {other}")
    if _draws_noise_of_its_own(scheduler, family):
        why = "its `step` takes no generator" if family.seeded else f"{family.title} gives its `step` no generator"
        raise InputError(
            f"scheduler: a {name} that draws noise which the image's seed does not decide ({why}), so images could not be "
            f"made again. {other}"
        )


def _draws_noise_of_its_own(scheduler: SchedulerMixin, family: Family) -> bool:
    """Tell whether a sampler's result depends on more than the start and the generator: on torch's state, on the batch."""

    def run(state: int) -> torch.Tensor:
        sampler = type(scheduler).from_config(scheduler.config)
        takes_generator = family.seeded and "generator" in inspect.signature(sampler.step).parameters
        given = {"generator": [torch.Generator().manual_seed(0) for _ in range(2)]} if takes_generator else {}
        _set_steps(sampler, family, STEPS)
        sample = torch.ones(2, 4, 8, 8) * getattr(sampler, "init_noise_sigma", 1.0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state)
            for time in sampler.timesteps:
                scaled = sample if family.flow else sampler.scale_model_input(sample, time)
                sample = sampler.step(scaled / 10, time, sample, **given).prev_sample
        return sample.nan_to_num()

    first, second = run(0), run(1)
    return not (torch.equal(first, second) and torch.equal(first[0], first[1]))


def _set_steps(sampler: SchedulerMixin, family: Family, steps: int) -> None:
    """Set a sampler's steps as the pipeline of a family does it."""
    shift = {"mu": 1.0} if family is families.FLUX or sampler.config.get("use_dynamic_shifting") else {}
    if family is families.FLUX and not sampler.config.get("use_flow_sigmas"):
        sampler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), **shift)
    else:
        sampler.set_timesteps(steps, **shift)


# --- What does not fit ---


def _check_settings(pipeline: DiffusionPipeline, settings: GeneratorSettings) -> None:
    """Compare settings with what a pipeline takes.

    Raises:
        InputError: it has no use for a setting.
    """
    for _, why in find_refused(family_of(pipeline).name, pipeline.guided, vars(settings)):
        raise InputError(f"{pipeline.name_or_path}: {why}")


def _check_refiner(pipeline: DiffusionPipeline, settings: GeneratorSettings) -> None:
    """Raise an InputError if the pipeline that goes on has other latents, or nothing to do."""
    assert settings.refiner
    refiner, model = pipeline.refiner, settings.refiner["model"]
    ours, theirs = (
        {key: part.vae.config.get(key) for key in ("latent_channels", "scaling_factor")}
        | {"factor": part.vae_scale_factor}
        for part in (pipeline, refiner)
    )
    if ours != theirs:
        raise InputError(
            f"refiner: the autoencoder of {model} ({theirs}) is not that of {pipeline.name_or_path} ({ours})"
        )
    cut = round((1 - settings.refiner["from"]) * pipeline.scheduler.config.num_train_timesteps)
    for part, what in ((pipeline, "the model"), (refiner, "the refiner")):
        sampler = type(part.scheduler).from_config(part.scheduler.config)
        sampler.set_timesteps(settings.steps)
        before = int((torch.as_tensor(sampler.timesteps) >= cut).sum())
        if (before if part is pipeline else len(sampler.timesteps) - before) == 0:
            raise InputError(
                f"refiner: from {settings.refiner['from']:g} of {settings.steps} steps, {what} has no step to make; change "
                f"`from`, or raise `steps`"
            )


def _check_fit(model: str, family: Family, parts: Mapping[str, Any], aesthetics: bool) -> None:
    """Raise an InputError if the parts do not fit together, and set how long a text each tokeniser passes on."""
    for encoder, name in zip(family.encoders, family.tokenizers, strict=True):
        if (tokenizer := parts[name]) is None:
            continue
        if parts[encoder] is None:
            raise InputError(f"{model}: there is a {name} and no {encoder}")
        tokens = parts[encoder].get_input_embeddings().num_embeddings
        check_vocabulary(tokenizer, tokens, f"{model}: {name}", encoder)
        # One that does not know its length would pass a text on that is too long for the encoder.
        longest = getattr(parts[encoder].config, "max_position_embeddings", tokenizer.model_max_length)
        tokenizer.model_max_length = min(tokenizer.model_max_length, longest)
        if tokenizer.pad_token_id is None:
            raise InputError(f"{model}: {name} has no token to fill up short texts with; files of it are missing")
    if misfits := list(families.find_misfits(family, parts, aesthetics)):
        raise InputError("\n- ".join([f"{model}: {misfits[0]}", *misfits[1:]]))


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
