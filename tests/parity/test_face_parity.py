"""The networks of face restoration have the tensors of the published checkpoints and compute what the authors' do."""

import pytest
import torch
from support.fill import fill, image
from support.golden import assert_golden, facts, parameters, shapes

from promptmix.networks.gfpgan import GFPGAN
from promptmix.networks.parsenet import ParseNet
from promptmix.networks.retinaface import RetinaFace, anchors, decode, encode

CLASSES = {"gfpgan": GFPGAN, "retinaface": RetinaFace, "parsenet": ParseNet}


def golden(name, dtype=torch.float32):
    """Return a network as published, filled by the formula, the golden run's image and its outputs.

    The faces of 512x512 pixels take minutes in float64, and float32 tells mistakes from rounding too (golden.py).
    """
    run = facts(name)["golden"][0]
    with torch.device("meta"):  # no first weights: they take longer than the network's own computation
        network = CLASSES[name]()
    network = fill(network.to_empty(device="cpu"), run["gain"]).to(dtype)
    return network, image(*run["input"]["image"]).to(dtype), run["outputs"]


@pytest.mark.parametrize("name", CLASSES)
def test_keys_shapes_and_parameters_are_the_published_ones(name):
    expected = facts(name)
    with torch.device("meta"):
        network = CLASSES[name]()
    assert list(shapes(network).items()) == list(expected["state_dict"].items())
    assert parameters(network) == expected["parameters"]


@torch.no_grad()
def test_gfpgan_restores_as_the_authors():
    network, face, expected = golden("gfpgan")
    restored, guesses = network(face)
    assert_golden(restored, expected["image"])
    assert len(guesses) == len(expected) - 1 == 7
    for i, guess in enumerate(guesses):
        assert_golden(guess, expected[f"rgb {i}"])


@torch.no_grad()
def test_parsenet_parses_as_the_authors():
    network, face, expected = golden("parsenet")
    parts, picture = network(face)
    assert_golden(parts, expected["parsing"])
    assert_golden(picture, expected["image"])


@torch.no_grad()
def test_retinaface_detects_as_the_authors():
    network, photograph, expected = golden("retinaface", torch.float64)
    boxes, probabilities, landmarks = network(photograph)
    assert_golden(boxes, expected["box regressions"])
    assert_golden(probabilities, expected["class probabilities"])
    assert_golden(landmarks, expected["landmark regressions"])

    # The authors' anchors, boxes and landmarks are fractions of the image.
    height, width = photograph.shape[-2:]
    size = torch.tensor([width, height, width, height], dtype=torch.float64)
    priors = anchors(height, width).double()
    assert_golden(priors / size, expected["priors"])
    boxes, points = decode(0.1 * boxes[0], 0.1 * landmarks[0], priors)
    assert_golden(boxes / size, expected["boxes"])
    assert_golden((points / size[:2]).flatten(-2), expected["landmarks"])

    # What is decoded with 0.1 of the regressions is encoded to 0.1 of them.
    boxes, landmarks = encode(boxes, points, priors)
    assert_golden(10 * boxes[None], expected["box regressions"])
    assert_golden(10 * landmarks[None], expected["landmark regressions"])
