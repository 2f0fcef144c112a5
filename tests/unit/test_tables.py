"""Tables: means, deviations and paired changes, and the runs that they can be computed from."""

import json
from pathlib import Path

import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.evaluation import metrics
from promptmix.tables import change_cell, mean_cell, paper_change, signed, table1


def experiment(folder: Path, name, errors, method, **names):
    """Write predictions and selection of an experiment; `errors` holds those of each repeat."""
    folder.mkdir(exist_ok=True)
    rows = [
        {"repeat": repeat, "image": f"i{i}", "count": 50, "predicted": 50 + error, "error": error}
        for repeat, errors_of_repeat in enumerate(errors, 1)
        for i, error in enumerate(errors_of_repeat)
    ]
    pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    candidates = {"1e-3": {"mean": 4.0, "repeats": [{"val_mae": 4.0, "epoch": 2}] * len(errors)}}
    choice = {"learning_rate": "1e-3", "val_mae": 4.0, "candidates": candidates}
    (folder / f"{name}.json").write_text(json.dumps(choice))
    files = {"predictions": folder / f"{name}.csv", "selection": folder / f"{name}.json"}
    return files | {"experiment": name, "dataset": "shtb", "network": "rescsrnet", "method": method} | names


@pytest.fixture
def experiments(tmp_path):
    return [
        experiment(tmp_path, "base", [[10, -10], [12, -12]], "baseline", paper_mae=10.6),
        experiment(tmp_path, "mixed", [[6, -10], [13, -9]], "PromptMix", k=100, r_mix=50),
    ]


def make(experiments, folder):
    files = [folder / "tables" / f"table1.{ending}" for ending in ("md", "csv", "tex")]
    return table1(experiments, *files, scale="miniature"), *files


def test_table1_compares_runs_of_the_same_seed(experiments, tmp_path):
    table, *_ = make(experiments, tmp_path)
    assert table["Method"].tolist() == ["baseline", "PromptMix", "change"]
    assert table["MAE"].tolist() == ["11.00 ± 1.41 (2)", "9.50 ± 2.12 (2)", "−1.50 ± 0.71, −13.6 % (2)"]
    assert table["MAE in the paper"].tolist() == ["10.60", "—", "—"]


def test_table1_says_what_was_run(experiments, tmp_path):
    _, markdown, _, tex = make(experiments, tmp_path)
    text = markdown.read_text()
    assert text.startswith("| Dataset   | Network   | Method")
    assert "Scale: miniature." in text
    assert "rescsrnet on shtb, PromptMix: k 100, r_mix 50, learning rate 1e-3, 2 repeats." in text
    assert r"11.00 $\pm$ 1.41 (2)" in tex.read_text()
    assert r"r\_mix 50" in tex.read_text()
    assert r"$-$13.6 \%" in tex.read_text()


def test_the_csv_holds_what_the_cells_are_computed_from(experiments, tmp_path):
    table, _, csv, _ = make(experiments, tmp_path)
    runs = pd.read_csv(csv)
    assert len(runs) == 4
    assert runs["images"].tolist() == [2] * 4
    by_method = runs.groupby("method")
    assert [mean_cell(by_method.get_group(m)["rmse"]) for m in ("baseline", "PromptMix")] == table["RMSE"].tolist()[:2]
    pairs = runs.pivot(index="repeat", columns="method", values="mae")
    assert (pairs["PromptMix"] - pairs["baseline"]).mean() == pytest.approx(-1.5)


def test_a_baseline_alone_has_no_change(experiments, tmp_path):
    assert make(experiments[:1], tmp_path)[0]["Method"].tolist() == ["baseline"]
    assert make(experiments[1:], tmp_path)[0]["Method"].tolist() == ["PromptMix"]


def test_one_repeat_has_no_deviation(tmp_path):
    one = [experiment(tmp_path, m, [[e]], m) for m, e in (("baseline", 8), ("PromptMix", 6))]
    assert make(one, tmp_path)[0]["MAE"].tolist() == ["8.00 ± — (1)", "6.00 ± — (1)", "−2.00 ± —, −25.0 % (1)"]


def test_only_common_repeats_are_compared(tmp_path):
    from promptmix.tables import Result

    few = Result.read(**experiment(tmp_path, "a", [[8], [10]], "baseline"))
    many = Result.read(**experiment(tmp_path, "b", [[7], [9], [100]], "PromptMix"))
    assert change_cell(few, many, "mae") == "−1.00 ± 0.00, −11.1 % (2)"


def test_two_baselines_are_an_error(experiments, tmp_path):
    with pytest.raises(InputError, match="base and base are both baselines"):
        make([experiments[0], experiments[0]], tmp_path)


def test_an_unknown_method_is_an_error(experiments, tmp_path):
    with pytest.raises(InputError, match="'promptmix'"):
        make([experiments[0] | {"method": "promptmix"}], tmp_path)


def test_predictions_without_repeats_are_an_error(experiments, tmp_path):
    experiments[0]["predictions"].write_text("image,error\na,1\n")
    with pytest.raises(InputError, match="base.csv.*repeat"):
        make(experiments, tmp_path)


def test_small_numbers():
    assert signed(-0.001, 2) == "0.00"
    assert signed(2, 1) == "+2.0"
    assert paper_change(200.0, 150.0) == "−25.0 %"


def test_metrics_are_computed_per_repeat():
    predictions = pd.DataFrame({"repeat": [1, 1, 2], "error": [3.0, -4.0, 1.0]})
    assert metrics(predictions)["mae"].tolist() == [3.5, 1.0]
    assert metrics(predictions)["rmse"].tolist() == pytest.approx([12.5**0.5, 1.0])
