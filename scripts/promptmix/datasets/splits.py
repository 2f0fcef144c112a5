"""Divide images into training, validation and test where a dataset's authors do not.

The paper gives "seed 42" and the shares. The rest is our choice: the images are sorted in natural order of their names
(IMG_2 before IMG_10), shuffled by `numpy.random.default_rng(seed).permutation`, and assigned in the order validation,
test, training. A share of n images is rounded half up; training takes the rest.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from promptmix.datasets.sample import Sample, natural_key
from promptmix.errors import InputError

SPLITS = ("train", "val", "test")


def split(samples: Sequence[Sample], shares: Mapping[str, float | int], seed: int = 42) -> list[Sample]:
    """Return the samples, in the same order, with `split` set to "train", "val" or "test".

    The authors' test images stay test images; only images whose split is "train" or "" are assigned.

    Args:
        shares: {"val": 0.2} of the training images, or {"train": 30, "val": 6, "test": 9}. Floats below 1 are shares,
            integers are numbers of images. If "train" is given, they must add up to 1 or to the number of images.
        seed: for the shuffle.

    Raises:
        InputError: a split is unknown; "test" is given for a dataset with a test split, or missing for one without;
            numbers and shares are mixed or do not add up; or no image is left for training.
    """
    if unknown := sorted(set(shares) - set(SPLITS)):
        raise InputError(f"split: '{unknown[0]}' is not a split; expected {', '.join(SPLITS)}")
    has_test = any(sample.split == "test" for sample in samples)
    if has_test and "test" in shares:
        raise InputError("split: 'test' is given, but the dataset comes with a test split; give 'val' only")
    if not has_test and "test" not in shares:
        raise InputError("split: the dataset comes without a test split; give 'test' beside 'val'")
    pool = sorted(
        (i for i, sample in enumerate(samples) if sample.split in ("train", "")),
        key=lambda i: natural_key(samples[i].name),
    )
    dealt = numbers(shares, len(pool))
    order = np.random.default_rng(seed).permutation(len(pool))
    names = np.repeat(["val", "test", "train"], [dealt["val"], dealt["test"], dealt["train"]])
    chosen = {pool[place]: str(name) for place, name in zip(order, names, strict=True)}
    return [replace(sample, split=chosen.get(i, sample.split)) for i, sample in enumerate(samples)]


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
