"""Time our training loop and a plain one, which decodes and makes targets image by image, side by side.

    PYTHONPATH=scripts python benchmarks/training.py [--network csrnet --width 0.25] [--size 96x64]
    PYTHONPATH=scripts python benchmarks/training.py --precision bfloat16 --compile --no-plain
    PYTHONPATH=scripts python benchmarks/training.py --full     # on a GPU: the paper's networks at 1024x768, batch 32

Both train the same network on the same images; they take turns, and the median of the turns is printed as a row of a table:
the case, images per second of ours and of the plain loop, the ratio, and on a GPU the peak of the tensors in our loop beside
what `promptmix.preflight.memory` predicts. The plain loop reads each JPEG, makes its density map (with our fast
`density_at_stride`), updates after each image, and is in float32.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.sample import Sample
from promptmix.errors import InputError
from promptmix.networks.build import build
from promptmix.preflight import memory
from promptmix.tasks.batching import MEAN, STD
from promptmix.tasks.density import density_at_stride
from promptmix.training.loop import train
from promptmix.training.settings import TrainingSettings


def make_images(folder: Path, number: int, width: int, height: int) -> list[Sample]:
    """Write `number` photograph-like JPEGs with 50 heads each for training, and one for validation."""
    rng, samples = np.random.default_rng(0), []
    for i in range(number + 1):
        coarse = Image.fromarray(rng.integers(0, 255, (height // 8, width // 8, 3)).astype(np.uint8))
        path = folder / f"{i}.jpg"
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=75)
        points = rng.uniform(0, [width, height], (50, 2))
        split = "train" if i < number else "val"
        samples.append(Sample(name=str(i), image=path, split=split, points=points, width=width, height=height))
    return samples


def ours(settings: TrainingSettings, index: Index, folder: Path, device: str) -> float:
    """Return images per second of the last epoch; the first reads everything once."""
    train(settings, index, None, folder, device)
    history = pd.read_csv(folder / "history.csv")
    return history["images"].iloc[-1] / history["seconds"].iloc[-1]


def plain(settings: TrainingSettings, samples: list[Sample], device: str) -> float:
    """Return images per second of one epoch."""
    torch.manual_seed(settings.seed)
    network = build(settings.network, **settings.network_settings).to(device).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=1e-4)
    mean, deviation = torch.tensor(MEAN).reshape(3, 1, 1), torch.tensor(STD).reshape(3, 1, 1)
    started, number = 0.0, 0
    for i, sample in enumerate(s for s in samples if s.split == "train"):
        if i == 4:  # the first updates allocate and compile
            started, number = time.perf_counter(), 0
        pixels = np.asarray(Image.open(sample.image).convert("RGB"))
        image = (torch.from_numpy(pixels.transpose(2, 0, 1) / np.float32(255)) - mean) / deviation
        target = torch.from_numpy(density_at_stride(sample.points, *pixels.shape[:2], network.stride))
        predicted = network.density(image[None].to(device))[0, 0]
        loss = (predicted - target.to(device)).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss.item()
        number += 1
    return number / (time.perf_counter() - started)


def compare(arguments: argparse.Namespace) -> None:
    """Print a line per turn and one for all."""
    settings = TrainingSettings(
        network=arguments.network,
        network_settings={"width": arguments.width},
        learning_rate=1e-4,
        epochs=3,
        batch_size=arguments.batch,
        seed=0,
        precision=arguments.precision,
        accumulate=arguments.accumulate,
        tf32=arguments.tf32,
        cudnn_benchmark=arguments.cudnn_benchmark,
        compile=arguments.compile,
        validate_every=3,
    )
    ours_at, plain_at, peak = [], [], 0
    width, height = map(int, arguments.size.split("x"))
    gpu = arguments.device == "cuda"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        samples = make_images(folder, arguments.images, width, height)
        prepare(samples, folder)
        index = Index.open(folder / "index.csv")
        for turn in range(arguments.turns):
            torch.compiler.reset()
            if gpu:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            try:
                ours_at.append(ours(settings, index, folder / str(turn), arguments.device))
            except InputError as error:
                print(f"| {describe(arguments)} | {str(error).splitlines()[0]} | | | | |", flush=True)
                return
            peak = torch.cuda.max_memory_allocated() if gpu else 0
            if arguments.plain:
                plain_at.append(plain(settings, samples, arguments.device))
    cells = [describe(arguments), f"{np.median(ours_at):.1f} images/s"]
    cells += [f"{np.median(plain_at):.1f} images/s" if plain_at else ""]
    cells += [f"{np.median(np.divide(ours_at, plain_at)):.1f}" if plain_at else ""]
    if gpu:
        at_once = -(-arguments.batch // arguments.accumulate)
        predicted = memory.training(
            arguments.network, width, height, at_once, arguments.precision, settings.network_settings, False
        )
        cells += [f"{peak / 1e9:.1f} GB", f"{predicted / 1e9:.1f} GB"]
    print(f"| {' | '.join(cells)} |", flush=True)


def describe(arguments: argparse.Namespace) -> str:
    """Return a case in words."""
    words = [f"training, {arguments.network}", arguments.size, f"batch {arguments.batch}", arguments.precision]
    words += [f"width {arguments.width:g}"] if arguments.width != 1 else []
    words += [f"in {arguments.accumulate} parts"] if arguments.accumulate > 1 else []
    words += ["without TF32"] if not arguments.tf32 else []
    words += ["cudnn_benchmark"] if arguments.cudnn_benchmark else []
    words += ["compiled"] if arguments.compile else []
    return ", ".join(words)


FULL = [
    *({"network": "rescsrnet", "precision": precision} for precision in ("float32", "bfloat16", "float16")),
    *({"network": "csrnet", "precision": precision} for precision in ("float32", "bfloat16", "float16")),
    {"network": "csrnet", "precision": "float32", "accumulate": 4},
    {"network": "rescsrnet", "precision": "float32", "tf32": False},
    {"network": "rescsrnet", "precision": "float32", "cudnn_benchmark": True},
    {"network": "rescsrnet", "precision": "float32", "compile": True},
    {"network": "rescsrnet", "precision": "bfloat16", "cudnn_benchmark": True},
    {"network": "rescsrnet", "precision": "bfloat16", "compile": True},
    {"network": "csrnet", "precision": "bfloat16", "compile": True},
]
"""What `--full` measures, each at 1024x768 with batches of 32. The plain loop, which none of the settings changes, takes its
turns in the first case of each network."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="rescsrnet")
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--size", default="96x64", help="width x height of the images, multiples of 16")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--accumulate", type=int, default=1, help="parts of a batch")
    parser.add_argument("--tf32", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--cudnn-benchmark", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--plain", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--full", action="store_true", help="ResCSRNet and CSRNet as published, on a GPU, with each setting"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(arguments.threads)
    if not arguments.full:
        compare(arguments)
        return
    seen = set()
    for case in FULL:
        whole = {"device": "cuda", "width": 1, "size": "1024x768", "batch": 32, "plain": case["network"] not in seen}
        seen.add(case["network"])
        compare(argparse.Namespace(**vars(arguments) | whole | case))


if __name__ == "__main__":
    main()
