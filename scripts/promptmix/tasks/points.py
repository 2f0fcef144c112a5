"""Points for a density map, for formats that have heads and not density."""

from functools import cache

import numpy as np

SPREAD = np.array([0.7548776662466927, 0.5698402909980532])
"""Steps along x and y, in cells, from one point of a cell to the next (modulo 1), which spread any number of points evenly:
powers of the inverse of the plastic number, as in Roberts' sequence R2."""


def number_of(count: float) -> int:
    """Return how many points stand for a count: the nearest whole number, 0 for what is negative."""
    return max(0, int(np.floor(count + 0.5)))


def place_points(density: np.ndarray, count: float, stride: int, width: int, height: int) -> np.ndarray:
    """Return as many points as a density map has people, where it has them; the same ones each time.

    The cells are put into a row along a Z-order curve, which keeps neighbours together, and each point takes an equal share
    of the people in that row: so each square of 1, 2, 4, 8 ... cells (by the same number, from the upper left corner on) has
    as many points as is its share of the map, to within one. The first point of a cell is in its middle. Cells below 0 hold
    nobody.

    Args:
        density: (h, w), people per cell.
        count: of the people, its sum.
        stride: pixels of a cell, along a side; cells at the right and lower edge may be partial.
        width, height: of the image, in pixels.

    Returns:
        (N, 2) float64, x and y in pixels, 0-based and continuous, rounded to hundredths; none is in the last pixel but for
        its upper left corner, so that they are in the image too if coordinates begin at 1.
    """
    number = number_of(count)
    order = _z_order(*density.shape)
    held = np.cumsum(np.maximum(density, 0).ravel()[order], dtype=np.float64)
    place = np.searchsorted(held, (np.arange(number) + 0.5) / max(number, 1) * held[-1], side="right")
    row, column = np.divmod(order[place], density.shape[1])
    rank = np.arange(number) - np.searchsorted(place, place)  # of a point within its cell
    start = np.stack([column, row], axis=1) * stride
    size = np.array([width, height])
    within = np.minimum(size - start, stride)
    points = start + 0.5 + (0.5 + rank[:, None] * SPREAD) % 1 * (within - 1)
    return np.minimum(np.round(points, 2), size - 1)


@cache
def _z_order(rows: int, columns: int) -> np.ndarray:
    """Return the cells of a map, by their numbers row by row, in the order in which a Z-order curve meets them."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    key = np.zeros(rows * columns, dtype=np.int64)
    for bit in range(max(rows, columns).bit_length()):
        key |= (x >> bit & 1) << 2 * bit | (y >> bit & 1) << 2 * bit + 1
    return np.argsort(key)
