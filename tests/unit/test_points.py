"""Points that stand for a density map: how many, where, and always the same."""

import numpy as np
import pytest

from promptmix.tasks.points import number_of, place_points


@pytest.mark.parametrize(("count", "number"), [(0, 0), (0.49, 0), (0.5, 1), (2.5, 3), (7.4, 7), (-0.8, 0)])
def test_a_count_is_rounded_to_whole_points(count, number):
    assert number_of(count) == number


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (51, 34), (8, 8), (1, 1), (9, 200)])
def test_each_point_is_in_the_image_also_if_coordinates_begin_at_1_and_no_two_are_one(width, height):
    density = np.random.default_rng(1).random((-(-height // 8), -(-width // 8)), dtype=np.float32)
    points = place_points(density, float(density.sum()), 8, width, height)
    assert len(points) == number_of(float(density.sum()))
    assert (points >= 0).all() and (points + 1 <= [width, height]).all()
    assert len(np.unique(points, axis=0)) == len(points)


def test_each_square_of_cells_has_its_share_to_within_one_point():
    rng = np.random.default_rng(2)
    density = (rng.random((20, 28)) ** 6).astype(np.float32)
    points = place_points(density, float(density.sum(dtype=np.float64)), 8, 224, 160)
    drawn = np.zeros((20, 28))
    np.add.at(drawn, tuple(points[:, ::-1].T.astype(int) // 8), 1)
    share = density * (len(points) / density.sum(dtype=np.float64))
    for side in (1, 2, 4, 8, 16):
        for row in range(0, 20, side):
            for column in range(0, 28, side):
                square = np.s_[row : row + side, column : column + side]
                assert abs(drawn[square].sum() - share[square].sum()) < 1 + 1e-4


def test_nobody_is_put_where_the_map_has_nobody():
    density = np.zeros((4, 6), dtype=np.float32)
    density[1, 2], density[3, 5], density[0, 0] = 3.2, 1.9, -0.6
    points = place_points(density, 4.5, 8, 48, 32)
    assert sorted(map(tuple, (points // 8).astype(int).tolist())) == [(2, 1)] * 3 + [(5, 3)] * 2
    np.testing.assert_array_equal(points[0], [20, 12])  # the middle of its cell


def test_the_same_map_gives_the_same_points():
    density = np.random.default_rng(3).random((9, 9), dtype=np.float32)
    np.testing.assert_array_equal(*(place_points(density.copy(), 40.4, 8, 72, 72) for _ in range(2)))
