"""Batches, annotations and their files: whatever the size of the image, no one gets lost."""

from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.synthesis.annotation import annotate, load_annotator
from promptmix.synthesis.maps import Annotation, open_maps, read_counts, read_map, reduce_map, write_maps
from promptmix.tasks.batching import MEAN, STD, batch_by_size, density, network_input, padded_size


class Brightness(nn.Module):
    """A network that sees one person per pixel of value 255, none where 0; its sides are multiples of `multiple`."""

    task = "counting"

    def __init__(self, stride=1, multiple=1):
        super().__init__()
        self.stride, self.multiple, self.batches = stride, multiple, []

    def output_size(self, height, width):
        return tuple(side // self.multiple * self.multiple // self.stride for side in (height, width))

    def density(self, image):
        self.batches.append(tuple(image.shape))
        h, w = self.output_size(*image.shape[2:])
        people = image[:, :1] * STD[0] + MEAN[0]
        people = people[:, :, : h * self.stride, : w * self.stride]
        return nn.functional.avg_pool2d(people, self.stride) * self.stride**2


@pytest.mark.parametrize(("name", "size"), [("sasnet", (96, 128)), ("dmcount", (96, 128)), ("adabins", (96, 128))])
def test_mixed_precision_gives_nearly_the_same_maps_in_float32(name, size, tmp_path):
    torch.manual_seed(0)
    settings = {"width": 0.25} | (
        {"encoder_depth": 0.2, "embedding": 16, "patch": 4, "bins": 16} if name == "adabins" else {}
    )
    network = build(name, **settings)
    save_weights(tmp_path / "weights.safetensors", network)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    maps = {}
    for precision in ("float32", "bfloat16"):
        loaded = load_annotator(
            name, network.task, settings, tmp_path / "weights.safetensors", "cpu", precision=precision
        )
        stride = 1 if network.task == "depth" else 8
        (found,) = annotate(loaded, [("a", pixels)], "cpu", stride)
        maps[precision] = found.map
    assert maps["bfloat16"].dtype == np.float32
    spread = np.abs(maps["float32"]).mean()
    assert 0 < np.abs(maps["bfloat16"] - maps["float32"]).mean() < 0.05 * spread


def image(height, width, white):
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels.reshape(-1, 3)[:white] = 255
    return pixels


@pytest.mark.parametrize(
    ("name", "size", "padded"),
    [
        ("csrnet", (768, 1024), (768, 1024)),
        ("csrnet", (101, 139), (104, 144)),
        ("rescsrnet", (101, 139), (101, 139)),
        ("dmcount", (101, 139), (112, 144)),
        ("dmcount", (96, 64), (96, 64)),
        ("sasnet", (101, 139), (101, 139)),
    ],
)
def test_images_are_padded_until_the_map_covers_them_and_no_further(name, size, padded):
    assert padded_size(build(name, width=0.05), *size) == padded


@pytest.mark.parametrize("name", ["csrnet", "rescsrnet", "dmcount"])
def test_the_map_has_a_cell_for_every_pixel(name):
    with torch.no_grad():
        maps = density(build(name, width=0.05).eval(), [image(37, 50, 9)] * 2, "cpu")
    assert maps.shape == (2, 5, 7)


def test_a_batch_is_normalised_and_padded_with_the_mean():
    network = SimpleNamespace(stride=1, output_size=lambda height, width: (height // 8 * 8, width // 6 * 6))
    batch = network_input(network, [image(4, 5, 20)], "cpu")
    assert batch.shape == (1, 3, 8, 6)
    expected = (1 - torch.tensor(MEAN)) / torch.tensor(STD)
    torch.testing.assert_close(batch[0, :, 0, 0], expected)
    assert batch[0, :, 4:].abs().max() == 0
    assert batch[0, :, :, 5:].abs().max() == 0


def test_sizes_are_batched_together():
    assert batch_by_size(["a", "b", "a", "a", "b", "c"], 2) == [[0, 2], [1, 4], [3], [5]]
    assert batch_by_size([], 2) == []


@pytest.mark.parametrize(("stride", "multiple"), [(1, 1), (8, 8), (8, 16)])
def test_annotations_keep_the_count(stride, multiple):
    images = [("a", image(64, 96, 500)), ("b", image(64, 96, 7)), ("c", image(40, 96, 33)), ("d", image(64, 96, 0))]
    annotations = {a.stem: a for a in annotate(Brightness(stride, multiple), iter(images), "cpu")}
    assert {stem: len(a.map) for stem, a in annotations.items()} == {"a": 8, "b": 8, "c": 5, "d": 8}
    for (stem, _), count in zip(images, (500, 7, 33, 0), strict=True):
        assert annotations[stem].map.sum() == pytest.approx(count, abs=1e-2)
    assert annotations["a"].map[0, 3:] == pytest.approx(40, abs=1e-2)  # five rows of pixels, and 20 pixels of the sixth


def test_odd_sizes_keep_the_count():
    (annotation,) = annotate(Brightness(), [("a", image(37, 50, 123))], "cpu")
    assert annotation.map.shape == (5, 7)
    assert annotation.map.sum() == pytest.approx(123, abs=1e-2)
    assert (annotation.height, annotation.width) == (37, 50)


def test_batches_hold_one_size_and_few_pixels():
    images = [(str(i), image(16, 24 if i % 2 else 32, i)) for i in range(9)]
    network = Brightness()
    stems = [a.stem for a in annotate(network, images, "cpu", batch_pixels=3 * 16 * 24)]
    assert sorted(stems) == [stem for stem, _ in images]
    assert sorted(shape[0] for shape in network.batches) == [1, 1, 2, 2, 3]


def test_an_image_of_more_pixels_goes_alone():
    network = Brightness()
    list(annotate(network, [("a", image(16, 24, 1)), ("b", image(16, 24, 1))], "cpu", batch_pixels=1))
    assert [shape[0] for shape in network.batches] == [1, 1]


def test_batches_do_not_change_the_annotation():
    network = build("sasnet", width=0.05)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3)).astype(np.uint8)
    images = [(str(i), p) for i, p in enumerate(pixels)]
    together = {a.stem: a.map for a in annotate(network, images, "cpu")}
    alone = {a.stem: a.map for a in annotate(network, images, "cpu", batch_pixels=1)}
    for stem in together:
        np.testing.assert_allclose(together[stem], alone[stem], rtol=1e-4, atol=1e-7)


def test_strides_must_divide():
    with pytest.raises(ValueError, match="stride 16"):
        list(annotate(Brightness(16, 16), [("a", image(16, 16, 1))], "cpu"))


def test_blocks_are_summed():
    density_map = np.arange(20.0).reshape(4, 5)
    assert reduce_map(density_map, 2, (2, 3)).tolist() == [[12, 20, 13], [52, 60, 33]]
    assert reduce_map(density_map, 2, (3, 4)).sum() == density_map.sum()
    with pytest.raises(ValueError, match="does not fit into 2x2 cells"):
        reduce_map(density_map, 2, (2, 2))


def annotations():
    rng = np.random.default_rng(0)
    return [Annotation(f"seed-0000{i}", rng.random((2, 3)).astype(np.float32), 16, 20) for i in range(3)]


def test_what_is_written_is_read(tmp_path):
    write_maps(tmp_path / "a.h5", iter(annotations()), 8, "sasnet")
    with open_maps(tmp_path / "a.h5") as file:
        assert file.attrs["annotator"] == "sasnet"
        for annotation in annotations():
            assert (read_map(file, annotation.stem) == annotation.map).all()
    assert (read_map(tmp_path / "a.h5", "seed-00001") == annotations()[1].map).all()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["stride"] == 8
    counts = read_counts(tmp_path / "a.h5")
    assert counts["count"].tolist() == [a.map.sum(dtype=np.float64) for a in annotations()]
    assert counts[["height", "width"]].to_numpy().tolist() == [[16, 20]] * 3


def test_equal_annotations_make_equal_files(tmp_path):
    for name in "ab":
        write_maps(tmp_path / f"{name}.h5", annotations(), 8, "sasnet")
    assert sha256(tmp_path / "a.h5") == sha256(tmp_path / "b.h5")


def test_a_file_is_complete_or_absent(tmp_path):
    with pytest.raises(ValueError, match="2x3 cells of 4 pixels"):
        write_maps(tmp_path / "a.h5", annotations(), 4, "sasnet")
    with pytest.raises(ValueError, match="two images are called seed-00000"):
        write_maps(tmp_path / "a.h5", annotations()[:1] * 2, 8, "sasnet")
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    write_maps(tmp_path / "a.h5", annotations(), 8, "sasnet")
    with pytest.raises(InputError, match="a.h5: no annotation of seed-9; .* 3 maps.*snakemake"):
        read_map(tmp_path / "a.h5", "seed-9")
    (tmp_path / "a.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:500])
    with pytest.raises(InputError, match="a.h5: not HDF5.*snakemake"):
        open_maps(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["depth"] = 1
    with pytest.raises(InputError, match="`map` and the attribute `stride`, found depth.*snakemake"):
        open_maps(tmp_path / "b.h5")
    with pytest.raises(InputError, match="no such file of annotations.*snakemake"):
        open_maps(tmp_path / "c.h5")


# --- Maps that cannot be right ---


class Odd(nn.Module):
    """A network that gives one map for images whose first pixel is white, and people or metres of 1 for the others."""

    def __init__(self, cell, task="counting"):
        super().__init__()
        self.cell, self.task, self.stride = cell, task, 1

    def output_size(self, height, width):
        return height, width

    def density(self, image):
        odd = image[:, :1, :1, :1] > 0
        return torch.where(odd, self.cell, 1.0 if self.task == "depth" else 0.01).expand(-1, 1, *image.shape[2:])

    depth = density


@pytest.mark.parametrize(
    ("task", "cell", "found"),
    [
        ("counting", float("nan"), r"not finite \(NaN or infinity\)"),
        ("counting", float("inf"), "not finite"),
        ("counting", 1.01, "387.8 people .* at most 384 in an image"),
        ("counting", -1.01, "-387.8 people"),
        ("depth", float("nan"), "not finite"),
        ("depth", -1.0, "metres, from 0"),
        ("depth", 1001.0, "metres, from 0 .* at most 1000"),
    ],
)
@pytest.mark.parametrize("batch_pixels", [1, 10**6], ids=["alone", "together"])
def test_maps_that_cannot_be_right_are_an_error_that_names_images_and_annotator(task, cell, found, batch_pixels):
    images = [(f"seed-{i}", image(16, 24, 1 if i in (1, 3) else 0)) for i in range(4)]
    with pytest.raises(InputError) as error:
        list(annotate(Odd(cell, task), images, "cpu", 1, batch_pixels, name="mine"))
    error.match(rf"^annotator mine: Odd gave .*{found}")
    named = "seed-1" if batch_pixels == 1 else "seed-1, seed-3"
    assert f"Images: {named}. Check the annotator's weights and settings" in str(error.value)


def test_no_image_has_more_than_a_million_people():
    with pytest.raises(InputError, match="at most 1000000 in an image"):
        list(annotate(Odd(0.9), [("a", image(1100, 1100, 1))], "cpu", 1))


def test_images_that_are_annotated_at_once_are_counted_at_once(monkeypatch, caplog):
    monkeypatch.setattr("promptmix.running.progress.EVERY", 0)
    caplog.set_level("INFO", logger="promptmix.running.progress")
    images = [(str(i), image(16, 24, 0)) for i in range(5)]
    list(annotate(Brightness(), images, "cpu", batch_pixels=3 * 16 * 24, total=5))
    lines = [line.rpartition(",")[0] for line in caplog.messages]
    assert lines == ["3 of 5 images annotated", "5 of 5 images annotated"]
