"""The miniature's annotators: heavyweight networks with fewer channels.

The published annotators were trained on a dataset's own training images. These are trained on images that are rendered
like those of a dataset and are not in it, and on many more of them than the lightweight networks see.
"""

import io
from collections.abc import Callable, Mapping
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
"""First number of every seed here: no seed of a dataset begins with it, so no image of a dataset is rendered again."""


def render(settings: Mapping, resize: Mapping | None, seed: int, number: int) -> tuple:
    """Render an image like those of a dataset. A crowd is encoded as JPEG, decoded, and resized to training size.

    Args:
        settings, resize: those of the dataset, see `render_dataset` and `training_size`.
        seed, number: the image is a function of these and of the settings.

    Returns:
        Row of the index, pixels (H, W, 3) uint8, heads (N, 4) float32 with x and y in pixels and 0 for the boxes, which
        most datasets do not have, and depth in metres, (H, W) float32 of a room and empty for a crowd.
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
    folder: Path,
    settings: Mapping,
    resize: Mapping | None,
    images: int,
    seed: int,
    processes: int,
    soften: Callable[[np.ndarray], np.ndarray] | None = None,
    share: float = 0.0,
) -> Index:
    """Render images like those of a dataset into `folder`, the last tenth of them as the validation split.

    Args:
        soften: what makes an image as soft as a generated one, (H, W, 3) uint8 to the same.
        share: of the images, drawn by chance, that are softened; the heads stay.
    """
    with ProcessPoolExecutor(processes) as pool:
        made = pool.map(partial(render, settings, resize, seed), range(images), chunksize=32)
        done = list(progress(made, images, "images rendered"))
    if soften:
        drawn = np.random.default_rng([STREAM, seed]).random(images) < share
        done = [(row, soften(image) if soft else image, *rest) for (row, image, *rest), soft in zip(done, drawn)]
    split = np.where(np.arange(images) < images * 9 // 10, "train", "val")
    save(folder, [made[:3] for made in done], split, [made[3] for made in done])
    return Index.open(folder / "index.csv")


def train_annotator(
    index: Index, settings: TrainingSettings, folder: Path, out: Path, device: str, start: Path | None = None
) -> None:
    """Train an annotator, from the weights in `start` if given, and write it to `out` in half precision.

    The state of an unfinished training is kept in `folder`; the next run resumes from it.
    """
    weights = None if start is None else {key: tensor.float() for key, tensor in read_tensors(start).items()}
    checkpoint = train(settings, index, None, folder, device, weights=weights)
    save_weights(out, read_tensors(checkpoint), read_metadata(checkpoint), torch.float16)
