"""Time loading training images from the prepared index and decoding the authors' files each time, side by side.

    PYTHONPATH=scripts python benchmarks/loading.py
    PYTHONPATH=scripts python benchmarks/loading.py --panda     # memory for images of 26382x14767 pixels, 3 minutes

Images are smooth noise at the sizes of the datasets. Both ways are timed until there is an RGB array at training size,
and again until that array is copied into a batch, as in training. PANDA-Crowd is timed at a quarter of its side
lengths; with --panda, images of full size, as baseline and as progressive JPEG, are prepared by 1, 2 and 4 threads, and
the process's peak memory is printed. For the time of the target, see benchmarks/density.py.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.pictures import read_image, training_size
from promptmix.datasets.registry import read_dataset
from promptmix.datasets.sample import Sample
from promptmix.datasets.splits import split
from promptmix.miniature.rendering.formats import write_panda, write_shanghaitech, write_ucf_qnrf


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


def full_size(folder: Path) -> None:
    """Print the peak memory of preparing four gigapixel images of PANDA-Crowd's size, each time in a new process."""
    size = (26382, 14767)
    details = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    tile = Image.fromarray(details).resize((2048, 2048))
    whole = Image.new("RGB", size)
    for x in range(0, size[0], 2048):
        for y in range(0, size[1], 2048):
            whole.paste(tile, (x, y))
    whole.save(folder / "baseline.jpg", quality=90)
    whole.save(folder / "progressive.jpg", quality=90, progressive=True)
    del whole
    for kind in ("baseline", "progressive"):
        for workers in (1, 2, 4):
            command = [sys.executable, __file__, "--worker", str(folder / f"{kind}.jpg"), str(workers)]
            print(f"{size[0]}x{size[1]}, {kind}: {subprocess.check_output(command, text=True)}", end="", flush=True)


def worker(image: Path, workers: int) -> None:
    """Prepare four copies of one image, and print the time and the memory that it took."""
    with Image.open(image) as file:
        size = file.size
    samples = [Sample(str(i), image, "train", *size, np.zeros((0, 2))) for i in range(4)]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        prepare(samples, folder, {"exact": [2560, 1440]}, workers)
        peak = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1e6
    print(f"{workers} thread(s): peak {peak:.2f} GB, {(time.perf_counter() - start) / 4:.1f} s an image")


def main() -> None:
    """Print one line per dataset; times are per image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panda", action="store_true", help="the memory for images of 390 million pixels instead")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(Path(arguments.worker[0]), int(arguments.worker[1]))
        return
    if arguments.panda:
        with tempfile.TemporaryDirectory() as temporary:
            full_size(Path(temporary))
        return
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
