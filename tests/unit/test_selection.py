"""Selection: a choice of learning rate that knows no test split."""

import json

import numpy as np
import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.training.selection import select_learning_rate


@pytest.fixture
def histories(tmp_path):
    """Histories by learning rate, one list of validation errors per repeat."""

    def write(**errors):
        files = {}
        for rate, repeats in errors.items():
            files[rate] = []
            for n, val_error in enumerate(repeats):
                path = tmp_path / f"{rate}-{n}.csv"
                pd.DataFrame({"epoch": np.arange(len(val_error)) + 1, "val_error": val_error}).to_csv(path, index=False)
                files[rate].append(path)
        return files

    return write


def test_the_lowest_mean_of_the_repeats_best_errors_is_chosen(histories, tmp_path):
    files = histories(a=[[9, 4, 7], [6, 8, 9]], b=[[9, 9, 2], [9, 7, 9]], c=[[5, 5, 5], [5, 5, 5]])
    choice = select_learning_rate(files, tmp_path / "selection.json")
    assert choice["learning_rate"] == "b"
    assert choice["val_error"] == 4.5
    assert choice["candidates"]["a"] == {
        "mean": 5.0,
        "repeats": [{"val_error": 4.0, "epoch": 2}, {"val_error": 6.0, "epoch": 1}],
    }
    assert json.loads((tmp_path / "selection.json").read_text()) == choice


def test_the_first_of_equals_is_chosen(histories):
    assert select_learning_rate(histories(a=[[5]], b=[[5]]))["learning_rate"] == "a"


def test_a_run_that_diverged_is_not_chosen(histories, tmp_path):
    nan = float("nan")
    choice = select_learning_rate(histories(a=[[nan, nan], [1, 1]], b=[[nan, 5], [6, nan]]), tmp_path / "s.json")
    assert choice["learning_rate"] == "b"
    assert choice["candidates"]["a"]["mean"] is None
    assert "Infinity" not in (tmp_path / "s.json").read_text()
    with pytest.raises(InputError, match="diverged.* a;"):
        select_learning_rate(histories(a=[[nan], [1]]))
    with pytest.raises(InputError, match="no history of learning rate a"):
        select_learning_rate({"a": []})
