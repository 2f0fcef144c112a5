"""The mean over an image and the image mirrored: counts and places are kept, whatever the width."""

import numpy as np
import pytest
import torch
from torch import nn

from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.synthesis.annotation import annotate, load_annotator
from promptmix.synthesis.mirroring import Mirrored


class Left(nn.Module):
    """A network that sees the brightness of the image's left half alone, with any `stride`."""

    task = "counting"
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, stride=8, everywhere=False):
        super().__init__()
        self.stride, self.everywhere = stride, everywhere

    def output_size(self, height, width):
        return -(-height // self.stride), -(-width // self.stride)

    def density(self, image):
        seen = image[:, :1].clone()
        if not self.everywhere:
            seen[..., image.shape[3] // 2 :] = 0
        return nn.functional.avg_pool2d(seen, self.stride, ceil_mode=True, divisor_override=1)


class Depth(nn.Module):
    """A network whose depth is the red channel, and the column from the left; 0, unknown, in the first column."""

    task, stride, leaves_out = "depth", 1, True
    mean, std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)

    def output_size(self, height, width):
        return height, width

    def depth(self, image):
        column = torch.arange(image.shape[3])
        return (image[:, :1] + column) * (column > 0)


def maps_of(network, pixels, stride=8):
    (found,) = annotate(network, [("a", pixels)], "cpu", stride)
    return found.map


def dots(height, width, *points):
    pixels = np.zeros((height, width, 3), np.uint8)
    for x, y in points:
        pixels[y, x] = 255
    return pixels


@pytest.mark.parametrize("width", [64, 50, 57, 7, 8, 9])
@pytest.mark.parametrize("stride", [1, 4, 8])
def test_an_annotator_that_does_not_mind_mirrors_keeps_its_counts(width, stride):
    pixels = np.random.default_rng(width).integers(0, 255, (20, width, 3), dtype=np.uint8)
    network = Left(stride, everywhere=True)
    plain, mirrored = maps_of(network, pixels), maps_of(Mirrored(network), pixels)
    assert plain.shape == mirrored.shape
    assert mirrored.sum(dtype=np.float64) == pytest.approx(plain.sum(dtype=np.float64), rel=1e-6)
    np.testing.assert_allclose(mirrored.sum(1), plain.sum(1), rtol=1e-5)
    if width % 8 == 0 or stride == 1:
        np.testing.assert_allclose(mirrored, plain, rtol=1e-5)


def test_the_count_is_the_mean_of_the_two_counts():
    pixels = dots(16, 50, (3, 3), (40, 3), (48, 12))  # one on the left, and two when mirrored
    assert maps_of(Mirrored(Left()), pixels).sum() == pytest.approx(1.5)


@pytest.mark.parametrize("width", [64, 50])
def test_what_is_seen_in_the_mirror_is_put_where_it_is(width):
    x = width - 4
    density = maps_of(Mirrored(Left()), dots(16, width, (x, 11)))
    assert density.sum() == pytest.approx(0.5)
    columns = (density[1] * (np.arange(density.shape[1]) * 8 + 4)).sum() / density.sum()
    assert columns == pytest.approx(x, abs=8)
    assert density[0].sum() == 0
    assert density[:, : x // 8 - 1].sum() == 0  # not beyond the neighbouring cell


def test_depth_is_averaged_where_both_know_it():
    pixels = np.full((2, 5, 3), 10, np.uint8)
    found = maps_of(Mirrored(Depth()), pixels, 1)
    # from the left 0, 11, 12, 13, 14; in the mirror, turned back, 14, 13, 12, 11, 0
    np.testing.assert_allclose(found, [[14, 12, 12, 12, 14]] * 2)


def test_it_is_a_setting_of_any_annotator(tmp_path):
    save_weights(tmp_path / "weights.safetensors", build("dmcount", width=0.05))
    given = {"reference": "dmcount", "task": "counting", "settings": {"width": 0.05}}
    given |= {"weights": tmp_path / "weights.safetensors", "device": "cpu"}
    pixels = np.random.default_rng(0).integers(0, 255, (37, 50, 3), dtype=np.uint8)
    plain, turned = (maps_of(load_annotator(**given), each) for each in (pixels, pixels[:, ::-1].copy()))
    both = maps_of(load_annotator(**given, flip=True), pixels)
    assert both.sum() == pytest.approx((plain.sum() + turned.sum()) / 2, rel=1e-4)
