"""Annotate images with a heavyweight network, the user's own function or a model of transformers (paper, section III)."""

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix import extensions, out_of_memory
from promptmix.errors import InputError, list_some
from promptmix.networks.checkpoints import load_network
from promptmix.networks.registry import STRIDES, map_shape
from promptmix.networks.transformers_models import MODULES, TRANSFORMERS
from promptmix.running.progress import progress
from promptmix.synthesis.maps import Annotation, reduce_map
from promptmix.synthesis.mirroring import Mirrored
from promptmix.tasks.batching import BATCH_PIXELS, density, depth

CELLS = (1, 2, 4, 8)
"""Pixels per cell of a function's density maps, along a side."""

FARTHEST = 1000.0
"""Largest depth in metres that an annotator may see; larger numbers are probably in another unit."""

MOST_PEOPLE = 10**6
"""Most people that an annotator may see in an image, if it has as many pixels."""


class BadMaps(InputError):
    """Maps that cannot be right.

    Args:
        positions: of their images among those that were predicted together.
    """

    def __init__(self, message: str, positions: Sequence[int]):
        super().__init__(message)
        self.positions = positions


def check_maps(annotator: str, maps: Tensor, task: str, height: int, width: int) -> None:
    """Check that maps can be right: finite, not more people than pixels, depths in metres.

    Args:
        annotator: its name, for the message.
        maps: (N, ..., h, w) of images of one size, people per cell or metres.
        task: "counting" or "depth".
        height, width: of the images, in pixels.

    Raises:
        BadMaps: some cannot be right.
    """
    flat = maps.flatten(1).double()
    found, expected = "numbers that are not finite (NaN or infinity)", "finite ones"
    bad = ~flat.isfinite().all(1)
    if not bad.any() and task == "counting":
        counts, most = flat.sum(1), min(MOST_PEOPLE, height * width)
        bad = counts.abs() > most
        found, expected = f"{counts[counts.abs().argmax()]:.4g} people", f"at most {most} in an image, one per pixel"
    elif not bad.any():
        bad = (flat.amin(1) < 0) | (flat.amax(1) > FARTHEST)
        found = f"{flat.amin():.4g} to {flat.amax():.4g}"
        expected = f"metres, from 0 (unknown) to at most {FARTHEST:g}"
    if bad.any():
        positions = bad.nonzero()[:, 0].tolist()
        what = describe(len(positions), height, width)
        raise BadMaps(f"{annotator} gave {found} for {what}; expected {expected}", positions)


def load_annotator(
    reference: str,
    task: str,
    settings: Mapping[str, Any],
    weights: str | Path,
    device: torch.device | str,
    files: Sequence[str] = (),
    flip: bool = False,
    precision: str = "float32",
) -> nn.Module:
    """Return an annotator of the config, on the device.

    Args:
        reference: the name of a network, a reference to a function of the user's (`promptmix.extensions`), or `TRANSFORMERS`.
        task: "counting" or "depth".
        settings: of the network, those that differ from the published ones; of a model of transformers those of `load` in
            its module of `MODULES`.
        weights: the file of the network's weights, or the folder (or name on the Hub) of a model of transformers.
        files: what the function reads.
        flip: whether maps are the mean over the image and the mirrored image.
        precision: of a network, "float32", or "bfloat16" for mixed precision.

    Raises:
        InputError: the weights are missing or do not fit the network, a file of the function's is missing, or it cannot
            be imported.
    """
    annotator = _load(reference, task, settings, weights, device, files)
    if precision != "float32":
        _mix_precision(annotator, getattr(torch, precision), torch.device(device))
    return Mirrored(annotator) if flip else annotator


def _load(
    reference: str,
    task: str,
    settings: Mapping[str, Any],
    weights: str | Path,
    device: torch.device | str,
    files: Sequence[str],
) -> nn.Module:
    if reference == TRANSFORMERS:
        return importlib.import_module(MODULES[task]).load(weights, device, **settings)
    if extensions.is_reference(reference):
        if missing := [file for file in files if not Path(file).exists()]:
            raise InputError(
                f"{missing[0]}: there is no such file, and {reference} reads it, as its `files` in the config say"
            )
        return Function(reference, task)
    return load_network(reference, weights, **settings).to(device)


def _mix_precision(network: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Let a network compute its maps in mixed precision; the maps are float32."""
    name = "density" if network.task == "counting" else "depth"
    mixed = torch.autocast(device.type, dtype=dtype)(getattr(network, name))
    setattr(network, name, lambda image: mixed(image).float())


class Function(nn.Module):
    """The user's own function from images to maps, used like a network.

    The function is called with images of one size, (N, 3, H, W) uint8 RGB on the job's device, and returns one map per
    image, (N, h, w) or (N, 1, h, w). A map for counting has the number of people in each cell, where the side of a cell
    is 1, 2, 4 or 8 pixels; cells at the right and lower edge may be partial or missing. A map for depth has the depth
    of each pixel in metres, 0 where it is unknown. Slightly negative densities are kept, as those of CSRNet are:
    without them counts would rise.

    Args:
        reference: the function's, see `promptmix.extensions`.
        task: "counting" or "depth".
    """

    mean, std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
    """With these the input of `density` and `depth` is in [0, 255], up to rounding of floating-point numbers."""

    leaves_out = True
    """Whether a depth of 0 says that it is not known."""

    def __init__(self, reference: str, task: str):
        super().__init__()
        self.reference, self.task, self.stride = reference, task, STRIDES[task]
        self._function = extensions.load(reference)
        if not callable(self._function):
            raise InputError(f"{reference} is {type(self._function).__name__}; expected a function")

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the map: the cells cover every pixel, so no image is padded."""
        return map_shape(height, width, self.stride)

    def density(self, image: Tensor) -> Tensor:
        """Return people per cell of 8 pixels a side, (N, 1, ceil(H/8), ceil(W/8)), of RGB in [0, 255], (N, 3, H, W).

        Raises:
            InputError: the function fails or does not return density maps.
        """
        maps = self._maps(image)
        height, width = image.shape[-2:]
        fitting = [
            cell
            for cell in CELLS
            if all(found in (side // cell, -(-side // cell)) for found, side in zip(maps.shape[2:], (height, width)))
        ]
        if not fitting:
            sizes = ", ".join("x".join(map(str, map_shape(height, width, cell))) for cell in CELLS)
            self._refuse(
                f"maps of {maps.shape[2]}x{maps.shape[3]} cells (rows x columns)",
                f"cells of 1, 2, 4 or 8 pixels a side, so {sizes}, or one less where a side is not a multiple",
                image,
            )
        lowest, fewest = float(maps.amin()), float(maps.sum((1, 2, 3)).amin())
        if lowest < -1 or fewest < -1:
            self._refuse(f"{lowest:.4g} people in a cell and a count of {fewest:.4g}", "people, 0 or more", image)
        check_maps(self.reference, maps, "counting", height, width)
        rows, columns = self.output_size(height, width)
        side = self.stride // fitting[0]
        maps = F.pad(maps, (0, columns * side - maps.shape[3], 0, rows * side - maps.shape[2]))
        return F.avg_pool2d(maps, side, divisor_override=1)

    def depth(self, image: Tensor) -> Tensor:
        """Return metres, (N, 1, H, W), of RGB in [0, 255], (N, 3, H, W).

        Raises:
            InputError: the function fails or does not return depth maps.
        """
        maps = self._maps(image)
        if maps.shape[2:] != image.shape[2:]:
            size, expected = ("x".join(map(str, shape[2:])) for shape in (maps.shape, image.shape))
            self._refuse(f"maps of {size} pixels (rows x columns)", f"metres in each pixel, so {expected}", image)
        check_maps(self.reference, maps, "depth", *image.shape[2:])
        return maps

    def _maps(self, image: Tensor) -> Tensor:
        """Return the function's maps, (N, 1, h, w) float32 on the images' device."""
        images = image.round().to(torch.uint8).contiguous()
        with extensions.attribute_errors(self.reference, f"failed on {_describe(image)}"):
            maps = self._function(images)
        expected = f"a tensor of ({len(image)}, h, w) or ({len(image)}, 1, h, w), one map per image"
        if not isinstance(maps, Tensor):
            self._refuse(f"{type(maps).__name__}, not a tensor", expected, image)
        shape = tuple(maps.shape)
        if maps.ndim == 3:
            maps = maps[:, None]
        if maps.ndim != 4 or maps.shape[:2] != (len(image), 1) or not maps.numel():
            self._refuse(f"a tensor of {shape}", expected, image)
        if maps.is_complex():
            self._refuse("complex numbers", "real ones", image)
        return maps.to(image.device, torch.float32)

    def _refuse(self, found: str, expected: str, image: Tensor) -> None:
        raise InputError(f"{self.reference} gave {found} for {_describe(image)}; expected {expected}")


def _describe(image: Tensor) -> str:
    return describe(len(image), *image.shape[-2:])


def describe(number: int, height: int, width: int) -> str:
    """Return "2 images of 64x48 pixels"."""
    return f"{number} image{'s' if number > 1 else ''} of {width}x{height} pixels"


def annotate(
    network: nn.Module,
    images: Iterable[tuple[str, np.ndarray]],
    device: torch.device | str,
    stride: int = 8,
    batch_pixels: int = BATCH_PIXELS,
    name: str = "",
    total: int | None = None,
) -> Iterator[Annotation]:
    """Yield an annotation for each image, not always in the order of the images.

    A density map is summed over blocks to the stride of the network that will be trained on it, which keeps the count
    (choice 4: the paper does not name a resolution). Depth maps have one value per pixel, unchanged. Images of one size
    are predicted together, and in smaller batches if memory does not suffice.

    Args:
        network: one of `promptmix.networks`, on the device, or a `Function`.
        images: file stem and (H, W, 3) uint8 RGB of each image; read one after the other.
        stride: image pixels per cell of the annotations, along a side; 1 for depth.
        batch_pixels: most image pixels to predict at once; an image that has more is predicted alone.
        name: of the annotator, for messages.
        total: number of images, of which the log says how many are done; None to say nothing.

    Raises:
        ValueError: `stride` is not a multiple of the network's own stride.
        InputError: memory does not suffice for a single image, or maps cannot be right (`check_maps`).
    """
    if stride % network.stride:
        raise ValueError(f"maps at stride {network.stride} cannot be summed to stride {stride}")
    predict = {"counting": density, "depth": depth}[network.task]
    network.eval()

    model = getattr(network, "reference", type(network).__name__)

    def maps_of(batch: list[tuple[str, np.ndarray]]) -> np.ndarray:
        try:
            with torch.inference_mode():
                maps = predict(network, [image for _, image in batch], device).float()
                check_maps(model, maps, network.task, *batch[0][1].shape[:2])
        except BadMaps as error:
            stems = list_some(batch[position][0] for position in error.positions)
            raise InputError(
                f"{f'annotator {name}: ' if name else ''}{error}. Images: {stems}. Check the annotator's weights and settings"
            ) from None
        return maps.cpu().numpy()

    parts = out_of_memory.compute_in_parts(_batches(images, batch_pixels), maps_of, out_of_memory.SMALLER)
    if total is not None:  # images of a batch are done at the same time
        parts = progress(parts, total, "images annotated", lambda part: len(part[0]))
    for batch, maps in parts:
        for (stem, image), full in zip(batch, maps, strict=True):
            height, width = image.shape[:2]
            if stride > network.stride:
                full = reduce_map(full, stride // network.stride, map_shape(height, width, stride))
            yield Annotation(stem, full, height, width)


def _batches(images: Iterable[tuple[str, np.ndarray]], pixels: int) -> Iterator[list[tuple[str, np.ndarray]]]:
    """Yield lists of images of one size, each with at most `pixels` pixels in total or with a single image."""
    waiting: dict[tuple[int, int], list] = {}
    for stem, image in images:
        size = image.shape[:2]
        batch = waiting.setdefault(size, [])
        batch.append((stem, image))
        if (len(batch) + 1) * size[0] * size[1] > pixels:
            yield waiting.pop(size)
    yield from waiting.values()
