"""From captions to prompts (paper, section III, second stage)."""

from collections.abc import Iterable, Mapping

import pandas as pd

from promptmix.errors import InputError
from promptmix.records.prompts import PROMPTS
from promptmix.synthesis.reviewing import find


def prompt(caption: str, prefix: str, suffix: str) -> str:
    """Return prefix, caption without its full stop, and suffix, joined by commas; empty parts are left out."""
    return ", ".join(part for part in map(_part, (prefix, caption, suffix)) if part)


def from_captions(
    captions: pd.DataFrame,
    images: pd.DataFrame,
    prefix: str,
    suffix: Mapping[str, str],
    quality: int | None = None,
) -> pd.DataFrame:
    """Return P': a prompt per captioned image, with the image's size, JPEG quality and colour; see `PROMPTS`.

    Args:
        captions: the columns of `promptmix.records.captions.CAPTIONS`.
        images: the dataset's index; only rows of its training split may be captioned.
        prefix: put before each caption, such as "large crowd".
        suffix: put after it, by whether the image is grey: {"grey": ..., "colour": ...}.
        quality: JPEG quality of all images to generate; None for that of each captioned image.

    Raises:
        InputError: a caption of an image that is not in the training split, or an empty prompt.
    """
    training = images[images["split"] == "train"].set_index("image")
    strangers = [image for image in captions["image"] if image not in training.index]
    if strangers:
        raise InputError(
            f"the caption of {strangers[0]} is not of a training image; expected captions of the training split only. "
            "Delete the captions and run Snakemake again"
        )
    rows = []
    for image, caption in zip(captions["image"], captions["caption"], strict=True):
        source = training.loc[image]
        text = prompt(caption, prefix, suffix["grey" if source["grey"] else "colour"])
        rows.append([text, source["width"], source["height"], quality or source["quality"], source["grey"], image])
    return _checked(rows)


def by_hand(texts: Iterable[str], width: int, height: int, quality: int) -> pd.DataFrame:
    """Return prompts that were written by hand, for images of one size and JPEG quality; `grey` is 0."""
    return _checked([[text, width, height, quality, 0, ""] for text in texts])


def edit(prompts: pd.DataFrame, edits: Iterable[Mapping], pool: str) -> pd.DataFrame:
    """Return the prompts that take the place of edited ones, in the order of the edits; see `PROMPTS`.

    Args:
        prompts: those of a pool.
        edits: `prompt`, the number or the text of a prompt, and `to`, the text in its place.
        pool: the pool's name, for messages.

    Raises:
        InputError: an edit of a prompt that the pool does not have.
    """
    edits = list(edits)
    numbers = [find(prompts["prompt"].tolist(), each["prompt"], pool)[0] for each in edits]
    found = prompts.iloc[numbers].assign(prompt=[each["to"] for each in edits])
    return found.reset_index(drop=True)[[*PROMPTS.columns]]


def _part(text: str) -> str:
    return text.strip().removesuffix(".").strip()


def _checked(rows: list[list]) -> pd.DataFrame:
    for i, (text, *_) in enumerate(rows):
        if not text.strip():
            raise InputError(f"prompt {i + 1} of {len(rows)} is empty; give a prefix, a caption or a suffix")
    return pd.DataFrame(rows, columns=[*PROMPTS.columns])
