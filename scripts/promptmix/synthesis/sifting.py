"""Which generated images are in D_fake: the filters, one after the other (paper, section III, fourth to sixth stage)."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from promptmix.errors import InputError, command, list_some
from promptmix.records.fakes import FAKE
from promptmix.records.likeness import CLIP_SCORES, HASHES
from promptmix.records.prompts import PROMPT_KEYS
from promptmix.records.record import Record
from promptmix.records.scores import QUALITY
from promptmix.synthesis.filtering import keep_fitting, keep_images
from promptmix.synthesis.hashing import keep_distinct
from promptmix.synthesis.manifest import read_manifest
from promptmix.synthesis.maps import missing_maps, read_counts
from promptmix.synthesis.reviewing import is_left_out

log = logging.getLogger(__name__)

LEFT_OUT_BY = (
    *("review", "filter of near-duplicates", "filter of CLIP scores", "filter of images"),
    *("choice of one prompt", "filter of prompts"),
)
"""What leaves images out of D_fake, one after the other."""


class Block(NamedTuple):
    """A block of generated images: paths of its manifest and of its maps by one annotator; where they are needed, of its q,
    of its perceptual hashes and of its CLIP scores."""

    manifest: str | Path
    annotations: str | Path
    scores: str | Path | None = None
    hashes: str | Path | None = None
    clip_scores: str | Path | None = None


def sift(
    blocks: Sequence[Block],
    k: int,
    r_img: float = 100,
    kept: pd.DataFrame | None = None,
    prompt: tuple[str, int] | None = None,
    reviewed: Mapping[str, Mapping[str, Sequence]] | None = None,
    filters: Mapping[str, Mapping[str, Any]] | None = None,
    leaks: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the images that D_fake is chosen from, and what leaves out those that are not in it.

    In the paper's order: what was left out by hand goes first (second stage), then the filter of images keeps its share
    of the others (fourth stage), and then prompts are filtered (sixth stage). Filters that the paper does not have come
    before its filter of images: near-duplicates of an image that is kept go, and then images of low CLIP scores.

    Args:
        blocks: those of all its pools, in any order. They may hold more images than are taken.
        k: number of images to take of each prompt, the first by seed.
        r_img: percent of images to keep, those of the lowest scores; at 100 no scores are needed.
        kept: which prompts to keep, in the columns of `promptmix.records.filters.FILTER`; None for all.
        prompt: pool and number of the only prompt to take; None for all.
        reviewed: by pool what is left out: `drop`, prompts by number or text, and `exclude`, images by seed.
        filters: settings of `near_duplicates` and `clip_score`, if they are wanted: see `keep_distinct`, `keep_fitting`.
        leaks: the images that are like test images, in the columns of `promptmix.records.likeness.LEAKS`. None is left out
            by that.

    Returns:
        one row per image with the columns of `promptmix.records.fakes.FAKE`, `seed`, `q` and `clip_score` (NaN without
        scores), `like`, the test image that it is like or "", and
        `left_out_by`, "" or one of `LEFT_OUT_BY`; pool by pool in the order in which `blocks` first names them, and by
        seed in each; `file` and `maps` are absolute paths.

    Raises:
        InputError: an image without an annotation or a score, an annotation of another image size, fewer than `k` images
            of a prompt, an image that is in two blocks, a prompt that `kept` does not name, or one that `reviewed`
            names and that there is not.
        ValueError: a filter whose scores some blocks lack.
    """
    filters = filters or {}
    images = pd.concat([_read(block) for block in blocks], ignore_index=True)
    images = pd.concat([pool.sort_values("seed") for _, pool in images.groupby("pool", sort=False)])
    _check(images, k, blocks)
    images = images.groupby([*PROMPT_KEYS]).head(k).reset_index(drop=True).assign(left_out_by="")
    for pool, review in (reviewed or {}).items():
        images.loc[is_left_out(images, pool, review), "left_out_by"] = "review"

    def leave_out(is_kept: Callable[[pd.DataFrame], np.ndarray], by: str) -> None:
        left = images[images["left_out_by"] == ""]
        images.loc[left.index[~is_kept(left)], "left_out_by"] = by

    def keep(positions: Callable[[pd.Series], np.ndarray], column: str, needed: str, by: str) -> None:
        if unscored := [block.manifest for block in blocks if getattr(block, needed) is None]:
            raise ValueError(f"the {by} needs {needed}, and there are none of the images of {_listed(unscored)}")
        leave_out(lambda left: np.isin(np.arange(len(left)), positions(left[column])), by)

    if same := filters.get("near_duplicates"):
        keep(lambda hashes: keep_distinct(hashes, same["distance"]), "phash", "hashes", "filter of near-duplicates")
    if clip := filters.get("clip_score"):
        limits = {key: clip[key] for key in ("at_least", "keep") if key in clip}
        keep(lambda scores: keep_fitting(scores, **limits), "clip_score", "clip_scores", "filter of CLIP scores")
    if r_img != 100:
        keep(lambda q: keep_images(q, r_img), "q", "scores", "filter of images")
    if prompt is not None:
        leave_out(lambda left: (left[[*PROMPT_KEYS]] == [*prompt]).all(axis=1).to_numpy(), "choice of one prompt")
    if kept is not None:
        leave_out(lambda left: _of_kept_prompts(left, kept), "filter of prompts")
    images["like"] = _likes(images, leaks)
    return images[[*FAKE.columns, "seed", "q", "clip_score", "like", "left_out_by"]]


def mix(blocks: Sequence[Block], k: int, **choices) -> pd.DataFrame:
    """Return D_fake of an experiment: its images with the annotation that each is trained on; see `sift`.

    Returns:
        one row per image with the columns of `promptmix.records.fakes.FAKE`.
    """
    return chosen(sift(blocks, k, **choices))


def chosen(images: pd.DataFrame) -> pd.DataFrame:
    """Return D_fake of the images that `sift` returns."""
    return images.loc[images["left_out_by"] == "", [*FAKE.columns]].reset_index(drop=True)


def check_sifted(images: pd.DataFrame, filters: Mapping[str, Mapping[str, Any]], fewest: int = 0) -> dict[str, Any]:
    """Check that filters leave enough images, none of them like a test image if the leak guard forbids it.

    Args:
        images: what `sift` returns.
        filters: settings of all filters, `leak_guard` too.
        fewest: images that D_fake must hold, r_mix; 0 if each epoch takes what is left.

    Returns:
        what is said of the filters: `images`, their number before; `left_out`, the number by what left them out; and, with
        a leak guard, `like_test_images`, how many of those in D_fake are.

    Raises:
        InputError: they leave too few, or such images.
    """
    left = images[images["left_out_by"] == ""]
    numbers = {by: int((images["left_out_by"] == by).sum()) for by in LEFT_OUT_BY}
    found: dict[str, Any] = {
        "images": len(images),
        "left_out": {by: number for by, number in numbers.items() if number},
    }
    said = ", ".join(f"the {by} {number}" for by, number in found["left_out"].items()) or "no filter any"
    log.info("%d of %d images are left; left out by %s", len(left), len(images), said)
    if len(left) < fewest:
        raise InputError(
            f"{len(left)} of {len(images)} generated images are left, and each epoch draws {fewest} different ones (r_mix). "
            f"Left out by {said}. Loosen a filter ({_settings(filters)}), raise k, or lower r_mix"
        )
    if guard := filters.get("leak_guard"):
        like = left[left["like"] != ""]
        found["like_test_images"] = len(like)
        if len(like):
            pairs = [f"{row.pool}, seed {row.seed}, like {row.like}" for row in like.itertuples()]
            message = f"{len(like)} images of D_fake are like test images: {list_some(pairs)}"
            if guard["action"] == "error":
                raise InputError(
                    f"{message}. Look at them; the file in leaks/ lists all. Leave out copies by their seeds, as `exclude` in "
                    "`reviewed`; if they are none, lower `distance` or raise `similarity` of leak_guard, or set it to `report`"
                )
            log.warning("%s", message)
    return found


def _read(block: Block) -> pd.DataFrame:
    """Return a block's images, each beside its annotation (`maps`, `count`) and its scores (`q`, `clip_score` and `phash`,
    each NaN without a file)."""
    images = read_manifest(block.manifest)
    annotated = _annotations_of(images, block)
    kinds = {
        "q": (block.scores, QUALITY),
        "clip_score": (block.clip_scores, CLIP_SCORES),
        "phash": (block.hashes, HASHES),
    }
    scores = {
        name: np.nan if path is None else _scores_of(images, block.manifest, path, kind, name)
        for name, (path, kind) in kinds.items()
    }
    seen = {name: annotated[name].to_numpy(dtype=float) for name in ("count", "depth")}
    return images.assign(maps=str(Path(block.annotations).resolve()), **seen, **scores)


def _annotations_of(images: pd.DataFrame, block: Block) -> pd.DataFrame:
    """Return count, depth, height and width of each image's annotation, in the order of the images."""
    counts = read_counts(block.annotations)
    if missing := [stem for stem in images["stem"] if stem not in counts.index]:
        reason = missing_maps(block.annotations, missing, len(counts))
        raise InputError(f"{reason}. The images are those of {block.manifest}")
    annotated = counts.loc[images["stem"]].reset_index(drop=True)
    other = (annotated[["width", "height"]] != images[["width", "height"]]).any(axis=1)
    if other.any():
        i = int(np.flatnonzero(other)[0])
        seen, said = (f"{size['width'][i]:.0f}x{size['height'][i]:.0f}" for size in (annotated, images))
        raise InputError(
            f"{block.annotations}: {images['stem'][i]} was annotated at {seen} pixels, and {block.manifest} says {said}. "
            f"Delete the annotations and run `{command(block.annotations)}`"
        )
    return annotated


def _scores_of(images: pd.DataFrame, manifest: str | Path, path: str | Path, kind: Record, column: str) -> np.ndarray:
    """Return a kind of score of each image, in the order of the images."""
    scores = kind.read(path).set_index("stem")[column]
    if missing := [stem for stem in images["stem"] if stem not in scores.index]:
        raise InputError(
            f"{path}: no score of {_listed(missing)}, which {manifest} names. Delete it and run `{command(path)}`"
        )
    return scores.loc[images["stem"]].to_numpy()


def _likes(images: pd.DataFrame, leaks: pd.DataFrame | None) -> list[str]:
    """Return the first test image that each image is like, "" for none."""
    if leaks is None:
        return [""] * len(images)
    names = leaks.drop_duplicates(["pool", "seed"]).set_index(["pool", "seed"])["image"].to_dict()
    return [names.get(key, "") for key in zip(images["pool"], images["seed"])]


def _settings(filters: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the thresholds of filters that leave out images: "near_duplicates: distance 6, clip_score: at_least 0.2"."""
    names = ("distance", "at_least", "keep")
    parts = [
        f"{name}: {key} {settings[key]}"
        for name, settings in filters.items()
        if name != "leak_guard"
        for key in names
        if key in settings
    ]
    return ", ".join([*parts, "r_img"])


def _check(images: pd.DataFrame, k: int, blocks: Sequence[Block]) -> None:
    """Check that no image is there twice and that each prompt has k."""
    named = _listed([block.manifest for block in blocks])
    twice = images[images.duplicated(["pool", "seed"])]
    if len(twice):
        first = twice.iloc[0]
        raise InputError(f"pool {first['pool']}: the image of seed {first['seed']} is in two of the blocks {named}")
    for pool, numbers in images.groupby("pool", sort=False)["prompt_number"]:
        found = np.bincount(numbers)
        if (found < k).any():
            number = int(np.argmin(found))
            raise InputError(
                f"pool {pool}: k is {k}, and of prompt {number} (from 0) there are {found[number]} images in {named}. "
                "Delete the manifests with too few images and run Snakemake again, or lower k"
            )


def _of_kept_prompts(fake: pd.DataFrame, kept: pd.DataFrame) -> np.ndarray:
    """Tell which images are of prompts that are kept, (N,) bool."""
    found = fake[[*PROMPT_KEYS]].merge(kept, "left", [*PROMPT_KEYS], validate="many_to_one")
    unknown = found[found["kept"].isna()]
    if len(unknown):
        pool, number = unknown[[*PROMPT_KEYS]].iloc[0]
        raise InputError(
            f"the prompt filter does not name prompt {number} (from 0) of pool {pool}; expected each prompt of the pools. "
            "Delete the filter's file and run Snakemake again"
        )
    return (found["kept"] == 1).to_numpy()


def _listed(names: Sequence[str | Path]) -> str:
    texts = [str(name) for name in names]
    return ", ".join(texts) if len(texts) < 4 else f"{texts[0]}, {texts[1]} … {texts[-1]}"
