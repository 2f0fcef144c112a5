"""Divide images into training, validation and test where a dataset's authors do not.

The paper gives "seed 42" and the shares. The rest is our choice: the images are sorted in natural order of their names
(IMG_2 before IMG_10), shuffled by `numpy.random.default_rng(seed).permutation`, and assigned in the order validation,
test, training. A share of n images is rounded half up; training takes the rest.

Images of one group, such as those of one camera, can be kept together. The groups, sorted and shuffled likewise, go to
validation and to test as they come, if the others can still make up the number asked for; training takes the rest.
"""

import logging
import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from promptmix.datasets.sample import Sample, natural_key
from promptmix.errors import InputError

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")

GROUPED_BY = ("group", "group_column")
"""Keys beside the shares that say which images belong together."""

SHUFFLES = 100
"""Orders of the groups that are tried until validation and test both have their number of images."""


def split(
    samples: Sequence[Sample],
    settings: Mapping[str, float | int | str] | None,
    seed: int = 42,
    column: Mapping[str, str] | None = None,
) -> list[Sample]:
    """Return the samples, in the same order, with `split` set to "train", "val" or "test".

    The authors' test images stay test images; only images whose split is "train" or "" are assigned.

    Args:
        settings: {"val": 0.2} of the training images, or {"train": 30, "val": 6, "test": 9}. Floats below 1 are shares,
            integers are numbers of images. If "train" is given, they must add up to 1 or to the number of images.
            "group" is a pattern in the names of images (from images/ on), which finds the same in images that belong
            together; with "group_column" they have the same value in `column`. None for a dataset that comes with
            validation and test images.
        seed: for the shuffle.
        column: values by name of the sample, in composed letters (NFC).

    Raises:
        InputError: a split is unknown; "test" is given for a dataset with a test split, or missing for one without;
            numbers and shares are mixed or do not add up; no image is left for training; an image is of no group, or
            whole groups do not make up the numbers.
    """
    shares = shares_of(settings or {})
    if unknown := sorted(set(shares) - set(SPLITS)):
        raise InputError(f"split: '{unknown[0]}' is not a split; expected {', '.join(SPLITS)}")
    check_agreement({sample.split for sample in samples}, settings)
    if any(sample.split == "val" for sample in samples):
        return list(samples)
    pool = sorted(
        (i for i, sample in enumerate(samples) if sample.split in ("train", "")),
        key=lambda i: natural_key(samples[i].name),
    )
    dealt = numbers(shares, len(pool))
    rng = np.random.default_rng(seed)
    if groups := _find_groups(samples, settings or {}, column or {}):
        chosen = _deal_groups({i: groups[i] for i in pool}, dealt, rng)
        if shared := {groups[i] for i in pool} & {group for i, group in groups.items() if i not in chosen}:
            text = (
                "the dataset's training and test images have %d groups in common, such as '%s'; they stay as they are"
            )
            logger.warning(text, len(shared), min(shared))
    else:
        names = np.repeat(["val", "test", "train"], [dealt["val"], dealt["test"], dealt["train"]])
        chosen = {pool[place]: str(name) for place, name in zip(rng.permutation(len(pool)), names, strict=True)}
    return [replace(sample, split=chosen.get(i, sample.split)) for i, sample in enumerate(samples)]


def shares_of(settings: Mapping[str, float | int | str]) -> dict[str, float | int]:
    """Return the shares or numbers of a split, without what says which images belong together."""
    return {name: share for name, share in settings.items() if name not in GROUPED_BY}  # type: ignore[misc]


def check_agreement(there: Collection[str], settings: Mapping[str, object] | None) -> None:
    """Raise an `InputError` if a split does not fit the splits that a dataset comes with.

    Args:
        there: some of "train", "val" and "test"; others count for nothing.
        settings: see `split`.
    """
    if "val" in there:
        if settings:
            raise InputError(
                "split: the dataset comes with validation images (`val` in `images`), and these are used; "
                "take `split` away (`split: null`), or take its validation images away and `val` out of `images`"
            )
        return
    if not settings or "val" not in settings:
        raise InputError("split is missing, and the dataset comes without validation images; give {val: ...}")
    if "test" in there and "test" in settings:
        raise InputError("split: 'test' is given, but the dataset comes with a test split; give 'val' only")
    if "test" not in there and "test" not in settings:
        raise InputError("split: the dataset comes without a test split; give 'test' beside 'val'")


def numbers(shares: Mapping[str, float | int], images: int) -> dict[str, int]:
    """Return each split's number of images, given `images` in all; see `split` for `shares` and errors."""
    if wrong := [name for name, share in shares.items() if isinstance(share, bool) or share < 0]:
        raise InputError(f"split: {wrong[0]}: {shares[wrong[0]]}; expected a share of 0 to 1 or a number of images")
    found = {
        name: share if isinstance(share, int) else math.floor(share * images + 0.5) for name, share in shares.items()
    }
    given = " + ".join(f"{share} {name}" for name, share in shares.items())
    counted = {isinstance(share, int) for share in shares.values()}
    if len(counted) > 1:
        raise InputError(f"split: {given} mixes numbers of images (integers) and shares; expected one kind")
    total = sum(shares.values())
    if counted == {True} and "train" in shares and total != images:
        raise InputError(f"split: {given} = {total} images, but there are {images}")
    if counted == {False} and "train" in shares and not math.isclose(total, 1):
        raise InputError(f"split: {given} = {total:g}; expected shares that add up to 1")
    held_out = {"val": found.get("val", 0), "test": found.get("test", 0)}
    train = images - sum(held_out.values())
    if train < 1:
        raise InputError(f"split: {given} leaves no training image of {images}")
    return {**held_out, "train": train}


def _find_groups(
    samples: Sequence[Sample], settings: Mapping[str, float | int | str], column: Mapping[str, str]
) -> dict[int, str]:
    """Return the group of each sample; none if no group is asked for.

    Only images that are to be divided need one.
    """
    if "group" in settings:
        pattern = re.compile(str(settings["group"]))
        found = {i: pattern.search(_below_images(sample.name)) for i, sample in enumerate(samples)}
        groups = {i: " ".join(match.groups("") or [match[0]]) for i, match in found.items() if match}
        where, remedy = f"the pattern '{pattern.pattern}' of `group` finds nothing in it", "correct the pattern"
    elif "group_column" in settings:
        groups = {i: column.get(unicodedata.normalize("NFC", sample.name), "") for i, sample in enumerate(samples)}
        where = f"it has no value in the column '{settings['group_column']}'"
        remedy = "give it one, in a row with empty x and y if it shows no people"
    else:
        return {}
    groups = {i: group for i, group in groups.items() if group}
    if lost := [s.name for i, s in enumerate(samples) if s.split in ("train", "") and i not in groups]:
        raise InputError(f"split: {_below_images(lost[0])}: {where} ({len(lost)} such images in all): {remedy}")
    return groups


def _below_images(name: str) -> str:
    """Return a sample's name as a user of the own formats knows it: from images/ on."""
    return re.sub(r"^((train|val|valid|validation|test)/)?images/", "", name)


def _deal_groups(groups: Mapping[int, str], dealt: Mapping[str, int], rng: np.random.Generator) -> dict[int, str]:
    """Return the split of each sample, so that no group is in two."""
    members: dict[str, list[int]] = {}
    for i, group in groups.items():
        members.setdefault(group, []).append(i)
    names = sorted(members, key=natural_key)
    for _ in range(SHUFFLES):
        left = [names[place] for place in rng.permutation(len(names))]
        chosen: dict[int, str] = {}
        for part in ("val", "test"):
            taken = _choose([len(members[name]) for name in left], dealt[part])
            if taken is None:
                break
            chosen |= {i: part for place in taken for i in members[left[place]]}
            left = [name for place, name in enumerate(left) if place not in taken]
        else:
            return chosen | {i: "train" for name in left for i in members[name]}
    raise InputError(_describe_impossible({name: len(members[name]) for name in names}, dealt))


def _choose(sizes: Sequence[int], total: int) -> set[int] | None:
    """Return the first places whose sizes add up to a total; None if none do."""
    reachable = [1]  # bit n: the sizes from here to the end can make up n; built from the end
    for size in reversed(sizes):
        reachable.append(reachable[-1] | reachable[-1] << size)
    if not reachable.pop() >> total & 1:
        return None
    taken = set()
    for place, size in enumerate(sizes):
        if size <= total and reachable[-1 - place] >> (total - size) & 1:
            taken.add(place)
            total -= size
    return taken


def _describe_impossible(sizes: Mapping[str, int], dealt: Mapping[str, int]) -> str:
    """Return which numbers of images whole groups would make up."""
    images = sum(sizes.values())
    if len(sizes) < 2:
        return f"split: all {images} images are of one group, '{next(iter(sizes))}'; expected two or more: correct it"
    reachable = reduce(lambda sums, size: sums | sums << size, sizes.values(), 1)  # bit n: groups make up n
    possible = [number for number in range(1, images) if reachable >> number & 1]
    told = [f"{name} {size}" for name, size in list(sizes.items())[:8]] + (["..."] if len(sizes) > 8 else [])
    wanted = " and ".join(
        f"{number} images in '{part}'" for part, number in dealt.items() if part != "train" and number
    )
    near = {
        part: [
            max((n for n in possible if n <= number), default=0),
            min((n for n in possible if n >= number), default=0),
        ]
        for part, number in dealt.items()
        if part != "train" and number
    }
    give = " and ".join(
        f"`{part}: {' or '.join(str(n) for n in dict.fromkeys(found) if n)}`" for part, found in near.items()
    )
    return (
        f"split: whole groups ({', '.join(told)} images) do not make up {wanted}. Give numbers that they make up, such "
        f"as {give}"
    )
