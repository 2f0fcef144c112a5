"""The miniature's datasets: rendered crowds and rooms in their authors' formats."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from promptmix.datasets.registry import TOP
from promptmix.miniature.rendering.crowds import Crowd, crowd_scale, render_crowd
from promptmix.miniature.rendering.formats import write_nyu, write_panda, write_shanghaitech, write_ucf_qnrf
from promptmix.miniature.rendering.rooms import Room, render_room
from promptmix.running.progress import progress

STREAM = 7
"""First number of every seed here: no seed of the corpus begins with it, so no image is in both."""


def render_dataset(folder: Path, settings: Mapping, images: Mapping[str, int], seed: int) -> None:
    """Render a dataset into a folder.

    Args:
        folder: where the authors' top folder or file is written: part_A_final or part_B_final, UCF-QNRF_ECCV18,
            PANDA_Crowd, nyu_depth_v2_labeled.mat.
        settings: `format`, and `sizes` to draw from ([width, height] each; only one for NYU). For crowds also
            `locations`, `people` (least and most at 96x64 pixels, drawn uniformly on a logarithmic scale; larger images
            have more, see `crowd_scale`), `grey` (share) and `quality` (least and most JPEG quality); for ShanghaiTech
            `part`; for NYU `rooms` (their kinds).
        images: number of images of each split; of "all" for PANDA and NYU, which have no splits.
        seed: image i of split s is a function of (seed, s, i) and of the settings.
    """
    for number, (split, count) in enumerate(images.items()):
        generators = [np.random.default_rng([STREAM, seed, number, i]) for i in range(count)]
        scenes = [scene(rng, settings) for rng in progress(generators, count, f"images rendered ({split})")]
        if settings["format"] == "nyu":
            write_nyu(folder / TOP["nyu"], scenes)
            continue
        qualities = [jpeg_quality(rng, settings) for rng in generators]
        if settings["format"] == "shanghaitech":
            write_shanghaitech(folder, settings["part"], split, scenes, quality=qualities[0])
        elif settings["format"] == "ucf_qnrf":
            write_ucf_qnrf(folder / "UCF-QNRF_ECCV18", split, scenes, qualities)
        else:
            write_panda(folder / "PANDA_Crowd", scenes, quality=qualities[0])


def scene(rng: np.random.Generator, settings: Mapping) -> Crowd | Room:
    """Render one image as the settings of `render_dataset` say."""
    width, height = settings["sizes"][rng.integers(len(settings["sizes"]))]
    if "rooms" in settings:
        return render_room(rng, width, height, settings["rooms"][rng.integers(len(settings["rooms"]))])
    location = settings["locations"][rng.integers(len(settings["locations"]))]
    least, most = np.log(settings["people"])
    people = max(1, round(np.exp(rng.uniform(least, most)) * crowd_scale(width, height)))
    colours = "grayscale" if rng.random() < settings["grey"] else "color"
    return render_crowd(rng, width, height, location, people, colours)


def jpeg_quality(rng: np.random.Generator, settings: Mapping) -> int:
    """Draw the JPEG quality of an image, as the settings of `render_dataset` say."""
    return int(rng.integers(*settings["quality"], endpoint=True))
