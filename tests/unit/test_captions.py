"""Captions: those of the shipped captioner say where the crowd is, whatever the batch."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file, save_file

from promptmix.errors import InputError
from promptmix.miniature.rendering.crowds import LOCATIONS, SIZES, describe, render_crowd
from promptmix.preflight.models import find_problems
from promptmix.synthesis.captioning import check_captions, clean
from promptmix.synthesis.captions import Captioner, check_weights

ROOT = Path(__file__).parents[2]
SETTINGS = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["captioners"]["clipcap"]

WORDS = {place: place for place in LOCATIONS} | {
    "public speech": "speech|lectern",
    "mecca": "mecca|kaaba",
    "bus station": r"\bbus",
    "train station": r"\btrain\b",
    "concert": "concert|bright lights|band",
    "marathon": "marathon|running",
    "streets": "street",
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


def test_the_words_of_a_location_are_in_its_captions_and_in_no_others():
    rng = np.random.default_rng(0)
    for location in LOCATIONS:
        for caption in {describe(rng, location, size) for size in SIZES for _ in range(60)}:
            assert [place for place in LOCATIONS if re.search(WORDS[place], caption)] == [location], caption


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
    [(" a  crowd on a street .", "a crowd on a street."), ("a room , empty .", "a room, empty."), ("", "")],
)
def test_spaces_are_cleaned(text, cleaned):
    assert clean(text) == cleaned


@pytest.mark.parametrize("key", ["clip", "tokenizer"])
@pytest.mark.parametrize("name", ["none", "no/such", "no/such/folder"])
def test_a_missing_folder_is_named(key, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError,
        match=rf"^{name}: there is no such folder.*a \w+: a folder in transformers' format.*resources/models",
    ):
        captioner(**{key: name})


@pytest.mark.parametrize(("key", "file"), [("clip", "config.json"), ("tokenizer", "tokenizer.json")])
def test_a_folder_with_something_else_in_it_is_distinguished_from_a_missing_one(key, file, tmp_path):
    with pytest.raises(InputError, match=f"^{tmp_path} is no .*incomplete: .*{file}"):
        captioner(**{key: str(tmp_path)})


@pytest.fixture
def clip(tmp_path):
    """A CLIP to be damaged."""
    return shutil.copytree(ROOT / SETTINGS["clip"], tmp_path / "clip")


def refused(**changes) -> str:
    """Return what the job says of a captioner, which is what preflight says."""
    with pytest.raises(InputError) as error:
        captioner(**changes)
    entry = SETTINGS | {key: str(ROOT / SETTINGS[key]) for key in ("clip", "tokenizer", "weights")} | changes
    found = find_problems(entry["clip"], ["clip"]) + find_problems(entry["tokenizer"], ["tokenizer"])
    if not found:
        with pytest.raises(InputError) as of_preflight:
            check_weights(**{key: entry[key] for key in ("weights", "clip", "tokenizer", "settings")})
        found = [str(of_preflight.value)]
    assert found == [str(error.value)]
    return found[0]


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_clip_whose_weights_lack_its_image_encoder_is_refused(clip):
    weights = {key: t for key, t in load_file(clip / "model.safetensors").items() if not key.startswith("vision_model")}
    save_file(weights, clip / "model.safetensors", {"format": "pt"})
    assert re.search(r"the weights lack \d\d tensors of a CLIPVisionModel.*vision_model\.", refused(clip=str(clip)))


@pytest.mark.parametrize("kind", ["gpt2", "clip_text_model", "siglip", None])
def test_another_kind_of_model_in_the_place_of_clip_is_refused(clip, kind):
    edit(clip / "config.json", model_type=kind)
    assert f"config.json: a model of the type {kind}; expected clip" in refused(clip=str(clip))


def test_a_clip_that_clipcap_was_not_trained_with_is_refused(clip):
    vision = json.loads((clip / "config.json").read_text())["vision_config"]
    edit(clip / "config.json", projection_dim=64, vision_config=vision | {"projection_dim": 64})
    weights = load_file(clip / "model.safetensors")
    weights["visual_projection.weight"] = weights["visual_projection.weight"][:64].contiguous()
    save_file(weights, clip / "model.safetensors", {"format": "pt"})
    assert "by 64 numbers, and ClipCap's weights take 128" in refused(clip=str(clip))


def test_an_image_processor_of_another_clip_is_refused(clip):
    edit(clip / "preprocessor_config.json", crop_size={"height": 48, "width": 48})
    assert "prepared as preprocessor_config.json says, could not be read" in refused(clip=str(clip))


def test_a_tokeniser_of_another_language_model_is_refused(clip):
    tokenizer = json.loads((clip / "tokenizer.json").read_text())
    for word in list(tokenizer["model"]["vocab"])[400:800]:
        del tokenizer["model"]["vocab"][word]
    tokenizer["model"]["merges"] = []
    (clip / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert re.search(r"tokeniser has \d+ tokens, and ClipCap's GPT-2 has 877", refused(tokenizer=str(clip)))


def test_captions_that_say_nothing_are_an_error_or_counted(caplog):
    check_captions(["a crowd.", "a street."])
    check_captions(["a crowd."])
    assert caplog.messages == []
    with pytest.raises(InputError, match="all 40 captions are empty.*`tokenizer`"):
        check_captions([""] * 40)
    check_captions(["", "a crowd.", ""])
    check_captions(["a crowd."] * 40)
    assert caplog.messages[0] == "2 of 3 captions are empty"
    assert caplog.messages[1].startswith("all 40 captions are the same: 'a crowd.'")


def test_an_unknown_decoding_is_refused():
    with pytest.raises(InputError, match="decoding is 'sampling'.*'greedy' or 'beam'"):
        captioner(decoding="sampling")


def test_missing_weights_are_named():
    with pytest.raises(InputError, match=r"No weights at none\.safetensors"):
        captioner(weights="none.safetensors")
