"""Load a CLIP's encoders strictly, for captions and for the filters that compare images and texts."""

from collections.abc import Iterator
from contextlib import contextmanager

from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerBase,
)

from promptmix.errors import InputError
from promptmix.synthesis.pretrained import (
    check_vocabulary,
    explain,
    load_part,
    load_tokenizer,
    locate,
    read_json,
    silence,
)

OF_TEXTS = r"text_|logit_scale"
"""Keys of a CLIP's weights that are not for images."""

OF_IMAGES = r"vision_|visual_|logit_scale"
"""Keys of a CLIP's weights that are not for texts."""

EXPECTED = "a CLIP: a folder in transformers' format, such as resources/models/clip"


def load_image_encoder(model: str, device: str = "cpu") -> tuple[CLIPVisionModelWithProjection, CLIPImageProcessorPil]:
    """Return a CLIP's encoder of images and what prepares images for it.

    Args:
        model: folder (or Hub name) of a CLIP with its image processor, in transformers' format.
        device: "cpu", or "meta" for a check of the files.

    Raises:
        InputError: it is no CLIP that describes images, or is incomplete.
    """
    folder = locate(model, EXPECTED)
    with _named(model, "describes images"):
        _check_kind(read_json(folder / "config.json").get("model_type"), "clip_vision_model")
        encoder = load_part(CLIPVisionModelWithProjection, folder, device=device, unused=OF_TEXTS)
        read_json(folder / "preprocessor_config.json")
        with explain("preprocessor_config.json"), silence():
            return encoder, CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)


def load_text_encoder(model: str, device: str = "cpu") -> tuple[CLIPTextModelWithProjection, PreTrainedTokenizerBase]:
    """Return a CLIP's encoder of texts and its tokeniser.

    Args:
        model: folder (or Hub name) of a CLIP with its tokeniser, in transformers' format.
        device: "cpu", or "meta" for a check of the files.

    Raises:
        InputError: it is no CLIP that understands texts, is incomplete, or has another tokeniser.
    """
    folder = locate(model, EXPECTED)
    with _named(model, "understands texts"):
        _check_kind(read_json(folder / "config.json").get("model_type"), "clip_text_model")
        encoder = load_part(CLIPTextModelWithProjection, folder, device=device, unused=OF_IMAGES)
        tokenizer = load_tokenizer(AutoTokenizer, folder)
        check_vocabulary(tokenizer, encoder.config.vocab_size, "tokenizer", "CLIP's encoder of texts")
        return encoder, tokenizer


def _check_kind(kind: object, encoder: str) -> None:
    """Raise an InputError if a model is neither a whole CLIP nor the one of its encoders."""
    if kind not in ("clip", encoder):
        raise InputError(f"config.json: a model of the type {kind}; expected clip")


@contextmanager
def _named(model: str, does: str) -> Iterator[None]:
    """Say of which model an error is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{model} is no CLIP that {does}, or is incomplete: {error}") from error
