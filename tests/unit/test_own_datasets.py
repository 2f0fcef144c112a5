"""Formats for your own data, written, read back, and broken in each way that a user may meet; and known facts."""

import json
import logging
import os
import re
import unicodedata

import h5py
import numpy as np
import pytest
from PIL import Image

from promptmix.datasets import depths
from promptmix.datasets.decoding import find_problems
from promptmix.datasets.facts import check_facts
from promptmix.datasets.index import Index, prepare
from promptmix.datasets.registry import read_dataset, read_split
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
        r"points\.csv: 2 of 5 heads .*outside.* \(64\.1, 9\) in images/1\.jpg of 64x48 pixels: dropped", caplog.text
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


def test_a_category_that_one_file_lists_counts_in_all(tmp_path):
    """The test images happen to show persons only, whose boxes are not heads."""

    def both(content):
        content["categories"] += [{"id": 2, "name": "Head"}]

    write_coco(tmp_path / "train", {"1.jpg": 4, "2.jpg": 3})
    write_coco(tmp_path / "test", {"1.jpg": 3})
    change(tmp_path / "train", both)
    change(tmp_path / "train", lambda content: [a.update(category_id=2) for a in content["annotations"][:5]])
    assert [sample.count for sample in read_dataset("coco", tmp_path)] == [4, 1, 0]
    change(tmp_path / "train", lambda content: [a.update(category_id=1) for a in content["annotations"]])
    with pytest.raises(InputError, match=r"'head' is listed, but all boxes are of: person.*take 'head' out"):
        read_dataset("coco", tmp_path)


@pytest.mark.parametrize("as_listed", [str, float, int])
@pytest.mark.parametrize("as_used", [str, float, int])
def test_ids_are_the_same_as_text_and_as_numbers(boxes, as_listed, as_used):
    def rewrite(content):
        for section, key, kind in (
            ("images", "id", as_listed), ("categories", "id", as_listed),
            ("annotations", "image_id", as_used), ("annotations", "category_id", as_used),
        ):  # fmt: skip
            for entry in content[section]:
                entry[key] = kind(entry[key])

    change(boxes, rewrite)
    assert [sample.count for sample in read_dataset("coco", boxes)] == list(HEADS.values())


@pytest.mark.parametrize(
    ("value", "heads"), [("0", 9), ("1", 8), (False, 9), (True, 8), (0.0, 9), (None, 9), ("true", 8)]
)
def test_iscrowd_as_tools_write_it(boxes, value, heads):
    change(boxes, lambda content: content["annotations"][0].update(iscrowd=value))
    assert sum(sample.count for sample in read_dataset("coco", boxes)) == heads


def test_the_same_box_twice_is_told_of(boxes, caplog):
    change(boxes, lambda content: content["annotations"].append(content["annotations"][0]))
    assert sum(sample.count for sample in read_dataset("coco", boxes)) == 10
    assert "1 heads are at exactly the place of another one" in caplog.text
    assert "1 annotations have the id of another one" in caplog.text


def test_whole_people_are_counted_at_the_top_of_their_boxes(boxes):
    centres = read_dataset("coco", boxes, anchor="center")
    tops = read_dataset("coco", boxes, anchor="top")
    for centre, top in zip(centres, tops, strict=True):
        np.testing.assert_allclose(top.points, centre.points - [0, 3])
        assert top.boxes is None
    with pytest.raises(InputError, match=r"the anchor is 'bottom'; expected center or top"):
        read_dataset("coco", boxes, anchor="bottom")


@pytest.mark.parametrize("format", ["points", "coco"])
def test_a_test_part_of_empty_scenes(tmp_path, format, caplog):
    WRITERS[format](tmp_path / "train", {"1.jpg": 4})
    WRITERS[format](tmp_path / "test", {"1.jpg": 0, "2.jpg": 0})
    assert [sample.count for sample in read(format, tmp_path)] == [4, 0, 0]
    assert "no heads in any image of 'test'" in caplog.text


@pytest.mark.parametrize(("stored", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
@pytest.mark.parametrize("format", ["points", "coco"])
def test_names_that_look_the_same_are_the_same(tmp_path, format, stored, written):
    names = {"halle-süd/é.jpg": 2, "1.jpg": 1}
    WRITERS[format](tmp_path, {unicodedata.normalize(stored, name): count for name, count in names.items()})
    for file in (tmp_path / "points.csv", tmp_path / "annotations.json"):
        if file.exists():
            text = (
                file.read_text() if format == "points" else json.dumps(json.loads(file.read_text()), ensure_ascii=False)
            )
            file.write_text(unicodedata.normalize(written, text))
    found = {sample.name: sample.count for sample in read_dataset(format, tmp_path)}
    assert found == {"images/1.jpg": 1, "images/halle-süd/é.jpg": 2}
    twin = tmp_path / "images" / unicodedata.normalize(written, "halle-süd/é.jpg")
    twin.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels(0)).save(twin)
    with pytest.raises(InputError, match=r"a name that looks the same.*Rename one"):
        read_dataset(format, tmp_path)


@pytest.mark.parametrize(
    "table", ["image;x;y\n1.jpg;7,5;9\n1.jpg;30.25;20\n", "image\tx\ty\n1.jpg\t7.5\t9\n1.jpg\t30,25\t20\n"]
)
def test_tables_of_spreadsheets_with_other_separators(points, table):
    (points / "points.csv").write_text(table)
    assert read_dataset("points", points)[0].points.tolist() == [[7.5, 9], [30.25, 20]]


def test_blank_rows_and_images_without_heads_in_a_table(points):
    (points / "points.csv").write_text("image,x,y\r\n1.jpg,7,9\r\n,,\r\n2.JPG,,\r\n\r\n 10.jpeg , 8 , 9 \r\n,,\r\n")
    assert [sample.points.tolist() for sample in read_dataset("points", points)] == [[[7, 9]], [], [[8, 9]], []]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_in_other_encodings_of_unicode(boxes, encoding):
    text = (boxes / "annotations.json").read_text()
    (boxes / "annotations.json").write_text(text, encoding=encoding)
    assert [sample.count for sample in read_dataset("coco", boxes)] == list(HEADS.values())


def problems_of(folder, unit=None):
    """Return what is wrong with the images of a folder with depth maps."""
    return find_problems(read_dataset("depth_maps", folder, unit=unit), None)


def test_far_depths_are_reported(tmp_path, caplog):
    write_depth(tmp_path, suffix=".npy")
    assert (depths.NEAREST, depths.FARTHEST) == (depth_loss.NEAREST, depth_loss.FARTHEST)
    assert problems_of(tmp_path) == [] and caplog.text == ""
    values = metres(2)
    values[:24] = 40
    np.save(tmp_path / "depths" / "10.npy", values)
    assert problems_of(tmp_path) == []
    assert re.search(r"12\.5 % .* farther than 10 m, up to 40 m in .*10\.npy.* smaller `unit`", caplog.text)
    caplog.clear()
    assert problems_of(tmp_path, 0.25) == [] and caplog.text == ""


@pytest.mark.parametrize(
    ("kind", "mark", "unit", "reason"),
    [
        (np.uint16, 65535, 0.001, "65535"),
        (np.uint16, 65535, 0.0001, "65535"),
        (np.uint32, 65535, 0.001, "65535"),
        (np.int32, 2**31 - 1, 0.001, "2147483647"),
        (np.int16, -1, 0.001, "negative"),
        (np.float32, 65535, 0.001, "65535"),
        (np.float32, 1e10, 1, "more than 1000 m"),
        (np.float64, 1e300, 1, "more than 1000 m"),
        (np.float32, np.inf, 1, "infinite"),
        (np.float16, np.nan, 1, "not a number"),
        (np.float32, -0.5, 1, "negative"),
    ],
)
def test_a_number_that_stands_for_no_distance_is_unknown_and_told_of(tmp_path, caplog, kind, mark, unit, reason):
    write_depth(tmp_path, ["1.jpg", "2.jpg"], ".npy")
    right = (np.linspace(0.5, 5, 48 * 64).reshape(48, 64) / unit).astype(kind)
    marked = right.copy()
    marked[:12] = mark
    np.save(tmp_path / "depths" / "1.npy", right)
    np.save(tmp_path / "depths" / "2.npy", marked)
    first, second = read_dataset("depth_maps", tmp_path, unit=unit)
    assert (second.depth()[:12] == 0).all()
    np.testing.assert_array_equal(second.depth()[12:], first.depth()[12:])
    assert (first.depth() > 0).all()
    assert problems_of(tmp_path, unit) == []
    assert re.search(rf"768 of 6144 depths are unknown, in 1 images, such as .*2\.npy: 12\.5 % {reason}", caplog.text)
    assert "farther" not in caplog.text


def test_the_largest_number_of_16_bits_is_a_distance_where_larger_ones_are(tmp_path):
    write_depth(tmp_path, ["1.jpg"], ".npy")
    values = np.full((48, 64), 65535, np.int32)
    values[:24] = 70000
    np.save(tmp_path / "depths" / "1.npy", values)
    (sample,) = read_dataset("depth_maps", tmp_path, unit=0.0001)
    np.testing.assert_allclose(sample.depth()[24:], 6.5535, rtol=1e-6)


def test_holes_of_zeros_are_no_warning(maps, caplog):
    values = (metres(0) * 1000).astype(np.uint16)
    values[:12] = 0
    Image.fromarray(values).save(maps / "depths" / "1.png")
    assert problems_of(maps, 0.001) == [] and caplog.text == ""


def test_every_map_is_checked_and_each_in_another_unit_is_named(tmp_path):
    """Of 40 maps, of which few would be looked at, one is in millimetres, and one in whole numbers among metres."""
    names = [f"{i}.jpg" for i in range(1, 41)]
    write_depth(tmp_path, names, ".npy")
    np.save(tmp_path / "depths" / "8.npy", metres(7) * 1000)
    os.remove(tmp_path / "depths" / "20.npy")
    Image.fromarray((metres(19) * 1000).astype(np.uint16)).save(tmp_path / "depths" / "20.png")
    first, second = problems_of(tmp_path, 1)
    assert re.search(r"8\.npy: depths are 5\d\d\.\d+ to 9\d+\.?\d* m at 1 m per count; as millimetres .* 0\.5", first)
    assert re.search(r"20\.png: .* as millimetres .*correct `unit`, .* same for all files", second)
    assert len(problems_of(tmp_path, 0.001)) == 38
    with pytest.raises(InputError, match=r"8\.npy: depths are"):
        prepare(split(read_dataset("depth_maps", tmp_path, unit=1), {"val": 1, "test": 1}), tmp_path / "index")


def test_a_few_near_numbers_do_not_hide_another_unit(tmp_path):
    write_depth(tmp_path, ["1.jpg"], ".npy")
    values = metres(0) * 1000
    values[0, :3] = 5
    np.save(tmp_path / "depths" / "1.npy", values)
    (problem,) = problems_of(tmp_path)
    assert "as millimetres" in problem


def test_maps_unlike_the_others_are_told_of(maps, caplog):
    Image.fromarray((metres(1) * 100).astype(np.uint16)).save(maps / "depths" / "2.png")
    assert problems_of(maps, 0.001) == []
    assert re.search(r"1 of 4 depth maps are unlike .*2\.png.* Are all in one unit\?", caplog.text)


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


@pytest.mark.parametrize(
    ("format", "member"), [("points", "points.csv"), ("coco", "annotations.json"), ("depth_maps", "depths")]
)
def test_a_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder(tmp_path, format, member):
    WRITERS[format](tmp_path / "own")
    (tmp_path / "own" / "images").rename(tmp_path / "elsewhere")
    (tmp_path / "own" / "images").touch()
    with pytest.raises(InputError, match=r"own/images is not a folder\. Expected: "):
        read(format, tmp_path / "own")
    WRITERS[format](tmp_path / "train")
    (tmp_path / "train" / member).rename(tmp_path / member)
    WRITERS[format](tmp_path / "test")
    if member == "depths":
        (tmp_path / "train" / member).touch()
    else:
        (tmp_path / "train" / member).mkdir()
    kind = "folder" if member == "depths" else "file"
    with pytest.raises(InputError, match=rf"train/{member} is not a {kind}\. Expected: "):
        read(format, tmp_path)
    (tmp_path / "own" / "train").mkdir()
    (tmp_path / "own" / "images").unlink()
    (tmp_path / "own" / "test").touch()
    with pytest.raises(InputError, match=r"own/test is not a folder\. Expected: "):
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
    with pytest.raises(InputError, match=r"whole: there is no train/.* as \{all: \.\.\.\}, not {'tr"):
        read(format, tmp_path / "whole", {"train": 2, "test": 2})
    with pytest.raises(InputError, match=r"split: .*train/, test/.* as \{train: \.\.\., test: \.\.\.\}, not {'all"):
        read(format, tmp_path / "split", {"all": 8})
    with pytest.raises(InputError, match=r"split: .*train/, test/.* as \{train: \.\.\., test: \.\.\.\}, not {'train"):
        read(format, tmp_path / "split", {"train": 4, "val": 4, "test": 4})
    WRITERS[format](tmp_path / "split" / "val")
    with pytest.raises(
        InputError, match=r"train/, val/, test/.* as \{train: .*, val: .*, test: .*\} and no `split`, not"
    ):
        read(format, tmp_path / "split", {"train": 4, "test": 4})
    WRITERS[format](tmp_path / "split" / "valid")
    with pytest.raises(InputError, match=r"split: both val and valid exist; expected one"):
        read(format, tmp_path / "split")
    WRITERS[format](tmp_path / "whole" / "Train")
    with pytest.raises(InputError, match=r"whole: both 'images' and 'Train' exist"):
        read(format, tmp_path / "whole")


@pytest.mark.parametrize("format", WRITERS)
def test_folders_that_may_be_meant_as_parts_are_named(tmp_path, caplog, format):
    for part in ("split/train", "split/test", "split/.cache", "whole"):
        WRITERS[format](tmp_path / part)
    (tmp_path / "whole" / "notes").mkdir()
    (tmp_path / "whole" / "notes" / "1.txt").touch()
    (tmp_path / "split" / "empty").mkdir()
    for folder, images, more in (("split", {"train": 4, "test": 4}, "split/dev"), ("whole", {"all": 4}, "whole/dev")):
        caplog.clear()
        read(format, tmp_path / folder, images)
        assert "left out" not in caplog.text
        WRITERS[format](tmp_path / more)
        assert len(read(format, tmp_path / folder, images)) == sum(images.values())
        assert re.search(
            rf"{folder}: 1 folders are left out, such as 'dev'\. .*val/, valid/ or validation/", caplog.text
        )


@pytest.mark.parametrize("format", WRITERS)
def test_one_split_in_two_folders(tmp_path, format):
    for part in ("train", "TRAIN", "test"):
        WRITERS[format](tmp_path / part)
    if len(os.listdir(tmp_path)) == 2:
        pytest.skip("this disk does not tell capitals from small letters")
    with pytest.raises(InputError, match=r": both TRAIN and train exist; expected one"):
        read(format, tmp_path)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val", "VALID"])
@pytest.mark.parametrize("format", WRITERS)
def test_validation_images_of_the_authors(tmp_path, format, name):
    train, test = ("train", "test") if name.islower() else ("Train", "TEST")
    for i, part in enumerate((train, name, test), 1):
        WRITERS[format](tmp_path / part, {f"{j}.jpg": j for j in range(1, i + 1)})
    samples = read_split(
        format, tmp_path, {"train": 1, "val": 2, "test": 3}, 0.001 if "depth" in format else None, None, 1
    )
    assert [(s.name.split("/")[0], s.split) for s in samples] == [
        (train, "train"),
        *[(name, "val")] * 2,
        *[(test, "test")] * 3,
    ]
    with pytest.raises(InputError, match=rf"{tmp_path}: split: .*validation images.* take `split` away"):
        split_again = {"val": 0.2}
        read_split(format, tmp_path, None, 0.001 if "depth" in format else None, split_again, 1)


def test_frames_of_one_camera_stay_together_by_a_column(points):
    for camera in ("2", "3"):
        write_images(points, {f"{camera}-{i}.jpg": 0 for i in range(3)})
    images = {"1.jpg": "a", "2.JPG": "a", "10.jpeg": "b", "hall/1.png": "b"}
    images |= {f"{camera}-{i}.jpg": camera for camera in ("2", "3") for i in range(3)}
    rows = [f"{name},9,9,{camera}" for name, camera in images.items()]
    (points / "points.csv").write_text("\n".join(["image,x,y,camera", *rows]))
    settings = {"val": 3, "test": 2, "group_column": "camera"}
    samples = read_split("points", points, {"all": 10}, None, settings, 42)
    cameras = {}
    for sample in samples:
        cameras.setdefault(images[sample.name.removeprefix("images/")], set()).add(sample.split)
    assert sorted(map(len, cameras.values())) == [1] * 4
    (points / "points.csv").write_text("\n".join(["image,x,y,camera", *rows, "1.jpg,8,8,b"]))
    with pytest.raises(InputError, match=r"points\.csv: '1\.jpg' has both 'a' and 'b' as camera"):
        read_split("points", points, {"all": 10}, None, settings, 42)
    with pytest.raises(InputError, match=r"points\.csv: no column 'cam', .*there is 'image', 'x', 'y', 'camera'"):
        read_split("points", points, {"all": 10}, None, settings | {"group_column": "cam"}, 42)


# --- links and names


@pytest.mark.parametrize("format", WRITERS)
def test_links_are_followed_and_those_that_lead_nowhere_are_named(tmp_path, format):
    WRITERS[format](tmp_path / "own")
    images = tmp_path / "own" / "images"
    (images / "hall").rename(tmp_path / "elsewhere")
    (images / "hall").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(images)
    assert [sample.name for sample in read(format, tmp_path / "own")] == NAMES
    (images / "hall").unlink()
    (images / "hall").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"images/hall is a link to '.*gone', where there is nothing\. Mend the link"):
        read(format, tmp_path / "own")
    images.rename(tmp_path / "pictures")
    images.symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"images is a link to '.*gone', where there is nothing"):
        read(format, tmp_path / "own")


@pytest.mark.parametrize("format", WRITERS)
def test_a_name_that_is_not_utf_8_is_shown_and_how_to_rename_it(tmp_path, format):
    WRITERS[format](tmp_path)
    wrong = os.fsencode(tmp_path / "images") + "/人群.jpg".encode("gbk")
    os.rename(tmp_path / "images" / "1.jpg", wrong)
    with pytest.raises(InputError, match=r"images/\\udcc8.*\.jpg': .*not UTF-8 \(1 such .*convmv -r -f GBK") as error:
        read(format, tmp_path)
    str(error.value).encode()
    os.remove(wrong)
    WRITERS[format](tmp_path)
    (tmp_path / os.fsdecode("说明.txt".encode("gbk"))).touch()
    assert len(read(format, tmp_path)) == 4


def test_names_that_look_the_same_belong_together(maps):
    for folder, form, suffix in (("images", "NFC", ".jpg"), ("depths", "NFD", ".png")):
        (maps / folder / f"1{suffix}").rename(maps / folder / unicodedata.normalize(form, f"salle à manger{suffix}"))
    assert len(read("depth_maps", maps)) == 4


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


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize("kind", ["MPO", "PNG", "WEBP", "TIFF"])
def test_other_kinds_of_images_that_ask_to_be_rotated(tmp_path, format, kind):
    WRITERS[format](tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 3
    second = {"save_all": True, "append_images": [Image.fromarray(pixels(1))]} if kind == "MPO" else {}
    Image.fromarray(pixels(0)).save(tmp_path / "images" / "1.jpg", kind, exif=exif, **second)
    with pytest.raises(InputError, match=r"1\.jpg: the EXIF tag Orientation \(3\)"):
        read(format, tmp_path)


def test_a_unit_for_a_format_without_one(points):
    with pytest.raises(InputError, match=r"own: .*unit \(0\.001\).* points .*; remove it"):
        read_dataset("points", points, unit=0.001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable CSV file \\(No columns to parse from file\\)\\. Expected: "),
        ("image,x,y\n1.jpg,1,2\n1.jpg,1,5,2,5\n", "not a readable CSV file \\(.*Expected 3 fields in line 3, saw 5"),
        ("image,x,y\n1.jpg,1,5,2,5\n", "not a readable CSV file \\(.*Expected 3 fields in line 2, saw 5"),
        ("Image,x,y\n1.jpg,1,2\n", "no column 'image', there is 'Image', 'x', 'y'. Expected: .*a header 'image,x,y'"),
        ("image,x,x,y\n1.jpg,1,1,2\n", "more than one column 'x'"),
        ("image,x\n1.jpg,1\n", "no column 'y', there is 'image', 'x'"),
        ("image,x,y\n1.jpg,9,9\n1.jpg,many,9\n", "row 3 \\('1.jpg'\\): x is 'many'; expected a number of pixels"),
        ("image,x,y\n1.jpg,9\n", "row 2 \\('1.jpg'\\): y is ''; expected a number"),
        ("image,x,y\n\n,,\n1.jpg,9,9\n1.jpg,,9\n", "row 5 \\('1.jpg'\\): x is ''; expected a number"),
        ("image;x;y\n1.jpg;1.234,5;2\n", "row 2 \\('1.jpg'\\): x is '1.234,5'; expected a number"),
        ("image,x,y\n1.jpg,9,inf\n", "row 2 \\('1.jpg'\\): y is 'inf'; expected a number"),
        ("x,y,image\n9,9,1.jpg\n9,9\n", "row 3: '' is not among the images"),
        ("image,x,y\n", "no heads. Expected at least one"),
        ("image,x,y\nimages/1.jpg,9,9\n3.jpg,9,9\n", "row 2: 'images/1.jpg' is not among the images \\(2 .*, such as '1.jpg'"),
        ("image,x,y\n1.jpg,0.2,0.7\n10.jpeg,0.9,1\n", "all coordinates .* 0 and 1.*Expected pixels: multiply"),
        ("image,x,y\n1.jpg,90,9\n1.jpg,70,9\n1.jpg,7,9\n", "2 of 3 heads .* such as \\(90, 9\\) in images/1.jpg of 64x48 pixels. Exp"),
    ],
)  # fmt: skip
def test_tables_of_points_that_are_wrong(points, text, message):
    (points / "points.csv").write_text(text)
    with pytest.raises(InputError, match=rf"points\.csv: {message}"):
        read_dataset("points", points)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252"])
def test_a_table_in_another_encoding_says_how_to_save_it(points, encoding):
    (points / "points.csv").write_bytes("image,x,y\nhalle-süd.jpg,9,9\n".encode(encoding))
    with pytest.raises(InputError, match=r"points\.csv: not text in UTF-8 .*'CSV UTF-8'"):
        read_dataset("points", points)


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"a": ', "not valid JSON"), ("[" * 10**5, "not valid JSON"), ("[]", "no list 'images'. Expected: ")],
)
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
        (lambda c: c["images"][2].update(id="0"), "2 images have the id 0; expected one"),
        (lambda c: c["categories"].append({"id": 1, "name": "head"}), "2 categories have the id 1; expected one"),
        (lambda c: c["annotations"][4].update(iscrowd="no"), r"annotations\[4\]: 'iscrowd' is \"no\"; expected 0, or 1"),
        (lambda c: [a.update(bbox=[a["bbox"][0], a["bbox"][1], a["bbox"][0] + 4, a["bbox"][1] + 6]) for a in c["annotations"]],
         r"in 9 of 9 boxes .*like the corners of a box\. Expected \[left, top, width, height\]: subtract"),
        (lambda c: c["images"][0].update(file_name="1.jpg"), "2 images have the file_name '1.jpg'; expected one"),
        (lambda c: c["images"][0].update(file_name="images/1.jpg"), r"'images/1\.jpg' is not among .*, such as '1\.jpg'"),
        (lambda c: c["annotations"].append(3), r"annotations\[9\]: 'category_id' is missing; expected a number or text"),
        (lambda c: c["annotations"][4].pop("image_id"), r"annotations\[4\]: 'image_id' is missing"),
        (lambda c: c["annotations"][4].update(image_id=99), ".*image_id is 99, .* \\(1 or more in all\\). Expected the id"),
        (lambda c: c["annotations"][4].update(category_id=5), "category_id 5 is not the id of a category"),
        (lambda c: c["annotations"][4].update(bbox="1 2 3 4"), r"annotations\[4\]: 'bbox' is \"1 2 3 4\"; expected a list"),
        (lambda c: [a.update(bbox=[[1, 2], [3, 4]]) for a in c["annotations"]], r"a bbox is \[\[1, 2\], \[3, 4\]\]; expected"),
        (lambda c: c["annotations"][4].update(bbox=[1, 2, 3]), r"a bbox is \[1, 2, 3\]; expected \[left, top, width, height"),
        (lambda c: c["annotations"][4].update(bbox=[1, 2, "a", 3]), r"a bbox is \[1, 2, \"a\", 3\]; expected \[left"),
        (lambda c: c["annotations"][4].update(bbox=[1, 2, float("nan"), 3]), r"a bbox is \[1, 2, NaN, 3\]; expected \[left"),
        (lambda c: c["annotations"][4].update(bbox=[20, 30, 10**400, 3]), r"a bbox is \[20, 30, 1000.*; expected"),
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


@pytest.mark.parametrize(
    ("width", "height", "remedy"),
    [(-1, -1, "write 64x48 there"), (0, 0, "write 64x48 there"), (48, 64, "turned .* swapped, write 64x48 there")],
)
def test_sizes_that_are_no_sign_of_resizing(boxes, width, height, remedy):
    change(boxes, lambda content: content["images"][3].update(width=width, height=height))
    with pytest.raises(InputError, match=rf"1\.jpg: the image has 64x48 .* says {width}x{height}\. .*{remedy}"):
        read_dataset("coco", boxes)


def test_boxes_by_their_corners_in_one_part_only(tmp_path):
    write_coco(tmp_path / "train", {"1.jpg": 4, "2.jpg": 3})
    write_coco(tmp_path / "test", {"1.jpg": 6})

    def corners(content):
        for entry in content["annotations"]:
            left, top, width, height = entry["bbox"]
            entry["bbox"] = [left, top, left + width, top + height]

    change(tmp_path / "test", corners)
    with pytest.raises(InputError, match=r"test/annotations\.json: in 6 of 6 boxes .*like the corners"):
        read_dataset("coco", tmp_path)


def test_large_heads_close_to_the_corner_are_no_corners(boxes):
    change(boxes, lambda content: [a.update(bbox=[3 + i, 2 + i, 20, 20]) for i, a in enumerate(content["annotations"])])
    assert sum(sample.count for sample in read_dataset("coco", boxes)) == 9


def test_an_anchor_for_a_format_without_one(points):
    with pytest.raises(InputError, match=r"own: anchor \(top\) .* points .*; remove it"):
        read_dataset("points", points, anchor="top")


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
        (png(np.zeros((48, 64), np.uint16)), r"1\.png: no depth is known.*Leave the image out.*correct"),
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
        prepare(split(read_dataset("depth_maps", maps, unit=0.001), {"val": 1, "test": 1}), maps / "index")


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_a_truncated_depth_map(tmp_path, suffix):
    write_depth(tmp_path, suffix=suffix)
    file = tmp_path / "depths" / f"1{suffix}"
    file.write_bytes(file.read_bytes()[:900])
    message = "the image is truncated or damaged" if suffix == ".png" else "not a readable .npy file"
    with pytest.raises(InputError, match=rf"depths/1\{suffix}: {message}"):
        prepare(split(read("depth_maps", tmp_path), {"val": 1, "test": 1}), tmp_path / "index")


def test_whole_numbers_need_a_unit(maps):
    with pytest.raises(InputError, match=r"1\.png: whole numbers .*`unit` to metres per count, such as 0\.001"):
        read_dataset("depth_maps", maps)


@pytest.mark.parametrize("unit", [0, -1, float("inf"), float("nan")])
def test_a_unit_that_is_not_a_positive_number(maps, unit):
    with pytest.raises(InputError, match=r"own: the unit is \S+; expected metres per count"):
        read_dataset("depth_maps", maps, unit=unit)


@pytest.mark.parametrize(("unit", "found"), [(1, r"50\d to 9\d\d\d m"), (1e-6, r"0\.0005\d* to 0\.009\d+ m")])
def test_a_unit_that_cannot_be_right(maps, unit, found):
    problems = problems_of(maps, unit)
    assert len(problems) == 4
    for problem in problems:
        assert re.search(
            rf"\.png: depths are {found} at {unit:g} m per count; as millimetres .*correct `unit`", problem
        )


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
