"""Prompts that a language model writes: different ones, each the same again whatever else is drawn."""

import re

import pytest
from support import language as tiny

from promptmix.errors import InputError
from promptmix.synthesis import writers
from promptmix.synthesis.writers import INSTRUCTIONS, Writer, check_writer, tidy

CAPTIONS = ["a crowd of people at night", "a street in bright light", "a crowd of people at night"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.save_writer(tmp_path_factory.mktemp("writer")))


@pytest.fixture(scope="module")
def writer(model):
    return Writer(model, "caption", max_tokens=6)


def test_each_caption_has_as_many_different_texts(writer):
    found = writer.write(CAPTIONS, 4)
    assert list(found) == CAPTIONS[:2]
    for caption, texts in found.items():
        assert len({text.lower() for text in (*texts, caption)}) == 5
        assert all(re.fullmatch(r"[a-z .,:]*[a-z][a-z .,:]*", text) for text in texts), texts
    assert not set(found[CAPTIONS[0]]) & set(found[CAPTIONS[1]])


def test_a_text_is_the_same_however_many_and_whichever_others_are_drawn(writer):
    many = writer.write(CAPTIONS, 4)
    assert writer.write(CAPTIONS[1:2], 2)[CAPTIONS[1]] == many[CAPTIONS[1]][:2]
    assert writer.write(CAPTIONS[::-1], 4) == many


def test_seed_temperature_and_instruction_change_texts(model, writer):
    usual = writer.write(CAPTIONS[:1], 3)
    for changed in ({"seed": 1}, {"temperature": 2.0}, {"instruction": "describe [caption] in one sentence"}):
        assert Writer(model, "caption", max_tokens=6, **changed).write(CAPTIONS[:1], 3) != usual


def test_a_model_without_a_chat_template_goes_on_from_the_instruction(tmp_path):
    plain = Writer(str(tiny.save_writer(tmp_path, chat=False)), "topic", max_tokens=6)
    (texts,) = plain.write(["people at a marathon"], 3).values()
    assert len(set(texts)) == 3
    assert plain.tokenizer.decode(writers._tokens_of(plain.tokenizer, "the crowd")["input_ids"][0]) == "the crowd"


def test_a_text_that_is_there_already_is_drawn_again_and_then_it_is_an_error(writer, monkeypatch):
    drawn = []

    def draw(subject, number, attempt):
        drawn.append((number, attempt))
        return {(0, 0): "", (0, 1): "A crowd", (1, 0): "a crowd.", (1, 1): CAPTIONS[0], (1, 2): "rain"}.get(
            (number, attempt), "rain"
        )

    monkeypatch.setattr(writer, "_draw", draw)
    assert writer.write(CAPTIONS[:1], 2) == {CAPTIONS[0]: ["A crowd", "rain"]}
    assert drawn == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    message = rf"2 of 3 different texts about '{CAPTIONS[0]}'.*{writers.ATTEMPTS} times.*'rain'.*`temperature`.*`count`"
    with pytest.raises(InputError, match=message):
        writer.write(CAPTIONS[:1], 3)


def test_empty_captions_cannot_be_varied(writer):
    with pytest.raises(InputError, match="1 of 2 captions are empty"):
        writer.write(["", "a crowd"], 1)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("A crowd at night.", "A crowd at night."),
        ('\n "A crowd,  at night."\nAnother one.', "A crowd, at night."),
        ("Here is a description:\n\n1. **A crowd** at night", "A crowd** at night"),
        ("- a crowd", "a crowd"),
        ("...\n:\n", ""),
        ("", ""),
    ],
)
def test_of_an_answer_the_first_line_that_says_something_is_kept(answer, text):
    assert tidy(answer) == text


# --- What is refused ---


def refused(model, **settings):
    with pytest.raises(InputError) as of_check:
        check_writer(str(model), "topic", **settings)
    with pytest.raises(InputError) as of_job:
        Writer(str(model), "topic", **settings)
    assert str(of_check.value) == str(of_job.value)
    return str(of_job.value)


def test_what_writes_is_not_refused(model):
    check_writer(model, "caption", max_tokens=6, count=3, topic="x", seed=1, temperature=0.5)


def test_models_that_write_no_text_are_refused(tmp_path):
    assert "of the type blip, which is not a causal language model" in refused(tiny.save_blip(tmp_path / "blip"))
    assert "there is no such folder" in refused(tmp_path / "none")


def test_a_model_without_its_tokeniser_is_refused(tmp_path):
    folder = tiny.save_writer(tmp_path)
    (folder / "tokenizer.json").unlink()
    assert "no tokenizer.json" in refused(folder)


def test_a_text_longer_than_the_model_s_positions_is_refused(model):
    assert re.search(r"max_tokens is 300, after \d+ tokens.*256 positions", refused(model, max_tokens=300))


def test_the_instructions_have_the_places_that_they_need():
    assert "[caption]" in INSTRUCTIONS["caption"] and "[topic]" in INSTRUCTIONS["topic"]
