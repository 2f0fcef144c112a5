"""The round trip from prompt to image to caption (paper, section III): do generated images show what was asked for?

The captioner that wrote the prompts describes the generated images. The fewer words have to be changed to turn a
prompt's caption into that of its image, the better. How few that would be by chance is seen when the images' captions
are dealt out anew among the prompts.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.errors import InputError, command
from promptmix.records.captions import GENERATED_CAPTIONS
from promptmix.records.roundtrips import ROUNDTRIP
from promptmix.report.layout import write_markdown, write_tex
from promptmix.synthesis.manifest import read_manifest
from promptmix.synthesis.prompts import caption_of

NOTES = [
    "Word edit distance between the caption that a prompt was made of (a prompt by hand: the prompt) and the caption of "
    "the generated image: the number of words to insert, delete or replace, without regard to case and punctuation. "
    "Words: mean length of the former, as many as there are to get wrong. Exact: share of images without any difference.",
    "By chance: the same with the images' captions dealt out at random among the prompts of the pool. A pool with a "
    "single prompt has nothing to deal.",
]


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation but for that inside a word: "t-shirt", "dog's"."""
    return re.findall(r"\w+(?:['’-]\w+)*", text.lower())


def word_edit_distance(a: str, b: str) -> int:
    """Return how many words have to be inserted, deleted or replaced to turn one text into the other (Levenshtein)."""
    first, second = words_of(a), words_of(b)
    row = list(range(len(second) + 1))
    for i, word in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def round_trip(prompts: Sequence[str], captions: Sequence[str], seed: int) -> pd.DataFrame:
    """Return one row per image of a pool: prompt, caption, number of words in the prompt, distance, distance by chance.

    Args:
        prompts: of each image, without prefix and suffix.
        captions: of each image.
        seed: of the order in which captions are dealt out for `chance`.

    Raises:
        InputError: prompts and captions differ in number.
    """
    if len(prompts) != len(captions):
        raise InputError(f"{len(prompts)} prompts and {len(captions)} captions; expected one caption for each prompt")
    dealt = np.random.default_rng(seed).permutation(len(captions))
    rows = [
        [prompt, caption, len(words_of(prompt)), word_edit_distance(prompt, caption), word_edit_distance(prompt, other)]
        for prompt, caption, other in zip(prompts, captions, (captions[i] for i in dealt), strict=True)
    ]
    return pd.DataFrame(rows, columns=["prompt", "caption", "words", "distance", "chance"])


def read_round_trip(
    blocks: Iterable[tuple[str | Path, str | Path]], prefix: str, suffixes: Iterable[str], seed: int
) -> pd.DataFrame:
    """Return the round trip of the first image, by seed, of each prompt of some pools, so that each prompt counts once.

    Args:
        blocks: the manifest of each block of images, and the captions of these images.
        prefix, suffixes: what is taken away from prompts that were made of captions; others stay whole.
        seed: of the order in which captions are dealt out for `chance`, within a pool.

    Returns:
        the columns of `promptmix.records.roundtrips.ROUNDTRIP`, pool by pool in the order of the blocks, and by seed in each.

    Raises:
        InputError: an image without a caption, or captions of other images.
    """
    images = pd.concat([_captioned(*block) for block in blocks], ignore_index=True)
    suffixes, trips = list(suffixes), []
    for pool, part in images.groupby("pool", sort=False):
        first = part.sort_values("seed").groupby("prompt_number").head(1)
        asked = [
            caption_of(text, prefix, suffixes) if source else text
            for text, source in zip(first["prompt"], first["source"], strict=True)
        ]
        found = round_trip(asked, first["caption"].tolist(), seed)
        trips.append(found.assign(pool=pool, stem=first["stem"].to_numpy()))
    return pd.concat(trips, ignore_index=True)[[*ROUNDTRIP.columns]]


def _captioned(manifest: str | Path, captions: str | Path) -> pd.DataFrame:
    """Return the images of a manifest with the `caption` of each."""
    images, found = read_manifest(manifest), GENERATED_CAPTIONS.read(captions)
    if sorted(found["stem"]) != sorted(images["stem"]):
        raise InputError(
            f"{captions}: the captions are not those of the images in {manifest}; expected one for each. "
            f"Delete it and run `{command(captions)}`"
        )
    return images.merge(found, on="stem", validate="one_to_one")


def summary(trips: pd.DataFrame) -> dict[str, float]:
    """Return the means of a pool: `images`, `words`, `distance`, `exact` (share), `chance`, `exact_by_chance`."""
    means = trips[["words", "distance", "chance"]].mean().to_dict()
    exact = {"exact": (trips["distance"] == 0).mean(), "exact_by_chance": (trips["chance"] == 0).mean()}
    return {"images": len(trips)} | means | exact


def write_round_trip(
    trips: pd.DataFrame, markdown: str | Path, csv: str | Path, tex: str | Path, scale: str
) -> pd.DataFrame:
    """Write the table, one row per pool, and a CSV with one row per image.

    Args:
        trips: what `read_round_trip` returns.
        markdown, csv, tex: the files to write.
        scale: the name of the scale, said under the table.

    Returns:
        the table as it is printed.
    """
    rows = []
    for pool, part in trips.groupby("pool", sort=False):
        found = summary(part)
        rows.append(
            {
                "Prompts": pool,
                "Images": str(found["images"]),
                "Words": f"{found['words']:.2f}",
                "Distance": f"{found['distance']:.2f}",
                "Exact": f"{found['exact']:.1%}".replace("%", " %"),
                "Distance by chance": f"{found['chance']:.2f}",
                "Exact by chance": f"{found['exact_by_chance']:.1%}".replace("%", " %"),
            }
        )
    table = pd.DataFrame(rows)
    notes = [f"Scale: {scale}.", *NOTES]
    write_markdown(markdown, table, notes)
    write_tex(tex, table, notes)
    ROUNDTRIP.write(csv, trips)
    return table
