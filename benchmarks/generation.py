"""Time our generation and a plain one, which calls diffusers' pipeline once per image, side by side.

    PYTHONPATH=scripts python benchmarks/generation.py                  # on a CPU: the miniature's model
    PYTHONPATH=scripts python benchmarks/generation.py --device cuda    # Stable Diffusion v1's architecture

Both ways use the same network, sampler, steps and precision, and take turns; the medians of the turns are printed, as rows of a
table. On a GPU the weights are random: speed and memory are those of trained ones, though the images are noise. It is run in half
precision at 512x512, 1024x768 and 2560x1440. The printed peak is that of the tensors on the GPU, to compare with
`promptmix.preflight.memory`.
"""

import argparse
import gc
import logging
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTokenizer
from transformers.utils import logging as transformers_logging

from promptmix.preflight import memory
from promptmix.synthesis.generation import BATCH_PIXELS, GeneratorSettings, generate, load_pipeline, plan

MINIATURE = "resources/models/stable-diffusion"


@contextmanager
def model_folder(name: str):
    """Yield a folder in diffusers' format: `name`, or a new one of Stable Diffusion v1 if that is "random"."""
    if name != "random":
        yield name
        return
    torch.manual_seed(0)
    parts = memory.load_diffusion(dtype=torch.float16).parts
    unet, vae, text_encoder = parts["unet"], parts["vae"], parts["text_encoder"]
    tokenizer = CLIPTokenizer.from_pretrained(f"{MINIATURE}/tokenizer", model_max_length=77)
    text_encoder.resize_token_embeddings(len(tokenizer))
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    scheduler = DPMSolverMultistepScheduler(**betas, steps_offset=1)
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline.save_pretrained(folder)
        del pipeline, parts, unet, vae, text_encoder
        yield folder


def ours(folder: str, images: pd.DataFrame, settings: GeneratorSettings, device: str) -> tuple[float, int]:
    """Return images per second and the peak of the GPU's memory."""
    pipeline = load_pipeline(folder, settings, device)
    return measured(lambda some: list(generate(pipeline, some, settings)), images, device)


def plain(folder: str, images: pd.DataFrame, settings: GeneratorSettings, device: str) -> tuple[float, int]:
    """Return images per second and the peak of the GPU's memory."""
    dtype = getattr(torch, settings.precision)
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=dtype, safety_checker=None).to(device)
    pipeline.set_progress_bar_config(disable=True)

    def one_by_one(some: pd.DataFrame) -> None:
        for row in some.itertuples():
            pipeline(
                row.prompt,
                width=row.width,
                height=row.height,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=torch.Generator(device).manual_seed(row.seed),
            )

    return measured(one_by_one, images, device)


def measured(make, images: pd.DataFrame, device: str) -> tuple[float, int]:
    """Return images per second and the peak of the GPU's memory in bytes (0 on a CPU)."""
    make(images)  # the first call allocates and chooses algorithms
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    make(images)
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return len(images) / seconds, torch.cuda.max_memory_allocated() if device == "cuda" else 0


def compare(folder: str, model: Path | None, size: tuple[int, int], arguments: argparse.Namespace) -> None:
    """Print one line for a size."""
    width, height = size
    batch = max(1, BATCH_PIXELS[arguments.device] // (width * height))
    prompts = pd.DataFrame([["a large crowd at a concert", *size]], columns=["prompt", "width", "height"])
    images = plan(prompts, 0, arguments.images or min(2 * batch, 24))
    settings = GeneratorSettings(arguments.steps, 7.5, precision=arguments.precision)
    turns = []
    for _ in range(arguments.turns):
        for way in (ours, plain):
            turns.append(way(folder, images, settings, arguments.device))
            gc.collect()
            torch.cuda.empty_cache()
    (one, one_peak), (other, other_peak) = (np.median(turns[first::2], axis=0) for first in (0, 1))
    case = (
        f"generation, {width}x{height}, {arguments.precision}, {arguments.steps} steps, batch {min(batch, len(images))}"
    )
    ratio = np.median([a[0] / b[0] for a, b in zip(turns[::2], turns[1::2], strict=True)])
    cells = [case, f"{one:.2f} images/s", f"{other:.2f} images/s", f"{ratio:.1f}"]
    if arguments.device == "cuda":
        predicted = memory.generation(*size, arguments.precision, min(batch, len(images)), model, overhead=False)
        cells += [f"{one_peak / 1e9:.1f} GB (plain {other_peak / 1e9:.1f})", f"{predicted / 1e9:.1f} GB"]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--model", help="a folder, or 'random' for Stable Diffusion v1 with random weights")
    parser.add_argument("--precision", help="float16 on a GPU, float32 on a CPU, by default")
    parser.add_argument("--sizes", nargs="+", help="width x height of the images")
    parser.add_argument("--images", type=int, help="per turn; two batches by default")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    gpu = arguments.device == "cuda"
    arguments.model = arguments.model or ("random" if gpu else MINIATURE)
    arguments.precision = arguments.precision or ("float16" if gpu else "float32")
    sizes = arguments.sizes or (["512x512", "1024x768", "2560x1440"] if gpu else ["96x64"])
    where = torch.cuda.get_device_name() if gpu else f"CPU, {arguments.threads} thread(s)"
    print(f"{arguments.model} on {where}, {arguments.steps} steps")
    with model_folder(arguments.model) as folder:
        for size in sizes:
            configs = None if arguments.model == "random" else Path(folder)
            compare(folder, configs, tuple(map(int, size.split("x"))), arguments)


if __name__ == "__main__":
    main()
