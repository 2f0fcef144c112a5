"""Prompts and images that someone who looked at them leaves out (paper, section III, second stage, and its last but one
paragraph: "every single prompt and generated images can be manually curated").
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from promptmix.errors import InputError, did_you_mean


def find(texts: Sequence[str], prompt: int | str, pool: str) -> list[int]:
    """Return the numbers, from 0, of the prompts of a pool that a review names by number or text; captions can repeat.

    Raises:
        InputError: there is none.
    """
    found = [prompt] if isinstance(prompt, int) else [i for i, text in enumerate(texts) if text == prompt]
    if not found or found[0] >= len(texts):
        raise InputError(
            f"reviewed.{pool}: {prompt!r} is not one of its {len(texts)} prompts."
            f"{did_you_mean(prompt, texts) if isinstance(prompt, str) else ''} "
            f"They are in prompts/{pool}.csv; numbers count from 0"
        )
    return found


def is_left_out(fake: pd.DataFrame, pool: str, review: Mapping[str, Sequence]) -> np.ndarray:
    """Tell which images a review of a pool leaves out, (N,) bool."""
    of_pool = fake["pool"] == pool
    texts = fake[of_pool].drop_duplicates("prompt_number").sort_values("prompt_number")["prompt"].tolist()
    numbers = [number for prompt in review["drop"] for number in find(texts, prompt, pool)]
    left_out = fake["prompt_number"].isin(numbers) | fake["seed"].isin(review["exclude"])
    return (of_pool & left_out).to_numpy()
