"""The crowd counters have the tensors of the published checkpoints and compute what the authors' code computes."""

import pytest
import torch
from support.fill import fill, image
from support.golden import assert_golden, facts, parameters, shapes

from promptmix.networks.build import build, network_class

CROWD = ("csrnet", "rescsrnet", "sasnet", "dmcount")


@pytest.fixture(scope="module", params=CROWD)
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
@pytest.mark.parametrize("run", [0, 1], ids=["96x128", "101x139"])
def test_outputs_are_the_authors(published, run, dtype):
    network, expected = published
    run = expected["golden"][run]
    network.to(dtype)
    with torch.no_grad():
        outputs = network(image(*run["input"]["image"]).to(dtype))
    network.float()
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for output, golden in zip(outputs, run["outputs"].values(), strict=True):
        assert_golden(output, golden)


@pytest.mark.parametrize("size", [(96, 64), (72, 104), (33, 47)])
@pytest.mark.parametrize("name", CROWD)
def test_a_narrow_network_returns_maps_of_the_documented_size(name, size):
    network = build(name, width=0.25).eval()
    assert parameters(network) < 0.1 * facts(name)["parameters"]
    with torch.no_grad():
        density = network.density(torch.cat([image(*size)] * 2))
    assert density.shape == (2, 1, *network.output_size(*size))
    # The two are one image; threads may round them differently.
    torch.testing.assert_close(density[0], density[1])


def test_documented_sizes():
    sizes = {name: build(name, width=0.1).output_size(101, 139) for name in CROWD}
    assert sizes == {"csrnet": (12, 17), "rescsrnet": (13, 18), "sasnet": (101, 139), "dmcount": (12, 16)}
    strides = {name: network_class(name).stride for name in CROWD}
    assert strides == {"csrnet": 8, "rescsrnet": 8, "sasnet": 1, "dmcount": 8}


@pytest.mark.parametrize("size", [(32, 32), (32, 61), (63, 33), (95, 40)])
def test_sasnet_takes_any_size_of_at_least_32x32(size):
    network = build("sasnet", width=0.1).eval()
    with torch.no_grad():
        assert network(image(*size)).shape == (1, 1, *size)


def test_sasnet_refuses_less_than_a_block():
    network = build("sasnet", width=0.1).eval()
    with pytest.raises(ValueError, match="32x32 pixels, not 40x31"):
        network(image(31, 40))
    with torch.no_grad():
        assert build("sasnet", width=0.1, block_size=16).eval()(image(16, 40)).shape == (1, 1, 16, 40)


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("csrnet", lambda output: output),
        ("rescsrnet", lambda output: output),
        ("sasnet", lambda output: output / 1000),
        ("dmcount", lambda output: output[0]),
    ],
)
def test_density_is_people_per_output_pixel(name, people):
    network = build(name, width=0.25).eval()
    with torch.no_grad():
        output = network(image(64, 96))
        assert network.density(image(64, 96)).equal(people(output))
        assert network.people(output).equal(people(output))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CROWD)
def test_a_new_network_can_learn_all_its_weights(name, seed):
    torch.manual_seed(seed)
    network = build(name, width=0.25)
    density = network.density(torch.randn(2, 3, 64, 96))
    scale = 1000 if name == "sasnet" else 1
    assert density.abs().max() * scale < 1
    (density * scale - 1).square().mean().backward()
    for key, parameter in network.named_parameters():
        assert torch.isfinite(parameter.grad).all(), key
        if key.endswith("weight"):  # a bias before a batch normalisation has no influence
            assert parameter.grad.any(), key


@pytest.mark.parametrize("width", [0, -1])
def test_width_is_positive(width):
    with pytest.raises(ValueError, match="width is"):
        build("csrnet", width=width)


def test_unknown_names_and_settings_are_named_with_what_was_meant():
    with pytest.raises(ValueError, match=r"'rescrsnet' is not a network\. Known: .*Did you mean 'rescsrnet'\?"):
        build("rescrsnet")
    with pytest.raises(ValueError, match=r"'widht' is not a setting of csrnet\. Known: width\. Did you mean 'width'\?"):
        build("csrnet", widht=0.5)
