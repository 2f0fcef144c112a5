"""Time loading training images from the prepared index against decoding the authors' files anew, side by side.

    PYTHONPATH=scripts python benchmarks/loading.py

Images are smooth noise at the sizes of the datasets. Both ways end with an RGB array at training size, and then again
with that array copied into a batch, as training does with either.
PANDA-Crowd stands in at a quarter of its side lengths. What the target costs is benchmarks/density.py's matter.
"""

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from promptmix.datasets import Sample, read_dataset
from promptmix.datasets.index import Index, prepare
from promptmix.datasets.splits import split
from promptmix.images import read_image, training_size
from promptmix.miniature.formats import write_panda, write_shanghaitech, write_ucf_qnrf


class Scene(NamedTuple):
    """A picture with heads."""

    image: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    location: str
    grey: bool


def scene(seed: int, width: int, height: int, people: int) -> Scene:
    """Return noise as rough as a photograph: details of 4 pixels on large shapes."""
    rng = np.random.default_rng(seed)
    shapes = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)).resize((width, height))
    details = Image.fromarray(rng.integers(0, 255, (height // 4, width // 4, 3), dtype=np.uint8)).resize(
        (width, height)
    )
    points = rng.random((people, 2)) * [width - 1, height - 1]
    boxes = np.concatenate([points - 9, points + 9], axis=1)
    return Scene(np.asarray(Image.blend(shapes, details, 0.3)), points, boxes, "marathon", False)


def from_the_files(sample: Sample, resize: dict | None) -> np.ndarray:
    """Decode the whole image and resize it."""
    width, height = training_size(sample.width, sample.height, resize)
    image = read_image(sample.image)
    if resize:
        image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
    return image


def measure(name: str, samples: list[Sample], folder: Path, resize: dict | None, epochs: int = 3) -> None:
    """Print the time per image of both ways, taking turns, the fastest round of each."""
    start = time.perf_counter()
    prepare(samples, folder, resize)
    preparation = (time.perf_counter() - start) / len(samples)
    index = Index.open(folder / "index.csv")
    ways = {
        "files": lambda i: from_the_files(samples[i], resize),
        "index": index.image,
        "files, batched": lambda i: np.stack([from_the_files(samples[i], resize)]),
        "index, batched": lambda i: np.stack([index.image(i)]),
    }
    times = {way: [] for way in ways}
    for _ in range(epochs):
        for way, load in ways.items():
            start = time.perf_counter()
            for i in range(len(index)):
                load(i)
            times[way].append((time.perf_counter() - start) / len(index))
    best = {way: min(seconds) for way, seconds in times.items()}
    print(f"{name} (preparing {preparation * 1e3:.0f} ms, once)")
    for files, mapped in (("files", "index"), ("files, batched", "index, batched")):
        ratio = best[files] / best[mapped]
        print(
            f"  {files:16}{best[files] * 1e3:8.2f} ms   {mapped:16}{best[mapped] * 1e3:8.3f} ms   {ratio:8.1f} times faster"
        )


def main() -> None:
    """Print one line per dataset; times are per image."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, number in (("train", 12), ("test", 1)):
            write_shanghaitech(folder, "part_B_final", name, (scene(i, 1024, 768, 120) for i in range(number)))
        samples = split(read_dataset("shanghaitech", folder / "part_B_final"), {"val": 0.1})
        measure("ShanghaiTech B, 1024x768", samples, folder / "b", None)
        for name, number in (("train", 4), ("test", 1)):
            scenes = (scene(i, 2902, 2013, 800) for i in range(number))
            write_ucf_qnrf(folder / "qnrf", name, scenes, [91] * number)
        samples = split(read_dataset("ucf_qnrf", folder / "qnrf"), {"val": 0.3})
        measure("UCF-QNRF, 2902x2013", samples, folder / "q", {"fit": [1920, 1920]})
        write_panda(folder / "panda", (scene(i, 6596, 3692, 3000) for i in range(3)))
        samples = split(read_dataset("panda", folder / "panda"), {"train": 1, "val": 1, "test": 1})
        measure("PANDA, 6596x3692", samples, folder / "p", {"exact": [2560, 1440]})


if __name__ == "__main__":
    main()
