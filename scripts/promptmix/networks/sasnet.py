"""SASNet (Song et al.: To Choose or to Fuse? Scale Selection for Crowd Counting, AAAI 2021).

One of the PromptMix paper's crowd counters (Table III): VGG-16 with batch normalisation and a decoder of five levels,
weighted separately for each block of the image. 38 898 698 parameters, 698.72 GMac for a 1024x768 image. The keys are
those of the published checkpoints (github.com/TencentYoutuResearch/CrowdCounting-SASNet).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.layers import CrowdNetwork, channels, convolutions, initialise, start_small

LOG_PARA = 1000
"""The authors train on densities multiplied by this number (their `log_para`)."""


class SASNet(CrowdNetwork):
    """Density map of a crowd at the image's size, for images of at least 32x32 pixels.

    A new network has Kaiming's weights everywhere; the last layers have small ones, and those of the density heads a
    bias of 0.1, for the ReLU after them. (The authors' training code is not published.)

    Args:
        width: share of the published number of channels (1 = published).
        block_size: side in image pixels of the blocks for which levels are weighted. If it does not divide an image's
            side, there are as many blocks as fit, each a little larger.
    """

    stride = 1
    published = (
        "SHHA.pth and SHHB.pth are in the Google Drive folder 17WobgYjekLTq3QIRW3wPyNByq9NJTmZ9 "
        "(github.com/TencentYoutuResearch/CrowdCounting-SASNet)"
    )

    def __init__(self, width: float = 1.0, block_size: int = 32):
        super().__init__()
        if block_size < 1:
            raise ValueError(f"block_size is {block_size!r}; expected a number of pixels, 1 or more")
        self.block_size = block_size
        c1, c2, c3, c4, c5 = (channels(c, width) for c in (64, 128, 256, 512, 512))
        self.features1 = convolutions(3, (64, 64), width, normalised=True)
        self.features2 = convolutions(c1, ("pool", 128, 128), width, normalised=True)
        self.features3 = convolutions(c2, ("pool", 256, 256, 256), width, normalised=True)
        self.features4 = convolutions(c3, ("pool", 512, 512, 512), width, normalised=True)
        self.features5 = convolutions(c4, ("pool", 512, 512, 512), width, normalised=True)

        d1, d2, d3, d4, d5 = (channels(c, width) for c in (64, 64, 128, 256, 512))
        self.de_pred5 = decoder(c5, channels(1024, width), d5)
        self.de_pred4 = decoder(d5 + c4, channels(512, width), d4)
        self.de_pred3 = decoder(d4 + c3, channels(256, width), d3)
        self.de_pred2 = decoder(d3 + c2, channels(128, width), d2)
        self.de_pred1 = decoder(d2 + c1, channels(64, width), d1)

        self.density_head5 = density_head(d5)
        self.density_head4 = density_head(d4)
        self.density_head3 = density_head(d3)
        self.density_head2 = density_head(d2)
        self.density_head1 = density_head(d1)
        self.confidence_head5 = confidence_head(d5)
        self.confidence_head4 = confidence_head(d4)
        self.confidence_head3 = confidence_head(d3)
        self.confidence_head2 = confidence_head(d2)
        self.confidence_head1 = confidence_head(d1)
        initialise(self)
        for head in self.confidence_heads:
            start_small(head[1].conv)
        for head in self.density_heads:
            start_small(head[1].conv, bias=0.1)

    @property
    def density_heads(self) -> list[nn.Module]:
        """The heads that count, from the finest level to the deepest."""
        return [self.density_head1, self.density_head2, self.density_head3, self.density_head4, self.density_head5]

    @property
    def confidence_heads(self) -> list[nn.Module]:
        """The heads that rate the levels, from the finest level to the deepest."""
        return [
            self.confidence_head1,
            self.confidence_head2,
            self.confidence_head3,
            self.confidence_head4,
            self.confidence_head5,
        ]

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the image's own height and width."""
        return height, width

    def people(self, output: Tensor) -> Tensor:
        """Return the result of `forward` divided by the authors' `log_para`, 1000."""
        return output / LOG_PARA

    def forward(self, image: Tensor) -> Tensor:
        """Return a thousand times people per pixel, (N, 1, H, W), for ImageNet-normalised RGB, (N, 3, H, W).

        The sum over a map is a thousand times the count; `density` gives people per pixel. Values are at least 0.

        Raises:
            ValueError: the image is smaller than one block, or than 16 pixels, the deepest level's stride.
        """
        size = tuple(image.shape[-2:])
        smallest = max(self.block_size, 16)
        if min(size) < smallest:
            raise ValueError(f"SASNet takes images of at least {smallest}x{smallest} pixels, not {size[1]}x{size[0]}")
        levels = self.decode(self.encode(image))
        densities = [head(level) for head, level in zip(self.density_heads, levels, strict=True)]
        blocks = (size[0] // self.block_size, size[1] // self.block_size)
        confidences = [
            head(F.adaptive_avg_pool2d(level, blocks))
            for head, level in zip(self.confidence_heads, levels, strict=True)
        ]
        weights = torch.sigmoid(torch.cat(confidences, 1)).softmax(1)
        weights = F.interpolate(weights, size, mode="nearest")
        densities = torch.cat([F.interpolate(density, size, mode="nearest") for density in densities], 1)
        return (weights * densities).sum(1, keepdim=True)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return VGG-16's five stages, at strides 1, 2, 4, 8 and 16."""
        stages = [self.features1(image)]
        for features in (self.features2, self.features3, self.features4, self.features5):
            stages.append(features(stages[-1]))
        return stages

    def decode(self, stages: list[Tensor]) -> list[Tensor]:
        """Return the five levels, from stride 1 to 16: each combines its stage with the next deeper level."""
        levels = [self.de_pred5(stages[4])]
        for stage, layers in (
            (stages[3], self.de_pred4),
            (stages[2], self.de_pred3),
            (stages[1], self.de_pred2),
            (stages[0], self.de_pred1),
        ):
            deeper = F.interpolate(levels[0], stage.shape[-2:], mode="bilinear", align_corners=True)
            levels.insert(0, layers(torch.cat([stage, deeper], 1)))
        return levels


def decoder(inputs: int, between: int, outputs: int) -> nn.Sequential:
    """Return one level of the decoder: two 3x3 convolutions with ReLU."""
    return nn.Sequential(Convolution(inputs, between, 3), Convolution(between, outputs, 3))


def density_head(inputs: int) -> nn.Sequential:
    """Return the layers that count at one level, from (N, C, h, w) to (N, 1, h, w), at least 0."""
    return nn.Sequential(Branches(inputs), Convolution(4 * inputs, 1, 1))


def confidence_head(inputs: int) -> nn.Sequential:
    """Return the layers that rate one level for each block, from (N, C, h, w) to (N, 1, h, w), of any value."""
    return nn.Sequential(Convolution(inputs, inputs // 2, 1), Convolution(inputs // 2, 1, 1, relu=False))


class Convolution(nn.Module):
    """A convolution that keeps the size, followed by ReLU by default."""

    def __init__(self, inputs: int, outputs: int, kernel: int, relu: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return self.relu(self.conv(features))


class Branches(nn.Module):
    """Concatenates four views of features: 1x1, 3x3 and 5x5 convolutions, and the features themselves."""

    def __init__(self, inputs: int):
        super().__init__()
        self.branch1x1 = NormalisedConvolution(inputs, inputs // 2, 1)
        self.branch1x1_1 = NormalisedConvolution(inputs // 2, inputs, 1)
        self.branch3x3_1 = NormalisedConvolution(inputs, inputs // 2, 1)
        self.branch3x3_2 = NormalisedConvolution(inputs // 2, inputs, 3)
        self.branch3x3dbl_1 = NormalisedConvolution(inputs, inputs // 2, 1)
        self.branch3x3dbl_2 = NormalisedConvolution(inputs // 2, inputs, 5)

    def forward(self, features: Tensor) -> Tensor:
        branches = [
            self.branch1x1_1(self.branch1x1(features)),
            self.branch3x3_2(self.branch3x3_1(features)),
            self.branch3x3dbl_2(self.branch3x3dbl_1(features)),
            features,
        ]
        return torch.cat(branches, 1)


class NormalisedConvolution(nn.Module):
    """A convolution that keeps the size, batch normalisation and ReLU.

    The ReLU is a function and not a module; otherwise ptflops would not count the paper's 698.72 GMac (Table III).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(features)), inplace=True)
