"""Prepare a dataset as its job does, look at it as preflight does, and say what of that is not right."""

import logging
import os
import runpy
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

from fuzz.cases import Case
from promptmix.config.experiments import Needs
from promptmix.config.plan import Plan
from promptmix.datasets.index import Index
from promptmix.datasets.registry import TASKS
from promptmix.errors import InputError
from promptmix.preflight.survey import survey
from promptmix.running import contents, job

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_dataset.py"


class Allowed(Flag):
    """What may come of a dataset."""

    RIGHT = auto()
    """The truth, with or without warnings."""
    TOLD = auto()
    """The truth, and a warning that names a file."""
    ERROR = auto()
    """An `InputError` that names a file."""
    ANY = auto()
    """Any numbers, as the damage cannot be seen in them. An error has to name a file."""


RIGHT, TOLD, ERROR, ANY = Allowed


def both(one: Allowed, other: Allowed) -> Allowed:
    """Return what may come of a dataset that was changed twice."""
    if ANY in one | other:
        return ANY
    found = (one | other) & ERROR | (one & other) & RIGHT
    if TOLD in one | other and all(mine & (RIGHT | TOLD) for mine in (one, other)):
        found |= TOLD
    return found


@dataclass
class Outcome:
    """What happened.

    Attributes:
        error: what preparation refused, or None.
        crash: an exception that is no refusal, of preparation or of preflight; "" if there was none.
        wrong: how the prepared dataset differs from the truth; "" if in nothing.
        said: warnings.
        preflight: what preflight says against the dataset; "" if nothing.
    """

    error: str | None = None
    crash: str = ""
    wrong: str = ""
    said: list[str] = field(default_factory=list)
    preflight: str = ""


def judge(case: Case, allowed: Allowed, folder: Path) -> str:
    """Write a dataset into an empty folder, prepare it, and return what is not right; "" if all is."""
    found = try_out(case, folder)
    if found.crash:
        return found.crash
    names = _names(case, folder)
    if found.error is not None:
        if not _is_named(found.error, names):
            return f"an error that names no file at fault: {found.error}"
        if not allowed & (ERROR | ANY):
            return f"refused: {found.error}"
        if not found.preflight:
            return f"preflight does not see what preparation refuses: {found.error}"
        if not _is_named(found.preflight, names):
            return f"preflight names no file at fault: {found.preflight}"
        return ""
    if found.preflight:
        return f"prepared, though preflight says: {found.preflight}"
    if ANY in allowed:
        return ""
    told = [text for text in found.said if _is_named(text, names)]
    if not allowed & (RIGHT | TOLD):
        return f"not refused, {'but told of: ' + told[0] if told else 'and nothing is said'}. {found.wrong}"
    if found.wrong:
        return f"wrong, {'though told of: ' + told[0] if told else 'and nothing is said'}: {found.wrong}"
    if RIGHT not in allowed and not told:
        return "nothing is said of it"
    return ""


class Params(SimpleNamespace):
    """A job's params. What is not given is None, as it is in a config."""

    def __getattr__(self, name: str) -> None:
        return None


def try_out(case: Case, folder: Path) -> Outcome:
    """Write a dataset into an empty folder, prepare it by the rule's script, and look at it with preflight."""
    path, out, found = case.write(folder), folder / "prepared", Outcome()
    entry = {"unit": None, "resize": None} | case.config | {"path": str(path)}
    output, params = SimpleNamespace(index=str(out / "index.csv")), Params(seed=1, **entry)
    job_object = SimpleNamespace(params=params, output=output, threads=1)
    with _listening(found.said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with patch.object(contents, "CACHE", folder / "contents.json"):
                contents.contents.__wrapped__(str(path))  # as a param of the rule, before the job begins
            with patch.object(job, "start", lambda _: nullcontext()):
                runpy.run_path(str(SCRIPT), {"snakemake": job_object})
        except InputError as error:
            found.error = str(error)
        except Exception as error:
            found.crash = _describe("preparation", error)
        if found.error is None and not found.crash:
            found.wrong = compare(case, Index.open(out / "index.csv"))
        elif out.exists() and os.listdir(out):
            found.crash += f" Files are left: {os.listdir(out)}"
    with _listening([]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found.preflight = _look(entry)
        except Exception as error:
            found.crash += _describe("preflight", error)
    return found


def compare(case: Case, index: Index) -> str:
    """Return how a prepared dataset differs from the truth; "" if in nothing."""
    names, truths = list(index.frame["image"]), case.truths
    if set(names) != set(truths):
        names, truths = list(map(_composed, names)), {_composed(name): truth for name, truth in truths.items()}
    if sorted(names) != sorted(truths):
        return f"images {sorted(names)} instead of {sorted(truths)}"
    rows, splits = {name: i for i, name in enumerate(names)}, dict(zip(names, index.frame["split"]))
    for name, truth in truths.items():
        i = rows[name]
        if truth.split in ("val", "test") and splits[name] != truth.split:
            return f"{name} is in {splits[name]} instead of {truth.split}"
        if truth.split == "train" and splits[name] == "test":
            return f"{name} is in test instead of train"
        found, wanted = map(_sorted, (index.heads(i), truth.heads(case.format)))
        if found.shape != wanted.shape or not np.allclose(found, wanted, atol=1e-3):
            return f"{name}: heads {np.round(found, 2).tolist()} instead of {np.round(wanted, 2).tolist()}"[:600]
        if index.frame["count"][i] != len(wanted):
            return f"{name}: count {index.frame['count'][i]} instead of {len(wanted)}"
        pixels = index.image(i).astype(int)
        if pixels.shape != truth.pixels.shape:
            return f"{name}: pixels of shape {pixels.shape} instead of {truth.pixels.shape}"
        if (worst := np.abs(pixels - truth.pixels).max()) > 1:
            return f"{name}: pixels differ by up to {worst} of 255"
        if truth.depth is not None and not np.allclose(index.depth(i), truth.depth, rtol=1e-3):
            worst = np.unravel_index(np.abs(index.depth(i) - truth.depth).argmax(), truth.depth.shape)
            return f"{name}: depth {index.depth(i)[worst]:g} instead of {truth.depth[worst]:g}"
    missing = {split for split in case.config["split"] or () if split not in Counter(splits.values())}
    return f"no image in {sorted(missing)}" if missing else ""


def _sorted(heads: np.ndarray) -> np.ndarray:
    """Return heads in an order that rounding does not change."""
    return heads[np.lexsort(np.round(heads[:, :2], 1).T)]


def _look(entry: dict) -> str:
    """Return what preflight says against a dataset."""
    empty = ("annotators", "captioners", "experiments", "generators", "pools", "render", "restorers", "reviewed")
    config = {"scale": "fuzz", "seed": 1, "datasets": {"own": {"facts": {}} | entry}} | {
        section: {} for section in empty
    }
    if entry["unit"] is None:
        del config["datasets"]["own"]["unit"]
    targets = {"table1": SimpleNamespace(needs=Needs(datasets=frozenset({"own"})))}
    assert entry["format"] in TASKS
    items = [item for item in survey(config, Plan(config), targets) if item.what == "dataset own"]
    (item,) = items
    return "" if item.ok else f"{item.state}: {item.advice}"


def _names(case: Case, folder: Path) -> set[str]:
    """Return names of which one has to stand in a message."""
    of_notes = {truth.picture for truth in case.truths.values() if truth.note in case.named}
    stems = {text for path in case.named | of_notes for text in (Path(path).name, Path(path).stem)}
    names = stems | {ascii(stem)[1:-1] for stem in stems}
    if len(case.named) != 1:
        names.add(str(folder / case.root))
    return {_composed(name) for name in names if name}


def _is_named(text: str, names: set[str]) -> bool:
    return any(name in _composed(text) for name in names)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _describe(stage: str, error: Exception) -> str:
    frames, trace = [], error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        if "promptmix" in code.co_filename:
            frames.append(f"{Path(code.co_filename).name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{stage} crashes at {frames[-1] if frames else '?'}: {type(error).__name__}: {str(error)[:300]}. "


@contextmanager
def _listening(said: list[str]) -> Iterator[None]:
    """Collect warnings of the log, and keep them from the terminal."""

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, handler = logging.getLogger("promptmix"), Collect(logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
