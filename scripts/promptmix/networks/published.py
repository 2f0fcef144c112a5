"""Weights as others published them: what a file is, and the sets of tensors by key that it holds.

Nothing in a file is ever executed, and of what lies beside the tensors nothing is even made.
"""

from __future__ import annotations

import codecs
import html
import json
import pickle
import pickletools
import re
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from promptmix.errors import InputError, list_some

PICKLED = (".pt", ".pth", ".pth.tar", ".ckpt", ".bin")
"""Endings of files in PyTorch's format."""

AVERAGED = re.compile(r"(^|[^a-zA-Z])ema([^a-zA-Z]|$)|EMA|Ema|averaged|shadow|(^|[^a-zA-Z])swa([^a-zA-Z]|$)")
"""What names of weights contain that are a moving average of those in training."""

NO_WEIGHTS = re.compile(r"optim|sched|scaler|^grad|momentum|exp_avg", re.IGNORECASE)
"""What names of dicts contain that hold tensors by key, and no weights."""

WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts that `DataParallel`, `torch.compile` and the like put into keys, in front or in the middle."""

COUNTERS = ("n_averaged", "initted", "num_updates", "decay")
"""Keys by which wrappers that average weights count or set what they do."""

WRAPPED = ("model", "net", "network", "module", "student", "teacher", "generator", "online_model")
"""Attributes that hold a network, and whose keys may lie beside others: those of a loss, of a second network."""


DEEPEST = 5
"""Dicts in dicts that are searched for weights."""


class Weights(NamedTuple):
    """A set of tensors by key in a file.

    Args:
        place: where in the file it is: names of dicts, then parts that its keys begin with; "" for the whole file.
        tensors: on the CPU.
        beside: names of what lies beside it.
    """

    place: str
    tensors: dict[str, Tensor]
    beside: tuple[str, ...]

    @property
    def averaged(self) -> bool:
        """Whether they are the average of weights over the training."""
        return bool(AVERAGED.search(self.place))


def read_sets(path: Path) -> list[Weights]:
    """Return the sets of tensors by key of a file, those of outer dicts first.

    The file's contents say what it is, and not its ending. In PyTorch's format, dicts can hold dicts.

    Raises:
        InputError: the file is something else, is damaged, would run code, or holds no tensors by key.
    """
    refuse_stand_ins(path)
    content = _read_safetensors(path) if is_safetensors(path) else _read_pickled(path)
    found = list(_walk(content))
    if not found:
        held = type(content).__name__
        if isinstance(content, Mapping):
            inner = (f"{k} ({list_some(v)})" if isinstance(v, Mapping) else k for k, v in content.items())
            held = f"a dict of {list_some(inner)}"
        raise InputError(
            f"{path} should hold tensors by key, at the top or in a dict within, and holds {held}. Is it a file of weights?"
        )
    return found


def unwrapped(weights: Weights) -> Iterator[Weights]:
    """Yield a set of tensors as it is, and with keys from which what wrapped the network is taken away, step by step."""
    yield from _without_first_parts(weights)
    plain: dict[str, Tensor] = {}
    for key, tensor in weights.tensors.items():
        plain[".".join(part for part in key.split(".") if part not in WRAPPERS)] = tensor
    counters = [key for key, tensor in plain.items() if key in COUNTERS and tensor.numel() == 1]
    kept = {key: tensor for key, tensor in plain.items() if key not in counters}
    if len(plain) == len(weights.tensors) and kept.keys() != weights.tensors.keys():
        yield from _without_first_parts(weights._replace(tensors=kept))


def _without_first_parts(weights: Weights) -> Iterator[Weights]:
    """Yield a set as it is, and each part of it whose keys begin alike, without that beginning, and so on."""
    yield weights
    parts: dict[str, dict[str, Tensor]] = {}
    for key, tensor in weights.tensors.items():
        first, _, rest = key.partition(".")
        parts.setdefault(first, {})[rest] = tensor
    for first, tensors in parts.items():
        if "" not in tensors and (len(parts) == 1 or first in WRAPPED or AVERAGED.search(first)):
            others = tuple(other if "" in parts[other] else f"{other}.*" for other in parts if other != first)
            place = f"{weights.place}.{first}".lstrip(".") if others or AVERAGED.search(first) else weights.place
            yield from _without_first_parts(Weights(place, tensors, weights.beside + others))


def _walk(content: object, way: tuple[str, ...] = (), beside: tuple[str, ...] = ()) -> Iterator[Weights]:
    """Yield the sets of tensors by key in what a file holds, whatever they are nested in."""
    if isinstance(content, list | tuple):
        content = dict(enumerate(content)) if len(content) <= 10 else {}
    if not isinstance(content, Mapping) or len(way) > DEEPEST:
        return
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield Weights(".".join(way), tensors, beside + tuple(str(key) for key in content if key not in tensors))
    for key, value in content.items():
        if not isinstance(value, Tensor) and not NO_WEIGHTS.search(str(key)):
            yield from _walk(value, (*way, str(key)), beside + tuple(str(other) for other in content if other != key))


# --- What lies beside weights ---


class Extra:
    """Stands for an object beside the weights, such as a date or a path. It keeps nothing of what the file says."""

    def __new__(cls, *_: object) -> Extra:
        return super().__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


class ExtraDict:
    """Makes a plain dict in place of a dict of another kind: PyTorch fills no others."""

    def __new__(cls, *_: object) -> Any:
        return OrderedDict()


class ExtraList:
    """Makes a list in place of what is filled like one."""

    def __new__(cls, *_: object) -> Any:
        return []


HARMLESS: dict[type, tuple[str, ...]] = {
    Extra: (
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
        *(f"numpy.{name}" for name in ("dtype", "ndarray", "bool", "bool_", "float16", "float32", "float64")),
        *(f"numpy.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        *("argparse.Namespace", "types.SimpleNamespace", "uuid.UUID", "decimal.Decimal", "fractions.Fraction"),
        *(f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
        *(f"pathlib{part}.{kind}Path" for part in ("", "._local") for kind in ("", "Posix", "Windows", "Pure")),
        *(f"pathlib{part}.Pure{kind}Path" for part in ("", "._local") for kind in ("Posix", "Windows")),
        *(f"builtins.{name}" for name in ("frozenset", "slice", "range", "bytes", "list", "tuple", "dict")),
        *(f"builtins.{name}" for name in ("bool", "int", "float", "str")),
        "torch.torch_version.TorchVersion",
    ),
    ExtraDict: (
        *("collections.defaultdict", "easydict.EasyDict", "addict.addict.Dict", "munch.Munch", "yacs.config.CfgNode"),
        *("mmcv.utils.config.ConfigDict", "mmengine.config.config.ConfigDict"),
        *("pytorch_lightning.utilities.parsing.AttributeDict", "lightning.fabric.utilities.data.AttributeDict"),
    ),
    ExtraList: ("collections.deque",),
}
"""What stands for objects of which PyTorch's reader makes none, by their names in files. The names are never looked up: the
numbers, dates, paths and settings that lie beside weights are not made, and nothing is imported."""

STAND_INS = [(kind, name) for kind, names in HARMLESS.items() for name in names]


# --- Reading ---


def is_safetensors(path: Path) -> bool:
    """Return whether a file begins as safetensors do: with the length of a header, and a header in JSON."""
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") <= max(path.stat().st_size - 8, 10**8)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} is damaged or no safetensors file ({error}); fetch or make it again") from error


def _read_pickled(path: Path) -> object:
    with path.open("rb") as file:
        try:
            with safe_globals(STAND_INS):
                return torch.load(file, weights_only=True, map_location="cpu")
        except Exception as error:  # a damaged file can fail anywhere in the reader
            if not path.name.endswith((*PICKLED, ".safetensors")):
                raise InputError(
                    f"{path}: weights end in .safetensors, {', '.join(PICKLED)}; this does not, and is no such file"
                ) from error
            raise _explain(path, error) from error


def _explain(path: Path, error: Exception) -> InputError:
    """Return what to say about a file that `torch.load` refused. Names are read from it; nothing is imported."""
    try:
        calls = get_unsafe_globals_in_checkpoint(path)
    except Exception:  # the file is older than PyTorch 1.6, or damaged
        calls = re.findall(r"GLOBAL ([\w.]+) w(?:as|hose)", str(error))
    known = {name for _, name in STAND_INS}
    calls = [name for name in calls if name not in known]
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


# --- What is found in place of weights ---

MAGIC = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes",
    b"\x93NUMPY": "an array of numpy's",
    b"GGUF": "a GGUF file, as llama.cpp reads",
    b"MATLAB 5.0": "a MATLAB file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x7fELF": "a program",
}
"""How files begin that are found in place of weights, and hold none that could be read here."""

PACKED = {
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "7z x"),
    b"Rar!": ("a RAR archive", "unrar x"),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "zstd -d"),
    b"\x1f\x8b": ("compressed by gzip", "gzip -d"),
    b"BZh": ("compressed by bzip2", "bzip2 -d"),
    b"\xfd7zXZ": ("compressed by xz", "xz -d"),
}
"""How packed files begin, what they are, and what unpacks them."""


def refuse_stand_ins(path: Path) -> None:
    """Raise an InputError for what is found in place of weights: a web page, a pointer, an archive, a program."""
    with path.open("rb") as file:
        head = file.read(4096)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"version https://git-lfs"):
        raise InputError(
            f"{path} is only a pointer of git-lfs to the file; run `git lfs pull` in the repository that it is from, or "
            f"download the file itself"
        )
    if re.match(rb"[./\w]*annex/objects/", text):
        raise InputError(
            f"{path} is only a pointer of git-annex to the file; run `git annex get {path.name}` (or `datalad get`) in the "
            f"repository that it is from, or download the file itself"
        )
    if text[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        title = re.search(r"<title[^>]*>(.*?)</title>", text.decode(errors="replace"), re.DOTALL | re.IGNORECASE)
        named = f" ({html.unescape(title[1]).strip()!r})" if title else ""
        raise InputError(
            f"{path} is a web page{named} and no file of weights: what answered the download was a page, as on Google "
            f"Drive when a file asks for confirmation or was downloaded too often. Open the link in a browser, download "
            f"the file there (perhaps a day later), and put it in this one's place"
        )
    if zipfile.is_zipfile(path) and head.startswith(b"PK"):
        with zipfile.ZipFile(path) as opened:
            _refuse_zip(path, opened.namelist())
    elif names := _names_in_tar(path):
        raise InputError(_packed(path, "a tar archive", f"tar -xf {path.name}", names))
    for magic, (what, tool) in PACKED.items():
        if head.startswith(magic):
            raise InputError(_packed(path, what, f"{tool} {path.name}", ()))
    for magic, what in MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"{path} is {what}, and no file of weights in {WANTED}")
    if head[4:8] == b"TFL3" or (head[:1] == b"\x08" and re.search(rb"onnx|pytorch|tensorflow", head[:256], re.I)):
        raise InputError(
            f"{path} is a network in ONNX's or TensorFlow's format, which holds a program beside the weights, and none "
            f"in {WANTED}"
        )
    _refuse_text(path, head)


WANTED = (
    "safetensors or PyTorch's format (a state_dict). Look for such a file where the authors publish theirs, or ask them "
    "for one"
)


def _refuse_zip(path: Path, names: list[str]) -> None:
    """Raise an InputError for a zip archive, given the names in it, that is not what `torch.save` writes."""
    if any(name.endswith("/constants.pkl") for name in names):
        raise InputError(
            f"{path} is a TorchScript archive, which holds a program and not weights alone (OpenAI publishes CLIP so); it "
            f"is not loaded for safety. Use weights that are saved as safetensors or as a state_dict: for CLIP, "
            f"openai/clip-vit-base-patch32 on the Hugging Face Hub"
        )
    if any(re.fullmatch(r"([^/]+/)?data\.pkl", name) for name in names):
        return
    if any(name.endswith("archive_format") for name in names):
        raise InputError(f"{path} is a program that torch.export wrote, and no file of weights in {WANTED}")
    if names and all(name.endswith(".npy") for name in names):
        raise InputError(f"{path} holds arrays of numpy's, and no weights in {WANTED}")
    raise InputError(_packed(path, "a zip archive", f"unzip {path.name}", names))


def _names_in_tar(path: Path) -> list[str]:
    """Return the first names in a tar archive, packed or not; none if it is no such archive."""
    try:
        with tarfile.open(path) as opened:
            return [member.name for member in islice(opened, 50)]
    except (tarfile.TarError, OSError, EOFError, ValueError, ImportError):
        return []


def _packed(path: Path, what: str, tool: str, names: Iterable[str]) -> str:
    """Return what to say of an archive."""
    names = list(names)
    weights = [name for name in names if name.endswith((".safetensors", *PICKLED))]
    found = f" It holds {list_some(weights or names)}." if names else ""
    return (
        f"{path} is {what}, and no file of weights itself.{found} Unpack it (`{tool}`), and name the file of weights from "
        f"it in its place"
    )


def _refuse_text(path: Path, head: bytes) -> None:
    """Raise an InputError if a file is text."""
    try:
        words = codecs.getincrementaldecoder("utf-8-sig")().decode(head).strip()  # the last letter may be cut
    except UnicodeDecodeError:
        return
    if not words or not all(letter.isprintable() or letter.isspace() for letter in words) or _is_pickle(head):
        return
    first = words.splitlines()[0][:80]
    if '"weight_map"' in words:
        raise InputError(
            f"{path} is only the index of weights that lie in several files beside it; weights in one file are needed"
        )
    try:
        said = json.loads(words)
    except ValueError:
        said = None
    what = "JSON" if isinstance(said, dict | list) else "text"
    raise InputError(
        f"{path} is {what} that begins {first!r}, and no file of weights: it may be what a server answered in place of the "
        f"file, or a note of where the file is. Fetch the file itself"
    )


def _is_pickle(head: bytes) -> bool:
    """Return whether bytes begin a pickle of Python's; those of protocol 0 are text."""
    try:
        steps = [step.name for step, *_ in islice(pickletools.genops(head), 5)]
    except ValueError:
        return False
    return "STOP" in steps or len(steps) == 5


def find_weights(path: str | Path) -> Path:
    """Return the path of a file of weights.

    Raises:
        InputError: there is no such file.
    """
    path = Path(path)
    if path.is_symlink() and not path.exists():
        target = path.readlink()
        annex = "annex/objects" in target.as_posix()
        advice = f"run `git annex get {path.name}` (or `datalad get`) there" if annex else "put the file there"
        raise InputError(
            f"{path} is a link to {target}, which does not exist; {advice}, or correct the path in the config"
        )
    if path.is_dir():
        raise InputError(
            f"{path} is a folder; expected a file of weights. If it holds data.pkl, a file of PyTorch's was unpacked: fetch "
            "the file again, and do not unpack it"
        )
    if not path.is_file():
        raise InputError(
            f"No weights at {path} (expected at {path.absolute()}). Put the file there, or correct the path in the "
            f"config; the miniature's own lie in resources/models."
        )
    return path
