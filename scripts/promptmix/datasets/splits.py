"""Training, validation and test images, where a dataset's authors leave the choice open.

The paper says "seed 42" and the shares. Ours to choose, and so stated: the images are put in natural order of their
names (IMG_2 before IMG_10), shuffled by `numpy.random.default_rng(seed).permutation`, and dealt out in the order
validation, test, training. A share of n images is rounded half up; training takes what remains.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from promptmix.datasets.sample import Sample, natural_key
from promptmix.errors import InputError

SPLITS = ("train", "val", "test")


def split(samples: Sequence[Sample], shares: Mapping[str, float | int], seed: int = 42) -> list[Sample]:
    """Return the samples, in their order, with `split` one of "train", "val" and "test".

    Test images of the authors stay what they are; only those that are "train" or "" are dealt out.

    Args:
        shares: {"val": 0.2} of the training images, or {"train": 30, "val": 6, "test": 9}. Floats below 1 are shares,
            integers are numbers of images; with "train" they must add up.
        seed: of the shuffle.

    Raises:
        InputError: unknown splits, a "test" share for a dataset that has a test split (or none for one that has not),
            numbers and shares mixed, numbers that do not add up to the images there are or shares that do not to 1, or
            no image left for training.
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
    """Return the number of images of each split, of `images` in all; see `split` for `shares` and errors."""
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
