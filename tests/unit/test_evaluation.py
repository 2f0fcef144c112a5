"""Evaluation: errors against the points' count."""

import numpy as np
import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.networks.build import build
from promptmix.training.evaluation import predict


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
