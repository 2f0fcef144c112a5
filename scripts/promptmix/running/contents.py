"""A name for the contents of files from elsewhere: one that is replaced is noticed, one that is touched is not.

Snakemake goes by times. But files of a fresh clone are newer than results that were made elsewhere from the same files,
and a file that takes another's place may be older than what was made from that.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

MEMORY = Path(".snakemake/contents.json")
"""The SHA-256 of files by path, size, times and inode, so that gigabytes are not read at every start. It belongs to what
Snakemake remembers of the files that it made, and stands beside it."""


@cache
def contents(*paths: str) -> str:
    """Return 16 hexadecimal digits for the contents of files and folders, "" if none of them is there.

    Times do not count, nor where files and folders lie, nor hidden files.
    """
    known = _remembered()
    hashes = {}
    digest = hashlib.sha256()
    for number, path in enumerate(paths):
        for name, file in _files(Path(path)):
            key = str(file)
            hashes[key] = _hash(file, known.get(key))
            digest.update(f"{number} {name} {hashes[key][-1]}\n".encode())
    if any(known.get(key) != found for key, found in hashes.items()):
        _remember(known | hashes)
    return digest.hexdigest()[:16] if hashes else ""


@cache
def is_known(path: str) -> bool:
    """Tell whether `contents` has ever found this file, or a file in this folder."""
    path = str(Path(path))
    return any(key == path or key.startswith(f"{path}/") for key in _remembered())


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Yield a file, or the files in a folder, each with its name from there."""
    if path.is_file():
        yield "", path
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in (Path(folder, name) for name in sorted(names) if not name.startswith(".")):
            if file.is_file():
                yield file.relative_to(path).as_posix(), file


def _hash(file: Path, known: list | None) -> list:
    """Return size, times and inode of a file, and its SHA-256: the known one, if all else is as it was."""
    stat = file.stat()
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    if known and known[:-1] == state:
        return known
    with file.open("rb") as opened:
        return [*state, hashlib.file_digest(opened, "sha256").hexdigest()]


def _remembered() -> dict[str, list]:
    try:
        return json.loads(MEMORY.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _remember(hashes: dict[str, list]) -> None:
    temporary = MEMORY.with_name(f"{MEMORY.name}.{os.getpid()}")
    try:
        MEMORY.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(hashes), encoding="utf-8")
        temporary.replace(MEMORY)
    except OSError:
        pass  # where nothing can be written, files are read at every start
