"""Time annotation in float32 and in bfloat16, and say how far apart the maps are.

    PYTHONPATH=scripts python benchmarks/annotation.py                  # on a CPU: the miniature's annotators, 96x64
    PYTHONPATH=scripts python benchmarks/annotation.py --device cuda    # the published networks, random weights, 1024x768

Printed as rows of a table: the case, images per second, how many times those of float32 that is, on a GPU the peak of the
tensors beside what `promptmix.preflight.memory` predicts, and by how much counts, or depths, differ from those in float32.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from promptmix.miniature.rendering.crowds import render_crowd
from promptmix.networks.build import build
from promptmix.networks.checkpoints import read_metadata, save_weights
from promptmix.networks.registry import STRIDES
from promptmix.preflight import memory
from promptmix.synthesis.annotation import annotate, load_annotator

MODELS = Path("resources/models")
MINIATURE = {"sasnet": "sasnet-shtb", "dmcount": "dmcount-qnrf", "adabins": "adabins-nyu"}
SIZES = {"sasnet": (1024, 768), "dmcount": (1024, 768), "adabins": (640, 480)}


def compare(name: str, weights: Path, size: tuple[int, int], arguments: argparse.Namespace) -> None:
    """Print a row for each precision."""
    width, height = size
    settings = json.loads(read_metadata(weights)["settings"])
    rng = np.random.default_rng(0)
    images = [(str(i), render_crowd(rng, width, height, "stadium", 60).image) for i in range(arguments.images)]
    base, speed = None, 0.0
    for precision in ("float32", "bfloat16"):
        network = load_annotator(
            name, "depth" if name == "adabins" else "counting", settings, weights, arguments.device, precision=precision
        )
        stride = STRIDES[network.task]
        times = []
        for _ in range(arguments.turns + 1):  # the first one allocates
            begin = time.perf_counter()
            found = list(annotate(network, images, arguments.device, stride))
            times.append(time.perf_counter() - begin)
        here = len(images) / np.median(times[1:])
        sums = np.array([each.map.sum(dtype=np.float64) for each in found])
        base = sums if base is None else base
        speed = speed or here
        cells = [
            f"annotation, {name}, {width}x{height}, {precision}",
            f"{here:.2f} images/s",
            "",
            f"{here / speed:.2f}",
        ]
        if arguments.device == "cuda":
            predicted = memory.annotation(name, width, height, settings, overhead=False, precision=precision)
            cells += [f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB", f"{predicted / 1e9:.1f} GB"]
            torch.cuda.reset_peak_memory_stats()
        off = np.abs(sums - base).mean() / np.abs(base).mean()
        print(f"| {' | '.join(cells)} | {100 * off:.2f} % off |", flush=True)
        del network  # or the peak of the next one would have its weights too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--published", action="store_true", help="the published networks without a GPU, too")
    parser.add_argument("--networks", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    published = arguments.published or arguments.device == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.networks:
            weights, size = MODELS / f"{MINIATURE[name]}.safetensors", (96, 72) if name == "adabins" else (96, 64)
            if published:
                torch.manual_seed(0)
                weights, size = Path(folder, f"{name}.safetensors"), SIZES[name]
                save_weights(weights, build(name), {"settings": "{}"})
            compare(name, weights, size, arguments)


if __name__ == "__main__":
    main()
