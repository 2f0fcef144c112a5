"""Selection: a choice of learning rate that knows no test split."""

import json

import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.records.histories import HISTORY
from promptmix.training.selection import select_learning_rate


@pytest.fixture
def histories(tmp_path):
    """Histories by learning rate, one list of validation errors per repeat; the files of all of them."""

    def write(generated=4, experiment="shta", **errors):
        files = []
        for rate, repeats in errors.items():
            for repeat, val_error in enumerate(repeats):
                rows = pd.DataFrame({"val_error": val_error}, dtype=float)
                keys = {"experiment": experiment, "learning_rate": rate, "repeat": repeat, "epoch": rows.index + 1}
                rest = {"lr": 1e-3, "loss": 1, "images": 10, "generated": generated, "updates": 3, "seconds": 0.1}
                files.append(tmp_path / f"{experiment}-{rate}-{repeat}.csv")
                HISTORY.write(files[-1], rows.assign(**keys, **rest))
        return files

    return write


def test_the_lowest_mean_of_the_repeats_best_errors_is_chosen(histories, tmp_path):
    files = histories(a=[[9, 4, 7], [6, 8, 9]], b=[[9, 9, 2], [9, 7, 9]], c=[[5, 5, 5], [5, 5, 5]])
    choice = select_learning_rate(files, tmp_path / "selection.json")
    assert choice["experiment"] == "shta"
    assert choice["learning_rate"] == "b"
    assert choice["val_error"] == 4.5
    assert choice["candidates"]["a"] == {
        "mean": 5.0,
        "repeats": [{"repeat": 0, "val_error": 4.0, "epoch": 2}, {"repeat": 1, "val_error": 6.0, "epoch": 1}],
    }
    assert json.loads((tmp_path / "selection.json").read_text()) == choice


def test_the_order_of_the_files_does_not_matter_but_for_that_of_the_rates(histories):
    files = histories(a=[[9, 4], [6, 8]], b=[[9, 2], [9, 7]])
    choice, other = select_learning_rate(files), select_learning_rate(files[::-1])
    assert choice == other
    assert (list(choice["candidates"]), list(other["candidates"])) == (["a", "b"], ["b", "a"])


def test_the_learning_rate_is_spelled_as_in_the_config(histories):
    assert select_learning_rate(histories(**{"1e-3": [[5]], "0.0010": [[6]]}))["learning_rate"] == "1e-3"


def test_the_first_of_equals_is_chosen(histories):
    assert select_learning_rate(histories(a=[[5]], b=[[5]]))["learning_rate"] == "a"


@pytest.mark.parametrize("generated", [0, 3])
def test_the_choice_says_how_many_generated_images_an_epoch_had(histories, generated):
    assert select_learning_rate(histories(a=[[5]], generated=generated))["r_mix"] == generated


def test_a_run_that_diverged_is_not_chosen(histories, tmp_path):
    nan = float("nan")
    choice = select_learning_rate(histories(a=[[nan, nan], [1, 1]], b=[[nan, 5], [6, nan]]), tmp_path / "s.json")
    assert choice["learning_rate"] == "b"
    assert choice["candidates"]["a"]["mean"] is None
    assert "Infinity" not in (tmp_path / "s.json").read_text()
    with pytest.raises(InputError, match="shta: .*diverged.* a;"):
        select_learning_rate(histories(a=[[nan], [1]]))


def test_histories_must_belong_together(histories):
    with pytest.raises(InputError, match="no histories"):
        select_learning_rate([])
    files = histories(a=[[5], [5]], b=[[6], [6]])
    with pytest.raises(InputError, match=r"one experiment.*shta \(.*shta-a-0\.csv\), shtb \(.*shtb-a-0\.csv\)"):
        select_learning_rate([files[0], *histories(experiment="shtb", a=[[5]])])
    with pytest.raises(InputError, match="same repeats of each learning rate, and found a: 0, 1; b: 0$"):
        select_learning_rate(files[:3])
    with pytest.raises(InputError, match=r"shta-a-1\.csv: a second history of learning rate a, repeat 1"):
        select_learning_rate([*files, files[1]])
    HISTORY.write(files[0], pd.concat([HISTORY.read(file) for file in files[:2]]))
    with pytest.raises(InputError, match=r"shta-a-0\.csv: the history of 2 runs"):
        select_learning_rate(files[:1])
