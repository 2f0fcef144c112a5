"""DDRNet-23-slim (Hong et al.: Deep Dual-resolution Networks, 2021) as a feature extractor: GuideDepth's first half.

Two branches, one at an eighth of the image's size and one that goes down to a sixty-fourth, exchange features. The keys
are those of the published ImageNet checkpoint (github.com/ydhongHIT/DDRNet, MIT). ReLUs are modules, as in the authors'
code: otherwise ptflops would not count GuideDepth's 10.59 GMac.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.layers import SHORTCUT, channels

PLANES, POOLED, HEAD = 32, 128, 64
"""Published numbers of channels: of the first layers, of each branch of the pyramid pooling, and of the head."""


class DDRNet(nn.Module):
    """Features of an image at an eighth of its size.

    Args:
        features: channels of the result; `width` does not scale them.
        width: share of the published number of channels (1 = published).
    """

    def __init__(self, features: int, width: float = 1.0):
        super().__init__()
        c = channels(PLANES, width, SHORTCUT)
        fine = 2 * c
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, c, 3, stride=2, padding=1),
            nn.BatchNorm2d(c),
            nn.ReLU(inplace=True),
            nn.Conv2d(c, c, 3, stride=2, padding=1),
            nn.BatchNorm2d(c),
            nn.ReLU(inplace=True),
        )
        self.layer1 = basic_blocks(c, c)
        self.layer2 = basic_blocks(c, 2 * c, stride=2)
        self.layer3 = basic_blocks(2 * c, 4 * c, stride=2)
        self.layer4 = basic_blocks(4 * c, 8 * c, stride=2)
        self.compression3 = nn.Sequential(*convolution(4 * c, fine, 1))
        self.compression4 = nn.Sequential(*convolution(8 * c, fine, 1))
        self.down3 = nn.Sequential(*convolution(fine, 4 * c, 3, stride=2))
        self.down4 = nn.Sequential(
            *convolution(fine, 4 * c, 3, stride=2), nn.ReLU(inplace=True), *convolution(4 * c, 8 * c, 3, stride=2)
        )
        self.layer3_ = basic_blocks(fine, fine)
        self.layer4_ = basic_blocks(fine, fine)
        self.layer5_ = nn.Sequential(Bottleneck(fine, fine))
        self.layer5 = nn.Sequential(Bottleneck(8 * c, 8 * c, stride=2))
        self.spp = PyramidPooling(16 * c, channels(POOLED, width), 4 * c)
        self.final_layer = Head(4 * c, channels(HEAD, width), features)
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, features, ceil(H/8), ceil(W/8)) for RGB, (N, 3, H, W). The branches do not end in a ReLU."""
        start = self.layer2(self.relu(self.layer1(self.conv1(image))))
        size = start.shape[-2:]

        def enlarge(features: Tensor) -> Tensor:
            return F.interpolate(features, size, mode="bilinear")

        coarse, fine = self.layer3(self.relu(start)), self.layer3_(self.relu(start))
        coarse, fine = coarse + self.down3(self.relu(fine)), fine + enlarge(self.compression3(self.relu(coarse)))
        coarse, fine = self.layer4(self.relu(coarse)), self.layer4_(self.relu(fine))
        coarse, fine = coarse + self.down4(self.relu(fine)), fine + enlarge(self.compression4(self.relu(coarse)))
        coarse, fine = self.layer5(self.relu(coarse)), self.layer5_(self.relu(fine))
        return self.final_layer(enlarge(self.spp(coarse)) + fine)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Return a convolution without bias and its normalisation."""
    return [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def preactivated_convolution(
    inputs: int, outputs: int, kernel: int = 1, normalisation: type = nn.BatchNorm2d
) -> list[nn.Module]:
    """Return normalisation, ReLU and convolution without bias, in this order."""
    return [
        normalisation(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
    ]


def basic_blocks(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return two basic blocks, the second without its last ReLU."""
    return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, last=True))


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Return a 1x1 convolution for a residual block's shortcut if shapes change, else None."""
    return nn.Sequential(*convolution(inputs, outputs, 1, stride)) if stride != 1 or inputs != outputs else None


class BasicBlock(nn.Module):
    """Two normalised 3x3 convolutions with a shortcut, followed by ReLU unless the block is the last of its layer."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, last: bool = False):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, outputs, 3, stride)
        self.conv2, self.bn2 = convolution(outputs, outputs, 3)
        self.downsample = shortcut(inputs, outputs, stride)
        self.relu = nn.ReLU(inplace=True)
        self.last = last

    def forward(self, features: Tensor) -> Tensor:
        beside = features if self.downsample is None else self.downsample(features)
        features = self.relu(self.bn1(self.conv1(features)))
        features = self.bn2(self.conv2(features)) + beside
        return features if self.last else self.relu(features)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 normalised convolutions, the last to twice the channels, with a shortcut; no final ReLU."""

    def __init__(self, inputs: int, between: int, stride: int = 1):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, between, 1)
        self.conv2, self.bn2 = convolution(between, between, 3, stride)
        self.conv3, self.bn3 = convolution(between, 2 * between, 1)
        self.downsample = shortcut(inputs, 2 * between, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        beside = features if self.downsample is None else self.downsample(features)
        features = self.relu(self.bn1(self.conv1(features)))
        features = self.relu(self.bn2(self.conv2(features)))
        return self.bn3(self.conv3(features)) + beside


class PooledNormalisation(nn.BatchNorm2d):
    """Batch normalisation for maps that may be a single cell.

    A single cell of a single image has no variance, and PyTorch refuses it in training. In this case the running
    statistics are used, as in evaluation, and not updated, so that training on a batch of one image works.
    """

    def forward(self, features: Tensor) -> Tensor:
        if self.training and features[:, 0].numel() == 1:
            return F.batch_norm(
                features, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        return super().forward(features)


class PyramidPooling(nn.Module):
    """The authors' DAPPM: combines means over larger and larger windows, up to the whole map.

    The zeros of the padding are part of the means.
    """

    def __init__(self, inputs: int, between: int, outputs: int):
        super().__init__()
        self.scale1 = nn.Sequential(
            nn.AvgPool2d(5, 2, 2), *preactivated_convolution(inputs, between, 1, PooledNormalisation)
        )
        self.scale2 = nn.Sequential(
            nn.AvgPool2d(9, 4, 4), *preactivated_convolution(inputs, between, 1, PooledNormalisation)
        )
        self.scale3 = nn.Sequential(
            nn.AvgPool2d(17, 8, 8), *preactivated_convolution(inputs, between, 1, PooledNormalisation)
        )
        self.scale4 = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), *preactivated_convolution(inputs, between, 1, PooledNormalisation)
        )
        self.scale0 = nn.Sequential(*preactivated_convolution(inputs, between))
        self.process1 = nn.Sequential(*preactivated_convolution(between, between, 3))
        self.process2 = nn.Sequential(*preactivated_convolution(between, between, 3))
        self.process3 = nn.Sequential(*preactivated_convolution(between, between, 3))
        self.process4 = nn.Sequential(*preactivated_convolution(between, between, 3))
        self.compression = nn.Sequential(*preactivated_convolution(5 * between, outputs))
        self.shortcut = nn.Sequential(*preactivated_convolution(inputs, outputs))

    def forward(self, features: Tensor) -> Tensor:
        found = [self.scale0(features)]
        for scale, process in (
            (self.scale1, self.process1),
            (self.scale2, self.process2),
            (self.scale3, self.process3),
            (self.scale4, self.process4),
        ):
            pooled = F.interpolate(scale(features), features.shape[-2:], mode="bilinear")
            found.append(process(pooled + found[-1]))
        return self.compression(torch.cat(found, 1)) + self.shortcut(features)


class Head(nn.Module):
    """A 3x3 and a 1x1 convolution, each after normalisation and ReLU."""

    def __init__(self, inputs: int, between: int, outputs: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, between, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(between)
        self.conv2 = nn.Conv2d(between, outputs, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        features = self.conv1(self.relu(self.bn1(features)))
        return self.conv2(self.relu(self.bn2(features)))
