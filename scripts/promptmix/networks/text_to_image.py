"""How text-to-image pipelines of diffusers are guided, and which settings they do not take, as their configs say it.

Snakemake asks at every start, so nothing here imports torch. What else must be right about a pipeline, and what it is made of,
is in `promptmix.synthesis.families` and `promptmix.synthesis.pipelines`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TWO_PASSES = "two passes"
"""Guidance that takes the network twice in each step: with the prompt, and without it or with the negative one."""

BUILT_IN = "built in"
"""Guidance that was distilled into the network, which takes its scale as a number."""

NO_GUIDANCE = "none"
"""A network that was distilled so that it needs no guidance, and was not trained to be guided."""

TITLES = {
    "StableDiffusionPipeline": "Stable Diffusion 1 or 2",
    "LatentConsistencyModelPipeline": "a latent consistency model",
    "StableDiffusionXLPipeline": "SDXL",
    "StableDiffusionXLImg2ImgPipeline": "SDXL's refiner",
    "StableDiffusion3Pipeline": "Stable Diffusion 3",
    "FluxPipeline": "Flux",
    "PixArtAlphaPipeline": "PixArt-alpha",
    "PixArtSigmaPipeline": "PixArt-Sigma",
    "SanaPipeline": "Sana",
}
"""What tables and messages call a pipeline, by its class."""

SAME = {
    "StableDiffusionImg2ImgPipeline": "StableDiffusionPipeline",
    "LatentConsistencyModelImg2ImgPipeline": "LatentConsistencyModelPipeline",
}
"""Classes of the same parts as others, as which these models are opened."""

WITH_REFINER = ("StableDiffusionXLPipeline",)
"""The classes of pipelines of which others go on where they stop."""

WITHOUT_LORA = ("PixArtAlphaPipeline", "PixArtSigmaPipeline")
"""The classes of pipelines into which diffusers cannot merge a LoRA."""


def described_by(generator: Mapping[str, Any]) -> str:
    """Return the model in diffusers' format that says what a generator's is like: itself, or the base of one file.

    Args:
        generator: an entry of the config, with `model`.
    """
    return generator.get("base", generator["model"])


def find_guidance(kind: str, denoiser: Mapping[str, Any], scheduler: Mapping[str, Any]) -> str:
    """Return how a model is guided: `TWO_PASSES`, `BUILT_IN` or `NO_GUIDANCE`.

    Models that were distilled by an adversary (Sauer et al., 2023: the Turbo models) say so in no config of theirs; but their
    samplers are those of k-diffusion, which start at the last of the training's steps and predict noise, as no guided model's
    of these families are published.

    Args:
        kind: its class, a key of `TITLES`.
        denoiser: config of the network.
        scheduler: the one that the model came with: its config, with `_class_name`.
    """
    if kind == "FluxPipeline":
        return BUILT_IN if denoiser.get("guidance_embeds") else NO_GUIDANCE
    if denoiser.get("time_cond_proj_dim") is not None:
        return BUILT_IN
    turbo = (
        kind in ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
        and str(scheduler.get("_class_name")).startswith("Euler")
        and scheduler.get("timestep_spacing") == "trailing"
        and scheduler.get("prediction_type", "epsilon") == "epsilon"
    )
    return NO_GUIDANCE if turbo else TWO_PASSES


def find_refused(kind: str, guided: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each setting of a generator that a model has no use for, and why.

    Args:
        kind: the model's class, a key of `TITLES`.
        guided: see `find_guidance`.
        settings: of a generator, by their keys in the config; what is missing or empty is not asked for.
    """
    if settings.get("negative_prompt") and guided != TWO_PASSES:
        why = "needs no guidance" if guided == NO_GUIDANCE else "was distilled with its guidance"
        yield (
            "negative_prompt",
            f"its network {why}, so a negative prompt does nothing; take `negative_prompt` away",
        )
    if settings.get("guidance", 0) > 1 and guided == NO_GUIDANCE:
        yield (
            "guidance",
            "its network was distilled to make images in few steps without guidance, and guidance is "
            f"{settings['guidance']:g}; write `guidance: 0`",
        )
    if settings.get("refiner") and kind not in WITH_REFINER:
        yield "refiner", f"{TITLES[kind]} has no refiner, only SDXL has; take `refiner` away"
    if settings.get("lora") and kind in WITHOUT_LORA:
        yield "lora", f"diffusers knows no form of a LoRA for {TITLES[kind]}; take `lora` away"


def find_refused_by(folder: Path, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the configs in a model's folder say that it has no use for, as `find_refused`.

    What is missing there, or is no config, says nothing; `promptmix.synthesis.pipelines.check_pipeline` says what is wrong.
    """
    index = _read(folder / "model_index.json")
    name = str(index.get("_class_name"))
    kind = SAME.get(name, name)
    if kind not in TITLES:
        return
    denoiser = next((found for part in ("unet", "transformer") if (found := _read(folder / part / "config.json"))), {})
    scheduler, given = _read(folder / "scheduler" / "scheduler_config.json"), index.get("scheduler")
    if isinstance(given, list) and len(given) == 2:
        scheduler = {"_class_name": given[1]} | scheduler
    yield from find_refused(kind, find_guidance(kind, denoiser, scheduler), settings)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
