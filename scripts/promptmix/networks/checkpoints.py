"""Weights in files: safetensors for what this project writes, and PyTorch's own format for what others published.

Files are written whole or not at all, and read strictly: a file that does not fit its network is an error that says
where they differ. Nothing in a file is ever executed.

Published files are read as they are, whatever their authors nested the weights in or saved beside them, and converted
once to safetensors (`import_checkpoint`).
"""

from __future__ import annotations

import contextlib
import html
import json
import logging
import pickle
import pickletools
import re
import zipfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from promptmix import files
from promptmix.errors import InputError
from promptmix.networks.build import build, settings_of
from promptmix.networks.layers import Backbone

log = logging.getLogger(__name__)

PICKLED = (".pt", ".pth", ".pth.tar")
"""Endings of files in PyTorch's format."""

NESTS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
"""Where published files keep their weights, beside the optimiser's state and the like. Of several, the first counts:
GFPGAN's averaged weights (`params_ema`) are those that its authors use."""

LEGACY_PICKLES = 4
"""Pickles at the beginning of a file of PyTorch before 1.6, up to that of the content."""

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


def check_weights(name: str, path: str | Path, **settings) -> None:
    """Raise an InputError if a file is none of weights that fit a network. The network itself takes no memory.

    Args:
        name, path, settings: as in `load_network`.
    """
    with torch.device("meta"):
        network = build(name, **settings)
    _fitting(network, path)


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


def import_checkpoint(
    network_name: str,
    source: str | Path,
    out: str | Path,
    metadata: Mapping[str, Any],
    *,
    backbone: bool = False,
    bytes: int | None = None,
    sha256: str | None = None,
    **settings,
) -> None:
    """Convert a published file to safetensors that hold a network's tensors, no others, and where they are from.

    The result's metadata are the given ones and `network`, `settings` (JSON), `source_file` (its name), `source_sha256`,
    and `backbone` where it is one. Numbers stay as they are. What is left out of the file goes to the log.

    Args:
        network_name: a key of `networks.registry.NETWORKS`.
        source: the file as published, see `read_tensors`.
        out: the file to write, ending in .safetensors.
        metadata: what else the result should say about itself: source, licence. What is no text becomes JSON; what is
            None is left out.
        backbone: the file holds a classifier to start from, see `read_backbone`.
        bytes, sha256: what the file should have, if known.
        settings: those of the published network, as in `networks.build`.

    Raises:
        InputError: no such file, it is not the expected one, damaged, holds something else, or does not fit.
    """
    source = _existing(source)
    _refuse_stand_ins(source)
    digest = _verified(source, bytes, sha256)
    if backbone:
        tensors = read_backbone(network_name, source, **settings)
    else:
        with torch.device("meta"):
            network = build(network_name, **settings)
        tensors = _fitting(network, source)
    about = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
        if value is not None
    }
    about |= {"network": network_name, "settings": json.dumps(settings)}
    about |= {"source_file": source.name, "source_sha256": digest} | ({"backbone": "true"} if backbone else {})
    save_weights(out, tensors, about)
    log.info("%s: %d tensors of %s, from %s (SHA-256 %s)", out, len(tensors), network_name, source, digest)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file of weights by key, on the CPU, as they stand there.

    Published files are read too: of what they hold, the weights (`NESTS`), whose keys lose the `module.` that
    `DataParallel` prefixes. The log names what was left out.

    Raises:
        InputError: no such file, another ending, the file is damaged, would run code, or holds something else than
            tensors by key.
    """
    path = _existing(path)
    _refuse_stand_ins(path)
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
            raise _unreadable(path, error) from error
    return _state_dict(content, path)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return what a safetensors file says about itself (`save_weights`)."""
    with safe_open(_existing(path), "pt") as file:
        return file.metadata() or {}


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """Return the tensors by key of what a checkpoint in PyTorch's format holds, whatever they are nested in."""
    within = "it"
    while isinstance(content, Mapping):
        nest = next((key for key in NESTS if isinstance(content.get(key), Mapping)), None)
        if nest is None:
            break
        within = f"{nest!r}"
        if len(content) > 1:
            log.info("%s: weights are under %r; left out: %s", path, nest, _listed([k for k in content if k != nest]))
        content = content[nest]
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        found = f"a dict of {_listed(content)}" if isinstance(content, Mapping) else type(content).__name__
        raise InputError(
            f"{path} should hold tensors by key, at the top or under {', '.join(NESTS)}; {within} holds {found}. "
            f"Is it a file of weights?"
        )
    tensors = dict(content)
    while tensors and all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    return tensors


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
        log.info("%s: left out %d tensors that the network has no use for: %s", path, len(left_out), _listed(left_out))
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
        f"{len(found)} {kind}: {_listed(found)}"
        for kind, found in (("missing", missing), ("unexpected", unexpected), ("of another shape", reshaped))
        if found
    ]
    if problems:
        raise InputError(
            f"{path} does not fit {what}.\n"
            f"Of the network's {len(own)} tensors and the file's {held}:\n  " + "\n  ".join(problems) + f"\n{advice}"
        )
    return {key: given[key] for key in own}


def _verified(path: Path, bytes: int | None, sha256: str | None) -> str:
    """Return the SHA-256 of a file, or raise an InputError if its size or its SHA-256 is not the expected one."""
    size, digest = path.stat().st_size, files.sha256(path)
    advice = (
        "Fetch it again. If it is what its authors publish today, and you trust it, correct the entry in "
        "config/sources.yaml"
    )
    if bytes is not None and size != bytes:
        part = ": the download was cut off" if size < bytes else ""
        raise InputError(f"{path} has {size} bytes, and {bytes} were expected{part}. {advice}")
    if sha256 is not None and digest != sha256.lower():
        raise InputError(
            f"{path} is not the expected file.\n  its SHA-256: {digest}\n  expected:    {sha256}\n{advice}"
        )
    return digest


def _refuse_stand_ins(path: Path) -> None:
    """Raise an InputError for what is found in place of weights: a web page, a pointer of git-lfs, a program."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path} is only a pointer of git-lfs to the file; run `git lfs pull` in the repository that it is from, or "
            f"download the file itself"
        )
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        title = re.search(r"<title[^>]*>(.*?)</title>", text.decode(errors="replace"), re.DOTALL | re.IGNORECASE)
        named = f" ({html.unescape(title[1]).strip()!r})" if title else ""
        raise InputError(
            f"{path} is a web page{named} and no file of weights: what answered the download was a page, as on Google "
            f"Drive when a file asks for confirmation or was downloaded too often. Open the link in a browser, download "
            f"the file there (perhaps a day later), and put it in this one's place"
        )
    if any(name.endswith("/constants.pkl") for name in _members(path)):
        raise InputError(
            f"{path} is a TorchScript archive, which holds a program and not weights alone (OpenAI publishes CLIP so); it "
            f"is not loaded for safety. Use weights that are saved as safetensors or as a state_dict: for CLIP, "
            f"openai/clip-vit-base-patch32 on the Hugging Face Hub"
        )


def _unreadable(path: Path, error: Exception) -> InputError:
    """Return what to say about a file that `torch.load` refused."""
    calls = _calls(path, error)
    if calls:
        return InputError(
            f"{path} is refused, and nothing in it was run: reading it would run code, as it calls {_listed(calls)}, "
            f"which tensors and plain values do not need. Fetch the file from where its authors published it. If this is "
            f"their file, it holds whole Python objects beside the weights: ask them for a state_dict"
        )
    # What PyTorch says of pickles is advice to load them in spite of it; of other errors the first sentence tells enough.
    pickled = isinstance(error, pickle.UnpicklingError)
    reason = "no tensors could be read" if pickled else (str(error) or type(error).__name__).partition(". ")[0]
    return InputError(f"{path} is damaged or cut off, or no file of PyTorch's; fetch it again ({reason})")


def _members(path: Path) -> list[str]:
    """Return the names in a zip archive, which PyTorch's files are since 1.6; none if it is no whole archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []


def _calls(path: Path, error: Exception) -> list[str]:
    """Return what a refused file calls beside PyTorch's functions for tensors. Names are read; nothing is imported."""
    names: list[str] = []
    pickled = next((name for name in _members(path) if name.endswith("/data.pkl")), None)
    with contextlib.suppress(Exception), (zipfile.Path(path, pickled) if pickled else path).open("rb") as file:
        for _ in range(LEGACY_PICKLES):  # ends with an error where no pickle is left, or a damaged one
            for name in _imports(file):
                names.append(name)
    names = [name for name in dict.fromkeys(names) if name.split(".")[0] not in ("torch", "collections", "_codecs")]
    return names or re.findall(r"GLOBAL ([\w.]+) w(?:as|hose)", str(error))  # PyTorch refuses most of its own, too


def _imports(file) -> Iterable[str]:
    """Yield the full names that the next pickle in a file imports, as far as it can be read."""
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "GLOBAL":
            if re.fullmatch(r"[\w.]+ [\w.]+", argument):  # else some text that begins as a pickle could
                yield argument.replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(texts[-2:])
        elif isinstance(argument, str):
            texts.append(argument)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"No weights at {path} (expected at {path.absolute()}). Put the file there, or correct the path in the "
            f"config; the miniature's own lie in resources/models."
        )
    return path


def _same_tensors(state: Mapping[str, Tensor]) -> list[list[str]]:
    """Return the keys of a state dict, those of one and the same tensor together.

    Tensors of the meta device have no place; they are the same if they are the same object.
    """
    groups: dict[object, list[str]] = {}
    for key, tensor in state.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        groups.setdefault(place if tensor.numel() and not tensor.is_meta else id(tensor), []).append(key)
    return list(groups.values())


def _listed(found: Iterable[object]) -> str:
    """Return the first of some names."""
    names = [str(name) for name in found]
    return f"{', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
