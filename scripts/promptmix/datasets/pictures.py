"""Reading and writing images: decoding with clear errors, resizing, JPEG quality, grey or colour.

Arrays are (H, W, 3) uint8 RGB in C order. The EXIF orientation is ignored, as in the usual loaders of these datasets:
annotations refer to the stored pixels.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from promptmix.errors import InputError

# PANDA-Crowd's images have about 390 million pixels; by default Pillow refuses more than 179 million.
Image.MAX_IMAGE_PIXELS = 1_000_000_000

GREY_MODES = ("1", "L", "LA", "I", "I;16", "F")
QUALITY_WITHOUT_JPEG = 95

# JPEG standard (ITU-T T.81), annex K: the quantisation tables at quality 50, luminance and chrominance, row by row.
# fmt: off
_LUMINANCE = (
    16, 11, 10, 16,  24,  40,  51,  61, 12, 12, 14, 19,  26,  58,  60,  55,
    14, 13, 16, 24,  40,  57,  69,  56, 14, 17, 22, 29,  51,  87,  80,  62,
    18, 22, 37, 56,  68, 109, 103,  77, 24, 35, 55, 64,  81, 104, 113,  92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103,  99,
)
_CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
) + (99,) * 32
# fmt: on


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image. An error while it is opened or decoded becomes one that names the file.

    Raises:
        InputError: the file is missing, is not an image, or is truncated or damaged.
    """
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except Image.UnidentifiedImageError:
        size = os.path.getsize(path)
        raise InputError(f"{path}: not an image that can be read ({size} bytes). Fetch or copy it again") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: the image is truncated or damaged ({error}). Fetch or copy it again") from error


def read_image(path: str | Path) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 RGB; a grey image has three equal channels.

    Raises:
        InputError: the file is missing, is not an image, or is truncated; the message has its path.
    """
    with open_image(path) as image:
        return np.array(image.convert("RGB"))


def training_size(width: int, height: int, resize: Mapping[str, Sequence[int]] | None) -> tuple[int, int]:
    """Return (width, height) of an image at training size.

    Args:
        resize: `{"fit": [1920, 1920]}` shrinks the image to fit within width x height and keeps the aspect ratio (it
            never enlarges); `{"exact": [2560, 1440]}` gives exactly that size; None keeps the image's size.

    Raises:
        InputError: another key, or a size that is not two positive numbers.
    """
    if not resize:
        return width, height
    (rule, size), *others = resize.items()
    if rule not in ("fit", "exact") or others or len(size) != 2 or min(size) < 1:
        raise InputError(f"resize: {dict(resize)} is not understood; expected 'fit: [W, H]', 'exact: [W, H]' or null")
    if rule == "exact":
        return int(size[0]), int(size[1])
    scale = min(size[0] / width, size[1] / height, 1)
    return max(1, round(width * scale)), max(1, round(height * scale))


def decode_image(image: Image.Image, size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode an opened image at `size`, (width, height), as (H, W, 3) uint8 RGB.

    Large JPEGs are scaled down during decoding, to no less than twice `size`, which saves most of the time and memory
    that 390 million pixels would need, and then by a Lanczos filter.
    """
    size = size or image.size
    if size != image.size:
        image.draft(None, (2 * size[0], 2 * size[1]))
    image.load()
    if image.mode != "RGB":  # convert() would copy an RGB image
        image = image.convert("RGB")
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.LANCZOS))


def decoding_bytes(image: Image.Image, size: tuple[int, int]) -> int:
    """Return the most bytes of memory that `decode_image` needs for an image that is open and not yet decoded.

    Pillow holds 4 bytes per pixel. libjpeg decodes a baseline JPEG row by row, scaled down already; for a progressive
    JPEG it holds the coefficients of the whole image, 2 bytes each.
    """
    pixels = image.width * image.height
    scale, coefficients = 1, 0
    if image.format == "JPEG":
        fits = min(image.width // (2 * size[0]), image.height // (2 * size[1])) if size != image.size else 1
        scale = max(step for step in (1, 2, 4, 8) if step == 1 or step <= fits)
        if "progressive" in image.info:
            sampled = [across * down for _, across, down, _ in image.layer]
            coefficients = 2 * pixels * sum(sampled) // max(sampled)
    width, height = -(-image.width // scale), -(-image.height // scale)
    stored = 4 * width * height * (1 if image.mode == "RGB" else 2)
    half_resized = 4 * size[0] * height if (width, height) != size else 0
    result = 10 * size[0] * size[1]  # held as an image, as bytes, and as an array
    return coefficients + stored + half_resized + result


def is_grey(image: str | Path | Image.Image | np.ndarray) -> bool:
    """Return whether an image is grey: stored as grey, or with three channels that are equal up to JPEG noise.

    Equal means that in 999 of 1000 pixels the largest and the smallest channel differ by at most 8 of 255. So a sepia
    tone, or a single coloured spot of some size, makes it a colour image. Pixels are sampled, about 512 along a side.
    """
    if isinstance(image, (str, Path)):
        with open_image(image) as file:
            file.draft(None, (512, 512))
            return is_grey(file)
    if isinstance(image, Image.Image):
        if image.mode in GREY_MODES:
            return True
        image = np.asarray(image.convert("RGB"))
    step = max(1, min(image.shape[:2]) // 512)
    pixels = image[::step, ::step]
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    return bool(np.count_nonzero(highest - lowest > 8) * 1000 <= highest.size)


@cache
def _quantisation_tables() -> np.ndarray:
    """Return libjpeg's tables for the qualities 1 to 100: (100, 2, 64), luminance and chrominance."""
    base = np.array([_LUMINANCE, _CHROMINANCE])
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((base * scale[:, None, None] + 50) // 100, 1, 255)


def jpeg_quality(image: str | Path | Image.Image) -> int:
    """Return the quality, 1 to 100, at which a JPEG was saved, from its quantisation tables.

    The result is exact for files written by libjpeg (which Pillow, OpenCV and ImageMagick use) and the nearest quality
    for others. It is 95 if the image is not a JPEG, since it has no artefacts to match.
    """
    if isinstance(image, (str, Path)):
        with open_image(image) as file:
            return jpeg_quality(file)
    tables = getattr(image, "quantization", None)
    if not tables:
        return QUALITY_WITHOUT_JPEG
    found = np.array([tables[key] for key in sorted(tables)[:2]])  # one table for grey images, two for colour
    distance = np.abs(_quantisation_tables()[:, : len(found)] - found).sum(axis=(1, 2))
    return int(distance.argmin()) + 1


def encode_jpeg(array: np.ndarray, quality: int, grey: bool = False) -> bytes:
    """Return (H, W, 3) uint8 RGB as a JPEG; if `grey`, with one channel, as ShanghaiTech stores its grey images."""
    image = Image.fromarray(array)
    buffer = io.BytesIO()
    image.convert("L" if grey else "RGB").save(buffer, "JPEG", quality=int(quality))
    return buffer.getvalue()
