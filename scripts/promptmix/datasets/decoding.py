"""Decode the images and the depths of a dataset, several at a time, within a bound of memory."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from promptmix.datasets.depths import DepthFacts, report
from promptmix.datasets.pictures import GREY_MODES, decode_image, decoding_bytes, is_grey, jpeg_quality, training_size
from promptmix.datasets.sample import Sample
from promptmix.errors import InputError
from promptmix.running.progress import progress

DECODING_BYTES = 3 * 10**9
"""Memory for all images that are being decoded at the same time. With everything else, a job stays below 4 GB."""

T = TypeVar("T")

Resize = Mapping[str, Sequence[int]] | None
"""See `promptmix.datasets.pictures.training_size`."""


@dataclass(frozen=True)
class Decoded:
    """An image at training size.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        grey: whether it is grey.
        quality: of the JPEG.
        depth: (H, W) float32 in metres, 0 = unknown; None for an image without depth.
        facts: what is known of the whole depth map; None for an image without depth.
    """

    pixels: np.ndarray
    grey: bool
    quality: int
    depth: np.ndarray | None = None
    facts: DepthFacts | None = None


def decode_each(
    samples: Sequence[Sample], resize: Resize, workers: int, use: Callable[[int, Decoded], T]
) -> Iterator[T | InputError]:
    """Decode all images and depths; yield what `use` returns for each position, or what is wrong with the image.

    One image per worker is in memory at a time, or fewer if together they would take more than `DECODING_BYTES`.

    Args:
        workers: number of threads that decode, and in which `use` runs.
    """
    memory = _Memory(DECODING_BYTES)

    def work(position: int) -> T | InputError:
        try:
            decoded = _decode(samples[position], resize, memory)
        except InputError as error:
            return error
        return use(position, decoded)

    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from pool.map(work, range(len(samples)))
        except BaseException:  # also if no more are asked for
            pool.shutdown(cancel_futures=True)
            raise


def find_problems(samples: Sequence[Sample], resize: Resize, workers: int = 1) -> list[str]:
    """Return what `promptmix.datasets.index.prepare` would refuse, an image each, without storing anything.

    It takes as long as to prepare the dataset, since damage and wrong units are in the pixels only. What is odd about
    the depths is logged.
    """
    problems, facts = list[str](), list[DepthFacts]()
    found = decode_each(samples, resize, workers, lambda _, decoded: decoded.facts)
    for one in progress(found, len(samples), "images looked at"):
        if isinstance(one, InputError):
            problems.append(str(one))
        elif one:
            facts.append(one)
    if facts:
        report(facts)
    return problems


def _decode(sample: Sample, resize: Resize, memory: "_Memory") -> Decoded:
    size = training_size(sample.width, sample.height, resize)
    with sample.open() as image:
        stored_grey, quality = image.mode in GREY_MODES, jpeg_quality(image)
        with memory.hold(decoding_bytes(image, size)):
            pixels = decode_image(image, size)
    grey = stored_grey or is_grey(pixels)
    if not sample.has_depth:
        return Decoded(pixels, grey, quality)
    depth, facts = sample.measure()
    return Decoded(pixels, grey, quality, _resize_depth(depth, *size), facts)


class _Memory:
    """A number of bytes that threads share. A thread that needs more than is free waits until others release theirs."""

    def __init__(self, total: int):
        self._total = self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Hold `size` bytes, at most the total, until the end of the `with` block."""
        size = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


def _resize_depth(depth: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return a depth map at another size; each pixel is the nearest one of the old map.

    A mean across an edge would be a depth at which there is no surface, and a mean across a hole would include 0.
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new)).astype(int)
        for new, old in zip((height, width), depth.shape, strict=True)
    )
    return depth[rows[:, None], columns]
