"""The miniature's annotators: heavyweight networks, narrowed.

As the published ones are trained on a dataset's own training images, these are trained on images rendered like those of
a dataset, but many more than any student sees, and none of the dataset's own.
"""

import io
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from promptmix.datasets.index import Index
from promptmix.datasets.pictures import decode_image, encode_jpeg, training_size
from promptmix.miniature.rendering.corpus import save
from promptmix.miniature.rendering.datasets import jpeg_quality, scene
from promptmix.miniature.rendering.rooms import Room
from promptmix.networks.checkpoints import read_metadata, read_tensors, save_weights
from promptmix.running.progress import progress
from promptmix.training.loop import train
from promptmix.training.settings import TrainingSettings

STREAM = 11
"""First number of every seed here, so that no image of a dataset is rendered again."""


def render(settings: Mapping, resize: Mapping | None, seed: int, number: int) -> tuple:
    """Render an image as of a dataset; a crowd is written and read as JPEG, and brought to training size.

    Returns its row, its pixels (H, W, 3), its heads (N, 4): x, y, and no boxes, as most datasets have none, and the
    depth (H, W) of a room, nothing for a crowd.
    """
    rng = np.random.default_rng([STREAM, seed, number])
    crowd = scene(rng, settings)
    row = {"image": f"{number:05d}"}
    if isinstance(crowd, Room):
        height, width = crowd.depth.shape
        row |= {"width": width, "height": height, "grey": False, "count": 0}
        return row, crowd.image, np.zeros((0, 4), np.float32), crowd.depth
    jpeg = encode_jpeg(crowd.image, jpeg_quality(rng, settings), crowd.grey)
    height, width = crowd.image.shape[:2]
    size = training_size(width, height, resize)
    pixels = decode_image(Image.open(io.BytesIO(jpeg)), size)
    heads = np.zeros((len(crowd.points), 4), np.float32)
    heads[:, :2] = crowd.points * (size[0] / width, size[1] / height)
    row |= {"width": size[0], "height": size[1], "grey": crowd.grey, "count": len(heads)}
    return row, pixels, heads, np.float32([])


def render_images(
    folder: Path, settings: Mapping, resize: Mapping | None, images: int, seed: int, processes: int
) -> Index:
    """Render images like those of a dataset into `folder`; the last tenth of them is the validation split."""
    with ProcessPoolExecutor(processes) as pool:
        made = pool.map(partial(render, settings, resize, seed), range(images), chunksize=32)
        done = list(progress(made, images, "images rendered"))
    split = np.where(np.arange(images) < images * 9 // 10, "train", "val")
    save(folder, [made[:3] for made in done], split, [made[3] for made in done])
    return Index.open(folder / "index.csv")


def train_annotator(
    index: Index, settings: TrainingSettings, folder: Path, out: Path, device: str, start: Path | None = None
) -> None:
    """Train an annotator in `folder` (resumable), from weights if given, and write it to `out` in half precision."""
    weights = None if start is None else {key: tensor.float() for key, tensor in read_tensors(start).items()}
    checkpoint = train(settings, index, None, folder, device, weights=weights)
    save_weights(out, read_tensors(checkpoint), read_metadata(checkpoint), torch.float16)
