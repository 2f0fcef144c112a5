"""Weights in files: safetensors for what this project writes, and PyTorch's own format for what others published.

Files are written whole or not at all, and read strictly: a file that does not fit its network is an error that says
where they differ. Nothing in a file is ever executed.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from promptmix import networks
from promptmix.errors import InputError

PICKLED = (".pt", ".pth", ".pth.tar")
"""Endings of files in PyTorch's format."""

SHOWN = 5
"""Keys of each kind that an error message lists."""


def save_weights(
    path: str | Path,
    weights: nn.Module | Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> None:
    """Write weights as safetensors, under a temporary name first: an interrupted job leaves no half file.

    Args:
        path: the file, ending in .safetensors; its folder is made if need be.
        weights: a network, or the tensors of one by key. Of tensors that are one and the same (GPT-2's `lm_head` and
            `wte`), the first is written.
        metadata: what the file should say about itself.
        dtype: for floating-point tensors; as they are by default. `torch.float16` for weights that are shipped.

    Raises:
        ValueError: another ending.
        TypeError: metadata that is not text.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path}: weights are written as safetensors, so the name must end in .safetensors")
    metadata = dict(metadata or {})
    for key, value in metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise TypeError(f"{path}: metadata is text, and {key!r} is {value!r}")
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    tensors = {}
    for keys in _same_tensors(state):
        tensor = state[keys[0]].detach().cpu()
        tensors[keys[0]] = tensor.to(dtype if dtype and tensor.is_floating_point() else tensor.dtype).contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_bytes(save(tensors, metadata))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Fill a network with a file's weights. All tensors must be there, no others, and of the right shape.

    Numbers are converted to the network's precision, and go to its device. Tensors that are one and the same in the
    network need to be in the file once. Constants that the network's `legacy_keys` name are dropped, and keys that begin as
    its `renamed_keys` say are those of today. On an error the network is as it was.

    Args:
        module: the network.
        path: .safetensors, or .pt, .pth, .pth.tar with tensors by key.

    Raises:
        InputError: no such file.
        ValueError: the file is damaged, holds something else, or does not fit the network.
    """
    given = read_tensors(path)
    legacy = [re.compile(pattern) for pattern in getattr(module, "legacy_keys", ())]
    given = {key: tensor for key, tensor in given.items() if not any(pattern.fullmatch(key) for pattern in legacy)}
    for start, now in getattr(module, "renamed_keys", {}).items():
        given = {re.sub(f"^{start}", now, key): tensor for key, tensor in given.items()}
    own = module.state_dict()
    for keys in _same_tensors(own):
        source = next((key for key in keys if key in given), None)
        if source is not None:
            given.update({key: given[source] for key in keys if key not in given})

    missing = [key for key in own if key not in given]
    unexpected = [key for key in given if key not in own]
    reshaped = [
        f"{key} is {_size(given[key])} in the file, {_size(own[key])} in the network"
        for key in own
        if key in given and given[key].shape != own[key].shape
    ]
    problems = [
        f"{len(found)} {kind}: {', '.join(found[:SHOWN])}{', ...' if len(found) > SHOWN else ''}"
        for kind, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if found
    ]
    if problems:
        name = type(module).__name__
        settings = ", ".join(networks.settings_of(type(module)))
        raise InputError(
            f"{path} does not fit {name}.\n"
            f"Of the network's {len(own)} tensors and the file's {len(given)}:\n  " + "\n  ".join(problems) + "\n"
            f"Is this file a checkpoint of {name}?"
            + (f" If so, check the settings that it was trained with: {settings}." if settings else "")
        )
    module.load_state_dict(given)


def load_network(name: str, path: str | Path, **settings) -> nn.Module:
    """Return the network `name` with a file's weights, on the CPU, in evaluation mode.

    Args:
        name: a key of `networks.NETWORKS`.
        path: the weights, see `load_weights`.
        settings: those the weights were trained with, as in `networks.build`.

    Raises:
        InputError: no such file.
        ValueError: an unknown network or setting, or weights that do not fit.
    """
    network = networks.build(name, **settings)
    try:
        load_weights(network, path)
    except InputError as error:
        if Path(path).is_file():
            raise
        published = getattr(network, "published", None)
        raise InputError(f"{error} Published weights: {published}." if published else str(error)) from None
    return network.eval()


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file of weights by key, on the CPU, as they stand there.

    Raises:
        InputError: no such file.
        ValueError: another ending, the file is damaged, or holds something else than tensors by key.
    """
    path = _existing(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path} is damaged or no safetensors file ({error}); fetch or make it again") from error
    if not path.name.endswith(PICKLED):
        raise InputError(f"{path}: weights end in .safetensors, {', '.join(PICKLED)}, and this does not")
    with path.open("rb") as file:
        try:
            content = torch.load(file, weights_only=True, map_location="cpu")
        except Exception as error:  # a damaged file can fail anywhere in the reader
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(
                f"{path} is damaged, or holds more than tensors and plain values, which is not loaded for safety; "
                f"fetch it again ({reason})"
            ) from error
    return _state_dict(content, path)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return what a safetensors file says about itself (`save_weights`)."""
    with safe_open(_existing(path), "pt") as file:
        return file.metadata() or {}


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """Return the tensors by key of what a checkpoint in PyTorch's format holds; here its nesting would be undone."""
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        found = f"a dict of {', '.join(map(str, content))}" if isinstance(content, Mapping) else type(content).__name__
        raise InputError(f"{path} should hold tensors by key; it holds {found}")
    return dict(content)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"No weights at {path} (expected at {path.absolute()}). Put the file there, or correct the path in the "
            f"config; the miniature's own lie in resources/models."
        )
    return path


def _same_tensors(state: Mapping[str, Tensor]) -> list[list[str]]:
    """Return the keys of a state dict, those of one and the same tensor together."""
    groups: dict[object, list[str]] = {}
    for key, tensor in state.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        groups.setdefault(place if tensor.numel() and not tensor.is_meta else key, []).append(key)
    return list(groups.values())


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
