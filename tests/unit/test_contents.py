"""The name for the contents of the user's files: it changes with what they hold, and with nothing else."""

import json
import os
import shutil

import pytest

from promptmix.running import contents as module
from promptmix.running.contents import contents, is_known, state_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory with a file and a folder of files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model/unet").mkdir(parents=True)
    for name in ("weights.pth", "model/index.json", "model/unet/weights.bin"):
        (tmp_path / name).write_text(name)
    yield tmp_path
    contents.cache_clear()
    is_known.cache_clear()


def name_of(*paths: str) -> str:
    """Return the name as a new process would."""
    contents.cache_clear()
    return contents(*paths)


def test_a_name_is_16_hexadecimal_digits_and_empty_for_nothing():
    assert len(name_of("weights.pth", "missing.pth")) == 16
    int(name_of("weights.pth"), 16)
    assert name_of() == name_of("missing.pth") == ""


@pytest.mark.parametrize("path", ["weights.pth", "model"])
def test_new_times_another_place_and_hidden_files_change_nothing(folder, path):
    before = name_of(path)
    for file in folder.rglob("*"):
        os.utime(file, (2e9, 2e9))
    (folder / "model/.DS_Store").write_text("a")
    (folder / "model/.cache").mkdir()
    (folder / "model/.cache/weights.bin").write_text("a")
    assert name_of(path) == before
    (folder / path).rename(folder / "elsewhere")
    (folder / path).symlink_to(folder / "elsewhere")
    assert name_of(path) == before == name_of("elsewhere")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "model/unet/weights.bin").write_text("MODEL/UNET/WEIGHTS.BIN"),
        lambda folder: (folder / "model/unet/more.bin").write_text(""),
        lambda folder: (folder / "model/index.json").unlink(),
        lambda folder: (folder / "model/index.json").rename(folder / "model/unet/index.json"),
    ],
    ids=["edited", "added", "removed", "moved"],
)
def test_a_change_inside_a_folder_is_seen(folder, change):
    before = name_of("model")
    change(folder)
    assert name_of("model") != before


def test_a_replaced_file_is_seen_though_it_is_older_and_as_large(folder):
    before = name_of("weights.pth")
    (folder / "other.pth").write_text("WEIGHTS.PTH")
    shutil.copystat(folder / "weights.pth", folder / "other.pth")
    (folder / "other.pth").replace(folder / "weights.pth")
    assert name_of("weights.pth") != before


def test_a_name_that_is_not_utf_8_and_a_link_back_are_no_hindrance(folder):
    before = name_of("model")
    (folder / "model/unet/back").symlink_to(folder / "model")
    assert name_of("model") == before
    (folder / "model" / os.fsdecode("说明".encode("gbk"))).touch()
    assert name_of("model") not in ("", before)


def test_which_of_several_is_missing_counts(folder):
    shutil.copy(folder / "weights.pth", folder / "copy.pth")
    assert name_of("weights.pth", "missing.pth") != name_of("missing.pth", "weights.pth")
    assert name_of("weights.pth", "copy.pth") == name_of("copy.pth", "weights.pth") != name_of("weights.pth")


def test_a_file_is_read_once_and_again_when_it_has_changed(folder, monkeypatch):
    read = []
    digest = module.hashlib.file_digest
    monkeypatch.setattr(module.hashlib, "file_digest", lambda file, kind: read.append(file.name) or digest(file, kind))
    before = name_of("model", "weights.pth")
    assert len(read) == 3
    assert name_of("weights.pth", "model") != "" and len(read) == 3
    os.utime(folder / "weights.pth", (2e9, 2e9))
    assert name_of("model", "weights.pth") == before and read[3:] == ["weights.pth"]


@pytest.mark.parametrize("text", ["", "[", "{}"])
def test_a_cache_that_is_lost_or_broken_costs_time_only(folder, text):
    before = name_of("model")
    assert len(json.loads((folder / module.CACHE).read_text())) == 2
    (folder / module.CACHE).write_text(text)
    assert name_of("model") == before


def test_what_was_there_once_is_known_when_it_is_gone(folder):
    name_of("model", "weights.pth")
    shutil.rmtree(folder / "model")
    (folder / "weights.pth").unlink()
    assert name_of("model", "weights.pth") == ""
    assert is_known("model") and is_known("model/unet/") and is_known("weights.pth")
    assert not is_known("mod") and not is_known("other.pth")


def test_a_cache_that_cannot_be_written_costs_time_only(folder):
    (folder / ".snakemake").write_text("in the way")
    assert name_of("model") == name_of("model") != ""


def test_the_state_of_files_is_another_when_one_is_replaced(tmp_path):
    """Also by one of the same size, and in a folder; it is the same for the same files."""
    (tmp_path / "network/unet").mkdir(parents=True)
    weights, other = tmp_path / "network/unet/weights", tmp_path / "other"
    weights.write_text("one")
    other.write_text("two")
    before = state_of(str(tmp_path / "network"))
    assert state_of(str(tmp_path / "network")) == before != state_of(str(other)) != state_of()
    os.utime(other, ns=(1, 1))
    other.replace(weights)
    assert state_of(str(tmp_path / "network")) != before
