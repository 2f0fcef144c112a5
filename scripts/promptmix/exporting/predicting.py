"""An exported network on pictures and videos: numbers as a CSV, and maps over the pictures. Nothing here needs PyTorch.

Pictures are read as the datasets' are, and resized as those that the network was trained on. They are turned as their EXIF
tag Orientation says: no annotation refers to the pixels as stored. OpenCV turns the frames of videos likewise.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from promptmix.datasets.pictures import decode_image, describe_foreign, measure, open_image, training_size
from promptmix.errors import InputError
from promptmix.exporting.session import Exported
from promptmix.files import replacing_folder, write_csv
from promptmix.listing import list_files
from promptmix.running.progress import Progress

log = logging.getLogger(__name__)

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""Endings of pictures, in lower case; other files of a folder are passed over."""

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")

CSV = "predictions.csv"

QUALITY = 90
"""Of the JPEGs that show maps."""

CUT_SHORT = 0.95
"""Share of the frames that a video says it has: fewer decoded ones are worth a warning."""

TURNS = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}
"""What makes a picture upright, by its EXIF tag Orientation."""


def predict(exported: Exported, place: str | Path, out: str | Path, every: int = 1) -> Path:
    """Write what a network predicts for a picture, a folder of pictures, or a video.

    `out` gets predictions.csv with a row per picture or frame, and for each a JPEG of the picture under its map. The
    columns are `image` (or `frame`, from 0, and `seconds`) and `count`, or for depth `least`, `mean` and `most`, in metres.
    `out` appears when it is complete.

    Args:
        every: of a video, one frame of so many.

    Raises:
        InputError: there is nothing to read, a picture is damaged, or `out` holds something.
    """
    place, out = Path(place), Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out} exists already and is not overwritten. Give another folder, or remove it")
    if not place.exists():
        raise InputError(f"{place}: no such file or folder; expected a picture, a folder of pictures, or a video")
    items, total = _videos(place, every, exported) if _is_video(place) else _pictures(place, exported)
    rows, watch = [], Progress(total, "images predicted")
    with replacing_folder(out, only_empty=True) as part:
        for name, keys, image in items:
            found = _compute(exported, image, f"{place}: {name}" if _is_video(place) else name)
            rows.append(keys | _numbers(exported, found))
            picture = part / name
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(overlay(image, found, exported)).save(picture, quality=QUALITY)
            watch.add(note=", ".join(f"{key} {value:.2f}" for key, value in list(rows[-1].items())[len(keys) :]))
        write_csv(part / CSV, rows)
    log.info("%d images predicted; the numbers are in %s, beside the pictures", len(rows), out / CSV)
    return out / CSV


def overlay(image: np.ndarray, found: np.ndarray, exported: Exported) -> np.ndarray:
    """Return a picture in grey under the colours of its map, (H, W, 3) uint8: dark is few or near, bright many or far.

    The scale ends at the largest value of the map, and begins at 0, of depth at the least value.

    Args:
        image: (H, W, 3) uint8 RGB.
        found: its map, (h, w).
    """
    height, width = image.shape[:2]
    low, high = (found.min() if exported.task == "depth" else 0.0), found.max()
    scaled = np.clip((found - low) / (high - low if high > low else 1.0), 0, 1)
    cells = scaled.repeat(exported.stride, 0).repeat(exported.stride, 1)[:height, :width]
    colours = cv2.applyColorMap((255 * cells).astype(np.uint8), cv2.COLORMAP_INFERNO)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(grey, 0.5, cv2.cvtColor(colours, cv2.COLOR_BGR2RGB), 0.5, 0)


def _numbers(exported: Exported, found: np.ndarray) -> dict[str, float]:
    """Return the numbers of a map, which go into the CSV."""
    if exported.task == "counting":
        return {"count": float(found.sum(dtype=np.float64))}
    return {"least": float(found.min()), "mean": float(found.mean(dtype=np.float64)), "most": float(found.max())}


def _compute(exported: Exported, image: np.ndarray, name: str) -> np.ndarray:
    """Return the map of an image, (h, w).

    Raises:
        InputError: ONNX Runtime fails, mostly for lack of memory.
    """
    try:
        found = exported.predict(image[None])[0]
    except Exception as error:  # ONNX Runtime has a kind for each failure
        height, width = image.shape[:2]
        raise InputError(
            f"{name}: the network cannot take {width}x{height} pixels on this machine ({str(error).splitlines()[0]}). Is "
            "there enough memory? If not, make the image smaller"
        ) from error
    if not np.isfinite(found).all():
        raise InputError(f"{name}: the network gives numbers that are not finite; export another one")
    return found


# --- Pictures ---


def _pictures(place: Path, exported: Exported) -> tuple[Iterator[tuple[str, dict, np.ndarray]], int]:
    """Return the pictures at a place, each with its name and the first columns of its row, and how many there are.

    Raises:
        InputError: there are none, or one is no picture; all are looked at before the first is predicted.
    """
    if place.is_dir():
        files = {name: file for name, file in list_files(place) if file.suffix.lower() in PICTURES}
        if not files:
            raise InputError(f"{place}: no picture in this folder; expected files that end in {', '.join(PICTURES)}")
    else:
        files = {place.name: place}
    known: dict[str, tuple[tuple[int, int], int]] = {}
    problems = []
    for name, file in files.items():
        try:
            known[name] = measure(file)
        except InputError as error:
            problems.append(str(error))
    if problems:
        more = f"\nand {len(problems) - 5} more" if len(problems) > 5 else ""
        raise InputError("\n".join(problems[:5]) + more)

    def read() -> Iterator[tuple[str, dict, np.ndarray]]:
        for name, (size, orientation) in known.items():
            turned = orientation >= 5  # by a quarter
            wanted = training_size(*(size[::-1] if turned else size), exported.resize)
            with open_image(files[name]) as image:
                pixels = decode_image(image, wanted[::-1] if turned else wanted)
            yield f"{name}.jpg", {"image": name}, np.ascontiguousarray(TURNS[orientation](pixels))

    return read(), len(files)


# --- Videos ---


def _is_video(place: Path) -> bool:
    """Return whether a file is to be read as a video: by its name, or by its first bytes where it has another name."""
    if not place.is_file() or place.suffix.lower() in PICTURES:
        return False
    return place.suffix.lower() in VIDEOS or "a video" in describe_foreign(place)


def _videos(place: Path, every: int, exported: Exported) -> tuple[Iterator[tuple[str, dict, np.ndarray]], int]:
    """Return the frames of a video, each with its name and the first columns of its row, and how many to expect.

    Raises:
        InputError: none can be decoded.
    """
    said, rate = _facts(place)

    def read() -> Iterator[tuple[str, dict, np.ndarray]]:
        video, frame = cv2.VideoCapture(str(place)), 0
        try:
            while video.grab():
                if frame % every == 0:
                    decoded, pixels = video.retrieve()
                    if not decoded:
                        break
                    height, width = pixels.shape[:2]
                    image = Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
                    keys = {"frame": frame, "seconds": round(frame / rate, 3) if rate else None}
                    size = training_size(width, height, exported.resize)
                    yield f"frame-{frame:06d}.jpg", keys, decode_image(image, size)
                frame += 1
        finally:
            video.release()
        if frame < CUT_SHORT * said:
            log.warning(
                "%s: %d frames were decoded, and the file says that it has %d. It may be cut short or damaged from there on",
                *(place, frame, said),
            )

    return read(), max(1, -(-said // every))


def _facts(place: Path) -> tuple[int, float]:
    """Return how many frames a video says it has, and its frames per second (0 if it does not say).

    Raises:
        InputError: not a single frame can be decoded.
    """
    video = cv2.VideoCapture(str(place))
    try:
        if not video.isOpened() or not video.read()[0]:
            raise InputError(
                f"{place}: the video cannot be decoded: it is damaged, empty, or in a format that OpenCV does not know. Copy "
                f"it again, or convert it (ffmpeg -i {place.name} -c:v libx264 converted.mp4)"
            )
        rate = video.get(cv2.CAP_PROP_FPS)
        return max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT))), rate if np.isfinite(rate) and rate > 0 else 0.0
    finally:
        video.release()
