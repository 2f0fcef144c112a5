"""Which generated images (paper, section III, fourth stage) and which prompts (sixth stage) are kept; see Table VII."""

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.errors import InputError, command
from promptmix.records.filters import FILTER
from promptmix.records.prompts import PROMPTS

log = logging.getLogger(__name__)


def keep_images(q: Sequence[float], r_img: float) -> np.ndarray:
    """Return the positions, ascending, of the `r_img` percent of images with the lowest quality score.

    The number of images is rounded up. Of images with equal scores the earlier ones are kept.

    Args:
        q: score of each image, in the order of D_fake (`promptmix.synthesis.quality`).
        r_img: percent, above 0 and up to 100.

    Raises:
        InputError: an impossible share, or a score that is not finite.
    """
    share = _share(r_img)
    scores = np.asarray(q, dtype=np.float64)
    unknown = np.flatnonzero(~np.isfinite(scores))
    if len(unknown):
        raise InputError(
            f"image {unknown[0] + 1} of {len(scores)} has the quality score {scores[unknown[0]]}; expected a number. "
            "Delete the file of scores that holds it and run Snakemake again"
        )
    kept = math.ceil(share * len(scores))
    return np.sort(np.argsort(scores, kind="stable")[:kept])


def keep_fitting(scores: Sequence[float], at_least: float | None = None, keep: float | None = None) -> np.ndarray:
    """Return the positions, ascending, of the images that fit their prompts: those of high CLIP scores.

    Args:
        scores: of each image, in the order of D_fake (`promptmix.synthesis.likeness`).
        at_least: the least score of an image that is kept.
        keep: percent of the images to keep, in its place; see `keep_images`.

    Raises:
        InputError: an impossible share, or a score that is not finite.
    """
    found = np.asarray(scores, dtype=np.float64)
    if keep is not None:
        return keep_images(-found, keep)
    keep_images(found, 100)
    return np.flatnonzero(found >= at_least)


def keep_prompts(errors: Sequence[float | None], baseline: float | None) -> list[int]:
    """Return the positions, from 0, of the prompts whose images do not harm: validation error not above the baseline's.

    Args:
        errors: for each prompt, the validation error of training with its images only; None or not finite if that
            diverged, and such a prompt is dropped.
        baseline: the validation error without generated images.

    Returns:
        none where every prompt harms: the experiment then trains on the real images alone.

    Raises:
        InputError: the baseline's error is not a number.
    """
    numbers = [_number(error) for error in errors]
    limit = _number(baseline)
    if not math.isfinite(limit):
        raise InputError(f"the baseline's validation error is {baseline}; expected a number. Lower its learning rates")
    kept = [i for i, error in enumerate(numbers) if error <= limit]
    if not kept:
        log.warning(
            "every prompt is dropped: the validation errors with one prompt are %s, and the baseline's is %.4g. "
            "What is trained with them is trained on the real images alone",
            ", ".join(f"{error:.4g}" for error in numbers),
            limit,
        )
    return kept


def read_prompts(files: Iterable[str | Path], dropped: Sequence[Sequence] = ()) -> pd.DataFrame:
    """Return `pool`, `prompt_number` (from 0) and `prompt` of the prompts in files of prompts, one file per pool.

    Args:
        dropped: pool and number of each prompt that a review leaves out.
    """
    pools = {Path(file).stem: PROMPTS.read(file) for file in files}
    prompts = pd.concat(frame.assign(pool=pool, prompt_number=frame.index) for pool, frame in pools.items())
    is_dropped = [[*key] in dropped for key in zip(prompts["pool"], prompts["prompt_number"])]
    return prompts.loc[np.logical_not(is_dropped), ["pool", "prompt_number", "prompt"]].reset_index(drop=True)


def filter_prompts(
    prompts: pd.DataFrame, baseline: str | Path, selections: Mapping[tuple[str, int], str | Path]
) -> pd.DataFrame:
    """Return one row per prompt with its validation error, the baseline's, and whether it is kept.

    Args:
        prompts: `pool`, `prompt_number` (from 0) and `prompt` of each.
        baseline: `selection.json` of the experiment without generated images.
        selections: for each prompt, by pool and number, `selection.json` of the experiment on its images only.

    Returns:
        the columns of `promptmix.records.filters.FILTER`, in the order of `prompts`.

    Raises:
        InputError: a prompt without an experiment or the reverse, a file without a validation error, or see
            `keep_prompts`.
    """
    keys = check_prompts(prompts, selections)
    limit, errors = _val_error(baseline), [_val_error(selections[key]) for key in keys]
    kept = np.isin(np.arange(len(keys)), keep_prompts(errors, limit))
    found = prompts.assign(val_error=np.array(errors, dtype=float), baseline=limit, kept=kept.astype(int))
    return found[[*FILTER.columns]].reset_index(drop=True)


def check_prompts(prompts: pd.DataFrame, trained: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the pool and number of each prompt, for each of which there has to be a training.

    Raises:
        InputError: a prompt without a training, or the reverse.
    """
    keys = list(zip(prompts["pool"], prompts["prompt_number"].tolist()))
    if odd := sorted(set(keys) ^ set(trained)):
        pool, number = odd[0]
        has = "has no experiment on its images only" if odd[0] in keys else "does not exist, and has an experiment"
        raise InputError(
            f"prompt {number} (from 0) of pool {pool} {has}; expected one experiment for each prompt. Check that the "
            "pool's `prompts` and `locations` are those that its prompts were written from"
        )
    return keys


def _share(r_img: float) -> Fraction:
    """Return percent as an exact share: 14.3 % of 1000 images are 143, and not 144 by rounding."""
    is_number = isinstance(r_img, int | float | np.integer | np.floating) and not isinstance(r_img, bool)
    if is_number and 0 < r_img <= 100:
        return Fraction(str(r_img)) / 100
    hint = ". It would keep no image; for none at all leave out `fake`" if is_number and r_img == 0 else ""
    raise InputError(f"r_img is {r_img!r}; expected the percent of images to keep, above 0 and up to 100{hint}")


def _number(error: float | None) -> float:
    return math.nan if error is None else float(error)


def _val_error(file: str | Path) -> float | None:
    """Return the validation error of the chosen learning rate, None if it has none."""
    try:
        return json.loads(Path(file).read_text())["val_error"]
    except FileNotFoundError:
        raise InputError(f"{file}: no such file. Make it with `{command(file)}`") from None
    except (json.JSONDecodeError, KeyError, TypeError):
        raise InputError(f"{file}: holds no `val_error`. Delete it and run `{command(file)}`") from None
