"""Generate images from prompts with a latent diffusion model (paper, section III, third stage).

An image is a function of its prompt, its seed and the generator's settings. Its only randomness is the noise it starts
from, drawn on the CPU by a separate random generator for each image; the sampler adds none. So neither the batch nor
the block nor the device nor the precision changes what an image shows; its pixels can differ by rounding.

Large images need little more memory than small ones (`promptmix.preflight.memory` says how much): diffusers computes
attention by torch's `scaled_dot_product_attention`, whose kernels do not store the matrix of all pairs of positions,
and the autoencoder decodes a bounded number of pixels at once (`decode_in_parts`).

A text encoder reads a limited number of tokens. A longer prompt is cut off there: the image is made from the rest, and
the log says which words were cut off.
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
"""The most image pixels to generate at once; larger batches are hardly faster."""

LESS_MEMORY = f"Set the generator's `precision` to float16, or {SMALLER[0].lower()}{SMALLER[1:]}"

MULTIPLE = 8
"""The pipeline accepts sides that are multiples of this, in pixels."""

ALONE_FROM = 512
"""Images with at least the square of this number of pixels are decoded one after the other."""

TILE = 1024
"""Images with more than the square of this number of pixels are decoded in tiles of this side. Tiles change pixels a
little: each tile is normalised separately, and tiles are blended where they overlap."""


@dataclass(frozen=True)
class GeneratorSettings:
    """How images are made from a prompt and a seed.

    Args:
        steps: number of the sampler's steps.
        guidance: scale of the classifier-free guidance; 1 for no guidance.
        negative_prompt: text from which images are guided away.
        precision: of the networks, "float32" or "float16", both on GPUs and on CPUs.
    """

    steps: int
    guidance: float
    negative_prompt: str = ""
    precision: str = "float32"


def load_pipeline(model: str, settings: GeneratorSettings, device: str) -> StableDiffusionPipeline:
    """Return a Stable Diffusion pipeline on a device.

    Args:
        model: folder in diffusers' format, or name of a model in the Hub's cache.

    Raises:
        InputError: there is no such folder or model, or it is not a Stable Diffusion pipeline.
    """
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    # These two warn of prompts that are too long in every batch; `check_prompts` does it once, with what is cut off.
    for name in (StableDiffusionPipeline.__module__, "transformers.tokenization_utils_base"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        pipeline = StableDiffusionPipeline.from_pretrained(
            model, dtype=getattr(torch, settings.precision), safety_checker=None, local_files_only=True
        )
    except (OSError, ValueError) as error:
        where = "the folder does not hold one" if Path(model).is_dir() else "there is no such folder"
        raise InputError(
            f"{model}: no Stable Diffusion pipeline could be loaded: {where}. Expected a folder in diffusers' format "
            f"(model_index.json, unet/, vae/, text_encoder/, tokenizer/, scheduler/), such as "
            f"resources/models/stable-diffusion, or the name of a model in the Hub's cache. ({error})"
        ) from error
    pipeline.set_progress_bar_config(disable=True)
    pipeline.to(device, silence_dtype_warnings=True)  # half precision works on CPUs, too, whatever the warning says
    pipeline.unet.to(memory_format=torch.channels_last)
    return pipeline


def plan(prompts: pd.DataFrame, first: int, count: int) -> pd.DataFrame:
    """Return the images `first` to `first + count - 1` of a pool: image g has seed g and is of prompt g mod M.

    This rule stands here only; everything that follows reads `prompt_number`.

    Args:
        prompts: the M prompts of the pool, see `promptmix.records.prompts.PROMPTS`.

    Returns:
        a row per image: the columns of its prompt, `seed`, and `prompt_number`, from 0.
    """
    seeds = np.arange(first, first + count)
    numbers = seeds % len(prompts)
    return prompts.iloc[numbers].reset_index(drop=True).assign(seed=seeds, prompt_number=numbers)


def generate(
    pipeline: StableDiffusionPipeline,
    images: pd.DataFrame,
    settings: GeneratorSettings,
    batch_pixels: int | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the index label and the pixels, (height, width, 3) uint8, of each planned image, grouped by size.

    Images are generated with sides that are the next multiples of 8, and cropped evenly on all sides. If memory does
    not suffice, fewer images are generated at once.

    Args:
        images: columns `prompt`, `seed`, `width`, `height`.
        batch_pixels: most pixels to generate at once; None for what suits the device.

    Raises:
        InputError: an empty prompt, an image with pixels that are not finite, or too little memory for a single image.
    """
    empty = images.loc[images["prompt"].str.strip() == "", "seed"]
    if len(empty):
        raise InputError(f"the prompt of image {empty.iloc[0]} is empty; write what the image should show")
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
            f"images {', '.join(map(str, images['seed']))}: in {settings.precision}, the generator computed pixels "
            f"that are not numbers. Set its `precision` to float32, or use another model"
        )
    return (found * 255).round().astype(np.uint8)[:, top : top + height, left : left + width]


def inner_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height at which the pipeline generates an image of `width` x `height`, before the crop."""
    return math.ceil(width / MULTIPLE) * MULTIPLE, math.ceil(height / MULTIPLE) * MULTIPLE


def decode_in_parts(vae: AutoencoderKL, width: int, height: int) -> None:
    """Make the autoencoder decode large images one at a time, and still larger ones in tiles, to bound its memory.

    This depends on the size of an image and not on that of a batch, so an image is the same in every batch.
    """
    vae.use_slicing = width * height >= ALONE_FROM**2
    vae.use_tiling = width * height > TILE**2
    vae.tile_sample_min_size = TILE
    vae.tile_latent_min_size = TILE // 2 ** (len(vae.config.block_out_channels) - 1)


def noise(
    pipeline: StableDiffusionPipeline, generators: Sequence[torch.Generator], width: int, height: int
) -> torch.Tensor:
    """Return the latents that images start from, (N, channels, height / 8, width / 8) for a published autoencoder.

    They are drawn in float32 and then rounded: if drawn in half precision, torch's numbers differ for some sizes.
    """
    factor = pipeline.vae_scale_factor
    shape = (1, pipeline.unet.config.in_channels, height // factor, width // factor)
    return torch.cat([torch.randn(shape, generator=generator) for generator in generators]).to(pipeline.unet.dtype)


def check_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Iterable[str]) -> None:
    """Log a warning, once per prompt, if it is too long for the text encoder, with the words that are cut off."""
    limit = tokenizer.model_max_length
    for prompt in dict.fromkeys(prompts):
        encoded = tokenizer(prompt, verbose=False)
        if len(encoded.input_ids) <= limit:
            continue
        # The last token that is read marks the end; a word of which only the beginning is read counts as cut off.
        start = encoded.word_to_chars(encoded.word_ids()[limit - 1]).start
        log.warning(
            "a prompt has %d tokens, including start and end, and the text encoder reads %d: '%s'. "
            "The image is made without '%s'; shorten the prompt",
            *(len(encoded.input_ids), limit, prompt, prompt[start:].strip()),
        )


def write_block(
    pipeline: StableDiffusionPipeline,
    images: pd.DataFrame,
    settings: GeneratorSettings,
    files: list[str],
    manifest: str,
    pool: str,
) -> None:
    """Generate a block of images, write each as JPEG of its quality, and then the manifest.

    Args:
        images: what `plan` returns.
        files: where the images go, in the order of the plan.
        manifest: beside them.
        pool: the name of the pool that the prompts are from.
    """
    digests = {}
    for position, pixels in progress(generate(pipeline, images, settings), len(images), "images generated"):
        row = images.loc[position]
        with replacing(files[position]) as temporary:
            temporary.write_bytes(encode_jpeg(pixels, int(row["quality"])))
        digests[position] = sha256(files[position])
    write_manifest(manifest, images.assign(file=files, pool=pool, faces=0, sha256=pd.Series(digests)))
