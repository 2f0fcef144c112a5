"""The corpus of rendered, captioned images on which the miniature's models are trained.

It takes the place of the web-scale data behind the published models. It has the form of a prepared dataset
(`promptmix.datasets.index`) with three more columns, `place`, `size` and `colours`, from which `prompt` writes texts. Image i is a
function of (seed, i) alone, and the rendered datasets have other seeds, so no image of a dataset is in the corpus.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.files import write_csv
from promptmix.miniature.rendering import crowds, rooms
from promptmix.running.progress import progress

SHAPES = {  # (width, height): share of the images; these are the training sizes of the miniature's datasets
    "crowd": {(96, 64): 0.50, (80, 64): 0.15, (112, 80): 0.22, (128, 72): 0.13},
    "room": {(96, 72): 1.0},
}
SIZE_WORDS = {"few": "few people", "group": "group of people", "large": "large crowd"}
COLOUR_SHARES = {"color": 0.7, "grayscale": 0.2, "black and white": 0.1}  # share of the crowds


def render(seed: int, number: int, share_of_rooms: float) -> tuple[dict, np.ndarray, np.ndarray]:
    """Render image `number` of the corpus; return its row, pixels (H, W, 3) and heads (N, 4): x, y, width, height."""
    rng = np.random.default_rng([seed, number])
    kind = "room" if rng.random() < share_of_rooms else "crowd"
    shapes = SHAPES[kind]
    width, height = list(shapes)[rng.choice(len(shapes), p=list(shapes.values()))]
    if kind == "room":
        place = rooms.ROOMS[rng.integers(len(rooms.ROOMS))]
        scene = rooms.render_room(rng, width, height, place)
        row, heads = {"place": place, "size": "", "colours": "color", "grey": 0}, np.zeros((0, 4), np.float32)
    else:
        place = crowds.LOCATIONS[rng.integers(len(crowds.LOCATIONS))]
        people = round(np.exp(rng.uniform(np.log(2), np.log(180))) * crowds.crowd_scale(width, height))
        colours = list(COLOUR_SHARES)[rng.choice(len(COLOUR_SHARES), p=list(COLOUR_SHARES.values()))]
        scene = crowds.render_crowd(rng, width, height, place, people, colours)
        row = {"place": place, "size": scene.size, "colours": colours, "grey": int(scene.grey)}
        heads = np.hstack([scene.points, scene.boxes[:, 2:] - scene.boxes[:, :2]])
    row = {"image": f"{number:05d}", "width": width, "height": height} | row | {"count": len(heads)}
    return row, scene.image, heads


def render_corpus(folder: Path, images: int, seed: int, share_of_rooms: float, processes: int) -> None:
    """Render a corpus into `folder`, as the files of a prepared dataset (index.csv, pixels.npy, heads.npy, ...)."""
    job = partial(render, seed, share_of_rooms=share_of_rooms)
    with ProcessPoolExecutor(processes) as pool:
        done = list(progress(pool.map(job, range(images), chunksize=64), images, "images rendered"))
    save(folder, done, "train")


def save(folder: Path, done: list[tuple[dict, np.ndarray, np.ndarray]], split, depths=()) -> None:
    """Save rendered images (row, pixels, heads) in the form of a prepared dataset.

    Args:
        split: one for all images, or one for each.
        depths: (H, W) of each image, in metres, if they are rooms for training on depth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame([row for row, _, _ in done]).assign(split=split, quality=95)
    frame["offset"] = np.cumsum([0] + [pixels.size for _, pixels, _ in done[:-1]])
    frame["heads"] = frame["count"]
    frame["first_head"] = frame["heads"].cumsum() - frame["heads"]
    np.save(folder / "pixels.npy", np.concatenate([pixels.ravel() for _, pixels, _ in done]))
    np.save(folder / "heads.npy", np.concatenate([heads for _, _, heads in done]).astype(np.float32))
    np.save(
        folder / "depths.npy", np.concatenate([np.float32([]), *(depth.ravel() for depth in depths)]).astype(np.float32)
    )
    write_csv(folder / "index.csv", frame)


def caption(rng: np.random.Generator, place: str, size: str) -> str:
    """Return a caption of a rendered image, ending in "."."""
    return rooms.describe(rng, place) if place in rooms.ROOMS else crowds.describe(rng, place, size)


def prompt(rng: np.random.Generator, place: str, size: str, colours: str) -> str:
    """Return a text for a rendered image, made of parts that a prompt of PromptMix can have.

    The parts are the crowd's size (the prefix), a caption, or the size and the place in the words of the paper's Table
    VII ("large crowd in a train station"), and how the image is coloured (the suffix). Each is drawn by chance; at
    least one is there. Half of the prefixes are "large crowd" whatever the size, as people, and PromptMix, say that of
    most crowds: so the size follows from the caption, and from the prefix little.
    """
    parts = []
    if size and rng.random() < 0.6:
        prefix = SIZE_WORDS["large" if rng.random() < 0.5 else size]
        by_hand = rng.random() < 0.25
        parts.append(f"{prefix} in {crowds.LOCATION_WORDS[place]}" if by_hand else prefix)
        with_caption = not by_hand and rng.random() < 0.8
    else:
        with_caption = True
    if with_caption:
        parts.append(caption(rng, place, size).removesuffix("."))
    if rng.random() < 0.6:
        parts.append(f"{colours} image")
    return ", ".join(parts)


def read_rows(folder: Path) -> pd.DataFrame:
    """Return the corpus's rows: image, width, height, place, size ("" for rooms), colours, count, offset, ..."""
    return pd.read_csv(folder / "index.csv", dtype={"image": str}).fillna({"size": ""})


def stack(pixels: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
    """Return the images of the given rows, all of one size, as (N, H, W, 3) uint8 from the memory-mapped pixels."""
    height, width = int(rows["height"].iloc[0]), int(rows["width"].iloc[0])
    size = height * width * 3
    return np.stack([pixels[o : o + size] for o in rows["offset"]]).reshape(-1, height, width, 3)


def batches_of_one_size(rows: pd.DataFrame, batch: int, seed: int, step: int) -> pd.DataFrame:
    """Return the rows of batch `step`: all of one size, drawn by its share; they depend on (seed, step) alone."""
    rng = np.random.default_rng([seed, step])
    first = rows.iloc[rng.integers(len(rows))]
    same = np.flatnonzero((rows["width"] == first["width"]) & (rows["height"] == first["height"]))
    return rows.iloc[rng.choice(same, batch)]
