"""The authors' formats: written as they do, read back, and broken in each way that a user may meet."""

import json
import logging
import re
import shutil
from typing import NamedTuple

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from promptmix.datasets.pictures import is_grey, jpeg_quality
from promptmix.datasets.registry import TASKS, read_dataset
from promptmix.datasets.sample import natural_key
from promptmix.errors import InputError
from promptmix.miniature.rendering.crowds import COLOURS, LOCATIONS, render_crowd
from promptmix.miniature.rendering.formats import write_panda, write_shanghaitech, write_ucf_qnrf


class Scene(NamedTuple):
    image: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    location: str
    grey: bool


def scene(seed, width=64, height=48, people=5, location="airport", grey=False):
    rng = np.random.default_rng(seed)
    image = np.kron(rng.integers(0, 255, (height // 8, width // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    points = (rng.random((people, 2)) * [width - 1, height - 1]).astype(np.float32)
    return Scene(image, points, np.concatenate([points - 2, points + 2], axis=1), location, grey)


@pytest.fixture
def shanghaitech(tmp_path):
    """Part B with 11 training images (so that IMG_10 has to follow IMG_9), one of them grey, and 2 test images."""
    write_shanghaitech(tmp_path, "part_B_final", "train", [scene(i, people=i, grey=i == 3) for i in range(11)])
    write_shanghaitech(tmp_path, "part_B_final", "test", [scene(100 + i) for i in range(2)])
    return tmp_path / "part_B_final"


@pytest.fixture
def ucf_qnrf(tmp_path):
    folder = tmp_path / "UCF-QNRF_ECCV18"
    write_ucf_qnrf(folder, "train", [scene(i, 64 + 8 * i) for i in range(3)], [91, 80, 95])
    write_ucf_qnrf(folder, "test", [scene(9)], [91])
    return folder


@pytest.fixture
def panda(tmp_path):
    folder = tmp_path / "PANDA_Crowd"
    write_panda(
        folder, [scene(i, 256, 144, location=place) for i, place in enumerate(["marathon", "airport", "marathon"])]
    )
    return folder


# --- what is read


def test_shanghaitech(shanghaitech):
    samples = read_dataset("shanghaitech", shanghaitech, {"train": 11, "test": 2})
    assert [s.name for s in samples[8:12]] == [
        "train_data/images/IMG_9.jpg",
        "train_data/images/IMG_10.jpg",
        "train_data/images/IMG_11.jpg",
        "test_data/images/IMG_1.jpg",
    ]
    assert [s.split for s in samples] == ["train"] * 11 + ["test"] * 2
    assert [s.count for s in samples] == [*range(11), 5, 5]
    assert (samples[0].width, samples[0].height, samples[0].boxes) == (64, 48, None)
    np.testing.assert_allclose(samples[6].points, scene(6, people=6).points, atol=1e-5)
    assert samples[0].points.shape == (0, 2)


def test_shanghaitech_is_written_as_in_the_original(shanghaitech):
    mat = scipy.io.loadmat(shanghaitech / "train_data" / "ground_truth" / "GT_IMG_6.mat")
    points = mat["image_info"][0, 0][0, 0][0]
    np.testing.assert_allclose(points, scene(5, people=5).points + 1, atol=1e-5)
    assert mat["image_info"][0, 0][0, 0].dtype.names == ("location", "number")
    assert mat["image_info"][0, 0][0, 0]["number"].item() == 5
    images = shanghaitech / "train_data" / "images"
    assert Image.open(images / "IMG_4.jpg").mode == "L"
    assert Image.open(images / "IMG_5.jpg").mode == "RGB"
    assert jpeg_quality(images / "IMG_5.jpg") == 75


def test_equal_scenes_are_equal_bytes(tmp_path):
    for name in ("part_A", "part_B"):
        write_shanghaitech(tmp_path, name, "train", [scene(1)])
    for file in ("images/IMG_1.jpg", "ground_truth/GT_IMG_1.mat"):
        assert len({(tmp_path / name / "train_data" / file).read_bytes() for name in ("part_A", "part_B")}) == 1


def test_shanghaitech_in_kaggles_spelling(shanghaitech):
    wanted = [s.points.tolist() for s in read_dataset("shanghaitech", shanghaitech)]
    for split in ("train", "test"):
        folder = shanghaitech / f"{split}_data"
        (folder / "ground_truth").rename(folder / "ground-truth")
        (folder / "ground-truth-h5").mkdir()
    part = shanghaitech.rename(shanghaitech.with_name("part_B"))
    for path in (part, shanghaitech):
        assert [s.points.tolist() for s in read_dataset("shanghaitech", path)] == wanted
    part.rename(shanghaitech)
    assert len(read_dataset("shanghaitech", part)) == 13


def test_ucf_qnrf(ucf_qnrf):
    samples = read_dataset("ucf_qnrf", ucf_qnrf, {"train": 3, "test": 1})
    assert [s.name for s in samples] == [
        "Train/img_0001.jpg",
        "Train/img_0002.jpg",
        "Train/img_0003.jpg",
        "Test/img_0001.jpg",
    ]
    assert [s.width for s in samples] == [64, 72, 80, 64]
    assert [jpeg_quality(s.image) for s in samples] == [91, 80, 95, 91]
    np.testing.assert_allclose(samples[1].points, scene(1, 72).points, atol=1e-5)


def test_panda(panda):
    samples = read_dataset("panda", panda, {"all": 3})
    assert [s.name for s in samples] == [
        "Airport/airport_01.jpg",
        "Marathon/marathon_01.jpg",
        "Marathon/marathon_02.jpg",
    ]
    assert {s.split for s in samples} == {""}
    np.testing.assert_allclose(samples[0].points, scene(1, 256, 144).points, atol=1e-4)
    np.testing.assert_allclose(samples[0].boxes, scene(1, 256, 144).boxes, atol=1e-4)


def test_panda_counts_heads_only(panda, caplog):
    file = panda / "head_bbox_annotations.json"
    entries = json.loads(file.read_text())
    entries["Airport/airport_01.jpg"]["objects list"][2]["category"] = "vehicle"
    file.write_text(json.dumps(entries))
    with caplog.at_level(logging.INFO):
        assert [s.count for s in read_dataset("panda", panda)] == [4, 5, 5]
    assert "1 objects are not of the category 'person head'" in caplog.text


def test_panda_drops_heads_outside_the_image(panda):
    file = panda / "head_bbox_annotations.json"
    entries = json.loads(file.read_text())
    for corner in entries["Airport/airport_01.jpg"]["objects list"][2]["rect"].values():
        corner["x"] += 1
    file.write_text(json.dumps(entries))
    samples = read_dataset("panda", panda)
    assert [(s.count, s.outside, len(s.boxes)) for s in samples] == [(4, 1, 4), (5, 0, 5), (5, 0, 5)]


@pytest.mark.parametrize("format", ["shanghaitech", "ucf_qnrf"])
def test_points_outside_the_image_are_dropped(request, format, caplog):
    """As in DM-Count: x < 0, x > width, y < 0 or y > height, in the file's own 1-based coordinates."""
    folder = request.getfixturevalue(format)
    points = np.array([[0, 0], [64, 48], [64.01, 5], [5, 48.01], [-0.01, 5], [5, -0.01], [1, 1], [32.5, 20]])
    if format == "shanghaitech":
        info = np.empty((1, 1), dtype=object)
        info[0, 0] = {"location": points, "number": 8.0}
        scipy.io.savemat(folder / "train_data" / "ground_truth" / "GT_IMG_1.mat", {"image_info": info})
    else:
        scipy.io.savemat(folder / "Train" / "img_0001_ann.mat", {"annPoints": points})
    with caplog.at_level(logging.INFO):
        sample = read_dataset(format, folder)[0]
    assert sample.points.tolist() == [[0, 0], [63, 47], [0, 0], [31.5, 19]]
    assert (sample.count, sample.outside) == (4, 4)
    assert "4 of " in caplog.text and "outside their image" in caplog.text and "dropped" in caplog.text


@pytest.mark.parametrize(
    ("format", "train", "extra"), [("shanghaitech", "train_data", "val"), ("ucf_qnrf", "Train", "Val")]
)
def test_images_to_validate_on_beside_the_authors_parts_are_told_of(request, format, train, extra, caplog):
    folder = request.getfixturevalue(format)
    read_dataset(format, folder)
    assert "left out" not in caplog.text
    shutil.copytree(folder / train, folder / extra)
    read_dataset(format, folder)
    assert f"{folder}: 1 folders are left out, such as '{extra}'" in caplog.text and "split: {val: ...}" in caplog.text


def test_rendered_crowds_are_read_as_they_were_rendered(tmp_path):
    rng = np.random.default_rng(0)
    crowds = [render_crowd(rng, 96, 64, place, 20, COLOURS[i % 3]) for i, place in enumerate(LOCATIONS)]
    write_shanghaitech(tmp_path, "part_A_final", "train", crowds)
    write_shanghaitech(tmp_path, "part_A_final", "test", crowds[:1])
    write_ucf_qnrf(tmp_path / "qnrf", "train", crowds, [91] * len(crowds))
    write_ucf_qnrf(tmp_path / "qnrf", "test", crowds[:1], [91])
    write_panda(tmp_path / "panda", crowds)
    for format, folder in (("shanghaitech", "part_A_final"), ("ucf_qnrf", "qnrf")):
        samples = read_dataset(format, tmp_path / folder, {"train": len(crowds), "test": 1})
        for sample, crowd in zip(samples, crowds, strict=False):
            np.testing.assert_allclose(sample.points, np.minimum(crowd.points, [95, 63]), atol=1e-4)
            assert is_grey(sample.image) == crowd.grey
    samples = read_dataset("panda", tmp_path / "panda", {"all": len(crowds)})
    assert sum(sample.count for sample in samples) == sum(len(crowd.points) for crowd in crowds)


def test_hidden_files_and_other_suffixes_in_the_authors_layouts(shanghaitech, ucf_qnrf):
    """A Mac leaves `._` files beside those that it copies; cameras and converters write other suffixes."""
    train = shanghaitech / "train_data"
    wanted = {
        "shanghaitech": [s.points.tolist() for s in read_dataset("shanghaitech", shanghaitech)],
        "ucf_qnrf": [s.points.tolist() for s in read_dataset("ucf_qnrf", ucf_qnrf)],
    }
    (train / "images" / "IMG_2.jpg").rename(train / "images" / "IMG_2.JPG")
    (train / "images" / "IMG_3.jpg").rename(train / "images" / "IMG_3.jpeg")
    (train / "ground_truth" / "GT_IMG_3.mat").rename(train / "ground_truth" / "GT_IMG_3.MAT")
    Image.open(train / "images" / "IMG_4.jpg").save(train / "images" / "IMG_4.png")
    (train / "images" / "IMG_4.jpg").unlink()
    (ucf_qnrf / "Train" / "img_0002.jpg").rename(ucf_qnrf / "Train" / "img_0002.JPEG")
    for folder in (train / "images", train / "ground_truth", ucf_qnrf / "Train"):
        for file in list(folder.iterdir()):
            file.with_name(f"._{file.name}").write_bytes(b"what a Mac leaves")
    for format, folder in (("shanghaitech", shanghaitech), ("ucf_qnrf", ucf_qnrf)):
        assert [s.points.tolist() for s in read_dataset(format, folder)] == wanted[format]


def test_a_preview_beside_an_image_is_not_read(shanghaitech):
    images = shanghaitech / "train_data" / "images"
    Image.open(images / "IMG_4.jpg").resize((8, 6)).save(images / "IMG_4.png")
    assert read_dataset("shanghaitech", shanghaitech)[3].image == images / "IMG_4.jpg"
    (images / "IMG_4.JPG").write_bytes((images / "IMG_4.jpg").read_bytes())
    with pytest.raises(InputError, match=r"IMG_4\.\w+ and IMG_4\.\w+: expected one file of this name"):
        read_dataset("shanghaitech", shanghaitech)


def test_a_broken_link_in_the_authors_layouts_is_named(shanghaitech):
    annotation = shanghaitech / "train_data" / "ground_truth" / "GT_IMG_5.mat"
    annotation.unlink()
    annotation.symlink_to("gone.mat")
    with pytest.raises(InputError, match=r"GT_IMG_5\.mat: the annotation is a link to .gone\.mat"):
        read_dataset("shanghaitech", shanghaitech)


def test_an_image_without_a_name(panda):
    file = panda / "head_bbox_annotations.json"
    file.write_text(json.dumps({"": {"objects list": []}}))
    with pytest.raises(InputError, match=r"head_bbox_annotations\.json, is missing"):
        read_dataset("panda", panda)


def test_pandas_images_under_names_that_look_the_same(panda):
    """Decomposed accents and another suffix, as a copy over a Mac may leave them; and a byte order mark."""
    wanted = [s.points.tolist() for s in read_dataset("panda", panda)]
    file = panda / "head_bbox_annotations.json"
    entries = json.loads(file.read_text())
    entries = {name.replace("airport_01", "a\u00e9roport"): entry for name, entry in entries.items()}
    file.write_text(json.dumps(entries), encoding="utf-8-sig")
    (panda / "Airport" / "airport_01.jpg").rename(panda / "Airport" / "ae\u0301roport.JPG")
    assert [s.points.tolist() for s in read_dataset("panda", panda)] == wanted
    file.write_text(json.dumps(entries), encoding="utf-16")
    assert [s.points.tolist() for s in read_dataset("panda", panda)] == wanted


@pytest.mark.parametrize("form", ["struct", "other order", "cell"])
def test_shanghaitech_as_other_tools_write_it(shanghaitech, form):
    points = scene(4, people=4).points + 1
    info = {"location": points, "number": 4}
    if form == "other order":
        info = {"number": np.uint8(4), "note": "by hand", "location": points}
    if form == "cell":
        cell = np.empty((1, 1), dtype=object)
        cell[0, 0] = info
        info = cell
    scipy.io.savemat(shanghaitech / "train_data" / "ground_truth" / "GT_IMG_5.mat", {"image_info": info})
    np.testing.assert_allclose(read_dataset("shanghaitech", shanghaitech)[4].points, points - 1, atol=1e-5)


@pytest.mark.parametrize("format", ["shanghaitech", "ucf_qnrf", "panda"])
def test_the_authors_images_that_ask_to_be_turned_are_told_of(request, format, caplog):
    folder = request.getfixturevalue(format)
    path = read_dataset(format, folder)[1].image
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif)
    read_dataset(format, folder)
    assert re.search(rf"1 images have an EXIF tag Orientation, such as .*{path.name} \(6\)", caplog.text)


def test_natural_order():
    assert sorted(["IMG_10", "IMG_9", "IMG_100", "IMG_1"], key=natural_key) == ["IMG_1", "IMG_9", "IMG_10", "IMG_100"]


# --- what is wrong, where, and what to do


def test_unknown_format():
    with pytest.raises(
        InputError,
        match="'shanghai' is not a format.*Known: coco, depth_maps, nyu, panda, points, shanghaitech, .*mean 'shanghaitech'",
    ):
        read_dataset("shanghai", "data")


@pytest.mark.parametrize(
    ("format", "source"),
    [
        ("shanghaitech", "https://github.com/desenzhou/ShanghaiTechDataset"),
        ("ucf_qnrf", "https://www.crcv.ucf.edu/data/ucf-qnrf/UCF-QNRF_ECCV18.zip"),
        ("panda", "https://www.panda-dataset.com"),
    ],
)
def test_missing_dataset_says_where_it_was_expected_and_where_to_get_it(tmp_path, format, source):
    assert format in TASKS
    with pytest.raises(InputError) as error:
        read_dataset(format, tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}: the dataset is missing" in str(error.value)
    assert "Expected: " in str(error.value)
    assert source in str(error.value)


@pytest.mark.parametrize(
    ("format", "member", "message"),
    [
        ("shanghaitech", "test_data", "part_B_final: 'test_data' is missing"),
        ("shanghaitech", "train_data/images", "train_data: 'images' is missing"),
        ("shanghaitech", "train_data/ground_truth", "train_data: 'ground_truth' or 'ground-truth' is missing"),
        ("ucf_qnrf", "Test", "UCF-QNRF_ECCV18: 'Test' is missing"),
        ("panda", "head_bbox_annotations.json", "PANDA_Crowd: 'head_bbox_annotations.json' is missing"),
        ("panda", "Marathon/marathon_02.jpg", r"marathon_02\.jpg: .*head_bbox_annotations.* is missing"),
        (
            "shanghaitech",
            "train_data/ground_truth/GT_IMG_3.mat",
            r"GT_IMG_3\.mat: the annotation .* is missing",
        ),
        ("shanghaitech", "train_data/images/IMG_3.jpg", r"images/IMG_3\.jpg: the image .* is missing"),
        ("ucf_qnrf", "Train/img_0002_ann.mat", r"img_0002_ann\.mat: the annotation .* is missing"),
        ("ucf_qnrf", "Train/img_0002.jpg", r"Train/img_0002\.jpg: the image .* is missing"),
    ],
)
def test_missing_parts(request, format, member, message):
    folder = request.getfixturevalue(format)
    (folder / member).rename(folder.parent / "elsewhere")
    with pytest.raises(InputError, match=f"{message}.*Expected: .*Get "):
        read_dataset(format, folder)


@pytest.mark.parametrize(
    ("format", "member"),
    [
        ("shanghaitech", "test_data"),
        ("shanghaitech", "train_data/images"),
        ("shanghaitech", "train_data/ground_truth"),
        ("ucf_qnrf", "Test"),
        ("panda", "head_bbox_annotations.json"),
    ],
)
def test_a_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder(request, format, member):
    folder = request.getfixturevalue(format)
    kind = "folder" if (folder / member).is_dir() else "file"
    (folder / member).rename(folder.parent / "elsewhere")
    if kind == "folder":
        (folder / member).touch()
    else:
        (folder / member).mkdir()
    with pytest.raises(InputError, match=f"{member} is not a {kind}.*Expected: .*Get "):
        read_dataset(format, folder)


@pytest.mark.parametrize(
    ("format", "expected", "message"),
    [
        ("shanghaitech", {"train": 400, "test": 2}, "part_B_final: 11 images in 'train', expected 400. Expected: "),
        ("shanghaitech", {"train": 11, "test": 316}, "2 images in 'test', expected 316"),
        ("ucf_qnrf", {"train": 1201, "test": 334}, "3 images in 'train', expected 1201"),
        ("panda", {"all": 45}, "PANDA_Crowd: 3 images in 'all', expected 45"),
    ],
)
def test_wrong_number_of_images(request, format, expected, message):
    with pytest.raises(InputError, match=message):
        read_dataset(format, request.getfixturevalue(format), expected)


def test_no_images_at_all(tmp_path):
    for split in ("Train", "Test"):
        (tmp_path / split).mkdir()
    with pytest.raises(InputError, match=r"no images\. Expected: "):
        read_dataset("ucf_qnrf", tmp_path)


def test_mat_without_the_key_says_which_keys_are_there(shanghaitech, ucf_qnrf):
    """This happens when one dataset's annotation is in another's folder."""
    there = shanghaitech / "train_data" / "ground_truth" / "GT_IMG_2.mat"
    here = ucf_qnrf / "Train" / "img_0002_ann.mat"
    other = there.read_bytes()
    there.write_bytes(here.read_bytes())
    here.write_bytes(other)
    with pytest.raises(InputError, match=r"GT_IMG_2\.mat: no variable 'image_info', there is 'annPoints'"):
        read_dataset("shanghaitech", shanghaitech)
    with pytest.raises(InputError, match=r"img_0002_ann\.mat: no variable 'annPoints', there is 'image_info'"):
        read_dataset("ucf_qnrf", ucf_qnrf)


@pytest.mark.parametrize("contents", [b"", b"MATLAB", None])
def test_damaged_mat(ucf_qnrf, contents):
    path = ucf_qnrf / "Train" / "img_0001_ann.mat"
    path.write_bytes(path.read_bytes()[:150] if contents is None else contents)
    with pytest.raises(InputError, match=r"img_0001_ann\.mat: not a readable MATLAB 5 file .*Fetch or copy it again"):
        read_dataset("ucf_qnrf", ucf_qnrf)


@pytest.mark.parametrize("value", [np.ones((4, 3)), np.array(["text"]), np.float64(3)])
def test_mat_with_something_else_under_the_key(shanghaitech, value):
    scipy.io.savemat(shanghaitech / "train_data" / "ground_truth" / "GT_IMG_1.mat", {"image_info": value})
    with pytest.raises(InputError, match=r"GT_IMG_1\.mat: 'image_info' .* list of \(x, y\)"):
        read_dataset("shanghaitech", shanghaitech)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"location": np.ones((4, 3))},
            r"'image_info\.location' holds numbers of 4 x 3; expected .*\(x, y\).*2 columns",
        ),
        (
            {"location": np.ones((2, 5))},
            r"'image_info\.location' holds numbers of 2 x 5; expected .*a row for each head",
        ),
        ({"location": "here"}, r"'image_info\.location' holds text"),
        ({"locations": np.ones((4, 2))}, r"'image_info' holds a structure with the fields 'locations'; .*'location'"),
        ({"location": np.ones((4, 2)), "number": 5}, r"'image_info\.number' is 5, but .* has 4 heads"),
    ],
)
def test_structures_that_are_wrong(shanghaitech, value, message):
    scipy.io.savemat(shanghaitech / "train_data" / "ground_truth" / "GT_IMG_1.mat", {"image_info": value})
    with pytest.raises(InputError, match=rf"GT_IMG_1\.mat: {message}"):
        read_dataset("shanghaitech", shanghaitech)


def test_three_columns(ucf_qnrf):
    scipy.io.savemat(ucf_qnrf / "Train" / "img_0001_ann.mat", {"annPoints": np.ones((4, 3))})
    with pytest.raises(
        InputError, match=r"img_0001_ann\.mat: 'annPoints' holds numbers of 4 x 3; expected .*2 columns"
    ):
        read_dataset("ucf_qnrf", ucf_qnrf)


def test_mat_of_version_7_3_says_how_to_save_it(ucf_qnrf):
    path = ucf_qnrf / "Train" / "img_0001_ann.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["annPoints"] = np.ones((2, 4))
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with open(path, "r+b") as file:
        file.write(header)
    with pytest.raises(InputError, match=r"img_0001_ann\.mat: .*version 7\.3: save it again .*'-v7'"):
        read_dataset("ucf_qnrf", ucf_qnrf)


@pytest.mark.parametrize("format", ["shanghaitech", "ucf_qnrf"])
def test_images_that_were_halved_but_not_their_points(request, format):
    """Half of the images; each loses most heads, and none is prepared with a fraction of its people."""
    folder = request.getfixturevalue(format)
    for sample in read_dataset(format, folder):
        with Image.open(sample.image) as image:
            image.resize((16, 12)).save(sample.image)
    with pytest.raises(InputError, match=r"heads are outside their image.*Was it resized"):
        read_dataset(format, folder)


@pytest.mark.parametrize(("factor", "unit"), [((256, 144), "pixels"), ((100, 100), "percentages")])
def test_pandas_corners_in_other_units(panda, factor, unit):
    file = panda / "head_bbox_annotations.json"
    entries = json.loads(file.read_text())
    for entry in entries.values():
        for head in entry["objects list"]:
            for corner in head["rect"].values():
                corner.update(x=corner["x"] * factor[0], y=corner["y"] * factor[1])
    file.write_text(json.dumps(entries))
    with pytest.raises(InputError, match=rf"head_bbox_annotations\.json: .* like {unit}.*Expected fractions.*divide"):
        read_dataset("panda", panda)


@pytest.mark.parametrize(
    ("corner", "message"),
    [
        ({"x": "many"}, "not a number"),
        ({"x": None}, "not finite"),
        ({"x": 10**400}, "not a number"),
        ({"x": -1.0}, "'br' .*'tl'"),
    ],
)
def test_pandas_corners_that_are_wrong(panda, corner, message):
    file = panda / "head_bbox_annotations.json"
    entries = json.loads(file.read_text())
    entries["Airport/airport_01.jpg"]["objects list"][2]["rect"]["br"].update(corner)
    file.write_text(json.dumps(entries))
    with pytest.raises(InputError, match=rf"head_bbox_annotations\.json: .*{message}"):
        read_dataset("panda", panda)


def test_points_that_are_not_numbers(ucf_qnrf):
    scipy.io.savemat(ucf_qnrf / "Train" / "img_0001_ann.mat", {"annPoints": [[1, np.nan]]})
    with pytest.raises(InputError, match=r"img_0001_ann\.mat: .*not finite.*Fetch or copy"):
        read_dataset("ucf_qnrf", ucf_qnrf)


def test_an_empty_jpeg_is_named(ucf_qnrf):
    (ucf_qnrf / "Train" / "img_0003.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"img_0003\.jpg: not an image .*0 bytes"):
        read_dataset("ucf_qnrf", ucf_qnrf)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (["objects list"], "'Airport/airport_01.jpg': no key 'objects list', there is 'image size'"),
        (["objects list", 1, "category"], "airport_01.jpg', object 1: no key 'category', there is 'rect'"),
        (["objects list", 1, "rect"], "airport_01.jpg', object 1: no key 'rect', there is 'category'"),
        (["objects list", 1, "rect", "br"], "airport_01.jpg', object 1, 'rect': no key 'br', there is 'tl'"),
        (["objects list", 1, "rect", "tl", "y"], "object 1, 'rect', 'tl': no key 'y', there is 'x'"),
    ],
)
def test_panda_json_without_a_key(panda, path, message):
    file = panda / "head_bbox_annotations.json"
    entries = json.loads(file.read_text())
    *parents, key = path
    place = entries["Airport/airport_01.jpg"]
    for parent in parents:
        place = place[parent]
    del place[key]
    file.write_text(json.dumps(entries))
    with pytest.raises(InputError, match=rf"head_bbox_annotations\.json: .*{message}"):
        read_dataset("panda", panda)


@pytest.mark.parametrize(
    ("text", "message"), [('{"a": ', "not valid JSON"), ("[]", "expected a mapping from image paths")]
)
def test_panda_json_that_is_damaged(panda, text, message):
    (panda / "head_bbox_annotations.json").write_text(text)
    with pytest.raises(InputError, match=rf"head_bbox_annotations\.json: {message}"):
        read_dataset("panda", panda)
