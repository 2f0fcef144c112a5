"""Heads written in the authors' formats, for datasets that this project makes."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np


def one_based(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return points as MATLAB counts, (N, 2) float64, clipped to the image: from 1 to its width and height.

    Args:
        points: (N, 2), 0-based and continuous.
    """
    return np.clip(np.asarray(points, dtype=np.float64).reshape(-1, 2) + 1, 1, [width, height])


def encode_shanghaitech(points: np.ndarray, width: int, height: int, writer: str) -> bytes:
    """Return ShanghaiTech's `GT_IMG_{n}.mat` of an image, whose points are `mat["image_info"][0, 0][0, 0][0]`.

    Args:
        points: (N, 2), 0-based and continuous.
        writer: what wrote the file, as its header says.
    """
    info = np.empty((1, 1), dtype=object)
    info[0, 0] = {"location": one_based(points, width, height), "number": float(len(points))}
    return encode_mat({"image_info": info}, writer)


def encode_mat(variables: Mapping[str, Any], writer: str) -> bytes:
    """Return a MATLAB 5 file with these variables; equal variables give equal bytes."""
    import scipy.io  # it is slow to import

    buffer = io.BytesIO()
    scipy.io.savemat(buffer, dict(variables), do_compression=True)
    # The first 116 bytes are free text, in which scipy writes the time of day.
    return f"MATLAB 5.0 MAT-file, written by {writer}".encode("ascii").ljust(116) + buffer.getvalue()[116:]
