"""Figures: which images they show, the numbers beside them, and colours that mean what the scale says."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from snakemake.iocontainers import OutputFiles
from torch import nn

from promptmix.datasets.index import COLUMNS, Index
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.report.figures import (
    COLOURS,
    GAP,
    SIDE,
    Comparison,
    Panel,
    Row,
    at_percentiles,
    coloured,
    contact_sheet,
    draw_grey_and_colour,
    draw_predictions,
    fitted,
    map_picture,
    mean_chroma,
    write_figure,
)
from promptmix.synthesis.manifest import write_manifest
from promptmix.tasks.density import density_at_stride

SCRIPTS = Path(__file__).parents[2] / "scripts"
HEIGHT, WIDTH = 20, 44
COUNTS = [1, 9, 2, 5, 3, 4, 8]


class Constant(nn.Module):
    """A network that gives one value everywhere."""

    def __init__(self, task, stride, value):
        super().__init__()
        self.task, self.stride, self._value = task, stride, value

    def output_size(self, height, width):
        return -(-height // self.stride), -(-width // self.stride)

    def density(self, image):
        assert not self.training
        return torch.full((len(image), 1, *self.output_size(*image.shape[2:])), self._value)

    depth = density


@pytest.fixture
def index(tmp_path):
    """A prepared dataset of seven images, the last six of them tested, with heads and depths."""
    rng = np.random.default_rng(0)
    folder, n, pixels = tmp_path / "dataset", len(COUNTS), HEIGHT * WIDTH
    folder.mkdir()
    rows = [
        (f"images/IMG_{i}.jpg", "test" if i else "train", WIDTH, HEIGHT, 0, 75, c, 3 * i * pixels, sum(COUNTS[:i]), c)
        for i, c in enumerate(COUNTS)
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "index.csv", index=False)
    np.save(folder / "pixels.npy", rng.integers(0, 255, n * pixels * 3, dtype=np.uint8))
    heads = np.zeros((sum(COUNTS), 4), np.float32)
    heads[:, :2] = rng.uniform(0, [WIDTH, HEIGHT], (len(heads), 2))
    np.save(folder / "heads.npy", heads)
    depths = np.empty((n, HEIGHT, WIDTH), np.float32)
    depths[:] = np.array(COUNTS)[:, None, None]
    depths[:, :, : WIDTH // 2] += 1
    depths[:, :5] = 0
    np.save(folder / "depths.npy", depths.ravel())
    return Index.open(folder / "index.csv")


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_percentiles_are_met_by_the_nearest_value_and_of_equals_by_the_first():
    assert at_percentiles(np.array([40, 10, 30, 20, 50])) == [3, 2, 0]
    assert at_percentiles(np.array([10, 20])) == [0, 0, 1]
    assert at_percentiles(np.array([7, 7, 7])) == [0, 0, 0]
    assert at_percentiles(np.array([np.nan, 40, 10, np.nan, 30, 20, 50])) == [5, 4, 1]


def test_colours_grow_lighter_from_low_to_high_and_end_there():
    scale = coloured(np.linspace(2, 5, 64), 2, 5)
    assert scale[0].tolist() == COLOURS[0].tolist() and scale[-1].tolist() == COLOURS[-1].tolist()
    assert (np.diff(scale @ [0.2126, 0.7152, 0.0722]) > 0).all()
    assert (coloured(np.array([-9.0, 9.0]), 2, 5) == COLOURS[[0, -1]]).all()
    assert (coloured(np.zeros(3), 0, 0) == COLOURS[0]).all()


def test_a_cell_covers_its_pixels_of_the_image():
    values = np.arange(18, dtype=np.float32).reshape(3, 6)
    picture = np.asarray(map_picture(values, 0, 17, (HEIGHT, WIDTH), 8))
    rows = ((np.arange(picture.shape[0]) + 0.5) / picture.shape[0] * HEIGHT).astype(int) // 8
    columns = ((np.arange(picture.shape[1]) + 0.5) / picture.shape[1] * WIDTH).astype(int) // 8
    assert (picture == coloured(values, 0, 17)[rows[:, None], columns]).mean() > 0.99  # but for rounding at edges
    assert picture.shape == np.asarray(fitted(np.zeros((HEIGHT, WIDTH, 3), np.uint8))).shape
    assert picture.shape[1] == SIDE


def test_large_images_are_averaged_and_small_ones_enlarged_as_they_are():
    board = np.indices((600, 600)).sum(0)[..., None].repeat(3, axis=2) % 2 * np.uint8(254)
    assert (np.asarray(fitted(board.astype(np.uint8), 150)) == 127).all()
    enlarged = np.asarray(fitted(board[:4, :6].astype(np.uint8), 150))
    assert enlarged.shape == (100, 150, 3) and set(enlarged.ravel().tolist()) == {0, 254}


def test_counts_beside_the_maps(index, tmp_path):
    comparison = Comparison("Part B", index, Constant("counting", 8, 0.25), Constant("counting", 8, 8.0), 1.5, 7)
    draw_predictions(tmp_path / "figure3.png", tmp_path / "figure3.csv", [comparison], "cpu")
    table = pd.read_csv(tmp_path / "figure3.csv")
    # of the counts 9, 2, 5, 3, 4, 8 the percentiles are 3.25, 4.5 and 7.25: 5 and 4 are as near, and 5 comes first
    assert table["image"].tolist() == ["images/IMG_4.jpg", "images/IMG_3.jpg", "images/IMG_6.jpg"]
    assert table["percentile"].tolist() == [25, 50, 75]
    assert table["count"].tolist() == [3, 5, 8]
    assert (table["baseline_count"] == 0.25 * 18).all() and (table["promptmix_count"] == 8 * 18).all()
    assert (table["scale_low"] == 0).all() and (table["scale_high"] == 8).all()

    figure, height = pixels_of(tmp_path / "figure3.png"), round(SIDE * HEIGHT / WIDTH)
    columns = [figure[:, GAP + i * (SIDE + GAP) :][:, :SIDE] for i in range(4)]
    for column, value in zip(columns[1:3], (0.25, 8.0)):  # constant maps, on the scale that all maps of a row share
        assert (column == coloured(np.array(value), 0, 8)).all(axis=(1, 2)).sum() == 3 * height
    for i in (4, 3, 6):
        true = density_at_stride(index.heads(i)[:, :2], HEIGHT, WIDTH, 8, sigma=1.5, kernel=7)
        drawn = np.asarray(map_picture(true, 0, 8, (HEIGHT, WIDTH), 8))
        assert any((columns[3][top : top + height] == drawn).all() for top in range(len(figure) - height))


def test_errors_of_depth_are_taken_where_it_is_known(index, tmp_path):
    comparison = Comparison("NYU", index, Constant("depth", 1, 4.0), Constant("depth", 1, 6.0))
    draw_predictions(tmp_path / "figure4.png", tmp_path / "figure4.csv", [comparison], "cpu")
    table = pd.read_csv(tmp_path / "figure4.csv")
    assert table["mean_depth"].tolist() == [3.5, 5.5, 8.5]
    for found, columns in ((4, "baseline_rmse"), (6, "promptmix_rmse")):
        near = np.array([3, 5, 8]) - found
        assert table[columns].to_numpy() == pytest.approx(np.sqrt((near**2 + (near + 1) ** 2) / 2))
    assert (table["scale_low"].tolist(), table["scale_high"].tolist()) == ([3, 5, 8], [4, 6, 9])

    black = (pixels_of(tmp_path / "figure4.png") == 0).all(axis=-1)
    panels = [black[:, GAP + i * (SIDE + GAP) :][:, :SIDE].all(axis=1).sum() for i in range(4)]
    assert panels == [0, 0, 0, 3 * round(SIDE * 5 / WIDTH)]  # only the ground truth, where it is not known


def test_datasets_stand_one_below_the_other(index, tmp_path):
    part = Comparison("A", index, Constant("counting", 8, 0.1), Constant("counting", 8, 0.1))
    for name, comparisons in (("one", [part]), ("two", [part, part])):
        draw_predictions(tmp_path / f"{name}.png", tmp_path / f"{name}.csv", iter(comparisons), "cpu")
    assert len(pd.read_csv(tmp_path / "two.csv")) == 6
    one, two = pixels_of(tmp_path / "one.png"), pixels_of(tmp_path / "two.png")
    assert one.shape[1] == two.shape[1] and two.shape[0] > 1.7 * one.shape[0]


def test_nothing_to_draw_is_an_error(index, tmp_path):
    files = tmp_path / "figure.png", tmp_path / "figure.csv"
    with pytest.raises(InputError, match="nothing to draw"):
        draw_predictions(*files, [], "cpu")
    trained = Index(index.path, index.frame.assign(split="train"))
    network = Constant("counting", 8, 0.1)
    with pytest.raises(InputError, match="no test image"):
        draw_predictions(*files, [Comparison("A", trained, network, network)], "cpu")
    assert not any(file.exists() for file in files)


def test_the_chosen_learning_rate_s_first_repeat_is_drawn(index, tmp_path):
    """Of two experiments with two and three learning rates, all checkpoints in one list."""
    checkpoints, selections, pair = [], [], {"title": "B", "sigma": 1.5, "kernel": 7}
    for name, rates, choice in (("baseline", ["2e-3", "1e-3"], "1e-3"), ("promptmix", ["a", "b", "c"], "b")):
        selections.append(tmp_path / f"{name}.json")
        selections[-1].write_text(json.dumps({"learning_rate": choice}))
        for rate in rates:
            for repeat in range(2):
                network = build("csrnet", width=0.05)
                nn.init.zeros_(network.output_layer.weight)
                nn.init.constant_(network.output_layer.bias, len(checkpoints))
                checkpoints.append(tmp_path / f"{name}-{rate}-{repeat}.safetensors")
                save_weights(checkpoints[-1], network)
        settings = {"network": "csrnet", "settings": {"width": 0.05}, "learning_rates": rates, "repeats": 2}
        pair[name] = settings
    job = SimpleNamespace(
        rule="draw_predictions",
        log=[],
        threads=1,
        resources={},
        input=SimpleNamespace(indexes=[index.path], selections=selections, checkpoints=checkpoints),
        output=OutputFiles(fromdict={"png": tmp_path / "figure3.png", "csv": tmp_path / "figure3.csv"}),
        params=SimpleNamespace(comparisons=json.dumps([pair])),
    )
    runpy.run_path(str(SCRIPTS / "draw_predictions.py"), {"snakemake": job})
    table = pd.read_csv(tmp_path / "figure3.csv")
    assert (table["baseline_count"] / 18 == 2).all()  # 1e-3 is the second rate, and these are two repeats each
    assert (table["promptmix_count"] / 18 == 4 + 2).all()


@pytest.fixture
def pools(tmp_path):
    """Two pools of four prompts and eight images: images of the one are grey, of the other coloured."""

    def write(name, suffix, chroma, places=("stadium", "beach", "street", "market"), first_seed=0):
        rows = []
        for i in range(8):
            path = tmp_path / name / f"seed-{i:03d}.png"
            path.parent.mkdir(exist_ok=True)
            image = np.full((16, 24, 3), 100, np.uint8)
            image[..., 0] += np.uint8(chroma + i)
            Image.fromarray(image).save(path)
            prompt = f"large crowd, at a {places[i % len(places)]}, {suffix}"
            row = {"file": path.name, "seed": first_seed + i, "prompt": prompt, "width": 24, "height": 16}
            row |= {"pool": name, "prompt_number": i % len(places), "quality": 75, "source": "", "faces": 0}
            rows.append(row | {"sha256": sha256(path)})
        write_manifest(tmp_path / name / "block-000.csv", rows)
        return tmp_path / name / "block-000.csv"

    return write


def test_grey_stands_above_colour_with_the_chroma_of_both(pools, tmp_path):
    manifests = pools("grey", "grey photo", 0), pools("colour", "colour photo, bright", 60)
    draw_grey_and_colour(tmp_path / "figure2.png", tmp_path / "figure2.csv", *manifests, 3)
    table = pd.read_csv(tmp_path / "figure2.csv")
    assert table["prompt"].tolist() == [f"large crowd, at a {place}" for place in ("stadium", "beach", "street")]
    assert table["seed"].tolist() == [0, 1, 2]
    assert table["chroma_grey"].tolist() == [0, 1, 2]
    assert table["chroma_colour"].tolist() == [60, 61, 62]

    figure = pixels_of(tmp_path / "figure2.png").astype(int)
    shown = {red: np.argwhere((figure == [100 + red, 100, 100]).all(axis=-1)) for red in (1, 2, 61, 62, 63)}
    assert not len(shown.pop(63))  # the fourth prompt's
    (top, left), (_, right), (bottom, _), _ = places = [found.min(axis=0).tolist() for found in shown.values()]
    assert places == [[top, left], [top, right], [bottom, left], [bottom, right]] and top < bottom and left < right


@pytest.mark.parametrize(
    "other",
    [
        {"suffix": "colour photo", "first_seed": 1},
        {"suffix": "colour photo", "places": ("beach", "stadium", "street", "market")},
        {"suffix": "grey photo"},
    ],
)
def test_images_that_are_no_pairs_are_an_error(pools, tmp_path, other):
    manifests = pools("grey", "grey photo", 0), pools("colour", chroma=60, **other)
    with pytest.raises(InputError, match="not pairs.*'large crowd, at a stadium, grey photo'"):
        draw_grey_and_colour(tmp_path / "figure2.png", tmp_path / "figure2.csv", *manifests, 3)
    assert not (tmp_path / "figure2.png").exists()


@pytest.mark.parametrize("number", [5, 9])
def test_more_columns_than_prompts_are_an_error(pools, tmp_path, number):
    manifests = pools("grey", "grey photo", 0), pools("colour", "colour photo", 60)
    with pytest.raises(InputError, match=rf"block-000.csv: {number} prompts are to be shown, .* have 4"):
        draw_grey_and_colour(tmp_path / "figure2.png", tmp_path / "figure2.csv", *manifests, number)


def test_chroma():
    assert mean_chroma(np.full((2, 2, 3), 255, np.uint8)) == 0
    assert mean_chroma(np.array([[[255, 0, 10], [1, 2, 3]]], np.uint8)) == (255 + 2) / 2


def test_text_stays_within_its_column(tmp_path):
    picture = Image.new("RGB", (120, 30), "red")
    captions = ["a caption that is much longer than its picture is wide", "x" * 60]
    rows = [Row([Panel(picture, caption), Panel(picture, caption)]) for caption in captions]
    write_figure(tmp_path / "figure.png", rows, note="below")
    figure = pixels_of(tmp_path / "figure.png")
    assert figure.shape[1] == 2 * 120 + 3 * GAP
    for margin in (slice(0, GAP), slice(GAP + 120, 2 * GAP + 120), slice(-GAP, None)):
        assert (figure[:, margin] == 255).all()


def test_a_contact_sheet_has_rows_of_one_size(tmp_path):
    rows = [[np.full((40, 60, 3), grey, np.uint8) for grey in greys] for greys in ((1, 2, 3), (4, 5, 6))]
    contact_sheet(tmp_path / "sheet.png", rows, [["one", "two", "three"], ["four", "five", "six"]], side=90)
    sheet = pixels_of(tmp_path / "sheet.png")
    assert sheet.shape[1] == 3 * 90 + 4 * GAP
    for grey in range(1, 7):
        assert (sheet == grey).all(axis=-1).sum() >= 90 * 60
