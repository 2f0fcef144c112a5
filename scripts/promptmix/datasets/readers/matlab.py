"""Points in MATLAB files (version 5)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from promptmix.errors import InputError


def read_points(path: Path, key: str, unpack: Callable[[Any], Any] = lambda value: value) -> np.ndarray:
    """Return the points, (N, 2) float64 in the file's own coordinates, of a MATLAB file.

    Args:
        key: the variable that holds them.
        unpack: gets them out of the variable's nested cells and structures.

    Raises:
        InputError: the file cannot be read, lacks the variable, or does not hold a list of (x, y) in it.
    """
    import scipy.io  # here, since Snakemake imports this package at every start and scipy is slow to import

    try:
        variables = scipy.io.loadmat(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such annotation file") from None
    except Exception as error:  # scipy raises many kinds, even bare Exception, on damaged files
        raise InputError(f"{path}: not a readable MATLAB 5 file ({error}). Fetch or copy it again") from error
    if key not in variables:
        there = ", ".join(f"'{name}'" for name in variables if not name.startswith("__")) or "nothing"
        raise InputError(f"{path}: no variable '{key}', there is {there}. Is this the annotation of another dataset?")
    try:
        points = np.asarray(unpack(variables[key]), dtype=np.float64)
        return points.reshape(-1, 2) if points.size == 0 else points.reshape(len(points), 2)
    except (IndexError, TypeError, ValueError, KeyError) as error:
        raise InputError(f"{path}: '{key}' does not hold a list of (x, y) as it should ({error})") from error
