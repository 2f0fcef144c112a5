"""Blocks of images: nothing more is made than is asked for, and a pool that grows keeps the blocks that it has."""

import numpy as np
import pytest

from promptmix.config.blocks import check_number, cover, name_of, seeds_of
from promptmix.errors import InputError


def test_a_block_s_name_says_which_images_it_holds():
    assert name_of(range(100, 124)) == "00100-00123"
    assert seeds_of("00100-00123") == range(100, 124)
    assert seeds_of(name_of(range(7, 8))) == range(7, 8)


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (0, []),
        (1, ["00000-00000"]),
        (24, ["00000-00023"]),
        (100, ["00000-00099"]),
        (101, ["00000-00099", "00100-00100"]),
        (250, ["00000-00099", "00100-00199", "00200-00249"]),
    ],
)
def test_the_last_block_holds_no_more_than_is_asked_for(images, names):
    assert cover(images, images) == names


def test_a_block_that_several_share_is_made_for_the_one_that_asks_for_most():
    assert cover(24, 36) == cover(30, 36) == cover(36, 36) == ["00000-00035"]
    assert cover(24, 130) == ["00000-00099"] and cover(110, 130) == ["00000-00099", "00100-00129"]


def test_blocks_can_be_larger_and_those_that_are_there_stay():
    assert cover(400, 400, size=400) == ["00000-00399"]
    assert cover(450, 450, ["00000-00099", "00100-00199"], 400) == [
        *("00000-00099", "00100-00199", "00200-00399", "00400-00449"),
    ]
    assert cover(450, 450, ["00000-00399"]) == ["00000-00399", "00400-00449"]


@pytest.mark.parametrize(
    ("images", "made", "names"),
    [
        (36, ["00000-00023"], ["00000-00023", "00024-00035"]),  # raised
        (10, ["00000-00023"], ["00000-00023"]),  # lowered
        (24, ["00000-00023", "00024-00035"], ["00000-00023"]),  # and lowered again
        (30, ["00000-00023", "00024-00035"], ["00000-00023", "00024-00035"]),
        (60, ["00000-00023", "00024-00035"], ["00000-00023", "00024-00035", "00036-00059"]),  # raised twice
        (250, ["00000-00023"], ["00000-00023", "00024-00099", "00100-00199", "00200-00249"]),
        (36, ["00024-00035"], ["00000-00023", "00024-00035"]),  # one was lost
        (24, ["00000-00009", "00000-00035"], ["00000-00035"]),
    ],
)
def test_a_pool_goes_on_from_the_blocks_that_are_there(images, made, names):
    assert cover(images, images, made) == names
    assert cover(images, images, reversed(made)) == names


def test_however_a_pool_has_grown_each_image_is_made_once_and_no_block_is_given_up():
    rng = np.random.default_rng(0)
    for _ in range(200):
        made: set[str] = set()
        for asked in rng.integers(1, 450, 8).tolist():
            everything = cover(asked, asked, made)
            seeds = [seed for name in everything for seed in seeds_of(name)]
            assert seeds == list(range(len(seeds))) and len(seeds) >= asked
            new = set(everything) - made
            assert sum(len(seeds_of(name)) for name in new) == max(0, asked - sum(len(seeds_of(name)) for name in made))
            # A part of the images is in the same blocks, before the new ones are made and after.
            part = int(rng.integers(1, asked + 1))
            some = cover(part, asked, made)
            assert some == everything[: len(some)] == cover(part, asked, made | new)
            made |= new


def test_a_pool_has_a_largest_number_of_images():
    assert cover(100_000, 100_000)[-1] == "99900-99999"
    for refuse in (check_number, lambda images: cover(images, images)):
        with pytest.raises(InputError, match="100001 images of one pool are asked for; there can be 100000. Lower k"):
            refuse(100_001)
