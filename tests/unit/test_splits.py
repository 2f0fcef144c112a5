from collections import Counter

import numpy as np
import pytest

from promptmix.datasets.sample import Sample
from promptmix.datasets.splits import split
from promptmix.errors import InputError


def _samples(train=0, test=0, unsplit=0):
    names = (
        [("train", i) for i in range(train)] + [("test", i) for i in range(test)] + [("", i) for i in range(unsplit)]
    )
    return [Sample(f"{s}/IMG_{i + 1}.jpg", None, s, 8, 8, np.zeros((0, 2))) for s, i in names]


def _sizes(samples):
    return Counter(sample.split for sample in samples)


@pytest.mark.parametrize(
    ("train", "test", "share", "expected"),
    [(300, 182, 0.2, 60), (400, 316, 0.1, 40), (1201, 334, 0.1, 120), (5, 1, 0.1, 1), (4, 1, 0.1, 0)],
)
def test_a_validation_share_of_the_training_images_rounded_half_up(train, test, share, expected):
    sizes = _sizes(split(_samples(train, test), {"val": share}))
    assert (sizes["train"], sizes["val"], sizes["test"]) == (train - expected, expected, test)


@pytest.mark.parametrize(
    ("images", "shares", "expected"),
    [
        (45, {"train": 30, "val": 6, "test": 9}, (30, 6, 9)),
        (1449, {"train": 0.7, "val": 0.1, "test": 0.2}, (1014, 145, 290)),
        (1449, {"val": 0.1, "test": 0.2}, (1014, 145, 290)),
    ],
)
def test_datasets_without_a_split(images, shares, expected):
    sizes = _sizes(split(_samples(unsplit=images), shares))
    assert (sizes["train"], sizes["val"], sizes["test"]) == expected


def test_the_generator_is_numpys():
    """The choice that the docstring states, spelled out: any change to it moves images between splits."""
    samples = _samples(20, 3)
    validation = {sample.name for sample in split(samples, {"val": 0.2}) if sample.split == "val"}
    order = np.random.default_rng(42).permutation(20)
    assert validation == {f"train/IMG_{i + 1}.jpg" for i in order[:4]}


def test_the_split_is_a_function_of_names_and_seed_and_not_of_their_order():
    samples = _samples(50, 10)

    def by_name(samples, seed):
        return {sample.name: sample.split for sample in split(samples, {"val": 0.2}, seed)}

    assert by_name(samples, 42) == by_name(samples[::-1], 42)
    assert by_name(samples, 42) != by_name(samples, 43)
    assert [sample.name for sample in split(samples, {"val": 0.2})] == [sample.name for sample in samples]
    assert all(s.split == "test" for s in split(samples, {"val": 0.2}) if s.name.startswith("test"))


@pytest.mark.parametrize(
    ("samples", "shares", "message"),
    [
        (_samples(9, 1), {"validation": 0.1}, "'validation' is not a split; expected train, val, test"),
        (_samples(9, 1), {"val": 0.1, "test": 0.1}, "'test' .* give 'val' only"),
        (_samples(unsplit=9), {"val": 0.1}, "without a test split; give 'test'"),
        (
            _samples(unsplit=44),
            {"train": 30, "val": 6, "test": 9},
            r"30 train \+ 6 val \+ 9 test = 45 .* 44",
        ),
        (_samples(unsplit=44), {"train": 0.7, "val": 0.1, "test": 0.3}, "= 1.1; expected shares that add up to 1"),
        (
            _samples(unsplit=44),
            {"train": 30, "val": 0.1, "test": 0.3},
            r"30 train \+ 0.1 val \+ 0.3 test mixes .*; expected one kind",
        ),
        (_samples(9, 1), {"val": 1.0}, "1.0 val .* training .* 9"),
        (_samples(9, 1), {"val": -0.1}, "val: -0.1; expected a share of 0 to 1"),
    ],
)
def test_impossible_splits_are_errors(samples, shares, message):
    with pytest.raises(InputError, match=message):
        split(samples, shares)
