"""The mean of several annotators' annotations (paper, section III, fifth stage)."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from promptmix.errors import InputError, command
from promptmix.synthesis.maps import Annotation, missing_maps, open_maps


def average(files: Sequence[str | Path]) -> tuple[Iterator[Annotation], int, str]:
    """Return the mean annotation of each image of a block, the maps' stride, and their task.

    Density is averaged cell by cell, so a count is the mean of the counts. Depth is averaged over the annotators that
    know it: 0 is unknown, and stays where all say so.

    Args:
        files: the block's maps by each annotator, see `promptmix.synthesis.maps`.

    Raises:
        InputError: maps for different tasks, of different strides, sizes or images.
    """
    kinds = {}
    for path in files:
        with open_maps(path) as file:
            kinds[path] = file.attrs.get("task", "counting"), int(file.attrs["stride"])
    first = files[0]
    for path, kind in kinds.items():
        if kind != kinds[first]:
            says = " and ".join(
                f"{p} holds maps for {task} at stride {stride}"
                for p, (task, stride) in ((first, kinds[first]), (path, kind))
            )
            raise InputError(f"{says}; only maps of one kind can be averaged")
    task, stride = kinds[first]
    return _means(files, task), stride, task


def _means(files: Sequence[str | Path], task: str) -> Iterator[Annotation]:
    with ExitStack() as stack:
        opened = [stack.enter_context(open_maps(path))["map"] for path in files]
        stems = sorted({stem for maps in opened for stem in maps})
        for path, maps in zip(files, opened, strict=True):
            if missing := [stem for stem in stems if stem not in maps]:
                raise InputError(f"{missing_maps(path, missing, len(maps))}. Other annotators have them")
        for stem in stems:
            found = [maps[stem] for maps in opened]
            sizes = {(int(each.attrs["height"]), int(each.attrs["width"])) for each in found}
            if len(sizes) > 1:
                raise InputError(
                    f"{stem}: annotators saw it at {' and '.join(f'{w}x{h}' for h, w in sorted(sizes))} pixels. Delete "
                    f"{', '.join(map(str, files))}, and make them again with `{command(*files)}`"
                )
            stacked = np.stack([each[()] for each in found]).astype(np.float64)
            mean = mean_map(stacked, task)
            yield Annotation(stem, mean.astype(np.float32), *sizes.pop())


def mean_map(maps: np.ndarray, task: str) -> np.ndarray:
    """Return the mean over the first axis; of depth over those that know it, where it is above 0."""
    known = np.ones(maps.shape) if task == "counting" else maps > 0
    return (maps * known).sum(0) / np.maximum(known.sum(0), 1)
