"""The labelled part of NYU Depth V2 (Silberman et al., ECCV 2012): images of rooms with depth, without a test split.

Layout: one MATLAB 7.3 file, `nyu_depth_v2_labeled.mat`. This is HDF5 with MATLAB's axes reversed: `images`
(N, 3, W, H) uint8 RGB, and `depths` (N, W, H) in metres along the optical axis, whose holes the authors have filled.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from promptmix.datasets.depths import DepthFacts, measure
from promptmix.datasets.sample import Sample, check_counts
from promptmix.errors import InputError

if TYPE_CHECKING:
    import h5py

FILE = "nyu_depth_v2_labeled.mat"
BYTES = "2 972 037 809 bytes"
WHERE = (
    f"Expected: {FILE}, {BYTES}, the labelled part of NYU Depth V2. "
    f"Get http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/{FILE} (no registration)"
)


@dataclass(frozen=True, eq=False)
class Room(Sample):
    """An image with depth, both read from the file on access.

    All samples share the two open HDF5 datasets, so there is one file handle, and threads take turns (h5py has a lock).

    Attributes:
        images, depths: the file's HDF5 datasets.
        number: position in the file, from 1.
    """

    has_depth: ClassVar[bool] = True

    images: "h5py.Dataset" = field(kw_only=True)
    depths: "h5py.Dataset" = field(kw_only=True)
    number: int = field(kw_only=True)

    @contextmanager
    def open(self) -> Iterator[Image.Image]:
        yield Image.fromarray(self._read(self.images))

    def measure(self) -> tuple[np.ndarray, DepthFacts]:
        """Return (H, W) float32 in metres with 0 = unknown, and what is known of it.

        Raises:
            InputError: the file is damaged here; and as in `promptmix.datasets.depths.measure`.
        """
        place = f"{self.image}: image {self.number}"
        return measure(self._read(self.depths), 1.0, place, "'depths' holds metres; fetch or copy the file again")

    def _read(self, dataset: "h5py.Dataset") -> np.ndarray:
        try:
            return np.ascontiguousarray(dataset[self.number - 1].T)
        except OSError as error:
            raise InputError(
                f"{self.image}: image {self.number}: '{dataset.name.strip('/')}' is damaged here ({error}). "
                f"Fetch or copy the file again; the published one has {BYTES}"
            ) from error


def read(path: str | Path, expected: Mapping[str, int] | None = None) -> list[Sample]:
    """Return the samples in the file's order, named "0001", "0002", ..., with split "", since the file defines none.

    Pixels stay in the file, which remains open as long as a sample is in use. The authors' own split (795 training
    and 654 test images, in a separate file) is not the paper's and is not read.

    Args:
        path: the file, or its folder.
        expected: number of images, see `check_counts`. The dataset has {"all": 1449}.

    Raises:
        InputError: the file is missing, damaged or a different one; images and depths have other axes or types than
            the published ones or do not fit together; or the number of images is not the expected one.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    file = _open_file(path)
    try:
        images, depths = (_find_array(file, key, path) for key in ("images", "depths"))
        _check_arrays(images, depths, path)
        number, _, width, height = images.shape
        samples = [
            Room(f"{i:04d}", path, "", width, height, np.zeros((0, 2)), images=images, depths=depths, number=i)
            for i in range(1, number + 1)
        ]
        check_counts(samples, expected, path, WHERE)
    except BaseException:
        file.close()
        raise
    return samples


def _open_file(path: Path) -> "h5py.File":
    import h5py  # here, since Snakemake imports this package at every start and h5py is slow to import

    if not path.is_file():
        raise InputError(f"{path}: the dataset is missing, there is no such file. {WHERE}")
    try:
        # A compressed chunk may span several images; with a large enough cache it is decompressed only once.
        return h5py.File(path, "r", rdcc_nbytes=64 * 2**20)
    except OSError as error:
        with open(path, "rb") as file:
            version_5 = file.read(10) == b"MATLAB 5.0"
        what = "a MATLAB 5 file, not 7.3 (HDF5)" if version_5 else f"not a readable HDF5 file ({error})"
        size = path.stat().st_size
        raise InputError(f"{path}: {what}. It has {size} bytes; fetch or copy it again. {WHERE}") from error


def _find_array(file: "h5py.File", key: str, path: Path) -> "h5py.Dataset":
    if not hasattr(file.get(key), "shape"):  # missing, or a group
        there = ", ".join(f"'{name}'" for name in file if not name.startswith("#")) or "nothing"
        raise InputError(f"{path}: no array '{key}', there is {there}. {WHERE}")
    return file[key]


def _check_arrays(images: "h5py.Dataset", depths: "h5py.Dataset", path: Path) -> None:
    axes = "h5py shows MATLAB's axes reversed, and MATLAB's are (height, width, 3, N) and (height, width, N)"
    if images.ndim != 4 or images.shape[1] != 3:
        raise InputError(f"{path}: 'images' is {images.shape}; expected (N, 3, width, height): {axes}")
    number, _, width, height = images.shape
    if depths.shape != (number, width, height):
        raise InputError(
            f"{path}: 'depths' is {depths.shape} and 'images' {images.shape}; expected a depth for each pixel, "
            f"{(number, width, height)}: {axes}"
        )
    if images.dtype != np.uint8:
        raise InputError(f"{path}: 'images' is {images.dtype}; expected uint8, 0 to 255")
    if depths.dtype.kind != "f":
        raise InputError(f"{path}: 'depths' is {depths.dtype}; expected float32, in metres")
