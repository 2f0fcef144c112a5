"""Reading the batches of an epoch, on a GPU so far ahead that it does not wait for them.

Threads read images one by one, whichever batch they belong to, into memory that is kept and used again: fresh memory for
each batch of 32 images of 1024x768 pixels costs more time than copying the images. What a batch holds depends on the
plan alone, not on the number of threads or on how far they are ahead.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from promptmix.networks.registry import map_shape

AHEAD = 2
"""Batches that are read while a GPU computes on another one: the next, and one more in case its files are slow."""

IMAGES_AHEAD = 2
"""Images for each thread that are read meanwhile at least: batches of one image would leave most threads idle."""


class Images(Protocol):
    """What is read: `RealImages` and `FakeImages`."""

    sizes: Sequence[tuple[int, int]]
    """(height, width) of each image."""

    def image(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB."""

    def target(self, i: int) -> np.ndarray:
        """Return the target of the network's output, (h, w), one cell for each (also partial) block of pixels."""


class Loader:
    """Reads batches of images and their targets, and keeps the memory for them from epoch to epoch.

    Args:
        real, generated: the images that plans name; several threads call them at once.
        stride: image pixels per cell of a target, along a side.
        device: where the batches go.
        threads: how many read, if anything is read ahead; None for as many as torch has.
        ahead: how many batches are read while another one is computed on; 0 for none, each batch then being read when it is
            asked for, and by the caller; None for AHEAD on a GPU and 0 on a CPU, whose cores have to compute.
    """

    def __init__(
        self,
        real: Images,
        generated: Images,
        stride: int,
        device: torch.device | str,
        threads: int | None = None,
        ahead: int | None = None,
    ):
        self._real, self._generated, self._stride = real, generated, stride
        self._device = torch.device(device)
        self._threads = threads or torch.get_num_threads()
        gpu = self._device.type == "cuda"
        self._ahead = (AHEAD if gpu else 0) if ahead is None else ahead
        self._copies = torch.cuda.Stream(self._device) if gpu else None
        self._free: deque[_Room] = deque()

    def read(self, plan: Sequence[Sequence[tuple[bool, int, bool]]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images, (N, H, W, 3) uint8 RGB, and the targets, (N, h, w) float32, of each batch, on the device.

        A batch is valid until the next one is asked for. The threads end with the iterator, also if it is closed early; an
        error of theirs is raised here, once the batches before it have been yielded.

        Args:
            plan: what `promptmix.training.loop.plan_epoch` returns: batches of images of one size, each image as (whether it
                is generated, its position, whether it is mirrored).
        """
        if not self._ahead:
            for batch in plan:
                room = self._find_room(batch)
                for place, image in enumerate(batch):
                    self._fill(room, place, image)
                yield from self._hand_over(room)
            return
        readers = ThreadPoolExecutor(self._threads, "reader")
        try:
            coming: deque[tuple[_Room, list[Future]]] = deque()
            for batch in plan:
                room = self._find_room(batch)
                coming.append((room, [readers.submit(self._fill, room, *image) for image in enumerate(batch)]))
                while self._are_enough([len(filling) for _, filling in islice(coming, 1, None)]):
                    yield from self._finish(*coming.popleft())
            while coming:
                yield from self._finish(*coming.popleft())
        finally:
            readers.shutdown(cancel_futures=True)

    def _are_enough(self, images: list[int]) -> bool:
        """Return whether batches of so many images are enough to be read ahead."""
        return len(images) >= self._ahead and sum(images) >= IMAGES_AHEAD * self._threads

    def _finish(self, room: _Room, filling: list[Future]) -> Iterator[tuple[Tensor, Tensor]]:
        for image in filling:
            image.result()
        yield from self._hand_over(room)

    def _fill(self, room: _Room, place: int, image: tuple[bool, int, bool]) -> None:
        """Read an image and its target to their place in a batch."""
        is_generated, i, mirrored = image
        source = self._generated if is_generated else self._real
        for found, batch in zip((source.image(i), source.target(i)), room.arrays, strict=True):
            batch[place] = found[:, ::-1] if mirrored else found

    def _find_room(self, batch: Sequence[tuple[bool, int, bool]]) -> _Room:
        """Return memory for a batch that nothing computes on any more."""
        # On a GPU one more is left: it is computing on the one that was given back last, which would have to be waited for.
        spare = 0 if self._copies is None else 1
        room = self._free.popleft() if len(self._free) > spare else _Room(self._copies is not None)
        if room.in_use is not None:
            room.in_use.synchronize()
        is_generated, i, _ = batch[0]
        height, width = (self._generated if is_generated else self._real).sizes[i]
        room.reshape(len(batch), (height, width), map_shape(height, width, self._stride))
        return room

    def _hand_over(self, room: _Room) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield a batch on the device, and keep its memory for another one when it has been used."""
        if self._copies is None:
            yield room.images, room.targets
        else:
            now = torch.cuda.current_stream(self._device)
            with torch.cuda.stream(self._copies):  # beside what the GPU still computes
                images = room.images.to(self._device, non_blocking=True)
                targets = room.targets.to(self._device, non_blocking=True)
            now.wait_stream(self._copies)
            images.record_stream(now)
            targets.record_stream(now)
            yield images, targets
            # `blocking`: who waits for it sleeps, and leaves the core to the threads that read
            room.in_use = now.record_event(torch.cuda.Event(blocking=True))
        self._free.append(room)


class _Room:
    """Memory for a batch, on the CPU: pinned if a GPU is to copy from it while the CPU goes on.

    Attributes:
        images: (N, H, W, 3) uint8.
        targets: (N, h, w) float32, which loses nothing of the float16 in which depth is annotated.
        arrays: both again, for numpy.
        in_use: what the GPU has to reach before it is free again; None without a GPU.
    """

    def __init__(self, pinned: bool):
        self.in_use: torch.cuda.Event | None = None
        self._pinned = pinned
        self._kept = [torch.empty(0, dtype=dtype) for dtype in (torch.uint8, torch.float32)]

    def reshape(self, number: int, size: tuple[int, int], cells: tuple[int, int]) -> None:
        """Make room for `number` images of `size`, (height, width) in pixels, and targets of `cells`, (h, w)."""
        shapes = (number, *size, 3), (number, *cells)
        for i, (kept, shape) in enumerate(zip(self._kept, shapes, strict=True)):
            if kept.numel() < math.prod(shape):
                self._kept[i] = torch.empty(math.prod(shape), dtype=kept.dtype, pin_memory=self._pinned)
        self.images, self.targets = (
            kept[: math.prod(shape)].view(shape) for kept, shape in zip(self._kept, shapes, strict=True)
        )
        self.arrays = self.images.numpy(), self.targets.numpy()
