"""How far an annotator is off: on true images, on the same through the generator's autoencoder, and on generated ones.

An annotator has learnt from sharp images, and a small diffusion model's are soft. On rendered images the truth is known; on
those through the autoencoder alone too, which are as soft as an image that a diffusion model made perfectly. Of a
generated image only what it was asked to show is known: here the caption of a crowd whose count is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers import DiffusionPipeline
from torch import nn

from promptmix.datasets.index import Index
from promptmix.datasets.pictures import training_size
from promptmix.files import write_csv
from promptmix.miniature.rendering.crowds import SIZES, describe
from promptmix.miniature.rendering.datasets import scene
from promptmix.networks.registry import STRIDES
from promptmix.report.layout import write_markdown
from promptmix.synthesis.annotation import annotate
from promptmix.synthesis.generation import GeneratorSettings, generate
from promptmix.synthesis.prompts import prompt

STREAM = 13
"""First number of every seed here: no seed of the datasets, the annotators' images or the corpus begins with it."""

TRAIN, TEST = "real training images", "real test images"
DECODED = "the same test images, through the autoencoder"
FAKE = "generated images of D_fake"
CAPTIONED = "images generated from true captions"

UNITS = {"counting": ("people", "MAE", 1), "depth": ("mean depth in m", "RMSE in m", 3)}
"""By task what is compared, its error, and digits."""


def find(annotator: nn.Module, images: Sequence[np.ndarray], device: torch.device | str) -> list[np.ndarray]:
    """Return the annotator's map of each image, people per cell or metres, in the order of the images.

    Args:
        images: (H, W, 3) uint8 RGB.
    """
    named = ((str(i), image) for i, image in enumerate(images))
    maps = {found.stem: found.map for found in annotate(annotator, named, device, STRIDES[annotator.task])}
    return [maps[str(i)] for i in range(len(images))]


@torch.inference_mode()
def pass_through(pipeline: DiffusionPipeline, image: np.ndarray) -> np.ndarray:
    """Return an image, (H, W, 3) uint8 RGB, encoded and decoded by a pipeline's autoencoder, without noise."""
    height, width = image.shape[:2]
    multiple = pipeline.vae_scale_factor
    whole = np.pad(image, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")
    pixels = torch.from_numpy(whole).permute(2, 0, 1)[None].to(pipeline.device, pipeline.vae.dtype) / 127.5 - 1
    encoded = pipeline.vae.encode(pixels)
    latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
    decoded = pipeline.vae.decode(latents).sample[0].float()
    found = ((decoded + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return found[:height, :width]


def compare_real(
    annotator: nn.Module, pipeline: DiffusionPipeline, index: Index, device: torch.device | str
) -> Iterator[dict]:
    """Yield what an annotator finds in each training image, test image, and test image through the autoencoder.

    Returns:
        rows with `kind`, `of` (the image), `size` (""), and, in people or metres, `true`, `found` and `error`: that of
        the count, or of depth the root of the mean squared error of the known pixels.
    """
    training, test = (index.split(name) for name in ("train", "test"))
    real = [index.image(i) for i in test]
    decoded = [pass_through(pipeline, image) for image in real]
    parts = [(TRAIN, training, [index.image(i) for i in training]), (TEST, test, real), (DECODED, test, decoded)]
    for kind, rows, images in parts:
        for i, found in zip(rows, find(annotator, images, device), strict=True):
            yield {"kind": kind, "of": index.frame["image"].iloc[i], "size": ""} | _compare(index, i, found, annotator)


def _compare(index: Index, i: int, found: np.ndarray, annotator: nn.Module) -> dict[str, float]:
    if annotator.task == "counting":
        count, true = float(found.sum(dtype=np.float64)), float(index.frame["count"].iloc[i])
        return {"true": true, "found": count, "error": count - true}
    depth = index.depth(i)
    known = (depth > 0) & (found > 0)
    off = found[known].astype(np.float64) - depth[known]
    numbers = {"true": depth[known].mean(), "found": found[known].mean(), "error": np.sqrt(np.mean(off**2))}
    return {name: float(number) for name, number in numbers.items()}


def compare_captioned(
    annotator: nn.Module,
    pipeline: DiffusionPipeline,
    settings: GeneratorSettings,
    render: Mapping,
    resize: Mapping | None,
    words: Mapping,
    number: int,
    seed: int,
    device: torch.device | str,
) -> Iterator[dict]:
    """Yield what an annotator finds in images generated from the true captions of crowds like a dataset's.

    One caption in five does not tell the crowd's size, as in the corpus that the diffusion model has learnt from.

    Args:
        render, resize: what the dataset is rendered from, and how it is resized.
        words: `prefix` and `suffix` of prompts, as in the config.
        number: of images; image i is a function of the seed, i and the generator.

    Returns:
        rows as of `compare_real`, with the prompt as `of` and the `size` of the crowd, a key of
        `promptmix.miniature.rendering.crowds.SIZES`.
    """
    rows = []
    for i in range(number):
        rng = np.random.default_rng([STREAM, seed, i])
        crowd = scene(rng, render)
        height, width = crowd.image.shape[:2]
        suffix = words["suffix"]["grey" if crowd.grey else "colour"]
        text = prompt(describe(rng, crowd.location, crowd.size), words["prefix"], suffix)
        size = dict(zip(("width", "height"), training_size(width, height, resize)))
        rows.append({"prompt": text, "seed": i, "size": crowd.size, "true": len(crowd.points)} | size)
    planned = pd.DataFrame(rows)
    images = dict(generate(pipeline, planned, settings))
    maps = find(annotator, [images[i] for i in range(number)], device)
    for row, found in zip(rows, maps, strict=True):
        count = float(found.sum(dtype=np.float64))
        numbers = {"true": row["true"], "found": count, "error": count - row["true"]}
        yield {"kind": CAPTIONED, "of": row["prompt"], "size": row["size"]} | numbers


def compare_fake(fake: pd.DataFrame, task: str) -> Iterator[dict]:
    """Yield what the annotator found in each image of D_fake, of which the truth is not known."""
    for stem, found in zip(fake["stem"], fake["count" if task == "counting" else "depth"], strict=True):
        yield {"kind": FAKE, "of": stem, "size": "", "true": np.nan, "found": found, "error": np.nan}


def summarise(frame: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return a row of text per kind of images, and per size of crowds where it is known: means, their ratio, the error."""
    unit, error, digits = UNITS[task]
    parts = [(kind, part) for kind, part in frame.groupby("kind", sort=False)]
    captioned = frame[frame["kind"] == CAPTIONED]
    parts += [(f"… of a crowd of size “{size}”", captioned[captioned["size"] == size]) for size in SIZES]

    def text(number: float, digits: int) -> str:
        return f"{number:.{digits}f}" if np.isfinite(number) else "—"

    rows = []
    for name, part in parts:
        if len(part):
            true, found = part["true"].mean(), part["found"].mean()
            rows.append(
                {
                    "Images": name,
                    "Number": str(len(part)),
                    f"True {unit}": text(true, digits),
                    f"Found {unit}": text(found, digits),
                    "Found / true": text(found / true, 2),
                    error: text(part["error"].abs().mean(), digits),
                }
            )
    return pd.DataFrame(rows)


def write_bias(
    frame: pd.DataFrame, markdown: str | Path, csv: str | Path, annotator: str, dataset: str, task: str
) -> None:
    """Write what an annotator finds: a row per image as CSV, and a summary as Markdown.

    Args:
        frame: rows of `compare_real`, `compare_fake` and `compare_captioned`.
        annotator, dataset: their names, for the note.
    """
    notes = [
        f"What {annotator} finds in images of {dataset}, and in generated ones. Means over images. Nothing is chosen by it. "
        "Through the autoencoder: encoded and decoded by the generator's, without noise, so as soft as a generated image at best."
    ]
    if (frame["kind"] == CAPTIONED).any():
        notes.append(
            "Of generated images the truth is not known. True captions are those of further crowds rendered like the "
            "dataset's, in prompts like the dataset's: “true” is the count of the crowd that a caption describes, which an image "
            "cannot show exactly. So compare means: what the ratio loses beyond that of the images through the autoencoder, "
            "the generator draws too few, or too softly to be found."
        )
    write_csv(csv, frame)
    write_markdown(markdown, summarise(frame, task), notes)
