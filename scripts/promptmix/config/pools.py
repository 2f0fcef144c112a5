"""Prompts that are written by hand or by a language model, as a config gives them."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptmix.errors import InputError

LOCATION = "[location]"
"""What each of a pool's locations takes the place of."""

PLACES = {"caption": "[caption]", "topic": "[topic]"}
"""What stands in the instruction of a language model for the caption that it varies, or the topic that it writes on."""


def about(pool: Mapping[str, Any]) -> str:
    """Return what the prompts of a pool that a language model writes are about: a key of `PLACES`."""
    return "caption" if "dataset" in pool else "topic"


def expand(texts: Sequence[str], locations: Sequence[str] = ()) -> list[str]:
    """Return the prompts of a pool that is written by hand: a text with "[location]" once for each location.

    ["large crowd, [location]", "a street"] at ["stadium", "beach"] are three: "large crowd, stadium", "large crowd,
    beach", "a street".

    Raises:
        InputError: "[location]" without locations, locations that no text has a place for, or an empty one.
    """
    with_place = [text for text in texts if LOCATION in text]
    if with_place and not locations:
        raise InputError(f"prompts: '{with_place[0]}' has a {LOCATION}, and there are no `locations` to put there")
    if locations and not with_place:
        raise InputError(f"locations: none of the prompts says where they belong; write {LOCATION} in one, or more")
    for i, location in enumerate(locations):
        if not location.strip():
            raise InputError(f"locations[{i}] is empty; expected words, such as 'stadium'")
    # A text without a place is the same at all locations, and stands once.
    return [found for text in texts for found in dict.fromkeys(text.replace(LOCATION, p) for p in locations or [""])]
