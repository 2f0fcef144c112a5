"""Errors of a test split, and what a difference between two experiments is worth.

Every metric is a quotient of two sums over the test images, perhaps under a root (`Metric`). So a resample of the
images is a row of weights, and all resamples of all repeats are one product of matrices (`bootstrap`).

Two sources of chance are kept apart. The repeats differ in first weights and order of images: `interval`,
`chance` and `resolvable` speak of those. The test images could have been others: `bootstrap` speaks of those, for the networks as
they were trained.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t, ttest_1samp

from promptmix.errors import InputError
from promptmix.tasks.depth_metrics import AVERAGES, CROPS, is_root, terms

LEVEL = 0.95
POWER = 0.8
DRAWS = 2000
FEWEST = 3
"""Pairs that a difference needs to be judged."""


@dataclass(frozen=True)
class Metric:
    """A number for a test split: the sum of the images' `numerator`s divided by that of their `denominator`s.

    Args:
        name: as the paper's numbers are named in the config: "mae", "rmse", "delta1", "delta2", "delta3".
        column: its name in a table's CSV; for depth it tells the convention.
        title: its name in a table.
        numerator, denominator: functions of `predictions.csv`, which return a number per row.
        root: whether the metric is the root of the quotient.
        lower_is_better: as for errors.
        digits: behind the point, in a table.
    """

    name: str
    column: str
    title: str
    numerator: Callable[[pd.DataFrame], Any]
    denominator: Callable[[pd.DataFrame], Any]
    root: bool = False
    lower_is_better: bool = True
    digits: int = 2

    def sums(self, predictions: pd.DataFrame) -> np.ndarray:
        """Return numerators and denominators, (2, repeats, images), repeats and images in rising order.

        Raises:
            InputError: the repeats did not predict the same images, each once.
        """
        terms = predictions[["repeat", "image"]].assign(
            numerator=self.numerator(predictions), denominator=self.denominator(predictions)
        )
        repeats, images = terms["repeat"].nunique(), terms["image"].nunique()
        if terms.duplicated(["repeat", "image"]).any() or len(terms) != repeats * images:
            raise InputError(
                f"{len(terms)} predictions of {images} images in {repeats} repeats; expected each image once per repeat"
            )
        terms = terms.sort_values(["repeat", "image"])
        return terms[["numerator", "denominator"]].to_numpy(dtype=np.float64).T.reshape(2, repeats, images)

    def score(self, sums: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the metric of each repeat, (repeats,), or with weights (draws, images) of each draw, (draws, repeats).

        Args:
            sums: of each repeat and image, (2, repeats, images).
            weights: how often an image counts in each draw; once if not given.
        """
        numerator, denominator = sums.sum(-1) if weights is None else weights @ sums.swapaxes(-1, -2)
        with np.errstate(invalid="ignore"):  # 0 / 0: no image with a known depth
            quotient = numerator / denominator
        return np.sqrt(quotient) if self.root else quotient


def _one(predictions: pd.DataFrame) -> np.ndarray:
    return np.ones(len(predictions))


def _depth(name: str, title: str, crop: str, average: str) -> Metric:
    """Return one of the metrics of `promptmix.tasks.depth_metrics`."""
    numerator, denominator = (
        lambda predictions, part=part: terms(predictions, name, crop, average)[part] for part in range(2)
    )
    column, is_error = f"{name}_{crop}_{average}", name == "rmse"
    return Metric(name, column, title, numerator, denominator, is_root(name, average), is_error, digits=3)


COUNTING = [
    Metric("mae", "mae", "MAE", lambda predictions: predictions["error"].abs(), _one),
    Metric("rmse", "rmse", "RMSE", lambda predictions: predictions["error"].pow(2), _one, root=True),
]
DEPTH = {
    f"{crop}-{average}": [
        _depth(name, title, crop, average)
        for name, title in (("rmse", "RMSE"), ("delta1", "δ1"), ("delta2", "δ2"), ("delta3", "δ3"))
    ]
    for crop in CROPS
    for average in AVERAGES
}
"""Metrics by the convention under which depth is scored, which the paper does not say."""


def metrics_of(task: str, convention: str | None = None) -> list[Metric]:
    """Return the metrics of a task, the error that its comparisons speak of first.

    Args:
        task: "counting" or "depth".
        convention: of depth, a key of `DEPTH` such as "eigen-pixels"; all of them if not given.

    Raises:
        InputError: no such task or convention.
    """
    if task == "counting":
        return COUNTING
    if task != "depth":
        raise InputError(f"{task!r} is not a task; expected 'counting' or 'depth'")
    if convention is None:
        return [metric for metrics in DEPTH.values() for metric in metrics]
    if convention not in DEPTH:
        raise InputError(f"{convention!r} is not a way to score depth; expected one of {', '.join(DEPTH)}")
    return DEPTH[convention]


def interval(differences: np.ndarray, level: float = LEVEL) -> tuple | None:
    """Return the lower and upper end of the t-interval of the mean paired difference; None of less than two pairs.

    It is mean ± t s / √n, where s is the deviation (n - 1) of the n differences and t Student's quantile with n - 1
    degrees of freedom. It covers the true difference with probability `level` if differences are normal.

    Args:
        differences: of runs with the same seed, (..., n).
    """
    differences = np.asarray(differences, dtype=np.float64)
    if differences.shape[-1] < 2:
        return None
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the test's statistic, where all differences are equal
        found = ttest_1samp(differences, 0, axis=-1)
    low, high = found.confidence_interval(level)
    return low, high


def chance(differences: np.ndarray) -> float:
    """Return the p-value of the paired t-test: how often chance alone moves the mean difference so far from zero.

    The interval at a level excludes zero if and only if this is less than 1 - level. 1 of fewer than `FEWEST` pairs,
    whose deviation says next to nothing, and of differences that are all zero.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if len(differences) < FEWEST or not differences.any():
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where all differences are equal
        return float(ttest_1samp(differences, 0).pvalue)


def correct(chances: Sequence[float]) -> np.ndarray:
    """Return p-values corrected for their number by Holm's method, in the same order.

    If those below 0.05 are called real, the probability that any of them is not is at most 0.05.
    """
    values = np.asarray(chances, dtype=np.float64)
    order = np.argsort(values)
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1)
    return corrected


def resolvable(differences: np.ndarray, level: float = LEVEL, power: float = POWER) -> float | None:
    """Return the smallest true difference that so many repeats could have resolved; None of less than two pairs.

    That is (t_a + t_b) s / √n, where t_a and t_b are Student's quantiles at (1 + level) / 2 and `power` with n - 1
    degrees of freedom, and s the deviation of the n differences: in a share `power` of experiments, about, the interval
    of so large a difference excludes zero.
    """
    differences = np.asarray(differences, dtype=np.float64)
    n = len(differences)
    if n < 2:
        return None
    quantiles = t.ppf((1 + level) / 2, n - 1) + t.ppf(power, n - 1)
    return float(quantiles * differences.std(ddof=1) / np.sqrt(n))


def bootstrap(
    a: np.ndarray, b: np.ndarray, metric: Metric, draws: int = DRAWS, seed: int = 0, level: float = LEVEL
) -> tuple[float, float]:
    """Return the ends of the percentile interval, over test images, of the metric of `b` minus that of `a`.

    Each draw takes as many images as there are, with replacement; all repeats of both share it. The difference of a
    draw is the mean over the repeats.

    Args:
        a, b: numerators and denominators of the same repeats and images, (2, repeats, images), from `Metric.sums`.
        seed: of the draws. They depend on it and the number of images only.
    """
    images = a.shape[-1]
    weights = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=draws)
    differences = metric.score(b, weights).mean(-1) - metric.score(a, weights).mean(-1)
    low, high = np.nanquantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
