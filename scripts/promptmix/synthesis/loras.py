"""Merge LoRAs (Hu et al., 2021) into a pipeline's networks: W + scale * alpha / rank * B A, for each layer that one names.

The result is that of adding B A x in each forward pass, but for rounding, and costs nothing when images are made. diffusers
turns the names that trainers give to layers (kohya's, and others) into its own; what is left over then is an error, so that no
part of a LoRA is passed over.
"""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from safetensors import SafetensorError, safe_open

from promptmix.errors import InputError, list_some
from promptmix.running import hub
from promptmix.synthesis.families import FLUX, family_of
from promptmix.synthesis.pretrained import explain, silence

log = logging.getLogger(__name__)

MATRIX = re.compile(
    r"(?P<layer>.+?)((\.processor)?\.(?P<inner>to_[a-z_]+)_lora\.(?P<old>down|up)|\.lora(_linear_layer)?\.(?P<side>down|up)"
    r"|\.lora_(?P<new>[AB])(\.default)?)\.weight"
)
"""Names of a LoRA's matrices in diffusers' formats: A, or down, comes first, and B, or up, after it."""

METADATA = "lora_adapter_metadata"
"""Where diffusers and peft store how a LoRA was made."""


def merge_lora(pipeline: DiffusionPipeline, lora: Mapping[str, Any]) -> None:
    """Add a LoRA to the weights of a pipeline's networks; on the device "meta", only find out whether it could be.

    Args:
        lora: `model`, a file of safetensors, a folder, or the name of a model in the Hub's cache; `file`, which one in the
            folder, where there are several; `scale`, with what it is multiplied.

    Raises:
        InputError: there is no such file, or it is of another model.
    """
    file = find_lora(lora)
    weights, metadata = _read(file)
    family = family_of(pipeline)
    with explain(f"lora: {file}"), silence():
        more = {"unet_config": pipeline.unet.config} if family.denoiser == "unet" else {}
        more |= {"return_alphas": True} if family is FLUX else {}  # which it would leave out
        found = family.kind.lora_state_dict(dict(weights), **more)
    weights, alphas = found if isinstance(found, tuple) else (found, None)
    pairs = _pair(file, weights)
    scales = _find_scales(file, pairs, weights, alphas or {}, metadata)
    networks = {name: getattr(pipeline, name) for name in (*family.encoders, family.denoiser)}
    merged: dict[str, int] = dict.fromkeys(networks, 0)
    for layer, (down, up) in pairs.items():
        name, module = _find_layer(networks, layer)
        if module is None:
            raise InputError(
                f"lora: {file} is for a layer {layer}, which {pipeline.name_or_path} does not have; it was made for another model"
            )
        merged[name] += 1
        _add(file, layer, module, down, up, float(lora.get("scale", 1)) * scales[layer])
    said = ", ".join(f"{number} of {name}" for name, number in merged.items() if number)
    log.info("%s: merged into %s, times %g", file, said, lora.get("scale", 1))


def find_lora(lora: Mapping[str, Any]) -> Path:
    """Return the file of a LoRA.

    Raises:
        InputError: there is none, or several.
    """
    model, name = lora["model"], lora.get("file")
    path = hub.locate(model)
    if path is None:
        raise InputError(
            f"lora: {model}: there is no such file or folder, and the Hub's cache has no model of this name. Put it there, or "
            f"correct the config"
        )
    if path.is_file():
        return path
    files = [path / name] if name else sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        listed = f"several ({list_some(file.name for file in files)}); say which in `file`" if files else "none"
        raise InputError(f"lora: {model}: one file of .safetensors is expected there, and there is {listed}")
    if not files[0].is_file():
        there = list_some(sorted(file.name for file in path.glob("*.safetensors"))) or "no .safetensors"
        raise InputError(f"lora: {model}: there is no {name}; it holds {there}")
    return files[0]


def _read(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors of a file, and how the LoRA was made, as far as the file says it."""
    if file.suffix != ".safetensors":
        raise InputError(f"lora: {file} is no .safetensors; convert it, as other files can run code when they are read")
    try:
        with safe_open(file, "pt") as opened:
            metadata = json.loads((opened.metadata() or {}).get(METADATA, "{}"))
            weights = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"lora: {file} is cut off or damaged ({error})") from None
    if others := sorted(key for key in weights if re.search(r"dora_scale|hada_|lokr_|\.diff|\.oft_", key)):
        raise InputError(
            f"lora: {file} holds more than a LoRA ({list_some(others)}), such as DoRA, LoHa or LoKr; merge it into the model's "
            f"networks with the program that made it"
        )
    return weights, metadata


def _pair(file: Path, weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return A and B of each layer, in float32."""
    sides: dict[str, dict[str, torch.Tensor]] = {}
    rest = []
    for key, tensor in weights.items():
        if place := _parse(key):
            sides.setdefault(place[0], {})[place[1]] = tensor.float()
        elif not key.endswith(".alpha"):
            rest.append(key)
    if rest or not sides:
        what = f"tensors that are none of a LoRA's: {list_some(sorted(rest))}" if rest else "no LoRA"
        raise InputError(
            f"lora: {file} holds {what}. Expected pairs such as unet....lora_A.weight and ....lora_B.weight"
        )
    if half := sorted(layer for layer, found in sides.items() if len(found) != 2):
        raise InputError(f"lora: {file} holds one of two matrices of {list_some(half)}; it was saved in part")
    return {layer: (found["A"], found["B"]) for layer, found in sides.items()}


def _find_scales(
    file: Path,
    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
    weights: Mapping[str, torch.Tensor],
    alphas: Mapping[str, float],
    metadata: Mapping[str, Any],
) -> dict[str, float]:
    """Return alpha / rank of each layer; 1 where nothing says alpha."""
    if odd := [key for key, value in metadata.items() if key.split(".")[-1] in ("use_dora", "use_rslora") and value]:
        raise InputError(f"lora: {file} was made with {', '.join(odd)}, which is not supported")
    if odd := [key for key, value in metadata.items() if key.split(".")[-1] == "alpha_pattern" and value]:
        raise InputError(f"lora: {file} has an alpha of its own for some layers ({', '.join(odd)}); not supported")
    of_layers = {_layer_of(key): float(value) for key, value in alphas.items()}
    of_layers |= {_layer_of(key): float(value) for key, value in weights.items() if key.endswith(".alpha")}
    if unknown := sorted(set(of_layers) - set(pairs)):
        raise InputError(f"lora: {file} gives alpha of layers that it has no matrices of: {list_some(unknown)}")
    scales = {}
    for layer, (down, _) in pairs.items():
        rank = down.shape[0]
        network = layer.split(".")[0]
        alpha = of_layers.get(layer, metadata.get(f"{network}.lora_alpha", metadata.get("lora_alpha", rank)))
        scales[layer] = float(alpha) / rank
    return scales


def _parse(key: str) -> tuple[str, str] | None:
    """Return the layer and the side, "A" or "B", that the name of a matrix is of; None if it is no such name."""
    if (match := MATRIX.fullmatch(key)) is None:
        return None
    inner = "to_out.0" if match["inner"] == "to_out" else match["inner"]
    side = match["new"] or {"down": "A", "up": "B"}[match["old"] or match["side"]]
    return f"{match['layer']}.{inner}" if inner else match["layer"], side


def _layer_of(alpha: str) -> str:
    """Return the layer that an alpha is of: its name is that of the layer or of a matrix."""
    name = alpha.removesuffix(".alpha")
    place = _parse(name)
    return place[0] if place else name


def _find_layer(networks: Mapping[str, torch.nn.Module | None], layer: str) -> tuple[str, torch.nn.Module | None]:
    """Return the network that has a layer, and the layer itself; None if there is none of that name."""
    network, _, path = layer.partition(".")
    if (found := networks.get(network)) is None:
        return network, None
    modules = dict(found.named_modules())
    # Text encoders' layers were one level deeper in earlier versions of transformers.
    return network, modules.get(path) or modules.get(path.removeprefix("text_model.")) or modules.get(
        f"text_model.{path}"
    )


@torch.no_grad()
def _add(file: Path, layer: str, module: torch.nn.Module, down: torch.Tensor, up: torch.Tensor, scale: float) -> None:
    """Add scale * B A to a layer's weights."""
    weight = getattr(module, "weight", None)
    shape = tuple(weight.shape) if isinstance(weight, torch.Tensor) else ()
    if not isinstance(module, torch.nn.Linear | torch.nn.Conv2d) or getattr(module, "groups", 1) != 1:
        raise InputError(f"lora: {file} changes {layer}, a {type(module).__name__}, which is not supported")
    product = (up.shape[0], *down.shape[1:])
    if up.flatten(1).shape[1] != down.shape[0] or _squeeze(product) != _squeeze(shape):
        raise InputError(
            f"lora: {file} is for {layer} of {tuple(product)} weights, and the model's has {shape}; it was made for another model"
        )
    if module.weight.device.type == "meta":
        return
    change = (up.flatten(1) @ down.flatten(1)).view(shape)
    module.weight.copy_((module.weight.float() + scale * change).to(module.weight.dtype))


def _squeeze(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a layer's weights without the sides of a kernel of 1x1."""
    return shape[:2] if shape[2:] in ((), (1, 1)) else shape
