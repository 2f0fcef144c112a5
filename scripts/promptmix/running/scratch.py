"""Room on disk for what a job has computed, does not fit into its memory, and would have to compute again."""

import logging
import os
import tempfile
from pathlib import Path
from threading import Lock

import numpy as np

from promptmix.files import no_room

log = logging.getLogger(__name__)

MOUNTS = Path("/proc/self/mountinfo")
"""Where the kernel lists file systems: their devices in the third word, their kinds behind a dash."""

Place = tuple[int, tuple[int, ...], np.dtype]
"""Where an array is in the file, its shape, and its type."""


class Scratch:
    """Arrays in a file without a name, which the system removes when the process ends, however it ends.

    Several threads may use it at once, but not several processes.

    Args:
        folder: on a disk, best one of the machine itself; it is made if it is missing.
        limit: bytes that the file takes at most; for 0 there is none.

    Raises:
        OSError: no file can be made in the folder.
    """

    def __init__(self, folder: str | Path = "", limit: int = 0):
        self._folder, self._left, self._end = folder, limit, 0
        self._placing = Lock()
        if limit:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115, open as long as this is there

    def keep(self, array: np.ndarray) -> Place | None:
        """Write an array to the file, and return what `read` takes; None if there is no room for it."""
        array = np.ascontiguousarray(array)
        with self._placing:
            if array.nbytes > self._left:
                return None
            start = self._end
            self._end += array.nbytes
            self._left -= array.nbytes
        try:
            written = os.pwrite(self._file.fileno(), array.data, start)
        except OSError as error:
            if not no_room(error):
                raise
            written = 0
        if written < array.nbytes:
            if self._left:  # of threads that find no room at the same time, one says so
                log.warning("%s is full; what does not fit is read and decoded again when it is needed", self._folder)
            self._left = 0
            return None
        return start, array.shape, array.dtype

    def read(self, place: Place) -> np.ndarray:
        """Return a new array with the contents of the one that was written.

        Raises:
            OSError: the disk does not give it back.
        """
        start, shape, kind = place
        array = np.empty(shape, kind)
        if os.preadv(self._file.fileno(), [array.data], start) != array.nbytes:
            raise OSError(f"{self._folder}: a temporary file is shorter than what was written to it")
        return array


NO_SCRATCH = Scratch()
"""Keeps nothing."""


def name_if_in_memory(folder: str | Path) -> str | None:
    """Return the kind of a folder's file system if its files are in memory, such as "tmpfs", else None."""
    device = os.stat(folder).st_dev
    for mount in MOUNTS.read_text().splitlines():
        of_mount, of_system = mount.split(" - ")
        kind = of_system.split()[0]
        if of_mount.split()[2] == f"{os.major(device)}:{os.minor(device)}" and kind in ("tmpfs", "ramfs"):
            return kind
    return None
