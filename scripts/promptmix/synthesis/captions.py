"""Caption images with ClipCap (paper, section III, first stage).

CLIP's image encoder computes features, ClipCap's mapper turns them into embeddings, and GPT-2 continues these with a
text. Source: github.com/rmokady/CLIP_prefix_caption (MIT). Settings for the published checkpoint (MLP mapper): CLIP
`openai/clip-vit-base-patch32`, tokeniser `openai-community/gpt2`, a prefix of 10, features not normalised.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerBase,
)

from promptmix.errors import InputError
from promptmix.networks.build import build
from promptmix.networks.checkpoints import load_network, read_fitting
from promptmix.synthesis.captioning import ImageCaptioner, clean
from promptmix.synthesis.clip import load_image_encoder
from promptmix.synthesis.pretrained import check_vocabulary, explain, load_tokenizer, locate

STOP = "."
"""The text that ends a caption; it stays in the caption, as in the authors' code."""


class Captioner(ImageCaptioner):
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
        InputError: a folder or file is missing or does not hold what is expected, they do not fit together, or an
            unknown `decoding`.
    """

    advice = "Use smaller models (`clip` and `weights` of the captioner)"

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
        encoder, self.processor = load_image_encoder(clip)
        self.encoder = encoder.float().to(self.device)
        self.tokenizer = _load_tokenizer(tokenizer)
        self.network = load_network("clipcap", weights, **settings).to(self.device)
        _check_fit(self.encoder, self.processor, self.tokenizer, self.network)
        self.stop = self.tokenizer.encode(STOP, add_special_tokens=False)[-1]
        self.decoding, self.max_tokens, self.normalise = decoding, max_tokens, normalise

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


def check_clip(model: str) -> None:
    """Find out whether a model is a CLIP that describes images, from its files and without computing.

    Raises:
        InputError: it is not, or is incomplete.
    """
    load_image_encoder(model, "meta")


def check_tokenizer(model: str) -> None:
    """Find out whether a model has a tokeniser.

    Raises:
        InputError: it has none, or an incomplete one.
    """
    _load_tokenizer(model)


def check_weights(weights: str | Path, clip: str, tokenizer: str, settings: Mapping[str, Any]) -> None:
    """Find out whether ClipCap's checkpoint fits its settings, and whether CLIP and tokeniser, if readable, fit these.

    Raises:
        InputError: one of them does not.
    """
    read_fitting("clipcap", weights, **settings)
    try:
        encoder, processor = load_image_encoder(clip, "meta")
        words = _load_tokenizer(tokenizer)
    except InputError:  # what `check_clip` and `check_tokenizer` say
        return
    with torch.device("meta"):
        network = build("clipcap", **settings)
    _check_fit(encoder, processor, words, network)


def _load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    folder = locate(model, "a tokeniser: a folder in transformers' format, such as resources/models/clip")
    try:
        return load_tokenizer(AutoTokenizer, folder)
    except InputError as error:
        raise InputError(f"{model} is no tokeniser, or is incomplete: {error}") from error


@torch.inference_mode()
def _check_fit(
    encoder: CLIPVisionModelWithProjection,
    processor: CLIPImageProcessorPil,
    words: PreTrainedTokenizerBase,
    network: nn.Module,
) -> None:
    """Raise an InputError if the parts of a captioner do not fit together; some may be on the device "meta"."""
    check_vocabulary(words, network.gpt.config.vocab_size, "tokenizer", "ClipCap's GPT-2")
    pixels = processor([np.zeros((64, 64, 3), np.uint8)], return_tensors="pt").pixel_values
    with explain("clip: an image, prepared as preprocessor_config.json says,"):
        features = encoder(pixel_values=pixels.to(encoder.device, encoder.dtype)).image_embeds.shape[1]
    mapper = next(module for module in network.clip_project.modules() if isinstance(module, nn.Linear))
    if features != mapper.in_features:
        raise InputError(
            f"clip: it describes an image by {features} numbers, and ClipCap's weights take {mapper.in_features} "
            f"(`settings.prefix_size`). Take the CLIP with which they were trained"
        )
