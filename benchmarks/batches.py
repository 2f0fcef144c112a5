"""Batches per second that training's loader delivers, and two other ways of reading the same batches, side by side.

    PYTHONPATH=scripts python benchmarks/batches.py --threads 1 2 4 8

32 images of 1024x768 pixels a batch: generated ones, each decoded from its JPEG file and compared with its SHA-256, with a
map from HDF5, as in the first epochs; the same ones, kept on disk since they were decoded (`scratch_mb`); and real ones, mapped
from the prepared pixels, with targets in memory. Nothing computes on the batches, and no GPU is needed. A row of a table has
batches per second and how many times the first way that is. The others are one thread that reads the next batch while the batch
before it is stacked in fresh memory, as training did before it had its loader, and torch's DataLoader, with as many processes as
threads.
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from loading import scene
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.sample import Sample
from promptmix.files import sha256
from promptmix.networks.build import build
from promptmix.networks.registry import STRIDES, map_shape
from promptmix.running.scratch import Scratch
from promptmix.synthesis.maps import Annotation, write_maps
from promptmix.training.images import CACHE_BYTES, FakeImages, RealImages
from promptmix.training.loading import Loader
from promptmix.training.objective import load_objective

WIDTH, HEIGHT, BATCH = 1024, 768, 32
STRIDE = STRIDES["counting"]


def make_images(folder: Path, number: int) -> tuple[RealImages, FakeImages, FakeImages]:
    """Write as many JPEGs of rough noise with maps, and prepare the same images as real ones with 120 heads each.

    The generated ones are returned twice: as they are read from their files, and as they are kept on disk.
    """
    samples, rows, maps = [], [], []
    rng = np.random.default_rng(0)
    for i in range(number):
        image, points, *_ = scene(i, WIDTH, HEIGHT, 120)
        file = folder / f"{i}.jpg"
        Image.fromarray(image).save(file, quality=75)
        samples.append(Sample(str(i), file, "train", WIDTH, HEIGHT, points))
        row = {"file": str(file), "sha256": sha256(file), "stem": file.stem, "maps": str(folder / "maps.h5")}
        rows.append(row | {"width": WIDTH, "height": HEIGHT})
        shape = map_shape(HEIGHT, WIDTH, STRIDE)
        maps.append(Annotation(file.stem, rng.random(shape, dtype=np.float32), HEIGHT, WIDTH))
    write_maps(folder / "maps.h5", maps, STRIDE, "sasnet")
    prepare(samples, folder / "prepared")
    objective = load_objective(build("rescsrnet", width=0.1), 4, 15, 1)
    real = RealImages(Index.open(folder / "prepared/index.csv"), "train", objective, CACHE_BYTES)
    fake, scratch = pd.DataFrame(rows), Scratch(folder, number * 4 * WIDTH * HEIGHT)
    kept = FakeImages(fake, STRIDE, cache_bytes=0, scratch=scratch)
    for i in range(number):  # before there are processes, which do not know of what each other one writes
        kept.image(i), kept.target(i)
    return real, FakeImages(fake, STRIDE, cache_bytes=0), kept


def read_one_ahead(plan, real: RealImages, generated: FakeImages):
    """Yield each batch as training did before: one thread is one batch ahead, and every batch has memory of its own."""

    def read(batch):
        sources = [(generated if is_generated else real, i) for is_generated, i, _ in batch]
        return [source.image(i) for source, i in sources], np.stack([source.target(i) for source, i in sources])

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, plan[0])
        for batch in [*plan[1:], None]:
            images, targets = coming.result()
            coming = reader.submit(read, batch) if batch else None
            yield torch.from_numpy(np.stack(images)), torch.from_numpy(targets)


class Items(Dataset):
    """The same images for torch's DataLoader, whose samplers give items of the plan."""

    def __init__(self, real: RealImages, generated: FakeImages):
        self._real, self._generated = real, generated

    def __getitem__(self, item: tuple[bool, int, bool]) -> tuple[torch.Tensor, torch.Tensor]:
        is_generated, i, _ = item
        source = self._generated if is_generated else self._real
        return torch.tensor(source.image(i)), torch.tensor(source.target(i))


def measure(name: str, plan: list, real: RealImages, generated: FakeImages, threads: list[int], turns: int) -> None:
    """Print the batches per second of each way, in its fastest turn, and how many times those of the first way that is."""
    ways = {"one ahead, stacked": lambda: read_one_ahead(plan, real, generated)}
    for n in threads:
        loader = Loader(real, generated, STRIDE, "cpu", threads=n, ahead=2)
        others = DataLoader(Items(real, generated), batch_sampler=plan, num_workers=n, persistent_workers=True)
        ways |= {f"loader, {n}": lambda loader=loader: loader.read(plan), f"DataLoader, {n}": others.__iter__}
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(turns + 1):
        for way, read in ways.items():
            start = time.perf_counter()
            for images, _ in read():
                assert len(images) == BATCH
            if turn:  # the first one starts processes and reads files for the first time
                speeds[way].append(len(plan) / (time.perf_counter() - start))
    for way, found in speeds.items():
        ratio = max(found) / max(speeds["one ahead, stacked"])
        print(f"| batches, {name}, {way} | {max(found):.2f} batches/s | | {ratio:.2f} |", flush=True)


def main() -> None:
    """Print a line for each way and each kind of image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=64, help="different images of each kind")
    parser.add_argument("--batches", type=int, default=6, help="batches a turn")
    parser.add_argument("--turns", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        real, generated, kept = make_images(Path(temporary), arguments.images)
        order = np.random.default_rng(0).integers(arguments.images, size=(arguments.batches, BATCH)).tolist()
        kinds = {"generated": (True, generated), "generated, kept on disk": (True, kept), "real": (False, generated)}
        for name, (is_generated, generated) in kinds.items():
            plan = [[(is_generated, i, False) for i in batch] for batch in order]
            measure(name, plan, real, generated, arguments.threads, arguments.turns)


if __name__ == "__main__":
    main()
