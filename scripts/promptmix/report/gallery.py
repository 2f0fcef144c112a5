"""The gallery of an experiment: a page of its generated images to look through, sort and review in a browser.

The page is `gallery.html`, beside this file, with the data in it. It asks for nothing but the pictures in the folder beside
it, which are loaded when they come into view:

    pools/{pool}/{stem}.jpg               a generated image, small
    pools/{pool}/{stem}.{annotator}.png   an annotator's map of it, to be laid over it; see `draw_map`
    real/{i}.jpg                          a real training image, small
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from matplotlib import colormaps
from PIL import Image

from promptmix.datasets.split import Split
from promptmix.errors import InputError
from promptmix.files import replacing
from promptmix.records.prompts import PROMPT_KEYS
from promptmix.running.progress import Progress
from promptmix.synthesis.manifest import read_verified
from promptmix.synthesis.maps import missing_maps, open_maps, read_counts
from promptmix.synthesis.reviewing import find

TEMPLATE = Path(__file__).with_name("gallery.html")

SIDE = 320
"""Longest side of a small picture, in pixels."""

REAL = 24
"""Real images beside the generated ones."""

COLOURS = (colormaps["inferno"](np.linspace(0, 1, 256))[:, :3] * 255).round().astype(np.uint8)
"""Of a map, from 0 to the largest value, (256, 3) RGB."""


def write_gallery(
    page: str | Path,
    folder: str | Path,
    images: pd.DataFrame,
    annotations: Mapping[str, Mapping[str, str]],
    real: Split,
    reviewed: Mapping[str, Mapping[str, Sequence]],
    title: Mapping[str, str],
    kept: pd.DataFrame | None = None,
    workers: int = 1,
) -> None:
    """Write the page and its pictures; the page appears when all is there.

    Args:
        page: the HTML file to write.
        folder: of the pictures; the page names them by their path from its own folder.
        images: what `promptmix.synthesis.sifting.sift` returns.
        annotations: for each file in the column `maps` of `images`, the files of the same block by annotator: first
            that whose annotations are trained on, then those that score images, in the same order for each.
        real: the training images.
        reviewed: what the config says to leave out, by pool, as `reviewed` in a config; only these pools can be reviewed.
        title: `experiment`, `scale` and `task`.
        kept: what the filter of prompts says, in the columns of `promptmix.records.filters.FILTER`.
        workers: number of threads that draw.

    Raises:
        InputError: no images, an image that is missing or changed, or one that an annotator has no map of.
    """
    if images.empty:
        raise InputError(f"{title['experiment']}: there are no generated images to show")
    folder, base = Path(folder), Path(page).resolve().parent
    seen = {path: _seen(files, title["task"]) for path, files in annotations.items()}
    prompts = _prompts(images, reviewed, kept)
    positions = {(prompt["pool"], prompt["number"]): i for i, prompt in enumerate(prompts)}
    shown = [
        {
            "prompt": positions[row.pool, row.prompt_number],
            "seed": row.seed,
            "stem": row.stem,
            "file": os.path.relpath(row.file, base),
            "width": row.width,
            "height": row.height,
            "seen": [_number(found.get(row.stem)) for found in seen[row.maps].values()],
            "q": _number(row.q, 4),
            "clip": _number(row.clip_score, 4),
            "like": row.like,
            "by": row.left_out_by,
        }
        for row in images.itertuples()
    ]
    _draw_generated(folder, images, annotations, workers)
    data = {
        **title,
        "folder": os.path.relpath(folder.resolve(), base),
        "annotators": list(next(iter(annotations.values()))),
        "stride": _stride(annotations),
        "prompts": prompts,
        "images": shown,
        "real": _draw_real(folder, real, title["task"]),
        "reviewed": _resolved(reviewed, images),
    }
    # Inside <script> nothing but "<" could be taken for HTML.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    with replacing(page) as temporary:
        temporary.write_text(TEMPLATE.read_text(encoding="utf-8").replace('"the data"', text, 1), encoding="utf-8")


def draw_map(found: np.ndarray, largest: float, side: int = SIDE) -> Image.Image:
    """Return a map as a picture to be laid over its image: the larger a value, the lighter and the less transparent.

    Values of 0 or less, nobody or unknown depth, are transparent. A map larger than `side` is thinned out.

    Args:
        found: (h, w), people per cell or metres.
        largest: the value that has the lightest colour.
    """
    step = max(1, math.ceil(max(found.shape) / side))
    scaled = found[::step, ::step].astype(np.float32) / largest if largest > 0 else np.zeros((1, 1), np.float32)
    levels = np.where(scaled > 0, 1 + np.round(np.nan_to_num(scaled).clip(0, 1) * 254), 0).astype(np.uint8)
    picture = Image.frombytes("P", levels.shape[::-1], levels.tobytes())
    picture.putpalette(COLOURS.tobytes())
    return picture


ALPHA = bytes([0, *np.linspace(60, 190, 255).round().astype(np.uint8)])
"""How opaque each colour of a map is."""


def _seen(files: Mapping[str, str], task: str) -> dict[str, dict[str, float]]:
    """Return what annotators see in the images of a block, by annotator and stem: people, or mean depth in metres."""
    column = "count" if task == "counting" else "depth"
    return {name: read_counts(file)[column].to_dict() for name, file in files.items()}


def _stride(annotations: Mapping[str, Mapping[str, str]]) -> int:
    with open_maps(next(iter(next(iter(annotations.values())).values()))) as file:
        return int(file.attrs["stride"])


def _prompts(
    images: pd.DataFrame, reviewed: Mapping[str, Mapping[str, Sequence]], kept: pd.DataFrame | None
) -> list[dict[str, Any]]:
    """Return each prompt with its pool, number, text, whether it is edited and what the filter of prompts says of it."""
    frame = images.drop_duplicates([*PROMPT_KEYS]).sort_values([*PROMPT_KEYS])[[*PROMPT_KEYS, "prompt"]]
    said = {} if kept is None else {(row.pool, row.prompt_number): row for row in kept.itertuples()}
    texts = _texts(images)
    edited = {
        (pool, number)
        for pool, review in reviewed.items()
        for edit in review["edit"]
        for number in find(texts[pool], edit["prompt"], pool)
    }
    found = []
    for pool, number, text in frame.itertuples(index=False):
        prompt = {"pool": pool, "number": number, "text": text, "edited": (pool, number) in edited}
        if row := said.get((pool, number)):
            prompt |= {"error": _number(row.val_error, 4), "baseline": _number(row.baseline, 4)}
        found.append(prompt)
    return found


def _texts(images: pd.DataFrame) -> dict[str, list[str]]:
    """Return the prompts of each pool, in their order."""
    frame = images.drop_duplicates([*PROMPT_KEYS]).sort_values([*PROMPT_KEYS])
    return {str(pool): texts.tolist() for pool, texts in frame.groupby("pool")["prompt"]}


def _resolved(reviewed: Mapping[str, Mapping[str, Sequence]], images: pd.DataFrame) -> dict[str, dict[str, list]]:
    """Return a review in which prompts to drop are named by number."""
    texts = _texts(images)
    return {
        pool: {
            "drop": sorted({number for prompt in review["drop"] for number in find(texts[pool], prompt, pool)}),
            "edit": [dict(edit) for edit in review["edit"]],
            "exclude": sorted(review["exclude"]),
        }
        for pool, review in reviewed.items()
    }


def _draw_generated(
    folder: Path, images: pd.DataFrame, annotations: Mapping[str, Mapping[str, str]], workers: int
) -> None:
    """Draw the images and the annotators' maps of them, whose colours mean the same in all maps of an image."""

    def draw(row, files: Mapping[str, h5py.File]) -> None:
        target = folder / "pools" / row.pool
        target.mkdir(parents=True, exist_ok=True)
        maps = {name: _map(file, row.stem) for name, file in files.items()}
        _save_small(read_verified(row.file, row.sha256), target / f"{row.stem}.jpg")
        largest = max(float(np.nan_to_num(found).max()) for found in maps.values())
        for name, found in maps.items():
            draw_map(found, largest).save(target / f"{row.stem}.{name}.png", transparency=ALPHA)

    watch = Progress(len(images), "images drawn")
    with ThreadPoolExecutor(workers) as threads:
        for path, block in images.groupby("maps", sort=False):
            with ExitStack() as stack:
                files = {name: stack.enter_context(open_maps(file)) for name, file in annotations[str(path)].items()}
                list(threads.map(lambda row: draw(row, files), block.itertuples()))  # noqa: B023
            watch.add(len(block))


def _map(file: h5py.File, stem: str) -> np.ndarray:
    if stem not in file["map"]:
        raise InputError(missing_maps(file.filename, [stem], len(file["map"])))
    return file["map"][stem][()]


def _draw_real(folder: Path, real: Split, task: str) -> list[dict[str, Any]]:
    """Draw real images from the least to the largest count or mean depth, in even steps, and return what they hold."""
    (folder / "real").mkdir(parents=True, exist_ok=True)
    held = (
        real.frame["count"].to_numpy(float) if task == "counting" else [_mean_depth(real, i) for i in range(len(real))]
    )
    order = np.argsort(held, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, REAL).round().astype(int))]
    for place, i in enumerate(chosen):
        _save_small(real.image(i), folder / "real" / f"{place}.jpg")
    return [{"name": str(real.frame["image"].iloc[i]), "holds": _number(held[i])} for i in chosen]


def _mean_depth(real: Split, i: int) -> float:
    depth = real.depth(i)
    return float(depth[depth > 0].mean(dtype=np.float64)) if (depth > 0).any() else 0.0


def _save_small(image: np.ndarray, path: Path) -> None:
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE))
    picture.save(path, quality=80)


def _number(value: float | None, digits: int = 2) -> float | None:
    """Return a number for JSON, None if it is not known."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)
