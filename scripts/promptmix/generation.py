"""Generate images from prompts with a latent diffusion model (paper, section III, third stage).

An image is a function of its prompt, its seed and the generator's settings. All randomness is the noise it starts
from, drawn on the CPU by a generator of its own, and the sampler adds none. So neither the batch nor the block nor the
device changes what an image shows; its pixels can differ by rounding.
"""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from promptmix.errors import InputError
from promptmix.files import replacing, sha256
from promptmix.images import encode_jpeg
from promptmix.manifest import write_manifest

log = logging.getLogger(__name__)

BATCH_PIXELS = {"cpu": 8 * 96 * 64, "cuda": 4 * 1024 * 768}
"""Image pixels to generate at once; larger batches than these no longer pay."""

MULTIPLE = 8
"""Sides that the pipeline accepts."""


@dataclass(frozen=True)
class GeneratorSettings:
    """How images are made from a prompt and a seed.

    Args:
        steps: of the sampler.
        guidance: scale of the classifier-free guidance; 1 is none.
        negative_prompt: what to be guided away from.
        precision: "float32" or "float16"; float16 needs a GPU.
    """

    steps: int
    guidance: float
    negative_prompt: str = ""
    precision: str = "float32"


def load_pipeline(model: str, settings: GeneratorSettings, device: str) -> StableDiffusionPipeline:
    """Return a Stable Diffusion pipeline on a device, from a folder in diffusers' format or by its name on the Hub."""
    half = settings.precision == "float16" and device == "cuda"
    if settings.precision == "float16" and not half:
        log.info("float16 is for GPUs; generating in float32 on the CPU")
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        pipeline = StableDiffusionPipeline.from_pretrained(
            model, dtype=torch.float16 if half else torch.float32, safety_checker=None, local_files_only=True
        )
    except (OSError, ValueError) as error:
        where = "the folder holds no such pipeline" if Path(model).is_dir() else "there is no such folder"
        raise InputError(
            f"{model}: no Stable Diffusion pipeline could be loaded: {where}. Expected a folder in diffusers' format "
            f"(model_index.json, unet/, vae/, text_encoder/, tokenizer/, scheduler/), as in "
            f"resources/models/stable-diffusion, or the name of one in the Hub's cache. ({error})"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device)
    pipeline.unet.to(memory_format=torch.channels_last)
    return pipeline


def plan(prompts: pd.DataFrame, first: int, count: int) -> pd.DataFrame:
    """Return the images `first` to `first + count - 1` of a pool: image g has prompt g mod M and seed g."""
    numbers = np.arange(first, first + count)
    return prompts.iloc[numbers % len(prompts)].reset_index(drop=True).assign(seed=numbers)


def generate(
    pipeline: StableDiffusionPipeline,
    images: pd.DataFrame,
    settings: GeneratorSettings,
    batch_pixels: int | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the position and the pixels, (height, width, 3) uint8, of each planned image, grouped by size.

    The pipeline works at the next multiples of 8; what is too much is cut off evenly around the image.

    Args:
        images: columns `prompt`, `seed`, `width`, `height`.
        batch_pixels: pixels to generate at once, by default what suits the device.
    """
    batch_pixels = batch_pixels or BATCH_PIXELS[pipeline.device.type]
    done, start = 0, time.monotonic()
    for (width, height), group in images.groupby(["width", "height"], sort=False):
        inner = [math.ceil(side / MULTIPLE) * MULTIPLE for side in (width, height)]
        left, top = (inner[0] - width) // 2, (inner[1] - height) // 2
        at_once = max(1, batch_pixels // (inner[0] * inner[1]))
        for begin in range(0, len(group), at_once):
            batch = group.iloc[begin : begin + at_once]
            found = pipeline(
                prompt=batch["prompt"].tolist(),
                negative_prompt=[settings.negative_prompt] * len(batch),
                width=inner[0],
                height=inner[1],
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=[torch.Generator("cpu").manual_seed(int(seed)) for seed in batch["seed"]],
                output_type="np",
            ).images
            pixels = (found * 255).round().astype(np.uint8)[:, top : top + height, left : left + width]
            yield from zip(batch.index, pixels, strict=True)
            done += len(batch)
            left_over = (time.monotonic() - start) / done * (len(images) - done)
            log.info("%d of %d images, %.0f s left", done, len(images), left_over)


def write_block(
    pipeline: StableDiffusionPipeline,
    images: pd.DataFrame,
    settings: GeneratorSettings,
    files: list[str],
    manifest: str,
) -> None:
    """Generate a block of images, write each as JPEG of its quality, and then the manifest."""
    digests = {}
    for position, pixels in generate(pipeline, images, settings):
        row = images.loc[position]
        with replacing(files[position]) as temporary:
            temporary.write_bytes(encode_jpeg(pixels, int(row["quality"])))
        digests[position] = sha256(files[position])
    rows = images.assign(image=[Path(file).name for file in files], sha256=pd.Series(digests))
    write_manifest(manifest, rows)
