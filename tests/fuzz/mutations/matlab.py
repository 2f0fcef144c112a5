"""MATLAB files of points."""

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse

from fuzz.cases import (
    MATLAB,
    Case,
    Folder,
    Hdf5,
    Mat,
    Unfit,
    in_a_cell,
    matlab,
)
from fuzz.judge import ERROR, RIGHT, TOLD
from fuzz.mutations.registry import a_name, a_note, content_at, is_crowd, move, mutation, note_of


def _set_points(case: Case, name: str, points: Any) -> None:
    _set_variables(case, name, matlab(case.format, points))


def _set_struct(case: Case, name: str, struct: dict[str, Any]) -> None:
    _set_variables(case, name, {"image_info": in_a_cell(struct)})


def _set_variables(case: Case, name: str, variables: dict[str, Any]) -> None:
    if case.truths[name].note in case.named:
        raise Unfit  # what is odd about them would be gone
    note_of(case, name, Mat).variables = variables


ODD_POINTS = {
    "three_columns": lambda points: np.hstack([points, points[:, :1]]),
    "transposed": lambda points: np.ascontiguousarray(points.T),
    "text": lambda points: "12 13",
    "cell": lambda points: np.array([[1, "a"], [2, "b"], [3, "c"]], object),
    "complex": lambda points: points + 1j,
    "flat": lambda points: points.reshape(1, -1),
    "one_column": lambda points: points[:, :1],
    "three_axes": lambda points: points[..., None] * np.ones(2),
    "sparse": scipy.sparse.csc_matrix,
    "number": lambda points: np.array(3.0),
    "struct": lambda points: {"x": points[:, :1], "y": points[:, 1:]},
}


@mutation(ERROR, MATLAB, ODD_POINTS)
def mat_points(case, rng, change):
    name = a_name(case, rng, is_crowd)
    _set_points(case, name, change(case.truths[name].marks))
    return RIGHT | ERROR if change in (ODD_POINTS["sparse"], ODD_POINTS["struct"]) else None


@mutation(RIGHT, MATLAB, {"single": np.float32, "uint16": np.uint16, "int32": np.int32})
def mat_points_of_kind(case, rng, kind):
    name = a_name(case, rng, is_crowd)
    marks = np.floor(case.truths[name].marks) if kind is not np.float32 else case.truths[name].marks
    _set_points(case, name, marks.astype(kind))
    case.truths[name] = replace(case.truths[name], marks=marks)


@mutation(RIGHT, MATLAB, {"none": (0, 0), "columns": (0, 2), "rows": (2, 0), "row": (1, 0)})
def mat_without_points(case, rng, shape):
    name = a_name(case, rng, lambda truth: not len(truth.marks))
    _set_points(case, name, np.zeros(shape))
    return RIGHT | ERROR if shape in ((2, 0), (1, 0)) else None


@mutation(RIGHT, MATLAB)
def mat_of_one_point(case, rng):
    name = a_name(case, rng, is_crowd)
    _set_points(case, name, case.truths[name].marks[:1])
    case.truths[name] = replace(case.truths[name], marks=case.truths[name].marks[:1])


@mutation(RIGHT, MATLAB)
def mat_not_compressed(case, rng):
    for note in {truth.note for truth in case.truths.values()}:
        content_at(case, note, Mat).options = {}


@mutation(RIGHT | ERROR, ("ucf_qnrf",))
def mat_of_version_4(case, rng):
    content_at(case, a_note(case, rng, Mat), Mat).options = {"format": "4"}


@mutation(RIGHT | ERROR, MATLAB)
def mat_of_version_7_3(case, rng):
    name = a_name(case, rng, is_crowd)
    note_of(case, name, Mat)
    case.files[case.truths[name].note] = Hdf5({"annPoints": case.truths[name].marks.T})


@mutation(RIGHT, MATLAB)
def mat_with_other_variables(case, rng):
    note = content_at(case, a_note(case, rng, Mat), Mat)
    note.variables = {"camera": np.arange(6.0).reshape(2, 3), "made_by": "hand"} | note.variables


@mutation(ERROR, MATLAB)
def mat_with_another_variable_instead(case, rng):
    note = content_at(case, a_note(case, rng, Mat), Mat)
    note.variables = {"points": np.ones((3, 2))}


@mutation(ERROR, MATLAB)
def mat_of_the_other_dataset(case, rng):
    name = a_name(case, rng, is_crowd)
    note_of(case, name, Mat).variables = matlab(
        "ucf_qnrf" if case.format == "shanghaitech" else "shanghaitech", case.truths[name].marks
    )


STRUCTS = {
    "struct": lambda points: {"location": points, "number": float(len(points))},
    "other_order": lambda points: {"number": float(len(points)), "location": points},
    "more_fields": lambda points: {"name": "crowd", "location": points, "number": float(len(points)), "camera": 3.0},
    "no_number": lambda points: {"location": points},
}


@mutation(RIGHT, ("shanghaitech",), STRUCTS)
def mat_struct_without_a_cell(case, rng, build):
    name = a_name(case, rng, is_crowd)
    _set_variables(case, name, {"image_info": build(case.truths[name].marks)})


@mutation(RIGHT, ("shanghaitech",), STRUCTS)
def mat_struct_in_a_cell(case, rng, build):
    name = a_name(case, rng, is_crowd)
    _set_struct(case, name, build(case.truths[name].marks))


@mutation(TOLD | ERROR, ("shanghaitech",), {"more": 1, "less": -1, "zero": -1000})
def mat_number_of_another_count(case, rng, more):
    name = a_name(case, rng, is_crowd)
    marks = case.truths[name].marks
    _set_struct(case, name, {"location": marks, "number": float(max(0, len(marks) + more))})


@mutation(
    RIGHT | TOLD | ERROR,
    ("shanghaitech",),
    {"text": "many", "empty": np.zeros((0, 0)), "nan": np.nan, "list": [3.0, 4.0]},
)
def mat_number_is_none(case, rng, number):
    name = a_name(case, rng, is_crowd)
    _set_struct(case, name, {"location": case.truths[name].marks, "number": number})


@mutation(RIGHT, ("shanghaitech",))
def kaggles_spelling(case, rng):
    for part in ("train_data", "test_data"):
        move(case, f"{part}/ground_truth/", f"{part}/ground-truth/")
    for name, truth in list(case.truths.items()):
        case.truths[name] = replace(truth, note=truth.note.replace("ground_truth", "ground-truth"))


@mutation(RIGHT | ERROR, ("shanghaitech",))
def both_spellings(case, rng):
    case.files["train_data/ground_truth_old"] = Folder()
    case.files["train_data/ground-truth"] = Folder()
