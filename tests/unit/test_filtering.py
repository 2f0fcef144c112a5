"""What is kept: the images of the lowest scores, and the prompts that do no harm."""

import json

import numpy as np
import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.records.filters import FILTER
from promptmix.synthesis.filtering import filter_prompts, keep_images, keep_prompts

# --- Images ---


@pytest.mark.parametrize(
    ("r_img", "kept"),
    [
        (100, [0, 1, 2, 3, 4]),
        (60, [1, 2, 4]),
        (61, [0, 1, 2, 4]),
        (40, [1, 4]),
        (20, [1]),
        (0.1, [1]),
        (99.9, [0, 1, 2, 3, 4]),
    ],
)
def test_the_images_of_the_lowest_scores_are_kept_in_their_order(r_img, kept):
    q = [0.5, 0.0, 0.3, 0.9, 0.1]
    for scores in (q, np.array(q), pd.Series(q, index=list("abcde"))):
        assert keep_images(scores, r_img).tolist() == kept


def test_of_equal_scores_the_earlier_are_kept():
    q = np.array([1.0, 0.5] * 500)
    assert keep_images(q, 10).tolist() == list(range(1, 200, 2))
    assert keep_images(np.zeros(1000), 25).tolist() == list(range(250))


@pytest.mark.parametrize(
    ("r_img", "kept"), [(14.3, 143), (7, 70), (29, 290), (0.1, 1), (0.15, 2), (np.float64(55.1), 551)]
)
def test_the_number_of_images_is_rounded_up_from_the_exact_share(r_img, kept):
    assert len(keep_images(np.zeros(1000), r_img)) == kept


@pytest.mark.parametrize("r_img", [-1, 100.1, 101, float("nan"), float("inf"), "50", None, True])
def test_an_impossible_share_is_an_error(r_img):
    with pytest.raises(InputError, match=rf"r_img is {r_img!r}; expected the percent.*above 0 and up to 100$"):
        keep_images([0.1, 0.2], r_img)


@pytest.mark.parametrize("r_img", [0, 0.0])
def test_a_share_of_nothing_is_an_error_that_says_what_to_do(r_img):
    with pytest.raises(InputError, match="would keep no image; for none at all leave out `fake`"):
        keep_images([0.1, 0.2], r_img)


@pytest.mark.parametrize("q", [np.nan, np.inf])
def test_a_score_that_is_not_a_number_is_an_error(q):
    with pytest.raises(InputError, match=f"image 2 of 3 has the quality score {q}; expected a number"):
        keep_images([0.1, q, 0.3], 50)


# --- Prompts ---


def test_prompts_with_a_higher_error_than_the_baseline_are_dropped():
    assert keep_prompts([10.0, 9.9, 10.1, 3], 10.0) == [0, 1, 3]


@pytest.mark.parametrize("diverged", [None, float("nan"), float("inf")])
def test_a_prompt_whose_training_diverged_is_dropped(diverged):
    assert keep_prompts([diverged, 9.0], 10.0) == [1]


def test_that_nothing_is_left_is_said_with_all_the_numbers(caplog):
    assert keep_prompts([10.5, None, 11.0], 10.0) == []
    assert "every prompt is dropped" in caplog.text and "are 10.5, nan, 11, and the baseline's is 10." in caplog.text


@pytest.mark.parametrize("baseline", [None, float("nan"), float("inf")])
def test_a_baseline_without_error_is_an_error(baseline):
    with pytest.raises(InputError, match=f"the baseline's validation error is {baseline}"):
        keep_prompts([1.0], baseline)


def prompts(*texts, pool="p"):
    return pd.DataFrame({"pool": pool, "prompt_number": range(len(texts)), "prompt": texts})


def selection(path, **content):
    path.write_text(json.dumps(content))
    return path


def test_the_table_of_prompts(tmp_path):
    baseline = selection(tmp_path / "baseline.json", val_error=10, learning_rate="1e-3")
    files = [selection(tmp_path / f"{i}.json", val_error=error) for i, error in enumerate([12.5, None, 8.0])]
    selections = {("q", 0): files[2], ("p", 1): files[1], ("p", 0): files[0]}
    two_pools = pd.concat([prompts("a, b", "c"), prompts("d", pool="q")])
    found = filter_prompts(two_pools, baseline, selections)
    assert list(found.columns) == [*FILTER.columns]
    assert found["kept"].tolist() == [0, 0, 1]
    FILTER.write(tmp_path / "prompts.csv", found)
    assert (tmp_path / "prompts.csv").read_text().splitlines()[1:] == [
        'p,0,"a, b",12.5,10,0',
        "p,1,c,,10,0",
        "q,0,d,8.0,10,1",
    ]


def test_each_prompt_needs_its_experiment(tmp_path):
    file = selection(tmp_path / "a.json", val_error=1)
    with pytest.raises(InputError, match=r"prompt 1 \(from 0\) of pool p has no experiment.*`prompts` and `locations`"):
        filter_prompts(prompts("a", "b"), file, {("p", 0): file})
    with pytest.raises(InputError, match=r"prompt 0 \(from 0\) of pool q does not exist"):
        filter_prompts(prompts("a"), file, {("p", 0): file, ("q", 0): file})


def test_a_file_without_error_is_named(tmp_path):
    good = selection(tmp_path / "a.json", val_error=1)
    for name in ("other", "text", "list"):
        bad = tmp_path / f"{name}.json"
        bad.write_text({"other": '{"val": 1}', "text": "no", "list": "[]"}[name])
        with pytest.raises(InputError, match=rf"{name}\.json: holds no `val_error`.*snakemake"):
            filter_prompts(prompts("a"), good, {("p", 0): bad})
    with pytest.raises(InputError, match=r"none\.json: no such file.*snakemake"):
        filter_prompts(prompts("a"), tmp_path / "none.json", {("p", 0): good})
