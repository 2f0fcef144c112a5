"""Downloads: files by their address and models of the Hub, and unpacked archives.

A download is written beside its final place, as `.{name}.part`. If its job is killed the part stays, and the next job
resumes it. When it is complete and verified it is renamed.
"""

import json
import logging
import os
import shutil
import stat
import time
import zipfile
import zlib
from itertools import chain
from pathlib import Path, PurePosixPath

import requests
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import GatedRepoError, HTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import filter_repo_objects

from promptmix.errors import InputError
from promptmix.files import replacing
from promptmix.files import sha256 as sha256_of

log = logging.getLogger(__name__)

TIMEOUT = 60  # seconds without a byte after which a connection is closed
WAITS = (1, 5, 15)  # seconds before each further attempt, counted anew after each that received something
EVERY = 10  # seconds between messages about progress
CHUNK = 1 << 16  # bytes


def fetch(url: str, out: str | Path, bytes: int | None = None, sha256: str | None = None) -> None:
    """Fetch a file by HTTP(S). An interrupted download resumes where it stopped, if the file is still the same.

    Proxies are those of the environment (HTTPS_PROXY, NO_PROXY). The file's SHA-256 is logged.

    Args:
        url: its address.
        out: the path to save it at.
        bytes, sha256: the size and SHA-256 of the published file, if known.

    Raises:
        InputError: there is no network or no room, the server refuses, or the file is not the published one; such a file
            is removed.
    """
    out = Path(out)
    part = out.with_name(f".{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    log.info("fetching %s to %s", url, out)
    try:
        _persist(url, part, bytes)
        size, digest = part.stat().st_size, sha256_of(part)
        for what, found, expected in (("bytes", size, bytes), ("SHA-256", digest, sha256 and sha256.lower())):
            if expected not in (None, found):
                _remove(part)
                raise InputError(
                    f"{url}: {what} {found}, expected {expected}. It was damaged on the way, or is another file now, so it "
                    "is removed. Start again; if that does not help, check whether its authors have replaced it."
                )
    except InputError as error:
        raise InputError(f"{error} Or put the file there by hand: {out}") from error
    log.info(
        "%s: %d bytes, SHA-256 %s, %s", out, size, digest, "as expected" if sha256 else "not compared, as none is known"
    )
    os.replace(part, out)
    _remove(part)


def _persist(url: str, part: Path, size: int | None) -> None:
    """Receive a file, with several attempts if the network fails."""
    failed = most = 0
    while True:
        try:
            return _receive(url, part, size)
        except requests.RequestException as error:
            arrived = part.stat().st_size if part.exists() else 0
            failed, most = (1, arrived) if arrived > most else (failed + 1, most)
            if failed > len(WAITS):
                raise InputError(
                    f"{url} could not be fetched: {error}. Check the network, and HTTPS_PROXY if there is a proxy, and "
                    f"start again: the {arrived / 1e6:.1f} MB that have arrived are kept."
                ) from error
            log.warning("%s: %s; trying again in %d s", url, error, WAITS[failed - 1])
            time.sleep(WAITS[failed - 1])


def _receive(url: str, part: Path, size: int | None) -> None:
    """Receive what is missing of a file.

    Raises:
        requests.RequestException: something is still missing, but another attempt may help.
        InputError: another attempt will not help.
    """
    note = part.with_suffix(".json")  # says which file this is a part of
    record = json.loads(note.read_text()) if note.exists() else {"url": None}
    have = part.stat().st_size if part.exists() and record["url"] == url and record["validator"] else 0
    if have and have == record["total"]:
        return  # killed between the last byte and the renaming
    headers = {"Range": f"bytes={have}-", "If-Range": record["validator"]} if have else {}
    headers["Accept-Encoding"] = "identity"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        code, status = response.status_code, f"HTTP {response.status_code} {response.reason}"
        if code in (401, 403):
            raise InputError(f"{url}: {status}. The server refuses: it may require an account or another network.")
        if 400 <= code < 500 and code not in (408, 416, 425, 429):
            raise InputError(f"{url}: {status}. The file was moved or removed; look for it on its authors' pages.")
        first_byte = response.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
        if code == 416 or (code == 206 and first_byte != str(have)):
            _remove(part)
            raise requests.RequestException(f"{status}, but not from byte {have} on: starting from the beginning")
        response.raise_for_status()
        chunks = response.iter_content(CHUNK)
        first = next(chunks, b"")
        if code == 206:
            total = record["total"]
        else:
            have, total = 0, int(response.headers.get("Content-Length") or 0) or size
            if first[:100].lstrip().lower().startswith((b"<!doctype html", b"<html", b"<head")):
                raise InputError(
                    f"{url} is a web page, not the file: perhaps a message or a log-in. Open it in a browser."
                )
            if size is not None and total != size:
                raise InputError(f"{url} has {total} bytes, expected {size}: it is another file now.")
            etag = response.headers.get("ETag", "W/")  # a weak one (W/) does not guarantee equal bytes
            validator = response.headers.get("Last-Modified") if etag.startswith("W/") else etag
            _remove(part)
            with replacing(note) as temporary:
                temporary.write_text(json.dumps({"url": url, "validator": validator, "total": total}))
        _check_space(part.parent, (total or 0) - have, url)
        said = time.monotonic()
        with open(part, "ab") as file:
            for chunk in chain([first], chunks):
                have += file.write(chunk)
                if time.monotonic() - said >= EVERY:
                    said = time.monotonic()
                    log.info("%s: %.1f of %s MB", url, have / 1e6, f"{total / 1e6:.1f}" if total else "?")
    if total and have < total:
        raise requests.ConnectionError(f"the connection ended after {have} of {total} bytes")


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    part.with_suffix(".json").unlink(missing_ok=True)


def fetch_model(repository: str, revision: str, files: list[str], out: str | Path) -> None:
    """Fetch files of a model on the Hub, or of its mirror at HF_ENDPOINT, and compare them with the Hub's hashes.

    Args:
        repository: owner/name.
        revision: the commit, 40 hexadecimal digits.
        files: patterns of the files to fetch, such as "*.json" (which includes sub-folders).
        out: the folder, which appears when it is complete. Files that have arrived whole are not fetched again.

    Raises:
        InputError: there is no network, or no such model or file; its terms must be accepted first; a file is damaged; or
            the folder exists already.
    """
    out, hub, what = _clear_place(out), HfApi(), f"{repository} at {constants.ENDPOINT}"
    part = out.with_name(f".{out.name}.part")
    try:
        names = {file.rfilename for file in hub.model_info(repository, revision=revision, timeout=TIMEOUT).siblings}
        for pattern in files:
            if not any(filter_repo_objects(names, allow_patterns=[pattern])):
                raise InputError(f"{what}: no file matches '{pattern}'. Its files are: {', '.join(sorted(names))}")
        for stale in part.rglob("*.incomplete"):  # of a killed job: the library never resumes them
            stale.unlink()
        log.info("fetching %s, revision %s, to %s", what, revision, out)
        snapshot_download(repository, revision=revision, local_dir=part, allow_patterns=files)
        check = hub.verify_repo_checksums(repository, revision=revision, local_dir=part)
    except GatedRepoError as error:
        raise InputError(
            f"{repository} is only for users who have accepted its terms. Accept them at {constants.ENDPOINT}/{repository}, "
            f"create a token at {constants.ENDPOINT}/settings/tokens, and start again with HF_TOKEN set to it."
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise InputError(
            f"{what} does not exist, has no revision {revision}, or is private. Check whether it has moved, or set HF_TOKEN."
        ) from error
    except (HTTPError, OSError, RuntimeError) as error:  # the last may come from hf_xet
        raise InputError(
            f"{what} could not be fetched: {error}. Check the network, HTTPS_PROXY, HF_ENDPOINT, HF_TOKEN and the disk, and "
            "start again: files that have arrived whole are kept."
        ) from error
    if wrong := [found["path"] for found in check.mismatches]:
        for name in wrong:
            (part / name).unlink()
        raise InputError(
            f"{what}: these files do not have the Hub's hashes and are removed: {', '.join(wrong)}. Start again."
        )
    shutil.rmtree(part / ".cache")
    os.replace(part, out)


def unpack(archive: str | Path, out: str | Path) -> None:
    """Unpack a .zip, without what macOS adds, and without the top folder if it is the only one.

    Args:
        archive: the file. It is refused as a whole if it holds a link or a path that leads out of `out`.
        out: the folder, which appears when it is complete.

    Raises:
        InputError: there is no archive, it is damaged, encrypted or hostile, there is no room, or the folder exists
            already.
    """
    archive, out = Path(archive), _clear_place(out)
    part, by_hand = out.with_name(f".{out.name}.part"), f"Fetch it again, or unpack it by other means to {out}."
    if not archive.is_file():
        raise InputError(f"No archive at {archive} (expected at {archive.absolute()}). Put the file there.")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as file:
            entries = [(PurePosixPath(info.filename), info) for info in file.infolist()]
            members = [info for path, info in entries if "__MACOSX" not in path.parts and path.name != ".DS_Store"]
            for path, info in entries:
                if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(info.external_attr >> 16):
                    raise InputError(f"{archive}: '{path}' leads out of the folder or is a link. Nothing was unpacked.")
                if info.flag_bits & 1:
                    raise InputError(f"{archive} is encrypted. Unpack it by hand, with its password, to {out}.")
            if all(info.is_dir() for info in members):
                raise InputError(f"{archive} holds no files. {by_hand}")
            _check_space(out.parent, sum(info.file_size for info in members), archive)
            log.info("unpacking %s to %s: %d entries", archive, out, len(members))
            file.extractall(part, members)
        tops = list(part.iterdir())
        os.replace(tops[0] if len(tops) == 1 and tops[0].is_dir() else part, out)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:  # the last: Deflate64, for example
        raise InputError(
            f"{archive} is not a zip archive, is damaged, or is of an unknown kind: {error}. {by_hand}"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _clear_place(out: str | Path) -> Path:
    """Return the path of a folder to be made. It may exist if it is empty, or holds Snakemake's mark only."""
    out, mark = Path(out), ".snakemake_timestamp"
    if out.exists() and not (out.is_dir() and set(os.listdir(out)) <= {mark}):
        raise InputError(f"{out} exists already and is not overwritten. Move it away, or use it as it is.")
    (out / mark).unlink(missing_ok=True)
    return out


def _check_space(folder: Path, needed: int, what: str | Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{what}: {needed / 1e6:.1f} MB are needed in {folder}, but only {free / 1e6:.1f} MB are free. "
            f"Make room, or replace {folder} by a link to a larger disk."
        )
