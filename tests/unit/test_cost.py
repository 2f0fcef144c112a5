"""Cost: the paper's Table III, to the digit."""

import pytest

from promptmix.errors import InputError
from promptmix.networks.cost import count


@pytest.mark.parametrize(
    ("network", "gmac", "parameters"),
    [("rescsrnet", 26.5421, 1568705), ("csrnet", 325.3430, 16263489), ("sasnet", 698.7245, 38898698)],
)
def test_the_paper_s_numbers(network, gmac, parameters):
    cost = count(network)
    assert f"{cost['gmac']:.4f}" == f"{gmac:.4f}"
    assert cost["parameters"] == parameters


def test_the_cost_grows_with_the_area_and_with_the_channels():
    small = count("rescsrnet", height=96, width=128)
    assert count("rescsrnet")["gmac"] == pytest.approx(64 * small["gmac"])
    narrow = count("rescsrnet", {"width": 0.25}, height=96, width=128)
    assert narrow["gmac"] < small["gmac"] / 8
    assert narrow["parameters"] < small["parameters"] / 8


def test_an_image_that_the_network_cannot_take_is_named():
    with pytest.raises(InputError, match="sasnet cannot take an image of 40x31 pixels; give another size.*32x32"):
        count("sasnet", height=31, width=40)


def test_unknown_settings_are_an_error():
    with pytest.raises(ValueError, match="'widht' is not a setting"):
        count("csrnet", {"widht": 0.5})
