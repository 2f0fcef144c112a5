"""Is a model in diffusers' or transformers' format what is needed of it, and is it whole? The jobs make the same checks."""

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from promptmix.errors import InputError
from promptmix.networks.text_to_image import described_by
from promptmix.networks.transformers_models import MODULES
from promptmix.synthesis.captions import check_clip, check_tokenizer
from promptmix.synthesis.likeness import check_texts
from promptmix.synthesis.pipelines import GeneratorSettings, check_pipeline, check_refiner
from promptmix.synthesis.single_file import check_single_file

NAMES = {
    "pipeline": "diffusion model",
    "file": "diffusion model (file)",
    "refiner": "refiner",
    "LoRA": "LoRA",
    "clip": "CLIP",
    "texts": "CLIP's encoder of texts",
    "tokenizer": "tokeniser",
}
"""What can be needed of a model."""

CHECKS: dict[str, Callable[[str], object]] = {
    "pipeline": check_pipeline,
    "file": check_single_file,
    "refiner": check_refiner,
    "LoRA": lambda _: None,  # of which only the model can say whether it fits, see `find_unfit_settings`
    "clip": check_clip,
    "texts": check_texts,
    "tokenizer": check_tokenizer,
}


def find_problems(model: str, parts: Iterable[str]) -> list[str]:
    """Return what is wrong with a model.

    Args:
        model: a folder, or a name in the Hub's cache.
        parts: keys of `NAMES`, what is needed of it.
    """
    problems = []
    for part in parts:
        try:
            CHECKS[part](model)
        except InputError as error:
            problems.append(str(error))
    return problems


def find_unfit_settings(generator: Mapping[str, Any]) -> str:
    """Return which settings of a generator its model does not take; "" if it takes them all.

    Args:
        generator: an entry of the config, with `model`.
    """
    settings = GeneratorSettings(**{key: value for key, value in generator.items() if key not in ("model", "base")})
    try:
        check_pipeline(described_by(generator), settings)
    except InputError as error:
        return str(error)
    return ""


def check_annotator(model: str, task: str, settings: Mapping[str, Any]) -> None:
    """Find out whether a model of transformers can annotate for a task, from its files and without computing.

    Args:
        settings: as its module of `MODULES` takes them.

    Raises:
        InputError: it cannot, or is incomplete.
    """
    importlib.import_module(MODULES[task]).load(model, "meta", **settings)
