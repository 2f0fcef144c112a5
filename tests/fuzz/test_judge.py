"""The judge of odd datasets notices what it is there for."""

import numpy as np
import pytest

from fuzz.cases import FORMATS, MATLAB, make
from fuzz.judge import ANY, ERROR, RIGHT, TOLD, both, judge
from promptmix.datasets import index
from promptmix.errors import InputError


@pytest.fixture(params=FORMATS)
def case(request):
    """A right dataset."""
    return make(request.param, np.random.default_rng(0))


@pytest.fixture
def prepare(monkeypatch):
    """A function that makes preparation end in an exception."""

    def fail(error):
        def prepare(*_):
            raise error

        monkeypatch.setattr(index, "prepare", prepare)

    return fail


def test_a_right_dataset_is_right_and_must_be_allowed_to_be(case, tmp_path):
    assert judge(case, RIGHT, tmp_path / "1") == ""
    assert judge(case, RIGHT | ERROR, tmp_path / "2") == ""
    assert "not refused" in judge(case, ERROR, tmp_path / "3")
    assert "nothing is said" in judge(case, TOLD | ERROR, tmp_path / "4")


def test_wrong_heads_depths_pixels_and_names_are_noticed(case, tmp_path):
    name, truth = next(iter(case.truths.items()))
    if truth.depth is None:
        truth.marks = truth.marks + 0.5
    else:
        truth.depth = truth.depth * 1.01
    assert f"wrong, and nothing is said: {name}: " in judge(case, RIGHT | ERROR, tmp_path / "1")
    assert judge(case, ANY, tmp_path / "2") == ""
    case.truths = {name: truth}
    assert "instead of" in judge(case, RIGHT, tmp_path / "3")


def test_crashes_are_noticed_whatever_is_allowed(case, prepare, tmp_path):
    prepare(KeyError("bbox"))
    assert "preparation crashes" in judge(case, ANY, tmp_path)


def test_an_error_has_to_name_a_file_and_preflight_has_to_find_it(case, prepare, tmp_path):
    case.named = {"images/frame_77.jpg"}
    prepare(InputError("the image is damaged"))
    assert "names no file" in judge(case, ERROR, tmp_path / "1")
    prepare(InputError("images/frame_77.jpg: damaged"))
    assert "refused" in judge(case, RIGHT, tmp_path / "2")
    assert "preflight does not see" in judge(case, ERROR, tmp_path / "3")


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (RIGHT, RIGHT, RIGHT),
        (RIGHT, TOLD | ERROR, TOLD | ERROR),
        (RIGHT, ERROR, ERROR),
        (TOLD, ERROR, ERROR),
        (RIGHT | ERROR, RIGHT, RIGHT | ERROR),
        (ERROR, ANY, ANY),
    ],
)
def test_what_may_come_of_two_changes(one, other, found):
    assert both(one, other) == both(other, one) == found


def test_the_truth_is_that_of_the_annotations(case):
    for truth in case.truths.values():
        heads = truth.heads(case.format)
        assert len(heads) == len(truth.marks)
        assert ((heads[:, :2] >= 0) & (heads[:, :2] <= truth.size)).all()
        if case.format in MATLAB:
            np.testing.assert_array_equal(heads[:, :2], truth.marks - 1)
