"""Files, models and archives arrive whole and as published, or not at all, over networks that are not."""

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
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

from promptmix import retrieval
from promptmix.errors import InputError
from promptmix.retrieval import fetch, fetch_model, unpack

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
        if server.etag:
            headers.setdefault("ETag", server.etag)
        validator = headers.get("Last-Modified") if headers.get("ETag", "W/").startswith("W/") else headers["ETag"]
        asked = self.headers.get("Range")
        if status == 200 and asked and answer["ranges"] and self.headers.get("If-Range", validator) == validator:
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
        self.wfile.write(body if answer["upto"] is None else body[: max(0, answer["upto"] - first)])
        if answer["hangs"]:
            server.killed.wait(60)
        self.close_connection = True

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


def interrupted(server, out, upto, first=None, **expected):
    """Fetch up to a byte, as a network does that then goes away for good; all that follows is well again."""
    server.answers = [{"upto": upto} | (first or {}), {"status": 503}]
    with pytest.raises(InputError, match="HTTP 503"):
        fetch(server.url, out, **expected)
    assert os.listdir(out.parent) == unordered([".crowd.bin.part", ".crowd.bin.part.json"])
    assert (out.parent / ".crowd.bin.part").read_bytes() == CONTENT[:upto]
    server.requests.clear()
    server.answers = [{}]


class unordered(list):
    def __eq__(self, other):
        return sorted(self) == sorted(other)


def only(out, content=CONTENT):
    """Assert that a file is whole, and alone in its folder."""
    assert out.read_bytes() == content
    assert os.listdir(out.parent) == [out.name]


def nothing(out):
    assert os.listdir(out.parent) == []


# --- A file ---


@pytest.mark.parametrize("expected", [{}, {"bytes": 1_000_000}, {"bytes": 1_000_000, "sha256": SHA256.upper()}])
def test_a_file_arrives_whole_and_its_sha256_is_in_the_log(server, out, caplog, expected):
    caplog.set_level("INFO")
    fetch(server.url, out, **expected)
    only(out)
    known = "as expected" if "sha256" in expected else "none is known to compare it with"
    assert f"{out}: 1000000 bytes, SHA-256 {SHA256}, {known}" in caplog.messages


def test_a_file_of_which_the_server_does_not_say_the_length(server, out):
    server.answers = [{"length": False}]
    fetch(server.url, out)
    only(out)


def test_an_empty_file(server, out):
    server.content = b""
    fetch(server.url, out, bytes=0)
    only(out, b"")


def test_a_file_that_is_packed_stays_packed(server, out):
    """Servers label .tar.gz as coded by gzip, which most clients undo."""
    server.content = gzip.compress(CONTENT[:1000])
    server.answers = [{"headers": {"Content-Encoding": "x-gzip"}}]
    fetch(server.url, out)
    only(out, server.content)
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_the_log_says_how_far_it_is(server, out, caplog, monkeypatch):
    caplog.set_level("INFO")
    monkeypatch.setattr(retrieval, "EVERY", 0)
    fetch(server.url, out)
    lines = [message for message in caplog.messages if "MB/s" in message]
    assert len(lines) == -(-len(CONTENT) // retrieval.CHUNK)
    assert lines[0].startswith(f"{server.url}: 0.1 MB of 1.0 MB, ") and lines[0].endswith(" min left")
    assert lines[-1].startswith(f"{server.url}: 1.0 MB of 1.0 MB, ") and lines[-1].endswith(" MB/s, 0:00 min left")


def test_the_proxy_of_the_environment_is_used(server, out, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    fetch("http://www.example.org/data/crowd.bin", out)
    only(out)
    assert server.requests[0].path == "http://www.example.org/data/crowd.bin"


# --- A network that fails ---


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, out, caplog):
    server.answers = [{"upto": 300_000}, {"status": 503}, {"upto": 700_000}, {}]
    fetch(server.url, out, sha256=SHA256)
    only(out)
    assert ranges(server) == [0, 300_000, 300_000, 700_000]
    assert f"{server.url}: HTTP 503 Service Unavailable; trying again in 0 s" in caplog.messages


def test_a_body_that_ends_too_early_without_a_word_is_taken_up(server, out):
    """As with servers of HTTP/1.0, which say no length and only hang up."""
    server.answers = [{"length": False, "upto": 300_000}, {}]
    fetch(server.url, out, bytes=len(CONTENT))
    only(out)
    assert ranges(server) == [0, 300_000]


def test_attempts_count_from_the_last_that_brought_something(server, out):
    server.answers = [{"upto": step} for step in range(100_000, 1_000_000, 100_000)] + [{}]
    fetch(server.url, out)
    only(out)
    assert len(server.requests) == 10 > len(retrieval.WAITS) + 1


def test_a_server_that_breaks_each_time_at_the_same_byte_is_given_up_and_what_arrived_kept(server, out):
    server.answers = [{"upto": 300_000, "ranges": False}]
    with pytest.raises(
        InputError, match="could not be fetched: .*Check the network.*; 0.3 MB have arrived and are kept"
    ):
        fetch(server.url, out)
    assert len(server.requests) == 1 + len(retrieval.WAITS)
    assert not out.exists()


def test_a_job_that_is_killed_is_gone_on_with(server, out):
    server.answers = [{"upto": 400_000, "hangs": True}, {}]
    script = f"from promptmix.retrieval import fetch; fetch({server.url!r}, {str(out)!r})"
    environment = os.environ | {"PYTHONPATH": str(Path(retrieval.__file__).parents[1])}
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
    interrupted(server, out, 999_999)
    (out.parent / ".crowd.bin.part").write_bytes(CONTENT)
    fetch(server.url, out)
    only(out)
    assert server.requests == []


def test_no_network(server, out):
    server.shutdown()
    server.server_close()
    with pytest.raises(InputError) as failed:
        fetch(server.url, out)
    message = str(failed.value)
    assert message.startswith(f"{server.url} could not be fetched: ") and "Connection refused" in message
    assert message.endswith(
        f"Check the network, and HTTPS_PROXY if there is a proxy, and start again. "
        f"Or fetch it by other means and put it there: {out}"
    )
    nothing(out)


# --- A file that changes meanwhile ---


def test_a_file_that_has_changed_is_fetched_anew(server, out):
    interrupted(server, out, 300_000)
    server.content, server.etag = CONTENT[::-1], '"2"'
    fetch(server.url, out)
    only(out, CONTENT[::-1])
    assert server.requests[0].headers["If-Range"] == '"1"'


def test_a_server_without_etag_is_asked_by_the_time_of_the_last_change(server, out):
    server.etag = ""
    first, then = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"
    interrupted(server, out, 300_000, {"headers": {"Last-Modified": first, "ETag": 'W/"1"'}})
    server.content, server.answers = CONTENT[::-1], [{"headers": {"Last-Modified": then}}]
    fetch(server.url, out)
    only(out, CONTENT[::-1])
    assert server.requests[0].headers["If-Range"] == first


@pytest.mark.parametrize(("sha256", "start"), [(None, 0), (SHA256, 300_000)])
def test_a_server_that_cannot_tell_is_only_asked_to_go_on_if_the_sha256_will(server, out, sha256, start):
    server.etag, server.answers = "", [{"upto": 300_000}, {}]
    fetch(server.url, out, sha256=sha256)
    only(out)
    assert ranges(server) == [0, start]


def test_a_server_that_ignores_ranges_starts_anew(server, out):
    interrupted(server, out, 300_000)
    server.answers = [{"ranges": False}]
    fetch(server.url, out, sha256=SHA256)
    only(out)


def test_a_server_that_sends_another_range_is_asked_anew(server, out):
    interrupted(server, out, 300_000)
    server.answers = [{"headers": {"Content-Range": "bytes 0-999999/1000000"}}, {}]
    fetch(server.url, out, sha256=SHA256)
    only(out)
    assert ranges(server) == [300_000, 0]


def test_a_range_that_does_not_exist_is_asked_anew(server, out):
    server.etag = ""
    interrupted(server, out, 300_000, sha256=hashlib.sha256(CONTENT[:1000]).hexdigest())
    server.content = CONTENT[:1000]
    fetch(server.url, out, sha256=hashlib.sha256(server.content).hexdigest())
    only(out, CONTENT[:1000])
    assert ranges(server) == [300_000, 0]


def test_another_address_starts_anew(server, out):
    interrupted(server, out, 300_000)
    fetch(server.url + "?mirror=1", out)
    only(out)
    assert ranges(server) == [0]


# --- Something else than the file ---


@pytest.mark.parametrize("status", [404, 410])
def test_a_file_that_is_gone(server, out, status):
    server.answers = [{"status": status, "content": PAGE}]
    with pytest.raises(
        InputError, match=rf"crowd.bin: HTTP {status} \w.*has moved or was taken away.*put it there: {out}"
    ):
        fetch(server.url, out)
    assert len(server.requests) == 1
    nothing(out)


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_refuses(server, out, status):
    server.answers = [{"status": status}]
    with pytest.raises(
        InputError, match=rf"crowd.bin: HTTP {status} \w.*want an account, a token.*put it there: {out}"
    ):
        fetch(server.url, out)
    assert len(server.requests) == 1
    nothing(out)


@pytest.mark.parametrize(
    "answer",
    [
        {"content": PAGE},
        {"content": PAGE, "length": False},
        {"content": b"<head><title>Log in</title>", "headers": {"Content-Type": "text/html; charset=utf-8"}},
    ],
)
def test_a_web_page_is_not_taken_for_the_file(server, out, answer):
    server.answers = [answer]
    with pytest.raises(InputError, match=f"crowd.bin is a web page, not the file: .*Open it in a browser. Or.*: {out}"):
        fetch(server.url, out, bytes=len(CONTENT))
    nothing(out)


def test_a_file_that_is_wrongly_called_a_page_is_taken(server, out):
    server.answers = [{"headers": {"Content-Type": "text/html"}}]
    fetch(server.url, out)
    only(out)


def test_a_file_of_another_size_is_not_even_fetched(server, out):
    with pytest.raises(InputError, match="crowd.bin has 1000000 bytes, expected 1000001: it is another file now"):
        fetch(server.url, out, bytes=1_000_001)
    nothing(out)


def test_a_file_that_turns_out_to_have_another_size_is_removed(server, out):
    server.answers = [{"length": False}]
    with pytest.raises(InputError, match="crowd.bin: bytes 1000000, expected 999999.*is removed"):
        fetch(server.url, out, bytes=999_999)
    nothing(out)


def test_a_file_with_another_sha256_is_removed(server, out):
    with pytest.raises(InputError, match=f"crowd.bin: SHA-256 {SHA256}, expected {'0' * 64}.*is removed. Start again"):
        fetch(server.url, out, bytes=len(CONTENT), sha256="0" * 64)
    nothing(out)


def test_a_disk_without_room_is_noticed_first_and_what_arrived_is_kept(server, out, monkeypatch):
    interrupted(server, out, 300_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=699_999))
    with pytest.raises(InputError, match=r"0.7 MB are to be written to .*downloads, where 0.7 MB are free. Make room"):
        fetch(server.url, out)
    assert (out.parent / ".crowd.bin.part").stat().st_size == 300_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=700_000))
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
LISTING = f"/api/models/someone/model/revision/{REVISION}"
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
    server.pages = {MODEL + name: {"content": content} for name, content in FILES.items()}
    server.pages[LISTING] = listing()
    server.answers = [{"status": 404, "headers": {"X-Error-Code": "RepoNotFound"}}]
    return server


def listing(files=FILES):
    """Return what the Hub says of the files."""
    known = []
    for name, content in files.items():
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        known.append({"rfilename": name, "size": len(content), "blobId": blob})
        if name.startswith("unet/weights"):
            known[-1]["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return {"content": json.dumps({"id": "someone/model", "siblings": known}).encode()}


def contents(folder):
    """Return the content of all files in a folder by path."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def get(out, revision=REVISION, files=PATTERNS):
    fetch_model("someone/model", revision, files, out)


def fetched(server):
    return [request.path.removeprefix(MODEL) for request in server.requests if request.path.startswith(MODEL)]


def test_a_model_arrives_as_a_whole_and_only_what_is_used_of_it(hub, tmp_path):
    get(tmp_path / "hub" / "model")
    assert contents(tmp_path / "hub") == {f"model/{name}": content for name, content in WANTED.items()}
    assert sorted(fetched(hub)) == sorted(WANTED)
    tokens = {request.headers["Authorization"] for request in hub.requests if "someone/model" in request.path}
    assert tokens == {"Bearer hf_secret"}


def test_the_mirror_of_the_environment_is_used(hub, tmp_path):
    script = (
        f"from promptmix.retrieval import fetch_model; fetch_model('someone/model', {REVISION!r}, {PATTERNS}, 'out')"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(retrieval.__file__).parents[1]), "HF_ENDPOINT": hub.endpoint}
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, check=True)
    assert contents(tmp_path / "out") == WANTED


def test_a_model_is_gone_on_with(hub, tmp_path):
    hub.pages[MODEL + "unet/weights.safetensors"]["upto"] = 300_000
    hub.pages[MODEL + "unet/weights.safetensors"]["ranges"] = False
    with pytest.raises(
        InputError, match="unet/weights.safetensors could not be fetched: .*0.3 MB have arrived and are kept"
    ):
        get(tmp_path / "model")
    assert os.listdir(tmp_path) == [".model.01234567.part"]
    hub.pages[MODEL + "unet/weights.safetensors"] = {"content": CONTENT}
    hub.requests.clear()
    get(tmp_path / "model")
    assert contents(tmp_path) == {f"model/{name}": content for name, content in WANTED.items()}
    assert fetched(hub) == ["unet/weights.safetensors"] and ranges(hub) == [0, 300_000]


def test_a_hub_that_is_busy_is_asked_again(hub, tmp_path, caplog):
    hub.pages[MODEL + "config.json"] = hub.pages[LISTING] = {}
    hub.answers = [{"status": 503}, {"status": 429}, listing(), {"status": 500}, {"content": FILES["config.json"]}]
    get(tmp_path / "model", files=["config.json"])
    assert contents(tmp_path / "model") == {"config.json": FILES["config.json"]}
    assert f"someone/model at {hub.endpoint}: HTTP 429; trying again in 0 s" in caplog.messages


def test_no_hub(hub, tmp_path):
    hub.shutdown()
    hub.server_close()
    with pytest.raises(
        InputError, match=f"someone/model at {hub.endpoint} could not be fetched: .*refused.*the network"
    ):
        get(tmp_path / "model")


def test_a_hub_that_is_switched_off_by_the_environment(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="someone/model at .*: HF_HUB_OFFLINE is set, so nothing is fetched. Unset it"):
        get(tmp_path / "model")


def test_a_repository_that_is_not_there(hub, tmp_path):
    with pytest.raises(InputError, match="^someone/model at .*: not there, or private. Look where it has moved"):
        get(tmp_path / "model", revision="f" * 40)


def test_a_revision_that_is_not_there(hub, tmp_path):
    hub.answers = [{"status": 404, "headers": {"X-Error-Code": "RevisionNotFound"}}]
    with pytest.raises(InputError, match=f"^someone/model at .* has no revision {'f' * 40}. Look at the Hub for one"):
        get(tmp_path / "model", revision="f" * 40)


@pytest.mark.parametrize("page", [LISTING, MODEL + "config.json"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_model_whose_terms_are_not_accepted(hub, tmp_path, page, status):
    """Its files are listed for everyone, as a rule."""
    hub.pages[page] = {"status": status, "headers": {"X-Error-Code": "GatedRepo"}}
    with pytest.raises(InputError, match="^someone/model is refused: .*Accept them at .*/someone/model, .*HF_TOKEN"):
        get(tmp_path / "model")


def test_a_token_that_is_refused(hub, tmp_path):
    hub.pages[LISTING] = {"status": 403}
    with pytest.raises(InputError, match="^someone/model at .*: HTTP 403. The Hub refuses; set HF_TOKEN"):
        get(tmp_path / "model")


def test_a_pattern_that_no_file_fits(hub, tmp_path):
    with pytest.raises(
        InputError, match=r"no file fits 'vae/\*'. There are: README.md, config.json, unet/config.json, "
    ):
        get(tmp_path / "model", files=["*.json", "vae/*"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "config.json is not the file of this revision, and is removed: its Git hash is another"),
        ("unet/weights.safetensors", "unet/weights.safetensors: SHA-256 .*, expected .*is removed"),
    ],
)
def test_a_file_that_is_not_as_the_hub_says(hub, tmp_path, name, message):
    hub.pages[MODEL + name] = {"content": FILES[name][::-1]}
    with pytest.raises(InputError, match=message):
        get(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    hub.pages[MODEL + name] = {"content": FILES[name]}
    get(tmp_path / "model")
    assert contents(tmp_path / "model") == WANTED


def test_a_hub_whose_files_lead_out_of_the_folder(hub, tmp_path):
    hub.pages[LISTING] = listing({"../evil.json": b"{}"})
    with pytest.raises(
        InputError, match="someone/model: '../evil.json' leads out of the folder, so nothing of it is kept"
    ):
        get(tmp_path / "hub" / "model", files=["*.json"])
    assert contents(tmp_path) == {}


def test_a_disk_without_room_for_the_model(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_015))
    with pytest.raises(InputError, match="someone/model: 1.0 MB are to be written to"):
        get(tmp_path / "model")
    assert fetched(hub) == []


def test_a_folder_that_is_there_is_not_overwritten(hub, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").touch()
    with pytest.raises(InputError, match="model is there already; it is not overwritten. Move it away"):
        get(tmp_path / "model")
    assert hub.requests == []


# --- An archive ---

CROWD = {"Train/img_0001.jpg": b"one", "Train/deep/er/img_0002.jpg": b"two", "Test/img_0001.jpg": CONTENT}


def pack(path, files, folders=(), mode=stat.S_IFREG):
    """Write a .zip or .tar.gz of contents by name."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in folders:
                archive.mkdir(name)
            for name, content in files.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (mode | 0o644) << 16
                archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name in folders:
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(params=["crowd.zip", "crowd.tar.gz"])
def archive(request, tmp_path):
    return tmp_path / request.param


@pytest.fixture
def unpacked(tmp_path):
    return tmp_path / "datasets" / "crowd"


def refused(archive, unpacked, message):
    """Assert that an archive is refused, with nothing left of it, beside the folder or in it or outside."""
    before = set(archive.parent.iterdir())
    with pytest.raises(InputError, match=message):
        unpack(archive, unpacked)
    assert set(archive.parent.iterdir()) - before <= {unpacked.parent}
    assert not unpacked.parent.exists() or os.listdir(unpacked.parent) == []


def test_an_archive_is_unpacked_and_stays(archive, unpacked):
    unpack(pack(archive, CROWD, ["Empty"]), unpacked)
    assert contents(unpacked) == CROWD
    assert (unpacked / "Empty").is_dir() and archive.exists()
    assert os.listdir(unpacked.parent) == ["crowd"]


@pytest.mark.parametrize("folders", [[], ["UCF-QNRF_ECCV18", "UCF-QNRF_ECCV18/Train"]])
def test_a_single_folder_that_holds_all_is_left_out(archive, unpacked, folders):
    files = {f"UCF-QNRF_ECCV18/{name}": content for name, content in CROWD.items()}
    added = {"__MACOSX/UCF-QNRF_ECCV18/._Train": b"", ".DS_Store": b"", "UCF-QNRF_ECCV18/Test/.DS_Store": b""}
    unpack(pack(archive, files | added, folders), unpacked)
    assert contents(unpacked) == CROWD


def test_a_single_file_stays(archive, unpacked):
    unpack(pack(archive, {"crowd.json": b"{}"}), unpacked)
    assert contents(unpacked) == {"crowd.json": b"{}"}


def test_paths_of_windows(tmp_path, unpacked):
    unpack(pack(tmp_path / "crowd.zip", {"Train\\img_0001.jpg": b"one", "Test/a.jpg": b"two"}), unpacked)
    assert contents(unpacked) == {"Train/img_0001.jpg": b"one", "Test/a.jpg": b"two"}


def test_what_a_killed_job_left_is_cleared(archive, unpacked):
    (unpacked.parent / ".crowd.part").mkdir(parents=True)
    (unpacked.parent / ".crowd.part" / "half.jpg").touch()
    unpack(pack(archive, CROWD), unpacked)
    assert contents(unpacked) == CROWD
    assert os.listdir(unpacked.parent) == ["crowd"]


def test_no_archive(tmp_path, unpacked):
    with pytest.raises(InputError, match=f"No archive at {tmp_path}/crowd.zip .*Put it there"):
        unpack(tmp_path / "crowd.zip", unpacked)


def test_a_dataset_that_is_there_is_not_overwritten(archive, unpacked):
    unpacked.mkdir(parents=True)
    (unpacked / "mine.jpg").touch()
    with pytest.raises(InputError, match="crowd is there already; it is not overwritten"):
        unpack(pack(archive, CROWD), unpacked)
    assert contents(unpacked) == {"mine.jpg": b""}


@pytest.mark.parametrize("name", ["../evil.jpg", "Train/../../evil.jpg", "/tmp/evil.jpg", "C:/evil.jpg"])
def test_a_path_that_leads_out_is_refused(archive, unpacked, name):
    pack(archive, CROWD | {name: b"evil"})
    refused(archive, unpacked, f"'{name}' leads out of the folder, so nothing of it is kept. Is it what its authors")


def test_a_path_of_windows_that_leads_out_is_refused(tmp_path, unpacked):
    refused(pack(tmp_path / "crowd.zip", {"..\\evil.jpg": b""}), unpacked, "evil.jpg' leads out of the folder")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_link_or_device_in_a_zip_is_refused(tmp_path, unpacked, mode):
    archive = pack(tmp_path / "crowd.zip", {"Train": b"/etc"}, mode=mode)
    refused(archive, unpacked, "'Train' is a link or a device, so nothing of it is kept")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path, unpacked, kind):
    archive = tmp_path / "crowd.tar"
    with tarfile.open(archive, "w") as file:
        info = tarfile.TarInfo("Train")
        info.type, info.linkname = kind, "/etc"
        file.addfile(info)
    refused(archive, unpacked, "'Train' is a link or a device, so nothing of it is kept")


@pytest.mark.parametrize("twice", ["Train/img_0001.jpg", "Train/img_0001.jpg/x", "Train"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_path_that_is_there_twice_is_refused(tmp_path, unpacked, twice):
    archive = pack(tmp_path / "crowd.zip", CROWD)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(twice, b"evil")
    refused(archive, unpacked, "holds 'Train.*' twice, or as file and folder")


def test_an_archive_that_holds_more_than_the_disk_has_room_for(archive, unpacked, monkeypatch):
    pack(archive, {"zeros.bin": bytes(5_000_000)})
    assert archive.stat().st_size < 10_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4_999_999))
    refused(archive, unpacked, f"{archive.name}: 5.0 MB are to be written to .*, where 5.0 MB are free. Make room")


def test_a_zip_that_holds_more_than_it_says(tmp_path, unpacked):
    archive = pack(tmp_path / "crowd.zip", {"zeros.bin": bytes(5_000_000)})
    content, size = archive.read_bytes(), (5_000_000).to_bytes(4, "little")
    assert content.count(size) == 2  # before the content, and in the list at the end
    archive.write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    refused(archive, unpacked, "crowd.zip is damaged, or not complete: Bad CRC-32 for file 'zeros.bin'. Fetch it again")


def test_a_damaged_archive(archive, unpacked):
    content = bytearray(pack(archive, CROWD).read_bytes())
    content[len(content) // 2] ^= 255
    archive.write_bytes(content)
    refused(
        archive, unpacked, f"{archive.name} is damaged, or not complete: .*Fetch it again, or unpack it by other means"
    )


@pytest.mark.parametrize("name", ["crowd.tar", "crowd.tar.gz"])
def test_a_tar_that_is_cut_off(tmp_path, unpacked, name):
    archive = tmp_path / name
    content = pack(tmp_path / "whole.tar.gz", CROWD).read_bytes()
    content = gzip.decompress(content) if name == "crowd.tar" else content
    archive.write_bytes(content[: len(content) // 2])
    refused(archive, unpacked, f"{name} is damaged, or not complete: .*Fetch it again")


def test_a_zip_that_is_cut_off(tmp_path, unpacked):
    """Its list stands at the end, so it is no zip any more."""
    archive = pack(tmp_path / "crowd.zip", CROWD)
    os.truncate(archive, 500_000)
    refused(archive, unpacked, r"crowd.zip \(500000 bytes\) is no zip or tar archive, or is damaged. Fetch it again")


def test_an_encrypted_zip(tmp_path, unpacked):
    archive = pack(tmp_path / "crowd.zip", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    for start, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(start) + flags] |= 1
    archive.write_bytes(content)
    refused(archive, unpacked, "crowd.zip is encrypted. Unpack it by hand, with its password")


def test_a_zip_packed_in_an_unknown_way(tmp_path, unpacked):
    archive = pack(tmp_path / "crowd.zip", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    for start, method in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        content[content.index(start) + method] = 9  # Deflate64
    archive.write_bytes(content)
    refused(
        archive,
        unpacked,
        r"packed in a way that Python does not know \(.*\)\. Fetch it again, or unpack it by other means to .*/crowd$",
    )


@pytest.mark.parametrize("files", [{}, {"__MACOSX/a": b"", ".DS_Store": b""}])
def test_an_archive_without_files(archive, unpacked, files):
    refused(pack(archive, files, ["Train"]), unpacked, "holds no files. Fetch it again")
