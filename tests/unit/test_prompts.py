"""Prompts from captions, and by hand."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from support.scripts import run_script

from promptmix.config.pools import expand
from promptmix.datasets.index import Index
from promptmix.errors import InputError
from promptmix.records.prompts import PROMPTS
from promptmix.records.texts import TEXTS
from promptmix.synthesis.prompts import by_hand, edit, from_captions, prompt
from promptmix.synthesis.reviewing import find

SUFFIX = {"grey": "grayscale image", "colour": "color image"}


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
        ("a street.", "large crowd", "color image", "large crowd, a street, color image"),
        ("a street", "large crowd", "grayscale image", "large crowd, a street, grayscale image"),
        (" a street . ", " large crowd ", "grayscale image.", "large crowd, a street, grayscale image"),
        ("mr. x in a street.", "", "", "mr. x in a street"),
        ("a street.", "", "grayscale image", "a street, grayscale image"),
        ("", "large crowd", "", "large crowd"),
        (".", "large crowd", "grayscale image", "large crowd, grayscale image"),
        ("", " ", "", ""),
    ],
)
def test_a_prompt_is_prefix_caption_and_suffix(caption, prefix, suffix, expected):
    assert prompt(caption, prefix, suffix) == expected


def test_each_caption_becomes_a_prompt_with_its_images_colour_size_and_quality(images):
    found = from_captions(captions(b="a concert.", a="a street."), images, "large crowd", SUFFIX)
    assert list(found.columns) == [*PROMPTS.columns]
    assert found.to_numpy().tolist() == [
        ["large crowd, a concert, grayscale image", 80, 60, 91, 1, "b.jpg"],
        ["large crowd, a street, color image", 96, 64, 75, 0, "a.jpg"],
    ]


def test_a_pool_can_have_one_quality(images):
    found = from_captions(captions(b="a concert.", a="a street."), images, "large crowd", SUFFIX, 91)
    assert found["quality"].tolist() == [91, 91]


def test_edited_prompts_keep_size_quality_and_source(images):
    pool = from_captions(captions(b="a concert.", a="a street."), images, "", {"grey": "", "colour": ""})
    found = edit(pool, [{"prompt": "a street", "to": "a road"}, {"prompt": 0, "to": "a show"}], "mine")
    assert list(found.columns) == [*PROMPTS.columns]
    assert found.to_numpy().tolist() == [["a road", 96, 64, 75, 0, "a.jpg"], ["a show", 80, 60, 91, 1, "b.jpg"]]


def test_prompts_of_a_review_are_found_by_number_and_text():
    texts = ["a street", "a concert", "a street"]
    assert find(texts, 1, "mine") == [1] and find(texts, "a street", "mine") == [0, 2]
    with pytest.raises(
        InputError, match=r"reviewed\.mine: 'a stret' is not one of its 3 prompts.*'a street'.*mine\.csv"
    ):
        find(texts, "a stret", "mine")
    with pytest.raises(InputError, match=r"reviewed\.mine: 3 is not one of its 3 prompts"):
        find(texts, 3, "mine")


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
    assert none.empty and list(none.columns) == [*PROMPTS.columns]


def test_prompts_by_hand_stay_as_they_are():
    found = by_hand(["A crowd. In grey.", "a street"], 96, 64, 85)
    assert list(found.columns) == [*PROMPTS.columns]
    assert found.to_numpy().tolist() == [
        ["A crowd. In grey.", 96, 64, 85, 0, ""],
        ["a street", 96, 64, 85, 0, ""],
    ]


# --- Locations ---


def test_a_prompt_with_a_location_stands_once_for_each():
    texts = ["large crowd, [location]", "a street", "[location], [location] at night"]
    assert expand(texts, ["stadium", "beach"]) == [
        "large crowd, stadium",
        "large crowd, beach",
        "a street",
        "stadium, stadium at night",
        "beach, beach at night",
    ]
    assert expand(["a street", "a [place]"]) == ["a street", "a [place]"]


def test_locations_and_their_place_need_each_other():
    with pytest.raises(
        InputError, match=r"'large crowd, \[location\]' has a \[location\], and there are no `locations`"
    ):
        expand(["a street", "large crowd, [location]"])
    with pytest.raises(InputError, match=r"none of the prompts says where they belong; write \[location\] in one"):
        expand(["a street", "at [locations]"], ["stadium"])
    with pytest.raises(InputError, match=r"locations\[1\] is empty"):
        expand(["at [location]"], ["stadium", " "])


def test_counting_prompts_imports_little():
    """The config does at every start of Snakemake."""
    code = "import sys, promptmix.config.pools; print({'pandas', 'numpy', 'torch'} & set(sys.modules))"
    scripts = Path(__file__).parents[2] / "scripts"
    assert subprocess.run([sys.executable, "-c", code], cwd=scripts, text=True, capture_output=True).stdout == "set()\n"


# --- Written by a language model ---


def test_what_a_language_model_wrote_takes_the_captions_place(images, tmp_path, monkeypatch):
    texts = [
        {"image": "b.jpg", "text": "a show"},
        {"image": "a.jpg", "text": "a road"},
        {"image": "b.jpg", "text": "1"},
    ]
    TEXTS.write(tmp_path / "texts.csv", texts)
    monkeypatch.setattr(Index, "open", lambda path: SimpleNamespace(frame=images))

    def write(pool, **source):
        run_script(
            "write_prompts",
            input={"texts": [tmp_path / "texts.csv"]} | source,
            params={"pool": pool, "words": {"prefix": "large crowd", "suffix": SUFFIX}},
            output=[tmp_path / "prompts.csv"],
        )
        return PROMPTS.read(tmp_path / "prompts.csv").to_numpy().tolist()

    varied = {"dataset": "shtb", "captioner": "chat", "written_by": True}
    assert write(varied, index=tmp_path / "index.csv") == [
        ["large crowd, a show, grayscale image", 80, 60, 91, 1, "b.jpg"],
        ["large crowd, a road, color image", 96, 64, 75, 0, "a.jpg"],
        ["large crowd, 1, grayscale image", 80, 60, 91, 1, "b.jpg"],
    ]
    on_topic = {"width": 48, "height": 32, "quality": 80, "written_by": True}
    assert write(on_topic) == [[text, 48, 32, 80, 0, ""] for text in ("a show", "a road", "1")]
