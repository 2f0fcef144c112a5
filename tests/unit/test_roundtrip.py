"""The round trip: the distance between words, its level by chance, and that the shipped models make one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.miniature.rendering.crowds import LOCATIONS, render_crowd
from promptmix.records.captions import GENERATED_CAPTIONS
from promptmix.records.roundtrips import ROUNDTRIP
from promptmix.report.roundtrip import (
    read_round_trip,
    round_trip,
    summary,
    word_edit_distance,
    write_round_trip,
)
from promptmix.synthesis.captions import Captioner
from promptmix.synthesis.generation import GeneratorSettings, generate, load_pipeline, plan
from promptmix.synthesis.manifest import read_manifest, write_manifest
from promptmix.synthesis.prompts import by_hand

ROOT = Path(__file__).parents[2]
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())

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
    assert found["images"] == 200 and found["words"] == 5 and found["distance"] == 0
    assert found["largest"] == 0 and found["at_most_two"] == found["at_most_two_by_chance"] == 1


def test_a_pool_of_one_prompt_has_nothing_to_deal():
    found = summary(round_trip(["a beach"] * 3, ["a beach", "a street", "the sea is here"], seed=0))
    assert found["distance"] == found["chance"] == pytest.approx(5 / 3) and found["largest"] == 4
    assert found["at_most_two"] == found["at_most_two_by_chance"] == pytest.approx(2 / 3)


def test_as_many_captions_as_prompts():
    with pytest.raises(InputError, match="2 prompts and 1 captions"):
        round_trip(["a", "b"], ["a"], seed=0)


@pytest.fixture
def blocks(tmp_path):
    """Two pools of a block of two images each, manifest and captions; the second is of prompts by hand."""
    of_captions = ["large crowd, a beach, grayscale image", "large crowd, a street, color image"]
    written = ["large crowd, a fair, grayscale image", "large crowd"]
    blocks = []
    for block, texts in enumerate((of_captions, written)):
        rows = []
        for i, text in enumerate(texts):
            path = tmp_path / f"seed-{block}{i:02d}.jpg"
            Image.fromarray(np.zeros((16, 24, 3), np.uint8)).save(path)
            row = {"file": path, "seed": i, "pool": ("captions", "by hand")[block], "prompt_number": i, "prompt": text}
            row |= {"width": 24, "height": 16, "quality": 75, "source": "" if block else f"IMG_{i}.jpg", "faces": 0}
            rows.append(row | {"sha256": sha256(path)})
        blocks.append((tmp_path / f"block-{block}.csv", tmp_path / f"captions-{block}.csv"))
        write_manifest(blocks[-1][0], rows)
        texts = ["a beach.", ""] if block == 0 else ["a fair.", "large crowd."]
        found = [{"stem": f"seed-{block}{i:02d}", "caption": text} for i, text in enumerate(texts)]
        GENERATED_CAPTIONS.write(blocks[-1][1], found)
    return blocks


TRIPS = [
    ["captions", "seed-000", "large crowd, a beach, grayscale image", "a beach.", 6, 4],
    ["captions", "seed-001", "large crowd, a street, color image", "", 6, 6],
    ["by hand", "seed-100", "large crowd, a fair, grayscale image", "a fair.", 6, 4],
    ["by hand", "seed-101", "large crowd", "large crowd.", 2, 0],
]


def test_prompts_are_compared_as_they_stand(blocks):
    trips = read_round_trip(blocks, seed=0)
    assert list(trips.columns) == [*ROUNDTRIP.columns]
    assert trips.drop(columns="chance").to_numpy().tolist() == TRIPS


def test_captions_are_of_the_images_of_their_names_in_any_order(blocks):
    for _, captions in blocks:
        GENERATED_CAPTIONS.write(captions, GENERATED_CAPTIONS.read(captions)[::-1])
    trips = read_round_trip(blocks[::-1], seed=0)
    assert trips.drop(columns="chance").to_numpy().tolist() == TRIPS[2:] + TRIPS[:2]


def test_each_prompt_counts_once_with_its_first_image(blocks):
    for block, (manifest, captions) in enumerate(blocks):
        rows = read_manifest(manifest)
        more = [row.assign(file=[f"more-{i}{block}{n}.jpg" for n in range(2)], seed=row["seed"] + i * 2)
                for i, row in ((1, rows), (2, rows))]  # fmt: skip
        write_manifest(manifest, pd.concat([*more, rows]))
        stems = [{"stem": f"more-{i}{block}{n}", "caption": "x"} for i in (1, 2) for n in range(2)]
        GENERATED_CAPTIONS.write(captions, pd.concat([pd.DataFrame(stems), GENERATED_CAPTIONS.read(captions)]))
    trips = read_round_trip(blocks, seed=0)
    assert trips.drop(columns="chance").to_numpy().tolist() == TRIPS


def test_chance_is_drawn_within_a_pool(blocks):
    trips = read_round_trip(blocks, seed=0)
    for pool, (i, j) in (("captions", (0, 1)), ("by hand", (2, 3))):
        alone = round_trip([TRIPS[i][2], TRIPS[j][2]], [TRIPS[i][3], TRIPS[j][3]], seed=0)
        assert trips.loc[trips["pool"] == pool, "chance"].tolist() == alone["chance"].tolist()


def test_captions_of_other_images_are_an_error(blocks):
    (first, captions), (second, others) = blocks
    with pytest.raises(InputError, match=r"captions-1\.csv: the captions are not those of .*block-0\.csv.*snakemake"):
        read_round_trip([(first, others), (second, captions)], seed=0)
    GENERATED_CAPTIONS.write(others, GENERATED_CAPTIONS.read(others).iloc[:1])
    with pytest.raises(InputError, match=r"captions-1\.csv: the captions are not those of .*block-1\.csv"):
        read_round_trip(blocks, seed=0)


def test_the_table_has_a_row_per_pool_and_the_csv_one_per_image(blocks, tmp_path):
    trips = read_round_trip(blocks, seed=0)
    trips = pd.concat([trips, trips.assign(pool="all")])
    files = [tmp_path / f"roundtrip.{end}" for end in ("md", "csv", "tex", "html")]
    table = write_round_trip(trips, *files, "miniature", paper=2)
    assert table["Prompts"].tolist() == ["captions", "by hand", "all"]
    columns = ["Images", "Words", "Distance", "Largest", "At most two", "Paper's largest", "Same"]
    assert table[columns].to_numpy().tolist() == [
        ["2", "6.00", "5.00", "6", "0.0 %", "2", "no"],
        ["2", "4.00", "2.00", "4", "50.0 %", "2", "no"],
        ["4", "5.00", "3.50", "6", "25.0 %", "2", "no"],
    ]
    text = (tmp_path / "roundtrip.md").read_text()
    assert "| captions " in text and "Scale: miniature." in text and "at most 2." in text
    written = ROUNDTRIP.read(tmp_path / "roundtrip.csv")
    assert written["pool"].tolist() == ["captions"] * 2 + ["by hand"] * 2 + ["all"] * 4
    assert "Same" not in write_round_trip(trips, *files, "miniature")


# --- The shipped models ---


@pytest.mark.slow
def test_the_shipped_models_come_back_to_where_they_started():
    """A scene of each location is captioned, generated from its caption, and captioned again."""
    given = {key: str(ROOT / CONFIG["captioners"]["clipcap"][key]) for key in ("clip", "tokenizer", "weights")}
    captioner = Captioner(**CONFIG["captioners"]["clipcap"] | given)
    scenes = [render_crowd(np.random.default_rng(i), 96, 64, place, people=60) for i, place in enumerate(LOCATIONS)]
    prompts = by_hand(list(captioner.caption(scene.image for scene in scenes)), 96, 64, 75)
    settings = GeneratorSettings(steps=8, guidance=3.0)
    pipeline = load_pipeline(str(ROOT / "resources" / "models" / "stable-diffusion"), settings, "cpu")
    images = dict(generate(pipeline, plan(prompts, 0, len(scenes)), settings))
    found = list(captioner.caption(images[i] for i in range(len(scenes))))
    distances = np.array([[word_edit_distance(a, f) for f in found] for a in prompts["prompt"]])
    own, others = distances.diagonal().mean(), distances[~np.eye(len(scenes), dtype=bool)].mean()
    assert own < 0.7 * others, (own, others, found)
