"""Weights in files: safetensors for what this project writes, and what others published (`promptmix.networks.published`).

Files are written whole or not at all, and read strictly: a file that does not fit its network is an error that says
where they differ.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from promptmix import files
from promptmix.errors import InputError, list_some
from promptmix.networks.build import build, settings_of
from promptmix.networks.layers import Backbone
from promptmix.networks.published import Weights, find_weights, is_safetensors, read_sets, unwrapped

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
        dtype: for floating-point tensors; as they are by default, and where a number is too large for it. `torch.float16`
            for weights that are shipped.

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
        smaller = tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
        fits = bool((smaller.isfinite() == tensor.isfinite()).all())  # 1e5 is infinite in float16
        tensors[keys[0]] = (smaller if fits else tensor).contiguous()
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

    Weights may lie in dicts within the file, and their keys may begin with what wrapped the network (`DataParallel`,
    `torch.compile`): of all sets of tensors, the one that fits is taken; the averaged one if several fit. Numbers are
    converted to the network's precision, and go to its device. Tensors that are one and the same in the network need to be
    in the file once. Constants that the network's `legacy_keys` name are dropped, and keys that begin as its `renamed_keys`
    say are those of today. The log says what was left out. On an error the network is as it was.

    Args:
        module: the network.
        path: a file of safetensors, or in PyTorch's format.

    Raises:
        InputError: no such file, it is damaged, holds something else, or does not fit the network; one of its tensors is
            not finite, is quantised or of a kind that the network's cannot be; or two sets fit and differ.
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
    own = {
        key: tensor for key, tensor in network.state_dict(keep_vars=True).items() if re.fullmatch(backbone.keys, key)
    }
    advice = (
        f"Is this file {backbone.classifier} as trained on ImageNet ({backbone.published})? If so, {name} must have its "
        f"published width (width: 1) to start from it."
    )
    what = f"{backbone.classifier}, the backbone of {type(network).__name__}"
    return _Fit(own, backbone.dropped, backbone.renamed, path, what, advice).read()


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a file of weights by key, on the CPU, as they stand there; of several sets, the outermost.

    Raises:
        InputError: no such file, it is no file of weights, is damaged, would run code, or holds no tensors by key.
    """
    return read_sets(find_weights(path))[0].tensors


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return what a safetensors file says about itself (`save_weights`); nothing of files in other formats."""
    if not is_safetensors(find_weights(path)):
        return {}
    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def _fitting(module: nn.Module, path: str | Path) -> dict[str, Tensor]:
    """Return a file's tensors under the keys of a network and in its order, or raise an InputError if they do not fit.

    The network may be on the meta device.
    """
    name = type(module).__name__
    settings = ", ".join(settings_of(type(module)))
    advice = f"Is this file a checkpoint of {name}?" + (
        f" If so, check the settings that it was trained with: {settings}." if settings else ""
    )
    own = module.state_dict(keep_vars=True)
    dropped, renamed = getattr(module, "legacy_keys", ()), getattr(module, "renamed_keys", {})
    return _Fit(own, dropped, renamed, path, name, advice).read()


@dataclass(frozen=True)
class _Fit:
    """Finds in a file the tensors of a network.

    Args:
        own: the network's tensors; they may be on the meta device.
        dropped: patterns of whole keys in files that the network has no use for.
        renamed: patterns of how a key in a file begins, and what stands there today.
        path: the file.
        what: the network, for messages.
        advice: the end of the message if the file does not fit.
    """

    own: Mapping[str, Tensor]
    dropped: Collection[str]
    renamed: Mapping[str, str]
    path: str | Path
    what: str
    advice: str

    def read(self) -> dict[str, Tensor]:
        """Return the file's tensors under the network's keys and in its order.

        Of several sets of tensors that fit, the averaged ones are taken: it is with those that authors evaluate.

        Raises:
            InputError: as in `load_weights`.
        """
        found = [way for weights in read_sets(find_weights(self.path)) for way in unwrapped(weights)]
        scores = [self._score(weights.tensors) for weights in found]
        best = max(scores)
        equal = [weights for weights, score in zip(found, scores, strict=True) if score == best]
        chosen = next((weights for weights in equal if weights.averaged), equal[0])
        tensors = self._strictly(chosen.tensors)
        half = [weights for weights, score in zip(found, scores, strict=True) if 2 * score[0] >= best[0]]
        self._report(chosen, self._others(chosen, equal, tensors), half)
        return tensors

    def _score(self, given: Mapping[str, Tensor]) -> tuple[int, int, int]:
        """Return how well tensors fit: the number of the right shape, of the network's keys, and less of other keys."""
        keys = self._renamed(given)
        known = [key for key in keys if key in self.own]
        shapes = sum(given[keys[key]].shape == self.own[key].shape for key in known)
        return shapes, len(known), len(known) - len(keys)

    def _others(self, chosen: Weights, equal: list[Weights], tensors: Mapping[str, Tensor]) -> list[str]:
        """Return where other sets are that fit as well and hold other numbers.

        Raises:
            InputError: there are some, and none is the averaged one.
        """
        others = []
        for weights in equal:
            keys = self._renamed(weights.tensors)
            if any(not _are_equal(weights.tensors[old], tensors[key]) for key, old in keys.items() if key in tensors):
                others.append(weights.place)
        others = list(dict.fromkeys(others))
        if others and not chosen.averaged:
            places = [chosen.place, *others]
            raise InputError(
                f"{self.path} holds {len(places)} sets of weights that fit {self.what}, with other numbers: "
                f"{', '.join(map(repr, places))}. Which is meant cannot be told; save the one that is meant as a file of its own"
            )
        return others

    def _report(self, chosen: Weights, others: list[str], found: list[Weights]) -> None:
        """Say in the log what was taken of the file, and what was left out.

        Args:
            others: where other sets are that fit.
            found: all sets of which half or more fits.
        """
        if chosen.place or chosen.beside:
            left_out = f"; left out: {list_some(chosen.beside)}" if chosen.beside else ""
            log.info("%s: weights are under %r%s", self.path, chosen.place, left_out)
        if others:
            log.warning(
                "%s: taken are the averaged weights, %r, with which authors evaluate, and not %s. If others are meant, save "
                "them as a file of their own",
                self.path,
                chosen.place,
                list_some(map(repr, others)),
            )
        averaged = dict.fromkeys(weights.place for weights in found if weights.averaged)
        if averaged and not chosen.averaged:
            log.warning(
                "%s: averaged weights, %s, do not fit and were not taken; %r were",
                self.path,
                list_some(averaged),
                chosen.place,
            )
        used = set(self._renamed(chosen.tensors).values())
        if left_out := [key for key in chosen.tensors if key not in used]:
            log.info(
                "%s: left out %d tensors that the network has no use for: %s",
                self.path,
                len(left_out),
                list_some(left_out),
            )

    def _renamed(self, given: Mapping[str, Tensor]) -> dict[str, str]:
        """Return the keys of today with the keys of a file, without those that the network has no use for.

        Raises:
            InputError: two keys are one today, and their tensors differ.
        """
        keys: dict[str, str] = {}
        for old in given:
            if any(re.fullmatch(pattern, old) for pattern in self.dropped):
                continue
            key = old
            for start, now in self.renamed.items():
                key = re.sub(f"^{start}", now, key)
            if not _are_equal(given[keys.setdefault(key, old)], given[old]):
                raise InputError(
                    f"{self.path}: {keys[key]} and {old} are both {key} of {self.what}, and differ; remove the wrong one"
                )
        return keys

    def _strictly(self, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors in the order of the network's, or raise an InputError if they are not all, and no others.

        Batch normalisations count batches since PyTorch 0.4.1. Where an older file has no counts they are 0, as in PyTorch
        itself; nothing depends on them.

        Args:
            found: a file's tensors, under the file's keys.
        """
        own = self.own
        given = {key: found[old] for key, old in self._renamed(found).items()}
        held = len(given)
        self._tie(given)
        counts = [key for key in own if key.endswith(".num_batches_tracked")]
        if not any(key in given for key in counts):
            given |= {key: torch.zeros((), dtype=torch.long) for key in counts}
        common = [key for key in own if key in given]
        fitting = [key for key in common if given[key].shape == own[key].shape]
        problems = {
            "missing": [key for key in own if key not in given],
            "unexpected": [key for key in given if key not in own],
            "of another shape": [
                f"{key} is {_size(given[key])} in the file, {_size(own[key])} in the network"
                for key in common
                if key not in set(fitting)
            ],
            "of numbers that cannot be taken": [
                f"{key} ({problem})" for key in fitting if (problem := _wrong_numbers(key, given[key], own[key]))
            ],
        }
        listed = [f"{len(found)} {kind}: {list_some(found)}" for kind, found in problems.items() if found]
        if listed:
            raise InputError(
                f"{self.path} does not fit {self.what}.\n"
                f"Of the network's {len(own)} tensors and the file's {held}:\n  "
                + "\n  ".join(listed)
                + f"\n{self.advice}"
            )
        return {key: given[key] for key in own}

    def _tie(self, given: dict[str, Tensor]) -> None:
        """Add the tensors that are one and the same in the network, and that the file has once.

        Raises:
            InputError: the file has them with different numbers.
        """
        for keys in _same_tensors(self.own):
            held = [key for key in keys if key in given]
            for key in held[1:]:
                if not _are_equal(given[held[0]], given[key]):
                    raise InputError(
                        f"{self.path} does not fit {self.what}: {held[0]} and {key} are one tensor in the network, and two "
                        f"with different numbers in the file. {self.advice}"
                    )
            given.update({key: given[held[0]] for key in keys if held})


def _are_equal(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and one.dtype == other.dtype and one.equal(other))


NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""What real weights may be in a file. Others (int8, float8) are a part of what they stand for, without its scale."""


def _wrong_numbers(key: str, given: Tensor, own: Tensor) -> str:
    """Return why a file's tensor cannot be the network's of the same shape, "" if it can."""
    kind = str(given.dtype).removeprefix("torch.")
    wanted = str(own.dtype).removeprefix("torch.")
    if given.layout != torch.strided or given.is_quantized or given.is_meta:
        return (
            f"{'quantised, ' * given.is_quantized}{kind}, {given.layout}; {wanted} is needed, not quantised or sparse"
        )
    if given.dtype == own.dtype and not own.is_floating_point():
        return ""
    if own.is_floating_point():
        if given.dtype not in NUMBERS:
            return f"{kind}, and {wanted} is needed; int8 and float8 are without their scale here"
        numbers = given.to(own.dtype)
        if isinstance(own, nn.Parameter):
            return "" if numbers.isfinite().all() else "NaN or infinite"
        return (
            "NaN" if ".running_" in key and numbers.isnan().any() else ""
        )  # an infinite variance switches a channel off
    if own.is_complex():
        return "" if given.is_complex() else f"{kind}, and {wanted} is needed"
    whole = (
        not given.is_complex()
        and given.double().isfinite().all()
        and given.to(own.dtype).double().equal(given.double())
    )
    return "" if whole else f"{kind}, and not the whole numbers of {wanted}"


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
