"""Rendered images in the place of generated ones, and how far an annotator is off."""

import numpy as np
import pandas as pd
import pytest
import torch
from support.pipelines import MODELS, save_pipeline
from support.workflow import shipped
from torch import nn

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.registry import read_split
from promptmix.datasets.split import Split
from promptmix.miniature import bias, limits
from promptmix.miniature.models import annotators
from promptmix.miniature.rendering.crowds import crowd_size
from promptmix.miniature.rendering.datasets import render_dataset
from promptmix.miniature.softening import pass_through
from promptmix.networks.registry import STRIDES
from promptmix.synthesis.generation import GeneratorSettings, load_pipeline
from promptmix.synthesis.mixing import read_fake, write_fake
from promptmix.training.images import FakeImages
from promptmix.training.objective import load_objective

CONFIG = shipped()
SETTINGS = GeneratorSettings(steps=1, guidance=1.0)
TOPS = {"shtb": "part_B_final", "qnrf": "UCF-QNRF_ECCV18", "panda": "PANDA_Crowd", "nyu": "nyu_depth_v2_labeled.mat"}
TASKS = dict.fromkeys(TOPS, "counting") | {"nyu": "depth"}


def more(dataset, folder, number=3, seed=5):
    """Return what renders more images of one of the miniature's datasets, and these."""
    entry = {key: CONFIG["datasets"][dataset].get(key) for key in ("format", "images", "resize")}
    return limits.render_more(folder, CONFIG["render"][dataset], entry, TOPS[dataset], number, seed)


@pytest.fixture(scope="module")
def shtb(tmp_path_factory):
    """A small dataset, prepared."""
    folder, images = tmp_path_factory.mktemp("shtb"), {"train": 6, "test": 3}
    render_dataset(folder, CONFIG["render"]["shtb"], images, seed=5)
    samples = read_split("shanghaitech", folder / TOPS["shtb"], images, None, {"val": 2}, seed=5)
    prepare(samples, folder)
    return Index.open(folder / "index.csv")


def test_more_images_are_none_of_the_dataset_s(shtb, tmp_path):
    index = more("shtb", tmp_path, number=9)
    assert len(index) == 9 and set(index.frame["split"]) == {"train"}
    old, new = ({each.image(i).tobytes() for i in range(9)} for each in (shtb, index))
    assert len(old) == len(new) == 9 and not old & new
    assert set(index.frame["quality"]) == set(shtb.frame["quality"])


class Network(nn.Module):
    """All that an objective asks of a network."""

    def __init__(self, task):
        super().__init__()
        self.task, self.stride = task, STRIDES[task]


@pytest.mark.parametrize("dataset", TOPS)
def test_true_labels_are_the_targets_that_real_images_have(dataset, tmp_path):
    index, task = more(dataset, tmp_path / "more"), TASKS[dataset]
    found = limits.write_images(tmp_path / "it", index, limits.true_maps(index, task, 1.5, 7), "truth", task)
    write_fake(tmp_path / "it.csv", found)
    fake = read_fake(tmp_path / "it.csv")
    generated, real = FakeImages(fake, STRIDES[task]), Split(index, "train")
    objective = load_objective(Network(task), sigma=1.5, kernel=7, density_scale=1)
    for i in range(3):
        np.testing.assert_array_equal(generated.image(i), real.image(i))
        np.testing.assert_allclose(generated.target(i), objective.target(real, i), rtol=1e-3)
    if task == "counting":
        np.testing.assert_allclose(fake["count"], index.frame["count"], rtol=1e-4)
        assert fake["depth"].isna().all()
    else:
        assert fake["count"].isna().all() and fake["depth"].between(0.5, 10).all()


def test_a_folder_of_images_appears_when_it_is_complete(shtb, tmp_path):
    def fails():
        yield from ()
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        limits.write_images(tmp_path / "it", shtb, fails(), "truth", "counting")
    assert not list(tmp_path.iterdir())


class Half(nn.Module):
    """An annotator that finds half as many people as an image is bright."""

    task, stride, mean, std = "counting", 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def output_size(self, height, width):
        return height // 8, width // 8

    def density(self, image):
        return nn.functional.avg_pool2d(image.mean(1, keepdim=True), 8) / 2


def test_an_annotator_s_maps_are_in_the_order_of_the_images():
    images = [np.full((8 * n, 16, 3), 10 * n, np.uint8) for n in (1, 2, 1, 3)]
    sums = [found.sum() for found in bias.find(Half(), images, "cpu")]
    assert sums[0] == sums[2] and len(set(sums)) == 3
    assert sums[1] == pytest.approx(4 * sums[0]) and sums[3] == pytest.approx(9 * sums[0])


@pytest.mark.parametrize(("height", "width"), [(64, 96), (30, 41)])
def test_the_shipped_autoencoder_gives_an_image_back_softened(shtb, height, width):
    pipeline = load_pipeline(str(MODELS / "stable-diffusion"), SETTINGS, "cpu")
    image = shtb.image(0)[:height, :width]
    found = pass_through(pipeline, image)
    assert found.shape == image.shape and found.dtype == np.uint8
    off = np.abs(found.astype(int) - image).mean()
    assert 0 < off < 15


def test_a_share_of_the_images_that_an_annotator_learns_from_is_softened(tmp_path):
    given = CONFIG["render"]["shtb"], None, 12, 1, 1
    sharp = annotators.render_images(tmp_path / "sharp", *given)
    soft = annotators.render_images(tmp_path / "soft", *given, lambda image: image // 2, 0.5)
    changed = [not np.array_equal(sharp.image(i), soft.image(i)) for i in range(12)]
    assert 2 <= sum(changed) <= 10
    for i in range(12):
        np.testing.assert_array_equal(soft.image(i), sharp.image(i) // 2 if changed[i] else sharp.image(i))
        np.testing.assert_array_equal(soft.heads(i), sharp.heads(i))


def test_what_an_annotator_finds_in_images_of_each_kind(shtb, tmp_path):
    torch.manual_seed(0)
    pipeline = load_pipeline(str(save_pipeline(tmp_path / "model")), SETTINGS, "cpu")
    real = pd.DataFrame(bias.compare_real(Half(), pipeline, shtb, "cpu"))
    assert real["kind"].value_counts().to_dict() == {bias.TRAIN: 4, bias.TEST: 3, bias.DECODED: 3}
    assert real.groupby("kind")["true"].sum()[bias.TEST] == real.groupby("kind")["true"].sum()[bias.DECODED]
    np.testing.assert_allclose(real["error"], real["found"] - real["true"])

    words = {"prefix": "large crowd", "suffix": {"grey": "grayscale image", "colour": "color image"}}
    settings = (SETTINGS, CONFIG["render"]["shtb"], None, words, 4, 5)
    captioned = pd.DataFrame(bias.compare_captioned(Half(), pipeline, *settings, "cpu"))
    assert captioned.equals(pd.DataFrame(bias.compare_captioned(Half(), pipeline, *settings, "cpu")))
    for row in captioned.itertuples():
        assert row.of.startswith("large crowd, ") and row.of.endswith(", color image")
        assert row.size == crowd_size(row.true, 96, 64)

    fake = pd.DataFrame(bias.compare_fake(pd.DataFrame({"stem": ["a", "b"], "count": [3.0, 5.0]}), "counting"))
    frame = pd.concat([real, fake, captioned], ignore_index=True)
    bias.write_bias(frame, tmp_path / "it.md", tmp_path / "it.csv", "half", "SHTB", "counting")
    assert len(pd.read_csv(tmp_path / "it.csv")) == 16
    text = (tmp_path / "it.md").read_text()
    assert f"| {bias.FAKE} " in text and "half" in text and "true captions" in text


def test_means_ratios_and_errors_of_what_is_known():
    rows = [(bias.TEST, "", 10.0, 8.0), (bias.TEST, "", 30.0, 32.0), (bias.FAKE, "", np.nan, 7.0)]
    rows += [(bias.CAPTIONED, "few", 4.0, 2.0), (bias.CAPTIONED, "large", 100.0, 50.0)]
    frame = pd.DataFrame(rows, columns=["kind", "size", "true", "found"])
    table = bias.summarise(frame.assign(error=frame["found"] - frame["true"]), "counting")
    assert table.to_numpy().tolist() == [
        [bias.TEST, "2", "20.0", "20.0", "1.00", "2.0"],
        [bias.FAKE, "1", "—", "7.0", "—", "—"],
        [bias.CAPTIONED, "2", "52.0", "26.0", "0.50", "26.0"],
        ["… of a crowd of size “few”", "1", "4.0", "2.0", "0.50", "2.0"],
        ["… of a crowd of size “large”", "1", "100.0", "50.0", "0.50", "50.0"],
    ]


class Far(nn.Module):
    """An annotator that finds everything 2 m away."""

    task, stride, mean, std = "depth", 1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def output_size(self, height, width):
        return height, width

    def depth(self, image):
        return torch.full_like(image[:, :1], 2.0)


def test_the_error_of_depth_is_that_of_its_pixels(tmp_path):
    index = more("nyu", tmp_path)
    index.frame["split"] = ["train", "train", "test"]
    pipeline = load_pipeline(str(save_pipeline(tmp_path / "model")), SETTINGS, "cpu")
    found = pd.DataFrame(bias.compare_real(Far(), pipeline, index, "cpu")).set_index("kind")
    true = index.depth(2)
    for kind in (bias.TEST, bias.DECODED):
        row = found.loc[kind]
        assert (row["found"], row["true"]) == (2, pytest.approx(true.mean(), rel=1e-5))
        assert row["error"] == pytest.approx(np.sqrt(np.mean((true - 2.0) ** 2)), rel=1e-5)
