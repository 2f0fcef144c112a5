"""Fine-tuning: which learning rate's weights an annotator has."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from promptmix.errors import InputError
from promptmix.training.candidates import select_weights


@pytest.fixture
def candidates(tmp_path):
    """Return a function that writes weights with validation errors in their metadata, None for no metadata."""

    def write(**errors):
        files = []
        for i, (rate, error) in enumerate(errors.items()):
            files.append(tmp_path / f"lr-{rate}.safetensors")
            metadata = None if error is None else {"epoch": "3", "val_error": error}
            save_file({"weight": np.array([i])}, files[-1], metadata)
        return files

    return write


@pytest.mark.parametrize(
    ("errors", "best"),
    [
        ({"a": "9.5", "b": "10.25", "c": "9.75"}, 0),
        ({"a": "10.25", "b": "9.5"}, 1),  # as text the first is lower
        ({"a": "inf", "b": "7"}, 1),
        ({"a": "nan", "b": "7", "c": "8"}, 1),
        ({"a": None, "b": "7"}, 1),
        ({"a": "1e-05", "b": "2"}, 0),
        ({"a": "7", "b": "7"}, 0),
    ],
)
def test_the_weights_with_the_lowest_validation_error_are_taken(candidates, tmp_path, errors, best):
    files = candidates(**errors)
    select_weights(files, tmp_path / "out" / "mine.safetensors")
    assert load_file(tmp_path / "out" / "mine.safetensors")["weight"].tolist() == [best]
    assert (tmp_path / "out" / "mine.safetensors").read_bytes() == files[best].read_bytes()


def test_candidates_stay_as_they_are(candidates, tmp_path):
    files = candidates(a="1", b="2")
    before = [path.read_bytes() for path in files]
    select_weights(files, tmp_path / "mine.safetensors")
    assert [path.read_bytes() for path in files] == before


@pytest.mark.parametrize("error", ["inf", "nan", None])
def test_weights_that_all_diverged_are_refused(candidates, tmp_path, error):
    expected = r"lr-a\.safetensors, .*lr-b\.safetensors: none has a validation error; all diverged.*`learning_rates`"
    with pytest.raises(InputError, match=expected):
        select_weights(candidates(a="inf", b=error), tmp_path / "mine.safetensors")
    assert not (tmp_path / "mine.safetensors").exists()
