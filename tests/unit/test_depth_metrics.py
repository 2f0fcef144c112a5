"""Metrics of depth, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.tasks.depth_metrics import CONVENTIONS, CROPS, crop_of, image_sums, metrics

NAMES = [
    f"{name}_{crop}" for crop in ("full", "eigen", "guidedepth") for name in ("pixels", "squared", "d1", "d2", "d3")
]


def frame(*pairs):
    return pd.DataFrame([image_sums(np.array(p, np.float32), np.array(t, np.float32)) for p, t in pairs])


def full(predicted, true):
    sums = image_sums(np.array([predicted], float), np.array([true], float))
    return [sums[f"{name}_full"] for name in ("pixels", "squared", "d1", "d2", "d3")]


@pytest.mark.parametrize(
    ("predicted", "true", "expected"),
    [
        ([2, 2, 2, 2], [2, 2, 2, 2], [4, 0, 4, 4, 4]),
        ([1, 3], [2, 2], [2, 2, 0, 1, 1]),  # ratios of 2, too large, and 1.5, below 1.5625
        ([4, 5], [5, 4], [2, 2, 0, 2, 2]),  # a ratio of exactly 1.25 is not below it, either way round
        ([2.4, 3.1, 3.9, 4.0], [2, 2, 2, 2], [4, 0.16 + 1.21 + 3.61 + 4, 1, 2, 3]),
        ([3, 9, 1], [2, 0, 0], [1, 1, 0, 1, 1]),  # unknown pixels take no part
        ([5, 5], [0, 0], [0, 0, 0, 0, 0]),
        ([12, np.inf], [9, 10], [2, 1, 2, 2, 2]),  # clamped to 10 m
        ([0, -3], [1, 0.001], [2, 0.999**2, 1, 1, 1]),  # and to 1 mm
    ],
)
def test_sums_by_hand(predicted, true, expected):
    assert full(predicted, true) == pytest.approx(expected)


def test_a_prediction_that_is_not_a_number_shows():
    pixels, squared, *deltas = full([np.nan, 2], [2, 2])
    assert pixels == 2 and np.isnan(squared) and deltas == [1, 1, 1]
    assert full([np.nan, 2], [0, 2]) == [1, 0, 1, 1, 1]


def test_columns_are_those_of_the_three_crops():
    sums = image_sums(np.ones((48, 64)), np.ones((48, 64)))
    assert list(sums) == NAMES
    assert [type(sums[name]) for name in NAMES[:5]] == [int, float, int, int, int]


def test_arguments_are_left_as_they_are():
    predicted, true = np.array([[20.0, -1.0]]), np.array([[0.0, 2.0]])
    image_sums(predicted, true)
    assert predicted.tolist() == [[20, -1]] and true.tolist() == [[0, 2]]


def test_maps_of_different_shapes():
    with pytest.raises(ValueError, match=r"predicted depth of shape \(2, 3\) for true depth of shape \(1, 3\)"):
        image_sums(np.ones((2, 3)), np.ones((1, 3)))


@pytest.mark.parametrize(
    ("crop", "first", "last"), [("full", (0, 0), (479, 639)), ("eigen", (45, 41), (470, 600)), ("guidedepth", (20, 24), (459, 615))]
)  # fmt: skip
def test_crops_at_nyus_size(crop, first, last):
    inside = np.zeros((480, 640), bool)
    inside[crop_of(crop, 480, 640)] = True
    where = np.argwhere(inside)
    assert (tuple(where[0]), tuple(where[-1])) == (first, last)
    true = np.where(inside, 2.0, 0)
    true[first] = true[last] = 4
    sums = image_sums(np.full((480, 640), 2.0), true)
    height, width = (b - a + 1 for a, b in zip(first, last, strict=True))
    assert sums[f"pixels_{crop}"] == height * width
    assert sums[f"squared_{crop}"] == 8
    assert sums[f"d1_{crop}"] == height * width - 2


@pytest.mark.parametrize(
    ("crop", "height", "width", "expected"),
    [
        ("full", 72, 96, (0, 72, 0, 96)),
        ("eigen", 72, 96, (7, 71, 6, 90)),  # 6.75, 70.65, 6.15 and 90.15
        ("guidedepth", 72, 96, (3, 69, 4, 92)),  # 3, 69, 3.6 and 92.4
        ("guidedepth", 240, 320, (10, 230, 12, 308)),
        ("eigen", 240, 320, (23, 236, 21, 301)),  # 22.5, 235.5, 20.5 and 300.5: halves go up
        ("eigen", 960, 640, (90, 942, 41, 601)),
    ],
)
def test_crops_in_proportion(crop, height, width, expected):
    rows, columns = crop_of(crop, height, width)
    assert (rows.start, rows.stop, columns.start, columns.stop) == expected


# Image 1: four known pixels, errors 1, 1, 1, 1 and ratios of 2, 2, 2, 2. Image 2: one known pixel, no error.
UNEQUAL = (([[2, 2, 2, 2]], [[1, 1, 1, 1]]), ([[5, 9, 9, 9]], [[5, 0, 0, 0]]))


def test_averages_over_images_and_over_pixels_differ():
    table = frame(*UNEQUAL)
    assert metrics(table, "full", "images") == pytest.approx({"rmse": 0.5, "delta1": 0.5, "delta2": 0.5, "delta3": 0.5})
    pooled = metrics(table, "full", "pixels")
    assert pooled == pytest.approx({"rmse": (4 / 5) ** 0.5, "delta1": 0.2, "delta2": 0.2, "delta3": 0.2})


def test_thresholds_have_their_own_columns():
    found = metrics(frame(([[1.2, 1.5, 1.9, 2.5]], [[1, 1, 1, 1]])), "full", "images")
    assert [found[f"delta{n}"] for n in (1, 2, 3)] == [0.25, 0.5, 0.75]


def test_crops_differ():
    """An error of 3 m in the rim only: outside both crops; one of 1 m at row 30 outside Eigen's crop only."""
    true = np.full((480, 640), 4.0)
    predicted = true.copy()
    predicted[:20], predicted[30, 24:616] = 7, 5
    table = pd.DataFrame([image_sums(predicted, true)])
    assert metrics(table, "full", "images")["rmse"] == pytest.approx(((9 * 20 * 640 + 592) / (480 * 640)) ** 0.5)
    assert metrics(table, "guidedepth", "images")["rmse"] == pytest.approx((592 / (440 * 592)) ** 0.5)
    assert metrics(table, "eigen", "images") == {"rmse": 0, "delta1": 1, "delta2": 1, "delta3": 1}


def test_an_image_without_a_known_pixel_in_the_crop_is_left_out():
    unknown, rim = np.zeros((480, 640)), np.zeros((480, 640))
    rim[0] = 2
    good, off = np.full((480, 640), 4.0), np.full((480, 640), 5.0)
    table = pd.DataFrame([image_sums(off, true) for true in (unknown, rim, good)])
    for average in ("images", "pixels"):
        assert metrics(table, "eigen", average)["rmse"] == 1
    assert metrics(table, "full", "images")["rmse"] == 2  # of 3 and 1


@pytest.mark.parametrize("average", ["images", "pixels"])
def test_no_known_pixel_at_all(average):
    table = frame(([[1, 1]], [[0, 0]]), ([[2, 2]], [[0, 0]]))
    with pytest.raises(InputError, match="none of 2 images has a pixel of known depth in the crop 'eigen'"):
        metrics(table, "eigen", average)


def test_conventions_are_all_that_metrics_knows():
    assert len(set(CONVENTIONS)) == 6 and {crop for crop, _ in CONVENTIONS} == set(CROPS)
    table = pd.DataFrame([image_sums(np.full((480, 640), 3.0), np.full((480, 640), 2.0))])
    assert all(metrics(table, *convention)["rmse"] == 1 for convention in CONVENTIONS)
    for wrong in (("middle", "images"), ("full", "median")):
        with pytest.raises(ValueError, match="is not a convention; known are .'full', 'images'"):
            metrics(table, *wrong)


def test_metrics_survive_a_csv(tmp_path):
    rng = np.random.default_rng(0)
    table = frame(
        *((rng.uniform(1, 9, (72, 96)), rng.uniform(1, 9, (72, 96)) * (rng.random((72, 96)) > 0.2)) for _ in range(3))
    )
    table.to_csv(tmp_path / "predictions.csv", index=False)
    again = pd.read_csv(tmp_path / "predictions.csv")
    for convention in CONVENTIONS:
        assert metrics(again, *convention) == pytest.approx(metrics(table, *convention), rel=1e-12)
