"""Formats for your own data, written, read back, and broken in each way that a user may meet; and known facts."""

import json
import logging
import os
import re

import h5py
import numpy as np
import pytest
from PIL import Image

from promptmix.datasets.facts import check_facts
from promptmix.datasets.index import Index, prepare
from promptmix.datasets.readers import depth_maps
from promptmix.datasets.registry import read_dataset
from promptmix.datasets.sample import natural_key, pick_evenly
from promptmix.datasets.splits import split
from promptmix.errors import InputError
from promptmix.training import depth_loss

SIZE = (64, 48)
HEADS = {"1.jpg": 3, "2.JPG": 0, "10.jpeg": 2, "hall/1.png": 4}
"""Images in natural order, and how many heads they show."""

NAMES = [f"images/{name}" for name in HEADS]


def pixels(seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def heads(i, count):
    """Return (count, 2) points of image `i`, in hundredths of a pixel."""
    return np.round(np.random.default_rng(100 + i).uniform(5, 40, (count, 2)), 2)


def write_images(folder, names=HEADS, size=SIZE, **options):
    for i, name in enumerate(names):
        file = folder / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(i, size)).save(file, **options)


def write_points(folder, counts=HEADS):
    write_images(folder, counts)
    rows = [f"{name},{x},{y}" for i, (name, n) in enumerate(counts.items()) for x, y in heads(i, n)]
    (folder / "points.csv").write_text("\n".join(["image,x,y", *rows[::-1]]) + "\n")


def write_coco(folder, counts=HEADS):
    write_images(folder, counts)
    images = [
        {"id": 7 * i, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for i, name in enumerate(counts)
    ]  # fmt: skip
    annotations = [
        {"id": 100 * i + j, "image_id": 7 * i, "category_id": 1, "bbox": [x - 2, y - 3, 4, 6], "iscrowd": 0}
        for i, n in enumerate(counts.values())
        for j, (x, y) in enumerate(heads(i, n))
    ]
    content = {"images": images[::-1], "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "annotations.json").write_text(json.dumps(content))


def metres(i, size=SIZE):
    return np.random.default_rng(i).uniform(0.5, 9.5, size[::-1]).astype(np.float32)


def write_depth(folder, names=HEADS, suffix=".png"):
    write_images(folder, names)
    for i, name in enumerate(names):
        file = (folder / "depths" / name).with_suffix(suffix)
        file.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".png":
            Image.fromarray((metres(i) * 1000).astype(np.uint16)).save(file)
        else:
            np.save(file, metres(i))


@pytest.fixture
def points(tmp_path):
    write_points(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def boxes(tmp_path):
    write_coco(tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def maps(tmp_path):
    write_depth(tmp_path / "own")
    return tmp_path / "own"


WRITERS = {"points": write_points, "coco": write_coco, "depth_maps": write_depth}


def read(format, folder, expected=None):
    return read_dataset(format, folder, expected, unit=0.001 if format == "depth_maps" else None)


def change(folder, edit):
    """Edit a COCO file's content in place."""
    file = folder / "annotations.json"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content))


# --- what is read


@pytest.mark.parametrize("format", ["points", "coco"])
def test_heads_are_read_as_they_were_written(tmp_path, format, caplog):
    WRITERS[format](tmp_path)
    with caplog.at_level(logging.INFO):
        samples = read_dataset(format, tmp_path, {"all": 4})
    assert [sample.name for sample in samples] == NAMES
    assert {(sample.split, sample.width, sample.height, sample.outside) for sample in samples} == {("", *SIZE, 0)}
    for i, (sample, count) in enumerate(zip(samples, HEADS.values(), strict=True)):
        assert sample.count == count
        found, wanted = (points[np.lexsort(points.T)] for points in (sample.points, heads(i, count)))
        np.testing.assert_allclose(found, wanted)
    assert "9 heads in 4 images, 1 of them without" in caplog.text
    with samples[3].open() as image:
        np.testing.assert_array_equal(np.asarray(image), pixels(3))


def test_boxes_are_kept_beside_their_centres(boxes):
    samples = read_dataset("coco", boxes)
    assert samples[1].boxes.shape == (0, 4)
    for i in (0, 2, 3):
        np.testing.assert_allclose(
            samples[i].boxes, np.hstack([samples[i].points - [2, 3], samples[i].points + [2, 3]])
        )


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_depths_are_read_as_they_were_written(tmp_path, suffix):
    write_depth(tmp_path, suffix=suffix)
    samples = read_dataset("depth_maps", tmp_path, {"all": 4}, unit=0.001 if suffix == ".png" else None)
    assert [sample.name for sample in samples] == NAMES
    assert {(sample.has_depth, sample.count, sample.width, sample.height) for sample in samples} == {(True, 0, *SIZE)}
    for i, sample in enumerate(samples):
        assert sample.depth().dtype == np.float32
        np.testing.assert_allclose(sample.depth(), metres(i), atol=1e-3 if suffix == ".png" else 0)


def test_the_unit_scales_floats_and_integers(tmp_path):
    write_depth(tmp_path, ["1.jpg", "2.jpg"], ".npy")
    np.save(tmp_path / "depths" / "2.npy", np.full(SIZE[::-1], 12, np.int32))
    first, second = read_dataset("depth_maps", tmp_path, unit=0.25)
    np.testing.assert_allclose(first.depth(), metres(0) * 0.25)
    assert set(second.depth().ravel()) == {3}


def test_a_value_that_is_not_a_distance_is_unknown(tmp_path):
    write_depth(tmp_path, suffix=".npy")
    values = metres(0)
    values[0, :5] = [-1, 0, np.nan, np.inf, -np.inf]
    np.save(tmp_path / "depths" / "1.npy", values)
    depth = read_dataset("depth_maps", tmp_path)[0].depth()
    assert depth[0, :5].tolist() == [0] * 5
    np.testing.assert_array_equal(depth[1:], values[1:])
    np.testing.assert_array_equal(depth[0, 5:], values[0, 5:])


@pytest.mark.parametrize("format", WRITERS)
def test_a_split_by_the_authors(tmp_path, format):
    WRITERS[format](tmp_path / "train", {"1.jpg": 2, "2.jpg": 1})
    WRITERS[format](tmp_path / "test", {"1.jpg": 3})
    samples = read(format, tmp_path, {"train": 2, "test": 1})
    assert [sample.name for sample in samples] == ["train/images/1.jpg", "train/images/2.jpg", "test/images/1.jpg"]
    assert [sample.split for sample in samples] == ["train", "train", "test"]
    if format != "depth_maps":
        assert [sample.count for sample in samples] == [2, 1, 3]


@pytest.mark.parametrize("format", WRITERS)
def test_what_is_read_can_be_prepared(tmp_path, format):
    WRITERS[format](tmp_path / "own")
    samples = split(read(format, tmp_path / "own"), {"val": 1, "test": 1})
    prepare(samples, tmp_path / "index", {"exact": [32, 24]})
    index = Index.open(tmp_path / "index" / "index.csv")
    assert index.frame["image"].tolist() == NAMES
    assert index.image(3).shape == (24, 32, 3)
    if format == "depth_maps":
        np.testing.assert_array_equal(index.depth(3), samples[3].depth()[1::2, 1::2])
    else:
        sides = [0, 0] if format == "points" else [2, 3]
        np.testing.assert_allclose(index.heads(3), [[*p / 2, *sides] for p in samples[3].points], rtol=1e-5)


@pytest.mark.parametrize("format", WRITERS)
def test_hidden_files_are_not_read_and_others_are_reported(tmp_path, format, caplog):
    WRITERS[format](tmp_path)
    (tmp_path / "images" / "._1.jpg").write_bytes(b"what a Mac leaves")
    (tmp_path / "images" / ".cache").mkdir()
    (tmp_path / "images" / ".cache" / "1.jpg").write_bytes(b"")
    (tmp_path / "images" / "3.tif").write_bytes(b"")
    assert len(read(format, tmp_path)) == 4
    assert re.search(r"images: 1 files .*\.jpg, \.jpeg, \.png: left out, .*'3\.tif'", caplog.text)


def test_other_columns_spaces_and_a_byte_order_mark_are_ignored(points):
    wanted = [sample.points.tolist() for sample in read_dataset("points", points)]
    rows = [line.split(",") for line in (points / "points.csv").read_text().splitlines()]
    lines = [f"{y}, {'note' if name == 'image' else 'x'}, {x}, {name}" for name, x, y in rows]
    (points / "points.csv").write_text("\n\n".join(lines), encoding="utf-8-sig")
    assert [sample.points.tolist() for sample in read_dataset("points", points)] == wanted


def test_points_outside_the_image_are_dropped_and_those_on_its_edge_are_not(points, caplog):
    (points / "points.csv").write_text("image,x,y\n1.jpg,0,0\n1.jpg,64,48\n1.jpg,64.1,9\n2.JPG,9,-0.1\n2.JPG,9,9\n")
    samples = read_dataset("points", points)
    assert samples[0].points.tolist() == [[0, 0], [64, 48]]
    assert [sample.count for sample in samples] == [2, 1, 0, 0]
    assert [sample.outside for sample in samples] == [1, 1, 0, 0]
    assert re.search(
        r"points\.csv: 2 of 5 heads .*outside.* \(64\.1, 9\) in 1\.jpg of 64x48 pixels: dropped", caplog.text
    )


def test_boxes_whose_centres_are_outside_are_dropped(boxes, caplog):
    change(boxes, lambda content: content["annotations"][1].update(bbox=[60, 10, 10, 10]))
    sample = read_dataset("coco", boxes)[0]
    assert (sample.count, sample.outside, sample.boxes.shape) == (2, 1, (2, 4))
    assert "1 of 9 heads" in caplog.text


def test_regions_of_crowds_are_not_heads(boxes, caplog):
    change(boxes, lambda content: content["annotations"][0].update(iscrowd=1, bbox=[0, 0, 60, 40]))
    assert [sample.count for sample in read_dataset("coco", boxes)] == [2, 0, 2, 4]
    assert "1 regions of crowds (iscrowd) are left out" in caplog.text


def test_iscrowd_may_be_missing(boxes):
    change(boxes, lambda content: [entry.pop("iscrowd") for entry in content["annotations"]])
    assert [sample.count for sample in read_dataset("coco", boxes)] == list(HEADS.values())


def test_of_several_categories_head_counts(boxes, caplog):
    def two(content):
        content["categories"] += [{"id": 2, "name": "head"}]
        for entry in content["annotations"][2:]:
            entry["category_id"] = 2

    change(boxes, two)
    with caplog.at_level(logging.INFO):
        assert [sample.count for sample in read_dataset("coco", boxes)] == [1, 0, 2, 4]
    assert "2 boxes are of other categories than 'head': left out" in caplog.text


def test_a_category_without_boxes_asks_for_nothing(boxes):
    change(boxes, lambda content: content["categories"].append({"id": 2, "name": "car"}))
    assert sum(sample.count for sample in read_dataset("coco", boxes)) == 9


def test_images_that_the_annotations_do_not_list_are_left_out(boxes, caplog):
    change(boxes, lambda content: content.update(images=[e for e in content["images"] if e["file_name"] != "2.JPG"]))
    assert len(read_dataset("coco", boxes)) == 3
    assert "1 files in images/ are not listed under 'images': left out" in caplog.text


def test_far_depths_are_reported(tmp_path, caplog):
    write_depth(tmp_path, suffix=".npy")
    assert (depth_maps.NEAREST, depth_maps.FARTHEST) == (depth_loss.NEAREST, depth_loss.FARTHEST)
    read_dataset("depth_maps", tmp_path)
    assert caplog.text == ""
    values = metres(2)
    values[:24] = 40
    np.save(tmp_path / "depths" / "10.npy", values)
    read_dataset("depth_maps", tmp_path)
    assert re.search(r"12\.5 % .* farther than 10 m, up to 40 m \(4 of 4 depth maps .*smaller `unit`", caplog.text)
    caplog.clear()
    read_dataset("depth_maps", tmp_path, unit=0.25)
    assert caplog.text == ""


# --- order


def test_order_does_not_depend_on_the_file_system(tmp_path):
    names = ["IMG_10", "IMG_2", "IMG_02", "²", "IMG_1", "1"]
    for order in (names, names[::-1]):
        assert sorted(order, key=natural_key) == ["1", "IMG_1", "IMG_02", "IMG_2", "IMG_10", "²"]


def test_samples_are_spread_evenly():
    assert pick_evenly(range(5)) == [0, 1, 2, 3, 4]
    assert pick_evenly(range(101), 5) == [0, 25, 50, 75, 100]
    assert pick_evenly([]) == []


# --- what is wrong, where, and what to do


@pytest.mark.parametrize("format", WRITERS)
def test_missing_dataset(tmp_path, format):
    with pytest.raises(InputError) as error:
        read(format, tmp_path / "nowhere")
    assert str(error.value).startswith(f"{tmp_path / 'nowhere'}: the dataset is missing")
    assert "Expected: a folder" in str(error.value)


@pytest.mark.parametrize(
    ("format", "member"), [("points", "points.csv"), ("coco", "annotations.json"), ("depth_maps", "depths")]
)
def test_missing_parts(tmp_path, format, member):
    WRITERS[format](tmp_path / "own")
    (tmp_path / "own" / member).rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=rf"own: '{member}' is missing\. Expected: .*or with train/ and test/"):
        read(format, tmp_path / "own")
    (tmp_path / "own" / "images").rename(tmp_path / "images")
    with pytest.raises(InputError, match=r"own: 'images' is missing\. Expected: "):
        read(format, tmp_path / "own")


@pytest.mark.parametrize("format", WRITERS)
def test_a_folder_without_images(tmp_path, format):
    WRITERS[format](tmp_path, {"1.jpg": 2})
    (tmp_path / "images" / "1.jpg").rename(tmp_path / "images" / "1.bmp")
    with pytest.raises(InputError, match=r"images: no file here ends in \.jpg, \.jpeg, \.png\. Expected: "):
        read(format, tmp_path)


@pytest.mark.parametrize("format", WRITERS)
def test_half_a_split(tmp_path, format):
    WRITERS[format](tmp_path / "train")
    with pytest.raises(InputError, match=r": 'test' is missing\. Expected: "):
        read(format, tmp_path)
    WRITERS[format](tmp_path)
    with pytest.raises(InputError, match=r": .*'images' and 'train'.*; move one of them elsewhere"):
        read(format, tmp_path)


@pytest.mark.parametrize("format", WRITERS)
def test_another_split_than_expected(tmp_path, format):
    WRITERS[format](tmp_path / "whole")
    WRITERS[format](tmp_path / "split" / "train")
    WRITERS[format](tmp_path / "split" / "test")
    with pytest.raises(InputError, match=r"whole: .*no train/ and test/.* as \{all: \.\.\.\}, not {'tr"):
        read(format, tmp_path / "whole", {"train": 2, "test": 2})
    with pytest.raises(InputError, match=r"split: train/ and test/ .* as \{train: \.\.\., test: \.\.\.\}, not {'all"):
        read(format, tmp_path / "split", {"all": 8})


@pytest.mark.parametrize("format", WRITERS)
def test_wrong_number_of_images(tmp_path, format):
    WRITERS[format](tmp_path / "own")
    with pytest.raises(InputError, match=r"own: 4 images in 'all', expected 5\. Expected: a folder"):
        read(format, tmp_path / "own", {"all": 5})


@pytest.mark.parametrize("format", WRITERS)
def test_a_damaged_image(tmp_path, format):
    WRITERS[format](tmp_path)
    (tmp_path / "images" / "10.jpeg").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"images/10\.jpeg: not an image .*7 bytes"):
        read(format, tmp_path)


@pytest.mark.parametrize("format", WRITERS)
def test_an_image_whose_exif_tag_asks_to_rotate_it(tmp_path, format):
    WRITERS[format](tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels(0)).save(tmp_path / "images" / "1.jpg", exif=exif)
    with pytest.raises(InputError, match=r"1\.jpg: the EXIF tag Orientation \(6\) .*mogrify -auto-orient.*exiftool"):
        read(format, tmp_path)


def test_a_unit_for_a_format_without_one(points):
    with pytest.raises(InputError, match=r"own: .*unit \(0\.001\).* points .*; remove it"):
        read_dataset("points", points, unit=0.001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable CSV file \\(No columns to parse from file\\)\\. Expected: "),
        ("image,x,y\n1.jpg,1,2\n1.jpg,1,5,2,5\n", "not a readable CSV file \\(.*Expected 3 fields in line 3, saw 5"),
        ("image,x,y\n1.jpg,1,5,2,5\n", "rows have more fields than the header names. Expected: "),
        ("image;x;y\n1.jpg;1;2\n", "no column 'image', there is 'image;x;y'. Expected: .*a header 'image,x,y'"),
        ("image,x\n1.jpg,1\n", "no column 'y', there is 'image', 'x'"),
        ("image,x,y\n1.jpg,9,9\n1.jpg,many,9\n", "row 2 \\('1.jpg'\\): x is 'many'; expected a number of pixels"),
        ("image,x,y\n1.jpg,9\n", "row 1 \\('1.jpg'\\): y is ''; expected a number"),
        ("image,x,y\n1.jpg,9,inf\n", "row 1 \\('1.jpg'\\): y is 'inf'; expected a number"),
        ("x,y,image\n9,9,1.jpg\n9,9\n", "'' is not among the images"),
        ("image,x,y\n", "no heads. Expected at least one"),
        ("image,x,y\nimages/1.jpg,9,9\n3.jpg,9,9\n", "'3.jpg' is not among the images \\(2 .*, such as '1.jpg'"),
        ("image,x,y\n1.jpg,0.2,0.7\n10.jpeg,0.9,1\n", "all coordinates .* 0 and 1.*Expected pixels: multiply"),
        ("image,x,y\n1.jpg,90,9\n1.jpg,70,9\n1.jpg,7,9\n", "2 of 3 heads .* such as \\(90, 9\\) in 1.jpg of 64x48 pixels. Exp"),
    ],
)  # fmt: skip
def test_tables_of_points_that_are_wrong(points, text, message):
    (points / "points.csv").write_text(text)
    with pytest.raises(InputError, match=rf"points\.csv: {message}"):
        read_dataset("points", points)


def test_a_table_that_is_not_text(points):
    (points / "points.csv").write_bytes(b"\xff\xfe\x00image")
    with pytest.raises(InputError, match=r"points\.csv: not a readable CSV file \('utf-8' codec can't decode"):
        read_dataset("points", points)


@pytest.mark.parametrize(("text", "message"), [('{"a": ', "not valid JSON"), ("[]", "no list 'images'. Expected: ")])
def test_annotations_that_are_damaged(boxes, text, message):
    (boxes / "annotations.json").write_text(text)
    with pytest.raises(InputError, match=rf"annotations\.json: {message}"):
        read_dataset("coco", boxes)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.pop("categories"), "no list 'categories'. Expected: .*images, annotations and categories"),
        (lambda c: c.update(annotations={}), "no list 'annotations'"),
        (lambda c: c["images"].clear(), "'images' is empty"),
        (lambda c: c["images"][1].pop("file_name"), r"images\[1\]: 'file_name' is missing; expected text\. Expected: "),
        (lambda c: c["images"][2].update(id=[3]), r"images\[2\]: 'id' is \[3\]; expected a number or text"),
        (lambda c: c["images"][2].update(id=0), "2 images have the id 0; expected one"),
        (lambda c: c["images"][0].update(file_name="1.jpg"), "2 images have the file_name '1.jpg'; expected one"),
        (lambda c: c["images"][0].update(file_name="images/1.jpg"), r"'images/1\.jpg' is not among .*, such as '1\.jpg'"),
        (lambda c: c["annotations"].append(3), r"annotations\[9\]: 'category_id' is missing; expected a number or text"),
        (lambda c: c["annotations"][4].pop("image_id"), r"annotations\[4\]: 'image_id' is missing"),
        (lambda c: c["annotations"][4].update(image_id=99), ".*image_id is 99, .* \\(1 or more in all\\). Expected the id"),
        (lambda c: c["annotations"][4].update(category_id=5), "category_id 5 is not the id of a category"),
        (lambda c: c["annotations"][4].update(bbox="1 2 3 4"), r"annotations\[4\]: 'bbox' is \"1 2 3 4\"; expected a list"),
        (lambda c: c["annotations"][4].update(bbox=[1, 2, 3]), r"a bbox is \[1, 2, 3\]; expected \[left, top, width, height"),
        (lambda c: c["annotations"][4].update(bbox=[1, 2, "a", 3]), r"a bbox is \[1, 2, \"a\", 3\]; expected \[left"),
        (lambda c: c["annotations"][4].update(bbox=[1, 2, float("nan"), 3]), r"a bbox is \[1, 2, NaN, 3\]; expected \[left"),
        (lambda c: c["annotations"][4].update(bbox=[20, 30, -5, 3]), r"a bbox is \[20, 30, -5, 3\]; expected \[left"),
        (lambda c: c["annotations"].clear(), "no heads. Expected at least one"),
        (lambda c: [a.update(bbox=[0.1, 0.1, 0.2, 0.2]) for a in c["annotations"]], "all coordinates .* 0 and 1.*Expected pixels"),
        (lambda c: [a.update(bbox=[80, 8, 2, 2]) for a in c["annotations"]], "9 of 9 heads .*Expected x and y in pixels"),
    ],
)  # fmt: skip
def test_annotations_that_are_wrong(boxes, edit, message):
    change(boxes, edit)
    with pytest.raises(InputError, match=rf"annotations\.json: {message}"):
        read_dataset("coco", boxes)


def test_several_categories_without_heads_are_asked_about(boxes):
    def two(content):
        content["categories"] += [{"id": 2, "name": "car"}]
        content["annotations"][0]["category_id"] = 2

    change(boxes, two)
    with pytest.raises(InputError, match=r"boxes of 2 categories: car, person; which are the heads\? .* named 'head'"):
        read_dataset("coco", boxes)


def test_an_image_of_another_size_than_its_boxes_are_for(boxes):
    change(boxes, lambda content: content["images"][3].update(width=128, height=96))
    with pytest.raises(
        InputError, match=r"1\.jpg: the image has 64x48 pixels, annotations\.json says 128x96\. Expected"
    ):
        read_dataset("coco", boxes)


def depth_file(value):
    """Return a function that replaces the first depth map by an array, saved as .npy."""

    def edit(folder):
        os.remove(folder / "depths" / "1.png")
        np.save(folder / "depths" / "1.npy", value)

    return edit


def png(array):
    return lambda folder: Image.fromarray(array).save(folder / "depths" / "1.png")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda f: os.remove(f / "depths" / "2.png"), r"images/2\.JPG: there is no depth map of this name \(1 missing in all"),
        (lambda f: os.remove(f / "images" / "10.jpeg"), r"depths/10\.png: there is no image of this name"),
        (lambda f: np.save(f / "depths" / "1.npy", metres(0)), r"depths/1\.\w+ and 1\.\w+: expected one .*Remove one"),
        (lambda f: Image.new("RGB", SIZE).save(f / "images" / "1.png"), r"images/1\.jpg and 1\.png: expected one file"),
        (lambda f: (f / "depths" / "1.png").write_bytes(b"nothing"), r"depths/1\.png: not an image that can be read"),
        (png(np.full((48, 64), 90, np.uint8)), r"1\.png: .*mode L; expected grey with 16 bits.*export"),
        (png(pixels(0)), r"1\.png: a PNG of mode RGB; expected grey with 16 bits"),
        (png(np.full((64, 48), 900, np.uint16)), r"1\.png: the depth map has 48x64 values, .*1\.jpg has 64x48 pixels"),
        (png(np.zeros((48, 64), np.uint16)), r"1\.png: no depth is known.*Remove the image.*correct"),
        (depth_file(np.full((48, 64), np.nan)), r"1\.npy: no depth is known"),
        (depth_file(metres(0)[:24, :32]), r"1\.npy: the depth map has 32x24 values"),
        (depth_file(metres(0)[..., None]), r"1\.npy: float32 of shape \(48, 64, 1\); expected \(height, width\) floats"),
        (depth_file(np.ones((48, 64), np.uint8)), r"1\.npy: uint8 of shape \(48, 64\); expected .* 16 bits or more"),
        (depth_file(np.ones((48, 64), bool)), r"1\.npy: bool of shape \(48, 64\); expected"),
        (depth_file(np.array([["a"]], dtype=object)), r"1\.npy: not a readable \.npy file .*Save it again"),
    ],
)  # fmt: skip
def test_depth_maps_that_are_wrong(maps, edit, message):
    edit(maps)
    with pytest.raises(InputError, match=message):
        read_dataset("depth_maps", maps, unit=0.001)


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_a_truncated_depth_map(tmp_path, suffix):
    write_depth(tmp_path, suffix=suffix)
    file = tmp_path / "depths" / f"1{suffix}"
    file.write_bytes(file.read_bytes()[:900])
    message = "the image is truncated or damaged" if suffix == ".png" else "not a readable .npy file"
    with pytest.raises(InputError, match=rf"depths/1\{suffix}: {message}"):
        read("depth_maps", tmp_path)


def test_whole_numbers_need_a_unit(maps):
    with pytest.raises(InputError, match=r"1\.png: whole numbers .*`unit` to metres per count, such as 0\.001"):
        read_dataset("depth_maps", maps)


@pytest.mark.parametrize("unit", [0, -1, float("inf"), float("nan")])
def test_a_unit_that_is_not_a_positive_number(maps, unit):
    with pytest.raises(InputError, match=r"own: the unit is \S+; expected metres per count"):
        read_dataset("depth_maps", maps, unit=unit)


@pytest.mark.parametrize(("unit", "found"), [(1, r"500 to 9499 m"), (1e-6, r"0\.0005 to 0\.009499 m")])
def test_a_unit_that_cannot_be_right(maps, unit, found):
    with pytest.raises(InputError, match=rf"own: depths are {found} in 4 of 4 depth maps.* is the unit right"):
        read_dataset("depth_maps", maps, unit=unit)


# --- facts


def test_a_right_copy(points):
    samples = read_dataset("points", points)
    assert check_facts(samples, {}) == []
    assert check_facts(samples, {"heads": 9, "size": list(SIZE)}) == []


def test_heads_that_are_dropped_may_or_may_not_be_in_the_published_number(points):
    (points / "points.csv").write_text("image,x,y\n1.jpg,9,9\n1.jpg,64.1,9\n2.JPG,9,-0.1\n2.JPG,9,9\n")
    samples = read_dataset("points", points)
    for number in (2, 4):
        assert check_facts(samples, {"heads": number}) == []
    for number in (1, 5):
        (problem,) = check_facts(samples, {"heads": number})
        assert problem.startswith(f"heads: 2 in all images, and 2 outside them; expected {number}.")


def test_images_of_another_size(points):
    Image.fromarray(pixels(0, (60, 48))).save(points / "images" / "10.jpeg")
    (problem,) = check_facts(read_dataset("points", points), {"heads": 9, "size": [64, 48]})
    assert problem.startswith("size: 1 of 4 images have another size, such as images/10.jpeg: 60x48; expected 64x48.")


def test_images_of_another_quality(tmp_path):
    names = {f"{i}.jpg": 1 for i in range(1, 51)}
    write_points(tmp_path, names)
    write_images(tmp_path, names, quality=75)
    samples = read_dataset("points", tmp_path)
    assert check_facts(samples, {"quality": 75}) == []
    Image.fromarray(pixels(0)).save(tmp_path / "images" / "1.jpg", quality=90)
    Image.fromarray(pixels(0)).save(tmp_path / "images" / "50.jpg", "PNG")
    (problem,) = check_facts(samples, {"quality": 75})
    assert re.match(r"quality: 2 of 24 .* images/1\.jpg: 90; expected 75\.", problem)
    Image.fromarray(pixels(0)).save(tmp_path / "images" / "1.jpg", "PNG")
    (problem,) = check_facts(samples, {"quality": 95})
    assert re.match(r"quality: 24 of 24 .* images/1\.jpg: .*PNG.*; expected 95\.", problem)
    (tmp_path / "images" / "1.jpg").unlink()
    with pytest.raises(InputError, match=r"images/1\.jpg: no such image"):
        check_facts(samples, {"quality": 75})


def test_every_difference_is_reported(points):
    problems = check_facts(read_dataset("points", points), {"heads": 10, "size": [8, 8], "quality": 91})
    assert [problem.split(":")[0] for problem in problems] == ["heads", "size", "quality"]
    assert "4 of 4 " in problems[2]


def test_facts_of_a_file_of_many_images(tmp_path):
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.zeros((3, 3, 40, 30), np.uint8)
        file["depths"] = np.ones((3, 40, 30), np.float32)
    (problem,) = check_facts(read_dataset("nyu", tmp_path), {"size": [640, 480]})
    assert problem.startswith("size: 3 of 3 images have another size, such as 0001: 40x30; expected 640x480.")
