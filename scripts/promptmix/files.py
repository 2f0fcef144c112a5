"""Files that are either complete or absent."""

import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.(.+)")
"""How `replacing` names unfinished files. The names are unique, so that two jobs may write the same file."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for: the disk is full, the user's quota is used up, or the file is larger than allowed."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with the same suffixes, and move it to `path` if the block succeeds.

    If the block fails, the temporary file is removed, and a file already at `path` stays. The folder is made if needed.
    The block must write the temporary file, else `FileNotFoundError` is raised.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def count_bytes(path: str | Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 where there is nothing."""
    found = Path(path)
    if found.is_file():
        return found.stat().st_size
    return sum(file.stat().st_size for file in found.rglob("*") if file.is_file())


@contextmanager
def replacing_folder(path: str | Path, only_empty: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside `path`, and move it to `path` if the block succeeds; a folder there is replaced.

    If the block fails, the folder is removed, and one already at `path` stays. A job that is killed leaves it, and the next
    one empties it.

    Args:
        only_empty: whether a folder at `path` is replaced only if it is empty, else `OSError` is raised.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if path.exists():
            (Path.rmdir if only_empty else shutil.rmtree)(path)
        part.rename(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def clear_leftovers(paths: Iterable[str | Path]) -> None:
    """Remove half-written temporary versions of these files, left by jobs that were killed before `replacing` could."""
    names: dict[Path, set[str]] = {}
    for path in map(Path, paths):
        names.setdefault(path.parent, set()).add(path.name)
    for folder, wanted in names.items():
        if not folder.is_dir():
            continue
        for name in os.listdir(folder):
            found = TEMPORARY.fullmatch(name)
            if found and found[1] in wanted:
                (folder / name).unlink(missing_ok=True)


def no_room(error: BaseException | None) -> str | None:
    """Return the system's message that there was no room for a file if that caused the error, else None.

    Only Python itself raises an `OSError` that says so; HDF5 and numpy, when they write files, raise other errors.
    """
    while error is not None:
        for number in NO_ROOM:
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                return os.strerror(number)
        if isinstance(error, OSError) and re.search(r"requested and \d+ written", str(error)):
            return os.strerror(errno.ENOSPC)
        error = error.__cause__ or error.__context__
    return None


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's contents as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_csv(path: str | Path, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> None:
    """Write a table, given as a data frame or as one mapping per row, as CSV with a header and no row numbers."""
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
