"""Prompts from captions, and by hand."""

import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.prompts import COLUMNS, by_hand, from_captions, prompt

SUFFIX = {"grey": "grey photo", "colour": "colour photo"}


@pytest.fixture
def images():
    """A dataset's index: two training images, one of them grey, a validation and a test image."""
    rows = [
        ["a.jpg", "train", 96, 64, 0, 75],
        ["b.jpg", "train", 80, 60, 1, 91],
        ["c.jpg", "val", 96, 64, 0, 75],
        ["d.jpg", "test", 96, 64, 0, 75],
    ]
    return pd.DataFrame(rows, columns=["image", "split", "width", "height", "grey", "quality"])


def captions(**texts):
    return pd.DataFrame([{"image": f"{name}.jpg", "caption": text} for name, text in texts.items()])


@pytest.mark.parametrize(
    ("caption", "prefix", "suffix", "expected"),
    [
        ("a street.", "large crowd", "colour photo", "large crowd, a street, colour photo"),
        ("a street", "large crowd", "grey photo", "large crowd, a street, grey photo"),
        (" a street . ", " large crowd ", "grey photo.", "large crowd, a street, grey photo"),
        ("mr. x in a street.", "", "", "mr. x in a street"),
        ("a street.", "", "grey photo", "a street, grey photo"),
        ("", "large crowd", "", "large crowd"),
        (".", "large crowd", "grey photo", "large crowd, grey photo"),
        ("", " ", "", ""),
    ],
)
def test_a_prompt_is_prefix_caption_and_suffix(caption, prefix, suffix, expected):
    assert prompt(caption, prefix, suffix) == expected


def test_each_caption_becomes_a_prompt_with_its_images_colour_size_and_quality(images):
    found = from_captions(captions(b="a concert.", a="a street."), images, "large crowd", SUFFIX)
    assert list(found.columns) == COLUMNS
    assert found.to_numpy().tolist() == [
        ["large crowd, a concert, grey photo", 80, 60, 91, 1, "b.jpg"],
        ["large crowd, a street, colour photo", 96, 64, 75, 0, "a.jpg"],
    ]


@pytest.mark.parametrize("stranger", ["c", "d", "e"])
def test_captions_of_other_than_training_images_are_refused(images, stranger):
    with pytest.raises(InputError, match=rf"the caption of {stranger}\.jpg is not of a training image"):
        from_captions(captions(a="a street.", **{stranger: "a concert."}), images, "large crowd", SUFFIX)


def test_an_empty_prompt_is_refused_with_its_number(images):
    with pytest.raises(InputError, match="prompt 2 of 2 is empty; give a prefix, a caption or a suffix"):
        from_captions(captions(a="a street.", b=""), images, "", {"grey": "", "colour": ""})
    with pytest.raises(InputError, match="prompt 1 of 1 is empty"):
        by_hand([" "], 96, 64, 75)


def test_no_captions_make_no_prompts(images):
    none = from_captions(pd.DataFrame(columns=["image", "caption"]), images, "large crowd", SUFFIX)
    assert none.empty and list(none.columns) == COLUMNS


def test_prompts_by_hand_stay_as_they_are():
    found = by_hand(["A crowd. In grey.", "a street"], 96, 64, 85)
    assert list(found.columns) == COLUMNS
    assert found.to_numpy().tolist() == [
        ["A crowd. In grey.", 96, 64, 85, 0, ""],
        ["a street", 96, 64, 85, 0, ""],
    ]
