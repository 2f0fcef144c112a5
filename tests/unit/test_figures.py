"""Figures: which images they show, the numbers beside them, and colours that mean what the scale says."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import colormaps
from PIL import Image
from snakemake.iocontainers import OutputFiles
from support.scripts import run_script
from torch import nn

from promptmix.datasets.index import COLUMNS, Index
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.report import figures as module
from promptmix.report.figures import (
    COLOURS,
    HEADINGS,
    SMALL,
    Comparison,
    at_percentiles,
    contact_sheet,
    draw_colours,
    draw_predictions,
    mean_chroma,
    mid_greys,
    save,
    sharpness,
    wrap,
)
from promptmix.synthesis.manifest import read_manifest, write_manifest
from promptmix.tasks.density import density_at_stride

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


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, as matplotlib has them, by the name of their file."""
    saved = {}

    def remember(figure, path):
        saved[Path(path).stem] = figure
        save(figure, path)

    monkeypatch.setattr(module, "save", remember)
    return saved


def compared(index, *networks, title="Part B", methods=("baseline", "promptmix"), **kernel) -> Comparison:
    """Return a comparison of networks, trained in these ways."""
    experiments = {method: f"b-{method}" for method in methods}
    return Comparison(title, "Part B", index, dict(zip(methods, networks, strict=True)), experiments, **kernel)


def images_of(figure) -> list:
    """Return the images and maps in a figure, row by row, without the scales of colours."""
    return [ax.images[0] for ax in figure.axes if ax.images and ax.get_label() != "<colorbar>"]


def test_percentiles_are_met_by_the_nearest_value_and_of_equals_by_the_first():
    assert at_percentiles(np.array([40, 10, 30, 20, 50])) == [3, 2, 0]
    assert at_percentiles(np.array([10, 20])) == [0, 0, 1]
    assert at_percentiles(np.array([7, 7, 7])) == [0, 0, 0]
    assert at_percentiles(np.array([np.nan, 40, 10, np.nan, 30, 20, 50])) == [5, 4, 1]


def test_colours_grow_lighter_from_low_to_high():
    scale = colormaps[COLOURS](np.linspace(0, 1, 64))[:, :3]
    assert (np.diff(scale @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_a_cell_covers_its_pixels_of_the_image(index, tmp_path, figures):
    comparison = compared(index, Constant("counting", 8, 0.25), Constant("counting", 8, 8.0))
    draw_predictions(tmp_path / "figure3.png", tmp_path / "figure3.csv", [comparison], "cpu")
    drawn = images_of(figures["figure3"])[1]
    assert drawn.get_array().shape == (3, 6)
    assert tuple(drawn.get_extent()) == (0, 48, 24, 0)  # the cells at the right and below stick out of the image
    assert drawn.axes.get_xlim() == (0, WIDTH) and drawn.axes.get_ylim() == (HEIGHT, 0)


def test_counts_beside_the_maps(index, tmp_path, figures):
    comparison = compared(index, Constant("counting", 8, 0.25), Constant("counting", 8, 8.0), sigma=1.5, kernel=7)
    draw_predictions(tmp_path / "figure3.png", tmp_path / "figure3.csv", [comparison], "cpu")
    table = pd.read_csv(tmp_path / "figure3.csv")
    # of the counts 9, 2, 5, 3, 4, 8 the percentiles are 3.25, 4.5 and 7.25: 5 and 4 are as near, and 5 comes first
    assert table["image"].tolist() == ["images/IMG_4.jpg", "images/IMG_3.jpg", "images/IMG_6.jpg"]
    assert table["percentile"].tolist() == [25, 50, 75]
    assert table["count"].tolist() == [3, 5, 8]
    assert (table["baseline_count"] == 0.25 * 18).all() and (table["promptmix_count"] == 8 * 18).all()
    assert (table["scale_low"] == 0).all() and (table["scale_high"] == 8).all()

    shown = images_of(figures["figure3"])
    assert len(shown) == 3 * 4
    for row, i in enumerate((4, 3, 6)):
        image, *maps = shown[4 * row : 4 * row + 4]
        assert (image.get_array() == index.image(i)).all()
        true = density_at_stride(index.heads(i)[:, :2], HEIGHT, WIDTH, 8, sigma=1.5, kernel=7)
        for found, expected in zip(maps, (np.full((3, 6), 0.25), np.full((3, 6), 8.0), true)):
            np.testing.assert_allclose(found.get_array(), expected)
            assert found.get_clim() == (0, 8)  # the scale that all maps of a row share
    captions = [image.axes.get_xlabel() for image in shown[:4]]
    assert [caption.splitlines()[0] for caption in captions] == [
        "IMG_4, 25th percentile",
        f"4.5 people, map error {table['baseline_map_error'][0]:.1f}",
        f"144.0 people, map error {table['promptmix_map_error'][0]:.1f}",
        "3 people",
    ]
    assert captions[1].splitlines()[1] == "sharpness 0.00"
    true = shown[3].get_array()
    assert table["promptmix_map_error"][0] == pytest.approx(np.abs(8 - true).sum())
    assert (table[["baseline_sharpness", "promptmix_sharpness"]] == 0).all(axis=None)


def test_errors_of_depth_are_taken_where_it_is_known(index, tmp_path, figures):
    comparison = compared(index, Constant("depth", 1, 4.0), Constant("depth", 1, 6.0))
    draw_predictions(tmp_path / "figure4.png", tmp_path / "figure4.csv", [comparison], "cpu")
    table = pd.read_csv(tmp_path / "figure4.csv")
    assert table["mean_depth"].tolist() == [3.5, 5.5, 8.5]
    for found, columns in ((4, "baseline_rmse"), (6, "promptmix_rmse")):
        near = np.array([3, 5, 8]) - found
        assert table[columns].to_numpy() == pytest.approx(np.sqrt((near**2 + (near + 1) ** 2) / 2))
    assert (table["scale_low"].tolist(), table["scale_high"].tolist()) == ([3, 5, 8], [4, 6, 9])

    unknown = [np.ma.getmaskarray(shown.get_array()).sum() for shown in images_of(figures["figure4"])]
    assert unknown == [0, 0, 0, 5 * WIDTH] * 3  # only in the ground truth
    assert colormaps[COLOURS].with_extremes(bad="black").get_bad().tolist() == [0, 0, 0, 1]


def test_datasets_are_one_below_the_other(index, tmp_path, figures):
    part = compared(index, Constant("counting", 8, 0.1), Constant("counting", 8, 0.1), title="A")
    for name, comparisons in (("one", [part]), ("two", [part, part])):
        draw_predictions(tmp_path / f"{name}.png", tmp_path / f"{name}.csv", iter(comparisons), "cpu")
    assert len(pd.read_csv(tmp_path / "two.csv")) == 6
    one, two = figures["one"], figures["two"]
    assert [image.axes.get_ylabel() for image in images_of(two)[::4]] == ["A", "", "", "A", "", ""]
    assert one.get_figwidth() == two.get_figwidth() == 7 and two.get_figheight() > 1.7 * one.get_figheight()


def test_comparisons_have_titles_of_their_own_and_name_their_experiments(index, tmp_path, figures):
    network = Constant("counting", 8, 0.1)
    comparisons = [compared(index, network, network, title=f"Part B, {name}") for name in ("CSRNet", "ResCSRNet")]
    draw_predictions(tmp_path / "it.png", tmp_path / "it.csv", comparisons, "cpu")
    titles = [image.axes.get_ylabel().replace("\n", " ") for image in images_of(figures["it"])[::4]]
    assert titles == ["Part B, CSRNet", "", "", "Part B, ResCSRNet", "", ""]
    table = pd.read_csv(tmp_path / "it.csv")
    assert table["dataset"].eq("Part B").all()
    assert table["baseline_experiment"].eq("b-baseline").all()
    assert table["promptmix_experiment"].eq("b-promptmix").all()


@pytest.mark.parametrize("methods", [("baseline",), ("baseline", "control", "promptmix")])
def test_a_figure_shows_the_methods_that_it_is_asked_for(index, tmp_path, figures, methods):
    networks = [Constant("depth", 1, 4.0) for _ in methods]
    draw_predictions(tmp_path / "it.png", tmp_path / "it.csv", [compared(index, *networks, methods=methods)], "cpu")
    shown = images_of(figures["it"])
    assert [image.axes.get_title() for image in shown[: len(shown) // 3]] == [
        "test image",
        *(HEADINGS[method] for method in methods),
        "ground truth",
    ]
    columns = pd.read_csv(tmp_path / "it.csv").columns
    assert [name for name in columns if name.endswith("_rmse")] == [f"{method}_rmse" for method in methods]


def test_nothing_to_draw_is_an_error(index, tmp_path):
    files = tmp_path / "figure.png", tmp_path / "figure.csv"
    with pytest.raises(InputError, match="nothing to draw"):
        draw_predictions(*files, [], "cpu")
    trained = Index(index.path, index.frame.assign(split="train"))
    network = Constant("counting", 8, 0.1)
    with pytest.raises(InputError, match="no test image"):
        draw_predictions(*files, [compared(trained, network, network)], "cpu")
    assert not any(file.exists() for file in files)


def test_the_chosen_learning_rate_s_first_repeat_is_drawn(index, tmp_path):
    """Of two experiments with two and three learning rates, all checkpoints in one list."""
    checkpoints, selections, networks = [], [], {}
    row = {"title": "B", "dataset": "B", "sigma": 1.5, "kernel": 7, "index": str(index.path), "networks": networks}
    for name, rates, choice in (("baseline", ["2e-3", "1e-3"], "1e-3"), ("promptmix", ["a", "b", "c"], "b")):
        selections.append(tmp_path / f"runs/{name}/selection.json")
        selections[-1].parent.mkdir(parents=True)
        selections[-1].write_text(json.dumps({"learning_rate": choice}))
        for rate in rates:
            for repeat in range(2):
                network = build("csrnet", width=0.05)
                nn.init.zeros_(network.output_layer.weight)
                nn.init.constant_(network.output_layer.bias, len(checkpoints))
                checkpoints.append(tmp_path / f"runs/{name}/lr-{rate}/repeat-{repeat}/checkpoint.safetensors")
                save_weights(checkpoints[-1], network, {"learning_rate": rate, "repeat": str(repeat)})
        networks[name] = {"experiment": name, "reference": "csrnet", "settings": {"width": 0.05}}
    run_script(
        "draw_predictions",
        input={"selections": selections, "checkpoints": checkpoints[::-1]},
        output=OutputFiles(fromdict={"png": tmp_path / "figure3.png", "csv": tmp_path / "figure3.csv"}),
        params={"comparisons": [row]},
    )
    table = pd.read_csv(tmp_path / "figure3.csv")
    assert (table["baseline_count"] / 18 == 2).all()  # 1e-3 is the second rate, and these are two repeats each
    assert (table["promptmix_count"] / 18 == 4 + 2).all()


def test_sharpness_is_the_share_of_the_truths_steps():
    true = np.array([[0, 4.0], [0, 0]])
    everywhere = np.ones((2, 2), bool)
    assert sharpness(true, true, everywhere) == 1
    assert sharpness(true / 2 + 1, true, everywhere) == 0.5
    assert sharpness(np.ones((2, 2)), true, everywhere) == 0
    assert sharpness(true[:, ::-1] * 3, true, everywhere) == 3
    known = np.array([[True, True], [True, False]])  # the step down from 4 does not count
    assert sharpness(np.array([[0, 1.0], [0, 9]]), true, known) == 1 / 4
    assert np.isnan(sharpness(true, np.ones((2, 2)), everywhere))


@pytest.fixture
def pools(tmp_path):
    """Pools of one prompt and eight images, which are grey or coloured."""

    def write(name, chroma, prompts=1, first_seed=0):
        rows = []
        for i in range(8):
            path = tmp_path / name / f"seed-{i:03d}.png"
            path.parent.mkdir(exist_ok=True)
            image = np.full((16, 24, 3), 100, np.uint8)
            image[..., 0] += np.uint8(chroma + i)
            Image.fromarray(image).save(path)
            prompt = f"large crowd, {name} image" + " more" * (i % prompts)
            row = {"file": path, "seed": first_seed + i, "prompt": prompt, "width": 24, "height": 16}
            row |= {"pool": name, "prompt_number": i % prompts, "quality": 75, "source": "", "faces": 0}
            rows.append(row | {"sha256": sha256(path)})
        write_manifest(tmp_path / name / "block-000.csv", rows)
        return tmp_path / name / "block-000.csv"

    return write


def test_each_prompt_is_a_row_with_the_numbers_of_its_images(pools, tmp_path, figures):
    manifests = [pools("black and white", 0), pools("grayscale", 0), pools("color", 60)]
    parts = [manifests[2].with_name(f"part-{i}.csv") for i in (1, 0)]  # as of a pool that has grown
    for part, rows in zip(parts, (slice(2, 8), slice(0, 2)), strict=True):
        write_manifest(part, read_manifest(manifests[2]).iloc[rows])
    manifests[2:] = parts
    draw_colours(tmp_path / "figure2.png", tmp_path / "figure2.csv", manifests, 3)
    table = pd.read_csv(tmp_path / "figure2.csv")
    names = ["black and white", "grayscale", "color"]
    assert table["prompt"].tolist() == [f"large crowd, {name} image" for name in names for _ in range(3)]
    assert table["seed"].tolist() == [0, 1, 2] * 3
    assert table["chroma"].tolist() == [0, 1, 2, 0, 1, 2, 60, 61, 62]
    assert (table["mid_greys"] == 1).all()

    shown = images_of(figures["figure2"])
    assert [image.get_array()[0, 0, 0] - 100 for image in shown] == [0, 1, 2, 0, 1, 2, 60, 61, 62]
    titles = [image.axes.get_ylabel().replace("\n", " ") for image in shown[::3]]
    assert titles == [f"“large crowd, {name} image”" for name in names]
    assert shown[8].axes.get_xlabel().replace("\n", " ") == "100 % mid-greys, chroma 62"


def test_pools_of_one_prompt_are_told_apart_by_their_names(pools, tmp_path, figures):
    manifests = [pools("grayscale", 0), pools("large", 60)]
    large = pd.read_csv(manifests[1]).assign(prompt="large crowd, grayscale image")
    large.to_csv(manifests[1], index=False)
    draw_colours(tmp_path / "it.png", tmp_path / "it.csv", manifests, 2)
    table = pd.read_csv(tmp_path / "it.csv")
    assert table["pool"].tolist() == ["grayscale"] * 2 + ["large"] * 2
    shown = images_of(figures["it"])
    assert [image.axes.get_ylabel().replace("\n", " ").split("”")[1] for image in shown[::2]] == [
        ", grayscale",
        ", large",
    ]
    assert shown[2].axes.get_xlabel().replace("\n", " ") == "100 % mid-greys, chroma 60"


@pytest.mark.parametrize(("other", "number"), [({"first_seed": 1}, 3), ({"prompts": 2}, 3), ({}, 9)])
def test_images_of_other_seeds_or_prompts_are_an_error(pools, tmp_path, other, number):
    manifests = [pools("grayscale", 0), pools("color", chroma=60, **other)]
    with pytest.raises(
        InputError, match=rf"pool (grayscale|color): expected {number} images of one prompt with the seeds"
    ):
        draw_colours(tmp_path / "figure2.png", tmp_path / "figure2.csv", manifests, number)
    assert not (tmp_path / "figure2.png").exists()


def test_the_share_of_mid_greys():
    ramp = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    assert mid_greys(ramp) == 0.5
    black_and_white = np.zeros((4, 4, 3), np.uint8)
    black_and_white[:2] = 255
    assert mid_greys(black_and_white) == 0 and mid_greys(np.full((4, 4, 3), 90, np.uint8)) == 1


def test_chroma():
    assert mean_chroma(np.full((2, 2, 3), 255, np.uint8)) == 0
    assert mean_chroma(np.array([[[255, 0, 10], [1, 2, 3]]], np.uint8)) == (255 + 2) / 2


def test_text_stays_within_its_column():
    text = "a caption that is much longer than its picture is wide"
    lines = wrap(text, 1).splitlines()
    assert " ".join(lines) == text and all(len(line) * 0.55 * SMALL <= 72 for line in lines)


def test_a_contact_sheet_has_a_row_of_its_csv_per_image(tmp_path, figures):
    rows = [[np.full((40, 60, 3), grey, np.uint8) for grey in greys] for greys in ((1, 2, 3), (4, 5, 6))]
    captions = [["one", "two", "three"], ["four", "five", "six"]]
    contact_sheet(tmp_path / "sheet.png", tmp_path / "sheet.csv", rows, captions)
    table = pd.read_csv(tmp_path / "sheet.csv")
    assert table["caption"].tolist() == [*captions[0], *captions[1]]
    assert list(zip(table["row"], table["column"])) == [(r, c) for r in range(2) for c in range(3)]
    assert [image.get_array()[0, 0, 0] for image in images_of(figures["sheet"])] == [1, 2, 3, 4, 5, 6]


def test_a_figure_has_the_same_bytes_each_time(tmp_path):
    rows, captions = [[np.full((40, 60, 3), 9, np.uint8)]], [["nine"]]
    for name in ("one", "two"):
        contact_sheet(tmp_path / f"{name}.png", tmp_path / f"{name}.csv", rows, captions)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
