"""Heads of a whole dataset: what tells pixels from other units, right axes from swapped ones, and kept from dropped."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest

from promptmix.datasets.heads import settle
from promptmix.datasets.sample import Sample
from promptmix.errors import InputError

SIZE = (960, 640)
FILE = Path("own/points.csv")


def sample(points, name="1.jpg", split="train", size=SIZE, **options):
    points = np.array(points, dtype=np.float64).reshape(-1, 2)
    return Sample(name, Path(name), split, *size, points, annotation=FILE, **options)


def spread(count, seed=0, size=SIZE):
    """Return (count, 2) points all over an image, with heads near its edges."""
    return np.random.default_rng(seed).uniform(0, 1, (count, 2)) * size


def dataset(heads=12, images=4, scale=1.0, size=SIZE, split="train"):
    return [sample(spread(heads, i, size) * scale, f"{split}/{i}.jpg", split, size) for i in range(images)]


def test_right_heads_are_left_alone(caplog):
    found = settle(dataset(), "own")
    for before, after in zip(dataset(), found, strict=True):
        np.testing.assert_array_equal(after.points, before.points)
        assert after.outside == 0
    assert caplog.text == ""


def test_coordinates_that_begin_at_1_are_reduced():
    (found,) = settle([sample([[0, 0], [960, 640], [960.5, 9], [1, 5], [8, 3]])], "own", origin=1)
    assert found.points.tolist() == [[0, 0], [959, 639], [0, 4], [7, 2]]
    assert found.outside == 1


# --- units


@pytest.mark.parametrize("stray", [[], [[1.0004, 0.5]], [[480, 320]], [[1.02, 1.01]]])
def test_fractions_are_told_even_if_one_head_is_not(stray):
    samples = [*dataset(scale=1 / np.array(SIZE)), sample(stray, "stray.jpg")]
    with pytest.raises(
        InputError, match=r"points\.csv: (all|most) .*0 and 1, like fractions.*multiply.*width and height"
    ):
        settle(samples, "own")


def test_fractions_in_one_part_only():
    samples = [*dataset(), *dataset(3, 1, 1 / np.array(SIZE), split="test")]
    with pytest.raises(InputError, match=r"of 'test' are between 0 and 1"):
        settle(samples, "own")


def test_fractions_in_one_image_only():
    samples = [*dataset(images=30), sample(spread(4) / SIZE, "odd.jpg")]
    with pytest.raises(InputError, match=r"in odd\.jpg are between 0 and 1"):
        settle(samples, "own")


def test_a_head_in_the_corner_of_its_image_is_no_fraction(caplog):
    (*_, last) = settle([*dataset(), sample([[0.5, 0.5]], split="test")], "own")
    assert last.points.tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("end", "size", "unit"),
    [(100, SIZE, "percentages"), (1000, (4000, 3000), "thousandths"), (1000, (1920, 1080), "thousandths")],
)
def test_units_that_do_not_depend_on_the_image_are_told(end, size, unit):
    samples = dataset(scale=end / np.array(size), size=size)
    with pytest.raises(InputError, match=rf"points\.csv: .* 0 and {end}, .*{size[0]}x{size[1]} pixels, like {unit}"):
        settle(samples, "own")
    mixed = [*dataset(size=size), *dataset(size=size, scale=end / np.array(size), split="test")]
    with pytest.raises(InputError, match=rf"of 'test' are between 0 and {end}, .*{unit}"):
        settle(mixed, "own")


def test_small_images_may_be_full_of_small_coordinates(caplog):
    assert sum(found.count for found in settle(dataset(size=(128, 96)), "own")) == 48
    assert sum(found.count for found in settle(dataset(size=(1024, 1024)), "own")) == 48
    assert caplog.text == ""


def test_images_that_were_enlarged_are_asked_about(caplog):
    assert sum(found.count for found in settle(dataset(scale=0.5), "own")) == 48
    assert re.search(r"no head .*farther right than \d\d % .*enlarged", caplog.text)


# --- axes


@pytest.mark.parametrize("size", [(960, 640), (600, 800), (640, 480)])
def test_swapped_axes_are_told(size):
    samples = dataset(size=size)
    swapped = [sample(one.points[:, ::-1], one.name, size=size) for one in samples]
    with pytest.raises(InputError, match=r"points\.csv: .* outside .* x and y swapped none would be.*swap x and y"):
        settle(swapped, "own")


def test_swapped_axes_in_one_part_only():
    swapped = [sample(one.points[:, ::-1], one.name, "test") for one in dataset(6, 2, split="test")]
    with pytest.raises(InputError, match=r"heads of 'test' are outside .*swapped"):
        settle([*dataset(), *swapped], "own")


def test_one_head_below_the_image_does_not_swap_the_axes(caplog):
    samples = [*dataset(), sample([[300, 660]], "below.jpg")]
    assert [found.outside for found in settle(samples, "own")] == [0, 0, 0, 0, 1]
    assert re.search(r"1 of 49 heads .*\(300, 660\) in below\.jpg of 960x640 pixels: dropped", caplog.text)


# --- outside


def test_images_that_were_halved_are_refused():
    with pytest.raises(InputError, match=r"points\.csv: \d+ of 48 heads are outside .*pixels of the image file"):
        settle(dataset(scale=2), "own")


def test_each_image_is_judged():
    """Of one image of many all heads are outside: few of all heads."""
    samples = [*dataset(images=30), sample(spread(3) + SIZE, "resized.jpg")]
    with pytest.raises(InputError, match=r"points\.csv: 3 of 3 heads of an image .* in resized\.jpg of 960x640 pixels"):
        settle(samples, "own")


def test_someone_who_leaves_the_picture_is_no_error(caplog):
    samples = [*dataset(), sample([[965, 30]], "leaving.jpg")]
    assert [found.outside for found in settle(samples, "own")] == [0, 0, 0, 0, 1]
    assert "1 of 49 heads are outside" in caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinates_that_are_no_numbers(value):
    with pytest.raises(InputError, match=r"points\.csv: .*not finite.* in odd\.jpg .*Fetch or copy"):
        settle([*dataset(), sample([[3, value]], "odd.jpg")], "own")


# --- none, and twice


def test_a_test_part_of_empty_scenes_is_allowed(caplog):
    found = settle([*dataset(), sample([], "empty.jpg", "test")], "own")
    assert found[-1].count == 0
    assert "no heads in any image of 'test'" in caplog.text


@pytest.mark.parametrize("split", ["", "train"])
def test_no_heads_to_learn_from(split):
    with pytest.raises(InputError, match=r"points\.csv: no heads.*Expected at least one"):
        settle([sample([], split=split)], "own")
    with pytest.raises(InputError, match=r"no heads in any image of 'train'"):
        settle([sample([]), *dataset(split="test")], "own")


def test_heads_at_one_place_are_told_of_and_counted(caplog):
    samples = dataset()
    twice = np.concatenate([samples[0].points, samples[0].points[:3]])
    assert settle([sample(twice, "a.jpg"), *samples[1:]], "own")[0].count == 15
    assert re.search(r"3 heads are at exactly the place of another .* in a\.jpg ", caplog.text)
    caplog.clear()
    settle([sample([[5, 5], [900, 600]], "a.jpg"), sample([[5, 5], [900, 600]], "b.jpg")], "own")
    assert caplog.text == ""


def test_images_to_be_turned_are_told_of(caplog):
    settle([*dataset(), sample(spread(5), "phone.jpg", orientation=6)], "own")
    assert re.search(
        r"1 images have an EXIF tag Orientation, such as phone\.jpg \(6\).*mogrify -auto-orient", caplog.text
    )


def test_the_log_says_how_many_heads_there_are(caplog):
    with caplog.at_level(logging.INFO):
        settle([*dataset(), sample([], "empty.jpg")], "own")
    assert "own: 48 heads in 5 images, 1 of them without heads" in caplog.text
