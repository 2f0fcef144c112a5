"""Caption images with ClipCap (paper, section III, first stage).

CLIP's image encoder computes features, ClipCap's mapper turns them into embeddings, and GPT-2 continues these with a
text. Source: github.com/rmokady/CLIP_prefix_caption (MIT). Settings for the published checkpoint (MLP mapper): CLIP
`openai/clip-vit-base-patch32`, tokeniser `openai-community/gpt2`, a prefix of 10, features not normalised.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPVisionModelWithProjection
from transformers.utils import logging as transformers_logging

from promptmix.errors import InputError
from promptmix.networks.checkpoints import load_network
from promptmix.out_of_memory import compute_in_parts

STOP = "."
"""The text that ends a caption; it stays in the caption, as in the authors' code."""


class Captioner:
    """CLIP, ClipCap and GPT-2, ready to caption.

    Args:
        clip: folder (or Hub name) of a CLIP with its image processor, in transformers' format.
        tokenizer: folder (or Hub name) of the tokeniser of the captions.
        weights: ClipCap's checkpoint.
        settings: of `promptmix.networks.clipcap.ClipCap`.
        decoding: "greedy" or "beam".
        max_tokens: most tokens of a caption, for those without a STOP (the authors: 67).
        normalise: scale the features to length 1, as the transformer mapper needs them.
        device: where to compute.

    Raises:
        InputError: a folder or file is missing or does not hold what is expected, or an unknown `decoding`.
    """

    def __init__(
        self,
        clip: str,
        tokenizer: str,
        weights: str | Path,
        settings: dict,
        decoding: str = "greedy",
        max_tokens: int = 67,
        normalise: bool = False,
        device: torch.device | str = "cpu",
    ):
        if decoding not in ("greedy", "beam"):
            raise InputError(f"decoding is {decoding!r}; expected 'greedy' or 'beam'")
        self.device = torch.device(device)
        self.encoder = _pretrained(CLIPVisionModelWithProjection, clip).to(self.device).float().eval()
        self.processor = _pretrained(CLIPImageProcessorPil, clip)
        self.tokenizer = _pretrained(AutoTokenizer, tokenizer)
        self.network = load_network("clipcap", weights, **settings).to(self.device)
        self.stop = self.tokenizer.encode(STOP, add_special_tokens=False)[-1]
        self.decoding, self.max_tokens, self.normalise = decoding, max_tokens, normalise

    def caption(self, images: Iterable[np.ndarray], batch_size: int = 32) -> Iterator[str]:
        """Yield a caption for each (H, W, 3) uint8 RGB image, in order; it can be empty.

        Raises:
            InputError: memory does not suffice for a single image.
        """
        images = iter(images)
        batches = iter(lambda: list(islice(images, batch_size)), [])
        advice = "Use smaller models (`clip` and `weights` of the captioner)"
        for _, captions in compute_in_parts(batches, self._captions_of, advice):
            yield from captions

    @torch.inference_mode()
    def _captions_of(self, images: list[np.ndarray]) -> list[str]:
        pixels = self.processor(images, return_tensors="pt").pixel_values.to(self.device)
        features = self.encoder(pixel_values=pixels).image_embeds
        if self.normalise:
            features = features / features.norm(dim=1, keepdim=True)
        prefix = self.network.clip_project(features)
        if self.decoding == "beam":
            found = [best[0] for best in self.network.beam(prefix, self.stop, self.max_tokens)]
        else:
            found = self.network.greedy(prefix, self.stop, self.max_tokens)
        return [clean(self.tokenizer.decode(tokens, skip_special_tokens=True)) for tokens in found]


def clean(text: str) -> str:
    """Return a decoded caption with single spaces and none before punctuation."""
    return " ".join(text.split()).replace(" .", ".").replace(" ,", ",")


def _pretrained(kind, source: str):
    """Load a transformers object from a folder or the Hub's cache.

    transformers' messages are silenced: a CLIP has more than its image encoder, and they would list all other tensors.

    Raises:
        InputError: the folder does not exist, or does not hold such an object.
    """
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        return kind.from_pretrained(source, local_files_only=True)
    except (OSError, ValueError) as error:
        where = "The folder exists, but does not hold it" if os.path.isdir(source) else "There is no such folder"
        raise InputError(
            f"{source}: no {kind.__name__} could be loaded. {where}, and the Hub's cache has no model of that name. "
            f"Give a folder in transformers' format, such as resources/models/clip. ({error})"
        ) from error
    finally:
        transformers_logging.set_verbosity(verbosity)
