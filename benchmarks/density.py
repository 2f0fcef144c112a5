"""Time our training target and a plain one, which filters each head at full resolution, side by side.

    PYTHONPATH=scripts python benchmarks/density.py

The plain way, as in the loaders of CSRNet and many others: for each head an empty image with one pixel set,
`scipy.ndimage.gaussian_filter`, sum of all, then block sums at the network's stride.
"""

import time
from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from promptmix.tasks.density import density_at_stride, density_map_paper

HEIGHT, WIDTH, STRIDE = 768, 1024, 8


def per_head(points: np.ndarray, **keywords) -> np.ndarray:
    """Return the map at the stride, one full-resolution filter per head."""
    density = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for x, y in points.astype(int):
        head = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
        head[y, x] = 1
        density += gaussian_filter(head, 4, mode="constant", **keywords)
    return density.reshape(HEIGHT // STRIDE, STRIDE, WIDTH // STRIDE, STRIDE).sum(axis=(1, 3))


def fastest(function: Callable[[], object], runs: int, repeats: int) -> float:
    """Return the seconds of one call, the fastest of `repeats` series of `runs`."""
    series = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(runs):
            function()
        series.append((time.perf_counter() - start) / runs)
    return min(series)


def main() -> None:
    """Print one line per method and number of heads."""
    rng = np.random.default_rng(0)
    print(f"{WIDTH}x{HEIGHT} pixels, stride {STRIDE}, one thread")
    points = rng.random((120, 2)) * [WIDTH, HEIGHT]
    plain = fastest(lambda: per_head(points), 1, 3)
    cut = fastest(lambda: per_head(points, radius=7), 1, 3)
    target = fastest(lambda: density_at_stride(points, HEIGHT, WIDTH, STRIDE), 200, 5)
    paper = fastest(lambda: density_map_paper(points, HEIGHT, WIDTH), 20, 5)
    print(f" 120 heads  filter per head                {plain * 1e3:10.1f} ms   1")
    print(f" 120 heads  filter per head, 15 pixels     {cut * 1e3:10.1f} ms   {plain / cut:.1f} times faster")
    print(f" 120 heads  density_map_paper, full size   {paper * 1e3:10.3f} ms   {plain / paper:,.0f} times faster")
    print(f" 120 heads  density_at_stride              {target * 1e3:10.3f} ms   {plain / target:,.0f} times faster")
    for number in (500, 3000, 12_000):
        crowd = rng.random((number, 2)) * [WIDTH, HEIGHT]
        seconds = fastest(lambda crowd=crowd: density_at_stride(crowd, HEIGHT, WIDTH, STRIDE), 10, 3)
        ratio = plain / 120 * number / seconds
        print(f"{number:>6} heads  density_at_stride {seconds * 1e3:21.3f} ms   {ratio:,.0f} times (extrapolated)")


if __name__ == "__main__":
    main()
