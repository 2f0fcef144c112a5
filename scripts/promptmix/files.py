"""Files that are either complete or absent."""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with the same suffixes, which takes `path`'s place if the block succeeds.

    If the block fails, the temporary file is removed and whatever stood at `path` stays. The folder is made if needed.
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


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's contents as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_csv(path: str | Path, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> None:
    """Write a table, given as a data frame or as one mapping per row, as CSV with a header and no row numbers."""
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
