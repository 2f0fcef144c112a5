"""Reading and writing images: decoding with clear errors, resizing, JPEG quality, grey or colour.

Arrays are (H, W, 3) uint8 RGB in C order. The EXIF orientation is ignored, as in the usual loaders of these datasets:
annotations refer to the stored pixels. Readers have it from `measure`, and say what they make of it.
"""

import io
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from promptmix.errors import InputError
from promptmix.listing import describe_absent

# PANDA-Crowd's images have about 390 million pixels; by default Pillow refuses more than 179 million.
Image.MAX_IMAGE_PIXELS = 1_000_000_000
# Colour profiles of printers exceed the 1 MB that Pillow allows for a part of a PNG's metadata.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
GREY_MODES = ("1", "L", "LA", "La", *SIXTEEN_BITS)
NOT_PICTURES = {"F": "floating-point numbers", "LAB": "Lab colours"}
"""Pillow's modes without one way to show them as RGB."""

FEWER_BITS = 12
"""A grey picture of 16 bits whose values all fit into so many was not scaled: 12 bits of 16 are black to the eye."""

FOREIGN = {
    b"version https://git-lfs": "a pointer of Git LFS. Fetch what it stands for (git lfs pull)",
    b"/annex/objects/": "a pointer of git-annex. Fetch what it stands for (git annex get)",
    b"\xff\x0a": "JPEG XL. Convert it to JPEG or PNG (djxl)",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL. Convert it to JPEG or PNG (djxl)",
    b"PK\x03\x04": "a ZIP archive. Unpack it",
    b"\x1f\x8b": "packed by gzip. Unpack it (gunzip)",
    b"%PDF": "a PDF. Save its pages as JPEG or PNG",
    b"<": "a web page or another text. Fetch or copy it again",
}
"""What files are that begin so, and what to do about them."""

ORIENTATION = 0x0112
"""The EXIF tag that says how a viewer must rotate the image."""

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
        InputError: the file is missing, may not be read, is not an image, or is truncated or damaged.
    """
    try:
        with Image.open(path) as image:
            yield image
    except InputError:
        raise
    except FileNotFoundError:
        why = f"the image {describe_absent(path)}" if os.path.islink(path) else "no such image"
        raise InputError(f"{path}: {why}") from None
    except Image.UnidentifiedImageError:
        size, what = os.path.getsize(path), describe_foreign(path)
        raise InputError(f"{path}: not an image that can be read ({size} bytes){what}") from None
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno:  # of the system, such as no permission
            raise InputError(f"{path}: the image cannot be read ({error.strerror})") from error
        raise InputError(f"{path}: the image is truncated or damaged ({error}). Fetch or copy it again") from error


def describe_foreign(path: str | Path) -> str:
    """Return what to do about a file that is not what its name says, such as ", but a ZIP archive: unpack it".

    It is told by the first bytes; of an unknown kind, the file is to be fetched again.
    """
    with open(path, "rb") as file:
        start = file.read(64)
    if start[4:8] == b"ftyp":
        if start[8:12] in (b"avif", b"avis") or start[8:11] in (b"hei", b"hev", b"mif", b"msf"):
            return ", but HEIC or AVIF, whatever its name. Convert it to JPEG or PNG (heif-convert)"
        return ", but a video. Extract its frames as JPEG or PNG (ffmpeg)"
    for mark, what in FOREIGN.items():
        if start.startswith(mark):
            return f", but {what}"
    return ". Fetch or copy it again"


def measure(path: str | Path) -> tuple[tuple[int, int], int]:
    """Return (width, height) of an image's stored pixels and its EXIF tag Orientation, 1 if it need not be turned.

    Raises:
        InputError: as in `open_image`, or the image's mode cannot be shown as RGB.
    """
    with open_image(path) as image:
        _check_mode(image)
        return image.size, _orientation(image)


def _orientation(image: Image.Image) -> int:
    """Return the tag, of any format that can carry it, whether as EXIF or as XMP."""
    if image.format == "PNG" and _has_late_metadata(image.filename):
        image.load()
    try:
        # PNG's own getexif would decode every image that has no tag.
        tag = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # Pillow raises many kinds on damaged metadata, which viewers pass over too
        return 1
    return tag if tag in range(2, 9) else 1


def _has_late_metadata(path: str) -> bool:
    """Return whether a PNG has metadata behind its pixels, which Pillow reads only once these are decoded."""
    pixels = False
    with open(path, "rb") as file:
        file.seek(8)
        while len(header := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", header)
            pixels = pixels or kind == b"IDAT"
            if pixels and kind in (b"eXIf", b"zTXt", b"iTXt", b"tEXt"):
                return True
            file.seek(length + 4, os.SEEK_CUR)
    return False


def read_image(path: str | Path) -> np.ndarray:
    """Return an image as (H, W, 3) uint8 RGB; a grey image has three equal channels.

    Raises:
        InputError: the file is missing, is not an image, or is truncated; or as in `decode_image`. The message has its
            path.
    """
    with open_image(path) as image:
        return np.array(decode_image(image))


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
    that 390 million pixels would need, and then by a Lanczos filter. Of 16 bits per channel the upper 8 are kept.

    Raises:
        InputError: the image's values have no one meaning as RGB: see-through pixels, floats, fewer bits than the file.
    """
    size = size or image.size
    if size != image.size:
        image.draft(None, (2 * size[0], 2 * size[1]))
    image.load()
    image = _as_rgb(image)
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.LANCZOS))


def _check_mode(image: Image.Image) -> None:
    if image.mode in NOT_PICTURES:
        raise InputError(
            f"{_name_of(image)}: the image holds {NOT_PICTURES[image.mode]} (mode {image.mode}). Expected RGB or grey "
            "with 8 or 16 bits per channel: convert it"
        )


def _name_of(image: Image.Image) -> str:
    return str(getattr(image, "filename", "")) or "image"


def _as_rgb(image: Image.Image) -> Image.Image:
    """Return a decoded image with 8 bits in each of three channels."""
    _check_mode(image)
    if image.mode == "RGB" and not image.has_transparency_data:  # convert() would copy an RGB image
        return image
    if image.mode in SIXTEEN_BITS:  # Pillow would cut them off at 255; it knows 16 bits in grey images only
        values = np.asarray(image)
        _check_bits(image, int(values.min()), int(values.max()))
        see_through = bool((values == image.info.get("transparency", -1)).any())
        result = Image.fromarray((values >> 8).astype(np.uint8))
    else:
        see_through = image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255
        result = image
    if see_through:
        raise InputError(
            f"{_name_of(image)}: some pixels are transparent, and viewers show different colours there. Expected an "
            "opaque image: remove the transparency (mogrify -background black -alpha remove -alpha off)"
        )
    return result.convert("RGB")


def _check_bits(image: Image.Image, lowest: int, highest: int) -> None:
    """Check the values of a grey image with 16 bits: a camera's 10 or 12 bits, unscaled, would be shown as black."""
    if lowest < 0 or highest >= 2**16:
        raise InputError(
            f"{_name_of(image)}: grey values from {lowest} to {highest}. Expected 0 to 65535: save it with 8 or 16 bits"
        )
    if 0 < highest < 2**FEWER_BITS:
        raise InputError(
            f"{_name_of(image)}: a grey image with 16 bits, but its values end at {highest}, as of a camera with fewer "
            "bits: it would be black. Expected values up to 65535: multiply those of all images by the same factor (16 "
            "for 12 bits), or save 8 bits"
        )


def decoding_bytes(image: Image.Image, size: tuple[int, int]) -> int:
    """Return the most bytes of memory that `decode_image` needs for an image that is open and not yet decoded.

    Pillow holds 4 bytes per pixel. libjpeg decodes a baseline JPEG row by row, scaled down already; for a progressive
    JPEG it holds the coefficients of the whole image, 2 bytes each.
    """
    pixels = image.width * image.height
    scale, coefficients = 1, 0
    if image.format in ("JPEG", "MPO"):
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
