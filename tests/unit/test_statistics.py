"""Statistics: metrics as sums over images, and what a difference is worth."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct, t

from promptmix.errors import InputError
from promptmix.report.statistics import DEPTH, bootstrap, chance, correct, interval, metrics_of, resolvable
from promptmix.tasks import depth_metrics

MAE, RMSE = metrics_of("counting")


def counts(errors):
    """Return predictions, given the errors of each repeat's images; rows in an order that must not matter."""
    rows = [
        {"repeat": r, "image": f"i{i}", "error": e}
        for r, of_repeat in enumerate(errors)
        for i, e in enumerate(of_repeat)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def depths(images=7, repeats=2):
    """Return predictions of depth, one image without a known pixel in the crops."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame([{"repeat": r, "image": f"i{i}"} for r in range(repeats) for i in range(images)])
    for crop in depth_metrics.CROPS:
        pixels = generator.integers(50, 90, len(frame))
        pixels[frame["image"] == "i3"] = 0 if crop != "full" else 5
        frame[f"pixels_{crop}"], frame[f"squared_{crop}"] = pixels, pixels * generator.random(len(frame))
        for delta, share in (("d1", 0.5), ("d2", 0.8), ("d3", 0.9)):
            frame[f"{delta}_{crop}"] = generator.binomial(pixels, share)
    return frame


# --- Metrics ---


def test_mae_and_rmse_of_each_repeat():
    predictions = counts([[3, -4], [1, 1]])
    np.testing.assert_allclose(MAE.score(MAE.sums(predictions)), [3.5, 1])
    np.testing.assert_allclose(RMSE.score(RMSE.sums(predictions)), [12.5**0.5, 1])


def test_an_image_with_the_weight_two_counts_twice():
    sums = RMSE.sums(counts([[3, -4, 9], [1, 2, 9]]))
    weighted = RMSE.score(sums, np.array([[2, 1, 0], [1, 1, 1]]))
    twice, once = RMSE.sums(counts([[3, 3, -4], [1, 1, 2]])), RMSE.score(sums)
    np.testing.assert_allclose(weighted, [RMSE.score(twice), once])


@pytest.mark.parametrize("convention", DEPTH)
def test_depth_is_scored_as_depth_metrics_scores_it(convention):
    predictions = depths()
    crop, average = convention.split("-")
    expected = [depth_metrics.metrics(part, crop, average) for _, part in predictions.groupby("repeat")]
    metrics = metrics_of("depth", convention)
    assert [metric.name for metric in metrics] == list(expected[0])
    for metric in metrics:
        assert metric.column == f"{metric.name}_{crop}_{average}"
        assert metric.lower_is_better == (metric.name == "rmse")
        np.testing.assert_allclose(metric.score(metric.sums(predictions)), [e[metric.name] for e in expected])


@pytest.mark.parametrize("convention", DEPTH)
def test_weights_of_depth_are_images_too(convention):
    predictions = depths(repeats=1)
    copy = predictions[predictions["image"] == "i0"].assign(image="copy")
    for metric in metrics_of("depth", convention):
        weighted = metric.score(metric.sums(predictions), np.array([[2, 1, 1, 1, 1, 1, 0]]))
        longer = pd.concat([predictions[predictions["image"] != "i6"], copy])
        np.testing.assert_allclose(weighted, [metric.score(metric.sums(longer))])


def test_a_prediction_that_is_not_a_number_shows():
    predictions = depths()
    predictions.loc[0, "squared_full"] = np.nan
    for convention in ("full-images", "full-pixels"):
        rmse = metrics_of("depth", convention)[0]
        assert np.isnan(rmse.score(rmse.sums(predictions))).tolist() == [True, False]


def test_all_conventions_are_columns_of_their_own():
    assert len({metric.column for metric in metrics_of("depth")}) == 4 * len(depth_metrics.CONVENTIONS)


def test_repeats_of_different_images_are_an_error():
    for predictions in (counts([[1, 2], [3]]), pd.concat([counts([[1]]), counts([[2]])])):
        with pytest.raises(InputError, match="each image once per repeat"):
            MAE.sums(predictions)


def test_unknown_tasks_and_conventions_are_errors():
    with pytest.raises(InputError, match="'flow' is not a task"):
        metrics_of("flow")
    with pytest.raises(InputError, match="'eigen' is not a way to score depth; expected one of .*eigen-pixels"):
        metrics_of("depth", "eigen")


# --- Over repeats ---


def test_the_interval_of_three_differences():
    # mean 2, deviation 1, t(0.975, 2) = 4.302653, so half of it is 4.302653 / sqrt(3)
    low, high = interval([1, 2, 3])
    assert (low, high) == (pytest.approx(2 - 2.484138, abs=1e-6), pytest.approx(2 + 2.484138, abs=1e-6))


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    differences = np.random.default_rng(0).normal(-1.5, 2, size=(20000, 5))
    for level in (0.95, 0.8):
        low, high = interval(differences, level)
        assert ((low < -1.5) & (high > -1.5)).mean() == pytest.approx(level, abs=0.007)


def test_one_repeat_has_no_interval():
    assert interval([3]) is None
    assert resolvable([3]) is None
    assert chance([3]) == 1


def test_a_difference_is_below_the_level_where_its_interval_excludes_zero():
    differences = np.random.default_rng(3).normal(1, 1, size=(300, 4))
    low, high = interval(differences)
    excluded = (low > 0) | (high < 0)
    assert 0.1 < excluded.mean() < 0.9
    assert [chance(row) < 0.05 for row in differences] == excluded.tolist()


@pytest.mark.parametrize(
    ("differences", "expected"), [([2, 2, 2], 0), ([0, 0, 0], 1), ([5, 5.001], 1), ([-1, -2, -3], 0.0741799)]
)
def test_chances_of_known_differences(differences, expected):
    assert chance(differences) == pytest.approx(expected, abs=1e-7)


def test_the_correction_is_holm_s():
    # Holm, Scandinavian Journal of Statistics 6 (1979): the smallest times n, the next times n - 1, never falling.
    assert correct([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert correct([0.7, 0.9]) == pytest.approx([1, 1])
    assert correct([]).tolist() == []


def test_of_many_tables_without_a_difference_at_most_one_in_twenty_has_something_resolved():
    tables = np.random.default_rng(4).normal(size=(300, 14, 5))
    wrong = [(correct([chance(row) for row in table]) < 0.05).any() for table in tables]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.03)


def test_the_smallest_resolvable_difference_of_three():
    # t(0.975, 2) = 4.302653, t(0.8, 2) = 1.060660, deviation 1; it does not depend on the mean
    assert resolvable([1, 2, 3]) == pytest.approx((4.302653 + 1.060660) / 3**0.5, abs=1e-6)
    assert resolvable([11, 12, 13]) == pytest.approx(resolvable([1, 2, 3]))


@pytest.mark.parametrize("repeats", [3, 5, 10])
def test_a_difference_that_is_resolvable_is_resolved_with_about_the_stated_power(repeats):
    deviation = np.std(np.arange(repeats), ddof=1)
    shift = resolvable(np.arange(repeats)) / deviation * repeats**0.5
    power = nct.sf(t.ppf(0.975, repeats - 1), repeats - 1, shift)
    assert power == pytest.approx(0.8, abs=0.04)


# --- Over images ---


def test_the_bootstrap_is_that_of_a_loop_over_draws():
    generator = np.random.default_rng(1)
    a, b = (RMSE.sums(counts(generator.normal(0, 5, size=(3, 12)))) for _ in range(2))
    weights = np.random.default_rng(7).multinomial(12, np.full(12, 1 / 12), size=50)
    differences = []
    for draw in weights:
        chosen = np.repeat(np.arange(12), draw)
        rmse = [np.sqrt(sums[0][:, chosen].mean(axis=1)) for sums in (a, b)]
        differences.append((rmse[1] - rmse[0]).mean())
    ends = bootstrap(a, b, RMSE, draws=50, seed=7)
    np.testing.assert_allclose(ends, np.quantile(differences, [0.025, 0.975]))


def test_the_bootstrap_covers_the_true_difference():
    generator, covered = np.random.default_rng(2), 0
    for _ in range(300):  # in each, 60 other test images; the true difference of the mean absolute errors is 0.5
        a = generator.gamma(2, 2, size=(1, 60))
        b = a + generator.normal(0.5, 1, size=(1, 60))
        low, high = bootstrap(*(np.stack([errors, np.ones((1, 60))]) for errors in (a, b)), MAE, draws=400)
        covered += low < 0.5 < high
    assert covered / 300 == pytest.approx(0.95, abs=0.035)


def test_the_bootstrap_depends_on_its_seed_only():
    a, b = (MAE.sums(counts(np.random.default_rng(s).normal(size=(2, 9)))) for s in (3, 4))
    assert bootstrap(a, b, MAE) == bootstrap(a, b, MAE) != bootstrap(a, b, MAE, seed=1)
    assert bootstrap(a, a, MAE) == (0, 0)
