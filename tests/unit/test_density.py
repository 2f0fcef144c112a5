"""The ground truth: every head has a mass of 1, at the position of the head."""

import json
from pathlib import Path

import numpy as np
import pytest

from promptmix.tasks.density import density_at_stride, density_map_paper

GOLDEN = json.loads((Path(__file__).parents[1] / "parity" / "density.json").read_text())


def _points(number, width, height, seed=0):
    return np.random.default_rng(seed).random((number, 2)) * [width, height]


def _block_sums(density, stride):
    height, width = density.shape
    return density.reshape(height // stride, stride, width // stride, stride).sum(axis=(1, 3))


# --- the authors' full-resolution map


def test_paper_map_equals_the_authors():
    golden = GOLDEN["golden"]
    points = np.array(GOLDEN["points (x, y)"]) - 1
    density = density_map_paper(points, GOLDEN["height"], GOLDEN["width"])
    assert list(density.shape) == golden["shape"]
    assert density.sum() == pytest.approx(golden["sum"], abs=1e-12)
    assert density.std() == pytest.approx(golden["std"], abs=1e-15)
    found = density.ravel()[[int(k) for k in golden["samples"]]]
    np.testing.assert_allclose(found, list(golden["samples"].values()), rtol=0, atol=1e-15)


@pytest.mark.parametrize("head", GOLDEN["single heads"])
def test_paper_map_of_one_head_equals_the_authors(head):
    golden = GOLDEN["single heads"][head]
    density = density_map_paper(np.array([json.loads(head)]) - 1, GOLDEN["height"], GOLDEN["width"])
    assert density.sum() == pytest.approx(1)
    assert density.max() == pytest.approx(golden["peak"], abs=1e-15)
    assert list(np.argwhere(density > density.max() - 1e-12)[0]) == golden["peak row, column"]
    rows, columns = np.nonzero(density)
    assert [rows.min(), rows.max()] == golden["rows"]
    assert [columns.min(), columns.max()] == golden["columns"]


def test_paper_map_kernel_follows_the_box():
    density = density_map_paper([[40, 30]], 60, 80, boxes=[[10.5, 5]])
    rows, columns = np.nonzero(density)
    assert (columns.min(), columns.max()) == (35, 45)
    assert (rows.min(), rows.max()) == (28, 32)


# --- the training target


@pytest.mark.parametrize("stride", [1, 2, 8, 16])
@pytest.mark.parametrize(("height", "width"), [(768, 1024), (767, 1021), (61, 83), (16, 16)])
@pytest.mark.parametrize("round_up", [True, False])
def test_sum_is_the_count(height, width, stride, round_up):
    points = np.concatenate([_points(500, width, height), [[0, 0], [width, height], [width - 1, 0], [0, height - 0.5]]])
    shape = (-(-height // stride), -(-width // stride)) if round_up else (height // stride, width // stride)
    density = density_at_stride(points, height, width, stride, shape=shape)
    assert density.shape == shape
    assert density.dtype == np.float32
    assert density.sum(dtype=np.float64) == pytest.approx(len(points), abs=1e-5)
    assert density.min() >= 0


def test_sum_is_the_count_in_the_largest_crowd():
    """UCF-QNRF's largest image has 12 865 heads."""
    density = density_at_stride(_points(12_865, 1920, 1440), 1440, 1920, 8)
    assert density.sum(dtype=np.float64) == pytest.approx(12_865, abs=1e-5)


def test_sum_is_the_count_after_crop_flip_and_resize():
    points = _points(300, 1024, 768)
    left, top, width, height = 101, 53, 517, 389
    crop = points[((points >= [left, top]) & (points < [left + width, top + height])).all(axis=1)] - [left, top]
    flipped = np.stack([width - crop[:, 0], crop[:, 1]], axis=1)
    resized = flipped * 0.37
    for points, scale in ((crop, 1), (flipped, 1), (resized, 0.37)):
        density = density_at_stride(points, round(height * scale), round(width * scale), 8)
        assert density.sum(dtype=np.float64) == pytest.approx(len(crop), abs=1e-5)


def test_no_heads_no_mass():
    assert density_at_stride(np.zeros((0, 2)), 20, 30, 8).tolist() == [[0] * 4] * 3
    assert not density_map_paper([], 20, 30).any()


def test_a_flipped_crowd_has_the_flipped_map():
    points = _points(100, 1024, 768)
    density = density_at_stride(points, 768, 1024, 8)
    flipped = density_at_stride(np.stack([1024 - points[:, 0], points[:, 1]], axis=1), 768, 1024, 8)
    np.testing.assert_allclose(flipped, density[:, ::-1], atol=1e-6)


def test_cells_hold_the_integral_of_the_gaussian():
    """Against a Gaussian summed over a grid of 32 points per pixel, cut to 15 pixels and scaled to 1."""
    x, y = 41.3, 18.8
    along = [
        np.where(np.abs(c - centre) <= 7.5, np.exp(-0.5 * ((c - centre) / 4) ** 2), 0)
        for centre, size in ((y, 64), (x, 96))
        for c in [(np.arange(size * 32) + 0.5) / 32]
    ]
    fine = np.outer(*along)
    expected = _block_sums(fine / fine.sum(), 8 * 32)
    np.testing.assert_allclose(density_at_stride([[x, y]], 64, 96, 8), expected, atol=3e-4)


def test_agrees_with_block_sums_of_the_authors_map():
    """Away from the border they differ only in the head's position within its pixel, and as pixels from integrals."""
    points = np.floor(_points(50, 60, 40)) + 20.5
    target = density_at_stride(points, 80, 104, 8)
    np.testing.assert_allclose(target, _block_sums(density_map_paper(points, 80, 104), 8), atol=0.02)


def test_mass_of_heads_in_the_strip_that_csrnet_cuts_off_goes_to_the_last_cells():
    density = density_at_stride(
        [[95, 31], [102.9, 31], [50, 70.9]], 71, 103, 8, boxes=[[0, 0], [1, 1], [3, 3]], shape=(8, 12)
    )
    assert density.sum(dtype=np.float64) == pytest.approx(3, abs=1e-6)
    assert density[:, -1].sum() > 1.5
    assert density[-1].sum() == pytest.approx(1, abs=1e-6)


def test_kernels_follow_the_boxes():
    """Sides of 22.6 and 2.2 pixels give kernels of 23 and 3; sides of 0 give the fixed kernel."""
    rows, columns = np.nonzero(density_at_stride([[40, 30.5]], 64, 80, 1, boxes=[[22.6, 2.2]]))
    assert (columns.min(), columns.max()) == (28, 51)
    assert (rows.min(), rows.max()) == (29, 31)
    unboxed = density_at_stride([[40, 30.5]], 64, 80, 8, boxes=[[0, 0]])
    np.testing.assert_array_equal(unboxed, density_at_stride([[40, 30.5]], 64, 80, 8))


def test_boxes_of_very_different_sizes():
    """Heads are processed in chunks of similar size; each still has its own kernel."""
    points = _points(3000, 640, 360)
    boxes = np.repeat(np.exp(np.random.default_rng(1).uniform(-1, 6, 3000))[:, None], 2, axis=1)
    together = density_at_stride(points, 360, 640, 8, boxes=boxes)
    apart = sum(
        density_at_stride(points[i : i + 100], 360, 640, 8, boxes=boxes[i : i + 100]).astype(float)
        for i in range(0, 3000, 100)
    )
    assert together.sum(dtype=np.float64) == pytest.approx(3000, abs=1e-3)
    np.testing.assert_allclose(together, apart, atol=1e-4)


def test_points_outside_count_at_the_edge():
    density = density_at_stride([[-50, 4], [500, 4]], 40, 80, 8)
    assert density[:, :2].sum() == pytest.approx(1, abs=1e-6)
    assert density[:, -2:].sum() == pytest.approx(1, abs=1e-6)


def test_impossible_requests_are_errors():
    with pytest.raises(ValueError, match=r"map of 0x1 cells has no room for the 1 heads of a 7x9 image"):
        density_at_stride([[1, 1]], 7, 9, 8, shape=(0, 1))
    with pytest.raises(ValueError, match="not finite"):
        density_at_stride([[np.nan, 1]], 70, 90, 8)
