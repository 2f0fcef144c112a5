"""The quality score q: what annotators disagree about, and what cannot be compared."""

import h5py
import numpy as np
import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.networks.registry import map_shape
from promptmix.synthesis.maps import Annotation, write_maps
from promptmix.synthesis.quality import count_disagreement, depth_disagreement, score_block

# --- Counts ---


@pytest.mark.parametrize(
    ("counts", "q"),
    [((100, 100), 0), ((100, 50), 0.5), ((100, 50, 90), 0.5), ((0, 0), 0), ((0, 7), 1), ((-1, 3), 4 / 3), ((-2, 0), 1)],
)
def test_counts_disagree_by_the_largest_relative_difference(counts, q):
    assert count_disagreement(counts) == pytest.approx(q)
    assert count_disagreement(counts[::-1]) == pytest.approx(q)


# --- Depth ---


def rooms(*depths):
    """Return one map per annotator, all of its pixels at one depth."""
    return [np.full((4, 6), depth, dtype=np.float16) for depth in depths]


@pytest.mark.parametrize(
    ("depths", "q"), [((2, 2), 0), ((2, 4), 0.5), ((4, 2), 0.5), ((5, 4, 4), 0.2), ((1, 2, 4), 0.75)]
)
def test_depths_disagree_by_the_distance_of_the_farthest_pair_relative_to_the_largest(depths, q):
    assert depth_disagreement(rooms(*depths)) == pytest.approx(q)


def test_depth_disagreement_is_of_means_over_pixels_and_knows_the_scale():
    a, b = rooms(2, 2)
    b[0] = 4  # a quarter of the pixels: the maps are 0.5 m apart, and the larger mean is 2.5 m
    assert depth_disagreement([a, b]) == depth_disagreement([b, a]) == pytest.approx(0.5 / 2.5)
    assert depth_disagreement([4 * a, 4 * b]) == pytest.approx(0.5 / 2.5)
    assert depth_disagreement([a, 2 * a]) == pytest.approx(0.5)


def test_differences_in_both_directions_do_not_cancel():
    a, b = rooms(1, 9)
    a[:2], b[:2] = 9, 1
    assert depth_disagreement([a, b]) == pytest.approx(8 / 5)


def test_the_largest_map_need_not_be_one_of_the_farthest_pair():
    a, b, c = rooms(1, 9, 6)
    a[:2], b[:2] = 9, 1
    assert depth_disagreement([a, b, c]) == pytest.approx(8 / 6)


def test_unknown_depth_counts_as_none():
    a, b = rooms(2, 4)
    a[:2] = b[:2] = 0
    assert depth_disagreement([a, b]) == pytest.approx(0.5)
    b[0, 0] = -1
    assert depth_disagreement([a, b]) == pytest.approx(0.5)
    b[0] = 3
    assert depth_disagreement([a, b]) == pytest.approx((6 * 3 + 12 * 2) / (6 * 3 + 12 * 4))
    assert depth_disagreement(rooms(0, 3)) == 1


def test_an_image_of_which_nothing_is_known_scores_1():
    assert depth_disagreement(rooms(0, 0)) == depth_disagreement(rooms(0, -1)) == 1


# --- Files ---


def annotations(path, values, size=(16, 24), task="counting", annotator=None):
    """Write annotations: {stem: count, or depth of all pixels}."""
    stride = {"counting": 8, "depth": 1}[task]
    shape = map_shape(*size, stride)
    maps = []
    for stem, value in values.items():
        cells = np.full(shape, value / (shape[0] * shape[1]) if task == "counting" else value, dtype=np.float32)
        maps.append(Annotation(stem, cells, *size))
    write_maps(path, maps, stride, annotator or path.stem, task)
    return path


def test_a_block_of_crowds_is_scored_in_the_order_of_the_stems(tmp_path):
    a = annotations(tmp_path / "a.h5", {"seed-001": 10, "seed-000": 8})
    b = annotations(tmp_path / "b.h5", {"seed-000": 8, "seed-001": 5})
    c = annotations(tmp_path / "c.h5", {"seed-000": 6, "seed-001": 7})
    found = score_block([a, b, c])
    expected = pd.DataFrame({"stem": ["seed-000", "seed-001"], "q": [0.25, 0.5]})
    pd.testing.assert_frame_equal(found, expected, check_exact=False)


def test_maps_that_say_no_task_are_of_crowds(tmp_path):
    files = [annotations(tmp_path / f"{name}.h5", {"a": count}) for name, count in (("x", 4), ("y", 1))]
    for path in files:
        with h5py.File(path, "a") as file:
            del file.attrs["task"]
    assert score_block(files)["q"].tolist() == [0.75]


def test_a_block_of_rooms_is_scored_by_its_depth(tmp_path):
    files = [annotations(tmp_path / f"{n}.h5", {"a": m, "b": 3}, task="depth") for n, m in (("x", 2), ("y", 4))]
    assert score_block(files).to_numpy().tolist() == [["a", 0.5], ["b", 0.0]]


def test_annotations_of_unequal_image_sizes_are_an_error(tmp_path):
    a = annotations(tmp_path / "a.h5", {"seed-000": 8}, annotator="sasnet")
    b = annotations(tmp_path / "b.h5", {"seed-000": 8}, size=(16, 23), annotator="dmcount")  # as many cells
    with pytest.raises(
        InputError,
        match=r"seed-000: sasnet annotated it at 24x16 pixels and dmcount at 23x16.*snakemake .*a\.h5 .*b\.h5",
    ):
        score_block([a, b])


def test_one_annotator_has_no_disagreement(tmp_path):
    path = annotations(tmp_path / "a.h5", {"seed-000": 8})
    for files in ([path], [path, path]):
        with pytest.raises(InputError, match="q compares annotators, and 1 is given; name two or more"):
            score_block(files)
    with pytest.raises(InputError, match="1 is given"):
        count_disagreement([3])
    with pytest.raises(InputError, match="0 is given"):
        depth_disagreement([])


def test_annotators_of_different_tasks_cannot_be_compared(tmp_path):
    a = annotations(tmp_path / "a.h5", {"seed-000": 8})
    b = annotations(tmp_path / "b.h5", {"seed-000": 8}, task="depth")
    with pytest.raises(InputError, match=r"a\.h5 holds maps for counting and .*b\.h5 for depth"):
        score_block([a, b])


@pytest.mark.parametrize("order", [1, -1])
def test_an_image_that_one_annotator_lacks_is_an_error(order, tmp_path):
    a = annotations(tmp_path / "a.h5", {"seed-000": 8, "seed-001": 8})
    b = annotations(tmp_path / "b.h5", {"seed-000": 8})
    with pytest.raises(InputError, match=r"b\.h5: no annotation of seed-001; the file holds 1 maps.*Other annotators"):
        score_block([a, b][::order])


@pytest.mark.parametrize(("task", "expected"), [("counting", "a count"), ("depth", "depth in metres")])
def test_an_annotation_that_is_not_finite_is_an_error(task, expected, tmp_path):
    a = annotations(tmp_path / "a.h5", {"seed-000": 8}, task=task)
    b = annotations(tmp_path / "b.h5", {"seed-000": np.nan}, task=task)
    with pytest.raises(InputError, match=rf"b\.h5: seed-000: the annotation by b is not finite; expected {expected}"):
        score_block([a, b])
