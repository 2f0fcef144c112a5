"""Exported networks: ONNX that equals PyTorch at every size, a card, and predictions of pictures and videos."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageOps
from safetensors import safe_open

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.sample import Sample
from promptmix.errors import InputError
from promptmix.exporting import graph, predicting
from promptmix.exporting.export import best_run, export
from promptmix.exporting.session import Exported, open_session
from promptmix.networks.build import build
from promptmix.networks.checkpoints import load_network, save_weights
from promptmix.training.evaluation import predict, with_keys

SCRIPT = Path(__file__).parents[2] / "scripts" / "predict.py"


def trained(name, width=0.125, **settings):
    """Return a network in evaluation mode that sees some people, or metres, everywhere."""
    torch.manual_seed(0)
    network = build(name, width=width, **settings).eval()
    if network.task == "counting":
        torch.nn.init.normal_(network.output_layer.weight, 0.1, 0.1)
    return network


def about(network, resize=None):
    return {"task": network.task, "stride": str(network.stride), "resize": json.dumps(resize)}


def written(network, folder, resize=None):
    """Return a network's ONNX, opened."""
    graph.write_onnx(network, folder / "network.onnx", about(network, resize))
    return Exported.open(folder, 1)


def pictures(*sizes):
    """Return an image of noise for each (width, height)."""
    numbers = np.random.default_rng(0)
    return [numbers.integers(0, 256, (height, width, 3), dtype=np.uint8) for width, height in sizes]


# --- ONNX ---


@pytest.mark.parametrize("name", ["rescsrnet", "csrnet", pytest.param("guidedepth", marks=pytest.mark.slow)])
def test_onnx_gives_what_pytorch_gives_for_images_of_any_size_and_number(name, tmp_path):
    network = trained(name)
    exported = written(network, tmp_path)
    for number, width, height in ((1, 96, 64), (3, 61, 47), (1, 83, 120), (1, 9, 130)):
        images = np.stack(pictures((width, height)) * number)
        expected = graph.predict(network, images)
        found = exported.predict(images)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
        if exported.task == "counting":
            counts = expected.sum((1, 2), dtype=np.float64)
            assert counts.min() > 0.1
            np.testing.assert_allclose(exported.predict_counts(images), counts, rtol=1e-3)


@pytest.mark.parametrize(("name", "rule"), [("rescsrnet", (1, 0)), ("csrnet", (8, 0)), ("guidedepth", (8, 0))])
def test_padding_follows_from_the_sizes_of_the_maps(name, rule):
    assert graph.padding(build(name, width=0.05)) == rule


def own(tmp_path, body, name="Mine", more="", stride=8, task="counting"):
    """Return a network of the user's: a convolution, and what `forward` makes of its result `x`."""
    file = tmp_path / f"{name.lower()}.py"
    file.write_text(
        "import torch\nfrom torch import nn\n\n\n"
        f"class {name}(nn.Module):\n    stride = {stride}\n\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.output_layer = nn.Conv2d(3, 1, 8, stride=8)\n\n"
        f"    def forward(self, image):\n        x = self.output_layer(image)\n        {body}\n\n{more}"
    )
    return build(f"{file}:{name}", task=task).eval()


def test_a_users_own_network_can_be_exported(tmp_path):
    network = own(tmp_path, "return x.abs()")
    images = np.stack(pictures((77, 45)))
    np.testing.assert_allclose(written(network, tmp_path).predict(images), graph.predict(network, images), rtol=1e-3)


def test_sides_that_are_multiples_of_any_number_and_a_margin_are_padded_in_onnx_too(tmp_path):
    margin = "    def output_size(self, height, width):\n        return (height - 3) // 24 * 3, (width - 3) // 24 * 3\n"
    network = own(tmp_path, "return x[:, :, : x.shape[2] // 3 * 3, : x.shape[3] // 3 * 3]", more=margin)
    network._forward_hooks.clear()  # its own size is not the point
    assert graph.padding(network)[0] == 24
    assert graph.padding(network)[1] % 24 == 3


@pytest.mark.parametrize(
    "body",
    [
        "return x if x.shape[-1] > 14 else 2 * x + 1",
        "return x if float(image.mean()) > -0.5 else 2 * x + 1",
        "return torch.from_numpy(x.detach().numpy() * 2)",
        "return torch.special.bessel_j0(x)",
    ],
    ids=["decides by size", "decides by value", "leaves PyTorch", "unknown operation"],
)
def test_a_network_that_onnx_cannot_express_is_refused_and_nothing_is_left(body, tmp_path):
    network = own(tmp_path, body)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InputError, match=r"(?s)Mine.*cannot be written as ONNX.*write the network without decisions"):
        graph.write_onnx(network, out / "network.onnx", about(network))
    assert not list(out.iterdir())


def test_a_network_whose_padding_follows_no_rule_is_refused(tmp_path):
    odd = "    def output_size(self, height, width):\n        return height // 8 - (height > 99), width // 8\n"
    with pytest.raises(InputError, match=r"output_size.*next multiple of one number"):
        graph.padding(own(tmp_path, "return x", more=odd))


# --- An experiment's folder ---


CHOICE = {
    "experiment": "here",
    "learning_rate": "1e-3",
    "candidates": {
        "2e-3": {"repeats": [{"repeat": 0, "val_error": 1.0, "epoch": 3}, {"repeat": 1, "val_error": 9.0, "epoch": 3}]},
        "1e-3": {"repeats": [{"repeat": 0, "val_error": 4.0, "epoch": 5}, {"repeat": 1, "val_error": 3.0, "epoch": 7}]},
    },
}


def test_the_repeat_with_the_lowest_validation_error_is_exported():
    assert best_run(CHOICE)["repeat"] == 1


@pytest.fixture
def experiment(tmp_path):
    """What `export` takes of an experiment with two repeats, on three test images."""
    samples = []
    for i, (image, split) in enumerate(zip(pictures(*[(64, 48)] * 4, (56, 40)), ["train", "val", *["test"] * 3])):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        height, width = image.shape[:2]
        samples.append(Sample(f"{i}.png", tmp_path / f"{i}.png", split, width, height, np.full((3 + i, 2), 9.0)))
    prepare(samples, tmp_path / "data")
    index, checkpoints, parts = Index.open(tmp_path / "data" / "index.csv"), [], []
    for repeat in range(2):
        network = trained("csrnet")
        torch.nn.init.constant_(network.output_layer.bias, repeat / 10)
        checkpoints.append(tmp_path / f"{repeat}.safetensors")
        save_weights(checkpoints[-1], network, {"learning_rate": "1e-3", "repeat": str(repeat)})
        parts.append(with_keys(predict(network, index, "test", "cpu"), "here", "1e-3", repeat))
    return {
        "choice": CHOICE,
        "checkpoints": checkpoints,
        "predictions": pd.concat(parts, ignore_index=True),
        "index": index,
        "reference": "csrnet",
        "settings": {"width": 0.125},
        "facts": {"title": "CSRNet", "dataset": "Here", "method": "baseline", "convention": None, "resize": None},
        "terms": [
            {"what": "real images", "title": "NYU Depth V2", "licence": "none stated (commercial: no)"},
            {"what": "annotates the images", "title": "the miniature's sasnet-shta", "licence": "MIT: made here"},
        ],
    }


def test_an_exported_experiment_says_what_it_is(experiment, tmp_path):
    out = tmp_path / "exported" / "here"
    export(out, **experiment)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "network.onnx", "network.safetensors"]
    assert not [path for path in out.parent.iterdir() if path != out]
    card = (out / "README.md").read_text()
    errors = experiment["predictions"].query("repeat == 1")["error"]
    assert f"| MAE | {errors.abs().mean():.2f} |" in card
    network = load_network("csrnet", out / "network.safetensors", width=0.125)
    assert f"{sum(p.numel() for p in network.parameters()):,}".replace(",", " ") in card
    assert "repeat 1 of 2" in card and "GMac for an image of 64x48" in card and "ms for an image" in card
    assert "license: other" in card
    assert "| real images | NYU Depth V2 | none stated (commercial: no) |" in card
    assert "| annotates the images | the miniature's sasnet-shta | MIT: made here |" in card
    with safe_open(out / "network.safetensors", "pt") as file:
        assert file.metadata() == Exported.open(out, 1).about
    np.testing.assert_allclose(network.output_layer.bias.item(), 0.1)


def test_the_interval_of_an_error_holds_it(experiment, tmp_path):
    export(tmp_path / "out", **experiment)
    (row,) = (line for line in (tmp_path / "out" / "README.md").read_text().splitlines() if line.startswith("| RMSE"))
    value, between = (cell.strip() for cell in row.split("|")[2:4])
    low, high = map(float, between.split(" to "))
    assert low < float(value) < high


def test_an_export_that_differs_on_the_test_images_is_not_kept(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(Exported, "predict_counts", lambda self, images: np.array([1e6]))
    with pytest.raises(InputError, match=r"test image 2\.png.*differs"):
        export(tmp_path / "made" / "out", **experiment)
    assert not list((tmp_path / "made").iterdir())


# --- Pictures and videos ---


@pytest.fixture(scope="module")
def network():
    return trained("rescsrnet")


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    return written(network, tmp_path_factory.mktemp("exported"))


def count(network, image):
    return float(graph.predict(network, image[None]).sum())


def test_each_picture_of_a_folder_is_counted_and_drawn(network, exported, tmp_path):
    images, folder = pictures((64, 48), (57, 41)), tmp_path / "in"
    (folder / "deeper").mkdir(parents=True)
    Image.fromarray(images[0]).save(folder / "a.PNG")
    Image.fromarray(images[1]).save(folder / "deeper" / "a.bmp")
    (folder / "notes.txt").write_text("passed over")
    found = pd.read_csv(predicting.predict(exported, folder, tmp_path / "out"))
    assert found["image"].tolist() == ["a.PNG", "deeper/a.bmp"]
    np.testing.assert_allclose(found["count"], [count(network, image) for image in images], rtol=1e-3)
    for name, image in zip(("a.PNG.jpg", "deeper/a.bmp.jpg"), images):
        assert np.asarray(Image.open(tmp_path / "out" / name)).shape == image.shape


def test_the_picture_of_a_map_is_bright_where_people_are(exported):
    density = np.zeros((4, 5), np.float32)
    density[1, 2] = 3
    drawn = predicting.overlay(np.full((30, 37, 3), 100, np.uint8), density, exported).sum(-1, dtype=int)
    assert drawn.shape == (30, 37) and (drawn[8:16, 16:24] > drawn[0, 0] + 100).all()
    drawn[8:16, 16:24] = drawn[0, 0]
    assert (drawn == drawn[0, 0]).all()


def test_depth_is_given_in_metres(tmp_path):
    network = own(tmp_path, "return image[:, :1].abs() + 1 + 0 * x.mean()", stride=1, task="depth")
    (image,) = pictures((50, 40))
    Image.fromarray(image).save(tmp_path / "room.png")
    row = pd.read_csv(predicting.predict(written(network, tmp_path), tmp_path / "room.png", tmp_path / "out")).iloc[0]
    depth = graph.predict(network, image[None])
    np.testing.assert_allclose(
        [row["least"], row["mean"], row["most"]], [depth.min(), depth.mean(), depth.max()], rtol=1e-3
    )


@pytest.mark.parametrize("tag", range(1, 9))
def test_pictures_are_turned_upright(tag, network, exported, tmp_path):
    (image,) = pictures((64, 40))
    stored = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}.get(tag, 1)  # what undoes it
    exif = Image.Exif()
    exif[0x0112] = tag
    Image.fromarray(np.ascontiguousarray(predicting.TURNS[stored](image))).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as file:
        upright = np.asarray(ImageOps.exif_transpose(file))
    assert (upright == image).all()
    found = pd.read_csv(predicting.predict(exported, tmp_path / "a.png", tmp_path / "out"))
    np.testing.assert_allclose(found["count"], [count(network, image)], rtol=1e-3)


def test_pictures_are_resized_as_those_the_network_was_trained_on(network, exported, tmp_path):
    (image,) = pictures((200, 100))
    Image.fromarray(image).save(tmp_path / "a.png")
    small = Exported(exported.session, exported.about | {"resize": '{"fit": [64, 64]}'})
    found = pd.read_csv(predicting.predict(small, tmp_path / "a.png", tmp_path / "out"))
    resized = np.asarray(Image.fromarray(image).resize((64, 32), Image.Resampling.LANCZOS))
    np.testing.assert_allclose(found["count"], [count(network, resized)], rtol=1e-3)


@pytest.fixture
def video(tmp_path):
    """A video of 10 frames that get brighter, 5 per second."""
    path = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 48))
    for i in range(10):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


def test_frames_of_a_video_are_counted(network, exported, video, tmp_path):
    found = pd.read_csv(predicting.predict(exported, video, tmp_path / "out", every=4))
    assert found["frame"].tolist() == [0, 4, 8]
    assert found["seconds"].tolist() == [0, 0.8, 1.6]
    expected = [count(network, np.full((48, 64, 3), 20 * i, np.uint8)) for i in (0, 4, 8)]
    np.testing.assert_allclose(found["count"], expected, rtol=0.05)  # JPEG
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jpg"))[-1] == "frame-000008.jpg"


def test_a_video_that_is_cut_short_is_said_to_be(exported, video, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(predicting, "_facts", lambda _: (20, 5.0))  # what its header would say
    assert len(pd.read_csv(predicting.predict(exported, video, tmp_path / "out"))) == 10
    assert "10 frames were decoded" in caplog.text and "20" in caplog.text and "cut short" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.jpg", b"no picture", r"a\.jpg: not an image"),
        ("a.jpg", None, r"a\.jpg: the image is truncated"),
        ("a.txt", b"text", r"a\.txt: not an image"),
        ("a.mp4", b"no video", r"a\.mp4: the video cannot be decoded.*ffmpeg"),
        ("a", b"\0\0\0\x20ftypisom" + 99 * b"\0", "the video cannot be decoded"),
        ("empty", "folder", "no picture in this folder; expected.*jpg"),
        ("absent.jpg", "absent", r"absent\.jpg: no such file or folder"),
    ],
)
def test_what_cannot_be_read_is_refused_and_nothing_is_written(name, content, match, exported, tmp_path):
    place = tmp_path / "in" / name
    place.parent.mkdir()
    if content == "folder":
        place.mkdir()
        (place / "notes.txt").write_text("no picture")
    elif content is None:
        Image.fromarray(pictures((64, 48))[0]).save(place)
        place.write_bytes(place.read_bytes()[:1000])
    elif content != "absent":
        place.write_bytes(content)
    with pytest.raises(InputError, match=match):
        predicting.predict(exported, place, tmp_path / "made" / "out")
    assert not (tmp_path / "made").exists() or not list((tmp_path / "made").iterdir())


def test_a_picture_that_is_none_is_found_before_the_first_is_predicted(exported, tmp_path, monkeypatch):
    Image.fromarray(pictures((64, 48))[0]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    monkeypatch.setattr(Exported, "predict", lambda *_: pytest.fail("predicted"))
    with pytest.raises(InputError, match=r"b\.png: not an image"):
        predicting.predict(exported, tmp_path, tmp_path / "out")


def test_a_folder_that_holds_something_is_not_overwritten(exported, tmp_path):
    Image.fromarray(pictures((64, 48))[0]).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="exists already.*another folder"):
        predicting.predict(exported, tmp_path / "a.png", tmp_path)


@pytest.mark.parametrize("content", [b"no onnx", None])
def test_a_file_that_is_no_network_is_refused(content, tmp_path):
    if content:
        (tmp_path / "network.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"network\.onnx"):
        Exported.open(tmp_path, 1)


def test_a_damaged_network_is_refused(network, tmp_path):
    written(network, tmp_path)
    file = tmp_path / "network.onnx"
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(InputError, match="damaged.*Export it again"):
        open_session(file, 1)


def run(monkeypatch, *arguments):
    """Run scripts/predict.py and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["predict.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return ended.value.code


def test_the_script_predicts_without_snakemake_and_says_what_is_wrong_in_a_line(network, tmp_path, monkeypatch, capsys):
    written(network, tmp_path)
    Image.fromarray(pictures((64, 48))[0]).save(tmp_path / "a.png")
    assert run(monkeypatch, tmp_path, tmp_path / "a.png", "--out", tmp_path / "out") == 0
    assert (tmp_path / "out" / "predictions.csv").exists()
    assert run(monkeypatch, tmp_path, tmp_path / "b.png", "--out", tmp_path / "again") == 1
    said = capsys.readouterr().err
    assert "b.png: no such file" in said and "Traceback" not in said
    assert run(monkeypatch, tmp_path, tmp_path / "a.png", "--every", "0") == 2
