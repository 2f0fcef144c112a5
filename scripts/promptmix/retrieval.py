"""What others have published: files by their address, models of the Hub, and archives unpacked.

What arrives lies beside its place under a hidden name, outlives the job, and is gone on with by the next one. It takes
its place when it is complete and verified.
"""

import gzip
import hashlib
import json
import logging
import lzma
import os
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar

import requests
import urllib3
from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers, filter_repo_objects

from promptmix.errors import InputError
from promptmix.files import replacing
from promptmix.files import sha256 as sha256_of

log = logging.getLogger(__name__)

TIMEOUT = 60
"""Seconds without a byte after which a connection is given up."""

WAITS = (1, 5, 15)
"""Seconds before each further attempt. Attempts count from the last one that brought something new."""

EVERY = 10
"""Seconds between lines of progress in the log."""

CHUNK = 1 << 16

T = TypeVar("T")


# --- A file by its address ---


def fetch(
    url: str,
    out: str | Path,
    bytes: int | None = None,
    sha256: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Fetch a file by HTTP(S). An interrupted download goes on where it was, if the file is still the same.

    Proxies are those of the environment (HTTPS_PROXY, NO_PROXY). The SHA-256 of a file for which none is known is in the
    log.

    Args:
        url: address.
        out: where the file is to lie; until it is complete there is `.{name}.part`, with a record beside it.
        bytes, sha256: of the published file, where known.
        headers: to send with the request; those of a token are not handed on to other hosts.

    Raises:
        InputError: no network, the server refuses, or there is something else than the published file, which is removed.
    """
    out = Path(out)
    part = _Part(out.with_name(f".{out.name}.part"))
    out.parent.mkdir(parents=True, exist_ok=True)
    by_hand = f"Or fetch it by other means and put it there: {out}"
    log.info("fetching %s to %s", url, out)
    try:
        _patiently(url, lambda: _receive(url, part, bytes, sha256, headers or {}), part.size)
    except InputError as error:
        raise type(error)(f"{error} {by_hand}") from error
    found = {"bytes": part.size(), "SHA-256": sha256_of(part.path)}
    for what, expected in (("bytes", bytes), ("SHA-256", sha256 and sha256.lower())):
        if expected is not None and found[what] != expected:
            part.remove()
            raise InputError(
                f"{url}: {what} {found[what]}, expected {expected}. It was damaged on the way, or is another file now, and "
                f"is removed. Start again; if that does not help, see whether its authors have replaced it. {by_hand}"
            )
    known = "as expected" if sha256 else "none is known to compare it with"
    log.info("%s: %d bytes, SHA-256 %s, %s", out, *found.values(), known)
    os.replace(part.path, out)
    part.remove()


class _Transient(Exception):
    """What may go well the next time."""


class _Refused(InputError):
    """The server knows who may have the file, and this is not one of them."""


@dataclass(frozen=True)
class _Part:
    """A file that has arrived in part, and a record of what it is part of: `url`, `validator` and `total` bytes."""

    path: Path

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def _record(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def record(self) -> dict[str, Any]:
        try:
            return json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def begin(self, record: dict[str, Any]) -> None:
        """Drop what is there, and note what is to come: in this order, as the job may be killed between the two."""
        self.remove()
        with replacing(self._record) as temporary:
            temporary.write_text(json.dumps(record))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._record.unlink(missing_ok=True)


def _receive(url: str, part: _Part, size: int | None, sha256: str | None, headers: Mapping[str, str]) -> None:
    """Receive what is missing of a file.

    Raises:
        _Transient, or an error of requests or urllib3: not all has arrived.
        InputError: there is no such file.
    """
    known = part.record()
    # Without a validator the server cannot say whether it is the same file; the SHA-256 says it in the end.
    if known.get("url") != url or not (known["validator"] or sha256):
        part.remove()
    have, total = part.size(), known.get("total")
    if have and have == total:
        return  # killed between the last byte and the renaming
    asked = {"Accept-Encoding": "identity", **headers}
    if have:
        asked["Range"] = f"bytes={have}-"
        if known["validator"]:
            asked["If-Range"] = known["validator"]
    with requests.get(url, headers=asked, stream=True, timeout=TIMEOUT) as response:
        _check_status(response, url)
        if response.status_code == 416:
            part.remove()
            raise _Transient(f"the server has no bytes from {have} on")
        chunks = response.raw.stream(CHUNK, decode_content=False)
        first = next(chunks, b"")
        if response.status_code == 206:
            start, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            if start.split("-")[0] != str(have) or whole not in ("*", str(total)):
                part.remove()
                raise _Transient(f"asked for the bytes from {have} on, got {start} of {whole}")
            log.info("%s: going on after %s", url, _megabytes(have))
        else:
            if have:
                log.info("%s: another file now, or a server that always starts anew", url)
            have, length = 0, response.headers.get("Content-Length")
            total = int(length) if length else size
            if _is_page(response.headers.get("Content-Type", ""), first):
                raise InputError(f"{url} is a web page, not the file: a message or a log-in. Open it in a browser.")
            if size is not None and total != size:
                raise InputError(f"{url} has {total} bytes, expected {size}: it is another file now.")
            part.begin({"url": url, "validator": _validator(response), "total": total})
        if total is not None:
            _check_space(part.path.parent, total - have, url)
        progress = _Progress(url, have, total)
        with open(part.path, "ab") as file:
            for chunk in chain([first], chunks):
                file.write(chunk)
                progress.add(len(chunk))
    if total is not None and part.size() < total:
        raise _Transient(f"the connection ended after {part.size()} of {total} bytes")


def _validator(response: requests.Response) -> str:
    """Return what tells this content from a later one at the same address; a weak ETag does not."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _check_status(response: requests.Response, url: str) -> None:
    status = f"HTTP {response.status_code} {response.reason}"
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        raise _Transient(status)
    if response.status_code in (401, 403, 407):
        raise _Refused(
            f"{url}: {status}. The server refuses access: it may want an account, a token or another network."
        )
    if response.status_code >= 400 and response.status_code != 416:
        raise InputError(f"{url}: {status}. The file has moved or was taken away; look for it at its authors'.")


def _is_page(content_type: str, start: bytes) -> bool:
    start = start[:100].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html")) or (start[:1] == b"<" and "text/html" in content_type)


def _reason(error: BaseException) -> str:
    """Return why a connection failed; requests wraps it in what urllib3 says of its retries."""
    inner = error.args[0] if error.args and isinstance(error.args[0], BaseException) else error
    inner = getattr(inner, "reason", None) or inner
    return str(next(iter(inner.args), "") or type(inner).__name__)


def _patiently(what: str, attempt: Callable[[], T], come: Callable[[], int] = int) -> T:
    """Return what `attempt` returns, after further attempts if need be.

    Args:
        what: is fetched.
        attempt: called again after a failure of the network, until the last of `WAITS` has passed.
        come: bytes that have arrived. Once there are more than ever, attempts are counted anew.

    Raises:
        InputError: the network failed each time.
    """
    most, failed = come(), 0
    while True:
        try:
            return attempt()
        except (requests.RequestException, urllib3.exceptions.HTTPError, _Transient) as error:
            if come() > most:
                most, failed = come(), 0
            if failed == len(WAITS):
                kept = f"; {_megabytes(come())} have arrived and are kept" if come() else ""
                raise InputError(
                    f"{what} could not be fetched: {_reason(error)}. Check the network, and HTTPS_PROXY if there is a "
                    f"proxy, and start again{kept}."
                ) from error
            log.warning("%s: %s; trying again in %d s", what, _reason(error), WAITS[failed])
            time.sleep(WAITS[failed])
            failed += 1


def _check_space(folder: Path, needed: int, what: str | Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{what}: {_megabytes(needed)} are to be written to {folder}, where {_megabytes(free)} are free. "
            f"Make room, or let {folder} be a link to a larger disk."
        )


class _Progress:
    """Says in the log how far something is, every `EVERY` seconds."""

    def __init__(self, what: str | Path, done: int, total: int | None):
        self._what, self._first, self._done, self._total = what, done, done, total
        self._start = self._said = time.monotonic()

    def add(self, size: int) -> None:
        self._done += size
        now = time.monotonic()
        if now - self._said < EVERY:
            return
        self._said = now
        speed = (self._done - self._first) / (now - self._start)
        of = left = ""
        if self._total:
            minutes, seconds = divmod(round((self._total - self._done) / max(speed, 1)), 60)
            of, left = f" of {_megabytes(self._total)}", f", {minutes}:{seconds:02d} min left"
        log.info("%s: %s%s, %.1f MB/s%s", self._what, _megabytes(self._done), of, speed / 1e6, left)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.{0 if size >= 1e7 else 1}f} MB"


# --- A model of the Hub ---


def fetch_model(repository: str, revision: str, files: list[str], out: str | Path) -> None:
    """Fetch files of a model on the Hub, or of its mirror at HF_ENDPOINT, at one revision.

    Each file is compared with the Hub's record of that revision: size, and SHA-256 (of files in LFS) or Git's hash.

    Args:
        repository: owner/name.
        revision: the commit, 40 hexadecimal digits.
        files: patterns of the files to fetch, such as "*.json" (which is those of sub-folders too).
        out: the folder, which appears when it is complete; until then there is `.{name}.{revision}.part`.

    Raises:
        InputError: no network, no such repository or revision, one for which terms have to be accepted, a pattern that no
            file fits, a file that is not as the Hub says, or the folder is there already.
    """
    out = _absent(out)
    listed = _listing(repository, revision)
    for pattern in files:
        if not any(filter_repo_objects((file.rfilename for file in listed), allow_patterns=[pattern])):
            names = ", ".join(sorted(file.rfilename for file in listed))
            raise InputError(f"{repository} at {revision}: no file fits '{pattern}'. There are: {names}")
    part = out.with_name(f".{out.name}.{revision[:8]}.part")
    part.mkdir(parents=True, exist_ok=True)
    wanted = list(filter_repo_objects(listed, allow_patterns=files, key=lambda file: file.rfilename))
    missing = [file for file in wanted if not _is_there(part / _inside(file.rfilename, repository), file.size)]
    log.info("%s at %s: %d files, %d of them to fetch", repository, revision, len(wanted), len(missing))
    _check_space(part, sum(file.size for file in missing), repository)
    for file in missing:
        url, path = hf_hub_url(repository, file.rfilename, revision=revision), part / file.rfilename
        try:
            fetch(url, path, file.size, file.lfs.sha256 if file.lfs else None, build_hf_headers())
        except _Refused as error:
            raise InputError(_gated(repository)) from error
        if not file.lfs and _git_hash(path) != file.blob_id:
            path.unlink()
            raise InputError(f"{url} is not the file of this revision, and is removed: its Git hash is another.")
    os.replace(part, out)


def _listing(repository: str, revision: str) -> list[RepoSibling]:
    """Return the Hub's record of each file of a revision: `rfilename`, `size`, `blob_id`, and `lfs` or None."""
    what = f"{repository} at {constants.ENDPOINT}"

    def attempt():
        try:
            return HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT).siblings
        except OfflineModeIsEnabled as error:
            raise InputError(f"{what}: HF_HUB_OFFLINE is set, so nothing is fetched. Unset it.") from error
        except RevisionNotFoundError as error:
            raise InputError(f"{what} has no revision {revision}. Look at the Hub for one that it has.") from error
        except GatedRepoError as error:
            raise InputError(_gated(repository)) from error
        except RepositoryNotFoundError as error:
            raise InputError(f"{what}: not there, or private. Look where it has moved, or set HF_TOKEN.") from error
        except HTTPError as error:  # of the status, if there was an answer, else of the connection
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
            if status is None or status == 429 or status >= 500:
                raise _Transient(f"HTTP {status}" if status else str(error)) from error
            raise InputError(f"{what}: HTTP {status}. The Hub refuses; set HF_TOKEN if the model needs it.") from error

    return _patiently(what, attempt)


def _gated(repository: str) -> str:
    return (
        f"{repository} is refused: it is for those who have accepted its terms. Accept them at "
        f"{constants.ENDPOINT}/{repository}, make a token at {constants.ENDPOINT}/settings/tokens, and start again with "
        f"HF_TOKEN set to it."
    )


def _is_there(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def _git_hash(path: Path) -> str:
    """Return the hash under which Git keeps a file."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


# --- An archive ---


@dataclass(frozen=True)
class _Member:
    """A file or folder of an archive: its path there, its size, and how to open it (None for a folder)."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO] | None


def unpack(archive: str | Path, out: str | Path) -> None:
    """Unpack a .zip or .tar, compressed or not. A single folder at the top that holds all is left out.

    What macOS adds (`__MACOSX`, `.DS_Store`) is passed over. Nothing is written outside `out`: an archive that holds a
    link, a device, or a path that leads out of it is refused as a whole.

    Args:
        archive: the file.
        out: the folder, which appears when it is complete.

    Raises:
        InputError: no archive, a damaged, encrypted or hostile one, no room for what it holds, or the folder is there already.
    """
    archive, out = Path(archive), _absent(out)
    if not archive.is_file():
        raise InputError(f"No archive at {archive} (expected at {archive.absolute()}). Put it there.")
    by_hand = f"Fetch it again, or unpack it by other means to {out}"
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with _members(archive) as members:
            found = _stripped([member for member in members if not _of_macos(member.path)])
            if not any(member.open for member in found):
                raise InputError(f"{archive} holds no files. {by_hand}")
            part.mkdir(parents=True)
            total = sum(member.size for member in found)
            _check_space(part, total, archive)
            log.info("unpacking %s to %s: %d entries, %s", archive, out, len(found), _megabytes(total))
            _write(found, part, _Progress(archive, 0, total))
        os.replace(part, out)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise InputError(f"{archive} is damaged, or not complete: {error}. {by_hand}") from error
    except NotImplementedError as error:  # as Deflate64, with which Windows packs large files
        raise InputError(f"{archive} is packed in a way that Python does not know ({error}). {by_hand}") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        name = Path(error.filename).relative_to(part)
        raise InputError(f"{archive} holds '{name}' twice, or as file and folder. {by_hand}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _members(archive: Path) -> Iterator[list[_Member]]:
    """Open an archive, and list its files and folders.

    Raises:
        InputError: neither a zip nor a tar, encrypted, or with a member that is refused.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            members = []
            for info in file.infolist():
                if info.flag_bits & 1:
                    raise InputError(f"{archive} is encrypted. Unpack it by hand, with its password.")
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _hostile(archive, info.filename, "is a link or a device")
                path = _inside(info.filename.replace("\\", "/"), archive)  # as some programs on Windows write it
                members.append(_Member(path, info.file_size, None if info.is_dir() else partial(file.open, info)))
            yield members
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as file:
            members = []
            infos = file.getmembers()
            while file.fileobj.read(CHUNK):
                pass  # gzip's checksum stands behind the last member
            for info in infos:
                if not (info.isreg() or info.isdir()):
                    raise _hostile(archive, info.name, "is a link or a device")
                path = _inside(info.name, archive)
                members.append(_Member(path, info.size, partial(file.extractfile, info) if info.isreg() else None))
            yield members
    else:
        size = archive.stat().st_size
        raise InputError(f"{archive} ({size} bytes) is no zip or tar archive, or is damaged. Fetch it again.")


def _inside(name: str, source: str | Path) -> PurePosixPath:
    """Return a path in an archive or repository, which must not lead out of it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise _hostile(source, name, "leads out of the folder")
    return path


def _hostile(source: str | Path, name: str, what: str) -> InputError:
    return InputError(f"{source}: '{name}' {what}, so nothing of it is kept. Is it what its authors published?")


def _of_macos(path: PurePosixPath) -> bool:
    return path.parts[:1] == ("__MACOSX",) or path.name == ".DS_Store"


def _stripped(members: list[_Member]) -> list[_Member]:
    """Return the members, without the folder at the top if it holds all others."""
    tops = {member.path.parts[0] for member in members if member.path.parts}
    if len(tops) != 1 or any(member.open and len(member.path.parts) == 1 for member in members):
        return members
    return [replace(member, path=PurePosixPath(*member.path.parts[1:])) for member in members]


def _write(members: Iterable[_Member], folder: Path, progress: _Progress) -> None:
    for member in members:
        path = folder / member.path
        (path.parent if member.open else path).mkdir(parents=True, exist_ok=True)
        if member.open:
            with member.open() as source, open(path, "xb") as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    progress.add(len(chunk))


def _absent(out: str | Path) -> Path:
    """Return the path of a folder to be made."""
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out} is there already; it is not overwritten. Move it away, or use it as it is.")
    return out
