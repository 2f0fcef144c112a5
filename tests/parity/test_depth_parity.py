"""The depth networks have the tensors of the published checkpoints; they and GuideDepth's loss are the authors'."""

import numpy as np
import pytest
import torch
from support.fill import fill, image, noise
from support.golden import assert_golden, facts, parameters, shapes
from torch.nn import functional as F

from promptmix.networks.build import build
from promptmix.networks.cost import count
from promptmix.training import depth_loss


@pytest.fixture(scope="module", params=["guidedepth", "adabins"])
def published(request):
    """A network as published, filled by the formula, and the facts about it."""
    network = build(request.param)
    expected = facts(request.param)
    return fill(network, expected["golden"][0]["gain"]), expected


def test_keys_shapes_and_parameters_are_the_published_ones(published):
    network, expected = published
    assert list(shapes(network).items()) == list(expected["state_dict"].items())
    assert parameters(network) == expected["parameters"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_outputs_are_the_authors(published, dtype):
    network, expected = published
    network.to(dtype)
    for run in expected["golden"]:
        with torch.no_grad():
            outputs = network(image(*run["input"]["image"]).to(dtype))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        for output, golden in zip(outputs, run["outputs"].values(), strict=True):
            assert_golden(output, golden)
    network.float()


def test_guidedepth_costs_what_the_authors_does():
    assert round(count("guidedepth", height=480, width=640)["gmac"], 2) == 10.59


@pytest.fixture(params=["float32", "float64"])
def loss(request):
    """The images that the authors' loss was run on, and its terms, in both precisions."""
    dtype = getattr(torch, request.param)
    images = (torch.from_numpy(1 + 9 * np.abs(noise(name, 6144))).reshape(2, 1, 48, 64) for name in ("output", "depth"))
    return *(F.avg_pool2d(image.to(dtype), 5, 1, 2) for image in images), facts("depth_loss")["golden"][request.param]


def test_the_loss_is_the_authors(loss):
    predicted, target, golden = loss
    exact = 1e-12 if predicted.dtype == torch.float64 else 1e-6
    assert (predicted - target).abs().mean().item() == pytest.approx(golden["l1"], rel=exact)
    assert depth_loss.gradient_loss(predicted, target).item() == pytest.approx(golden["gradient"], rel=exact)
    # The authors' window is rounded to float32, where its sum is not quite 1; see below.
    assert depth_loss.ssim(predicted, target).mean().item() == pytest.approx(golden["ssim"], abs=1e-5)
    assert depth_loss.guidedepth_loss(predicted, target).item() == pytest.approx(golden["loss"], abs=5e-6)


def test_with_the_authors_rounded_window_it_is_theirs_to_the_last_digits(loss, monkeypatch):
    predicted, target, golden = loss
    half = [0.0010283801, 0.007598758, 0.036000773, 0.10936069, 0.21300553]
    weights = torch.tensor([*half, 0.26601171, *reversed(half)])
    window = (weights[:, None] * weights).to(predicted.dtype)

    def blur(maps):
        return F.conv2d(maps, window.expand(maps.shape[1], 1, 11, 11), padding=5, groups=maps.shape[1])

    monkeypatch.setattr(depth_loss, "blur", blur)
    exact = 1e-12 if predicted.dtype == torch.float64 else 1e-6
    assert depth_loss.ssim(predicted, target).mean().item() == pytest.approx(golden["ssim"], rel=exact)
    assert depth_loss.guidedepth_loss(predicted, target).item() == pytest.approx(golden["loss"], rel=exact)
