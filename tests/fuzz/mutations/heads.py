"""Heads in other units, with other axes, outside, or twice, in all formats that count."""

from dataclasses import replace

import numpy as np

from fuzz.cases import (
    COUNTING,
    MATLAB,
    OWN,
    POINTS,
    Json,
    Mat,
    Table,
    Unfit,
    any_of,
)
from fuzz.judge import ERROR, RIGHT, TOLD
from fuzz.mutations.registry import a_name, change_marks, is_crowd, mutation, note_of


@mutation(ERROR, (*POINTS, "coco"))
def heads_as_shares(case, rng):
    change_marks(case, lambda name, marks: marks / case.truths[name].size, keep_truth=True)


@mutation(ERROR, ("points", "coco"))
def heads_as_shares_of_which_one_is_outside(case, rng):
    change_marks(case, lambda name, marks: marks / case.truths[name].size, keep_truth=True)
    name = a_name(case, rng, is_crowd)
    marks = case.truths[name].marks / case.truths[name].size
    marks[0] += [1.0004 - marks[0].max(), 0]
    case.write_marks(name, marks)


@mutation(TOLD | ERROR, (*POINTS, "coco"))
def heads_of_one_image_as_shares(case, rng):
    name = a_name(case, rng, is_crowd)
    note_of(case, name, (Table, Json, Mat))
    marks = case.truths[name].marks / case.truths[name].size
    case.write_marks(name, marks)
    case.truths[name] = replace(case.truths[name], marks=marks)


@mutation(ERROR, COUNTING)
def heads_as_percentages(case, rng):
    if min(min(truth.size) for truth in case.truths.values()) < 100:
        raise Unfit
    shares = case.format == "panda"
    change_marks(case, lambda name, marks: marks * 100 / (1 if shares else case.truths[name].size), keep_truth=True)


@mutation(ERROR, ("panda",))
def heads_in_pixels(case, rng):
    change_marks(case, lambda name, marks: marks * case.truths[name].size, keep_truth=True)


@mutation(TOLD | ERROR, (*POINTS, "coco"))
def heads_with_axes_swapped(case, rng):
    change_marks(case, lambda name, marks: marks[..., ::-1])


@mutation(ERROR, (*POINTS, "coco"))
def heads_beyond(case, rng):
    """As if all pictures had been shrunk by four."""
    change_marks(case, lambda name, marks: marks * 4)


@mutation(TOLD | ERROR, COUNTING)
def head_outside(case, rng):
    name = a_name(case, rng, is_crowd)
    note_of(case, name, (Table, Json, Mat))
    marks = case.truths[name].marks.copy()
    marks[int(rng.integers(len(marks)))] += any_of(rng, [[1000, 0], [0, 1000], [-1000, 0], [0, -1000]])
    case.write_marks(name, marks)
    case.truths[name].marks = marks


@mutation(RIGHT, COUNTING)
def head_on_the_edge(case, rng):
    name = a_name(case, rng, is_crowd)
    note_of(case, name, (Table, Json, Mat))
    marks = case.truths[name].marks.copy()
    corner = any_of(rng, [(0, 0), case.truths[name].size])
    marks[1] += np.subtract(corner, marks[1] if case.format in POINTS else marks[1].mean(axis=0))
    case.write_marks(name, marks)
    case.truths[name].marks = marks


@mutation(ERROR, COUNTING, {"nan": np.nan, "infinite": np.inf, "minus_infinite": -np.inf})
def head_not_finite(case, rng, value):
    name = a_name(case, rng, is_crowd)
    note_of(case, name, (Table, Json, Mat))
    marks = case.truths[name].marks.copy()
    marks[(int(rng.integers(len(marks))), *([0] * (marks.ndim - 2)), int(rng.integers(2)))] = value
    case.write_marks(name, marks)


@mutation(TOLD | ERROR, COUNTING, {"one": False, "all": True})
def head_twice(case, rng, every):
    chosen = a_name(case, rng, is_crowd)
    change_marks(
        case,
        lambda name, marks: (
            np.concatenate([marks, marks if every else marks[:1]]) if every or name == chosen else marks
        ),
    )


@mutation(ERROR, COUNTING)
def no_heads_at_all(case, rng):
    change_marks(case, lambda name, marks: marks[:0])


@mutation(RIGHT, (*MATLAB, *OWN[:2]))
def no_heads_in_the_test_part(case, rng):
    if not any(truth.split == "test" for truth in case.truths.values()):
        raise Unfit
    change_marks(case, lambda name, marks: marks[: 0 if case.truths[name].split == "test" else None])
