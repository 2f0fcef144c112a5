"""Perceptual hashes: 64 bits that hardly change where an image is encoded anew, resized or made a little brighter.

A bit says whether one of the 64 lowest frequencies of a discrete cosine transform is above their median. Source: C. Zauner,
Implementation and Benchmarking of Perceptual Image Hash Functions, 2010. Images are alike where few bits differ (Hamming
distance); of two that have nothing in common half of them do. A mirrored, rotated or much cropped image has other bits.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image
from scipy.fft import dctn

SIDE = 32
"""Pixels along a side of the small grey image that is transformed."""

FREQUENCIES = 8
"""Frequencies along a side."""


def perceptual_hash(image: np.ndarray) -> str:
    """Return the hash of an image as 16 hexadecimal digits.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    grey = Image.fromarray(image).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    low = dctn(np.asarray(grey, dtype=np.float64), norm="ortho")[:FREQUENCIES, :FREQUENCIES]
    low = low.round(3)  # of an image of one colour all but the first are 0, and not rounding errors of any sign
    return np.packbits(low > np.median(low)).tobytes().hex()


def to_numbers(hashes: Iterable[str]) -> np.ndarray:
    """Return hashes as (N,) uint64, for `distances`."""
    return np.array([int(text, 16) for text in hashes], dtype=np.uint64)


def distances(number: np.uint64, others: np.ndarray) -> np.ndarray:
    """Return in how many of its 64 bits a hash differs from each of others, (N,) from 0 to 64."""
    return np.bitwise_count(number ^ others)


def keep_distinct(hashes: Sequence[str], distance: int) -> np.ndarray:
    """Return the positions, ascending, of the images that are not like an earlier one that is kept.

    Args:
        hashes: of each image, in the order of D_fake.
        distance: up to how many bits two images that are alike differ by.
    """
    numbers = to_numbers(hashes)
    is_kept = np.ones(len(numbers), dtype=bool)
    for i, number in enumerate(numbers):
        if is_kept[i]:
            is_kept[i + 1 :] &= distances(number, numbers[i + 1 :]) > distance
    return np.flatnonzero(is_kept)
