"""Prompts that are written by hand, as a config gives them."""

from collections.abc import Sequence

from promptmix.errors import InputError

LOCATION = "[location]"
"""What each of a pool's locations takes the place of."""


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
