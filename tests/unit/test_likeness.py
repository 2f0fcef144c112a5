"""How alike images are, by perceptual hashes and by CLIP, and what the leak guard finds: thresholds on made-up cases."""

import io
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from promptmix.errors import InputError
from promptmix.miniature.rendering.crowds import LOCATIONS, render_crowd
from promptmix.preflight.models import find_problems
from promptmix.records.likeness import LEAKS
from promptmix.synthesis.hashing import distances, keep_distinct, perceptual_hash, to_numbers
from promptmix.synthesis.leaks import find_leaks
from promptmix.synthesis.likeness import ImageEncoder, TextEncoder, read_features, score_prompts, write_features

CLIP = str(Path(__file__).parents[2] / "resources/models/clip")
DISTANCE = 6
"""The default of `near_duplicates` and of `leak_guard`."""


def encoded(image, quality=20):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def halved(image):
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((width // 2, height // 2)))


def cropped(image, share):
    """Return an image without a border of that share of its sides, half of it at each end."""
    height, width = image.shape[:2]
    y, x = int(height * share / 2), int(width * share / 2)
    return image[y : height - y, x : width - x]


def lit(image, factor):
    return np.clip(image * factor, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def crowds():
    """Two images of each of ten locations."""
    return [
        render_crowd(np.random.default_rng([99, i]), 192, 128, LOCATIONS[i % len(LOCATIONS)], people=40).image
        for i in range(2 * len(LOCATIONS))
    ]


def bits(image, other):
    return int(distances(*to_numbers([perceptual_hash(image)]), to_numbers([perceptual_hash(other)]))[0])


# --- Perceptual hashes ---

FOUND = {
    "a copy": lambda image: image,
    "a JPEG of low quality": encoded,
    "half of its size": halved,
    "no colour": lambda image: np.asarray(Image.fromarray(image).convert("L").convert("RGB")),
    "a quarter lighter": lambda image: lit(image, 1.25),
    "a quarter darker": lambda image: lit(image, 0.75),
    "2 % cropped": lambda image: cropped(image, 0.02),
}
"""Changes of an image after which the default distance finds it."""

NOT_FOUND = {"20 % cropped": lambda image: cropped(image, 0.2), "mirrored": lambda image: image[:, ::-1]}
"""Changes after which it does not."""


@pytest.mark.parametrize("change", FOUND)
def test_the_default_distance_finds(crowds, change):
    assert max(bits(image, FOUND[change](image)) for image in crowds) <= DISTANCE


@pytest.mark.parametrize("change", NOT_FOUND)
def test_the_default_distance_does_not_find(crowds, change):
    assert min(bits(image, NOT_FOUND[change](image)) for image in crowds) > DISTANCE


def test_a_crop_of_five_percent_is_found_of_most_images_and_with_a_larger_distance_of_all(crowds):
    found = [bits(image, cropped(image, 0.05)) for image in crowds]
    assert np.mean(np.array(found) <= DISTANCE) > 0.5 and max(found) <= 10


def test_other_images_are_far_apart_also_of_the_same_place(crowds):
    pairs = [bits(crowds[i], crowds[j]) for i in range(len(crowds)) for j in range(i)]
    assert min(pairs) >= 12


def test_a_hash_has_64_bits_and_images_of_one_colour_have_the_same():
    grey, black = (perceptual_hash(np.full((30, 50, 3), value, np.uint8)) for value in (128, 0))
    assert len(grey) == 16 and perceptual_hash(np.full((7, 9, 3), 99, np.uint8)) == grey
    assert int(distances(*to_numbers([grey]), to_numbers([black]))[0]) == 1
    assert distances(np.uint64(0), to_numbers(["f" * 16, "0" * 16, "8" + "0" * 15])).tolist() == [64, 0, 1]


def test_the_first_of_images_that_are_alike_is_kept():
    hashes = [f"{number:016x}" for number in (0b0, 0b111, 0b1, 0b111111, 0b0)]
    assert keep_distinct(hashes, 0).tolist() == [0, 1, 2, 3]
    assert keep_distinct(hashes, 2).tolist() == [0, 1, 3]  # the third is like the first; the fourth is like none kept
    assert keep_distinct(hashes, 3).tolist() == [0, 3]  # the fourth is like the second, which is left out
    assert keep_distinct(hashes, 63).tolist() == [0] and keep_distinct([], 6).tolist() == []


# --- CLIP ---


@pytest.fixture(scope="module")
def features(crowds):
    return np.stack([*ImageEncoder(CLIP).describe(crowds)])


def test_features_have_length_1_and_do_not_depend_on_the_batch(crowds, features):
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    again = np.stack([*ImageEncoder(CLIP).describe(crowds[:5], batch_size=2)])
    np.testing.assert_allclose(again, features[:5], atol=1e-5)
    assert [*ImageEncoder(CLIP).describe([])] == []


def test_an_image_is_most_like_the_prompt_of_its_place(features):
    prompts = [f"a photo of a large crowd of people at a {place}" for place in LOCATIONS]
    encoder = TextEncoder(CLIP)
    scores = np.array([score_prompts(features, [prompt] * len(features), encoder) for prompt in prompts])
    assert (scores.argmax(axis=0) == np.arange(len(features)) % len(LOCATIONS)).mean() >= 0.9
    mixed = score_prompts(features, [prompts[i % len(prompts)] for i in range(len(features))], encoder)
    np.testing.assert_allclose(mixed, [scores[i % len(prompts), i] for i in range(len(features))], atol=1e-5)
    assert score_prompts(features[:0], [], encoder).tolist() == []


def test_what_clip_does_not_read_of_a_prompt_is_told(features, caplog):
    long = "a photo of a large crowd of people " * 9
    with caplog.at_level(logging.WARNING):
        score_prompts(features[:2], ["a crowd", long], TextEncoder(CLIP))
    assert "1 of 2 prompts are longer than the 32 tokens that CLIP reads" in caplog.text and long in caplog.text


def test_features_are_read_by_name(tmp_path):
    rows = np.eye(3, dtype=np.float32)
    write_features(tmp_path / "f.npz", ["a", "b", "c"], rows)
    np.testing.assert_array_equal(read_features(tmp_path / "f.npz", ["c", "a"]), rows[[2, 0]])
    with pytest.raises(InputError, match=r"f\.npz: no features of d\. .*snakemake"):
        read_features(tmp_path / "f.npz", ["a", "d"])
    (tmp_path / "g.npz").write_bytes((tmp_path / "f.npz").read_bytes()[:90])
    for name in ("g", "none"):
        with pytest.raises(InputError, match=rf"{name}\.npz: .*snakemake"):
            read_features(tmp_path / f"{name}.npz", ["a"])


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("tokenizer.json", lambda file: file.unlink(), "no tokenizer.json"),
        ("model.safetensors", lambda file: file.unlink(), "weights are missing"),
        ("config.json", lambda file: file.write_text('{"model_type": "siglip"}'), "of the type siglip; expected clip"),
        (
            "config.json",
            lambda file: file.write_text(file.read_text().replace('"projection_dim": 128', '"projection_dim": 7')),
            "other sizes than config.json says",
        ),
    ],
)
def test_a_clip_that_cannot_read_prompts_is_named_before_it_computes(tmp_path, file, change, message):
    folder = shutil.copytree(CLIP, tmp_path / "clip")
    assert find_problems(str(folder), ["texts"]) == []
    change(folder / file)
    (problem,) = find_problems(str(folder), ["texts"])
    assert message in problem and str(folder) in problem


def test_a_model_of_images_alone_describes_images_and_reads_no_prompts(tmp_path):
    folder = shutil.copytree(CLIP, tmp_path / "clip")
    ImageEncoder(str(folder)).network.save_pretrained(folder)
    assert len([*ImageEncoder(str(folder)).describe([np.zeros((9, 9, 3), np.uint8)])]) == 1
    with pytest.raises(InputError, match="no CLIP that understands texts"):
        TextEncoder(str(folder))


# --- The leak guard ---


def frames(images, tests):
    generated = pd.DataFrame({"pool": "p", "seed": range(len(images)), "phash": [*map(perceptual_hash, images)]})
    hashes = [(f"IMG_{i}.jpg", perceptual_hash(test), perceptual_hash(test[:, ::-1])) for i, test in enumerate(tests)]
    return generated, pd.DataFrame(hashes, columns=["image", "phash", "mirrored"])


def test_copies_of_test_images_are_found_also_mirrored(crowds):
    tests, own = crowds[:10], crowds[10:]
    changed = [*FOUND.values(), NOT_FOUND["mirrored"], lambda image: encoded(image[:, ::-1])]
    copies = [change(tests[i]) for i, change in enumerate(changed)]
    leaks = find_leaks(*frames([*own, *copies], tests), DISTANCE)
    assert list(leaks.columns) == [*LEAKS.columns]
    assert leaks["seed"].tolist() == [len(own) + i for i in range(len(copies))]
    assert leaks["image"].tolist() == [f"IMG_{i}.jpg" for i in range(len(copies))]
    assert leaks["distance"].max() <= DISTANCE and leaks["similarity"].isna().all()


def test_a_crop_escapes_the_hash_and_is_found_by_features(crowds):
    tests = crowds[:10]
    images = [cropped(tests[3], 0.15), crowds[15]]
    encoder = ImageEncoder(CLIP)
    described = tuple(np.stack([*encoder.describe(found)]) for found in (images, tests))
    given = frames(images, tests)
    assert find_leaks(*given, DISTANCE).empty
    similarity = float(described[0][0] @ described[1][3])
    found = find_leaks(*given, DISTANCE, similarity - 1e-4, described)
    assert "IMG_3.jpg" in found.loc[found["seed"] == 0, "image"].tolist()
    assert found.loc[found["seed"] == 0, "distance"].min() > DISTANCE
    assert find_leaks(*given, DISTANCE, 1.0, described).empty


def test_the_nearest_of_each_kind_is_listed_with_both_numbers():
    images = pd.DataFrame({"pool": ["p"], "seed": [4], "phash": ["0" * 16]})
    tests = pd.DataFrame({"image": ["a", "b"], "phash": ["f" * 16, "0" * 15 + "1"], "mirrored": ["f" * 16] * 2})
    features = np.array([[1.0, 0]]), np.array([[1.0, 0], [0, 1]])
    found = find_leaks(images, tests, 6, 0.9, features)
    assert found.to_dict("records") == [
        {"pool": "p", "seed": 4, "image": "b", "distance": 1, "similarity": 0},
        {"pool": "p", "seed": 4, "image": "a", "distance": 64, "similarity": 1},
    ]
    assert find_leaks(images, tests, 0, 0.9, features)["image"].tolist() == ["a"]
    assert find_leaks(images[:0], tests, 6).empty
