"""A network as ONNX, from the bytes of an image to its map: normalised, padded and cut off again inside.

The exporter follows one run of the network and writes down its operations. Of a network whose Python code decides by
sizes or values, the file would hold that run's way only, so what was written is compared with the network at other sizes
(`compare_at_sizes`), and by `promptmix.exporting.checking` on the test images.
"""

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.errors import InputError
from promptmix.exporting.session import OUTPUTS, Exported, open_session
from promptmix.tasks import batching

log = logging.getLogger(__name__)

OPSET = 17
"""Version of ONNX's operators: of 2022, so that older runtimes on devices know it."""

TOLERANCE = 1e-3
"""The most by which ONNX may differ from PyTorch, as a share."""

SIZES = ((2, 72, 104), (1, 64, 64), (3, 97, 139), (1, 200, 131))
"""Images, height and width that are compared: the traced ones, smaller and larger, and odd."""

PROBED = 512
"""Sides of an image up to which a network's padding is looked at."""

ADVICE = (
    "ONNX holds a fixed sequence of PyTorch's operations for images of every size: write the network without decisions by "
    "sizes or values in Python, and without code that PyTorch does not see (NumPy, `.item()`, `.tolist()`)"
)


class Whole(nn.Module):
    """A network with what comes before and after it, as `promptmix.tasks.batching` does it."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.multiple, self.more = padding(network)
        for name, default in (("mean", batching.MEAN), ("std", batching.STD)):
            values = [255 * value for value in getattr(network, name, default)]
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """Return for (N, H, W, 3) uint8 RGB: (N, h, w) people per cell and (N,) people, or (N, H, W) metres."""
        height, width = images.shape[1], images.shape[2]
        batch = ((images.float() - self.mean) / self.std).permute(0, 3, 1, 2)
        if (self.multiple, self.more) != (1, 0):
            below, right = (-side % self.multiple + self.more for side in (height, width))
            batch = F.pad(batch, (0, right, 0, below))
        if self.network.task == "depth":
            return self.network.depth(batch)[:, 0, :height, :width]
        stride = self.network.stride
        rows, columns = ((side + stride - 1) // stride for side in (height, width))  # ONNX rounds -97 // 8 towards 0
        density = self.network.density(batch)[:, 0, :rows, :columns]
        return density, density.sum((1, 2))


def padding(network: nn.Module) -> tuple[int, int]:
    """Return m and c if images are padded until each side is a multiple of m, and by c pixels more: 8 and 0 of CSRNet.

    Raises:
        InputError: the network's padding does not follow this rule.
    """
    sides = range(1, PROBED + 1)
    needed = [batching.padded_size(network, side, side) for side in sides]
    for multiple in sides:
        more = needed[multiple - 1][0] - multiple
        rule = (-(-side // multiple) * multiple + more for side in sides)
        if all(size == (expected, expected) for size, expected in zip(needed, rule)):
            return multiple, more
    raise InputError(
        f"{type(network).__name__} cannot be written as ONNX: its output_size asks for sides of {needed[0][0]}, "
        f"{needed[1][0]}, {needed[2][0]}, ... pixels for images of 1, 2, 3, ...; expected the next multiple of one number, in both "
        "directions. Change output_size"
    )


def write_onnx(network: nn.Module, path: Path, about: Mapping[str, str]) -> None:
    """Write a network as ONNX, after comparing it with what ONNX Runtime makes of it.

    The input is `images`, (N, H, W, 3) uint8 RGB of any number and size. The outputs are `density`, (N, h, w) people per
    cell, and `count`, (N,); or `depth`, (N, H, W) metres.

    Args:
        network: on the CPU, in evaluation mode.
        path: the file to write.
        about: what the file says of itself, by key.

    Raises:
        InputError: ONNX cannot express the network. Nothing is left at the path.
    """
    name, names = type(network).__name__, OUTPUTS[network.task]
    axes = {"images": {0: "images", 1: "height", 2: "width"}}
    axes |= {output: {0: "images", 1: "rows", 2: "columns"} for output in names[:1]}
    axes |= {output: {0: "images"} for output in names[1:]}
    whole = Whole(network).eval()
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            # The exporter that torch recommends takes minutes for GuideDepth, and one more dependency.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # what it warns of is compared
            torch.onnx.export(
                whole,
                (_noise(*SIZES[0]),),
                path,
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=list(names),
                dynamic_axes=axes,
            )
        model = onnx.load(path)
        onnx.helper.set_model_props(model, dict(about))
        onnx.save(model, path)
        compare_at_sizes(network, Exported(open_session(path, 1), dict(about)))
    except Exception as error:  # torch.onnx raises many kinds
        path.unlink(missing_ok=True)
        if isinstance(error, InputError | OSError | MemoryError):
            raise
        raise InputError(f"{name} cannot be written as ONNX: {_first_lines(error)}. {ADVICE}") from error


def compare_at_sizes(network: nn.Module, exported: Exported) -> None:
    """Compare a network with its ONNX on noise of several sizes.

    Raises:
        InputError: at one of the sizes they differ, or ONNX Runtime cannot compute it while PyTorch can.
    """
    for number, height, width in SIZES:
        images = _noise(number, height, width).numpy()
        found = f"{number} images of {width}x{height} pixels"
        try:
            expected = predict(network, images)
        except (InputError, RuntimeError) as error:
            log.info("not compared, as PyTorch cannot compute them either: %s (%s)", found, _first_lines(error))
            continue
        try:
            difference = largest_difference(exported.predict(images), expected)
        except Exception as error:  # ONNX Runtime has a kind for each failure
            raise InputError(
                f"{type(network).__name__} cannot be written as ONNX: of {found}, {_first_lines(error)}. {ADVICE}"
            ) from error
        if not difference <= TOLERANCE:
            raise InputError(
                f"{type(network).__name__} cannot be written as ONNX: of {found}, the result differs from PyTorch's by "
                f"{difference:.2g}, as a share; at most {TOLERANCE} is expected. {ADVICE}"
            )


def predict(network: nn.Module, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return a network's maps of images of one size by PyTorch, on the CPU: (N, h, w) people per cell or metres."""
    task = {"counting": batching.density, "depth": batching.depth}[network.task]
    with torch.inference_mode():
        return task(network, images, "cpu").float().numpy()


def largest_difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return by how much maps differ, (N, h, w) each, as a share; of the image where it is largest.

    That is the sum of the cells' differences, divided by the sum of the expected values (or by 1 if that is less); infinite
    where shapes differ, or numbers are missing.
    """
    if found.shape != expected.shape:
        return math.inf
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    share = np.abs(found - expected).sum((1, 2)) / np.maximum(np.abs(expected).sum((1, 2)), 1)
    return float(share.max()) if np.isfinite(share).all() else math.inf


def _noise(number: int, height: int, width: int) -> Tensor:
    """Return images, (number, height, width, 3) uint8, which are the darker the more they are."""
    random = torch.Generator().manual_seed(number)
    return torch.randint(0, 256 // number, (number, height, width, 3), dtype=torch.uint8, generator=random)


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]).rstrip(".") or type(error).__name__
