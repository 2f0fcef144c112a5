"""Evaluation: errors against the points' count."""

import numpy as np
import pandas as pd
import pytest
from torch import nn

from promptmix.errors import InputError
from promptmix.networks.build import build
from promptmix.networks.checkpoints import load_network, save_weights
from promptmix.records.predictions import COUNTS, PREDICTIONS
from promptmix.training.evaluation import checkpoint_of, predict, predict_runs, with_keys


class ThreeImages:
    """One image of each split, of three sizes."""

    frame = pd.DataFrame(
        {"image": ["a", "b", "c"], "split": ["train", "val", "test"], "height": [40, 37, 48], "width": [48, 50, 64]}
    ).assign(count=[3, 4, 5])

    def image(self, i):
        row = self.frame.iloc[i]
        return np.full((row["height"], row["width"], 3), 100, dtype=np.uint8)

    def split(self, name):
        return np.flatnonzero(self.frame["split"] == name)


@pytest.mark.parametrize(("split", "image", "count"), [("val", "b", 4), ("test", "c", 5)])
def test_predictions_are_compared_with_the_number_of_points(split, image, count):
    network = build("csrnet", width=0.05)
    predictions = predict(network, ThreeImages(), split, "cpu")
    assert predictions["image"].tolist() == [image]
    assert predictions["count"].tolist() == [count]
    assert predictions["error"][0] == predictions["predicted"][0] - count
    assert not network.training


def test_an_empty_split_is_an_error():
    with pytest.raises(InputError, match="'none'"):
        predict(build("csrnet", width=0.05), ThreeImages(), "none", "cpu")


CHOICE = {
    "experiment": "shta",
    "learning_rate": "1e-3",
    "candidates": {"1e-3": {"repeats": [{"repeat": 0}, {"repeat": 1}]}, "2e-3": {"repeats": [{"repeat": 0}]}},
}


@pytest.fixture
def checkpoints(tmp_path):
    """Checkpoints of two learning rates and two repeats: file i holds a network that gives i in each of its cells."""
    files = []
    for rate in ("2e-3", "1e-3"):
        for repeat in (1, 0):
            network = build("csrnet", width=0.05)
            nn.init.zeros_(network.output_layer.weight)
            nn.init.constant_(network.output_layer.bias, len(files))
            files.append(tmp_path / f"{len(files)}.safetensors")
            keys = {"experiment": "shta", "learning_rate": rate, "repeat": str(repeat)}
            save_weights(files[-1], network, keys)
    return files


def test_a_checkpoint_is_found_by_what_it_says(checkpoints):
    assert checkpoint_of(checkpoints, "1e-3") == checkpoints[3]
    assert checkpoint_of(checkpoints, "2e-3", repeat=1) == checkpoints[0]


def test_a_run_has_one_checkpoint(checkpoints, tmp_path):
    with pytest.raises(InputError, match=r"0 say.*learning rate 1e-4, repeat 0; expected one.*snakemake"):
        checkpoint_of(checkpoints, "1e-4")
    with pytest.raises(InputError, match=r"2 say.*learning rate 1e-3, repeat 0; expected one"):
        checkpoint_of([*checkpoints, checkpoints[3]], "1e-3")
    save_weights(checkpoints[3], build("csrnet", width=0.05))
    with pytest.raises(InputError, match=r"3\.safetensors, 0 say"):
        checkpoint_of(checkpoints, "1e-3")


@pytest.mark.parametrize("order", [1, -1])
def test_the_networks_of_the_chosen_learning_rate_are_tested_repeat_by_repeat(checkpoints, order, tmp_path):
    def load(checkpoint):
        return load_network("csrnet", checkpoint, width=0.05)

    found = predict_runs(checkpoints[::order], CHOICE, load, ThreeImages(), "cpu")
    assert list(found.columns) == [*COUNTS.columns]
    assert found[["experiment", "learning_rate", "repeat", "image"]].to_numpy().tolist() == [
        ["shta", "1e-3", 0, "c"],
        ["shta", "1e-3", 1, "c"],
    ]
    assert found["predicted"].tolist() == [3 * 6 * 8, 2 * 6 * 8]
    PREDICTIONS.write(tmp_path / "predictions.csv", found)
    pd.testing.assert_frame_equal(COUNTS.read(tmp_path / "predictions.csv"), found, check_dtype=False)


def test_an_annotator_has_no_learning_rate(tmp_path):
    found = with_keys(predict(build("csrnet", width=0.05), ThreeImages(), "test", "cpu"), "sasnet")
    PREDICTIONS.write(tmp_path / "predictions.csv", found)
    (row,) = COUNTS.read(tmp_path / "predictions.csv").to_dict("records")
    assert (row["experiment"], row["learning_rate"], row["repeat"], row["image"]) == ("sasnet", "", 0, "c")
