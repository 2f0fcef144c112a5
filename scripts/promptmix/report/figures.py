"""Figures: training images above generated ones, prompts that differ in colour, predictions beside the ground truth.

Which images a figure of the paper shows is a rule and not a choice: the figure says which. It is a PNG, as wide as a page,
and a CSV beside it holds its numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from promptmix.files import write_csv
from promptmix.report.style import DPI, HEADINGS, LARGE, LINE, SMALL, WIDTH, save, wrap
from promptmix.synthesis.manifest import read_manifest, read_verified
from promptmix.tasks import batching
from promptmix.tasks.density import density_at_stride
from promptmix.tasks.depth_metrics import image_sums, metrics

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


# --- Prompts that differ in colour (Figure 2) ---


def draw_colours(path: str | Path, csv: str | Path, manifests: Sequence[str | Path], number: int) -> None:
    """Write images of one prompt after the other, from the same seeds, with what tells their colours apart (Figure 2).

    Below each image, and in the CSV with pool, prompt and seed, stand its share of mid-greys (`mid_greys`), which is small where
    an image is all but black and white, and its colourfulness (`mean_chroma`).

    Args:
        path, csv: the files to write.
        manifests: of blocks that hold each pool's first images, pool by pool; each pool has one prompt.
        number: of images of each prompt, those of the first seeds.

    Raises:
        InputError: a pool with fewer images or more than one prompt, or pools whose images have other seeds.
    """
    pools = pd.concat([read_manifest(file) for file in manifests]).groupby("pool", sort=False)
    frames = [images.sort_values("seed").iloc[:number] for _, images in pools]
    for frame in frames:
        if len(frame) < number or frame["prompt"].nunique() > 1 or list(frame["seed"]) != list(frames[0]["seed"]):
            raise InputError(
                f"pool {frame['pool'].iloc[0]}: expected {number} images of one prompt with the seeds {list(frames[0]['seed'])}, found "
                f"{len(frame)} of {frame['prompt'].nunique()} with the seeds {list(frame['seed'])}"
            )
    rows = [
        [read_verified(file, digest) for file, digest in zip(frame["file"], frame["sha256"], strict=True)]
        for frame in frames
    ]
    table = pd.concat([frame[["pool", "prompt", "seed"]] for frame in frames], ignore_index=True)
    table["mid_greys"] = [mid_greys(image) for row in rows for image in row]
    table["chroma"] = [mean_chroma(image) for row in rows for image in row]
    captions = [
        [f"{cell.mid_greys:.0%} mid-greys, chroma {cell.chroma:.0f}".replace("%", " %") for cell in part.itertuples()]
        for _, part in table.groupby("pool", sort=False)
    ]
    height = (
        0.8 * WIDTH / number * rows[0][0].shape[0] / rows[0][0].shape[1]
    )  # of a picture, along which its title runs
    prompts = [frame["prompt"].iloc[0] for frame in frames]
    titles = [  # of pools with one prompt the pool is what sets them apart, such as by their size
        wrap(f"“{prompt}”" if prompts.count(prompt) == 1 else f"“{prompt}”, {frame['pool'].iloc[0]}", height)
        for frame, prompt in zip(frames, prompts, strict=True)
    ]
    note = (
        "All images of a column start from the noise of one seed. Mid-greys: the share of pixels whose brightness is in the "
        "middle half of its range. Chroma: how far a pixel's channels are apart on average, of 255."
    )
    write_csv(csv, table)
    save(draw_sheet(rows, captions, titles, note), path)


def mid_greys(image: np.ndarray) -> float:
    """Return the share of pixels, 0 to 1, whose brightness is in the middle half of its range, 64 to 191 of 255.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    brightness = (image @ np.array([0.299, 0.587, 0.114])).round()
    return float(((brightness >= 64) & (brightness < 192)).mean())


def mean_chroma(image: np.ndarray) -> float:
    """Return how far a pixel's largest and smallest channel are apart on average, 0 (grey) to 255."""
    return float(np.ptp(image.astype(np.int16), axis=-1).mean())


# --- Predictions (Figures 3 and 4) ---


@dataclass(frozen=True)
class Comparison:
    """Networks that are compared on the test images of a dataset.

    Args:
        title: what the figure calls the comparison: the dataset, and what sets it apart from the others.
        dataset: its title.
        index: the dataset.
        networks: by method, a key of `HEADINGS`; on the device, of one task and one stride.
        experiments: their names, by method.
        sigma, kernel: of the Gaussians in the ground truth's density, in pixels; depth needs none.
    """

    title: str
    dataset: str
    index: Index
    networks: Mapping[str, nn.Module]
    experiments: Mapping[str, str]
    sigma: float = 4.0
    kernel: int = 15

    @property
    def task(self) -> str:
        """Return "counting" or "depth"."""
        return str(next(iter(self.networks.values())).task)

    @property
    def stride(self) -> int:
        """Pixels per cell of the networks' maps, along a side."""
        return int(next(iter(self.networks.values())).stride)  # type: ignore[arg-type]


def draw_predictions(
    path: str | Path, csv: str | Path, comparisons: Iterable[Comparison], device: torch.device | str
) -> None:
    """Write test images, the networks' maps and the ground truth, each with its numbers (Figures 3 and 4).

    Below a predicted map stand its result, its error, and how sharp it is (`sharpness`).

    Of each dataset, the test images at the 25th, 50th and 75th percentile (`at_percentiles`) of the true count, or of the
    true mean depth. The maps of a row share one scale of colours.

    Args:
        path, csv: the files to write; the CSV has a row per row of the figure, with the experiments and unrounded numbers.
        comparisons: one after the other in the figure; of one task, and of networks of the same methods.

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
    """A row of the figure: a test image and maps of it.

    Args:
        title: the comparison's, in its first row; else "".
        headings: of the image and the maps.
        task: `Counts` or `Depths`.
        image: (H, W, 3) uint8.
        maps: the networks', and last the true one, (h, w) each; 0 in a true depth map is unknown.
        captions: below the image and the maps.
        low, high: the values at the ends of the scale of colours.
        stride: side of a map's cell in pixels of the image.
        numbers: the row of the CSV.
    """

    title: str
    headings: Sequence[str]
    task: "type[Counts] | type[Depths]"
    image: np.ndarray
    maps: Sequence[np.ndarray]
    captions: Sequence[str]
    low: float
    high: float
    stride: int
    numbers: dict


def compare(comparison: Comparison, device: torch.device | str) -> list[Panels]:
    """Return the rows of a comparison, one for each of the `PERCENTILES`."""
    networks = {method: network.eval() for method, network in comparison.networks.items()}
    headings = ["test image", *(HEADINGS[method] for method in networks), "ground truth"]
    task, stride = TASKS[comparison.task], comparison.stride
    index, rows = comparison.index, list[Panels]()
    if not len(test := index.split("test")):
        raise InputError(f"{index.path}: no test image to draw; see `split` in the dataset's configuration")
    values = task.values(index, test)
    for percentile, position in zip(PERCENTILES, at_percentiles(values), strict=True):
        i = test[position]
        image, name, true = index.image(i), index.frame["image"].iloc[i], task.true(comparison, i)
        with torch.inference_mode():
            maps = [task.predict(network, [image], device)[0].float().cpu().numpy() for network in networks.values()]
        known = task.known(true)
        results = [task.results(found, true) | {"sharpness": sharpness(found, true, known)} for found in maps]
        low, high = task.scale(true, maps)
        captions = [f"{Path(name).stem}, {percentile}th percentile"]
        captions += [f"{task.predicted.format(**found)}\nsharpness {found['sharpness']:.2f}" for found in results]
        captions.append(task.truth.format(values[position]))
        numbers = {"dataset": comparison.dataset, "percentile": percentile, "image": name, task.value: values[position]}
        for method, found in zip(networks, results, strict=True):
            numbers |= {f"{method}_experiment": comparison.experiments[method]}
            numbers |= {f"{method}_{measure}": value for measure, value in found.items()}
        numbers |= {"scale_low": low, "scale_high": high}
        title = "" if rows else comparison.title
        rows.append(Panels(title, headings, task, image, [*maps, true], captions, low, high, stride, numbers))
    return rows


def draw_panels(rows: Sequence[Panels]) -> Figure:
    """Return the figure of some rows: an image and its maps each, and the scale of the maps' colours."""
    columns = len(rows[0].headings)
    pictures = [WIDTH / (columns + 0.6) * row.image.shape[0] / row.image.shape[1] for row in rows]
    heights = [picture + 3 * LINE for picture in pictures]
    figure = Figure((WIDTH, sum(heights) + 3 * LINE), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for ax, heading in zip(axes[0], rows[0].headings, strict=True):
        ax.set_title(heading, fontsize=LARGE)
    for row_axes, row, picture in zip(axes, rows, pictures, strict=True):
        show_image(row_axes[0], row.image)
        row_axes[0].set_ylabel(wrap(row.title, picture), fontsize=LARGE)
        for ax, values in zip(row_axes[1:], row.maps):
            drawn = show_map(ax, values, row)
        bar = figure.colorbar(drawn, ax=list(row_axes), pad=0.01, aspect=15)
        bar.set_label(row.task.unit, fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
        for ax, caption in zip(row_axes, row.captions, strict=True):
            ax.set_xlabel(caption, fontsize=SMALL)
    note = (
        f"{rows[0].task.note} Sharpness: the sum of a map's steps from cell to cell, as a share of those of the ground "
        "truth. The maps of a row share one scale of colours."
    )
    figure.supxlabel(wrap(note, WIDTH), fontsize=SMALL)
    return figure


def at_percentiles(values: np.ndarray) -> list[int]:
    """Return the positions of the values nearest to the `PERCENTILES`; of equally near ones, the first.

    Percentiles are interpolated linearly. Values that are not numbers are passed over.
    """
    return [int(np.nanargmin(np.abs(values - np.nanpercentile(values, p)))) for p in PERCENTILES]


def sharpness(found: np.ndarray, true: np.ndarray, known: np.ndarray) -> float:
    """Return the sum of the absolute steps between neighbours of a map, as a share of that of the ground truth.

    1 is as sharp as the truth; a map that is smoothed has less, and a noisy one more.

    Args:
        found, true: maps of one size, (h, w).
        known: where the truth is known, (h, w) bool; steps to and from other places do not count.
    """
    sums = []
    for values in (found, true):
        steps = (np.abs(np.diff(values.astype(np.float64), axis=axis)) for axis in (0, 1))
        both = (known[1:] & known[:-1], known[:, 1:] & known[:, :-1])
        sums.append(sum(float(step[where].sum()) for step, where in zip(steps, both, strict=True)))
    return sums[0] / sums[1] if sums[1] else np.nan


class Counts:
    """How counting is drawn: people per cell of the network's output."""

    predict = staticmethod(batching.density)
    value = "count"
    predicted, truth, unit = "{count:.1f} people, map error {map_error:.1f}", "{:.0f} people", "people per cell"
    note = (
        "Test images at the 25th, 50th and 75th percentile of the true count; the learning rate chosen by validation, "
        "first repeat. The people in a map are its sum; below 0 a map is drawn as 0. Map error: the sum over all cells of the absolute "
        "difference to the ground truth, in people."
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
    def known(true: np.ndarray) -> np.ndarray:
        """Return where the truth is known, (h, w) bool: everywhere."""
        return np.ones(true.shape, bool)

    @staticmethod
    def scale(true: np.ndarray, maps: Sequence[np.ndarray]) -> tuple[float, float]:
        """Return 0 and the largest density in the maps."""
        return 0.0, float(max(found.max() for found in (true, *maps)))

    @staticmethod
    def results(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
        """Return the predicted count, and the absolute error of the map, summed over its cells, in people."""
        error = np.abs(found.astype(np.float64) - true).sum()
        return {"count": float(found.sum(dtype=np.float64)), "map_error": float(error)}


class Depths:
    """How depth is drawn: metres per pixel, black where it is not known."""

    predict = staticmethod(batching.depth)
    value = "mean_depth"
    predicted, truth, unit = "RMSE {rmse:.2f} m", "mean {:.2f} m", "metres"
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
    def known(true: np.ndarray) -> np.ndarray:
        """Return where the depth is known, (h, w) bool."""
        return true > 0

    @staticmethod
    def scale(true: np.ndarray, maps: Sequence[np.ndarray]) -> tuple[float, float]:
        """Return the least and the largest known depth."""
        known = true[true > 0]
        return float(known.min()), float(known.max())

    @staticmethod
    def results(found: np.ndarray, true: np.ndarray) -> dict[str, float]:
        """Return the root mean squared error of the whole image, in metres."""
        return {"rmse": metrics(pd.DataFrame([image_sums(found, true)]), "full", "images")["rmse"]}


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
