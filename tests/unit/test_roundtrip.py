"""The round trip: the distance between words, its level by chance, and that the shipped models make one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from promptmix.errors import InputError
from promptmix.files import sha256, write_csv
from promptmix.miniature.rendering.crowds import LOCATIONS, render_crowd
from promptmix.report.roundtrip import (
    COLUMNS,
    read_round_trip,
    round_trip,
    summary,
    word_edit_distance,
    write_round_trip,
)
from promptmix.synthesis.captions import Captioner
from promptmix.synthesis.generation import GeneratorSettings, generate, load_pipeline, plan
from promptmix.synthesis.manifest import write_manifest
from promptmix.synthesis.prompts import by_hand, caption_of, prompt

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
SUFFIXES = ["grey photo", "colour photo"]

# --- Distance ---


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [
        ("a crowd on a beach", "a crowd on a beach", 0),
        ("A crowd, on a beach.", "a crowd on a beach", 0),
        ("a crowd on a beach", "a crowd in a stadium", 2),
        ("a crowd", "a large crowd", 1),
        ("a large crowd", "a crowd", 1),
        ("one two three four", "two three four one", 2),
        ("one two three", "four five", 3),
        ("kitten sitting", "kitten, sitting kitten", 1),
        ("a man's t-shirt", "a man's t-shirt!", 0),
        ("a man's t-shirt", "a man s t shirt", 4),
        ("", "", 0),
        ("", "a b c", 3),
        ("a b c", ".", 3),
        ("žena v ČERVENÉM", "Žena v červeném", 0),
    ],
)
def test_distance_counts_words(a, b, distance):
    assert word_edit_distance(a, b) == distance
    assert word_edit_distance(b, a) == distance


def test_distance_is_a_metric_between_its_bounds():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcd"), rng.integers(0, 9))) for _ in range(12)]
    for x in texts:
        for y in texts:
            n, m, xy = len(x.split()), len(y.split()), word_edit_distance(x, y)
            assert abs(n - m) <= xy <= max(n, m)
            assert (xy == 0) == (x == y)
            assert all(xy <= word_edit_distance(x, z) + word_edit_distance(z, y) for z in texts[:4])


# --- Pools ---


def test_chance_deals_out_the_same_captions():
    prompts = [f"a crowd at place {i}" for i in range(200)]
    trips = round_trip(prompts, [f"{prompt}." for prompt in prompts], seed=1)
    assert (trips["distance"] == 0).all()
    assert set(trips["chance"]) == {0, 1}
    assert 190 <= trips["chance"].sum() < 200
    assert trips.equals(round_trip(prompts, [f"{prompt}." for prompt in prompts], seed=1))
    assert not trips.equals(round_trip(prompts, [f"{prompt}." for prompt in prompts], seed=2))
    found = summary(trips)
    assert found["images"] == 200 and found["words"] == 5 and found["distance"] == 0 and found["exact"] == 1
    assert found["exact_by_chance"] == pytest.approx(1 - found["chance"])


def test_a_pool_of_one_prompt_has_nothing_to_deal():
    found = summary(round_trip(["a beach"] * 3, ["a beach", "a street", "the sea"], seed=0))
    assert found["distance"] == found["chance"] == 1
    assert found["exact"] == found["exact_by_chance"] == pytest.approx(1 / 3)


def test_as_many_captions_as_prompts():
    with pytest.raises(InputError, match="2 prompts and 1 captions"):
        round_trip(["a", "b"], ["a"], seed=0)


@pytest.fixture
def blocks(tmp_path):
    """Two blocks of two images: manifests and captions; the second block is of prompts by hand."""
    of_captions = ["large crowd, a beach, grey photo", "large crowd, a street, colour photo"]
    written = ["large crowd, a fair, grey photo", "large crowd"]
    manifests, captions = [], []
    for block, texts in enumerate((of_captions, written)):
        rows = []
        for i, text in enumerate(texts):
            path = tmp_path / f"seed-{block}{i:02d}.jpg"
            Image.fromarray(np.zeros((16, 24, 3), np.uint8)).save(path)
            rows.append({"image": path, "seed": i, "prompt": text, "width": 24, "height": 16, "quality": 75})
            rows[-1] |= {"source": "" if block else f"IMG_{i}.jpg", "sha256": sha256(path)}
        manifests.append(tmp_path / f"block-{block}.csv")
        captions.append(tmp_path / f"captions-{block}.csv")
        write_manifest(manifests[-1], rows)
        texts = ["a beach.", ""] if block == 0 else ["a fair.", "large crowd."]
        write_csv(captions[-1], [{"image": f"seed-{block}{i:02d}", "caption": text} for i, text in enumerate(texts)])
    return manifests, captions


def test_a_pool_is_read_block_by_block_without_prefix_and_suffix(blocks):
    trips = read_round_trip(*blocks, "large crowd", SUFFIXES, seed=0)
    assert list(trips.columns) == COLUMNS
    assert trips[["image", "prompt", "caption", "words", "distance"]].to_numpy().tolist() == [
        ["seed-000", "a beach", "a beach.", 2, 0],
        ["seed-001", "a street", "", 2, 2],
        ["seed-100", "large crowd, a fair, grey photo", "a fair.", 6, 4],
        ["seed-101", "large crowd", "large crowd.", 2, 0],
    ]


def test_captions_of_other_images_are_an_error(blocks):
    manifests, captions = blocks
    with pytest.raises(InputError, match=r"captions-1\.csv: the captions are not those of .*block-0\.csv.*snakemake"):
        read_round_trip(manifests, captions[::-1], "large crowd", SUFFIXES, seed=0)
    write_csv(captions[1], pd.read_csv(captions[1], keep_default_na=False).iloc[:1])
    with pytest.raises(InputError, match=r"captions-1\.csv: the captions are not those of .*block-1\.csv"):
        read_round_trip(manifests, captions, "large crowd", SUFFIXES, seed=0)


def test_the_table_has_a_row_per_pool_and_the_csv_one_per_image(blocks, tmp_path):
    trips = read_round_trip(*blocks, "large crowd", SUFFIXES, seed=0)
    pools = {"captions": trips.iloc[:2], "all": trips}
    table = write_round_trip(pools, tmp_path / "roundtrip.md", tmp_path / "roundtrip.csv", "miniature")
    assert table["Prompts"].tolist() == ["captions", "all"]
    assert table.iloc[:, 1:5].to_numpy().tolist() == [["2", "2.00", "1.00", "50.0 %"], ["4", "3.00", "1.50", "50.0 %"]]
    text = (tmp_path / "roundtrip.md").read_text()
    assert "| captions " in text and "Scale: miniature." in text
    written = pd.read_csv(tmp_path / "roundtrip.csv", keep_default_na=False)
    assert list(written.columns) == ["pool", *COLUMNS]
    assert written["pool"].tolist() == ["captions"] * 2 + ["all"] * 4


# --- The shipped models ---


def test_the_shipped_models_come_back_to_where_they_started():
    """A scene of each location is captioned, generated from its caption, and captioned again."""
    given = {key: str(ROOT / CONFIG["captioners"]["clipcap"][key]) for key in ("clip", "tokenizer", "weights")}
    captioner = Captioner(**CONFIG["captioners"]["clipcap"] | given)
    scenes = [render_crowd(np.random.default_rng(i), 96, 64, place, people=60) for i, place in enumerate(LOCATIONS)]
    prompts = by_hand(
        [prompt(c, "large crowd", SUFFIXES[1]) for c in captioner.caption(s.image for s in scenes)], 96, 64, 75
    )
    settings = GeneratorSettings(steps=8, guidance=3.0)
    pipeline = load_pipeline(str(ROOT / "resources" / "models" / "stable-diffusion"), settings, "cpu")
    images = dict(generate(pipeline, plan(prompts, 0, len(scenes)), settings))
    found = list(captioner.caption(images[i] for i in range(len(scenes))))
    asked = [caption_of(text, "large crowd", SUFFIXES) for text in prompts["prompt"]]
    distances = np.array([[word_edit_distance(a, f) for f in found] for a in asked])
    own, others = distances.diagonal().mean(), distances[~np.eye(len(scenes), dtype=bool)].mean()
    assert own < 0.7 * others, (own, others, found)
