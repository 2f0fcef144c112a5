"""Variables and points in MATLAB files (version 5)."""

from pathlib import Path
from typing import Any

import numpy as np

from promptmix.datasets.pictures import describe_foreign
from promptmix.errors import InputError
from promptmix.listing import describe_absent


def read_variable(path: Path, key: str) -> Any:
    """Return a variable of a MATLAB file: an array or, if it is a structure (in cells or not), its `np.void`.

    Raises:
        InputError: the file cannot be read, or lacks the variable.
    """
    import scipy.io  # here, since Snakemake imports this package at every start and scipy is slow to import

    try:
        with open(path, "rb") as file:
            is_hdf5 = file.read(10).startswith((b"MATLAB 7.3", b"\x89HDF"))
    except FileNotFoundError:
        raise InputError(f"{path}: the annotation {describe_absent(path)}") from None
    except OSError as error:
        raise InputError(f"{path}: the annotation cannot be read ({error.strerror})") from error
    try:
        variables = scipy.io.loadmat(path)
    except Exception as error:  # scipy raises many kinds, even bare Exception, on damaged files
        remedy = ". It is of version 7.3: save it again in MATLAB with the option '-v7'"
        remedy = remedy if is_hdf5 else describe_foreign(path)
        raise InputError(f"{path}: not a readable MATLAB 5 file ({error}){remedy}") from error
    if key not in variables:
        there = ", ".join(f"'{name}'" for name in variables if not name.startswith("__")) or "nothing"
        raise InputError(f"{path}: no variable '{key}', there is {there}. Is this the annotation of another dataset?")
    return _unwrap(variables[key])


def read_field(path: Path, key: str, structure: Any, field: str) -> Any:
    """Return a field, given by its name, of a structure that `read_variable` returned.

    Raises:
        InputError: it is no structure, or lacks the field.
    """
    if isinstance(structure, np.void) and structure.dtype.names and field in structure.dtype.names:
        return _unwrap(structure[field])
    raise InputError(
        f"{path}: '{key}' holds {_describe(structure)}; expected a structure with a list of (x, y) in its field "
        f"'{field}'. Is this the annotation of another dataset?"
    )


def as_points(path: Path, name: str, value: Any) -> np.ndarray:
    """Return the points, (N, 2) float64 in the file's own coordinates, that a variable or a field holds.

    Raises:
        InputError: it does not hold a list of (x, y).
    """
    array = np.asarray(value)
    if array.size == 0:
        return np.zeros((0, 2))
    if array.dtype.kind not in "fiu" or array.ndim != 2 or array.shape[1] != 2:
        raise InputError(
            f"{path}: '{name}' holds {_describe(value)}; expected a list of (x, y): a row for each head, with 2 "
            "columns of numbers"
        )
    return array.astype(np.float64)


def _unwrap(value: Any) -> Any:
    """Return what is in cells and arrays of one element, in which MATLAB and scipy wrap a structure."""
    while isinstance(value, np.ndarray) and value.size == 1 and (value.dtype == object or value.dtype.names):
        value = value.flat[0]
    return value


def _describe(value: Any) -> str:
    if isinstance(value, np.void) and value.dtype.names:
        return "a structure with the fields " + ", ".join(f"'{name}'" for name in value.dtype.names)
    array = np.asarray(value)
    kind = {"f": "numbers", "i": "numbers", "u": "numbers", "U": "text", "O": "cells"}.get(array.dtype.kind)
    return f"{kind or array.dtype} of {' x '.join(map(str, array.shape)) or 'size 1'}"
