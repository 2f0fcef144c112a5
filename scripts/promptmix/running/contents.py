"""A name for the contents of the user's files: it changes if a file is replaced, and not if only its time changes.

Snakemake compares times, which mislead for such files: after a fresh clone they are newer than results that were copied
from elsewhere, and a replacement may be older than the results that were made from the file it replaces.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from promptmix.listing import list_files

CACHE = Path(".snakemake/contents.json")
"""The SHA-256 of each file with its size, times and inode, so that gigabytes are not read at every start. It is kept
beside Snakemake's own records of past runs, to which it belongs."""


@cache
def contents(*paths: str) -> str:
    """Return 16 hexadecimal digits for the contents of files and folders, "" if none of them exists.

    They do not depend on times, on where the files and folders are, or on hidden files.
    """
    known = _read_cache()
    hashes = {}
    digest = hashlib.sha256()
    for number, path in enumerate(paths):
        for name, file in _files(Path(path)):
            key = str(file)
            hashes[key] = _hash(file, known.get(key))
            # A name whose bytes are not UTF-8 is hashed all the same: whoever reads the file says what to do about it.
            digest.update(f"{number} {name} {hashes[key][-1]}\n".encode(errors="surrogateescape"))
    if any(known.get(key) != found for key, found in hashes.items()):
        _write_cache(known | hashes)
    return digest.hexdigest()[:16] if hashes else ""


def state_of(*paths: str) -> str:
    """Return a name for the sizes and times of files and of the files in folders, without reading them.

    A copy has another name: this is for what would be wrong with other files, and is only slower with a copy.
    """
    stats = [(name, file.stat()) for path in paths for name, file in _files(Path(path))]
    return hashlib.sha256(repr([(name, s.st_size, s.st_mtime_ns) for name, s in stats]).encode()).hexdigest()[:16]


@cache
def is_known(path: str) -> bool:
    """Return whether `contents` has ever found this file, or a file in this folder."""
    path = str(Path(path))
    return any(key == path or key.startswith(f"{path}/") for key in _read_cache())


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield a file, or the files in a folder, each with its path relative to that folder ("" for a single file)."""
    if path.is_file():
        yield "", path
    yield from ((name, file) for name, file in list_files(path) if file.is_file())


def _hash(file: Path, known: list | None) -> list:
    """Return the size, times and inode of a file, and its SHA-256: the known one if the others are unchanged."""
    stat = file.stat()
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    if known and known[:-1] == state:
        return known
    with file.open("rb") as opened:
        return [*state, hashlib.file_digest(opened, "sha256").hexdigest()]


def _read_cache() -> dict[str, list]:
    try:
        return json.loads(CACHE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write_cache(hashes: dict[str, list]) -> None:
    temporary = CACHE.with_name(f"{CACHE.name}.{os.getpid()}")
    try:
        CACHE.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(hashes), encoding="utf-8")
        temporary.replace(CACHE)
    except OSError:
        pass  # where the cache cannot be written, files are read at every start
