"""The corpus of rendered, captioned images."""

import numpy as np
import pytest

from promptmix.datasets.index import Index
from promptmix.miniature.rendering import corpus
from promptmix.miniature.rendering.crowds import LOCATIONS
from promptmix.miniature.rendering.rooms import ROOMS


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
        assert heads.shape == (row["count"], 4) and row["count"] > 0
        assert (heads > 0).all() and (heads[:, :2] < (row["width"], row["height"])).all()
    row, pixels, heads = corpus.render(1, 0, share_of_rooms=1)
    assert (row["place"] in ROOMS, row["size"], row["grey"], row["count"], len(heads)) == (True, "", False, 0, 0)
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


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("size", ["few", "group", "large"])
def test_prompts_of_crowds_have_prefix_caption_and_suffix_or_some_of_them(size, grey):
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        parts = corpus.prompt(rng, "concert", size, grey).split(", ")
        prefix = parts[0] == corpus.SIZE_WORDS[size]
        suffix = parts[-1] == corpus.COLOUR_WORDS[grey]
        caption = parts[prefix : len(parts) - suffix]
        assert len(caption) <= 1 and prefix + len(caption) > 0
        assert not any(part.endswith(".") for part in parts)
        assert all("concert" in part or "stage" in part for part in caption)
        seen.add((prefix, len(caption) == 1, suffix))
    assert seen == {(True, True, True), (True, True, False), (True, False, True), (True, False, False)} | {
        (False, True, True),
        (False, True, False),
    }


def test_prompts_of_rooms_have_no_prefix():
    rng = np.random.default_rng(0)
    for _ in range(50):
        text = corpus.prompt(rng, ROOMS[0], "", False)
        assert ROOMS[0] in text or text.startswith("apartment interior")
        assert not any(words in text for words in corpus.SIZE_WORDS.values())


def test_captions_end_in_a_full_stop():
    rng = np.random.default_rng(0)
    for place in (*LOCATIONS, *ROOMS):
        assert corpus.caption(rng, place, "group").endswith(".")
