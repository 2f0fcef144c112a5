"""Generate images from prompts with a latent diffusion model (paper, section III, third stage).

An image is a function of its prompt, its seed and the generator's settings. Its only randomness is the noise it starts
from and what some samplers add, drawn on the CPU by a separate random generator for each image. So neither the batch
nor the block nor the device nor the precision changes what an image shows; its pixels can differ by rounding.

Large images need little more memory than small ones (`promptmix.preflight.memory` says how much): diffusers computes
attention by torch's `scaled_dot_product_attention`, whose kernels do not store the matrix of all pairs of positions,
and the autoencoder decodes a bounded number of pixels at once (`decode_in_parts`).

A text encoder reads a limited number of tokens. A longer prompt is cut off there: the image is made from the rest, and
the log says which words were cut off.
"""

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers import AutoencoderDC, DiffusionPipeline, ModelMixin
from PIL import Image
from torch import Tensor, nn

from promptmix.datasets.pictures import encode_jpeg, read_image
from promptmix.errors import InputError
from promptmix.files import replacing, sha256
from promptmix.out_of_memory import SMALLER, compute_in_parts
from promptmix.running.progress import progress
from promptmix.synthesis.families import Reader, family_of, length_of, readers_of
from promptmix.synthesis.manifest import write_manifest
from promptmix.synthesis.pipelines import GeneratorSettings, denoiser_of, open_pipeline, size_multiple

log = logging.getLogger(__name__)

BATCH_PIXELS = {"cpu": 8 * 96 * 64, "cuda": 4 * 1024 * 768}
"""The most image pixels to generate at once; larger batches are hardly faster."""

LESS_MEMORY = f"Set the generator's `precision` to float16, or {SMALLER[0].lower()}{SMALLER[1:]}"

ALONE_FROM = 512
"""Images with at least the square of this number of pixels are decoded one after the other."""

TILE = 1024
"""Images with more than the square of this number of pixels are decoded in tiles of this side. Tiles change pixels a
little: each tile is normalised separately, and tiles are blended where they overlap."""

WRITTEN = "written"
"""The file in a folder of unfinished images that says of what they are, and has a line for each with its SHA-256."""

BLANK = 2
"""The largest difference of a channel's values, from 0 to 255, within an image that shows nothing."""


def load_pipeline(model: str, settings: GeneratorSettings, device: str) -> DiffusionPipeline:
    """Return a pipeline on a device.

    Args:
        model: folder in diffusers' format, or name of a model in the Hub's cache.

    Raises:
        InputError: there is no such folder or model, it cannot be used, or has no use for a setting.
    """
    pipeline = open_pipeline(model, settings)
    for part in (pipeline, pipeline.refiner):
        if part is not None:
            _place(part, settings, device)
    return pipeline


def _place(pipeline: DiffusionPipeline, settings: GeneratorSettings, device: str) -> None:
    """Bring a pipeline to a device, or let a GPU fetch its parts when it needs them."""
    # These two warn of prompts that are too long in every batch; `check_prompts` does it once, with what is cut off.
    for name in (type(pipeline).__module__, "transformers.tokenization_utils_base"):
        logging.getLogger(name).setLevel(logging.ERROR)
    pipeline.set_progress_bar_config(disable=True)
    if family_of(pipeline).denoiser == "unet":
        pipeline.unet.to(memory_format=torch.channels_last)
        if device != "cpu":  # where it is hardly faster, and would change the last bits of images that there are
            pipeline.vae.to(memory_format=torch.channels_last)
    if settings.offload and device != "cpu":
        offload = {"model": pipeline.enable_model_cpu_offload, "sequential": pipeline.enable_sequential_cpu_offload}
        offload[settings.offload](device=device)
    else:
        pipeline.to(device, silence_dtype_warnings=True)  # what `_round_to_half` does not take works on CPUs, too
    if settings.precision == "float16" and device == "cpu":
        log.info("float16 on a CPU: computed in float32, and what each layer gives is rounded to float16")
        _round_to_half(pipeline)


def _round_to_half(pipeline: DiffusionPipeline) -> None:
    """Let a pipeline whose weights are float16 compute in float32, and round to float16 what each layer gives.

    Like this GPUs multiply float16: products are added up in float32. Few CPUs do so quickly: in float16 a
    convolution was seen to take fifty times as long.
    """
    family = family_of(pipeline)
    for name in family.networks:
        if (network := getattr(pipeline, name)) is None:
            continue
        nn.Module.to(network, torch.float32)  # and not diffusers', which warns of nothing here
        if name == "vae" and family.decodes_in_float32(network.config):
            continue
        for layer in network.modules():
            if not any(layer.children()):
                layer.register_forward_hook(_rounded)


def _rounded(layer: nn.Module, inputs: object, result: object) -> object:
    return result.half().float() if isinstance(result, Tensor) and result.dtype == torch.float32 else result


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
    pipeline: DiffusionPipeline,
    images: pd.DataFrame,
    settings: GeneratorSettings,
    batch_pixels: int | None = None,
    done: Collection[int] = (),
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the index label and the pixels, (height, width, 3) uint8, of each planned image, grouped by size.

    Images are generated at their size, or with the number of pixels of `settings.native` and their shape: in each case with
    sides that the pipeline can make, multiples of 8 pixels for Stable Diffusion (see `inner_size`). They are then brought to
    their size as `fit` says. If memory does not suffice, fewer images are generated at once.

    Args:
        images: columns `prompt`, `seed`, `width`, `height`.
        batch_pixels: most pixels to generate at once; None for what suits the device.
        done: index labels of images that are there already. Batches of such images are left out, and the others stay what they
            are, as an image depends by rounding on those beside it.

    Raises:
        InputError: an empty prompt, an image with pixels that are not finite or of another size than was asked for, or
            too little memory for a single image.
    """
    empty = images.loc[images["prompt"].str.strip() == "", "seed"]
    if len(empty):
        raise InputError(f"the prompt of image {empty.iloc[0]} is empty; write what the image should show")
    for part in (pipeline, pipeline.refiner):
        if part is not None:
            check_prompts(readers_of(part), images["prompt"])
            check_prompts(readers_of(part, instructed=False), [settings.negative_prompt])
    batch_pixels = batch_pixels or BATCH_PIXELS[pipeline._execution_device.type]
    batches, multiple = [], size_multiple(pipeline)
    for (width, height), group in images.groupby(["width", "height"], sort=False):
        at_once = max(1, batch_pixels // math.prod(inner_size(width, height, multiple, settings.native)))
        positions = group.index.tolist()
        batches += [positions[begin : begin + at_once] for begin in range(0, len(group), at_once)]
    batches = [batch for batch in batches if not set(batch) <= set(done)]
    parts = compute_in_parts(batches, lambda batch: _pixels(pipeline, images.loc[batch], settings), LESS_MEMORY)
    # Images of a batch are done at the same time.
    for batch, pixels in progress(parts, sum(map(len, batches)), "images generated", lambda part: len(part[0])):
        yield from zip(batch, pixels, strict=True)


def _pixels(pipeline: DiffusionPipeline, images: pd.DataFrame, settings: GeneratorSettings) -> np.ndarray:
    """Return the pixels of images of one size, (N, height, width, 3) uint8."""
    width, height = int(images["width"].iloc[0]), int(images["height"].iloc[0])
    inner = inner_size(width, height, size_multiple(pipeline), settings.native)
    found = _run(pipeline, images, inner, settings)
    seeds = ", ".join(map(str, images["seed"]))
    if not np.isfinite(found).all():
        raise InputError(
            f"images {seeds}: in {settings.precision}, the generator {pipeline.name_or_path} computed pixels "
            f"that are not numbers. Set its `precision` to float32, or use another model"
        )
    if found.shape != (len(images), *inner[::-1], 3):
        raise InputError(
            f"images {seeds}: the generator {pipeline.name_or_path} made {found.shape[2]}x{found.shape[1]} pixels and was "
            f"asked for {inner[0]}x{inner[1]}. Use another size or model"
        )
    return np.stack([fit(image, width, height, settings.native) for image in (found * 255).round().astype(np.uint8)])


def _run(
    pipeline: DiffusionPipeline, images: pd.DataFrame, size: tuple[int, int], settings: GeneratorSettings
) -> np.ndarray:
    """Return what a pipeline makes of images of (width, height), (N, height, width, 3) in 0 to 1."""
    generators = [torch.Generator("cpu").manual_seed(int(seed)) for seed in images["seed"]]
    last = pipeline if pipeline.refiner is None else pipeline.refiner
    decode_in_parts(last.vae, *size)
    usual = {
        "prompt": images["prompt"].tolist(),
        **({"negative_prompt": [settings.negative_prompt] * len(images)} if settings.negative_prompt else {}),
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance,
        "generator": generators,
    }
    family, (width, height) = family_of(pipeline), size
    lengths = {"max_sequence_length": limit} if (limit := sequence_length(pipeline)) else {}
    start = {"width": width, "height": height, "latents": noise(pipeline, generators, width, height)}
    more = {**family.call, **lengths, **start}
    if last is pipeline:
        return pipeline(**usual, **more, output_type="np").images
    part = float(settings.refiner["from"])
    latents = pipeline(**usual, **more, denoising_end=part, output_type="latent").images
    return last(**usual, image=latents, denoising_start=part, output_type="np").images


def sequence_length(pipeline: DiffusionPipeline) -> int | None:
    """Return the number of tokens that a pipeline is told to read, None if its tokenisers say it."""
    family = family_of(pipeline)
    limited = [name for name in family.lengths if getattr(pipeline, name) is not None]
    return length_of(family, limited[0], pipeline.components) if limited else None


def inner_size(width: int, height: int, multiple: int, native: int | Sequence[int] | None = None) -> tuple[int, int]:
    """Return the width and height at which an image of `width` x `height` is generated.

    These are the next multiples, or, with `native`, the multiples that are nearest to the image's shape at that number of
    pixels.

    Args:
        multiple: of what the pipeline's sides are multiples, in pixels.
        native: a side, or width and height, of which the number of pixels counts.
    """
    if native is None:
        return math.ceil(width / multiple) * multiple, math.ceil(height / multiple) * multiple
    pixels = native**2 if isinstance(native, int) else math.prod(native)
    scale = math.sqrt(pixels / (width * height))
    return tuple(max(1, round(side * scale / multiple)) * multiple for side in (width, height))  # type: ignore[return-value]


def fit(image: np.ndarray, width: int, height: int, native: int | Sequence[int] | None = None) -> np.ndarray:
    """Return an image at its size, (height, width, 3) uint8.

    With `native` it is resized by a Lanczos filter, as real images are, which takes all pixels into account where it makes
    images smaller: so that it just covers the size. What is over is then cropped evenly on both sides.
    """
    if native is not None:
        scale = max(width / image.shape[1], height / image.shape[0])
        covering = max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale))
        image = np.asarray(Image.fromarray(image).resize(covering, Image.Resampling.LANCZOS))
    left, top = (image.shape[1] - width) // 2, (image.shape[0] - height) // 2
    return image[top : top + height, left : left + width]


def decode_in_parts(vae: ModelMixin, width: int, height: int) -> None:
    """Make the autoencoder decode large images one at a time, and still larger ones in tiles, to bound its memory.

    This depends on the size of an image and not on that of a batch, so an image is the same in every batch.
    """
    vae.use_slicing = width * height >= ALONE_FROM**2
    vae.use_tiling = width * height > TILE**2
    if isinstance(vae, AutoencoderDC):  # whose tiles overlap by an eighth
        sides = {"tile_sample_min_height": TILE, "tile_sample_min_width": TILE}
        sides |= {"tile_sample_stride_height": TILE - TILE // 8, "tile_sample_stride_width": TILE - TILE // 8}
        for name, side in sides.items():
            setattr(vae, name, side)
        vae.tile_latent_min_height = vae.tile_latent_min_width = TILE // vae.spatial_compression_ratio
    else:
        vae.tile_sample_min_size = TILE
        vae.tile_latent_min_size = TILE // 2 ** (len(vae.config.block_out_channels) - 1)


def noise(pipeline: DiffusionPipeline, generators: Sequence[torch.Generator], width: int, height: int) -> torch.Tensor:
    """Return the latents that images start from, (N, channels, height / 8, width / 8) for most published autoencoders; for
    Flux packed, (N, positions, 4 * channels).

    They are drawn in float32 and then rounded: if drawn in half precision, torch's numbers differ for some sizes.
    """
    family, denoiser = family_of(pipeline), denoiser_of(pipeline)
    shape = family.latents(denoiser, pipeline.vae_scale_factor, width, height)
    drawn = torch.cat([torch.randn(1, *shape, generator=generator) for generator in generators]).to(denoiser.dtype)
    return pipeline._pack_latents(drawn, len(drawn), *shape) if family.packed else drawn


def check_prompts(readers: Sequence[Reader], prompts: Iterable[str]) -> None:
    """Log a warning, once per prompt, if it is too long for a text encoder, with the words that are cut off.

    Args:
        readers: the text encoders of a pipeline.
    """
    for prompt in dict.fromkeys(prompts):
        cut = [(reader, *found) for reader in readers if (found := _cut(reader, prompt))]
        if not cut:
            continue
        if len(readers) == 1:
            ((reader, number, rest),) = cut
            log.warning(
                "a prompt has %d tokens, including start and end, and the text encoder reads %d: '%s'. "
                "The image is made without '%s'; shorten the prompt",
                *(number, reader.limit, prompt, rest),
            )
            continue
        each = "; ".join(
            f"{reader.name} reads {reader.limit} of {number} tokens, without '{rest}'" for reader, number, rest in cut
        )
        others = [reader.name for reader in readers if reader.name not in {one.name for one, *_ in cut}]
        what = f"{' and '.join(others)} reads it all" if others else "what all leave out is not in the image"
        log.warning("a prompt is too long: '%s'. %s; %s. Shorten the prompt", prompt, each, what)


def _cut(reader: Reader, prompt: str) -> tuple[int, str] | None:
    """Return how many tokens a prompt has, with those that mark start and end, and the words that are cut off; None if none are.

    A word of which only the beginning is read counts as cut off.
    """
    text = prompt.lower().strip() if reader.lower else prompt
    encoded = reader.tokenizer(reader.prefix + text, verbose=False)
    if len(encoded.input_ids) <= reader.limit:
        return None
    # The last token that is read marks the end, in tokenisers that mark it: so many are after the words.
    after = next(i for i, word in enumerate(reversed(encoded.word_ids())) if word is not None)
    first = reader.limit - after
    words = encoded.word_ids()
    several = len({word for word in words if word is not None}) > 1  # some tokenisers know tokens and no words
    start = encoded.word_to_chars(words[first]).start if several else encoded.token_to_chars(first).start
    return len(words), text[max(0, start - len(reader.prefix)) :].strip()


def report_blank(seeds: Sequence[int], number: int, model: str) -> None:
    """Warn of images that show nothing, such as black ones: numbers overflowed, or the model is not what it should be.

    Args:
        seeds: of those images.
        number: of all images that were generated.
        model: what made them.

    Raises:
        InputError: they are all.
    """
    named = f"{', '.join(map(str, seeds[:10]))}{', ...' if len(seeds) > 10 else ''}"
    if len(seeds) == number > 1:
        raise InputError(
            f"{model}: all {number} images (seeds {named}) are of one colour each, such as black, and show nothing. Set the "
            f"generator's `precision` to float32, or use another model"
        )
    if seeds:
        log.warning(
            "%s: %d of %d images are of one colour each, such as black, and show nothing: seeds %s. `reviewed` leaves images "
            "out (`exclude`)",
            *(model, len(seeds), number, named),
        )


def write_block(
    pipeline: DiffusionPipeline,
    images: pd.DataFrame,
    settings: GeneratorSettings,
    folder: str | Path,
    manifest: str | Path,
    pool: str,
    made_by: str = "",
) -> None:
    """Generate a block of images, write each as JPEG of its quality, and then the manifest.

    Until all are there, they are in a hidden folder beside `folder`. If the job is killed, the next one goes on with them.

    Args:
        images: what `plan` returns.
        folder: where the images go, "seed-00123.jpg" for that of seed 123.
        manifest: where their manifest goes.
        pool: the name of the pool that the prompts are from.
        made_by: a name for the model's files and the code. Images that another one has left are not used.
    """
    folder = Path(folder)
    unfinished = folder.with_name(f".{folder.name}.part")
    written = _keep_or_empty(unfinished, _name_of(images, settings, made_by))
    files = pd.Series([unfinished / f"seed-{seed:05d}.jpg" for seed in images["seed"]], index=images.index)
    digests = {i: written[file.name] for i, file in files.items() if file.name in written}
    if digests:
        log.info("Resuming: %d of %d images are there", len(digests), len(images))
    blank = {i: _is_blank(read_image(files[i])) for i in digests}
    with open(unfinished / WRITTEN, "a") as listed:
        for position, pixels in generate(pipeline, images, settings, None, list(digests)):
            with replacing(files[position]) as temporary:
                temporary.write_bytes(encode_jpeg(pixels, int(images["quality"][position])))
            digests[position] = sha256(files[position])
            print(files[position].name, digests[position], file=listed, flush=True)
            blank[position] = _is_blank(pixels)
    seeds = sorted(images["seed"][i] for i, nothing in blank.items() if nothing)
    report_blank(seeds, len(images), str(pipeline.name_or_path))
    (unfinished / WRITTEN).unlink()
    if folder.exists():
        shutil.rmtree(folder)
    unfinished.rename(folder)
    paths = [folder / file.name for file in files]
    write_manifest(manifest, images.assign(file=paths, pool=pool, faces=0, sha256=pd.Series(digests)))


def _is_blank(pixels: np.ndarray) -> bool:
    return bool(np.ptp(pixels, axis=(0, 1)).max() <= BLANK)


def _name_of(images: pd.DataFrame, settings: GeneratorSettings, made_by: str) -> str:
    """Return a name for all on which the images of a block depend."""
    facts = json.dumps([made_by, images.to_csv(), settings and vars(settings)], sort_keys=True, default=str)
    return hashlib.sha256(facts.encode()).hexdigest()


def _keep_or_empty(folder: Path, name: str) -> dict[str, str]:
    """Return the SHA-256 of each image that is whole in a folder of unfinished ones, by its file's name.

    A folder that is missing, or of another name, is made anew.
    """
    file = folder / WRITTEN
    lines = file.read_text().splitlines() if file.exists() else []
    if lines[:1] != [name]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        file.write_text(f"{name}\n")
        return {}
    listed = dict(line.split() for line in lines[1:] if line.count(" ") == 1)
    return {
        image: digest
        for image, digest in listed.items()
        if (folder / image).is_file() and sha256(folder / image) == digest
    }
