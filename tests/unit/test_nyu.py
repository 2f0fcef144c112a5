"""NYU Depth V2: written as its authors do, read back, prepared, and broken in each way that a user may meet."""

import importlib
import logging
import os
from collections import Counter

import h5py
import numpy as np
import pytest
import scipy.io

from promptmix.datasets.decoding import find_problems
from promptmix.datasets.index import Index, prepare
from promptmix.datasets.readers.nyu import FILE
from promptmix.datasets.registry import TASKS, read_dataset, reader_of
from promptmix.datasets.sample import Sample
from promptmix.datasets.splits import split
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.miniature.rendering.datasets import STREAM, render_dataset
from promptmix.miniature.rendering.formats import write_nyu
from promptmix.miniature.rendering.furniture import ROOMS
from promptmix.miniature.rendering.rooms import Room, render_room

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
SETTINGS = {"format": "nyu", "sizes": [[32, 24]], "rooms": list(ROOMS)}


def room(seed, width=40, height=30, kind="living room"):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Room(image, rng.uniform(0.5, 10, (height, width)).astype(np.float32), kind)


@pytest.fixture
def nyu(tmp_path):
    """Eleven rooms, so that "0010" has to follow "0009"."""
    write_nyu(tmp_path / FILE, [room(i) for i in range(11)])
    return tmp_path / FILE


def change(path, key, value=None):
    """Replace an array of the file, or remove it; a function gets the array and returns the new one."""
    with h5py.File(path, "r+") as file:
        old = file[key][()] if key in file else None
        if key in file:
            del file[key]
        if value is not None:
            file[key] = value(old) if callable(value) else value


# --- what is written


def test_the_file_is_as_matlab_writes_it(tmp_path):
    """The axes and types are those of the published file; texts are UTF-16 codes, reached by references."""
    rooms = [render_room(np.random.default_rng(i), 48, 36, kind) for i, kind in enumerate(ROOMS)]
    write_nyu(tmp_path / FILE, rooms)
    header = (tmp_path / FILE).read_bytes()[:512]
    assert header.startswith(b"MATLAB 7.3 MAT-file") and header[124:128] == b"\x00\x02IM"
    with h5py.File(tmp_path / FILE) as file:
        assert file.userblock_size == 512
        for key, shape, kind, matlab in [
            ("images", (5, 3, 48, 36), np.uint8, b"uint8"),
            ("depths", (5, 48, 36), np.float32, b"single"),
            ("rawDepths", (5, 48, 36), np.float32, b"single"),
            *((key, (1, 5), object, b"cell") for key in ("sceneTypes", "scenes", "rawRgbFilenames")),
        ]:
            assert (file[key].shape, file[key].dtype, file[key].attrs["MATLAB_class"]) == (shape, kind, matlab)
        np.testing.assert_array_equal(file["images"][3].T, rooms[3].image)
        np.testing.assert_array_equal(file["depths"][3].T, rooms[3].depth)
        raw, depths = file["rawDepths"][()], file["depths"][()]
        assert 0.02 < (raw == 0).mean() < 0.4 and (raw[raw > 0] == depths[raw > 0]).all()
        texts = {
            key: ["".join(chr(code) for code in file[ref][:].ravel()) for ref in file[key][0]]
            for key in ("sceneTypes", "scenes", "rawRgbFilenames", "rawDepthFilenames")
        }
    assert texts["sceneTypes"][2:4] == ["kitchen", "living_room"]
    assert texts["scenes"][3] == "living_room_0004"
    assert texts["rawRgbFilenames"][3].startswith("living_room_0004/r-")
    assert texts["rawDepthFilenames"][3].endswith(".pgm")


def test_rooms_of_two_sizes_do_not_fit_into_one_file(tmp_path):
    with pytest.raises(InputError, match=rf"{FILE}: .*16x12, 40x30.* Give one .*'sizes'"):
        write_nyu(tmp_path / FILE, [room(1), room(2, 16, 12)])
    with pytest.raises(InputError, match="same size, found no images"):
        write_nyu(tmp_path / FILE, [])
    assert os.listdir(tmp_path) == []


def test_a_rendered_room_is_a_function_of_seed_split_and_number(tmp_path):
    for name, seed, count in (("a", 5, 4), ("same", 5, 4), ("more", 5, 7), ("other", 6, 4)):
        render_dataset(tmp_path / name, SETTINGS, {"all": count}, seed)
    assert sha256(tmp_path / "a" / FILE) == sha256(tmp_path / "same" / FILE)
    a, more, other = (read_dataset("nyu", tmp_path / name) for name in ("a", "more", "other"))
    for first, same, different in zip(a, more, other, strict=False):
        with first.open() as one, same.open() as two, different.open() as three:
            assert one.tobytes() == two.tobytes() != three.tobytes()
        np.testing.assert_array_equal(first.depth(), same.depth())
    kinds = []
    for i in range(7):
        rng = np.random.default_rng([STREAM, 5, 0, i])
        rng.integers(len(SETTINGS["sizes"]))
        kinds.append(ROOMS[rng.integers(len(ROOMS))].replace(" ", "_"))
    with h5py.File(tmp_path / "more" / FILE) as file:
        texts = ["".join(map(chr, file[ref][:].ravel())) for ref in file["sceneTypes"][0]]
    assert texts == kinds


def test_only_the_rooms_asked_for_are_rendered(tmp_path):
    render_dataset(tmp_path, SETTINGS | {"rooms": ["office"]}, {"all": 3}, 1)
    with h5py.File(tmp_path / FILE) as file:
        assert {"".join(map(chr, file[ref][:].ravel())) for ref in file["sceneTypes"][0]} == {"office"}


# --- what is read


@pytest.mark.parametrize("part", ["", FILE])
def test_images_and_depths_are_read_as_they_were_written(nyu, part):
    samples = read_dataset("nyu", nyu.parent / part, {"all": 11})
    assert [s.name for s in samples][8:] == ["0009", "0010", "0011"]
    assert {(s.split, s.width, s.height, s.count, s.boxes, s.image) for s in samples} == {("", 40, 30, 0, None, nyu)}
    for i in (10, 0, 3):  # in any order
        with samples[i].open() as image:
            np.testing.assert_array_equal(np.asarray(image), room(i).image)
        depth = samples[i].depth()
        assert depth.dtype == np.float32
        np.testing.assert_array_equal(depth, room(i).depth)


def test_splitting_keeps_what_a_sample_reads(nyu):
    samples = split(read_dataset("nyu", nyu), SHARES)
    assert Counter(sample.split for sample in samples) == {"train": 8, "val": 1, "test": 2}
    np.testing.assert_array_equal(samples[10].depth(), room(10).depth)


def test_every_format_has_a_task():
    for format in TASKS:
        assert hasattr(importlib.import_module(reader_of(format)), "read")
    assert {format for format, task in TASKS.items() if task == "depth"} == {"nyu", "depth_maps"}
    assert set(TASKS.values()) == {"counting", "depth"}


def test_a_value_that_is_not_a_distance_is_unknown(nyu):
    def holes(depths):
        depths[0, :5, 0] = [-1, 0, np.nan, np.inf, -np.inf]  # of the first row
        return depths

    change(nyu, "depths", holes)
    depth = read_dataset("nyu", nyu)[0].depth()
    assert depth[0, :5].tolist() == [0] * 5
    np.testing.assert_array_equal(depth[1:], room(0).depth[1:])
    np.testing.assert_array_equal(depth[0, 5:], room(0).depth[0, 5:])


# --- what is prepared


def test_an_index_with_depth(nyu, tmp_path):
    prepare(split(read_dataset("nyu", nyu), SHARES), tmp_path / "one")
    prepare(split(read_dataset("nyu", nyu), SHARES), tmp_path / "three", workers=3)
    for name in ("index.csv", "heads.npy", "pixels.npy", "depths.npy"):
        assert sha256(tmp_path / "one" / name) == sha256(tmp_path / "three" / name)
    index = Index.open(tmp_path / "one" / "index.csv")
    for i in range(11):
        np.testing.assert_array_equal(index.image(i), room(i).image)
        np.testing.assert_array_equal(index.depth(i), room(i).depth)
    assert index.depth(0).dtype == np.float32 and not index.depth(0).flags.writeable
    assert index.heads(3).shape == (0, 4)
    frame = index.frame
    assert set(frame["count"]) == {0} and set(frame["quality"]) == {95} and set(frame["grey"]) == {0}
    assert frame["image"].tolist()[9:] == ["0010", "0011"]


def test_depth_is_resized_to_the_nearest_pixel_and_mixes_nothing(nyu, tmp_path):
    """Each new pixel is one of the 4x3 old ones it covers, that is, neither a mean nor a hole that was not there."""
    prepare(split(read_dataset("nyu", nyu), SHARES), tmp_path / "index", {"exact": [10, 10]})
    index = Index.open(tmp_path / "index" / "index.csv")
    for i in (0, 10):
        assert index.image(i).shape == (10, 10, 3)
        np.testing.assert_array_equal(index.depth(i), room(i).depth[1::3, 2::4])


def test_depth_is_resized_as_its_image(nyu, tmp_path):
    """A dark and near corner is still dark and near after enlarging by a factor that is not a whole number."""
    depths, images = np.full((1, 40, 30), 8, np.float32), np.full((1, 3, 40, 30), 250, np.uint8)
    depths[0, :20, 20:], images[0, :, :20, 20:] = 2, 5  # columns 0 to 19, rows 20 to 29
    change(nyu, "depths", depths)
    change(nyu, "images", images)
    samples = split(read_dataset("nyu", nyu), {"val": 0, "test": 0})
    prepare(samples, tmp_path / "index", {"exact": [66, 51]})
    index = Index.open(tmp_path / "index" / "index.csv")
    assert set(np.unique(index.depth(0))) == {2, 8}
    np.testing.assert_array_equal(index.depth(0) == 2, index.image(0)[..., 0] < 127)


def test_unknown_depths_are_logged(nyu, tmp_path, caplog):
    def ten_rows_of_the_fifth(depths):
        depths[4, :, :10] = 0
        return depths

    change(nyu, "depths", ten_rows_of_the_fifth)
    with caplog.at_level(logging.INFO):
        prepare(split(read_dataset("nyu", nyu), SHARES), tmp_path / "index")
    assert f"400 of {11 * 1200} depths are unknown, in 1 images, such as" in caplog.text


def test_depths_of_another_index(nyu, tmp_path):
    samples = split(read_dataset("nyu", nyu), SHARES)
    prepare(samples, tmp_path / "index")
    prepare(samples[:2], tmp_path / "other")
    file = tmp_path / "index" / "depths.npy"
    whole = file.read_bytes()
    file.write_bytes((tmp_path / "other" / "depths.npy").read_bytes())
    with pytest.raises(InputError, match=r"index\.csv: .*depths\.npy.* Remove all"):
        Index.open(tmp_path / "index" / "index.csv")
    file.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"depths\.npy: truncated or damaged.*make it again"):
        Index.open(tmp_path / "index" / "index.csv")
    file.unlink()
    with pytest.raises(InputError, match=r"depths\.npy: missing beside index\.csv. Make it: snakemake "):
        Index.open(tmp_path / "index" / "index.csv").depth(0)


def test_a_dataset_without_depth(nyu, tmp_path):
    with read_dataset("nyu", nyu)[0].open() as image:
        image.save(tmp_path / "1.png")
    sample = Sample("1.png", tmp_path / "1.png", "train", 40, 30, np.zeros((0, 2)))
    prepare([sample], tmp_path / "index")
    index = Index.open(tmp_path / "index" / "index.csv")
    np.testing.assert_array_equal(index.image(0), room(0).image)
    assert np.load(tmp_path / "index" / "depths.npy").shape == (0,)
    with pytest.raises(InputError, match=r"index\.csv: the dataset has no depth"):
        index.depth(0)
    with pytest.raises(NotImplementedError, match=r"1\.png: .*no depth"):
        sample.depth()


# --- what is wrong, where, and what to do


@pytest.mark.parametrize("part", ["", FILE])
def test_a_missing_file_says_where_to_get_it(tmp_path, part):
    with pytest.raises(InputError) as error:
        read_dataset("nyu", tmp_path / part)
    assert f"{tmp_path / FILE}: the dataset is missing" in str(error.value)
    assert "2 972 037 809 bytes" in str(error.value)
    assert "http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat" in str(error.value)


def test_an_incomplete_download(nyu):
    whole = nyu.read_bytes()
    for size in (len(whole) // 2, 600, 100, 0):
        nyu.write_bytes(whole[:size])
        with pytest.raises(InputError, match=rf"not a readable HDF5 file .*It has {size} bytes; .*2 972 037 809 bytes"):
            read_dataset("nyu", nyu)


def test_a_file_of_matlab_5(nyu):
    scipy.io.savemat(nyu, {"images": np.zeros((4, 4))})
    with pytest.raises(InputError, match=rf"{FILE}: a MATLAB 5 file, not 7\.3 \(HDF5\)\. .*Expected: .*Get http"):
        read_dataset("nyu", nyu)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("depths", None, r"no array 'depths', there is 'images', 'rawDepthFilenames', 'rawDepths', .*Expected: "),
        ("images", None, r"no array 'images', there is 'depths', 'rawDepthFilenames'"),
        ("images", lambda a: a.transpose(0, 3, 2, 1), r"'images' is \(11, 30, 40, 3\); expected \(N, 3, width, height\)"),
        ("images", lambda a: a.T, r"'images' is \(30, 40, 3, 11\); expected .*MATLAB's are \(height, width, 3, N\)"),
        ("images", lambda a: a[:, 0], r"'images' is \(11, 40, 30\); expected"),
        ("images", lambda a: a / np.float32(255), r"'images' is float32; expected uint8"),
        ("depths", lambda a: a.transpose(0, 2, 1), r"'depths' is \(11, 30, 40\) and 'images' \(11, 3, 40, 30\); expected"),
        ("depths", lambda a: a[:10], r"'depths' is \(10, 40, 30\) and .*for each pixel, \(11, 40, 30\)"),
        ("depths", lambda a: a[:, ::2, ::2], r"'depths' is \(11, 20, 15\)"),
        ("depths", lambda a: (a * 1000).astype(np.uint16), r"'depths' is uint16; expected float32, in metres"),
    ],
)  # fmt: skip
def test_other_arrays(nyu, key, value, message):
    change(nyu, key, value)
    with pytest.raises(InputError, match=rf"{FILE}: {message}") as error:
        read_dataset("nyu", nyu)
    with h5py.File(nyu, "r+"):  # fails if the reader has left the file open, as the traceback keeps what it holds
        assert error.tb


def test_a_group_in_place_of_an_array(nyu):
    change(nyu, "depths")
    with h5py.File(nyu, "r+") as file:
        file.create_group("depths")
    with pytest.raises(InputError, match="no array 'depths', there is 'depths', 'images'"):
        read_dataset("nyu", nyu)


def test_wrong_number_of_images(nyu):
    with pytest.raises(InputError, match=rf"{FILE}: 11 images in 'all', expected 1449\. Expected: .*Get http"):
        read_dataset("nyu", nyu, {"all": 1449})


@pytest.mark.parametrize("value", [0, np.nan, -1])
def test_an_image_whose_depth_is_unknown_has_its_number_in_the_message(nyu, tmp_path, value):
    change(nyu, "depths", lambda depths: np.where(np.arange(11).reshape(-1, 1, 1) == 6, np.float32(value), depths))
    samples = split(read_dataset("nyu", nyu), SHARES)
    with pytest.raises(InputError, match=rf"{FILE}: image 7: no depth is known.*Leave the image out"):
        prepare(samples, tmp_path / "index")
    assert os.listdir(tmp_path / "index") == []


def test_depths_in_another_unit_are_an_error(nyu, tmp_path):
    change(nyu, "depths", lambda depths: np.where(np.arange(11).reshape(-1, 1, 1) == 3, depths * 1000, depths))
    samples = split(read_dataset("nyu", nyu), SHARES)
    with pytest.raises(InputError, match=rf"{FILE}: image 4: .* as millimetres .*0\.1 to 10 m.*holds metres; fetch"):
        prepare(samples, tmp_path / "index")
    (problem,) = find_problems(samples, None)
    assert f"{FILE}: image 4: " in problem


@pytest.mark.parametrize("key", ["images", "depths"])
def test_a_damaged_image_has_its_number_in_the_message(nyu, tmp_path, key):
    with h5py.File(nyu) as file:
        chunk = file[key].id.get_chunk_info(2)
        start = chunk.byte_offset
    contents = bytearray(nyu.read_bytes())
    contents[start : start + chunk.size] = bytes(chunk.size)
    nyu.write_bytes(contents)
    samples = split(read_dataset("nyu", nyu), SHARES)
    with pytest.raises(InputError, match=rf"{FILE}: image 3: '{key}' is damaged here .*2 972 037 809 bytes"):
        prepare(samples, tmp_path / "index", workers=2)
    assert os.listdir(tmp_path / "index") == []
