"""D_fake of rendered images: what generated images and an annotator's labels cost, against more real data.

A dataset of the miniature is rendered, so there can be more of it, with its true labels. Trained on in place of generated
images, these show what is to be gained at most; with an annotator's labels they show what the annotator costs.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.registry import read_dataset
from promptmix.files import replacing_folder, sha256
from promptmix.miniature.rendering.datasets import render_dataset
from promptmix.networks.registry import STRIDES
from promptmix.synthesis.maps import Annotation, read_counts, write_maps
from promptmix.tasks.density import density_at_stride

SHIFT = 1
"""What is added to a dataset's seed for more images like its own: image i of another seed is another image."""


def render_more(
    folder: Path, settings: Mapping, entry: Mapping, name: str, number: int, seed: int, workers: int = 1
) -> Index:
    """Render images like those of a dataset and prepare them in the same way; none is an image of the dataset.

    Args:
        folder: where the images are rendered and prepared.
        settings: what the dataset is rendered from, see `render_dataset`.
        entry: the dataset's `format`, `images` and `resize`.
        name: of its top folder or file.
        number: of images, all in the split "train".
        seed: that of the dataset.
        workers: number of threads that decode.
    """
    images = {split: number if split in ("train", "all") else 1 for split in entry["images"]}
    render_dataset(folder / "rendered", settings, images, seed + SHIFT)
    samples = read_dataset(entry["format"], folder / "rendered" / name, images)
    training = [replace(sample, split="train") for sample in samples if sample.split in ("train", "")]
    prepare(training, folder / "prepared", entry["resize"], workers)
    return Index.open(folder / "prepared" / "index.csv")


def name_images(index: Index) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each image with the name that it has in D_fake: "00000", (H, W, 3) uint8 RGB."""
    for i in range(len(index)):
        yield f"{i:05d}", index.image(i)


def true_maps(index: Index, task: str, sigma: float, kernel: int) -> Iterator[Annotation]:
    """Yield the true density or depth map of each image: for counting, the target that a real image has in training.

    Args:
        index: prepared images.
        task: "counting" or "depth".
        sigma, kernel: deviation and side of a head's Gaussian, in pixels; not used for depth.
    """
    for i, (name, image) in enumerate(name_images(index)):
        height, width = image.shape[:2]
        if task == "depth":
            yield Annotation(name, index.depth(i), height, width)
            continue
        heads = index.heads(i)
        found = density_at_stride(heads[:, :2], height, width, STRIDES[task], sigma, kernel, boxes=heads[:, 2:])
        yield Annotation(name, found, height, width)


def write_images(
    folder: str | Path, index: Index, annotations: Iterable[Annotation], annotator: str, task: str
) -> pd.DataFrame:
    """Write rendered images as PNG and their maps into a folder, which appears when it is complete.

    Args:
        annotations: of all images, by the names of `name_images`, in any order.
        annotator: whose they are.

    Returns:
        one row per image with the columns of `promptmix.records.fakes.FAKE`; no prompt, so the pool is "rendered".
    """
    names = []
    with replacing_folder(folder) as part:
        for name, image in name_images(index):
            Image.fromarray(image).save(part / f"{name}.png")
            names.append(name)
        write_maps(part / "maps.h5", annotations, STRIDES[task], annotator, task)
    maps = Path(folder).resolve() / "maps.h5"
    files = [maps.with_name(f"{name}.png") for name in names]
    seen = read_counts(maps).loc[names].reset_index(names="stem").astype({"height": int, "width": int})
    same = {"maps": str(maps), "pool": "rendered", "prompt_number": 0, "prompt": "", "faces": 0}
    return seen.assign(file=list(map(str, files)), sha256=[sha256(file) for file in files], **same)
