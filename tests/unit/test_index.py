"""The uniform index: what comes out is what went in, at training size."""

import errno
import os
import pickle
import threading
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from promptmix.datasets import decoding
from promptmix.datasets import pictures as images_module
from promptmix.datasets.index import COLUMNS, Index, prepare
from promptmix.datasets.pictures import decoding_bytes, encode_jpeg, read_image
from promptmix.datasets.sample import Sample
from promptmix.errors import InputError

SIZES = [(64, 48), (80, 40), (33, 57)]


@pytest.fixture
def samples(tmp_path):
    """A colour, a grey and another colour image, of different sizes and qualities, the second without people."""
    made = []
    for number, ((width, height), split, quality, people) in enumerate(
        zip(SIZES, ("train", "val", "test"), (75, 91, 60), (3, 0, 5), strict=True)
    ):
        rng = np.random.default_rng(number)
        array = np.asarray(Image.fromarray(rng.integers(0, 255, (4, 5, 3), dtype=np.uint8)).resize((width, height)))
        path = tmp_path / f"IMG_{number}.jpg"
        path.write_bytes(encode_jpeg(array, quality, grey=number == 1))
        points = rng.random((people, 2)) * [width, height]
        boxes = np.concatenate([points - [2, 3], points + [2, 3]], axis=1) if number == 2 else None
        made.append(Sample(f"{split}/IMG_{number}.jpg", path, split, width, height, points, boxes))
    return made


def _prepared(samples, tmp_path, *arguments, **keywords):
    prepare(samples, tmp_path / "index", *arguments, **keywords)
    return Index.open(tmp_path / "index" / "index.csv")


def test_images_and_heads_come_back(samples, tmp_path):
    index = _prepared(samples, tmp_path)
    assert len(index) == 3
    assert tuple(index.frame) == COLUMNS
    for i, sample in enumerate(samples):
        image, heads = index.image(i), index.heads(i)
        np.testing.assert_array_equal(image, read_image(sample.image))
        assert not image.flags.writeable and heads.dtype == np.float32
        np.testing.assert_allclose(heads[:, :2], sample.points, rtol=1e-6)
    assert index.frame["image"].tolist() == ["train/IMG_0.jpg", "val/IMG_1.jpg", "test/IMG_2.jpg"]
    assert index.frame["count"].tolist() == [3, 0, 5]
    assert index.frame["grey"].tolist() == [0, 1, 0]
    assert index.frame["quality"].tolist() == [75, 91, 60]
    assert index.heads(0)[:, 2:].tolist() == [[0, 0]] * 3
    np.testing.assert_allclose(index.heads(2)[:, 2:], [[4, 6]] * 5, rtol=1e-5)
    assert index.heads(1).shape == (0, 4)
    assert sorted(os.listdir(tmp_path / "index")) == ["depths.npy", "heads.npy", "index.csv", "pixels.npy"]
    assert np.load(tmp_path / "index" / "depths.npy").shape == (0,)


def test_heads_are_resized_with_their_image(samples, tmp_path):
    index = _prepared(samples, tmp_path, {"exact": [32, 24]})
    assert index.image(2).shape == (24, 32, 3)
    scale = np.array([32 / 33, 24 / 57])
    np.testing.assert_allclose(index.heads(2)[:, :2], samples[2].points * scale, rtol=1e-6)
    np.testing.assert_allclose(index.heads(2)[:, 2:], [[4, 6] * scale] * 5, rtol=1e-5)
    assert index.frame["count"].tolist() == [3, 0, 5]


def test_fitting_shrinks_and_keeps_the_aspect_ratio(samples, tmp_path):
    index = _prepared(samples, tmp_path, {"fit": [40, 57]})
    assert [index.image(i).shape for i in range(3)] == [(30, 40, 3), (20, 40, 3), (57, 33, 3)]


def test_workers_make_no_difference(samples, tmp_path):
    prepare(samples, tmp_path / "one", {"fit": [40, 40]})
    prepare(samples, tmp_path / "three", {"fit": [40, 40]}, workers=3)
    for name in ("index.csv", "heads.npy", "pixels.npy", "depths.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()


@pytest.mark.parametrize(("images", "at_once"), [(3.5, 3), (2.5, 2), (1.5, 1), (0.1, 1)])
def test_no_more_images_are_decoded_at_once_than_memory_is_for(samples, tmp_path, monkeypatch, images, at_once):
    """PANDA-Crowd's have 390 million pixels. An image that is larger than all there is goes alone."""
    many = [replace(samples[0], name=str(number)) for number in range(6)]
    with samples[0].open() as image:
        monkeypatch.setattr(decoding, "DECODING_BYTES", images * decoding_bytes(image, (32, 24)))
    working, seen, together = [], [], threading.Barrier(at_once, timeout=10)

    def decode_image(*arguments):
        working.append(None)
        together.wait()  # breaks, and with it the test, if fewer are let in
        time.sleep(0.02)  # for more to come, if more are let in
        seen.append(len(working))
        working.pop()
        return images_module.decode_image(*arguments)

    monkeypatch.setattr(decoding, "decode_image", decode_image)
    prepare(many, tmp_path / "index", {"exact": [32, 24]}, workers=3)
    assert max(seen) == at_once


def test_an_image_that_cannot_be_decoded_gives_its_memory_back(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "DECODING_BYTES", 1)
    samples[0].image.write_bytes(samples[0].image.read_bytes()[:-200])
    with pytest.raises(InputError, match="IMG_0"):
        prepare(samples, tmp_path / "index", workers=3)


def test_no_more_images_are_decoded_after_one_that_cannot_be(samples, tmp_path, monkeypatch):
    samples[0].image.write_bytes(samples[0].image.read_bytes()[:-200])
    many = [samples[0], *(replace(samples[2], name=str(number)) for number in range(50))]
    seen = []

    def decode_image(*arguments):
        seen.append(None)
        time.sleep(0.01)
        return images_module.decode_image(*arguments)

    monkeypatch.setattr(decoding, "decode_image", decode_image)
    with pytest.raises(InputError, match="IMG_0"):
        prepare(many, tmp_path / "index")
    assert len(seen) < 10


def test_reading_images_takes_no_memory_of_its_own(samples, tmp_path):
    """Pixels are the file's pages, which the system drops when memory is short."""
    many = [replace(samples[0], name=str(number)) for number in range(20)]
    prepared = _prepared(many, tmp_path, {"exact": [1000, 800]})
    tracemalloc.start()
    for i in range(len(prepared)):
        prepared.image(i).sum()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_positions_of_a_split(samples, tmp_path):
    index = _prepared(samples, tmp_path)
    assert [index.split(name).tolist() for name in ("train", "val", "test")] == [[0], [1], [2]]
    with pytest.raises(ValueError, match="'validation' is not a split; expected train, val, test"):
        index.split("validation")


def test_a_pickled_index_is_its_path(samples, tmp_path):
    index = _prepared(samples, tmp_path)
    index.image(0)
    contents = pickle.dumps(index)
    assert len(contents) < 1000
    np.testing.assert_array_equal(pickle.loads(contents).image(2), index.image(2))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_truncated_jpeg_is_named_and_leaves_no_index(samples, tmp_path, workers):
    whole = samples[2].image.read_bytes()
    samples[2].image.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(InputError, match=r"IMG_2\.jpg: the image is truncated or damaged .*Fetch or copy it again"):
        prepare(samples, tmp_path / "index", workers=workers)
    assert os.listdir(tmp_path / "index") == []


def test_a_sample_without_a_split_is_an_error(samples, tmp_path):
    loose = Sample("Marathon/1.jpg", Path("1.jpg"), "", 8, 8, np.zeros((0, 2)))
    with pytest.raises(InputError, match=r"Marathon/1\.jpg: .*no split.*split the dataset first"):
        prepare([*samples, loose], tmp_path / "index")


def test_an_index_that_is_missing_incomplete_or_mixed_up(samples, tmp_path):
    with pytest.raises(InputError, match=r"nowhere/index\.csv: no such index. Make it: snakemake .*nowhere/index\.csv"):
        Index.open(tmp_path / "nowhere" / "index.csv")
    _prepared(samples, tmp_path)
    prepare(samples[:2], tmp_path / "other")
    folder = tmp_path / "index"
    pixels = folder / "pixels.npy"
    whole = pixels.read_bytes()
    pixels.write_bytes((tmp_path / "other" / "pixels.npy").read_bytes())
    with pytest.raises(InputError, match=r"index\.csv: .*pixels\.npy.* Remove all"):
        Index.open(folder / "index.csv")
    pixels.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"pixels\.npy: truncated or damaged.*make it again"):
        Index.open(folder / "index.csv")
    pixels.unlink()
    with pytest.raises(InputError, match=r"pixels\.npy: missing .*Make it: snakemake .*pixels\.npy"):
        Index.open(folder / "index.csv")
    (folder / "index.csv").write_text("image,split\n")
    with pytest.raises(InputError, match=r"index\.csv: no column 'width'"):
        Index.open(folder / "index.csv")


def test_a_dataset_without_people(samples, tmp_path):
    index = _prepared(samples[1:2], tmp_path)
    assert index.heads(0).shape == (0, 4)


def test_a_full_disk_is_an_error_before_anything_is_written_to_it(samples, tmp_path, monkeypatch):
    """Otherwise the process would end at some pixel, by SIGBUS and without a word."""

    def full(file, offset, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left on device"):
        prepare(samples, tmp_path / "index")
    assert os.listdir(tmp_path / "index") == []


def test_the_disk_holds_the_whole_file_before_the_first_pixel(samples, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        decoding, "decode_image", lambda *arguments: seen.append(held()) or images_module.decode_image(*arguments)
    )

    def held():
        (pixels,) = (tmp_path / "index").glob(".*.pixels.npy")
        return 512 * pixels.stat().st_blocks >= pixels.stat().st_size > sum(3 * w * h for w, h in SIZES)

    prepare(samples, tmp_path / "index")
    assert seen == [True] * 3


def test_a_file_system_that_cannot_promise_room_is_written_to_all_the_same(samples, tmp_path, monkeypatch):
    def unable(file, offset, size):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unable)
    assert len(_prepared(samples, tmp_path)) == 3
