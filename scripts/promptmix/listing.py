"""The files in a folder of the user's: links are followed, and what is hidden is left out."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from promptmix.errors import InputError


def list_files(folder: str | Path) -> Iterator[tuple[str, Path]]:
    """Yield the files in a folder and its subfolders: first its own, sorted by name, then those of each subfolder.

    Links to files and folders are followed, but not back into a folder that they are in. Hidden files and folders are
    left out. A link that leads nowhere is yielded too.

    Yields:
        The path relative to `folder`, with forward slashes, and the path.
    """
    above = {str(folder): (os.path.realpath(folder),)}
    for place, folders, names in os.walk(folder, followlinks=True):
        way = above.pop(place)
        inner = {name: os.path.realpath(os.path.join(place, name)) for name in folders if not name.startswith(".")}
        folders[:] = sorted(name for name, real in inner.items() if real not in way)
        above |= {os.path.join(place, name): (*way, inner[name]) for name in folders}
        for file in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            yield file.relative_to(folder).as_posix(), file


def describe_absent(path: str | Path) -> str:
    """Return why there is nothing at a path: it is missing, or a link that leads nowhere."""
    if os.path.islink(path):
        return f"is a link to {os.readlink(path)!a}, where there is nothing"
    return "is missing"


def check_names(folder: str | Path, suffixes: Collection[str]) -> None:
    """Raise an `InputError` if a file's name cannot be written into a table: its bytes are not UTF-8.

    Such names come out of archives that were packed on Windows. They are shown as Python writes them.

    Args:
        folder: which may also be a single file, or missing.
        suffixes: in lower case; files with other suffixes may be called anything.
    """
    wrong = [
        ascii(str(file))
        for name, file in list_files(folder)
        if Path(name).suffix.lower() in suffixes and not _is_utf8(name)
    ]
    if wrong:
        raise InputError(
            f"{wrong[0]}: the bytes of this name are not UTF-8 ({len(wrong)} such files in all). Rename what is in the "
            f"folder, as by `convmv -r -f GBK -t UTF-8 --notest {folder}` with the encoding of the names (GBK, SHIFT_JIS, "
            "CP1252, ...), or unpack the archive again, as by `unzip -O GBK`"
        )


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
