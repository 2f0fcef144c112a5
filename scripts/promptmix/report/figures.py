"""Figures: training images above generated ones, grey against colour prompts, predictions beside the ground truth.

Which images a figure of the paper shows is a rule and not a choice: the figure says which. It is a PNG, as wide as a page,
and a CSV beside it holds its numbers.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from promptmix.datasets.index import Index
from promptmix.errors import InputError
from promptmix.files import replacing, write_csv
from promptmix.synthesis.manifest import read_manifest, read_verified
from promptmix.tasks import batching
from promptmix.tasks.density import density_at_stride
from promptmix.tasks.depth_metrics import image_sums, metrics

WIDTH, DPI = 7.0, 200
"""A figure's width in inches, that of a page's text, and its pixels per inch."""

SMALL, LARGE = 7, 8
"""Sizes of letters in points: below pictures, and of titles."""

LINE = 0.16
"""Height of a line of text and its margins, in inches."""

COLOURS = "inferno"
"""Of a map, from its least to its largest value: lightness rises steadily, so it can be read in grey too."""

PERCENTILES = (25, 50, 75)


def contact_sheet(
    path: str | Path, csv: str | Path, rows: Sequence[Sequence[np.ndarray]], captions: Sequence[Sequence[str]]
) -> None:
    """Write rows of images as a PNG, each with its caption below it.

    Args:
        path, csv: the files to write; the CSV has a row per image, with its `row` and `column` from 0, and `caption`.
        rows: (H, W, 3) uint8 images; as many in each row.
        captions: a text for each image.
    """
    save(draw_sheet(rows, captions), path)
    cells = [(r, c, text) for r, texts in enumerate(captions) for c, text in enumerate(texts)]
    write_csv(csv, pd.DataFrame(cells, columns=["row", "column", "caption"]))


def draw_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    captions: Sequence[Sequence[str]],
    titles: Sequence[str] = (),
    note: str = "",
) -> Figure:
    """Return rows of images with a caption below each, a title to the left of each row, and a note below all."""
    columns = len(rows[0])
    shape = np.max([image.shape[:2] for row in rows for image in row], axis=0)
    wrapped = [[wrap(text, WIDTH / columns) for text in texts] for texts in captions]
    lines = sum(1 + max(text.count("\n") + bool(text) for text in texts) for texts in wrapped)
    height = len(rows) * WIDTH / columns * shape[0] / shape[1] + (lines + (2 if note else 0)) * LINE
    figure = Figure((WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for r, (row, texts) in enumerate(zip(rows, wrapped, strict=True)):
        for ax, image, text in zip(axes[r], row, texts, strict=True):
            show_image(ax, image)
            ax.set_xlabel(text, fontsize=SMALL)
        if titles:
            axes[r, 0].set_ylabel(titles[r], fontsize=LARGE)
    if note:
        figure.supxlabel(wrap(note, WIDTH), fontsize=SMALL)
    return figure


# --- Grey and colour prompts (Figure 2) ---


def draw_grey_and_colour(path: str | Path, csv: str | Path, grey: str | Path, colour: str | Path, number: int) -> None:
    """Write the first image of each of the first prompts, above that of the same prompt with another suffix (Figure 2).

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
    parts = [split_alike(*pair) for pair in zip(*(frame["prompt"] for frame in frames), strict=True)]
    prompts, *suffixes = zip(*parts, strict=True)
    alike = all(prompts) and frames[0]["seed"].equals(frames[1]["seed"])
    if not alike or suffixes[0] == suffixes[1] or any(len(set(suffix)) > 1 for suffix in suffixes):
        raise InputError(
            f"{grey} and {colour}: their images are not pairs; expected the same seeds, and the same prompts up to a "
            f"suffix, but found '{frames[0]['prompt'].iloc[0]}' and '{frames[1]['prompt'].iloc[0]}'"
        )
    rows = [
        [read_verified(file, digest) for file, digest in zip(frame["file"], frame["sha256"], strict=True)]
        for frame in frames
    ]
    chroma = [[mean_chroma(image) for image in row] for row in rows]
    columns = {"prompt": prompts, "seed": frames[0]["seed"], "chroma_grey": chroma[0], "chroma_colour": chroma[1]}
    note = "The first image of each prompt. Both images of a column have one seed and, but for the suffix, one prompt."
    figure = draw_sheet(rows, [[""] * number, prompts], [suffix[0] for suffix in suffixes], note)
    write_csv(csv, pd.DataFrame(columns))
    save(figure, path)


def split_alike(one: str, other: str) -> tuple[str, ...]:
    """Return the parts, between commas, with which two prompts begin alike, and what follows in the one and the other."""
    parts, others = one.split(", "), other.split(", ")
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parts, others)))
    return tuple(map(", ".join, (parts[:alike], parts[alike:], others[alike:])))


def mean_chroma(image: np.ndarray) -> float:
    """Return how far a pixel's largest and smallest channel are apart on average, 0 (grey) to 255."""
    return float(np.ptp(image.astype(np.int16), axis=-1).mean())


# --- Predictions (Figures 3 and 4) ---


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

    @property
    def stride(self) -> int:
        """Pixels per cell of the networks' maps, along a side."""
        return int(self.baseline.stride)  # type: ignore[arg-type]


def draw_predictions(
    path: str | Path, csv: str | Path, comparisons: Iterable[Comparison], device: torch.device | str
) -> None:
    """Write test images, the baseline's map, PromptMix's and the ground truth, each with its number (Figures 3 and 4).

    Of each dataset, the test images at the 25th, 50th and 75th percentile (`at_percentiles`) of the true count, or of the
    true mean depth. The three maps of a row share one scale of colours.

    Args:
        path, csv: the files to write; the CSV has a row per row of the figure, with unrounded numbers.
        comparisons: one per dataset, one after the other in the figure; of one task.

    Raises:
        InputError: nothing to compare, or a dataset without test images, or without depth if that is what is compared.
    """
    panels = [panel for comparison in comparisons for panel in compare(comparison, device)]
    if not panels:
        raise InputError(f"{path}: nothing to draw; expected one pair of experiments or more")
    figure = draw_panels(panels)
    write_csv(csv, [panel.numbers for panel in panels])
    save(figure, path)


@dataclass(frozen=True)
class Panels:
    """A row of the figure: a test image and three maps of it.

    Args:
        title: the dataset's, in its first row; else "".
        task: `Counts` or `Depths`.
        image: (H, W, 3) uint8.
        maps: the baseline's, PromptMix's and the true one, (h, w) each; 0 in a true depth map is unknown.
        captions: below the image and the maps.
        low, high: the values at the ends of the scale of colours.
        stride: side of a map's cell in pixels of the image.
        numbers: the row of the CSV.
    """

    title: str
    task: "type[Counts] | type[Depths]"
    image: np.ndarray
    maps: Sequence[np.ndarray]
    captions: Sequence[str]
    low: float
    high: float
    stride: int
    numbers: dict


def compare(comparison: Comparison, device: torch.device | str) -> list[Panels]:
    """Return the rows of a dataset, one for each of the `PERCENTILES`."""
    networks = {"baseline": comparison.baseline.eval(), "promptmix": comparison.promptmix.eval()}
    task, stride = TASKS[str(comparison.baseline.task)], comparison.stride
    index, rows = comparison.index, list[Panels]()
    if not len(test := index.split("test")):
        raise InputError(f"{index.path}: no test image to draw; see `split` in the dataset's configuration")
    values = task.values(index, test)
    for percentile, position in zip(PERCENTILES, at_percentiles(values), strict=True):
        i = test[position]
        image, name, true = index.image(i), index.frame["image"].iloc[i], task.true(comparison, i)
        with torch.inference_mode():
            maps = [task.predict(network, [image], device)[0].float().cpu().numpy() for network in networks.values()]
        results = [task.result(found, true) for found in maps]
        low, high = task.scale(true, maps)
        captions = [f"{Path(name).stem}, {percentile}th percentile", *map(task.predicted.format, results)]
        captions.append(task.truth.format(values[position]))
        numbers = {"dataset": comparison.title, "percentile": percentile, "image": name, task.value: values[position]}
        numbers |= {f"{method}_{task.measure}": result for method, result in zip(networks, results, strict=True)}
        numbers |= {"scale_low": low, "scale_high": high}
        title = "" if rows else comparison.title
        rows.append(Panels(title, task, image, [*maps, true], captions, low, high, stride, numbers))
    return rows


def draw_panels(rows: Sequence[Panels]) -> Figure:
    """Return the figure of some rows: four pictures each, and the scale of the three maps' colours."""
    heights = [WIDTH / 4.6 * row.image.shape[0] / row.image.shape[1] + 2 * LINE for row in rows]
    figure = Figure((WIDTH, sum(heights) + 3 * LINE), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(rows), 4, squeeze=False, height_ratios=heights)
    for ax, heading in zip(axes[0], ("test image", "baseline", "PromptMix", "ground truth")):
        ax.set_title(heading, fontsize=LARGE)
    for row_axes, row in zip(axes, rows):
        show_image(row_axes[0], row.image)
        row_axes[0].set_ylabel(row.title, fontsize=LARGE)
        for ax, values in zip(row_axes[1:], row.maps):
            drawn = show_map(ax, values, row)
        bar = figure.colorbar(drawn, ax=list(row_axes), pad=0.01, aspect=15)
        bar.set_label(row.task.unit, fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
        for ax, caption in zip(row_axes, row.captions, strict=True):
            ax.set_xlabel(caption, fontsize=SMALL)
    note = f"{rows[0].task.note} The three maps of a row share one scale of colours."
    figure.supxlabel(wrap(note, WIDTH), fontsize=SMALL)
    return figure


def at_percentiles(values: np.ndarray) -> list[int]:
    """Return the positions of the values nearest to the `PERCENTILES`; of equally near ones, the first.

    Percentiles are interpolated linearly. Values that are not numbers are passed over.
    """
    return [int(np.nanargmin(np.abs(values - np.nanpercentile(values, p)))) for p in PERCENTILES]


class Counts:
    """How counting is drawn: people per cell of the network's output."""

    predict = staticmethod(batching.density)
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
        stride, sigma, kernel = comparison.stride, comparison.sigma, comparison.kernel
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


TASKS: "dict[str, type[Counts] | type[Depths]]" = {"counting": Counts, "depth": Depths}


# --- Pictures ---


def show_image(ax: Axes, image: np.ndarray) -> None:
    """Show (H, W, 3) uint8 as it is, without ticks."""
    ax.imshow(image, interpolation="nearest" if max(image.shape) < 300 else "antialiased")
    ax.set(xticks=[], yticks=[])


def show_map(ax: Axes, values: np.ndarray, row: Panels):
    """Show a map over the pixels of its image, cell by cell; cells that stick out of the image are cut off.

    Depth of 0 is unknown, and black.
    """
    height, width = row.image.shape[:2]
    colours = colormaps[COLOURS].with_extremes(bad="black")
    values = np.ma.masked_equal(values, 0) if row.task is Depths else values
    extent = (0, values.shape[1] * row.stride, values.shape[0] * row.stride, 0)
    drawn = ax.imshow(values, colours, vmin=row.low, vmax=row.high, extent=extent, interpolation="nearest")
    ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    return drawn


def wrap(text: str, width: float) -> str:
    """Return a text in small letters, broken into lines that are not wider than a width in inches."""
    return textwrap.fill(text, int(width * 72 / (0.55 * SMALL)))


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG, the same bytes each time; the file appears when it is complete."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
