"""Averages of annotations: the mean of density and of depth, and what cannot be averaged."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from promptmix.errors import InputError
from promptmix.networks.build import build
from promptmix.synthesis.annotation import annotate
from promptmix.synthesis.averaging import average
from promptmix.synthesis.ensemble import Average
from promptmix.synthesis.maps import Annotation, read_counts, read_map, write_maps
from promptmix.tasks.depth import predict

STRIDES = {"counting": 8, "depth": 1}


def annotations(path, maps, size=(16, 24), task="counting", stride=None):
    """Write annotations: {stem: map}."""
    found = [Annotation(stem, np.array(cells, dtype=np.float32), *size) for stem, cells in maps.items()]
    write_maps(path, found, stride or STRIDES[task], path.stem, task)
    return path


def means(*files):
    """Return the mean annotations by stem."""
    return {annotation.stem: annotation for annotation in average(files)[0]}


CELLS = np.arange(6).reshape(2, 3)
ROOM = np.ones((2, 3))


def test_density_is_averaged_cell_by_cell(tmp_path):
    a = annotations(tmp_path / "a.h5", {"seed-001": CELLS, "seed-000": 0 * CELLS})
    b = annotations(tmp_path / "b.h5", {"seed-000": 9 * CELLS, "seed-001": CELLS + 1})
    c = annotations(tmp_path / "c.h5", {"seed-000": 0 * CELLS, "seed-001": CELLS + 2})
    found, stride, task = average([a, b, c])
    first, second = found
    assert (stride, task) == (8, "counting")
    assert (first.stem, first.height, first.width) == ("seed-000", 16, 24)
    np.testing.assert_allclose(first.map, 3 * CELLS)
    assert second.stem == "seed-001"
    np.testing.assert_allclose(second.map, CELLS + 1)


def test_the_count_of_an_average_is_the_mean_of_the_counts(tmp_path):
    a, b = (annotations(tmp_path / f"{n}.h5", {"x": np.full((2, 3), n)}) for n in (1, 4))
    found, stride, task = average([a, b])
    write_maps(tmp_path / "both.h5", found, stride, "both", task)
    counts = [read_counts(path)["count"]["x"] for path in (a, b, tmp_path / "both.h5")]
    assert counts == [6, 24, 15]


def test_depth_is_averaged_over_the_annotators_that_know_it(tmp_path):
    maps = ([[2, 0, 0], [5, -1, 4]], [[4, 3, 0], [1, 6, 0]], [[6, 5, 0], [3, 0, 0]])
    files = [annotations(tmp_path / f"{i}.h5", {"x": m}, (2, 3), "depth") for i, m in enumerate(maps)]
    found, stride, task = average(files)
    assert (stride, task) == (1, "depth")
    np.testing.assert_allclose(next(found).map, [[4, 4, 0], [3, 6, 4]])
    write_maps(tmp_path / "all.h5", average(files)[0], stride, "all", task)
    np.testing.assert_allclose(read_map(tmp_path / "all.h5", "x"), [[4, 4, 0], [3, 6, 4]])


def test_no_density_is_known_to_be_none(tmp_path):
    a, b = (annotations(tmp_path / f"{n}.h5", {"x": np.full((2, 3), n)}) for n in (0, 4))
    np.testing.assert_allclose(means(a, b)["x"].map, 2 * np.ones((2, 3)))


def test_the_images_have_sizes_of_their_own(tmp_path):
    files = []
    for name in "ab":
        maps = [
            Annotation("x", np.ones((2, 3), np.float32), 16, 24),
            Annotation("y", np.ones((1, 5), np.float32), 8, 40),
        ]
        write_maps(tmp_path / f"{name}.h5", maps, 8, name)
        files.append(tmp_path / f"{name}.h5")
    assert {stem: (m.map.shape, m.height, m.width) for stem, m in means(*files).items()} == {
        "x": ((2, 3), 16, 24),
        "y": ((1, 5), 8, 40),
    }


@pytest.mark.parametrize("order", [1, -1])
def test_an_image_that_one_annotator_lacks_is_an_error(order, tmp_path):
    a = annotations(tmp_path / "a.h5", {"seed-000": CELLS, "seed-001": CELLS})
    b = annotations(tmp_path / "b.h5", {"seed-000": CELLS})
    with pytest.raises(InputError, match=r"b\.h5: no annotation of seed-001; the file holds 1 maps.*Other annotators"):
        means(*[a, b][::order])


def test_maps_for_different_tasks_cannot_be_averaged(tmp_path):
    a = annotations(tmp_path / "a.h5", {"x": ROOM}, (2, 3), "depth")
    b = annotations(tmp_path / "b.h5", {"x": CELLS})
    with pytest.raises(
        InputError,
        match=r"a\.h5 holds maps for depth at stride 1 and .*b\.h5 holds maps for counting at stride 8; only",
    ):
        average([a, a, b])


def test_maps_of_different_strides_cannot_be_averaged(tmp_path):
    a = annotations(tmp_path / "a.h5", {"x": CELLS})
    b = annotations(tmp_path / "b.h5", {"x": np.ones((4, 6))}, stride=4)
    with pytest.raises(
        InputError, match=r"a\.h5 .*for counting at stride 8 and .*b\.h5 .*for counting at stride 4; only"
    ):
        average([a, b])


def test_annotations_of_unequal_image_sizes_are_an_error(tmp_path):
    a = annotations(tmp_path / "a.h5", {"x": CELLS})
    b = annotations(tmp_path / "b.h5", {"x": CELLS}, size=(16, 23))  # as many cells
    with pytest.raises(
        InputError, match=r"x: annotators saw it at 23x16 and 24x16 pixels\. Delete .*a\.h5.*b\.h5.*snake"
    ):
        means(a, b)


def test_a_missing_file_says_how_to_make_it(tmp_path):
    a = annotations(tmp_path / "a.h5", {"x": CELLS})
    with pytest.raises(InputError, match=r"none\.h5: there is no such file of annotations\. Make it with `snakemake"):
        average([a, tmp_path / "none.h5"])


# --- Tested like one network ---


@pytest.mark.parametrize(("task", "names"), [("counting", ["sasnet", "csrnet"]), ("depth", ["guidedepth", "adabins"])])
def test_annotators_together_see_the_mean_of_what_each_writes(tmp_path, task, names):
    settings = {"adabins": {"width": 0.25, "encoder_depth": 0.1, "patch": 3}}
    networks = [build(name, **settings.get(name, {"width": 0.125})).eval() for name in names]
    pixels = np.random.default_rng(0).integers(0, 255, (2, 67, 90, 3)).astype(np.uint8)
    images = [("a", pixels[0]), ("b", pixels[1])]
    stride = STRIDES[task]
    for name, network in zip(names, networks):
        write_maps(tmp_path / f"{name}.h5", annotate(network, images, "cpu", stride), stride, name, task)
    expected = means(*(tmp_path / f"{name}.h5" for name in names))
    found = {annotation.stem: annotation for annotation in annotate(Average(networks), images, "cpu", stride)}
    assert found.keys() == expected.keys() == {"a", "b"}
    for stem in found:
        assert found[stem].map.shape == expected[stem].map.shape
        np.testing.assert_allclose(found[stem].map, expected[stem].map, rtol=2e-3, atol=1e-4)  # float16 in the files


class Metres(nn.Module):
    """It sees one depth, and none to the left."""

    mean, std, task, stride, leaves_out = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "depth", 1, True

    def __init__(self, metres, unknown):
        super().__init__()
        self.metres, self.unknown = metres, unknown

    def output_size(self, height, width):
        return height, width

    def depth(self, image):
        maps = torch.full_like(image[:, :1], self.metres)
        maps[..., : self.unknown] = 0
        return maps


def test_depth_that_annotators_leave_unknown_is_no_error():
    image, true = np.zeros((8, 10, 3), np.uint8), np.full((8, 10), 4, np.float32)
    room = SimpleNamespace(
        sizes=[(8, 10)], image=lambda i: image, depth=lambda i: true, frame=pd.DataFrame({"image": ["a"]})
    )
    for annotator, pixels, squared in (
        (Metres(4, 3), 7 * 8, 0),
        (Average([Metres(3, 0), Metres(5, 3)]), 10 * 8, 3 * 8),  # where only one knows it, it is a metre off
        (Average([Metres(3, 3), Metres(5, 3)]), 7 * 8, 0),
    ):
        found = predict(annotator, room, "cpu").iloc[0]
        assert (found["pixels_full"], found["squared_full"]) == (pixels, pytest.approx(squared))
