"""The networks of face restoration in miniature: sizes, noise, anchors, and what they refuse."""

import pytest
import torch

from promptmix.networks.checkpoints import load_weights, save_weights
from promptmix.networks.gfpgan import GFPGAN
from promptmix.networks.parsenet import CLASSES, FACE, ParseNet
from promptmix.networks.retinaface import LANDMARKS, MEAN, RetinaFace, anchors, decode, encode, normalise

DETECTOR = {"width": 0.125, "features": 32, "blocks": [2, 2, 2, 2], "sizes": [[8, 16], [32, 64], [128, 256]]}
PARSER = {"in_size": 64, "width": 0.125, "depth": 3, "smallest": 8}
RESTORER = {"out_size": 64, "style": 32, "width": 0.0625, "mlp": 0}
MINIATURES = [(RetinaFace, DETECTOR, 0.4e6), (ParseNet, PARSER, 0.2e6), (GFPGAN, RESTORER, 0.4e6)]


def picture(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def restorer():
    """A small GFPGAN, whose noise has some strength, which at first it has not."""
    torch.manual_seed(0)
    network = GFPGAN(**RESTORER).eval()
    with torch.no_grad():
        for convolution in (network.stylegan_decoder.style_conv1, *network.stylegan_decoder.style_convs):
            convolution.weight.fill_(0.5)
    return network


@pytest.mark.parametrize(("network", "settings", "most"), MINIATURES, ids=["retinaface", "parsenet", "gfpgan"])
def test_a_miniature_is_small_and_its_weights_fit_a_second_one(network, settings, most, tmp_path):
    first, second = network(**settings).eval(), network(**settings).eval()
    assert sum(parameter.numel() for parameter in first.parameters()) <= most
    assert network.task == "faces"
    save_weights(tmp_path / "weights.safetensors", first)
    load_weights(second, tmp_path / "weights.safetensors")
    with torch.no_grad():
        outputs = [model(picture(1, 3, 64, 64))[0] for model in (first, second)]
    assert outputs[0].equal(outputs[1])


# RetinaFace


@pytest.mark.parametrize("size", [(256, 384), (67, 101), (33, 32)])
def test_each_anchor_has_one_result(size):
    network = RetinaFace(**DETECTOR).eval()
    with torch.no_grad():
        boxes, probabilities, landmarks = network(normalise(picture(2, 3, *size)))
        _, logits, _ = network.raw(normalise(picture(2, 3, *size)))
    count = len(network.anchors(*size))
    assert [tuple(output.shape) for output in (boxes, probabilities, landmarks)] == [(2, count, n) for n in (4, 2, 10)]
    torch.testing.assert_close(probabilities, logits.softmax(-1))
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2, count))


def test_a_result_stands_beside_the_anchor_that_sees_it():
    """A change in one corner of the image changes most the results of the anchors there."""
    torch.manual_seed(0)
    network = RetinaFace(**DETECTOR).eval()
    image = picture(1, 3, 128, 192)
    changed = image.clone()
    changed[..., -16:, :16] *= -1
    with torch.no_grad():
        difference = (network(100 * changed)[0] - network(100 * image)[0]).abs().sum(-1)[0]
    fine = 2 * (128 // 8) * (192 // 8)  # anchors at stride 8
    x, y, *_ = network.anchors(128, 192)[difference[:fine].argmax()]
    assert x < 48 and y > 80


def test_anchors_lie_at_the_centres_of_cells_row_by_row():
    found = anchors(40, 20, [[8, 16], [32], [100, 200, 300]])
    fine = found[: 5 * 3 * 2]
    assert fine[:4].tolist() == [[4, 4, 8, 8], [4, 4, 16, 16], [12, 4, 8, 8], [12, 4, 16, 16]]
    assert fine[6].tolist() == [4, 12, 8, 8]  # the next row
    assert fine[-1].tolist() == [20, 36, 16, 16]  # a cell that juts out of the image
    assert found[30:36].tolist() == [[x, y, 32, 32] for y in (8, 24, 40) for x in (8, 24)]
    assert found[36:].tolist() == [[16, y, s, s] for y in (16, 48) for s in (100, 200, 300)]
    assert found.dtype == torch.float32


def test_decoding_in_numbers():
    anchor = torch.tensor([[100.0, 60.0, 20.0, 40.0]])
    boxes, points = decode(torch.zeros(1, 4), torch.zeros(1, 10), anchor)
    assert boxes.tolist() == [[90, 40, 110, 80]]
    assert points.tolist() == [[[100, 60]] * len(LANDMARKS)]
    box = torch.tensor([[5.0, -5.0, 5 * torch.tensor(2.0).log(), 0.0]])
    landmarks = torch.zeros(1, 10)
    landmarks[0, 2:4] = torch.tensor([5.0, 10.0])
    boxes, points = decode(box, landmarks, anchor)
    torch.testing.assert_close(boxes, torch.tensor([[90.0, 20.0, 130.0, 60.0]]))
    torch.testing.assert_close(points[0, :2], torch.tensor([[100.0, 60.0], [110.0, 100.0]]))


def test_encoding_undoes_decoding():
    prior = anchors(64, 96)
    boxes, landmarks = picture(3, len(prior), 4), picture(3, len(prior), 10, seed=1)
    again = encode(*decode(boxes, landmarks, prior), prior)
    torch.testing.assert_close(again[0], boxes, atol=1e-4, rtol=0)
    torch.testing.assert_close(again[1], landmarks, atol=1e-4, rtol=0)


def test_the_detector_takes_blue_first_and_less_its_mean():
    rgb = torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(1, 3, 1, 1)
    assert normalise(rgb).flatten().tolist() == [30 - 104, 20 - 117, 10 - 123]
    assert normalise(rgb.double()).dtype == torch.float64
    assert MEAN == (104, 117, 123)


# ParseNet


def test_parts_of_a_face():
    network = ParseNet(**PARSER).eval()
    with torch.no_grad():
        logits, image = network(picture(2, 3, 64, 64))
        parts = network.parse(picture(2, 3, 64, 64))
    assert logits.shape == (2, 19, 64, 64) and image.shape == (2, 3, 64, 64)
    assert parts.equal(logits.argmax(1))
    assert len(CLASSES) == 19
    left_out = [name for number, name in enumerate(CLASSES) if number not in FACE]
    assert left_out == ["background", "hat", "necklace", "neck", "clothes"]


@pytest.mark.parametrize("size", [32, 64, 128])
def test_the_parser_halves_as_often_as_needed(size):
    network = ParseNet(in_size=size, classes=6, width=0.0625, depth=1, smallest=16).eval()
    seen = []
    network.body.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[-1]))
    with torch.no_grad():
        assert network(picture(1, 3, size, size))[0].shape == (1, 6, size, size)
    assert seen == [16]


# GFPGAN


@torch.no_grad()
def test_the_same_generator_restores_the_same_face(restorer):
    face = picture(1, 3, 64, 64)
    found = restorer.restore(face, [generator(1)])
    assert found.equal(restorer.restore(face, [generator(1)]))
    assert not found.equal(restorer.restore(face, [generator(2)]))
    assert found.shape == face.shape and found.min() >= -1 and found.max() <= 1
    torch.testing.assert_close(restorer.restore(face), restorer(face)[0].clamp(-1, 1))
    assert restorer(face)[0].equal(restorer(face)[0])


@torch.no_grad()
def test_a_faces_noise_does_not_depend_on_its_batch(restorer):
    alone = restorer.draw_noise([generator(2)])
    among = restorer.draw_noise([generator(1), generator(2), generator(3)])
    assert [tuple(maps.shape) for maps in among] == [(3, 1, s, s) for s in (4, 8, 8, 16, 16, 32, 32, 64, 64)]
    assert all(one[0].equal(three[1]) for one, three in zip(alone, among))
    shared = generator(5)
    assert not torch.equal(*restorer.draw_noise([shared, shared])[0])

    faces = picture(3, 3, 64, 64)
    together = restorer.restore(faces, [generator(1), generator(2), generator(3)])
    torch.testing.assert_close(together[1:2], restorer.restore(faces[1:2], [generator(2)]), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_guesses_come_at_each_scale(restorer):
    image, guesses = restorer(picture(2, 3, 64, 64))
    assert image.shape == (2, 3, 64, 64)
    assert [guess.shape[-1] for guess in guesses] == [8, 16, 32, 64]


@pytest.mark.parametrize("size", [8, 32, 1024])
def test_gfpgan_of_other_sizes(size):
    network = GFPGAN(out_size=size, style=8, width=0.01, mlp=1)
    with torch.no_grad():
        assert network(picture(1, 3, size, size))[0].shape == (1, 3, size, size)


def test_every_part_of_gfpgan_learns(restorer):
    """Except for the mapping network, which is only stored; the noise is not a parameter."""
    network = GFPGAN(**{**RESTORER, "mlp": 2})
    for layers in (*network.condition_scale, *network.condition_shift):
        torch.nn.init.normal_(layers[2].weight, std=0.1)  # zero at first, so that nothing before them would learn
    image, guesses = network(picture(2, 3, 64, 64))
    (image.square().mean() + sum(guess.square().mean() for guess in guesses)).backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert idle == {f"stylegan_decoder.style_mlp.{i}.{kind}" for i in (1, 3) for kind in ("weight", "bias")}


# Refusals


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        (RetinaFace, {"features": 30}, "features is 30; .* multiple of 4"),
        (RetinaFace, {"blocks": [2, 2, 2]}, r"blocks is \[2, 2, 2\]; .*four numbers"),
        (RetinaFace, {"sizes": [[8], [16]]}, r"sizes is \[\[8\], \[16\]\]; .*for each stride"),
        (RetinaFace, {"sizes": [[8], [], [16]]}, "for each stride"),
        (ParseNet, {"in_size": 48}, "in_size is 48"),
        (ParseNet, {"in_size": 16}, "in_size is 16"),
        (ParseNet, {"in_size": 8, "smallest": 1}, "2 or more"),
        (GFPGAN, {"out_size": 48}, "out_size is 48; .* one of 8, 16, 32"),
        (GFPGAN, {"out_size": 4}, "out_size is 4"),
        (GFPGAN, {"width": 0}, "width is 0"),
    ],
)
def test_wrong_settings_are_named(network, settings, message):
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        network(**settings)


@pytest.mark.parametrize(("network", "settings"), [(ParseNet, PARSER), (GFPGAN, RESTORER)], ids=["parsenet", "gfpgan"])
def test_a_face_of_another_size_is_refused(network, settings):
    with pytest.raises(ValueError, match="faces of 64x64 pixels, not 32x64"):
        network(**settings)(picture(1, 3, 64, 32))
