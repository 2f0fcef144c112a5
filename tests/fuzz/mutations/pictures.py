"""Pictures: damaged, of another format, mode, orientation or size."""

import io
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from fuzz.cases import (
    COUNTING,
    FOLDERS,
    OWN,
    POINTS,
    Case,
    Photo,
    Raw,
    any_of,
)
from fuzz.judge import ANY, ERROR, RIGHT, TOLD
from fuzz.mutations.registry import (
    HEIC,
    NO_DATA,
    a_name,
    a_picture,
    cut,
    flip,
    is_crowd,
    mutation,
    show,
)


@mutation(ERROR, FOLDERS)
def picture_truncated(case, rng):
    path = case.truths[a_picture(case, rng)].picture
    case.files[path] = cut(case.files[path].dump(), rng)


@mutation(ANY, FOLDERS)
def picture_flipped(case, rng):
    path = case.truths[a_picture(case, rng)].picture
    case.files[path] = flip(case.files[path].dump(), rng)


@mutation(ERROR, FOLDERS, NO_DATA | {"heic": HEIC, "beginning": b"\xff\xd8\xff"})
def picture_is(case, rng, data):
    case.files[case.truths[a_name(case, rng)].picture] = Raw(data)


@mutation(
    RIGHT | ERROR, FOLDERS, {kind: kind for kind in ("PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "TGA", "JPEG2000")}
)
def picture_saved_as(case, rng, kind):
    name = a_picture(case, rng)
    image = Image.fromarray(case.truths[name].pixels)
    show(case, name, Photo(image, kind, {"lossless": True} if kind == "WEBP" else {}))


@mutation(RIGHT, FOLDERS)
def picture_progressive(case, rng):
    name = a_picture(case, rng)
    show(case, name, Photo(case.files[case.truths[name].picture].image, "JPEG", {"progressive": True, "quality": 60}))


def _modes(pixels: np.ndarray) -> dict[str, tuple[Image.Image, str, dict, np.ndarray]]:
    """Return by mode a picture, how it is saved, and its right pixels."""
    image = Image.fromarray(pixels)
    grey = np.asarray(image.convert("L"))
    as_grey = np.repeat(grey[..., None], 3, axis=2)
    palette, alpha = image.quantize(16), np.full(grey.shape, 255, np.uint8)
    alpha[::2] = 40
    bits = np.where(grey > 127, 255, 0).astype(np.uint8)
    return {
        "1": (Image.fromarray(bits).convert("1"), "PNG", {}, np.repeat(bits[..., None], 3, axis=2)),
        "L": (Image.fromarray(grey), "PNG", {}, as_grey),
        "LA": (Image.fromarray(np.dstack([grey, alpha])), "PNG", {}, as_grey),
        "P": (palette, "PNG", {}, np.array(palette.convert("RGB"))),
        "P-transparent": (palette, "PNG", {"transparency": bytes(range(16))}, np.array(palette.convert("RGB"))),
        "RGBA": (Image.fromarray(np.dstack([pixels, alpha])), "PNG", {}, pixels),
        "RGBA-opaque": (Image.fromarray(np.dstack([pixels, np.full_like(alpha, 255)])), "PNG", {}, pixels),
        "LA-opaque": (Image.fromarray(np.dstack([grey, np.full_like(alpha, 255)])), "PNG", {}, as_grey),
        "I16": (Image.fromarray(grey.astype(np.uint16) * 256 + 77), "PNG", {}, as_grey),
        "I16-dark": (Image.fromarray((grey // 16).astype(np.uint16) * 256), "PNG", {}, as_grey // 16),
        "I16-tiff": (Image.fromarray(grey.astype(np.uint16) * 257), "TIFF", {}, as_grey),
    }


@mutation(RIGHT, FOLDERS, {mode: mode for mode in _modes(np.zeros((8, 8, 3), np.uint8))})
def picture_of_mode(case, rng, mode):
    name = a_picture(case, rng)
    image, kind, options, right = _modes(case.truths[name].pixels)[mode]
    show(case, name, Photo(image, kind, options), right)
    if (image.mode in ("LA", "RGBA") or options) and "opaque" not in mode:
        return RIGHT | ERROR  # viewers show different colours
    return {"I16-tiff": RIGHT | ERROR, "I16-dark": RIGHT | TOLD | ERROR}.get(mode)


@mutation(RIGHT | TOLD | ERROR, FOLDERS)
def picture_cmyk(case, rng):
    name = a_picture(case, rng)
    show(case, name, Photo(Image.fromarray(case.truths[name].pixels).convert("CMYK"), "JPEG"))


@mutation(RIGHT, FOLDERS)
def picture_16_bit_colour(case, rng):
    name = a_picture(case, rng)
    pixels = case.truths[name].pixels
    _, data = cv2.imencode(".png", pixels[..., ::-1].astype(np.uint16) * 256 + 99)
    case.files[case.truths[name].picture] = Raw(data.tobytes())


@mutation(RIGHT | TOLD | ERROR, FOLDERS, {"shares": 1 / 255, "counts": 1.0, "millions": 1e6})
def picture_of_floats(case, rng, scale):
    name = a_picture(case, rng)
    grey = np.asarray(Image.fromarray(case.truths[name].pixels).convert("L"))
    show(case, name, Photo(Image.fromarray(grey.astype(np.float32) * np.float32(scale)), "TIFF"), np.dstack([grey] * 3))


@mutation(RIGHT | TOLD | ERROR, FOLDERS)
def picture_of_32_bits(case, rng):
    name = a_picture(case, rng)
    grey = np.asarray(Image.fromarray(case.truths[name].pixels).convert("L"))
    show(case, name, Photo(Image.fromarray(grey.astype(np.int32) * 2**16), "TIFF"), np.dstack([grey] * 3))


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What was done to the upright picture, by the tag that says how to undo it."""


@mutation(ERROR, FOLDERS, {kind: kind for kind in ("JPEG", "PNG", "WEBP", "MPO")})
def picture_to_be_turned(case, rng, kind):
    name, tag = a_picture(case, rng), int(rng.integers(2, 9))
    stored = Image.fromarray(case.truths[name].pixels).transpose(TURNS[tag])
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"exif": exif} | ({"lossless": True} if kind == "WEBP" else {})
    if kind == "MPO":
        options |= {"save_all": True, "append_images": [stored]}
    show(case, name, Photo(stored, kind, options))
    return ERROR if case.format in OWN else TOLD | ERROR


@mutation(RIGHT, FOLDERS, {"none": 0, "upright": 1})
def picture_not_to_be_turned(case, rng, tag):
    name = a_picture(case, rng)
    exif = Image.Exif()
    exif[0x0112] = tag
    show(case, name, Photo(Image.fromarray(case.truths[name].pixels), "JPEG", {"exif": exif}))


ODD_TAGS = {"9": (3, 1, b"\x09\x00\x00\x00"), "large": (3, 1, b"\xff\xff\x00\x00"), "text": (2, 3, b"up\x00\x00")}
ODD_TAGS |= {"pair": (3, 2, b"\x06\x00\x01\x00"), "none": (3, 0, bytes(4)), "far": (3, 2**31, b"\xff\xff\xff\x7f")}
"""Orientation as EXIF holds it: type, number of values, and the values or where they are."""


@mutation(RIGHT | TOLD | ERROR, FOLDERS, ODD_TAGS)
def picture_with_odd_orientation(case, rng, tag):
    name, (kind, number, value) = a_picture(case, rng), tag
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHI", 8, 1, 0x0112, kind, number) + value + bytes(4)
    show(case, name, Photo(Image.fromarray(case.truths[name].pixels), any_of(rng, ["JPEG", "PNG"]), {"exif": exif}))


@mutation(RIGHT | TOLD | ERROR, FOLDERS, {"JPEG": "JPEG", "PNG": "PNG", "WEBP": "WEBP"})
def picture_with_damaged_exif(case, rng, kind):
    name = a_picture(case, rng)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 1, "A maker of cameras"
    data = exif.tobytes()
    damaged = any_of(rng, [data[: int(rng.integers(7, len(data)))], flip(data, rng).data, b"Exif\0\0" + bytes(40)])
    options = {"exif": damaged} | ({"lossless": True} if kind == "WEBP" else {})
    show(case, name, Photo(Image.fromarray(case.truths[name].pixels), kind, options))
    return ANY  # a flipped bit can make a tag of another orientation


@mutation(RIGHT | ERROR, FOLDERS, {"profile": "icc_profile", "text": "text", "compressed": "zip", "jpeg": "jpeg"})
def picture_with_huge_metadata(case, rng, kind):
    name = a_picture(case, rng)
    image, large = Image.fromarray(case.truths[name].pixels), b"x" * 3 * 2**20
    if kind == "icc_profile":
        pixels = case.truths[name].pixels
        show(case, name, Photo(image, any_of(rng, ["PNG", "TIFF"]), {"icc_profile": large}), pixels)
        return
    if kind == "jpeg":
        data = Photo(image, "JPEG").dump()
        segments = b"".join(
            b"\xff\xe2\xff\xff" + b"ICC_PROFILE\0" + bytes([i, 60]) + bytes(65519) for i in range(1, 61)
        )
        with Image.open(io.BytesIO(data)) as decoded:
            pixels = np.array(decoded.convert("RGB"))
        case.files[case.truths[name].picture] = Raw(data[:2] + segments + data[2:])
        case.truths[name] = replace(case.truths[name], pixels=pixels)
        return
    data = Photo(image, "PNG").dump()
    chunk = b"tEXtComment\0" + large if kind == "text" else b"zTXtComment\0\0" + zlib.compress(large)
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    case.files[case.truths[name].picture] = Raw(data[:33] + chunk + data[33:])


@mutation(ERROR, FOLDERS, {"none": 0, "huge": 60000})
def picture_of_impossible_size(case, rng, side):
    header = struct.pack(">4sIIBBBBB", b"IHDR", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    case.files[case.truths[a_picture(case, rng)].picture] = Raw(
        data + Photo(Image.new("RGB", (8, 8)), "PNG").dump()[33:]
    )


def _resize(case: Case, name: str, size: tuple[int, int]) -> None:
    image = Image.fromarray(case.truths[name].pixels).resize(size)
    show(case, name, Photo(image, "PNG"))


@mutation(TOLD | ERROR, (*POINTS, "coco", "depth_maps"))
def picture_halved(case, rng):
    name = a_name(case, rng, lambda truth: is_crowd(truth) or case.format == "depth_maps")
    width, height = case.truths[name].size
    _resize(case, name, (width // 2, height // 2))
    return ERROR if case.format in ("coco", "depth_maps") else None


@mutation(ERROR, (*POINTS, "coco", "depth_maps"))
def pictures_halved(case, rng):
    for name, truth in list(case.truths.items()):
        width, height = truth.size
        _resize(case, name, (width // 2, height // 2))


@mutation(ERROR, ("coco", "depth_maps"))
def picture_doubled(case, rng):
    name = a_name(case, rng)
    width, height = case.truths[name].size
    _resize(case, name, (width * 2, height * 2))


@mutation(RIGHT | TOLD | ERROR, ("panda",))
def picture_resized_below_shares(case, rng):
    name = a_name(case, rng)
    width, height = case.truths[name].size
    _resize(case, name, (width * 2, height * 2))


@mutation(TOLD | ERROR, COUNTING)
def picture_tiny(case, rng):
    _resize(case, a_name(case, rng, is_crowd), (1, 1))
    return RIGHT | TOLD | ERROR if case.format == "panda" else None
