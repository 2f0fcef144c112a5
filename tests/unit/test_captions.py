"""Captions: those of the shipped captioner say where the crowd is, whatever the batch."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from promptmix.errors import InputError
from promptmix.miniature.rendering.crowds import LOCATIONS, render_crowd
from promptmix.synthesis.captions import Captioner, clean

ROOT = Path(__file__).parents[2]
SETTINGS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["captioners"]["clipcap"]

WORDS = {place: place for place in LOCATIONS} | {
    "concert": "concert|stage|band",
    "mecca": "mecca|kaaba",
    "marathon": "marathon|running",
    "beach": "beach|sand",
    "street": "street(?! market)",
    "protest": "protest|signs|banners",
}
"""What a caption of a location has in it."""


def captioner(**changes):
    places = {key: str(ROOT / SETTINGS[key]) for key in ("clip", "tokenizer", "weights")}
    return Captioner(**SETTINGS | places | changes)


@pytest.fixture(scope="module")
def scenes():
    """Two images of each location, which no model was trained on."""
    return [
        render_crowd(np.random.default_rng([99, i]), 96, 64, LOCATIONS[i % len(LOCATIONS)], people=40)
        for i in range(2 * len(LOCATIONS))
    ]


@pytest.fixture(scope="module")
def greedy(scenes):
    return list(captioner().caption(scene.image for scene in scenes))


def right(captions, scenes):
    """Return how many captions have their scene's location in them."""
    return sum(bool(re.search(WORDS[s.location], c)) for c, s in zip(captions, scenes, strict=True))


def test_captions_name_the_location_of_most_images(greedy, scenes):
    assert right(greedy, scenes) >= 16, greedy


def test_captions_are_sentences_of_the_corpus_kind(greedy):
    for caption in greedy:
        assert re.fullmatch(r"[a-z ]+\.", caption), caption
        assert "  " not in caption


def test_the_batch_size_changes_no_caption(greedy, scenes):
    for size in (1, 7):
        assert list(captioner().caption((s.image for s in scenes), batch_size=size)) == greedy


def test_a_beam_finds_captions_too(scenes):
    found = list(captioner(decoding="beam").caption([scene.image for scene in scenes]))
    assert right(found, scenes) >= 16, found


def test_images_of_many_sizes_are_captioned_in_order(scenes, greedy):
    images = [scenes[0].image, scenes[1].image[:60, :80], scenes[2].image]
    assert list(captioner().caption(images))[::2] == greedy[:3:2]


def test_no_images_no_captions():
    assert list(captioner().caption([])) == []


def test_a_caption_has_at_most_so_many_tokens(scenes):
    (caption,) = captioner(max_tokens=2).caption([scenes[0].image])
    assert len(caption.split()) <= 2


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [(" a  crowd on a beach .", "a crowd on a beach."), ("a room , empty .", "a room, empty."), ("", "")],
)
def test_spaces_are_cleaned(text, cleaned):
    assert clean(text) == cleaned


@pytest.mark.parametrize("key", ["clip", "tokenizer"])
@pytest.mark.parametrize("name", ["none", "no/such", "no/such/folder"])
def test_a_missing_folder_is_named(key, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=rf"^{name}: no \w+ could be loaded\. There is no such folder.*resources/models"
    ):
        captioner(**{key: name})


@pytest.mark.parametrize("key", ["clip", "tokenizer"])
def test_a_folder_with_something_else_in_it_is_distinguished_from_a_missing_one(key, tmp_path):
    with pytest.raises(InputError, match="The folder exists, but does not hold it"):
        captioner(**{key: str(tmp_path)})


def test_an_unknown_decoding_is_refused():
    with pytest.raises(InputError, match="decoding is 'sampling'.*'greedy' or 'beam'"):
        captioner(decoding="sampling")


def test_missing_weights_are_named():
    with pytest.raises(InputError, match=r"No weights at none\.safetensors"):
        captioner(weights="none.safetensors")
