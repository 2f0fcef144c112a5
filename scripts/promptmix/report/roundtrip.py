"""The round trip from prompt to image to caption (paper, section III): do generated images show what was asked for?

The captioner describes the generated images. The fewer words have to be changed to turn a prompt into the caption of its
image, the better. How few that would be by chance is seen when the images' captions
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
from promptmix.report.layout import write_html, write_markdown, write_tex
from promptmix.synthesis.manifest import read_manifest

NOTES = [
    "Word edit distance between a prompt, from which the image is generated as it stands, and the caption of the image: "
    "the number of words to insert, delete or replace, without regard to case and punctuation. Words: mean length of the "
    "prompts, as many as there are to get wrong.",
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
        prompts: of each image.
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


def read_round_trip(blocks: Iterable[tuple[str | Path, str | Path]], seed: int) -> pd.DataFrame:
    """Return the round trip of the first image, by seed, of each prompt of some pools, so that each prompt counts once.

    Args:
        blocks: the manifest of each block of images, and the captions of these images.
        seed: of the order in which captions are dealt out for `chance`, within a pool.

    Returns:
        the columns of `promptmix.records.roundtrips.ROUNDTRIP`, pool by pool in the order of the blocks, and by seed in each.

    Raises:
        InputError: an image without a caption, or captions of other images.
    """
    images = pd.concat([_captioned(*block) for block in blocks], ignore_index=True)
    trips = []
    for pool, part in images.groupby("pool", sort=False):
        first = part.sort_values("seed").groupby("prompt_number").head(1)
        found = round_trip(first["prompt"].tolist(), first["caption"].tolist(), seed)
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
    """Return of a pool: `images`; the means `words`, `distance` and `chance`; `largest`, the largest distance; and
    `at_most_two` and `at_most_two_by_chance`, shares of the images.
    """
    means = trips[["words", "distance", "chance"]].mean().to_dict()
    shares = {"at_most_two": (trips["distance"] <= 2).mean(), "at_most_two_by_chance": (trips["chance"] <= 2).mean()}
    return {"images": len(trips), "largest": int(trips["distance"].max())} | means | shares


def write_round_trip(
    trips: pd.DataFrame,
    markdown: str | Path,
    csv: str | Path,
    tex: str | Path,
    html: str | Path,
    scale: str,
    paper: int | None = None,
) -> pd.DataFrame:
    """Write the table, one row per pool, and a CSV with one row per image.

    Args:
        trips: what `read_round_trip` returns.
        markdown, csv, tex, html: the files to write.
        scale: the name of the scale, said under the table.
        paper: the largest distance that the paper saw; None to leave it out.

    Returns:
        the table as it is printed.
    """
    rows = []
    for pool, part in trips.groupby("pool", sort=False):
        found = summary(part)
        row = {
            "Prompts": pool,
            "Images": str(found["images"]),
            "Words": f"{found['words']:.2f}",
            "Distance": f"{found['distance']:.2f}",
            "Largest": str(found["largest"]),
            "At most two": f"{found['at_most_two']:.1%}".replace("%", " %"),
            "Distance by chance": f"{found['chance']:.2f}",
            "At most two by chance": f"{found['at_most_two_by_chance']:.1%}".replace("%", " %"),
        }
        if paper is not None:
            row |= {"Paper's largest": str(paper), "Same": "yes" if found["largest"] <= paper else "no"}
        rows.append(row)
    table = pd.DataFrame(rows)
    notes = [f"Scale: {scale}.", *NOTES]
    if paper is not None:
        notes.append(
            f"The paper reports that sample prompts of around ten words, which it does not name, always resulted in a word "
            f"edit distance of at most {paper}."
        )
    write_markdown(markdown, table, notes)
    write_tex(tex, table, notes)
    write_html(html, table, notes)
    ROUNDTRIP.write(csv, trips)
    return table
