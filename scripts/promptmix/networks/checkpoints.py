"""Weights in files: safetensors for what this project writes, and what others published (`promptmix.networks.published`).

Files are written whole or not at all, and read strictly: a file that does not fit its network is an error that says
where they differ.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from promptmix import files
from promptmix.errors import InputError
from promptmix.networks.build import build, settings_of
from promptmix.networks.layers import Backbone
from promptmix.networks.published import find_weights, list_some, read_published, refuse_stand_ins

log = logging.getLogger(__name__)


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
    with files.replacing(path) as temporary:
        temporary.write_bytes(_in_order(save(tensors, metadata)))


def _in_order(content: bytes) -> bytes:
    """Return a safetensors file with its metadata by key: safetensors writes them in another order in each run."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + content[end:]


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Fill a network with a file's weights. All tensors must be there, no others, and of the right shape.

    Numbers are converted to the network's precision, and go to its device. Tensors that are one and the same in the
    network need to be in the file once. Constants that the network's `legacy_keys` name are dropped, and keys that begin as
    its `renamed_keys` say are those of today. On an error the network is as it was.

    Args:
        module: the network.
        path: .safetensors, or .pt, .pth, .pth.tar as in `read_tensors`.

    Raises:
        InputError: no such file, it is damaged, holds something else, or does not fit the network.
    """
    module.load_state_dict(_fitting(module, path))


def load_network(name: str, path: str | Path, **settings) -> nn.Module:
    """Return the network `name` with a file's weights, on the CPU, in evaluation mode.

    Args:
        name: a key of `networks.registry.NETWORKS`.
        path: the weights, see `load_weights`.
        settings: those the weights were trained with, as in `networks.build`.

    Raises:
        InputError: no such file.
        ValueError: an unknown network or setting, or weights that do not fit.
    """
    network = build(name, **settings)
    try:
        load_weights(network, path)
    except InputError as error:
        if Path(path).is_file():
            raise
        published = getattr(network, "published", None)
        raise InputError(f"{error} Published weights: {published}." if published else str(error)) from None
    return network.eval()


def read_fitting(name: str, path: str | Path, **settings) -> dict[str, Tensor]:
    """Return the tensors of a file of weights that fit a network. The network itself takes no memory.

    Args:
        name, path, settings: as in `load_network`.

    Raises:
        InputError: as in `load_weights`.
    """
    with torch.device("meta"):
        network = build(name, **settings)
    return _fitting(network, path)


def read_backbone(name: str, path: str | Path, **settings) -> dict[str, Tensor]:
    """Return the ImageNet weights that the authors start a network's first part from, under the network's keys.

    Args:
        name: a network that has a `backbone`: "csrnet", "rescsrnet" or "guidedepth".
        path: the published classifier's weights, or what `import_checkpoint` made of them.
        settings: of the network, as in `networks.build`.

    Raises:
        InputError: no such file, it is damaged, is of another classifier, or does not fit the network (which must have
            the published width); or the network has no backbone.
    """
    with torch.device("meta"):
        network = build(name, **settings)
    backbone = getattr(network, "backbone", None)
    if not isinstance(backbone, Backbone):
        raise InputError(
            f"{name} has no backbone whose ImageNet weights are published (csrnet, rescsrnet and guidedepth have one); "
            f"remove the backbone of {name} from the config"
        )
    own = {key: tensor for key, tensor in network.state_dict().items() if re.fullmatch(backbone.keys, key)}
    advice = (
        f"Is this file {backbone.classifier} as trained on ImageNet ({backbone.published})? If so, {name} must have its "
        f"published width (width: 1) to start from it."
    )
    what = f"{backbone.classifier}, the backbone of {type(network).__name__}"
    given = _translated(read_tensors(path), backbone.dropped, backbone.renamed, path)
    return _strictly(own, given, path, what, advice)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file of weights by key, on the CPU, as they stand there.

    Published files are read too: of what they hold, the weights (`NESTS`), whose keys lose the `module.` that
    `DataParallel` prefixes. The log names what was left out.

    Raises:
        InputError: no such file, another ending, the file is damaged, would run code, or holds something else than
            tensors by key.
    """
    path = find_weights(path)
    refuse_stand_ins(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path} is damaged or no safetensors file ({error}); fetch or make it again") from error
    return read_published(path)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return what a safetensors file says about itself (`save_weights`)."""
    with safe_open(find_weights(path), "pt") as file:
        return file.metadata() or {}


def _fitting(module: nn.Module, path: str | Path) -> dict[str, Tensor]:
    """Return a file's tensors under the keys of a network and in its order, or raise an InputError if they do not fit.

    The network may be on the meta device.
    """
    own = module.state_dict(keep_vars=True)
    dropped, renamed = getattr(module, "legacy_keys", ()), getattr(module, "renamed_keys", {})
    given = _translated(read_tensors(path), dropped, renamed, path)
    for keys in _same_tensors(own):
        source = next((key for key in keys if key in given), None)
        if source is not None:
            given.update({key: given[source] for key in keys if key not in given})
    name = type(module).__name__
    settings = ", ".join(settings_of(type(module)))
    advice = f"Is this file a checkpoint of {name}?" + (
        f" If so, check the settings that it was trained with: {settings}." if settings else ""
    )
    return _strictly(own, given, path, name, advice)


def _translated(
    given: Mapping[str, Tensor], dropped: Collection[str], renamed: Mapping[str, str], path: str | Path
) -> dict[str, Tensor]:
    """Return tensors without those whose key is one of the patterns `dropped`, and with the names of today.

    Args:
        given: a file's tensors.
        dropped: patterns of whole keys.
        renamed: patterns of how a key begins, and what stands there today.
        path: the file, for the log.
    """
    left_out = [key for key in given if any(re.fullmatch(pattern, key) for pattern in dropped)]
    if left_out:
        log.info(
            "%s: left out %d tensors that the network has no use for: %s", path, len(left_out), list_some(left_out)
        )
    given = {key: tensor for key, tensor in given.items() if key not in set(left_out)}
    for start, now in renamed.items():
        given = {re.sub(f"^{start}", now, key): tensor for key, tensor in given.items()}
    return given


def _strictly(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], path: str | Path, what: str, advice: str
) -> dict[str, Tensor]:
    """Return the tensors in the order of a network's, or raise an InputError if they are not all, and no others.

    Batch normalisations count batches since PyTorch 0.4.1. Where an older file has no counts they are 0, as in PyTorch
    itself; nothing depends on them.

    Args:
        own: the network's tensors; only keys and shapes matter.
        given: the file's, under the network's keys.
        path: the file.
        what: the network, for the message.
        advice: the message's end.
    """
    held = len(given)
    counts = [key for key in own if key.endswith(".num_batches_tracked")]
    if not any(key in given for key in counts):
        given = dict(given) | {key: torch.zeros((), dtype=torch.long) for key in counts}
    missing = [key for key in own if key not in given]
    unexpected = [key for key in given if key not in own]
    reshaped = [
        f"{key} is {_size(given[key])} in the file, {_size(own[key])} in the network"
        for key in own
        if key in given and given[key].shape != own[key].shape
    ]
    problems = [
        f"{len(found)} {kind}: {list_some(found)}"
        for kind, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if found
    ]
    if problems:
        raise InputError(
            f"{path} does not fit {what}.\n"
            f"Of the network's {len(own)} tensors and the file's {held}:\n  " + "\n  ".join(problems) + f"\n{advice}"
        )
    return {key: given[key] for key in own}


def _same_tensors(state: Mapping[str, Tensor]) -> list[list[str]]:
    """Return the keys of a state dict, those of one and the same tensor together.

    Tensors of the meta device have no place; they are the same if they are the same object.
    """
    groups: dict[object, list[str]] = {}
    for key, tensor in state.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        groups.setdefault(place if tensor.numel() and not tensor.is_meta else id(tensor), []).append(key)
    return list(groups.values())


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
