"""What CLIP says of images and prompts: features, whose cosine tells how alike two images, or an image and a text, are.

Source: A. Radford et al., Learning Transferable Visual Models From Natural Language Supervision, 2021; the CLIP score is
the cosine of an image and its text (J. Hessel et al., CLIPScore, 2021, without their factor of 2.5).
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from promptmix.errors import InputError, command
from promptmix.files import replacing
from promptmix.out_of_memory import compute_in_parts
from promptmix.running.progress import progress
from promptmix.synthesis.clip import load_image_encoder, load_text_encoder

log = logging.getLogger(__name__)

ADVICE = "Use a smaller CLIP (`model` of the filter)"


class ImageEncoder:
    """CLIP's encoder of images.

    Args:
        model: folder (or Hub name) of a CLIP with its image processor, in transformers' format.
        device: where to compute; "meta" for a check of the files.

    Raises:
        InputError: it is no CLIP, or is incomplete.
    """

    def __init__(self, model: str, device: torch.device | str = "cpu"):
        network, self.processor = load_image_encoder(model, _place(device))
        self.device = torch.device(device)
        self.network = network.float().to(self.device)

    def describe(self, images: Iterable[np.ndarray], batch_size: int = 32, total: int = 0) -> Iterator[np.ndarray]:
        """Yield the features of each (H, W, 3) uint8 RGB image, in order: (D,) float32 of length 1.

        Args:
            total: number of images, of which the log says how many are done.

        Raises:
            InputError: memory does not suffice for a single image, or features that are not finite.
        """
        images = iter(images)
        batches = iter(lambda: list(islice(images, batch_size)), [])
        parts = compute_in_parts(batches, self._features_of, ADVICE)
        for _, features in progress(parts, total, "images described", lambda part: len(part[0])):
            yield from features

    @torch.inference_mode()
    def _features_of(self, images: list[np.ndarray]) -> np.ndarray:
        pixels = self.processor(images, return_tensors="pt").pixel_values.to(self.device)
        return _normalised(self.network(pixel_values=pixels).image_embeds, "images")


class TextEncoder:
    """CLIP's encoder of texts.

    Args:
        model: folder (or Hub name) of a CLIP with its tokeniser, in transformers' format.
        device: where to compute; "meta" for a check of the files.

    Raises:
        InputError: it is no CLIP, is incomplete, or has another tokeniser.
    """

    def __init__(self, model: str, device: torch.device | str = "cpu"):
        network, self.tokenizer = load_text_encoder(model, _place(device))
        self.longest = network.config.max_position_embeddings
        self.device = torch.device(device)
        self.network = network.float().to(self.device)

    def describe(self, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
        """Return the features of texts, (N, D) float32 of length 1. What goes beyond the longest text is cut off, with a
        warning."""
        cut = [text for text in texts if len(self.tokenizer.encode(text)) > self.longest]
        if cut:
            log.warning(
                "%d of %d prompts are longer than the %d tokens that CLIP reads, and scored by their beginnings: '%s'%s",
                *(len(cut), len(texts), self.longest, cut[0], " and others" if len(cut) > 1 else ""),
            )
        parts = [self._features_of(texts[i : i + batch_size]) for i in range(0, len(texts), batch_size)]
        return np.concatenate(parts) if parts else np.zeros((0, self.network.config.projection_dim), np.float32)

    @torch.inference_mode()
    def _features_of(self, texts: Sequence[str]) -> np.ndarray:
        options = {"padding": True, "truncation": True, "max_length": self.longest, "return_tensors": "pt"}
        found = self.tokenizer(list(texts), **options)
        given = {name: found[name].to(self.device) for name in ("input_ids", "attention_mask")}
        return _normalised(self.network(**given).text_embeds, "prompts")


def check_texts(model: str) -> None:
    """Find out whether a model is a CLIP that understands texts, from its files and without computing.

    Raises:
        InputError: it is not, or is incomplete.
    """
    TextEncoder(model, "meta")


def write_features(path: str | Path, names: Sequence[str], features: Iterable[np.ndarray]) -> None:
    """Write the features of images as .npz: `names` and `features`, (N, D) float32; the file is complete or absent."""
    found = [*features]
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, names=np.array(names, dtype=str), features=np.stack(found) if found else np.zeros((0, 0)))


def read_features(path: str | Path, names: Sequence[str]) -> np.ndarray:
    """Return the features of images by name, (N, D) float32.

    Raises:
        InputError: the file is missing or damaged, or lacks an image.
    """
    again = f"Delete it and run `{command(path)}`"
    try:
        with np.load(path, allow_pickle=False) as file:
            rows = {name: i for i, name in enumerate(file["names"].tolist())}
            features = file["features"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Make it with `{command(path)}`") from None
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise InputError(f"{path}: not the features of images ({error}). {again}") from None
    if missing := [name for name in names if name not in rows]:
        raise InputError(f"{path}: no features of {missing[0]}. {again}")
    return features[[rows[name] for name in names]]


def score_prompts(images: np.ndarray, prompts: Sequence[str], encoder: TextEncoder) -> np.ndarray:
    """Return the CLIP score of each image and its prompt, (N,) from -1 to 1; what is alike scores high.

    Args:
        images: features of the images, (N, D).
        prompts: the text of each.

    Raises:
        InputError: images and texts are not described by the same CLIP.
    """
    places = {text: i for i, text in enumerate(dict.fromkeys(prompts))}
    features = encoder.describe([*places])
    if len(images) and features.shape[1] != images.shape[1]:
        raise InputError(
            f"CLIP describes images by {images.shape[1]} numbers and texts by {features.shape[1]}: its two encoders do not "
            "belong together. Take a CLIP whose config.json has one `projection_dim`"
        )
    rows = [places[prompt] for prompt in prompts]
    return (images * features[rows]).sum(axis=1) if len(images) else np.zeros(0)


def _place(device: torch.device | str) -> str:
    """Return where files are read for a device: they are only looked at for "meta"."""
    return "meta" if str(device) == "meta" else "cpu"


def _normalised(features: torch.Tensor, what: str) -> np.ndarray:
    found = (features / features.norm(dim=1, keepdim=True)).float().cpu().numpy()
    if not np.isfinite(found).all():
        raise InputError(f"CLIP's features of {what} are not finite: its weights are damaged. Fetch them again")
    return found
