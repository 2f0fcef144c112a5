"""The corpus of rendered, captioned images."""

import numpy as np
import pytest

from promptmix.datasets.index import Index
from promptmix.miniature.rendering import corpus
from promptmix.miniature.rendering.crowds import COLOURS, LOCATION_WORDS, LOCATIONS
from promptmix.miniature.rendering.rooms import ROOMS

PREFIXES = tuple(corpus.SIZE_WORDS.values())


@pytest.mark.parametrize("number", range(4))
def test_an_image_is_a_function_of_seed_and_number(number):
    first, again, other = (corpus.render(seed, number, share_of_rooms=0.5) for seed in (1, 1, 2))
    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])
    np.testing.assert_array_equal(first[2], again[2])
    assert first[1].shape != other[1].shape or (first[1] != other[1]).any()


def test_crowds_have_heads_and_a_size_and_rooms_have_neither():
    for number in range(6):
        row, pixels, heads = corpus.render(1, number, share_of_rooms=0)
        assert (row["width"], row["height"]) in corpus.SHAPES["crowd"]
        assert pixels.shape == (row["height"], row["width"], 3)
        assert row["place"] in LOCATIONS and row["size"] in corpus.SIZE_WORDS
        assert (pixels == pixels[..., :1]).all() == (row["colours"] != "color")
        assert heads.shape == (row["count"], 4) and row["count"] > 0
        assert (heads > 0).all() and (heads[:, :2] < (row["width"], row["height"])).all()
    row, pixels, heads = corpus.render(1, 0, share_of_rooms=1)
    assert row["place"] in ROOMS
    assert (row["size"], row["colours"], row["count"], len(heads)) == ("", "color", 0, 0)
    assert pixels.shape[:2] == (72, 96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    corpus.render_corpus(folder, images=16, seed=3, share_of_rooms=0.25, processes=1)
    return folder


def test_the_corpus_is_read_like_a_prepared_dataset(folder):
    index, rows = Index.open(folder / "index.csv"), corpus.read_rows(folder)
    assert len(index.split("train")) == len(rows) == 16
    for i in range(16):
        row, pixels, heads = corpus.render(3, i, share_of_rooms=0.25)
        np.testing.assert_array_equal(index.image(i), pixels)
        np.testing.assert_allclose(index.heads(i), heads, rtol=1e-6)
        assert rows.loc[i, list(row)].to_dict() == row


def test_a_batch_is_of_one_size_and_a_function_of_seed_and_step(folder):
    rows, pixels = corpus.read_rows(folder), np.load(folder / "pixels.npy", mmap_mode="r")
    seen = set()
    for step in range(12):
        batch = corpus.batches_of_one_size(rows, 5, 0, step)
        assert batch.equals(corpus.batches_of_one_size(rows, 5, 0, step))
        ((width, height),) = {*zip(batch["width"], batch["height"], strict=True)}
        stacked = corpus.stack(pixels, batch)
        assert stacked.shape == (5, height, width, 3)
        np.testing.assert_array_equal(stacked[0], corpus.render(3, int(batch.index[0]), share_of_rooms=0.25)[1])
        seen.add((width, height))
    assert len(seen) > 1


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("size", ["few", "group", "large"])
def test_prompts_of_crowds_have_prefix_caption_and_suffix_or_some_of_them(size, colours):
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        *parts, last = corpus.prompt(rng, "concert", size, colours).split(", ")
        suffix = last == f"{colours} image"
        parts += [] if suffix else [last]
        words, by_hand, _ = parts[0].partition(" in a concert") if parts[0].startswith(PREFIXES) else ("", "", "")
        assert words in ("", corpus.SIZE_WORDS[size], "large crowd")
        caption = parts[bool(words) :]
        assert len(caption) <= 1 and len(parts) > 0
        assert not any(part.endswith((".", "image")) for part in parts)
        assert all("concert" in part or "stage" in part for part in caption)
        seen.add((words and ("by hand" if by_hand else "prefix"), len(caption) == 1, suffix))
    with_text = {("prefix", True), ("prefix", False), ("by hand", False), ("", True)}
    assert seen == {(*parts, suffix) for parts in with_text for suffix in (True, False)}


@pytest.mark.parametrize(("size", "least", "most"), [("few", 0.4, 0.6), ("group", 0.4, 0.6), ("large", 1, 1)])
def test_half_of_the_prefixes_say_large_crowd_whatever_the_size(size, least, most):
    rng = np.random.default_rng(0)
    texts = [corpus.prompt(rng, "airport", size, "color") for _ in range(400)]
    prefixes = [text for text in texts if text.startswith(PREFIXES)]
    assert 160 < len(prefixes) < 320
    assert least <= sum(text.startswith("large crowd") for text in prefixes) / len(prefixes) <= most


@pytest.mark.parametrize("place", LOCATIONS)
def test_prompts_have_the_words_of_the_paper_s_table_7(place):
    rng = np.random.default_rng(0)
    texts = {corpus.prompt(rng, place, "large", "grayscale") for _ in range(200)}
    by_hand = f"large crowd in {LOCATION_WORDS[place]}"
    assert {by_hand, f"{by_hand}, grayscale image"} <= texts


def test_prompts_of_rooms_have_no_prefix():
    rng = np.random.default_rng(0)
    for _ in range(50):
        text = corpus.prompt(rng, ROOMS[0], "", "color")
        assert ROOMS[0] in text or text.startswith("apartment interior")
        assert not any(words in text for words in corpus.SIZE_WORDS.values())


def test_crowds_are_coloured_in_all_ways_mostly_in_color():
    assert tuple(corpus.COLOUR_SHARES) == COLOURS
    drawn = [corpus.render(1, number, share_of_rooms=0)[0]["colours"] for number in range(60)]
    assert set(drawn) == set(COLOURS)
    assert drawn.count("color") > 30


def test_captions_end_in_a_full_stop():
    rng = np.random.default_rng(0)
    for place in (*LOCATIONS, *ROOMS):
        assert corpus.caption(rng, place, "group").endswith(".")
