"""The round trip from prompt to image to caption (paper, section III): do generated images show what was asked for?

The captioner that wrote the prompts describes the generated images. The fewer words have to be changed to turn a
prompt's caption into that of its image, the better. How few that would be by chance is seen when the images' captions
are dealt out anew among the prompts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.errors import InputError, command
from promptmix.files import write_csv
from promptmix.report.tables import write_markdown
from promptmix.synthesis.manifest import read_manifest
from promptmix.synthesis.prompts import caption_of

COLUMNS = ["image", "prompt", "caption", "words", "distance", "chance"]

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
        raise InputError(f"{len(prompts)} prompts and {len(captions)} captions; expected as many")
    dealt = np.random.default_rng(seed).permutation(len(captions))
    rows = [
        [prompt, caption, len(words_of(prompt)), word_edit_distance(prompt, caption), word_edit_distance(prompt, other)]
        for prompt, caption, other in zip(prompts, captions, (captions[i] for i in dealt), strict=True)
    ]
    return pd.DataFrame(rows, columns=COLUMNS[1:])


def read_round_trip(
    manifests: Sequence[str | Path],
    captions: Sequence[str | Path],
    prefix: str,
    suffixes: Iterable[str],
    seed: int,
    limit: int | None = None,
) -> pd.DataFrame:
    """Return the round trip of a pool, with the images' stems.

    Args:
        manifests: blocks of the pool's images.
        captions: of each block, `image` (file stem) and `caption`.
        prefix, suffixes: what is taken away from prompts that were made of captions; others stay whole.
        limit: number of images, from the first on; as many as prompts, so that each counts once. None for all.

    Raises:
        InputError: an image without caption, or captions of other images.
    """
    parts = []
    for manifest, file in zip(manifests, captions, strict=True):
        images = read_manifest(manifest)
        stems = [Path(image).stem for image in images["image"]]
        found = pd.read_csv(file, dtype=str, keep_default_na=False)
        if list(found["image"]) != stems:
            raise InputError(
                f"{file}: the captions are not those of the images in {manifest}, one for each in their order. "
                f"Delete it and run `{command(file)}`"
            )
        asked = [
            caption_of(text, prefix, suffixes) if source else text
            for text, source in zip(images["prompt"], images["source"], strict=True)
        ]
        parts.append(pd.DataFrame({"image": stems, "prompt": asked, "caption": found["caption"]}))
    joined = pd.concat(parts, ignore_index=True).iloc[:limit]
    trips = round_trip(joined["prompt"].tolist(), joined["caption"].tolist(), seed)
    return trips.assign(image=joined["image"].to_numpy())[COLUMNS]


def summary(trips: pd.DataFrame) -> dict[str, float]:
    """Return the means of a pool: `images`, `words`, `distance`, `exact` (share), `chance`, `exact_by_chance`."""
    means = trips[["words", "distance", "chance"]].mean().to_dict()
    exact = {"exact": (trips["distance"] == 0).mean(), "exact_by_chance": (trips["chance"] == 0).mean()}
    return {"images": len(trips)} | means | exact


def write_round_trip(
    pools: Mapping[str, pd.DataFrame], markdown: str | Path, csv: str | Path, scale: str
) -> pd.DataFrame:
    """Write the table, one row per pool, and a CSV with one row per image.

    Args:
        pools: what `read_round_trip` gives, by the name of the pool.
        markdown, csv: the files to write.
        scale: the name of the scale, said under the table.

    Returns:
        the table as it is printed.
    """
    rows = []
    for pool, trips in pools.items():
        found = summary(trips)
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
    write_markdown(markdown, table, [f"Scale: {scale}.", *NOTES])
    write_csv(csv, pd.concat([trips.assign(pool=pool) for pool, trips in pools.items()])[["pool", *COLUMNS]])
    return table
