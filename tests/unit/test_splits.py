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


# --- Groups


def _cameras(sizes, folder="images"):
    """Return samples of cameras a, b, ... of these sizes."""
    names = [f"cam{'abcdefgh'[c]}_{i}" for c, size in enumerate(sizes) for i in range(size)]
    split = "train" if folder == "train/images" else ""
    return [Sample(f"{folder}/{name}.jpg", None, split, 8, 8, np.zeros((0, 2))) for name in names]


def _camera(sample):
    return sample.name.split("/")[-1].split("_")[0]


@pytest.mark.parametrize("pattern", ["(cam.)_", "^cam.", "^(c)a(m.)"])
def test_images_of_one_group_are_in_one_split(pattern):
    samples = split(_cameras([4, 6, 3, 7, 10, 10]), {"val": 0.25, "test": 0.25, "group": pattern})
    assert _sizes(samples) == {"val": 10, "test": 10, "train": 20}
    splits = {}
    for sample in samples:
        splits.setdefault(_camera(sample), set()).add(sample.split)
    assert len(splits) == 6 and all(len(found) == 1 for found in splits.values())


def test_groups_of_a_dataset_with_test_images(caplog):
    test = Sample("test/images/cama_9.jpg", None, "test", 8, 8, np.zeros((0, 2)))
    samples = split([*_cameras([4, 4, 2], "train/images"), test], {"val": 4, "group": "(cam.)_"})
    assert _sizes(samples) == {"val": 4, "train": 6, "test": 1}
    assert len({_camera(sample) for sample in samples if sample.split == "val"}) == 1
    assert "1 groups in common, such as 'cama'" in caplog.text


def test_which_groups_depends_on_the_seed_and_not_on_the_order():
    samples = _cameras([5] * 8)

    def chosen(samples, seed):
        return {_camera(s) for s in split(samples, {"val": 5, "test": 5, "group": "cam."}, seed) if s.split == "val"}

    assert chosen(samples, 1) == chosen(samples[::-1], 1)
    assert len({frozenset(chosen(samples, seed)) for seed in range(9)}) > 2


def test_groups_come_from_a_column():
    samples = _cameras([2, 2, 2])
    column = {sample.name: f"c{i % 3}" for i, sample in enumerate(samples)}
    found = split(samples, {"val": 2, "test": 2, "group_column": "camera"}, 42, column)
    assert {frozenset(s.split for s in found if column[s.name] == f"c{i}") for i in range(3)} == {
        frozenset([name]) for name in ("train", "val", "test")
    }
    del column[samples[3].name]
    with pytest.raises(
        InputError, match=r"split: camb_1\.jpg: .*no value in the column 'camera' \(1 such.*empty x and y"
    ):
        split(samples, {"val": 2, "test": 2, "group_column": "camera"}, 42, column)


@pytest.mark.parametrize(
    ("sizes", "settings", "message"),
    [
        ([4, 6, 10], {"val": 5}, r"\(cama 4, camb 6, camc 10 images\) do not make up 5 images in 'val'.*`val: 4 or 6`"),
        ([3, 3], {"val": 0.2}, r"do not make up 1 images in 'val'.*`val: 3`"),
        ([9], {"val": 3}, r"all 9 images are of one group, 'cama'"),
        ([2, 2], {"val": 2, "group": "kam"}, r"cama_0\.jpg: the pattern 'kam' .*\(4 such images.*correct the pattern"),
    ],
)
def test_groups_that_do_not_make_up_the_numbers(sizes, settings, message):
    with pytest.raises(InputError, match=f"split: .*{message}"):
        split(_cameras(sizes, "train/images") + _samples(test=1), {"group": "cam."} | settings)


def test_validation_images_that_a_dataset_comes_with_stay():
    samples = [Sample(name, None, name, 8, 8, np.zeros((0, 2))) for name in ("train", "val", "test")]
    assert [sample.split for sample in split(samples, None)] == ["train", "val", "test"]
    with pytest.raises(InputError, match="comes with validation images .* take `split` away"):
        split(samples, {"val": 0.2})
    with pytest.raises(InputError, match="split is missing, .*without validation images"):
        split(_samples(3, 1), None)
