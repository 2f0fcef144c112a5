"""The miniature's datasets: rendered in each format, and read back by the reader of the real ones."""

import numpy as np
import pytest
from support.workflow import shipped

from promptmix.datasets.pictures import is_grey, jpeg_quality
from promptmix.datasets.registry import read_dataset
from promptmix.files import sha256
from promptmix.miniature.rendering.datasets import STREAM, render_dataset, scene

CONFIG = shipped()
FOLDERS = {"shta": "part_A_final", "shtb": "part_B_final", "qnrf": "UCF-QNRF_ECCV18", "panda": "PANDA_Crowd"}


def few(dataset):
    """Return the miniature's settings of a dataset, with few images."""
    images = {"all": 4} if dataset == "panda" else {"train": 3, "test": 2}
    return CONFIG["render"][dataset], CONFIG["datasets"][dataset]["format"], images


def scenes(settings, images, seed):
    """Return what should stand in a dataset: each split's scenes."""
    return {
        split: [scene(np.random.default_rng([STREAM, seed, number, i]), settings) for i in range(count)]
        for number, (split, count) in enumerate(images.items())
    }


@pytest.mark.parametrize("dataset", FOLDERS)
def test_what_is_rendered_is_read_back(dataset, tmp_path):
    settings, format, images = few(dataset)
    render_dataset(tmp_path, settings, images, seed=5)
    samples = read_dataset(format, tmp_path / FOLDERS[dataset], images)
    for split, expected in scenes(settings, images, 5).items():
        found = [s for s in samples if s.split == ("" if split == "all" else split)]
        assert len(found) == len(expected)
        if split == "all":  # in folders by location
            found, expected = (sorted(group, key=lambda one: len(one.points)) for group in (found, expected))
        for sample, crowd in zip(found, expected, strict=True):
            assert sample.count == len(crowd.points) > 0
            assert (sample.height, sample.width) == crowd.image.shape[:2]
            ours, theirs = (p[np.lexsort(p.T)] for p in (sample.points, crowd.points))
            assert np.abs(ours - theirs).max() < 1.01  # clipped to the last pixel; PANDA has centres of boxes
            assert is_grey(sample.image) == crowd.grey
            least, most = settings["quality"]
            assert least <= jpeg_quality(sample.image) <= most
            assert [sample.width, sample.height] in settings["sizes"]


@pytest.mark.parametrize("dataset", FOLDERS)
def test_equal_seeds_give_equal_files_and_others_give_others(dataset, tmp_path):
    settings, _, images = few(dataset)
    found = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        render_dataset(tmp_path / name, settings, images, seed)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        found.append({path.relative_to(tmp_path / name): sha256(path) for path in files})
    assert found[0] == found[1]
    assert not set(found[0].values()) & set(found[2].values())


def test_more_images_leave_the_first_ones_as_they_are(tmp_path):
    settings, _, _ = few("shtb")
    for name, count in (("a", 2), ("b", 4)):
        render_dataset(tmp_path / name, settings, {"train": count, "test": 1}, 5)
    for path in (tmp_path / "a").rglob("*.*"):
        assert sha256(path) == sha256(tmp_path / "b" / path.relative_to(tmp_path / "a"))


@pytest.mark.parametrize(("grey", "colours"), [(0, "color"), (1, "grayscale")])
def test_scenes_are_drawn_as_the_settings_say(grey, colours):
    settings = {"sizes": [[64, 48]], "locations": ["streets"], "people": [5, 5], "grey": grey, "quality": [75, 75]}
    crowd = scene(np.random.default_rng(0), settings)
    assert crowd.image.shape == (48, 64, 3) and (crowd.location, crowd.colours) == ("streets", colours)
    assert len(crowd.points) == round(5 * (64 * 48 / (96 * 64)) ** 0.5)
