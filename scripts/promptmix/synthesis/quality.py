"""The quality score q of generated images (paper, section III, fourth stage): how much heavyweight networks disagree.

q = max d(A_j, A_j') / max d(A_j, 0), over the annotators j and a distance d between annotations. Lower is better: where
several high-performing networks see the same, the image is likely to be of the target domain.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from promptmix.errors import InputError, command
from promptmix.synthesis.maps import missing_maps, open_maps


def count_disagreement(counts: Sequence[float]) -> float:
    """Return q of one image of a crowd: the largest difference between two counts, relative to the largest count.

    An image that all annotators find empty scores 0. Counts are sums over density maps, which can be a little below 0:
    the largest is that of the largest absolute value.

    Args:
        counts: number of people in the image, one per annotator.

    Raises:
        InputError: fewer than two counts.
    """
    _check_number(counts)
    largest = max(abs(count) for count in counts)
    return float((max(counts) - min(counts)) / largest) if largest else 0.0


def depth_disagreement(maps: Sequence[np.ndarray]) -> float:
    """Return q of one image of a room: the largest distance between two depth maps, relative to the largest map.

    The distance of two maps is the mean of |a - b| over the pixels, in metres, and a map is as large as its distance
    from 0, its mean depth. Depth of 0 or less is unknown, and counts as 0: a pixel that only one annotator knows adds
    all of its depth to the distance. An image in which none knows any depth scores 1, as nothing can be learnt from it.

    Args:
        maps: one (H, W) depth map per annotator, in metres, all of one size.

    Raises:
        InputError: fewer than two maps.
    """
    _check_number(maps)
    known = [np.maximum(depth, 0, dtype=np.float32) for depth in maps]
    largest = max(float(depth.mean(dtype=np.float64)) for depth in known)
    distances = (float(np.abs(a - b).mean(dtype=np.float64)) for a, b in combinations(known, 2))
    return max(distances) / largest if largest else 1.0


def score_block(annotations: Sequence[str | Path]) -> pd.DataFrame:
    """Return q of each image of a block: `stem`, `q`; in the order of the stems, which is that of the seeds.

    Args:
        annotations: the block's maps by each annotator, see `promptmix.synthesis.maps`. The task is that of the maps.

    Raises:
        InputError: fewer than two annotators, annotators of different tasks, an image that one of them lacks or has
            seen at another size, or one whose annotation is not finite.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_maps(path)) for path in annotations]
        _check_number({_annotator(file) for file in files})
        task = _task(files)
        stems = sorted({stem for file in files for stem in file["map"]})
        for file in files:
            if missing := [stem for stem in stems if stem not in file["map"]]:
                raise InputError(
                    f"{missing_maps(file.filename, missing, len(file['map']))}. Other annotators have them"
                )
        return pd.DataFrame({"stem": stems, "q": [_score(files, stem, task) for stem in stems]})


def _score(files: Sequence[h5py.File], stem: str, task: str) -> float:
    found = [file["map"][stem] for file in files]
    sizes = [(int(dataset.attrs["width"]), int(dataset.attrs["height"])) for dataset in found]
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            (a, b), (w, h) = sizes[0], size
            raise InputError(
                f"{stem}: {_annotator(files[0])} annotated it at {a}x{b} pixels and {_annotator(file)} at {w}x{h}; "
                f"q compares annotations of one image. Delete {files[0].filename} and {file.filename}, and make them "
                f"again with `{command(files[0].filename, file.filename)}`"
            )
    values = [dataset.attrs["count"] for dataset in found] if task == "counting" else [d[()] for d in found]
    for file, value in zip(files, values, strict=True):
        if not np.isfinite(value).all():
            raise InputError(
                f"{file.filename}: {stem}: the annotation by {_annotator(file)} is not finite; expected "
                f"{'a count' if task == 'counting' else 'depth in metres'}. Check its weights and settings"
            )
    return count_disagreement(values) if task == "counting" else depth_disagreement(values)


def _task(files: Sequence[h5py.File]) -> str:
    tasks = [file.attrs.get("task", "counting") for file in files]
    for file, task in zip(files, tasks, strict=True):
        if task != tasks[0]:
            raise InputError(
                f"{files[0].filename} holds maps for {tasks[0]} and {file.filename} for {task}; q compares annotators of "
                "one task. Name such annotators under `scored_by`"
            )
    return tasks[0]


def _annotator(file: h5py.File) -> str:
    return str(file.attrs.get("annotator", file.filename))


def _check_number(annotators: Sequence | set) -> None:
    if len(annotators) < 2:
        raise InputError(
            f"q compares annotators, and {len(annotators)} is given; name two or more different ones under `scored_by`"
        )
