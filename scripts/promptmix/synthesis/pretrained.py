"""Read models in diffusers' or transformers' format strictly: what their files lack is an error and no random number.

The libraries fill in at random what a file does not have, and log it. Here each part of a model is read with their list
of what was missing. On the device "meta" a part has shapes and no values: it is read in a moment, whatever its size, and
all that can be wrong with its files comes out, so preflight and the job that computes make the same check.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from promptmix.errors import InputError, list_some
from promptmix.running import hub

log = logging.getLogger(__name__)

WEIGHTS = re.compile(
    r"(diffusion_pytorch_model|pytorch_model|model)(\.(?P<variant>\w+))?(-\d+-of-\d+)?(\.(?P<older>\w+))?\.(safetensors|bin)"
)
"""Names of files of weights: whole or one of several, and perhaps of a variant such as fp16."""

PADDED = 0.01
"""Share of a vocabulary by which the weights may have more tokens than the tokeniser: some are filled up to a multiple of
64 or 128."""


def locate(model: str, what: str) -> Path:
    """Return the folder of a model: a path, or the snapshot in the Hub's cache of a name.

    Args:
        what: what is expected there, for the message.

    Raises:
        InputError: there is no such folder, or it is a file.
    """
    folder = hub.locate(model)
    if folder is None:
        raise InputError(
            f"{model}: there is no such folder, and the Hub's cache has no model of this name. Expected {what}. Put it "
            f"there, or correct the config"
        )
    if folder.is_file():
        raise InputError(
            f"{model} is a single file, and {what} is expected. If it holds a whole text-to-image model (.safetensors), name in the "
            "generator's `base` a pipeline of the same kind"
        )
    return folder


def load_part(
    kind: type,
    folder: Path,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    unused: str = r"\Z",
    trust_remote_code: bool = False,
    variant: str | None = None,
) -> torch.nn.Module:
    """Return a network of a model, in evaluation mode, with all of its weights from the files.

    Args:
        kind: its class in diffusers or transformers, or transformers' class that finds it (`AutoModelFor...`).
        folder: where its config.json and weights are.
        dtype: of the weights; by default as they are stored.
        device: "meta" for a check, on which nothing has values.
        unused: pattern of the beginnings of keys that a file may have and the network does not.
        trust_remote_code: run Python that comes with the model, for transformers' classes.
        variant: of the files of weights, such as "fp16"; by default those without one, else fp16, else the only ones.

    Raises:
        InputError: a file is missing, damaged or of another network.
    """
    variant = _find_variant(folder, variant)
    options: dict[str, Any] = {"dtype": dtype} if dtype else {}
    if device == "meta":
        options["device_map"] = {"": "meta"}
    if not issubclass(kind, ModelMixin):  # of transformers
        options["ignore_mismatched_sizes"] = True  # to name them; diffusers' error does
        options["trust_remote_code"] = trust_remote_code
    with explain(f"{folder.name}/"), silence():
        network, found = kind.from_pretrained(
            folder, variant=variant, local_files_only=True, output_loading_info=True, **options
        )
    if missing := found["missing_keys"]:
        extra = found["unexpected_keys"]
        instead = f"; instead there are {list_some(sorted(extra))}, which are not its" if extra else ""
        raise InputError(
            f"{folder.name}/: the weights lack {len(missing)} tensors of a {type(network).__name__}: "
            f"{list_some(sorted(missing))}{instead}. They are of another model, or were saved in part"
        )
    if wrong := found["mismatched_keys"]:
        key, size, expected = min(wrong, key=str)
        raise InputError(
            f"{folder.name}/: {len(wrong)} tensors have other sizes than config.json says, such as {key}: "
            f"{tuple(size)}, and not {tuple(expected)}"
        )
    if extra := [key for key in found["unexpected_keys"] if not re.match(unused, key)]:
        log.warning(
            "%s: %d tensors of its weights are not used, as config.json asks for a network without them: %s",
            *(folder, len(extra), list_some(sorted(extra))),
        )
    return network.eval()


def load_tokenizer(kind: type, folder: Path, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """Return a tokeniser.

    Args:
        trust_remote_code: run Python that comes with it.

    Raises:
        InputError: a file is missing or damaged.
    """
    check_tokenizer_files(folder, trust_remote_code, kind)
    with explain(f"{folder.name}/"), silence():
        return kind.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)


def check_tokenizer_files(folder: Path, trust_remote_code: bool = False, kind: type | None = None) -> None:
    """Raise an InputError if a folder lacks the files of a tokeniser, without which it would know no word.

    Args:
        trust_remote_code: whether a tokeniser whose Python comes with it may have files of its own.
        kind: its class, which says what older files tokenizer.json is made of; by default those of CLIP and GPT-2.
    """
    if trust_remote_code and "auto_map" in read_json(folder / "tokenizer_config.json"):
        return
    if not (folder / "tokenizer.json").exists():
        made_of = getattr(kind, "vocab_files_names", {"vocab": "vocab.json", "merges": "merges.txt"}).values()
        older = sorted({*made_of} - {"tokenizer.json"}, reverse=True)
        missing = [name for name in older if not (folder / name).exists()]
        if missing or not older:
            also = f", and no {' and no '.join(missing)}" if missing else ""
            raise InputError(f"{folder.name}: no tokenizer.json{also}")


def check_vocabulary(
    tokenizer: PreTrainedTokenizerBase, tokens: int, where: str, network: str, padded: float = PADDED
) -> None:
    """Compare a tokeniser's vocabulary with the tokens that a network knows.

    Args:
        tokens: how many the network has embeddings of.
        where, network: the tokeniser and the network, for the message.
        padded: the largest share of these that only fill up the network's.

    Raises:
        InputError: they are not the same, but for embeddings that fill up the network's.
    """
    if not (1 - padded) * tokens <= len(tokenizer) <= tokens:
        raise InputError(
            f"{where}: the tokeniser has {len(tokenizer)} tokens, and {network} has {tokens}: they do not belong together, "
            f"or files of the tokeniser are missing. Take the tokeniser with which the weights were trained"
        )


@contextmanager
def explain(where: str) -> Iterator[None]:
    """Turn what a library says of files that it cannot read into an error that names them. Of its words, the first sentence:
    what follows is advice on the library's own settings."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # files of others can fail anywhere in the libraries
        said = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
        raise InputError(f"{where} could not be read ({said})") from error


@contextmanager
def silence() -> Iterator[None]:
    """Silence the libraries' progress bars and messages: what matters of these is an error or a warning of ours."""
    levels = [(library, library.get_verbosity()) for library in (diffusers_logging, transformers_logging)]
    for library, _ in levels:
        library.disable_progress_bar()
        library.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        for library, level in levels:
            library.set_verbosity(level)


def read_json(path: Path) -> Mapping[str, Any]:
    """Return what a file of keys and values holds.

    Raises:
        InputError: it is missing, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path.name} is missing in {path.parent}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} in {path.parent} is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path.name} in {path.parent} holds no keys")
    return content


def _find_variant(folder: Path, wanted: str | None) -> str | None:
    """Return which of the weights in a folder to read: those asked for, or without a variant, else fp16, else the only ones.

    Raises:
        InputError: there are none, several variants, or files that are cut off.
    """
    read_json(folder / "config.json")
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if match := WEIGHTS.fullmatch(file.name):
            files.setdefault(match["variant"] or match["older"] or "", []).append(file)
    if not files:
        raise InputError(f"{folder.name}/: weights are missing: no .safetensors and no .bin beside config.json")
    if wanted and wanted not in files:
        there = ", ".join(name or "those without a variant" for name in sorted(files))
        raise InputError(f"{folder.name}/: no weights of the variant {wanted}; there are {there}")
    names = [wanted] if wanted else [name for name in ("", "fp16") if name in files] or list(files)
    if len(names) > 1 and names[0] not in ("", "fp16"):
        raise InputError(
            f"{folder.name}/: weights of several variants, {', '.join(names)}; keep those to be used, or name them in `variant`"
        )
    for file in files[names[0]]:
        _check_whole(file)
    return names[0] or None


def _check_whole(file: Path) -> None:
    """Raise an InputError if a file is cut off, or only points to the weights."""
    name = f"{file.parent.name}/{file.name}"
    if not file.exists():
        raise InputError(f"{name} is a link to a file that is not there; fetch it again")
    if file.stat().st_size < 1024 and file.read_bytes().startswith((b"version https://git-lfs", b"/annex/")):
        raise InputError(
            f"{name} is only a pointer of git-lfs or git-annex; fetch the file itself, as by `git lfs pull`"
        )
    if file.suffix == ".safetensors":
        try:
            with safe_open(file, "pt"):
                pass
        except (SafetensorError, OSError) as error:
            raise InputError(f"{name} is cut off or damaged ({error})") from None
