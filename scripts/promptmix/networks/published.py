"""Weights as others published them, in PyTorch's format: of whatever a file holds, the tensors by key.

Nothing in a file is ever executed.
"""

from __future__ import annotations

import html
import logging
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint

from promptmix.errors import InputError

log = logging.getLogger(__name__)

PICKLED = (".pt", ".pth", ".pth.tar")
"""Endings of files in PyTorch's format."""

NESTS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
"""Where published files keep their weights, beside the optimiser's state and the like. Of several, the first counts:
GFPGAN's averaged weights (`params_ema`) are those that its authors use."""

SHOWN = 5
"""Keys of each kind that an error message lists."""


def read_published(path: Path) -> dict[str, Tensor]:
    """Return the tensors by key, on the CPU, of a file in PyTorch's format.

    Of what the file holds, these are the weights (`NESTS`), whose keys lose the `module.` that `DataParallel` prefixes. The
    log names what was left out.

    Raises:
        InputError: another ending, the file is damaged, would run code, or holds something else than tensors by key.
    """
    if not path.name.endswith(PICKLED):
        raise InputError(f"{path}: weights end in .safetensors, {', '.join(PICKLED)}, and this does not")
    with path.open("rb") as file:
        try:
            content = torch.load(file, weights_only=True, map_location="cpu")
        except Exception as error:  # a damaged file can fail anywhere in the reader
            raise _explain(path, error) from error
    return _state_dict(content, path)


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """Return the tensors by key of what a checkpoint in PyTorch's format holds, whatever they are nested in."""
    within = "it"
    while isinstance(content, Mapping):
        nest = next((key for key in NESTS if isinstance(content.get(key), Mapping)), None)
        if nest is None:
            break
        within = f"{nest!r}"
        if len(content) > 1:
            log.info("%s: weights are under %r; left out: %s", path, nest, list_some([k for k in content if k != nest]))
        content = content[nest]
    if not isinstance(content, Mapping) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        found = f"a dict of {list_some(content)}" if isinstance(content, Mapping) else type(content).__name__
        raise InputError(
            f"{path} should hold tensors by key, at the top or under {', '.join(NESTS)}; {within} holds {found}. "
            f"Is it a file of weights?"
        )
    tensors = dict(content)
    while tensors and all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    return tensors


def refuse_stand_ins(path: Path) -> None:
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
    if zipfile.is_zipfile(path) and any(name.endswith("/constants.pkl") for name in zipfile.ZipFile(path).namelist()):
        raise InputError(
            f"{path} is a TorchScript archive, which holds a program and not weights alone (OpenAI publishes CLIP so); it "
            f"is not loaded for safety. Use weights that are saved as safetensors or as a state_dict: for CLIP, "
            f"openai/clip-vit-base-patch32 on the Hugging Face Hub"
        )


def _explain(path: Path, error: Exception) -> InputError:
    """Return what to say about a file that `torch.load` refused. Names are read from it; nothing is imported."""
    try:
        calls = get_unsafe_globals_in_checkpoint(path)
    except Exception:  # the file is older than PyTorch 1.6, or damaged
        calls = re.findall(r"GLOBAL ([\w.]+) w(?:as|hose)", str(error))
    calls = sorted(name for name in calls if name.split(".")[0] not in ("torch", "collections")) or sorted(calls)
    if calls:
        return InputError(
            f"{path} is refused, and nothing in it was run: reading it would run code, as it calls {list_some(calls)}, "
            f"which tensors and plain values do not need. Fetch the file from where its authors published it. If this is "
            f"their file, it holds whole Python objects beside the weights: ask them for a state_dict"
        )
    if isinstance(error, pickle.UnpicklingError):  # what PyTorch says of those is advice to load them in spite of it
        return InputError(
            f"{path} is damaged or cut off, or reading it would run code, and nothing in it was run; fetch it again from "
            f"where its authors published it (no tensors could be read)"
        )
    reason = (str(error) or type(error).__name__).partition(". ")[0]
    return InputError(f"{path} is damaged or cut off, or not a file of PyTorch's; fetch it again ({reason})")


def find_weights(path: str | Path) -> Path:
    """Return the path of a file of weights.

    Raises:
        InputError: there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"No weights at {path} (expected at {path.absolute()}). Put the file there, or correct the path in the "
            f"config; the miniature's own lie in resources/models."
        )
    return path


def list_some(found: Iterable[object]) -> str:
    """Return the first of some names."""
    names = [str(name) for name in found]
    return f"{', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
