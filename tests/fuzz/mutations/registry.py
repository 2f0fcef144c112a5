"""The list of mutations, and what they choose and change things with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from fuzz.cases import (
    FORMATS,
    MATLAB,
    Case,
    Folder,
    Json,
    Link,
    Mat,
    Photo,
    Raw,
    Table,
    Unfit,
    any_of,
)
from fuzz.judge import Allowed

Change = Callable[..., Allowed | None]

HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400)
PAGE = b"<!DOCTYPE html><html><body>Sign in to download</body></html>\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
ANNEX = b"/annex/objects/MD5E-s12345--d41d8cd98f00b204e9800998ecf8427e.jpg\n"
NO_DATA = {"empty": b"", "zeros": bytes(2000), "web_page": PAGE, "lfs_pointer": POINTER, "annex_pointer": ANNEX}


@dataclass(frozen=True)
class Mutation:
    """A way to change a case: `change(case, rng)` returns what may come of it if that is not always the same."""

    name: str
    formats: tuple[str, ...]
    change: Change
    allowed: Allowed

    def apply(self, case: Case, rng: np.random.Generator) -> Allowed:
        """Change a case; return what may come of it.

        Raises:
            Unfit: it does not fit.
        """
        before = {path: _state(content) for path, content in case.files.items()}
        allowed = self.change(case, rng) or self.allowed
        after = {path: _state(content) for path, content in case.files.items()}
        case.named |= {path for path in {*before, *after} if before.get(path) != after.get(path)}
        return allowed


MUTATIONS: dict[str, Mutation] = {}


def mutation(allowed: Allowed, formats: tuple[str, ...] = FORMATS, variants: Mapping[str, Any] | None = None):
    """Register a mutation, or one for each variant, whose value it gets as its last argument."""

    def register(change: Change) -> Change:
        for label, value in (variants or {"": None}).items():
            name = f"{change.__name__}{'-' if label else ''}{label}"
            bound = (lambda case, rng, value=value: change(case, rng, value)) if label else change
            MUTATIONS[name] = Mutation(name, formats, bound, allowed)
        return change

    return register


def _state(content: Any) -> Any:
    if isinstance(content, Link):
        return content.target
    return "" if isinstance(content, Folder) else content.dump()


# --- Choosing and changing ---


def a_name(case: Case, rng: np.random.Generator, fits: Callable[[Any], bool] = lambda truth: True) -> str:
    """Return the name of an image whose truth fits."""
    return any_of(rng, [name for name, truth in case.truths.items() if fits(truth)])


def a_note(case: Case, rng: np.random.Generator, kind: type = object) -> str:
    """Return the path of a file of heads or depth, whose content is still of a kind."""
    notes = sorted({truth.note for truth in case.truths.values()})
    return any_of(rng, [note for note in notes if isinstance(case.files.get(note), kind)])


def a_picture(case: Case, rng: np.random.Generator) -> str:
    """Return the name of an image whose picture is as it was made, so that nothing odd about it is lost."""
    made = {path for path, content in case.files.items() if isinstance(content, Photo)} - case.named
    return a_name(case, rng, lambda truth: truth.picture in made)


def a_folder(case: Case, rng: np.random.Generator) -> str:
    """Return a folder of pictures or annotations, below the dataset's."""
    paths = [path for truth in case.truths.values() for path in (truth.picture, truth.note)]
    return any_of(rng, sorted({path.rpartition("/")[0] for path in paths} - {""}))


def is_crowd(truth: Any) -> bool:
    """Tell whether there are at least three heads."""
    return len(truth.marks) >= 3


def note_of(case: Case, name: str, kind: type) -> Any:
    """Return the content of an image's annotation, which must be of a kind."""
    return content_at(case, case.truths[name].note, kind)


def content_at(case: Case, path: str, kind: type) -> Any:
    """Return the content at a path, which must be of a kind."""
    content = case.files.get(path)
    if not isinstance(content, kind):
        raise Unfit
    return content


def cut(data: bytes, rng: np.random.Generator, least: float = 0.1, most: float = 0.9) -> Raw:
    """Return the beginning of some bytes."""
    return Raw(data[: max(1, int(len(data) * rng.uniform(least, most)))])


def flip(data: bytes, rng: np.random.Generator) -> Raw:
    """Return bytes of which one to four are others."""
    changed = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 5)):
        changed[place] ^= 1 << int(rng.integers(8))
    return Raw(bytes(changed))


def show(case: Case, name: str, photo: Photo, pixels: np.ndarray | None = None) -> None:
    """Put another picture in an image's place, whose right pixels are as given, or as the picture shows."""
    truth = case.truths[name]
    if truth.picture in case.named:
        raise Unfit  # what is odd about it would be gone
    case.files[truth.picture] = photo
    shown = replace(truth, pixels=photo.decode() if pixels is None else pixels)
    if case.format == "panda":  # whose coordinates are shares of the picture
        shown.marks = truth.marks * np.divide(shown.size, truth.size)
    case.truths[name] = shown


def rename(case: Case, name: str, picture: str) -> str:
    """Give an image's picture another path, and its annotation too; return its new name."""
    truth, old = case.truths[name], case.reference(name)
    if picture in case.files:
        raise Unfit
    renamed = replace(truth, picture=picture)
    if case.format in (*MATLAB, "depth_maps"):
        renamed.note = _note_for(case.format, picture, PurePosixPath(truth.note).suffix)
        if renamed.note != truth.note:
            if renamed.note in case.files:
                raise Unfit
            case.files[renamed.note] = case.files.pop(truth.note)
    case.files[picture] = case.files.pop(truth.picture)
    case.truths = {picture if key == name else key: renamed if key == name else one for key, one in case.truths.items()}
    new = case.reference(picture)
    if case.format == "points":
        for row in note_of(case, picture, Table).rows:
            row[0] = new if row[0] == old else row[0]
    elif case.format == "coco":
        for entry in note_of(case, picture, Json).value["images"]:
            entry["file_name"] = new if entry["file_name"] == old else entry["file_name"]
    elif case.format == "panda":
        note = note_of(case, picture, Json)
        note.value = {new if key == old else key: value for key, value in note.value.items()}
    case.named |= {truth.picture, picture}
    return picture


def _note_for(format: str, picture: str, suffix: str) -> str:
    stem = picture.rpartition(".")[0]
    if format == "shanghaitech":
        return f"{stem.replace('/images/', '/ground_truth/GT_')}.mat"
    return f"{stem}_ann.mat" if format == "ucf_qnrf" else f"{stem.replace('images/', 'depths/', 1)}{suffix}"


def with_name(path: str, stem: str, suffix: str | None = None) -> str:
    """Return a path with another name of the file."""
    old = PurePosixPath(path)
    return str(old.with_name(stem + (old.suffix if suffix is None else suffix)))


def move(case: Case, start: str, target: str) -> None:
    """Move everything whose path has a beginning."""
    moved = {path: content for path, content in case.files.items() if path.startswith(start)}
    if not moved:
        raise Unfit
    for path, content in moved.items():
        del case.files[path]
        case.files[target + path.removeprefix(start)] = content


def part_of(path: str) -> str:
    """Return the folder of a split, such as "train/", or "", of a path in a format for one's own data."""
    first = path.split("/")[0]
    return f"{first}/" if first.lower() in ("train", "val", "test") else ""


def change_marks(case: Case, change: Callable[[str, np.ndarray], np.ndarray], keep_truth: bool = False) -> None:
    """Write other heads for each image: `change(name, marks)`."""
    for name, truth in list(case.truths.items()):
        note_of(case, name, (Table, Json, Mat))
        marks = change(name, truth.marks)
        case.write_marks(name, marks)
        if not keep_truth:
            case.truths[name] = replace(truth, marks=marks)
