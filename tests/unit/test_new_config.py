"""A folder is looked at, and a config for it is written that passes its check and the preflight's of the dataset. About 15 s."""

import builtins
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image
from support.workflow import ROOT, jobs, shipped

import new_config
from promptmix.config.experiments import METHODS
from promptmix.config.validation import read, resolve
from promptmix.datasets.decoding import find_problems
from promptmix.datasets.registry import read_split
from promptmix.miniature.rendering.datasets import render_dataset

RENDERED = {
    "shanghaitech": ("shtb", {"train": 4, "test": 2}, "part_B_final"),
    "ucf_qnrf": ("qnrf", {"train": 4, "test": 2}, "UCF-QNRF_ECCV18"),
    "panda": ("panda", {"all": 4}, "PANDA_Crowd"),
    "nyu": ("nyu", {"all": 4}, "nyu_depth_v2_labeled.mat"),
}
"""By format of the authors a dataset that is rendered in it, how many images, and what is called so."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder with the models of the miniature; nothing is typed."""
    monkeypatch.chdir(tmp_path)
    Path("resources").mkdir()
    Path("resources/models").symlink_to(ROOT / "resources/models")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    return tmp_path


def write_images(folder, names, size=(64, 48), quality=90):
    for i, name in enumerate(names):
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name, **({"quality": quality} if name.endswith("jpg") else {}))


def heads(number, seed=0):
    return np.random.default_rng(seed).uniform(4, 44, (number, 2)).round(1)


def write_points(folder, names=("1.jpg", "2.jpg", "3.png", "hall/4.jpg"), each=6, **options):
    write_images(folder, names, **options)
    rows = [f"{name},{x},{y}" for i, name in enumerate(names) for x, y in heads(each, i)]
    (folder / "points.csv").write_text("\n".join(["image,x,y", *rows]))


def write_boxes(folder, width=4, height=5, names=("1.jpg", "2.jpg", "3.jpg")):
    write_images(folder, names)
    images = [{"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names)]
    boxes = [
        {"id": 10 * i + j, "image_id": i, "category_id": 1, "bbox": [x - width / 2, y - height / 2, width, height]}
        for i in range(len(names))
        for j, (x, y) in enumerate(heads(6, i))
    ]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "person"}]}
    (folder / "annotations.json").write_text(json.dumps(content))


def write_depths(folder, counts=(500, 9000), dtype=np.uint16, names=("1.jpg", "2.jpg", "3.jpg"), size=(64, 48)):
    write_images(folder, names, size)
    (folder / "depths").mkdir()
    for i, name in enumerate(names):
        depth = np.random.default_rng(i).uniform(*counts, size[::-1]).astype(dtype)
        if dtype == np.uint16:
            Image.fromarray(depth).save(folder / "depths" / f"{Path(name).stem}.png")
        else:
            np.save(folder / "depths" / f"{Path(name).stem}.npy", depth)


def write_rendered(format):
    """Render a small dataset in a format of the authors; return its path."""
    name, images, top = RENDERED[format]
    settings = shipped()["render"][name]
    render_dataset(Path("data/rendered"), settings, images, seed=1)
    return Path("data/rendered", top)


def start(images, *words, out="config/mine.yaml"):
    """Write a config for a folder; return it and the entry of the dataset in it."""
    assert new_config.main(["--images", str(images), "--out", str(out), *words]) == 0
    config = read([out])
    (name,) = config["datasets"].keys() - shipped()["datasets"].keys()
    return config, name, config["datasets"][name]


def check(config, name):
    """Assert that a config is for Table I alone, with each method on the dataset, and that the preflight takes the dataset."""
    plan, targets = resolve(config)
    assert list(targets) == ["table1"]
    assert [plan.experiments[one].method for one in targets["table1"].experiments] == list(METHODS)
    assert targets["table1"].needs.datasets == {name}
    entry = config["datasets"][name]
    settings = entry.get("unit"), entry["split"], config["seed"], entry.get("anchor")
    samples = read_split(entry["format"], entry["path"], entry["images"], *settings)
    assert find_problems(samples, entry["resize"]) == []


def refuse(capsys, images, *words, out="config/mine.yaml"):
    """Return the message with which a folder is refused; assert that nothing is written."""
    before = {*Path().rglob("*"), Path("config")}
    assert new_config.main(["--images", str(images), "--out", str(out), *words]) == 1
    assert {*Path().rglob("*"), Path("config")} == before
    return capsys.readouterr().err


# --- What is found, and what is written ---


@pytest.mark.parametrize("format", ["points", "coco", "depth_maps"])
@pytest.mark.parametrize("models", ["miniature", "published"])
def test_a_config_for_one_s_own_images_is_short_and_right(format, models, capsys):
    {"points": write_points, "coco": write_boxes, "depth_maps": write_depths}[format](Path("data/My Hall_2"))
    config, name, entry = start("data/My Hall_2", "--models", models)
    images = {"points": 4, "coco": 3, "depth_maps": 3}[format]
    assert (name, entry["format"], entry["path"]) == ("my-hall-2", format, "data/My Hall_2")
    assert (entry["images"], entry["split"]) == ({"all": images}, {"val": 0.2, "test": 0.2})
    assert config["scale"] == "mine"
    check(config, name)
    text = Path("config/mine.yaml").read_text()
    assert len(text.splitlines()) <= 60 and max(map(len, text.splitlines())) <= 140
    assert "station" not in text and "corridor" not in text.replace("corridor interior", "")
    said = capsys.readouterr().out
    assert f"images: {images}, without a split" in said and "64x48 pixels; JPEG of quality 90" in said
    assert "preflight --configfile config/mine.yaml --cores 1" in said


@pytest.mark.parametrize("format", RENDERED)
def test_a_config_for_a_dataset_in_its_authors_layout(format, capsys):
    path = write_rendered(format)
    config, name, entry = start(path)
    assert (entry["format"], entry["path"], entry["images"]) == (format, str(path), RENDERED[format][1])
    assert entry["split"] == ({"val": 0.2, "test": 0.2} if "all" in entry["images"] else {"val": 0.2})
    assert len(Path("config/mine.yaml").read_text().splitlines()) <= 60
    check(config, name)


def test_folders_for_validation_leave_no_split_to_be_dealt():
    for part, names in {"train": ["1.jpg", "2.jpg"], "valid": ["3.jpg"], "test": ["4.jpg"]}.items():
        write_points(Path("data/station", part), names)
    config, name, entry = start("data/station")
    assert entry["images"] == {"train": 2, "val": 1, "test": 1} and not entry.get("split")
    check(config, name)


@pytest.mark.parametrize(
    "within", ["data/station/images", "data/station/train/images", "data/station/test", "data/station/"]
)
def test_a_folder_within_the_dataset_stands_for_it(within):
    station = Path("data/station")
    if "train" in within or "test" in within:
        for part in ("train", "test"):
            write_points(station / part)
    else:
        write_points(station)
    assert start(within)[2]["path"] == "data/station"


def test_a_dataset_called_test_is_itself_and_not_a_part():
    write_points(Path("data/test"))
    assert start("data/test")[2]["path"] == "data/test"


def test_a_dataset_elsewhere_has_an_absolute_path_and_the_config_finds_what_it_extends(tmp_path, monkeypatch):
    write_points(Path("data/station"))
    (tmp_path / "deep/er").mkdir(parents=True)
    Path("linked").symlink_to(tmp_path / "deep/er")
    Path("work").mkdir()
    monkeypatch.chdir("work")
    _, _, entry = start("../data/station", out="../linked/here.yaml")
    assert entry["path"] == str(tmp_path / "data/station") and read(["../linked/here.yaml"])["scale"] == "here"


@pytest.mark.parametrize(("mean", "annotator"), [(6, "sasnet-shtb"), (300, "sasnet-shta"), (800, "dmcount-qnrf")])
def test_the_annotator_is_one_that_was_trained_on_such_crowds(mean, annotator):
    write_points(Path("data/station"), each=mean)
    config, name, _ = start("data/station")
    assert config["promptmix"][name]["annotator"] == annotator


@pytest.mark.parametrize(("width", "height", "anchor"), [(4, 5, "center"), (3, 8, "top")])
def test_boxes_of_whole_people_are_told_by_their_shape(width, height, anchor):
    write_boxes(Path("data/station"), width, height)
    assert start("data/station")[2]["anchor"] == anchor
    other = {"center": "top", "top": "center"}[anchor]
    assert start("data/station", "--anchor", other, out="config/other.yaml")[2]["anchor"] == other


@pytest.mark.parametrize(
    ("counts", "dtype", "unit"),
    [
        ((500, 9000), np.uint16, 0.001),
        ((0.5, 9), np.float32, 1),
        ((500, 9000), np.float32, 0.001),
        ((12000, 45000), np.uint16, 0.0002),  # as millimetres they would be 12 to 45 m
        ((20, 990), np.uint16, 0.01),  # as millimetres much would be nearer than 0.1 m
    ],
)
def test_the_unit_of_depths_is_one_in_which_they_are_those_of_rooms(counts, dtype, unit, capsys):
    write_depths(Path("data/hall"), counts, dtype)
    config, name, entry = start("data/hall")
    assert entry["unit"] == unit
    check(config, name)


def test_units_that_are_possible_too_are_said_and_one_that_is_given_is_taken(capsys):
    write_depths(Path("data/hall"), (500, 9000))
    start("data/hall")
    said = capsys.readouterr().out
    assert re.search(r"millimetres \(0\.001\): half nearer than 4\.\d+ m", said)
    assert re.search(r"5000 counts per metre \(0\.0002\): half nearer than 0\.9\d* m", said)
    assert "guessed: metres per count" in Path("config/mine.yaml").read_text()
    config, name, entry = start("data/hall", "--unit", "0.0005", out="config/other.yaml")
    assert entry["unit"] == 0.0005 and "guessed: metres" not in Path("config/other.yaml").read_text()
    check(config, name)


def test_upright_depth_maps_stay_upright():
    write_depths(Path("data/hall"), size=(48, 64))
    config, name, entry = start("data/hall")
    assert entry["resize"] == {"exact": [72, 96]}
    assert (config["pools"]["rooms"]["width"], config["pools"]["rooms"]["height"]) == (72, 96)
    check(config, name)


def test_a_name_that_the_design_has_is_not_taken_again(capsys):
    write_points(Path("data/shtb"))
    assert start("data/shtb", out="config/miniature.yaml")[1] == "my-shtb"
    assert read(["config/miniature.yaml"])["scale"] == "my-miniature"
    assert start("data/shtb", "--name", "hall", out="config/other.yaml")[1] == "hall"
    for name, told in {"nyu": "taken", "My Hall": "small letters", "2023-05-01": "not read"}.items():
        assert told in refuse(capsys, "data/shtb", "--name", name, out="config/third.yaml")


@pytest.mark.parametrize("called", ["2023", "2023_05_01", "yes"])
def test_a_name_that_yaml_would_not_read_as_text_is_made_one(called):
    write_points(Path("data", called))
    assert start(f"data/{called}", out=f"config/{called}.yaml")[1] == f"my-{called.replace('_', '-')}"


# --- Questions ---


def answering(monkeypatch, *answers):
    """Have answers typed on a terminal; return the list of what was asked."""
    asked, left = [], list(answers)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(builtins, "input", lambda question: (asked.append(question), left.pop(0))[1])
    return asked


def test_on_a_terminal_what_is_open_is_asked_until_the_answer_is_one(monkeypatch, capsys):
    write_depths(Path("data/hall"))
    asked = answering(monkeypatch, "My Hall", "hall-1", "publsihed", "published", "0", "0.0002", "a kitchen, an office")
    config, name, entry = start("data/hall")
    assert [re.match(r"\w+", question)[0] for question in asked] == [
        "Name",
        "Name",
        *["Models"] * 2,
        *["Metres"] * 2,
        "What",
    ]
    assert (name, entry["unit"], config["pools"]["rooms"]["prompts"]) == ("hall-1", 0.0002, ["a kitchen", "an office"])
    assert entry["resize"] == {"exact": [640, 480]}
    assert "guessed" not in Path("config/mine.yaml").read_text().partition("\nextends")[2]


def test_an_empty_answer_is_the_guess_and_what_is_given_is_not_asked(monkeypatch):
    write_boxes(Path("data/station"))
    asked = answering(monkeypatch, "", "")
    _, name, entry = start("data/station", "--models", "miniature")
    assert len(asked) == 2 and name == "station" and entry["anchor"] == "center"


def test_an_interrupted_question_writes_nothing(monkeypatch, capsys):
    write_points(Path("data/station"))

    def interrupt(question):
        raise KeyboardInterrupt

    answering(monkeypatch)
    monkeypatch.setattr(builtins, "input", interrupt)
    assert new_config.main(["--images", "data/station"]) == 130
    assert not Path("config").exists()


# --- What is refused ---


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_is_never_overwritten(make, capsys):
    write_points(Path("data/station"))
    make(Path("mine.yaml"))
    assert re.search(r"mine\.yaml is there already.*--out", refuse(capsys, "data/station", out="mine.yaml"))


def test_a_folder_without_images(capsys):
    Path("data/station").mkdir(parents=True)
    assert re.search(r"data/station: no images.*\.jpg.*no files at all", refuse(capsys, "data/station"))
    Path("data/station/1.tif").touch()
    assert "1 of .tif" in refuse(capsys, "data/station")
    assert re.search(r"data/hall.*is missing.*Expected a folder", refuse(capsys, "data/hall"))


def test_images_without_annotations(capsys):
    write_images(Path("data/station"), ["1.jpg", "2.jpg"])
    told = refuse(capsys, "data/station")
    assert re.search(r"2 images, such as 'images/1\.jpg', but no annotations", told)
    for what in ("points.csv", "annotations.json", "depths/", "train_data/", "_ann.mat", "head_bbox", "nyu_depth_v2"):
        assert what in told
    Path("data/station/heads.csv").touch()
    assert re.search(r"'heads\.csv', bring that into one of these forms", refuse(capsys, "data/station"))


def test_several_formats_at_once(capsys):
    write_points(Path("data/station"), ["1.jpg", "2.jpg", "3.jpg"])
    write_boxes(Path("data/station"))
    told = refuse(capsys, "data/station")
    assert re.search(r"points \(points\.csv\) and coco \(annotations\.json\).*--format", told)
    assert start("data/station", "--format", "coco")[2]["format"] == "coco"


def test_datasets_below_the_folder_are_named(capsys):
    path = write_rendered("shanghaitech")
    told = refuse(capsys, path.parent.parent)
    assert f"{path} (shanghaitech)" in told and "Give one" in told


def test_what_is_wrong_with_the_dataset_is_said_as_by_its_reader(capsys):
    write_points(Path("data/station"))
    with open("data/station/points.csv", "a") as file:
        file.write("\n9.jpg,1,1\n")
    assert re.search(r"points\.csv: row 26: '9\.jpg' is not among the images", refuse(capsys, "data/station"))


def test_an_image_that_cannot_be_decoded(capsys):
    write_points(Path("data/station"))
    file = Path("data/station/images/2.jpg")
    file.write_bytes(file.read_bytes()[:1500])
    assert re.search(r"1 of 4 images .* wrong:\n- .*2\.jpg: .*truncated", refuse(capsys, "data/station"))


def test_too_few_images_to_set_some_aside(capsys):
    write_points(Path("data/station"), ["1.jpg", "2.jpg"])
    assert re.search(r"2 images for training\. Expected 3", refuse(capsys, "data/station"))


def test_depths_in_no_unit_that_is_known(capsys):
    write_depths(Path("data/hall"), (1e-9, 1e-8), np.float32)
    assert re.search(r"no unit.*--unit", refuse(capsys, "data/hall"))
    assert re.search(r"1\.npy: depths are .* at 10 m per count", refuse(capsys, "data/hall", "--unit", "10"))


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--unit", "0.1"], "takes none"), (["--anchor", "top"], "takes none"), (["--prompts", "office"], "for depth")],
)
def test_options_that_do_not_fit_the_format(words, told, capsys):
    write_points(Path("data/station"))
    assert told in refuse(capsys, "data/station", *words)


def test_a_file_that_is_not_nyu_s(capsys):
    Path("1.jpg").touch()
    assert re.search(r"1\.jpg: a file\. Expected the folder", refuse(capsys, "1.jpg"))
    with h5py.File("other.mat", "w") as file:
        file["pictures"] = np.zeros(3)
    assert "no array 'images'" in refuse(capsys, "other.mat")


# --- As a user does it ---


@pytest.mark.slow
def test_the_command_never_waits_without_a_terminal_and_the_preflight_and_snakemake_take_what_it_wrote():
    write_points(Path("data/station"))
    command = [sys.executable, str(ROOT / "scripts/new_config.py"), "--images", "data/station"]
    done = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    from promptmix.preflight.survey import survey

    config = read(["config/mine.yaml"])
    assert [item for item in survey(config, *resolve(config)) if not item.ok] == []
    words = [
        "tables/table1.md",
        "--dry-run",
        "--quiet",
        "rules",
        "--cores",
        "2",
        "--snakefile",
        str(ROOT / "Snakefile"),
    ]
    words += ["--directory", ".", "--configfile", "config/mine.yaml"]
    planned = subprocess.run([sys.executable, "-m", "snakemake", *words], capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    found = jobs(planned.stdout + planned.stderr)
    assert found["prepare_dataset"] == found["caption_images"] == 1 and found["evaluate_network"] == 3
