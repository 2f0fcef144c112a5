"""Where a thing comes from that is needed and not there: config/sources.yaml, a rule of the workflow, or nobody knows."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from promptmix.config import sources
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.preflight.report import FETCHED, IMPORTED, MISSING, UNPACKED, WRONG, Item, describe_bytes

log = logging.getLogger(__name__)

HASHED = 10**9
"""Bytes up to which a file's SHA-256 is computed: some seconds."""

Check = Callable[[str], object]
"""Looks at the file at a path, and raises an `InputError` if it is not the right one."""


def is_made(config: Mapping[str, Any], path: str) -> bool:
    """Tell whether a rule makes a file out of nothing that is fetched."""
    return path.startswith(f"results/{config['scale']}/")


class Origins:
    """What config/sources.yaml knows of paths, and what will be fetched for those that were asked for.

    Args:
        ledger: the file to look in.

    Attributes:
        fetched: bytes by path of what will be fetched, unpacked or imported.
        unsized: names of what will be fetched whose size is not known.
    """

    def __init__(self, ledger: str | Path = sources.SOURCES):
        self._ledger, self._sources = ledger, sources.load(ledger)
        self.fetched: dict[str, int] = {}
        self.unsized: list[str] = []

    def find(self, kind: str, path: str) -> tuple[str | None, dict[str, Any]]:
        """Return name and entry of what belongs at a path, or None and nothing.

        Args:
            kind: a section: datasets, checkpoints or models.
        """
        for name, entry in self._sources[kind].items():
            place = {"checkpoints": f"{sources.CHECKPOINTS}/{name}.safetensors", "models": f"{sources.HUB}/{name}"}
            if Path(path).is_relative_to(place.get(kind) or entry["path"]):
                return name, entry
        return None, {}

    def describe_absent(
        self, what: str, path: str, users: tuple[str, ...], kind: str, error: str, check: Check = lambda path: None
    ) -> Item:
        """Return the state of what is not there: what a rule fetches, unpacks or imports, or what is missing.

        Args:
            kind: a section, as in `find`.
            error: what is wrong, if nobody knows where it comes from.
            check: of what was downloaded.
        """
        name, entry = self.find(kind, path)
        if name is None:
            return Item(what, path, MISSING, users, error)
        download = locate_download(entry)
        if download and download != path:
            self.fetched[path] = entry.get("bytes", 0)
        if download and Path(download).exists():
            problem = compare_with_published(download, entry) or describe_problem(check, download)
            if problem:
                return Item(what, download, WRONG, users, self.advise(problem, kind, path, download))
            return Item(what, path, {"datasets": UNPACKED, "checkpoints": IMPORTED}[kind], users)
        if "by_hand" in entry:
            return Item(what, path, MISSING, users, sources.how_to_get(kind, name, self._ledger))
        if "bytes" not in entry:
            self.unsized.append(name)
            return Item(what, path, FETCHED, users)
        self.fetched[download or path] = entry["bytes"]
        return Item(what, path, f"{FETCHED} ({describe_bytes(entry['bytes'])})", users)

    def advise(self, problem: str, kind: str, path: str, file: str = "") -> str:
        """Return a problem of what lies at a path, or of its download, and what to do about it if that is known."""
        name, entry = self.find(kind, path)
        if name is None:
            return problem
        if "by_hand" in entry:
            return f"{problem}\n{sources.how_to_get(kind, name, self._ledger)}"
        return f"{problem}\nRemove {file or path}, and the workflow fetches it again."


def locate_download(entry: Mapping[str, Any]) -> str:
    """Return where a file lies as its authors published it; "" where there is none."""
    return f"{sources.DOWNLOADS}/{entry['download']}" if "download" in entry else ""


def compare_with_published(path: str, entry: Mapping[str, Any]) -> str:
    """Return how a file differs from the published one: in size, or in its SHA-256; "" if in nothing known."""
    size, published = Path(path).stat().st_size, entry.get("bytes")
    if published and size != published:
        return f"{path} has {size} bytes, and the published file {published}: it is truncated, or another file."
    if "sha256" in entry and size <= HASHED:
        log.info("%s: computing the SHA-256", path)
        if (found := sha256(path)) != entry["sha256"]:
            return f"{path} has the SHA-256 {found}, and the published file {entry['sha256']}: it is damaged, or another file."
    return ""


def describe_problem(check: Check, path: str) -> str:
    """Return what a check says against a file; "" if nothing."""
    try:
        check(path)
    except InputError as error:
        return str(error)
    return ""
