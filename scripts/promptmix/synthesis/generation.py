"""Generate images from prompts with a latent diffusion model (paper, section III, third stage).

An image is a function of its prompt, its seed and the generator's settings. All randomness is the noise it starts
from, drawn on the CPU by a generator of its own, and the sampler adds none. So neither the batch nor the block nor the
device nor the precision changes what an image shows; its pixels can differ by rounding.

Large images need little more memory than small ones (`promptmix.preflight.memory` says how much): diffusers computes attention
by torch's `scaled_dot_product_attention`, whose kernels hold no matrix of all positions by all positions, and what the
autoencoder decodes at once is bounded (`decode_in_parts`).

A text encoder reads a prompt up to a length. What goes beyond it is cut off: the image is made from what remains, and
the log says what that was.
"""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from promptmix.datasets.pictures import encode_jpeg
from promptmix.errors import InputError
from promptmix.files import replacing, sha256
from promptmix.out_of_memory import SMALLER, compute_in_parts
from promptmix.running.progress import progress
from promptmix.synthesis.manifest import write_manifest

log = logging.getLogger(__name__)

BATCH_PIXELS = {"cpu": 8 * 96 * 64, "cuda": 4 * 1024 * 768}
"""Image pixels to generate at once; larger batches than these no longer pay."""

LESS_MEMORY = f"Set the generator's `precision` to float16, or {SMALLER[0].lower()}{SMALLER[1:]}"

MULTIPLE = 8
"""Sides that the pipeline accepts."""

ALONE_FROM = 512
"""Images of so many pixels squared, or more, are decoded one after the other."""

TILE = 1024
"""Images of more pixels than this squared are decoded in tiles of this side. Tiles change pixels a little: each is
normalised by itself, and where two overlap they are blended."""


@dataclass(frozen=True)
class GeneratorSettings:
    """How images are made from a prompt and a seed.

    Args:
        steps: of the sampler.
        guidance: scale of the classifier-free guidance; 1 is none.
        negative_prompt: what to be guided away from.
        precision: of the networks, "float32" or "float16", on a GPU as on a CPU.
    """

    steps: int
    guidance: float
    negative_prompt: str = ""
    precision: str = "float32"


def load_pipeline(model: str, settings: GeneratorSettings, device: str) -> StableDiffusionPipeline:
    """Return a Stable Diffusion pipeline on a device, from a folder in diffusers' format or by its name on the Hub."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    # They warn of prompts that are too long, batch by batch; `check_prompts` says which they are and what is cut off.
    for name in (StableDiffusionPipeline.__module__, "transformers.tokenization_utils_base"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        pipeline = StableDiffusionPipeline.from_pretrained(
            model, dtype=getattr(torch, settings.precision), safety_checker=None, local_files_only=True
        )
    except (OSError, ValueError) as error:
        where = "the folder holds no such pipeline" if Path(model).is_dir() else "there is no such folder"
        raise InputError(
            f"{model}: no Stable Diffusion pipeline could be loaded: {where}. Expected a folder in diffusers' format "
            f"(model_index.json, unet/, vae/, text_encoder/, tokenizer/, scheduler/), as in "
            f"resources/models/stable-diffusion, or the name of one in the Hub's cache. ({error})"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device, silence_dtype_warnings=True)  # half precision runs on CPUs, and differs by rounding there too
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

    The pipeline works at the next multiples of 8; what is too much is cut off evenly around the image. Where memory does
    not suffice, fewer images are generated at once.

    Args:
        images: columns `prompt`, `seed`, `width`, `height`.
        batch_pixels: pixels to generate at once, by default what suits the device.

    Raises:
        InputError: an empty prompt, an image that came out as no numbers, or too little memory for a single image.
    """
    empty = images.loc[images["prompt"].str.strip() == "", "seed"]
    if len(empty):
        raise InputError(f"the prompt of image {empty.iloc[0]} is empty; write what the image shall show")
    check_prompts(pipeline.tokenizer, [*images["prompt"], settings.negative_prompt])
    batch_pixels = batch_pixels or BATCH_PIXELS[pipeline.device.type]
    batches = []
    for (width, height), group in images.groupby(["width", "height"], sort=False):
        at_once = max(1, batch_pixels // math.prod(inner_size(width, height)))
        positions = group.index.tolist()
        batches += [positions[begin : begin + at_once] for begin in range(0, len(group), at_once)]
    for batch, pixels in compute_in_parts(
        batches, lambda batch: _pixels(pipeline, images.loc[batch], settings), LESS_MEMORY
    ):
        yield from zip(batch, pixels, strict=True)


def _pixels(pipeline: StableDiffusionPipeline, images: pd.DataFrame, settings: GeneratorSettings) -> np.ndarray:
    """Return the pixels of images of one size, (N, height, width, 3) uint8."""
    width, height = int(images["width"].iloc[0]), int(images["height"].iloc[0])
    inner = inner_size(width, height)
    left, top = (inner[0] - width) // 2, (inner[1] - height) // 2
    decode_in_parts(pipeline.vae, *inner)
    generators = [torch.Generator("cpu").manual_seed(int(seed)) for seed in images["seed"]]
    found = pipeline(
        prompt=images["prompt"].tolist(),
        negative_prompt=[settings.negative_prompt] * len(images),
        width=inner[0],
        height=inner[1],
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance,
        latents=noise(pipeline, generators, *inner),
        generator=generators,
        output_type="np",
    ).images
    if not np.isfinite(found).all():
        raise InputError(
            f"images {', '.join(map(str, images['seed']))}: pixels that are no numbers came out of the generator "
            f"in {settings.precision}. Set its `precision` to float32, or take another model"
        )
    return (found * 255).round().astype(np.uint8)[:, top : top + height, left : left + width]


def inner_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height at which the pipeline makes an image of `width` x `height`."""
    return math.ceil(width / MULTIPLE) * MULTIPLE, math.ceil(height / MULTIPLE) * MULTIPLE


def decode_in_parts(vae: AutoencoderKL, width: int, height: int) -> None:
    """Bound what the autoencoder decodes at once: one image if images are large, and a tile if they are larger still.

    This goes by the size of an image and not of a batch, so that an image is the same in every batch.
    """
    vae.use_slicing = width * height >= ALONE_FROM**2
    vae.use_tiling = width * height > TILE**2
    vae.tile_sample_min_size = TILE
    vae.tile_latent_min_size = TILE // 2 ** (len(vae.config.block_out_channels) - 1)


def noise(
    pipeline: StableDiffusionPipeline, generators: Sequence[torch.Generator], width: int, height: int
) -> torch.Tensor:
    """Return the latents that images start from, (N, channels, height / 8, width / 8) for a published autoencoder.

    They are drawn in float32 and then rounded: in half precision, torch draws other numbers for some sizes.
    """
    factor = pipeline.vae_scale_factor
    shape = (1, pipeline.unet.config.in_channels, height // factor, width // factor)
    return torch.cat([torch.randn(shape, generator=generator) for generator in generators]).to(pipeline.unet.dtype)


def check_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Iterable[str]) -> None:
    """Log a warning for each different prompt that is too long for the text encoder, with the words that are cut off."""
    limit = tokenizer.model_max_length
    for prompt in dict.fromkeys(prompts):
        encoded = tokenizer(prompt, verbose=False)
        if len(encoded.input_ids) <= limit:
            continue
        # The last token that fits is the end's; a word of which only the beginning fits counts as cut off.
        start = encoded.word_to_chars(encoded.word_ids()[limit - 1]).start
        log.warning(
            "a prompt has %d tokens, start and end included, and the text encoder reads %d: '%s'. "
            "The image is made without '%s'; shorten the prompt",
            *(len(encoded.input_ids), limit, prompt, prompt[start:].strip()),
        )


def write_block(
    pipeline: StableDiffusionPipeline,
    images: pd.DataFrame,
    settings: GeneratorSettings,
    files: list[str],
    manifest: str,
) -> None:
    """Generate a block of images, write each as JPEG of its quality, and then the manifest."""
    digests = {}
    for position, pixels in progress(generate(pipeline, images, settings), len(images), "images generated"):
        row = images.loc[position]
        with replacing(files[position]) as temporary:
            temporary.write_bytes(encode_jpeg(pixels, int(row["quality"])))
        digests[position] = sha256(files[position])
    rows = images.assign(image=[Path(file).name for file in files], sha256=pd.Series(digests))
    write_manifest(manifest, rows)
