"""Errors of predicted depth: RMSE in metres, and the share of pixels within 1.25, 1.25^2 and 1.25^3 of the truth.

The paper names these metrics and neither the pixels they are taken of nor how images are averaged. So each image is
reduced to sums over three crops, from which every usual convention follows:

    full        all pixels
    eigen       rows 45 to 470 and columns 41 to 600 of 480x640 pixels (Eigen et al., 2014, as AdaBins evaluates)
    guidedepth  rows 20 to 459 and columns 24 to 615 (GuideDepth; also DenseDepth)

and these are averaged over `images`, each with its own metrics (as both repositories do), or over all `pixels` at once.
"""

import numpy as np
import pandas as pd

from promptmix.errors import InputError

CROPS = {"full": (0, 480, 0, 640), "eigen": (45, 471, 41, 601), "guidedepth": (20, 460, 24, 616)}
"""First row and row behind the last, then columns, of an image of 480x640 pixels."""

AVERAGES = ("images", "pixels")

CONVENTIONS = tuple((crop, average) for crop in CROPS for average in AVERAGES)

LEAST, MOST = 1e-3, 10.0
"""Metres: predictions are clamped to this range, the one in which NYU's depths lie, as in AdaBins and GuideDepth."""

DELTAS = ("d1", "d2", "d3")

METRICS = {"rmse": "squared", "delta1": "d1", "delta2": "d2", "delta3": "d3"}
"""What each metric is computed from, besides the number of known pixels."""


def crop_of(crop: str, height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns of a crop, in proportion for sizes other than 480x640; edges rounded half up."""
    top, bottom, left, right = CROPS[crop]
    return tuple(
        slice(*((edge * size * 2 + whole) // (2 * whole) for edge in edges))
        for edges, size, whole in (((top, bottom), height, 480), ((left, right), width, 640))
    )


def image_sums(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return the sums of one image over each crop, from which `metrics` makes the metrics.

    Pixels of unknown true depth take no part. Predictions are clamped to `LEAST` to `MOST` metres; true depths are not.
    A prediction that is not a number makes `squared` not a number, and counts as outside the thresholds.

    Args:
        predicted: (H, W) metres.
        true: (H, W) metres, 0 = unknown.

    Returns:
        for each crop c: `pixels_c` (of known depth), `squared_c` (sum of squared errors, m^2), and `d1_c`, `d2_c`,
        `d3_c`: number of pixels with max(predicted / true, true / predicted) below 1.25, 1.25^2, 1.25^3.

    Raises:
        ValueError: maps of different shapes.
    """
    if predicted.shape != true.shape:
        raise ValueError(f"predicted depth of shape {predicted.shape} for true depth of shape {true.shape}")
    known = true > 0
    predicted = np.clip(predicted.astype(np.float64), LEAST, MOST)
    true = np.where(known, true, 1.0).astype(np.float64)
    ratio = np.maximum(predicted / true, true / predicted)
    maps = {"pixels": known, "squared": np.where(known, (predicted - true) ** 2, 0)}
    maps |= {name: known & (ratio < 1.25**power) for power, name in enumerate(DELTAS, start=1)}
    return {
        f"{name}_{crop}": values[crop_of(crop, *true.shape)].sum().item()
        for crop in CROPS
        for name, values in maps.items()
    }


def metrics(frame: pd.DataFrame, crop: str, average: str) -> dict[str, float]:
    """Return `rmse` (metres) and `delta1`, `delta2`, `delta3` (shares, 0 to 1) under one of the `CONVENTIONS`.

    Args:
        frame: one row per image with the columns of `image_sums`: the predictions of one repeat.
        crop: "full", "eigen" or "guidedepth".
        average: "images": of each image's metrics; images without a known pixel in the crop are left out. "pixels": of
            all pixels together, so that images count by their known pixels.

    Raises:
        InputError: no image has a known pixel in the crop.
        ValueError: an unknown convention.
    """
    if (crop, average) not in CONVENTIONS:
        raise ValueError(f"({crop!r}, {average!r}) is not a convention; known are {', '.join(map(str, CONVENTIONS))}")
    if not (frame[f"pixels_{crop}"] > 0).any():
        raise InputError(
            f"none of {len(frame)} images has a pixel of known depth in the crop '{crop}', so there is no error to "
            "average. Is the dataset's depth 0 (unknown) everywhere, or are the images too small for the crop?"
        )
    found = {}
    for metric in METRICS:
        numerator, denominator = terms(frame, metric, crop, average)
        quotient = numerator.sum() / denominator.sum()
        found[metric] = float(np.sqrt(quotient) if is_root(metric, average) else quotient)
    return found


def terms(frame: pd.DataFrame, metric: str, crop: str, average: str) -> tuple[np.ndarray, np.ndarray]:
    """Return two numbers per image, (images,) each: the metric is the sum of the first divided by that of the second.

    Over `pixels`, RMSE is the root of that (`is_root`). Over `images`, those without a known pixel count for nothing.
    """
    sums = frame[f"{METRICS[metric]}_{crop}"].to_numpy(dtype=np.float64)
    pixels = frame[f"pixels_{crop}"].to_numpy(dtype=np.float64)
    if average == "pixels":
        return sums, pixels
    known = pixels > 0
    mean = sums / np.where(known, pixels, 1)
    return np.where(known, np.sqrt(mean) if metric == "rmse" else mean, 0), known


def is_root(metric: str, average: str) -> bool:
    """Return whether a metric is the root of the quotient of its `terms`."""
    return metric == "rmse" and average == "pixels"
