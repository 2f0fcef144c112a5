"""Files, models and archives arrive whole and as published, or not at all, over networks that are not."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest
from huggingface_hub import constants

from promptmix.errors import InputError
from promptmix.retrieval import download as retrieval
from promptmix.retrieval.download import CHUNK, fetch, fetch_model, unpack

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = b"\n<!DOCTYPE html><html><body>Google Drive cannot scan this file for viruses</body></html>"


class Handler(BaseHTTPRequestHandler):
    """Answers as `server.answers` say, one per request and the last for all further ones; `server.pages`, by path, go before.

    An answer holds what differs from a good server's: `status`; `headers`; `ranges`, whether it knows them; `upto`, the byte of
    the file after which it hangs up, or with `hangs` falls silent; `length`, whether it says how long the file is; `content`.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        answer = {"status": 200, "headers": {}, "ranges": True, "upto": None, "hangs": False, "length": True}
        answer |= (
            server.pages.get(urlsplit(self.path).path)
            or server.answers[min(len(server.requests), len(server.answers) - 1)]
        )
        server.requests.append(self)
        status, headers, first = answer["status"], dict(answer["headers"]), 0
        content = answer.get("content", server.content if status == 200 else b"")
        headers.setdefault("ETag", server.etag)
        validator = headers.get("Last-Modified") if headers["ETag"].startswith("W/") else headers["ETag"]
        asked = self.headers.get("Range")
        if status == 200 and asked and answer["ranges"] and self.headers.get("If-Range") == validator:
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            status = 206 if first < len(content) else 416
            headers.setdefault("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        body = b"" if status == 416 else content[first:]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if answer["length"]:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body if answer["upto"] is None else body[: max(0, answer["upto"] - first)])
        if answer["hangs"]:
            server.killed.wait(60)
        self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A local web server; no proxy, and no waiting between attempts."""
    monkeypatch.setattr(retrieval, "WAITS", (0, 0, 0))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.etag, server.answers, server.pages, server.requests = CONTENT, '"1"', [{}], {}, []
    server.killed = threading.Event()
    server.handle_error = lambda *_: None  # clients that hang up early are part of it
    server.url = f"http://127.0.0.1:{server.server_port}/data/crowd.bin"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.killed.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "downloads" / "crowd.bin"


def ranges(server):
    """Return the first byte that each request asked for."""
    asked = [request.headers.get("Range") for request in server.requests]
    return [int(text.removeprefix("bytes=").removesuffix("-")) if text else 0 for text in asked]


def interrupted(server, out, upto, first=None):
    """Fetch up to a byte, as a network does that then goes away for good; all that follows is well again."""
    server.answers = [{"upto": upto} | (first or {}), {"status": 503}]
    with pytest.raises(InputError, match="503 Server Error"):
        fetch(server.url, out)
    assert sorted(os.listdir(out.parent)) == [".crowd.bin.json", ".crowd.bin.part"]
    assert (out.parent / ".crowd.bin.part").read_bytes() == CONTENT[:upto]
    server.requests.clear()
    server.answers = [{}]


def only(out, content=CONTENT):
    """Assert that a file is whole, and alone in its folder."""
    assert out.read_bytes() == content
    assert os.listdir(out.parent) == [out.name]


def refused(server, out, message, **expected):
    """Assert that what the server has is refused, with a way out, and that nothing is left of it."""
    with pytest.raises(InputError, match=f"{message}.* Or put the file there by hand: {out}$"):
        fetch(server.url, out, **expected)
    assert os.listdir(out.parent) == []


# --- A file ---


@pytest.mark.parametrize("expected", [{}, {"bytes": 1_000_000, "sha256": SHA256.upper()}])
def test_a_file_arrives_whole_and_its_sha256_is_in_the_log(server, out, caplog, expected):
    caplog.set_level("INFO")
    fetch(server.url, out, **expected)
    only(out)
    known = "as expected" if expected else "not compared, as none is known"
    assert f"{out}: 1000000 bytes, SHA-256 {SHA256}, {known}" in caplog.messages


def test_a_file_of_which_the_server_does_not_say_the_length(server, out):
    server.answers = [{"length": False}]
    fetch(server.url, out)
    only(out)


def test_the_log_says_how_far_it_is(server, out, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(retrieval, "EVERY", 0)
    fetch(server.url, out)
    lines = [message for message in caplog.messages if message.endswith(" MB")]
    assert len(lines) == 16 and lines[-1] == f"{server.url}: 1.0 of 1.0 MB"


# --- A network that fails ---


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, out, caplog):
    server.answers = [{"upto": 4 * CHUNK}, {"status": 503}, {"upto": 10 * CHUNK}, {}]
    fetch(server.url, out, sha256=SHA256)
    only(out)
    assert ranges(server) == [0, 4 * CHUNK, 4 * CHUNK, 10 * CHUNK]
    assert "503 Server Error" in caplog.text and "trying again in 0 s" in caplog.text


def test_a_body_that_ends_too_early_without_a_word_is_taken_up(server, out):
    """As with servers of HTTP/1.0, which say no length and only hang up."""
    server.answers = [{"length": False, "upto": 4 * CHUNK}, {}]
    fetch(server.url, out, bytes=len(CONTENT))
    only(out)
    assert ranges(server) == [0, 4 * CHUNK]


def test_attempts_count_from_the_last_that_brought_something(server, out):
    server.answers = [{"upto": step} for step in range(CHUNK, 10 * CHUNK, CHUNK)] + [{}]
    fetch(server.url, out)
    only(out)
    assert len(server.requests) == 10 > len(retrieval.WAITS) + 1


def test_a_server_that_breaks_each_time_at_the_same_byte_is_given_up_and_what_arrived_kept(server, out):
    server.answers = [{"upto": 4 * CHUNK, "ranges": False}]
    with pytest.raises(
        InputError, match="could not be fetched: .*the network.*: the 0.3 MB that have arrived are kept"
    ):
        fetch(server.url, out)
    assert len(server.requests) == 1 + len(retrieval.WAITS)
    assert not out.exists()


def test_the_download_of_a_killed_job_resumes(server, out):
    server.answers = [{"upto": 400_000, "hangs": True}, {}]
    script = f"from promptmix.retrieval.download import fetch; fetch({server.url!r}, {str(out)!r})"
    environment = os.environ | {"PYTHONPATH": str(Path(retrieval.__file__).parents[2])}
    job = subprocess.Popen([sys.executable, "-c", script], env=environment)
    part, end = out.parent / ".crowd.bin.part", time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and job.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    job.kill()
    job.wait()
    server.killed.set()
    arrived = part.stat().st_size
    assert 0 < arrived <= 400_000 and not out.exists()
    fetch(server.url, out, sha256=SHA256)
    only(out)
    assert ranges(server) == [0, arrived]


def test_a_job_that_is_killed_before_the_renaming_asks_for_nothing_again(server, out):
    interrupted(server, out, 15 * CHUNK)
    (out.parent / ".crowd.bin.part").write_bytes(CONTENT)
    fetch(server.url, out)
    only(out)
    assert server.requests == []


def test_no_network(server, out):
    server.shutdown()
    server.server_close()
    refused(server, out, "could not be fetched: .*Connection refused.*Check the network, and HTTPS_PROXY")


# --- A file that changes meanwhile ---


def test_a_file_that_has_changed_is_fetched_anew(server, out):
    interrupted(server, out, 4 * CHUNK)
    server.content, server.etag = CONTENT[::-1], '"2"'
    fetch(server.url, out)
    only(out, CONTENT[::-1])
    assert server.requests[0].headers["If-Range"] == '"1"'


def test_a_server_with_weak_etags_is_asked_by_the_time_of_the_last_change(server, out):
    first, then = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
    server.etag = 'W/"1"'
    interrupted(server, out, 4 * CHUNK, {"headers": {"Last-Modified": first}})
    server.content, server.answers = CONTENT[::-1], [{"headers": {"Last-Modified": then}}]
    fetch(server.url, out)
    only(out, CONTENT[::-1])
    assert server.requests[0].headers["If-Range"] == first


@pytest.mark.parametrize("headers", [{"Content-Range": "bytes 0-999999/1000000"}, {"Content-Range": ""}])
def test_a_server_that_sends_another_range_is_asked_anew(server, out, headers):
    interrupted(server, out, 4 * CHUNK)
    server.answers = [{"headers": headers}, {}]
    fetch(server.url, out)
    only(out)
    assert ranges(server) == [4 * CHUNK, 0]


def test_a_range_that_does_not_exist_is_asked_anew(server, out):
    interrupted(server, out, 4 * CHUNK)
    server.content = CONTENT[:1000]
    fetch(server.url, out)
    only(out, CONTENT[:1000])
    assert ranges(server) == [4 * CHUNK, 0]


def test_another_address_starts_anew(server, out):
    interrupted(server, out, 4 * CHUNK)
    fetch(server.url + "?mirror=1", out)
    only(out)
    assert ranges(server) == [0]


# --- Something else than the file ---


def test_a_file_that_is_gone(server, out):
    server.answers = [{"status": 404, "content": PAGE}]
    refused(server, out, "crowd.bin: HTTP 404 Not Found. The file was moved or removed")
    assert len(server.requests) == 1


def test_a_server_that_refuses(server, out):
    server.answers = [{"status": 403}]
    refused(server, out, "crowd.bin: HTTP 403 Forbidden. The server refuses: it may require an account")
    assert len(server.requests) == 1


def test_a_web_page_is_not_taken_for_the_file(server, out):
    server.answers = [{"content": PAGE}]
    refused(server, out, "crowd.bin is a web page, not the file: .*Open it in a browser", bytes=len(CONTENT))


def test_a_file_of_another_size_is_not_even_fetched(server, out):
    refused(server, out, "crowd.bin has 1000000 bytes, expected 1000001: it is another file now", bytes=1_000_001)


def test_a_file_that_turns_out_to_have_another_size_is_removed(server, out):
    server.answers = [{"length": False}]
    refused(server, out, "crowd.bin: bytes 1000000, expected 999999.*is removed", bytes=999_999)


def test_a_file_with_another_sha256_is_removed(server, out):
    message = f"crowd.bin: SHA-256 {SHA256}, expected {'0' * 64}.*is removed. Start again"
    refused(server, out, message, bytes=len(CONTENT), sha256="0" * 64)


def test_a_disk_without_room_is_noticed_first_and_what_arrived_is_kept(server, out, monkeypatch):
    interrupted(server, out, 4 * CHUNK)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6 - 4 * CHUNK - 1))
    with pytest.raises(InputError, match=r"0.7 MB are needed in .*downloads, but only 0.7 MB are free. Make room"):
        fetch(server.url, out)
    assert (out.parent / ".crowd.bin.part").stat().st_size == 4 * CHUNK
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6 - 4 * CHUNK))
    fetch(server.url, out)
    only(out)


# --- A model of the Hub ---

REVISION = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"a": 1}',
    "unet/config.json": b'{"b": 2}',
    "unet/weights.safetensors": CONTENT,
    "unet/weights.bin": CONTENT[::-1],
    "README.md": b"# Model",
}
PATTERNS = ["*config.json", "unet/*.safetensors"]
WANTED = {name: FILES[name] for name in ("config.json", "unet/config.json", "unet/weights.safetensors")}
API = "/api/models/someone/model"
LISTING = f"{API}/revision/{REVISION}"
MODEL = f"/someone/model/resolve/{REVISION}/"


@pytest.fixture
def hub(server, monkeypatch):
    """The server as a Hub with one model, of which weights lie in LFS."""
    server.endpoint = f"http://127.0.0.1:{server.server_port}"
    # HF_ENDPOINT sets these when the library is imported, which is long before.
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    tree = []
    for name, content in FILES.items():
        etag = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        tree.append({"type": "file", "path": name, "size": len(content), "oid": etag})
        if name.startswith("unet/weights"):
            etag = hashlib.sha256(content).hexdigest()
            tree[-1]["lfs"] = {"oid": etag, "size": len(content), "pointerSize": 134}
        server.pages[MODEL + name] = {"content": content, "headers": {"X-Repo-Commit": REVISION, "ETag": f'"{etag}"'}}
    listing = {"id": "someone/model", "siblings": [{"rfilename": name} for name in FILES]}
    server.pages[LISTING] = {"content": json.dumps(listing).encode()}
    server.pages[f"{API}/tree/{REVISION}"] = {"content": json.dumps(tree).encode()}
    server.answers = [{"status": 404, "headers": {"X-Error-Code": "RepoNotFound"}}]
    return server


def contents(folder):
    """Return the content of all files in a folder by path."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def get(out, revision=REVISION, files=PATTERNS):
    fetch_model("someone/model", revision, files, out)


def fetched(server):
    """Return which files of the model were asked for."""
    got = [request.path for request in server.requests if request.command == "GET"]
    return sorted(path.removeprefix(MODEL) for path in got if path.startswith(MODEL))


def test_a_model_arrives_as_a_whole_and_only_what_is_used_of_it(hub, tmp_path):
    (tmp_path / "hub" / "model").mkdir(parents=True)
    (tmp_path / "hub" / "model" / ".snakemake_timestamp").touch()
    get(tmp_path / "hub" / "model")
    assert contents(tmp_path / "hub") == {f"model/{name}": content for name, content in WANTED.items()}
    assert os.listdir(tmp_path / "hub") == ["model"]
    assert fetched(hub) == sorted(WANTED)
    tokens = {request.headers["Authorization"] for request in hub.requests if "someone/model" in request.path}
    assert tokens == {"Bearer hf_secret"}


@pytest.mark.parametrize("name", ["config.json", "unet/weights.safetensors"])
def test_a_file_that_is_not_as_the_hub_says_is_removed_and_the_others_kept(hub, tmp_path, name):
    hub.pages[MODEL + name]["content"] = FILES[name][::-1]
    with pytest.raises(InputError, match=f"do not have the Hub's hashes and are removed: {name}. Start again"):
        get(tmp_path / "model")
    assert os.listdir(tmp_path) == [".model.part"]
    (tmp_path / ".model.part" / "old.incomplete").touch()
    hub.pages[MODEL + name]["content"] = FILES[name]
    hub.requests.clear()
    get(tmp_path / "model")
    assert contents(tmp_path) == {f"model/{name}": content for name, content in WANTED.items()}
    assert fetched(hub) == [name]


def test_no_hub(hub, tmp_path):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(InputError, match=f"someone/model at {hub.endpoint} could not be fetched: .*refused.*network"):
        get(tmp_path / "model")


@pytest.mark.parametrize("code", ["RepoNotFound", "RevisionNotFound"])
def test_a_repository_or_revision_that_is_not_there(hub, tmp_path, code):
    hub.answers = [{"status": 404, "headers": {"X-Error-Code": code}}]
    with pytest.raises(InputError, match=f"someone/model at .* does not exist, has no revision {'f' * 40}, .*HF_TOKEN"):
        get(tmp_path / "model", revision="f" * 40)


def test_a_model_whose_terms_are_not_accepted(hub, tmp_path):
    """Its files are listed for everyone, as a rule."""
    hub.pages[MODEL + "config.json"] = {"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}
    with pytest.raises(
        InputError, match="^someone/model is only for users .*Accept them at .*/someone/model, .*HF_TOKEN"
    ):
        get(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_pattern_that_no_file_fits(hub, tmp_path):
    with pytest.raises(
        InputError, match=r"no file matches 'vae/\*'. Its files are: README.md, config.json, unet/config.json"
    ):
        get(tmp_path / "model", files=["*.json", "vae/*"])


# --- An archive ---

CROWD = {"Train/img_0001.jpg": b"one", "Train/deep/er/img_0002.jpg": b"two", "Test/img_0001.jpg": CONTENT}


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "crowd.zip"


@pytest.fixture
def unpacked(tmp_path):
    return tmp_path / "datasets" / "crowd"


def pack(path, files, mode=stat.S_IFREG):
    """Write a .zip of contents by name; names that end in / are folders."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode | 0o644) << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)


def patch(path, offsets, value):
    """Change a byte of a zip's first file, where it is described: before its content, and in the list at the end."""
    content = bytearray(path.read_bytes())
    for start, offset in zip((b"PK\3\4", b"PK\1\2"), offsets):
        content[content.index(start) + offset] = value
    path.write_bytes(content)


def rejected(archive, unpacked, message):
    """Assert that an archive is refused, with nothing left of it, beside the folder or in it or outside."""
    with pytest.raises(InputError, match=message):
        unpack(archive, unpacked)
    assert set(archive.parent.rglob("*")) == {archive, unpacked.parent}


def test_an_archive_is_unpacked_and_stays(archive, unpacked):
    unpacked.mkdir(parents=True)
    (unpacked / ".snakemake_timestamp").touch()
    (unpacked.parent / ".crowd.part").mkdir()
    (unpacked.parent / ".crowd.part" / "of_a_killed_job.jpg").touch()
    pack(archive, CROWD | {"Empty/": b""})
    unpack(archive, unpacked)
    assert contents(unpacked) == CROWD and (unpacked / "Empty").is_dir()
    assert archive.exists() and os.listdir(unpacked.parent) == ["crowd"]


def test_a_single_folder_that_holds_all_is_left_out(archive, unpacked):
    files = {f"UCF-QNRF_ECCV18/{name}": content for name, content in CROWD.items()}
    added = {"__MACOSX/UCF-QNRF_ECCV18/._Train": b"", ".DS_Store": b"", "UCF-QNRF_ECCV18/Test/.DS_Store": b""}
    pack(archive, {"UCF-QNRF_ECCV18/": b""} | files | added)
    unpack(archive, unpacked)
    assert contents(unpacked) == CROWD
    assert os.listdir(unpacked.parent) == ["crowd"]


def test_a_single_file_stays(archive, unpacked):
    pack(archive, {"crowd.json": b"{}"})
    unpack(archive, unpacked)
    assert contents(unpacked) == {"crowd.json": b"{}"}


def test_no_archive(archive, unpacked):
    with pytest.raises(InputError, match=f"No archive at {archive} .*Put the file there"):
        unpack(archive, unpacked)


@pytest.mark.parametrize("name", ["mine.jpg", ""])
def test_what_is_there_is_not_overwritten(archive, unpacked, name):
    mine = unpacked / name if name else unpacked
    mine.parent.mkdir(parents=True)
    mine.touch()
    pack(archive, CROWD)
    with pytest.raises(InputError, match="crowd exists already and is not overwritten. Move it away"):
        unpack(archive, unpacked)
    with pytest.raises(InputError, match="crowd exists already"):
        get(unpacked)
    assert mine.read_bytes() == b""


@pytest.mark.parametrize("name", ["../evil.jpg", "Train/../../evil.jpg", "/evil.jpg"])
def test_a_path_that_leads_out_is_refused(archive, unpacked, name):
    pack(archive, CROWD | {name: b"evil"})
    rejected(archive, unpacked, f"'{name}' leads out of the folder or is a link. Nothing was unpacked")


def test_a_link_is_refused(archive, unpacked):
    pack(archive, {"Train": b"/etc"}, mode=stat.S_IFLNK)
    rejected(archive, unpacked, "'Train' leads out of the folder or is a link. Nothing was unpacked")


def test_an_archive_that_holds_more_than_the_disk_has_room_for(archive, unpacked, monkeypatch):
    pack(archive, {"zeros.bin": bytes(5_000_000)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4_999_999))
    rejected(archive, unpacked, "crowd.zip: 5.0 MB are needed in .*, but only 5.0 MB are free. Make room")


def test_an_archive_that_holds_more_than_it_says(archive, unpacked):
    pack(archive, {"zeros.bin": bytes(5_000_000)})
    archive.write_bytes(archive.read_bytes().replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    rejected(archive, unpacked, "crowd.zip is .*damaged, .*: Bad CRC-32 for file 'zeros.bin'. Fetch it again")


def test_a_damaged_archive(archive, unpacked):
    pack(archive, CROWD)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 255
    archive.write_bytes(content)
    rejected(
        archive,
        unpacked,
        "crowd.zip is not a zip archive, is damaged, .*Fetch it again, or unpack it by other means to",
    )


def test_an_archive_that_is_cut_off(archive, unpacked):
    pack(archive, CROWD)
    os.truncate(archive, 500_000)
    rejected(
        archive, unpacked, "crowd.zip is not a zip archive, is damaged, .*: File is not a zip file. Fetch it again"
    )


def test_an_encrypted_archive(archive, unpacked):
    pack(archive, {"a": b"1"})
    patch(archive, (6, 8), 1)
    rejected(archive, unpacked, "crowd.zip is encrypted. Unpack it by hand, with its password")


def test_an_archive_packed_in_an_unknown_way(archive, unpacked):
    pack(archive, {"a": b"1"})
    patch(archive, (8, 10), 9)  # Deflate64
    rejected(archive, unpacked, "crowd.zip is .*of an unknown kind: That compression method is not supported. Fetch it")


def test_an_archive_without_files(archive, unpacked):
    pack(archive, {"Train/": b"", "__MACOSX/a": b"", ".DS_Store": b""})
    rejected(archive, unpacked, "holds no files. Fetch it again")
