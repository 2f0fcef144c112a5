"""Depth: sentinels, units, arrays and pictures, and NYU's file."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

import cv2
import h5py
import numpy as np
from PIL import Image

from fuzz.cases import (
    DEPTH,
    Case,
    Hdf5,
    Mat,
    Npy,
    Photo,
    Raw,
    Unfit,
    any_of,
)
from fuzz.judge import ANY, ERROR, RIGHT, TOLD
from fuzz.mutations.registry import (
    HEIC,
    a_name,
    a_note,
    content_at,
    mutation,
)

# --- Depth ---


def _change_depth(case: Case, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change the numbers of an image's depth map: those that are written, (H, W). The truth stays."""
    if case.truths[name].note in case.named:
        raise Unfit  # two changes of unit may take each other back
    note = case.files.get(case.truths[name].note)
    if isinstance(note, Npy):
        case.files[case.truths[name].note] = replace(note, array=change(note.array))
    elif isinstance(note, Photo) and note.image.mode == "I;16":
        case.files[case.truths[name].note] = Photo(Image.fromarray(change(np.array(note.image))), "PNG")
    elif isinstance(note, Hdf5) and isinstance(note.values.get("depths"), np.ndarray):
        at, depths = list(case.truths).index(name), note.values["depths"].copy()
        depths[at] = change(depths[at].T).T
        note.values = note.values | {"depths": depths}
    else:
        raise Unfit


def _hole(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    hole = rng.random(shape) < 0.2
    hole[0, 0] = True
    return hole


def _in_whole_numbers(case: Case) -> bool:
    return case.format == "depth_maps" and "unit" in case.config


HOLES = {"zero": 0, "minus": -1, "nan": np.nan, "infinite": np.inf, "minus_infinite": -np.inf}
SENTINELS = {"65535": 65535, "1e10": 1e10, "1e4": 1e4, "largest": np.finfo(np.float32).max, "65.535": 65.535}


@mutation(RIGHT, DEPTH, HOLES)
def depth_unknown(case, rng, value):
    if _in_whole_numbers(case) and value != 0:
        raise Unfit
    _write_hole(case, rng, value)


@mutation(TOLD | ERROR, DEPTH, SENTINELS)
def depth_sentinel(case, rng, value):
    if _in_whole_numbers(case) and value != 65535:
        raise Unfit
    _write_hole(case, rng, value)
    return ANY if value == 65.535 else None


def _write_hole(case: Case, rng: np.random.Generator, value: float) -> None:
    name = a_name(case, rng)
    hole = _hole(rng, case.truths[name].depth.shape)
    _change_depth(case, name, lambda depth: np.where(hole, np.asarray(value, depth.dtype), depth))
    case.truths[name] = replace(case.truths[name], depth=np.where(hole, np.float32(0), case.truths[name].depth))


@mutation(ERROR, DEPTH, {"zero": 0, "nan": np.nan, "sentinel": 65535})
def depth_of_an_image_all_unknown(case, rng, value):
    if _in_whole_numbers(case) and value != value:
        raise Unfit
    _change_depth(case, a_name(case, rng), lambda depth: np.full_like(depth, value))


def _scale_depth(case: Case, name: str, scale: float) -> None:
    """Write an image's depths in another unit; only once, since the second could bring back what the first one took."""

    def change(depth: np.ndarray) -> np.ndarray:
        metres = np.median(depth) * case.config.get("unit", 1)
        if not 0.5 < metres / np.median(case.truths[name].depth) < 2:
            raise Unfit
        return (depth * np.float64(scale)).clip(max=60000).astype(depth.dtype)

    _change_depth(case, name, change)


@mutation(ERROR, DEPTH, {"millimetres": 1000, "centimetres": 100, "kilometres": 0.001})
def depths_in_another_unit(case, rng, scale):
    for name in case.truths:
        _scale_depth(case, name, scale)
    if scale == 100:
        return TOLD | ANY if _in_whole_numbers(case) else ERROR


@mutation(ERROR, DEPTH, {"millimetres": 1000, "kilometres": 0.001})
def depth_of_an_image_in_another_unit(case, rng, scale):
    if _in_whole_numbers(case) and scale == 1000:
        scale = 0.001
    _scale_depth(case, a_name(case, rng), scale)


@mutation(RIGHT, DEPTH)
def depth_with_a_far_pixel(case, rng):
    """Farther than networks for depth tell apart, and yet a distance."""
    name = a_name(case, rng)
    _change_depth(case, name, lambda depth: np.where(np.arange(depth.size).reshape(depth.shape) == 5, depth * 4, depth))
    depth = case.truths[name].depth.copy()
    depth.flat[5] *= 4
    case.truths[name] = replace(case.truths[name], depth=depth)


def _a_map(case: Case, rng: np.random.Generator) -> str:
    made = {path for path, content in case.files.items() if isinstance(content, (Npy, Photo))} - case.named
    return a_name(case, rng, lambda truth: truth.note in made)


@mutation(ERROR, ("depth_maps",))
def depth_map_of_another_size(case, rng):
    _change_depth(case, _a_map(case, rng), lambda depth: np.resize(depth, (23, 31)))


@mutation(ERROR, ("depth_maps",))
def depth_map_transposed(case, rng):
    _change_depth(case, _a_map(case, rng), lambda depth: np.ascontiguousarray(depth.T))


def _grey(depth: np.ndarray) -> Image.Image:
    return Image.fromarray((depth * 25).astype(np.uint8))


MAPS = {
    "8_bits": lambda depth: Photo(_grey(depth), "PNG"),
    "colour": lambda depth: Photo(_grey(depth).convert("RGB"), "PNG"),
    "palette": lambda depth: Photo(_grey(depth).convert("P"), "PNG"),
    "alpha": lambda depth: Photo(_grey(depth).convert("LA"), "PNG"),
    "1_bit": lambda depth: Photo(_grey(depth).convert("1"), "PNG"),
    "jpeg": lambda depth: Photo(_grey(depth), "JPEG"),
    "float_tiff": lambda depth: Photo(Image.fromarray(depth), "TIFF"),
    "16_bit_colour": lambda depth: Raw(
        cv2.imencode(".png", np.dstack([(depth * 1000).astype(np.uint16)] * 3))[1].tobytes()
    ),
    "heic": lambda depth: Raw(HEIC),
}


@mutation(ERROR, ("depth_maps",), MAPS)
def depth_picture(case, rng, build):
    name = _a_map(case, rng)
    truth = case.truths[name]
    if not truth.note.endswith(".png"):
        raise Unfit
    case.files[truth.note] = build(truth.depth)


ARRAYS = {
    "float64": (lambda depth: depth.astype(np.float64), RIGHT),
    "float16": (lambda depth: depth.astype(np.float16), RIGHT),
    "big_endian": (lambda depth: depth.astype(">f4"), RIGHT),
    "fortran": (np.asfortranarray, RIGHT),
    "three_axes": (lambda depth: depth[..., None], RIGHT | ERROR),
    "flat": (np.ravel, ERROR),
    "number": (lambda depth: np.float32(3), ERROR),
    "none": (lambda depth: depth[:0], ERROR),
    "uint8": (lambda depth: depth.astype(np.uint8), ERROR),
    "bool": (lambda depth: depth > 3, ERROR),
    "complex": (lambda depth: depth.astype(complex), ERROR),
    "object": (lambda depth: depth.astype(object), ERROR),
    "text": (lambda depth: depth.astype(str), ERROR),
    "dates": (lambda depth: depth.astype("datetime64[s]"), ERROR),
    "fields": (lambda depth: depth.astype([("z", "f4")]), ERROR),
    "millimetres": (lambda depth: (depth * 1000).astype(np.uint16), ERROR),
}


@mutation(RIGHT, ("depth_maps",), ARRAYS)
def depth_array(case, rng, given):
    change, allowed = given
    name = _a_map(case, rng)
    truth = case.truths[name]
    if not truth.note.endswith(".npy"):
        raise Unfit
    case.files[truth.note] = Npy(np.asarray(change(truth.depth)))
    return allowed


@mutation(RIGHT, ("depth_maps",))
def depth_arrays_in_millimetres(case, rng):
    for truth in case.truths.values():
        note = case.files.get(truth.note)
        if not isinstance(note, Npy):
            raise Unfit
        case.files[truth.note] = Npy(np.round(note.array * 1000).astype(any_of(rng, [np.uint16, np.int32, np.int64])))
    case.config["unit"] = 0.001


@mutation(RIGHT, ("depth_maps",), {"2": (2, 0), "3": (3, 0)})
def depth_array_of_version(case, rng, version):
    note = a_note(case, rng, Npy)
    case.files[note] = Npy(case.files[note].array, version)


@mutation(ERROR, ("depth_maps",), {"zip": "zip", "huge": "huge", "minus": "minus", "code": "code"})
def depth_array_is(case, rng, kind):
    note = a_note(case, rng, Npy)
    array = case.files[note].array
    if kind == "zip":
        buffer = io.BytesIO()
        np.savez(buffer, depth=array)
        case.files[note] = Raw(buffer.getvalue())
        return
    shape = {"huge": "(99999999999999999999, 4)", "minus": "(-3, -8)", "code": "exit()"}[kind]
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    case.files[note] = Raw(data + array.tobytes())


@mutation(ERROR, ("depth_maps",))
def depth_in_metres_among_millimetres(case, rng):
    """A .npy in metres beside .png in millimetres, of one unit."""
    if not _in_whole_numbers(case):
        raise Unfit
    name = _a_map(case, rng)
    truth = case.truths[name]
    del case.files[truth.note]
    note = truth.note.removesuffix(".png") + ".npy"
    case.files[note] = Npy(truth.depth)


@mutation(ERROR, ("depth_maps",))
def depth_map_twice(case, rng):
    truth = case.truths[_a_map(case, rng)]
    other = {".png": ".npy", ".npy": ".png"}[PurePosixPath(truth.note).suffix]
    case.files[str(PurePosixPath(truth.note).with_suffix(other))] = case.files[truth.note]


@mutation(RIGHT, ("depth_maps",))
def depth_map_with_suffix_in_capitals(case, rng):
    truth = case.truths[_a_map(case, rng)]
    suffix = PurePosixPath(truth.note).suffix
    case.files[truth.note.removesuffix(suffix) + suffix.upper()] = case.files.pop(truth.note)


@mutation(ERROR, ("depth_maps",))
def unit_missing(case, rng):
    if not _in_whole_numbers(case):
        raise Unfit
    del case.config["unit"]
    case.named |= {case.root, "images"}


# --- NYU's file ---


def _hdf5(case: Case) -> Hdf5:
    return content_at(case, case.path.rpartition("/")[2], Hdf5)


@mutation(RIGHT, ("nyu",))
def nyu_by_its_folder(case, rng):
    case.path = ""


ODD_ARRAYS = {
    "missing": lambda array: None,
    "empty": lambda array: array[:0],
    "fewer": lambda array: array[:-1],
    "axes": lambda array: np.ascontiguousarray(array.swapaxes(-1, -2)),
    "flat": lambda array: array.reshape(len(array), -1),
    "link": lambda array: h5py.SoftLink("/nowhere"),
    "elsewhere": lambda array: h5py.ExternalLink("nowhere.mat", "/depths"),
    "text": lambda array: "nothing",
    "uint16": lambda array: array.astype(np.uint16),
    "bool": lambda array: array > 3,
}


@mutation(ERROR, ("nyu",), ODD_ARRAYS)
def nyu_array(case, rng, change):
    content, key = _hdf5(case), any_of(rng, ["images", "depths"])
    changed = change(content.values[key])
    content.values = {name: value for name, value in (content.values | {key: changed}).items() if value is not None}


@mutation(ERROR, ("nyu",))
def nyu_images_as_floats(case, rng):
    content = _hdf5(case)
    content.values = content.values | {"images": content.values["images"].astype(np.float32) / 255}


@mutation(RIGHT, ("nyu",))
def nyu_depths_in_double_precision(case, rng):
    content = _hdf5(case)
    content.values = content.values | {"depths": content.values["depths"].astype(np.float64)}


@mutation(RIGHT, ("nyu",))
def nyu_not_compressed(case, rng):
    _hdf5(case).options = {}


@mutation(ERROR, ("nyu",))
def nyu_of_version_5(case, rng):
    content = _hdf5(case)
    case.files[case.path.rpartition("/")[2]] = Mat(dict(content.values))
