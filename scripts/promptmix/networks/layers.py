"""What the networks share: the crowd counters' interface, scaling of widths, VGG's layers, and initial weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Backbone:
    """A classifier whose ImageNet weights can initialise the first part of a network.

    Args:
        classifier: its name.
        published: where its weights are published.
        keys: regular expression that must match a whole key: the network's keys that take a weight of the classifier.
        renamed: maps a regular expression for the start of a classifier's key to what replaces it in the network's key.
        dropped: regular expressions that must match a whole key: the classifier's keys that the network does not use.
    """

    classifier: str
    published: str
    keys: str
    renamed: Mapping[str, str]
    dropped: Sequence[str]


class CrowdNetwork(nn.Module):
    """A network that maps an image to a density map.

    `forward` returns what the authors' `forward` returns, `people` converts that to people per output pixel, and
    `density` does both. Images are ImageNet-normalised RGB, (N, 3, H, W). The sum over a density map is the count.
    """

    task = "counting"
    stride: int
    """Image pixels per output pixel, along a side."""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of the density map of an image of the given size."""
        raise NotImplementedError

    def people(self, output) -> Tensor:
        """Return people per output pixel, (N, 1, h, w), given the result of `forward`."""
        return output

    def density(self, image: Tensor) -> Tensor:
        """Return people per output pixel, (N, 1, h, w), for images (N, 3, H, W)."""
        return self.people(self(image))


SHORTCUT = 8
"""The fewest channels that a 1x1 convolution of stride 2 may take.

Of fewer, oneDNN 3.12 computes the gradient outside of its memory on CPUs without AVX-512.
"""


def channels(published: int, width: float, fewest: int = 4) -> int:
    """Return the share `width` of a published number of channels, as a multiple of four and at least `fewest`."""
    if not width > 0:
        raise ValueError(f"width is {width!r}; expected a share of the published channels, above 0 (1 = published)")
    return max(fewest, 4 * round(published * width / 4))


def convolutions(
    inputs: int, plan: Sequence[int | str], width: float, dilation: int = 1, normalised: bool = False
) -> nn.Sequential:
    """Return 3x3 convolutions as in VGG, numbered as torchvision's `features`.

    Args:
        inputs: channels of the input; `width` does not scale them.
        plan: published number of channels of each convolution, which is followed by ReLU; "pool" is a 2x2 max pooling.
        width: share of the published number of channels.
        dilation: dilation of all convolutions; the padding keeps the size.
        normalised: whether there is a batch normalisation between convolution and ReLU.
    """
    layers: list[nn.Module] = []
    for step in plan:
        if step == "pool":
            layers.append(nn.MaxPool2d(2))
            continue
        outputs = channels(step, width)
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation))
        if normalised:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU(inplace=True))
        inputs = outputs
    return nn.Sequential(*layers)


def initialise(network: nn.Module) -> None:
    """Set initial weights from which a network can be trained without pretrained ones.

    Convolutions get Kaiming's normal weights (fan-out, ReLU) and a bias of 0; normalisations keep scale 1 and shift 0.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def start_small(output: nn.Conv2d, bias: float = 0.0) -> None:
    """Set the initial weights of an output layer: deviation 0.01, and the given bias.

    Before a final ReLU the bias must be positive: a map that starts below zero everywhere has no gradient and stays
    empty.
    """
    nn.init.normal_(output.weight, std=0.01)
    nn.init.constant_(output.bias, bias)
