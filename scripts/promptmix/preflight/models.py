"""Is a folder in diffusers' or transformers' format what is needed of it, and is it whole?"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open

NAMES = {"pipeline": "diffusion model", "clip": "CLIP", "tokenizer": "tokeniser"}
"""What can be needed of a folder."""


def locate_model(path: str) -> Path | None:
    """Return the folder of a model: the path itself, or the one in the Hub's cache; None if neither is there."""
    return Path(path) if Path(path).exists() else _find_in_cache(path)


def find_problems(folder: Path, parts: Iterable[str]) -> list[str]:
    """Return what is wrong with a folder.

    Args:
        parts: keys of `NAMES`, what is needed of the folder.
    """
    finders = {"pipeline": _check_pipeline, "clip": _check_clip, "tokenizer": _check_tokenizer}
    return [problem for part in parts for problem in finders[part](folder)]


def _find_in_cache(name: str) -> Path | None:
    """Return the folder of a model in the Hub's cache, or None."""
    for file in ("model_index.json", "config.json", "tokenizer_config.json"):
        try:
            found = try_to_load_from_cache(name, file)
        except ValueError:  # not a name that the Hub could have
            return None
        if isinstance(found, str):
            return Path(found).parent
    return None


def _check_pipeline(folder: Path) -> Iterator[str]:
    index, problem = _read_json(folder / "model_index.json")
    if problem:
        yield problem
    elif (kind := index.get("_class_name")) != "StableDiffusionPipeline":
        yield f"model_index.json: a {kind}; expected a StableDiffusionPipeline, as of Stable Diffusion 1"
    else:
        yield from _check_configs(folder, "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json")
        yield from _check_configs(folder, "text_encoder/config.json")
        yield from _check_weights(folder, "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model")
        yield from _check_weights(folder, "text_encoder/model", older="text_encoder/pytorch_model")
        yield from _check_tokenizer(folder / "tokenizer")


def _check_clip(folder: Path) -> Iterator[str]:
    config, problem = _read_json(folder / "config.json")
    if problem:
        yield problem
    elif not str(kind := config.get("model_type")).startswith("clip"):
        yield f"config.json: a model of the type {kind}; expected clip"
    else:
        yield from _check_configs(folder, "preprocessor_config.json")
        yield from _check_weights(folder, "model", older="pytorch_model")


def _check_tokenizer(folder: Path) -> Iterator[str]:
    if not (folder / "tokenizer.json").exists():  # or the two files that it was made of
        for name in ("vocab.json", "merges.txt"):
            if not (folder / name).exists():
                yield f"{folder.name}: no tokenizer.json, and no {name}"


def _check_configs(folder: Path, *names: str) -> Iterator[str]:
    yield from (problem for name in names if (problem := _read_json(folder / name)[1]))


def _check_weights(folder: Path, *stems: str, older: str = "") -> Iterator[str]:
    """Yield what is wrong with weights: of .safetensors header and length, of an older .bin only that it is there."""
    for stem in stems:
        files = sorted(folder.glob(f"{stem}.safetensors")) or sorted(folder.glob(f"{stem}-*-of-*.safetensors"))
        if not files and not (folder / f"{older or stem}.bin").exists():
            yield f"{stem}.safetensors is missing"
        for file in files:
            try:
                with safe_open(file, "pt"):
                    pass
            except (SafetensorError, OSError) as error:
                yield f"{file.relative_to(folder)} is cut off or damaged ({error})"


def _read_json(path: Path) -> tuple[dict[str, Any], str]:
    """Return what a file of keys and values holds, and what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, f"{path.name} is missing in {path.parent}"
    except (OSError, ValueError) as error:
        return {}, f"{path.name} in {path.parent} is not JSON ({error})"
    return (content, "") if isinstance(content, dict) else ({}, f"{path.name} in {path.parent} holds no keys")
