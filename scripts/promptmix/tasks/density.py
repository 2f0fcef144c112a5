"""Ground truth density maps: one unit of mass per head, Gaussian (kernel of 15 pixels, sigma 4; paper, section IV-A).

Coordinates are 0-based and continuous: pixel i covers [i, i + 1), so a horizontal flip is x -> width - x and a resize
by s is x -> s x. The annotation files' 1-based coordinates minus 1 fall into the pixel that the authors' code uses.

There are two constructions. `density_at_stride` integrates the Gaussian over the cells of a network's output and is
the training target: after any crop, flip or resize of the points, the sum is still their number. `density_map_paper`
is the full-resolution map of C-3-Framework and SASNet, pixel by pixel.
"""

from collections.abc import Iterator

import numpy as np
import torch

# Elements of the temporary (heads, rows, columns) array: 32 MB.
_CHUNK = 1 << 22


def kernel_sizes(count: int, kernel: float, sigma: float, boxes: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel's size and sigma in pixels, each (count, 2) for x and y.

    With `boxes`, (count, 2) widths and heights in pixels, the kernel follows each head's box (PANDA-Crowd): the size is
    the side made odd (14.6 becomes 15, 16.2 becomes 17), and sigma keeps its ratio to the size (4/15). A side of 0
    means "no box" and takes `kernel` and `sigma`.
    """
    sizes = np.full((count, 2), float(kernel))
    sigmas = np.full((count, 2), float(sigma))
    if boxes is not None:
        sides = np.asarray(boxes, dtype=np.float64).reshape(count, 2)
        boxed = sides > 0
        sizes[boxed] = 2 * np.floor(sides[boxed] / 2) + 1
        sigmas[boxed] = sizes[boxed] * (sigma / kernel)
    return sizes, sigmas


def density_at_stride(
    points: np.ndarray,
    height: int,
    width: int,
    stride: int,
    sigma: float = 4.0,
    kernel: int = 15,
    boxes: np.ndarray | None = None,
    shape: tuple[int, int] | None = None,
) -> np.ndarray:
    """Return people per cell of stride x stride pixels, (h, w) float32; the sum is the number of points (to 1e-5).

    Each head's Gaussian is cut to its kernel's window and to the part of the image that the map covers, scaled to a
    mass of 1, and integrated over the cells exactly. Points outside that part are moved to its edge.

    Args:
        points: (N, 2) x and y in pixels.
        height, width: size of the image in pixels.
        stride: side of a cell in pixels.
        sigma, kernel: of the Gaussian, in pixels.
        boxes: (N, 2) width and height of each head's box, for kernels that follow the boxes (see `kernel_sizes`).
        shape: (h, w) of the network's output: ResCSRNet rounds height / stride up (the default), CSRNet down.

    Raises:
        ValueError: points are not finite, or the map of an image with heads has no cells.
    """
    h, w = shape or (-(-height // stride), -(-width // stride))
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if not len(points):
        return np.zeros((h, w), dtype=np.float32)
    covered = np.array([min(width, w * stride), min(height, h * stride)], dtype=np.float64)
    if covered.min() <= 0:
        raise ValueError(f"a map of {h}x{w} cells has no room for the {len(points)} heads of a {height}x{width} image")
    if not np.isfinite(points).all():
        raise ValueError("points have coordinates that are not finite; expected x and y in pixels")
    sizes, sigmas = kernel_sizes(len(points), kernel, sigma, boxes)
    centres = np.clip(points, 0, covered)
    starts = np.maximum(centres - sizes / 2, 0)
    ends = np.minimum(centres + sizes / 2, covered)
    first = np.floor(starts / stride).astype(np.int64)
    spans = np.ceil(ends / stride).astype(np.int64) - first

    def masses(heads, cells):
        edges = (first[heads, :, None] + np.arange(cells + 1)) * float(stride)
        edges = np.maximum(np.minimum(edges, ends[heads, :, None]), starts[heads, :, None])
        below = _normal_cdf((edges - centres[heads, :, None]) / sigmas[heads, :, None])
        return (below[..., 1:] - below[..., :-1]) / (below[..., -1:] - below[..., :1])

    return _sum_windows(masses, first, spans, (h, w)).astype(np.float32)


def density_map_paper(
    points: np.ndarray,
    height: int,
    width: int,
    kernel: int = 15,
    sigma: float = 4.0,
    boxes: np.ndarray | None = None,
) -> np.ndarray:
    """Return people per pixel, (height, width) float64, in the convention of C-3-Framework and SASNet.

    The kernel is centred on the head's pixel. Where its window extends beyond the image, the window is cut, and a
    smaller kernel, normalised to 1 and centred on the cut window, is used instead: the sum stays the count, and the
    peak moves inwards. Points are in this project's 0-based coordinates; as in the authors' code, a coordinate that is
    negative in the files' 1-based system loses its sign, and points beyond the far edges count at the edge.

    Args: as for `density_at_stride`; `kernel` must be odd.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    if not len(points):
        return np.zeros((height, width))
    sizes, sigmas = kernel_sizes(len(points), kernel, sigma, boxes)
    limits = np.array([width, height])
    pixels = np.clip(np.abs(np.floor(points + 1)), 1, limits).astype(np.int64) - 1
    reach = sizes.astype(np.int64) // 2
    first = np.maximum(pixels - reach, 0)
    spans = np.minimum(pixels + reach + 1, limits) - first

    def masses(heads, cells):
        position = np.arange(cells)
        offset = position - (spans[heads, :, None] - 1) / 2
        weight = np.exp(-0.5 * np.square(offset / sigmas[heads, :, None])) * (position < spans[heads, :, None])
        return weight / weight.sum(axis=-1, keepdims=True)

    return _sum_windows(masses, first, spans, (height, width))


def _sum_windows(masses, first: np.ndarray, spans: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Add up the heads' windows, the outer products of their masses along y and along x, in a map of `shape`.

    Args:
        masses: function of (heads, cells) that returns the mass of each head in `cells` cells, starting at its first
            one, along x and along y: (heads, 2, cells), with zeros after the head's own span.
        first: (N, 2) first cell of each head's window, x and y.
        spans: (N, 2) number of cells in each head's window, x and y.
    """
    h, w = shape
    total = np.zeros(h * w)
    for heads in _group_by_size(spans.max(axis=1)):
        cells = int(spans[heads].max())
        along = masses(heads, cells)
        mass = along[:, 1, :, None] * along[:, 0, None, :]
        # Cells after a head's span are zero, so those outside the map may point anywhere inside it.
        position = np.minimum(first[heads, :, None] + np.arange(cells), [[w - 1], [h - 1]])
        cell = position[:, 1, :, None] * w + position[:, 0, None, :]
        total += np.bincount(cell.ravel(), weights=mass.ravel(), minlength=h * w)
    return total.reshape(h, w)


def _group_by_size(spans: np.ndarray) -> Iterator[np.ndarray | slice]:
    """Group heads by the size of their windows, within a factor of 2, into chunks of bounded memory."""
    largest = int(spans.max())
    if len(spans) * largest**2 <= _CHUNK:
        yield slice(None)
        return
    magnitudes = np.ceil(np.log2(spans)).astype(np.int64)
    for magnitude in np.unique(magnitudes):
        heads = np.flatnonzero(magnitudes == magnitude)
        step = max(1, _CHUNK >> (2 * int(magnitude)))
        for start in range(0, len(heads), step):
            yield heads[start : start + step]


def _normal_cdf(x: np.ndarray) -> np.ndarray:
    """Return the share of a normal distribution below x, with torch: scipy.special takes 1/3 s to import."""
    return torch.special.ndtr(torch.from_numpy(x)).numpy()
