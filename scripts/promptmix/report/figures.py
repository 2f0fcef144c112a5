"""Figures: contact sheets, generated images of grey against colour prompts, predictions beside the ground truth.

Which images a figure of the paper shows is a rule and not a choice: the figure says which. It is a PNG, and a CSV beside
it holds its numbers.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from promptmix.datasets.index import Index
from promptmix.errors import InputError
from promptmix.files import replacing, write_csv
from promptmix.synthesis.manifest import read_manifest, read_verified
from promptmix.tasks import batching
from promptmix.tasks.density import density_at_stride
from promptmix.tasks.depth_metrics import image_sums, metrics

SIDE = 300
"""The longer side of a picture in Figures 3 and 4, in pixels."""

SMALL_SIDE = 220
"""The same in Figure 2, which has more columns."""

GAP = 10
TEXT, TITLE = 16, 20
"""Sizes of letters, in pixels."""

COLOURS = np.array(
    [(43, 30, 102), (97, 36, 146), (174, 40, 129), (229, 75, 87), (249, 137, 66), (255, 194, 73), (251, 246, 166)]
)
"""Of a map, from its least to its largest value: equal steps of lightness (0.30 to 0.96 in Oklab), so also in grey."""

PERCENTILES = (25, 50, 75)


def contact_sheet(
    path: str | Path, rows: Sequence[Sequence[np.ndarray]], labels: Sequence[Sequence[str]], side: int = 160
) -> None:
    """Write rows of images as a PNG, each with its label below it.

    Args:
        rows: (H, W, 3) uint8 images; as many in each row.
        labels: a text for each image.
        side: length of an image's longer side, in pixels.
    """
    cells = [list(zip(*row, strict=True)) for row in zip(rows, labels, strict=True)]
    write_figure(path, [Row([Panel(fitted(image, side), label) for image, label in row]) for row in cells])


# --- Figure 2 ---


def draw_grey_and_colour(path: str | Path, csv: str | Path, grey: str | Path, colour: str | Path, number: int) -> None:
    """Write Figure 2: the first image of each of the first prompts, above that of the same prompt with another suffix.

    The CSV holds, per pair, the prompt, the seed, and the mean chroma of both images (`mean_chroma`).

    Args:
        path, csv: the files to write.
        grey, colour: manifests of the first blocks of two pools that differ in the last part of their prompts.
        number: of prompts.

    Raises:
        InputError: the pools have fewer prompts, or their images are not pairs.
    """
    frames = [read_manifest(file).iloc[:number] for file in (grey, colour)]
    for file, frame in zip((grey, colour), frames, strict=True):
        if frame["prompt"].nunique() < number:
            raise InputError(
                f"{file}: {number} prompts are to be shown, and its first {len(frame)} images have "
                f"{frame['prompt'].nunique()}. Give the pool more prompts, or show fewer"
            )
    parts = [_parted(*pair) for pair in zip(*(frame["prompt"] for frame in frames), strict=True)]
    prompts, *suffixes = zip(*parts, strict=True)
    alike = all(prompts) and frames[0]["seed"].equals(frames[1]["seed"])
    if not alike or suffixes[0] == suffixes[1] or any(len(set(suffix)) > 1 for suffix in suffixes):
        raise InputError(
            f"{grey} and {colour}: their images are not pairs; expected the same seeds, and the same prompts up to a "
            f"suffix, but found '{frames[0]['prompt'].iloc[0]}' and '{frames[1]['prompt'].iloc[0]}'"
        )
    rows, chroma = [], []
    for frame, (suffix, *_), captions in zip(frames, suffixes, ([""] * number, prompts), strict=True):
        images = [read_verified(file, digest) for file, digest in zip(frame["file"], frame["sha256"], strict=True)]
        panels = [Panel(fitted(image, SMALL_SIDE), text) for image, text in zip(images, captions, strict=True)]
        rows.append(Row(panels, f"..., {suffix}"))
        chroma.append([mean_chroma(image) for image in images])
    columns = {"prompt": prompts, "seed": frames[0]["seed"], "chroma_grey": chroma[0], "chroma_colour": chroma[1]}
    write_csv(csv, pd.DataFrame(columns))
    note = "The first image of each prompt. Both images of a column have one seed and, but for the suffix, one prompt."
    write_figure(path, rows, note=note)


def _parted(one: str, other: str) -> tuple[str, ...]:
    """Return the parts, between commas, with which two prompts begin alike, and what follows in the one and the other."""
    parts, others = one.split(", "), other.split(", ")
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parts, others)))
    return tuple(map(", ".join, (parts[:alike], parts[alike:], others[alike:])))


def mean_chroma(image: np.ndarray) -> float:
    """Return how far a pixel's largest and smallest channel are apart on average, 0 (grey) to 255."""
    return float(np.ptp(image.astype(np.int16), axis=-1).mean())


# --- Figures 3 and 4 ---


@dataclass(frozen=True)
class Comparison:
    """Two networks that are compared on the test images of a dataset.

    Args:
        title: of the dataset.
        index: the dataset.
        baseline, promptmix: the networks, on the device, of one task and one stride.
        sigma, kernel: of the Gaussians in the ground truth's density, in pixels; depth needs none.
    """

    title: str
    index: Index
    baseline: nn.Module
    promptmix: nn.Module
    sigma: float = 4.0
    kernel: int = 15


def draw_predictions(
    path: str | Path, csv: str | Path, comparisons: Iterable[Comparison], device: torch.device | str
) -> None:
    """Write Figure 3 or 4: test image, the baseline's map, PromptMix's and the ground truth, each with its number.

    Of each dataset, the test images at the 25th, 50th and 75th percentile (`at_percentiles`) of the true count, or of the
    true mean depth. The three maps of a row share one scale of colours.

    Args:
        path, csv: the files to write; the CSV has a row per row of the figure, with unrounded numbers.
        comparisons: one per dataset, one after the other in the figure; of one task.

    Raises:
        InputError: nothing to compare, or a dataset without test images, or without depth if that is what is compared.
    """
    rows, numbers = [], []
    for comparison in comparisons:
        networks = {"baseline": comparison.baseline.eval(), "promptmix": comparison.promptmix.eval()}
        task, stride = TASKS[comparison.baseline.task], comparison.baseline.stride
        index, title = comparison.index, comparison.title
        if not len(test := index.split("test")):
            raise InputError(f"{index.path}: no test image to draw; see `split` in the dataset's configuration")
        values = task.values(index, test)
        for percentile, position in zip(PERCENTILES, at_percentiles(values), strict=True):
            i = test[position]
            image, name, true = index.image(i), index.frame["image"].iloc[i], task.true(comparison, i)
            with torch.inference_mode():
                maps = [
                    task.predict(network, [image], device)[0].float().cpu().numpy() for network in networks.values()
                ]
            results = [task.result(found, true) for found in maps]
            low, high = task.scale(true, maps)

            drawn = [map_picture(m, low, high, image.shape[:2], stride, task.unknown) for m in (*maps, true)]
            pictures = [fitted(image), *drawn, colour_bar(low, high, drawn[0].height)]
            captions = [f"{Path(name).stem}, {percentile}th percentile", *map(task.predicted.format, results)]
            captions += [task.truth.format(values[position]), task.unit]
            rows.append(Row([Panel(*panel) for panel in zip(pictures, captions, strict=True)], title))
            title = ""  # once per dataset

            row = {"dataset": comparison.title, "percentile": percentile, "image": name, task.value: values[position]}
            row |= {f"{method}_{task.measure}": result for method, result in zip(networks, results, strict=True)}
            numbers.append(row | {"scale_low": low, "scale_high": high})
    if not rows:
        raise InputError(f"{path}: nothing to draw; expected one pair of experiments or more")
    write_csv(csv, numbers)
    headings = ["test image", "baseline", "PromptMix", "ground truth"]
    write_figure(path, rows, headings, f"{task.note} The three maps of a row share one scale of colours.")


def at_percentiles(values: np.ndarray) -> list[int]:
    """Return the positions of the values nearest to the `PERCENTILES`; of equally near ones, the first.

    Percentiles are interpolated linearly. Values that are not numbers are passed over.
    """
    return [int(np.nanargmin(np.abs(values - np.nanpercentile(values, p)))) for p in PERCENTILES]


class Counts:
    """How counting is drawn: people per cell of the network's output."""

    predict = staticmethod(batching.density)
    unknown = None
    value, measure = "count", "count"
    predicted, truth, unit = "{:.1f} people", "{:.0f} people", "people per cell"
    note = (
        "Test images at the 25th, 50th and 75th percentile of the true count; the learning rate chosen by validation, "
        "first repeat. A number is the sum of its map; below 0 a map is drawn as 0."
    )

    @staticmethod
    def values(index: Index, images: np.ndarray) -> np.ndarray:
        """Return the true counts of images."""
        return index.frame["count"].to_numpy()[images]

    @staticmethod
    def true(comparison: Comparison, i: int) -> np.ndarray:
        """Return the density that the networks are trained to give for an image."""
        heads, (height, width) = comparison.index.heads(i), comparison.index.image(i).shape[:2]
        stride, sigma, kernel = comparison.baseline.stride, comparison.sigma, comparison.kernel
        return density_at_stride(heads[:, :2], height, width, stride, sigma, kernel, heads[:, 2:])

    @staticmethod
    def scale(true: np.ndarray, maps: Sequence[np.ndarray]) -> tuple[float, float]:
        """Return 0 and the largest density in the maps."""
        return 0.0, float(max(found.max() for found in (true, *maps)))

    @staticmethod
    def result(found: np.ndarray, true: np.ndarray) -> float:
        """Return the predicted count."""
        return float(found.sum(dtype=np.float64))


class Depths:
    """How depth is drawn: metres per pixel, black where it is not known."""

    predict = staticmethod(batching.depth)
    unknown = 0.0
    value, measure = "mean_depth", "rmse"
    predicted, truth, unit = "RMSE {:.2f} m", "mean {:.2f} m", "metres"
    note = (
        "Test images at the 25th, 50th and 75th percentile of the true mean depth; the learning rate chosen by "
        "validation, first repeat. RMSE of the whole image. Black: not known. The scale is the ground truth's range; what "
        "is predicted beyond it is drawn as its ends."
    )

    @staticmethod
    def values(index: Index, images: np.ndarray) -> np.ndarray:
        """Return the mean of the known depths of images; not a number where none is known."""
        depths = (index.depth(i) for i in images)
        return np.array([d[d > 0].mean(dtype=np.float64) if (d > 0).any() else np.nan for d in depths])

    @staticmethod
    def true(comparison: Comparison, i: int) -> np.ndarray:
        """Return the depth of an image."""
        return comparison.index.depth(i)

    @staticmethod
    def scale(true: np.ndarray, maps: Sequence[np.ndarray]) -> tuple[float, float]:
        """Return the least and the largest known depth."""
        known = true[true > 0]
        return float(known.min()), float(known.max())

    @staticmethod
    def result(found: np.ndarray, true: np.ndarray) -> float:
        """Return the root mean squared error of the whole image, in metres."""
        return metrics(pd.DataFrame([image_sums(found, true)]), "full", "images")["rmse"]


TASKS = {"counting": Counts, "depth": Depths}


# --- Pictures ---


def fitted(image: np.ndarray, side: int = SIDE) -> Image.Image:
    """Return (H, W, 3) uint8 as a picture whose longer side is `side`: pixels enlarged as they are, or averaged."""
    filtering = Image.Resampling.NEAREST if max(image.shape) <= side else Image.Resampling.BOX
    return Image.fromarray(image).resize(_fitted_size(*image.shape[:2], side), filtering)


def map_picture(
    values: np.ndarray, low: float, high: float, size: tuple[int, int], stride: int, unknown: float | None = None
) -> Image.Image:
    """Return a map as a picture that covers what `fitted` makes of its image; cells are not smoothed.

    Args:
        values: (h, w), a value per cell; cells at the right and lower edge may stick out of the image.
        low, high: the values at the ends of the scale of colours.
        size: height and width of the image in pixels.
        stride: side of a cell in pixels.
        unknown: a value that is drawn black.
    """
    height, width = size
    colours = coloured(values, low, high)
    if unknown is not None:
        colours[values == unknown] = 0
    within = (0, 0, width / stride, height / stride)
    return Image.fromarray(colours).resize(_fitted_size(height, width, SIDE), Image.Resampling.NEAREST, box=within)


def coloured(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return a colour for each value, (..., 3) uint8: `COLOURS` from `low` to `high`, and their ends beyond."""
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    knots = np.linspace(0, 1, len(COLOURS))
    return np.stack([np.interp(share, knots, channel) for channel in COLOURS.T], axis=-1).round().astype(np.uint8)


def colour_bar(low: float, high: float, height: int) -> Image.Image:
    """Return the scale of colours as an upright bar with the values at its ends, the largest on top."""
    bar = Image.fromarray(np.repeat(coloured(np.linspace(1, 0, height)[:, None], 0, 1), TEXT, axis=1))
    top, bottom = _text(f"{high:.3g}", 4 * TEXT), _text(f"{low:.3g}", 4 * TEXT)
    picture = Image.new("RGB", (bar.width + 4 + top.width, height), "white")
    for part, corner in ((bar, (0, 0)), (top, (TEXT + 4, 0)), (bottom, (TEXT + 4, height - bottom.height))):
        picture.paste(part, corner)
    return picture


def _fitted_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Return the width and height at which the longer one is `side`."""
    scale = side / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


# --- Layout ---


class Panel(NamedTuple):
    """A picture and the text below it."""

    picture: Image.Image
    caption: str


class Row(NamedTuple):
    """Panels side by side, and the title above them ("" for none)."""

    panels: Sequence[Panel]
    title: str = ""


def write_figure(path: str | Path, rows: Sequence[Row], headings: Sequence[str] = (), note: str = "") -> None:
    """Write rows of panels on white as a PNG.

    A column is as wide as its widest picture, and texts are wrapped to that.

    Args:
        rows: with as many panels each.
        headings: above the columns; there may be fewer than columns.
        note: below everything.
    """
    widths = [
        max(panel.picture.width for panel in column) for column in zip(*(row.panels for row in rows), strict=True)
    ]
    total = sum(widths) + GAP * (len(widths) - 1)
    strips = [_beside([_text(text, width, TITLE) for text, width in zip(headings, widths)], widths)] if headings else []
    for row in rows:
        strips += [_text(row.title, total, TITLE)] if row.title else []
        cells = [
            _above([p.picture, _text(p.caption, w)] if p.caption else [p.picture])
            for p, w in zip(row.panels, widths, strict=True)
        ]
        strips.append(_beside(cells, widths))
    figure = _above(strips + ([_text(note, total)] if note else []), GAP)
    framed = Image.new("RGB", (figure.width + 2 * GAP, figure.height + 2 * GAP), "white")
    framed.paste(figure, (GAP, GAP))
    with replacing(path) as temporary:
        framed.save(temporary)


def _text(text: str, width: int, size: int = TEXT) -> Image.Image:
    """Return text on white, wrapped to a width in pixels; words that are too long are broken."""
    font = ImageFont.load_default(size=size)
    lines, columns = [text], len(text)
    while columns > 1 and max(map(font.getlength, lines)) > width:
        columns -= 1
        lines = textwrap.wrap(text, columns)
    line_height = sum(font.getmetrics()) + 2
    picture = Image.new("RGB", (width, line_height * len(lines)), "white")
    for i, line in enumerate(lines):
        ImageDraw.Draw(picture).text((0, i * line_height), line, "black", font)
    return picture


def _beside(pictures: Sequence[Image.Image], widths: Sequence[int]) -> Image.Image:
    """Return pictures side by side, aligned at the top, in columns of the widths given."""
    size = (sum(widths) + GAP * (len(widths) - 1), max(picture.height for picture in pictures))
    whole, left = Image.new("RGB", size, "white"), 0
    for picture, width in zip(pictures, widths):
        whole.paste(picture, (left, 0))
        left += width + GAP
    return whole


def _above(pictures: Sequence[Image.Image], gap: int = 2) -> Image.Image:
    """Return pictures one above the other, aligned on the left."""
    height = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
    whole, top = Image.new("RGB", (max(picture.width for picture in pictures), height), "white"), 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height + gap
    return whole
