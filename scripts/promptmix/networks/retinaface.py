"""RetinaFace (Deng et al.: RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild, CVPR 2020).

Finds faces for GFPGAN, and five landmarks in each. It consists of ResNet-50, a feature pyramid at strides 8, 16 and 32,
and context modules, and predicts at each cell the corrections to a few square anchors. 27 293 600 parameters. The keys
are those of the checkpoint that GFPGAN's authors use (github.com/xinntao/facexlib, MIT).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.layers import channels, initialise, start_small

MEAN = (104, 117, 123)
"""Means subtracted from blue, green and red in [0, 255]."""

STRIDES = (8, 16, 32)
"""Image pixels per cell of each level of the pyramid, along a side."""

SIZES = ((16, 32), (64, 128), (256, 512))
"""Sides in pixels of the anchors at each level."""

VARIANCES = (0.1, 0.2)
"""Factors by which the regressions of positions and of the logarithms of sizes are multiplied."""

LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
"""The points of a face, in order; left and right as seen in the image."""


class RetinaFace(nn.Module):
    """Predicts which anchors are faces, corrections to them, and positions of landmarks, for images of any size.

    A new network has Kaiming's weights everywhere, and last layers with small ones.

    Args:
        width: share of the ResNet's published number of channels (1 = published).
        features: channels of the pyramid and the context modules, a multiple of 4.
        blocks: number of residual blocks in each of the ResNet's four stages.
        sizes: sides in pixels of the square anchors at strides 8, 16 and 32.
    """

    task = "faces"
    published = "detection_Resnet50_Final.pth is at github.com/xinntao/facexlib/releases/tag/v0.1.0"

    def __init__(
        self,
        width: float = 1.0,
        features: int = 256,
        blocks: Sequence[int] = (3, 4, 6, 3),
        sizes: Sequence[Sequence[float]] = SIZES,
    ):
        super().__init__()
        if features < 4 or features % 4:
            raise ValueError(
                f"features is {features!r}; expected a number of channels, a multiple of 4 (published: 256)"
            )
        if len(blocks) != 4 or min(blocks) < 1:
            raise ValueError(f"blocks is {blocks!r}; expected four numbers, each 1 or more (published: 3, 4, 6, 3)")
        if len(sizes) != len(STRIDES) or not all(sizes):
            raise ValueError(
                f"sizes is {sizes!r}; expected one list of anchor sides in pixels for each stride of {STRIDES}"
            )
        self.sizes = [list(level) for level in sizes]
        self.body = ResNet(width, blocks)
        self.fpn = Pyramid(self.body.channels, features)
        self.ssh1 = Context(features)
        self.ssh2 = Context(features)
        self.ssh3 = Context(features)
        self.ClassHead = nn.ModuleList(Head(features, len(level), 2) for level in sizes)
        self.BboxHead = nn.ModuleList(Head(features, len(level), 4) for level in sizes)
        self.LandmarkHead = nn.ModuleList(Head(features, len(level), 2 * len(LANDMARKS)) for level in sizes)
        initialise(self)
        for head in (*self.ClassHead, *self.BboxHead, *self.LandmarkHead):
            start_small(head.conv1x1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return box regressions (N, A, 4), probabilities (N, A, 2) and landmark regressions (N, A, 10).

        There are A anchors, in the order of `anchors`. Of the two probabilities, the second is that of a face.

        Args:
            image: blue, green and red in [0, 255] minus `MEAN`, (N, 3, H, W), as `normalise` returns it.
        """
        boxes, logits, landmarks = self.raw(image)
        return boxes, logits.softmax(-1), landmarks

    def raw(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `forward` returns, but with logits instead of probabilities, for a training loss."""
        levels = self.fpn(self.body(image))
        levels = [context(level) for context, level in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]
        boxes, logits, landmarks = (
            torch.cat([head(level) for head, level in zip(heads, levels, strict=True)], 1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return boxes, logits, landmarks

    def anchors(self, height: int, width: int) -> Tensor:
        """Return this network's anchors for images of the given size, see the function `anchors`."""
        return anchors(height, width, self.sizes).to(self.body.conv1.weight)


def normalise(rgb: Tensor) -> Tensor:
    """Return the network's input, given RGB in [0, 255], (N, 3, H, W), as integers or floats."""
    bgr = rgb.flip(1)
    bgr = bgr if bgr.is_floating_point() else bgr.float()
    return bgr - bgr.new_tensor(MEAN)[:, None, None]


def anchors(height: int, width: int, sizes: Sequence[Sequence[float]] = SIZES) -> Tensor:
    """Return the anchors for images of the given size, (A, 4): centre x, centre y, width and height in pixels.

    The order is that of the network's results: by level, then row, column and size. (The authors' "prior boxes" are
    the same as fractions of the image's sides.)
    """
    levels = []
    for stride, sides in zip(STRIDES, sizes, strict=True):
        rows = (torch.arange(-(-height // stride)) + 0.5) * stride
        columns = (torch.arange(-(-width // stride)) + 0.5) * stride
        y, x, side = torch.cartesian_prod(rows, columns, torch.tensor(sides, dtype=rows.dtype)).unbind(1)
        levels.append(torch.stack([x, y, side, side], 1))
    return torch.cat(levels)


def decode(boxes: Tensor, landmarks: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions of faces, given the network's regressions.

    Args:
        boxes: regressions, (..., A, 4).
        landmarks: regressions, (..., A, 10).
        anchors: (A, 4), see `anchors`; positions and sizes are returned in the same unit.

    Returns:
        boxes (..., A, 4): left, top, right and bottom; and points (..., A, 5, 2): x and y of `LANDMARKS`.
    """
    centre, size = anchors[..., :2], anchors[..., 2:]
    middle = centre + VARIANCES[0] * boxes[..., :2] * size
    half = size * torch.exp(VARIANCES[1] * boxes[..., 2:]) / 2
    points = centre[..., None, :] + VARIANCES[0] * landmarks.unflatten(-1, (-1, 2)) * size[..., None, :]
    return torch.cat([middle - half, middle + half], -1), points


def encode(boxes: Tensor, points: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the regressions that `decode` turns into the given faces: the network's targets for each anchor.

    Args:
        boxes: left, top, right and bottom of the face assigned to each anchor, (..., A, 4); none is empty.
        points: x and y of its `LANDMARKS`, (..., A, 5, 2).
        anchors: (A, 4), see `anchors`.

    Returns:
        box regressions (..., A, 4) and landmark regressions (..., A, 10).
    """
    centre, size = anchors[..., :2], anchors[..., 2:]
    first, last = boxes[..., :2], boxes[..., 2:]
    shift = ((first + last) / 2 - centre) / (VARIANCES[0] * size)
    growth = torch.log((last - first) / size) / VARIANCES[1]
    landmarks = (points - centre[..., None, :]) / (VARIANCES[0] * size[..., None, :])
    return torch.cat([shift, growth], -1), landmarks.flatten(-2)


class ResNet(nn.Module):
    """ResNet-50's convolutions: returns an image's features of the last three stages, at strides 8, 16 and 32."""

    def __init__(self, width: float, blocks: Sequence[int]):
        super().__init__()
        planes = [channels(c, width) for c in (64, 128, 256, 512)]
        outputs = [Bottleneck.expansion * c for c in planes]
        self.channels = outputs[1:]
        self.conv1 = nn.Conv2d(3, planes[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(planes[0], planes[0], blocks[0], stride=1)
        self.layer2 = stage(outputs[0], planes[1], blocks[1], stride=2)
        self.layer3 = stage(outputs[1], planes[2], blocks[2], stride=2)
        self.layer4 = stage(outputs[2], planes[3], blocks[3], stride=2)

    def forward(self, image: Tensor) -> list[Tensor]:
        features = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(image)))))
        levels = []
        for layer in (self.layer2, self.layer3, self.layer4):
            features = layer(features)
            levels.append(features)
        return levels


def stage(inputs: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    """Return one stage of the ResNet; the first block applies the stride."""
    first = Bottleneck(inputs, planes, stride)
    return nn.Sequential(first, *(Bottleneck(Bottleneck.expansion * planes, planes) for _ in range(blocks - 1)))


class Bottleneck(nn.Module):
    """ResNet-50's block: 1x1, 3x3 and 1x1 convolutions with a shortcut, which is a 1x1 one if shapes change."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int = 1):
        super().__init__()
        outputs = self.expansion * planes
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.downsample is None else self.downsample(features)
        features = self.relu(self.bn1(self.conv1(features)))
        features = self.relu(self.bn2(self.conv2(features)))
        return self.relu(self.bn3(self.conv3(features)) + shortcut)


class Pyramid(nn.Module):
    """Three levels of features, each combined with the next deeper one (Lin et al., CVPR 2017)."""

    def __init__(self, inputs: Sequence[int], outputs: int):
        super().__init__()
        slope = leak(outputs)
        self.output1 = convolution(inputs[0], outputs, 1, slope)
        self.output2 = convolution(inputs[1], outputs, 1, slope)
        self.output3 = convolution(inputs[2], outputs, 1, slope)
        self.merge1 = convolution(outputs, outputs, 3, slope)
        self.merge2 = convolution(outputs, outputs, 3, slope)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        level1, level2, level3 = self.output1(levels[0]), self.output2(levels[1]), self.output3(levels[2])
        level2 = self.merge2(level2 + F.interpolate(level3, level2.shape[-2:], mode="nearest"))
        level1 = self.merge1(level1 + F.interpolate(level2, level1.shape[-2:], mode="nearest"))
        return [level1, level2, level3]


class Context(nn.Module):
    """Views of 3x3, 5x5 and 7x7 cells by successive 3x3 convolutions, concatenated (SSH; Najibi et al., ICCV 2017)."""

    def __init__(self, features: int):
        super().__init__()
        half, quarter, slope = features // 2, features // 4, leak(features)
        self.conv3X3 = convolution(features, half, 3)
        self.conv5X5_1 = convolution(features, quarter, 3, slope)
        self.conv5X5_2 = convolution(quarter, quarter, 3)
        self.conv7X7_2 = convolution(quarter, quarter, 3, slope)
        self.conv7x7_3 = convolution(quarter, quarter, 3)

    def forward(self, features: Tensor) -> Tensor:
        between = self.conv5X5_1(features)
        views = [self.conv3X3(features), self.conv5X5_2(between), self.conv7x7_3(self.conv7X7_2(between))]
        return F.relu(torch.cat(views, 1))


class Head(nn.Module):
    """Computes one level's results: from (N, C, h, w) to (N, h * w * anchors, outputs)."""

    def __init__(self, features: int, anchors: int, outputs: int):
        super().__init__()
        self.outputs = outputs
        self.conv1x1 = nn.Conv2d(features, anchors * outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.conv1x1(features).permute(0, 2, 3, 1).reshape(len(features), -1, self.outputs)


def convolution(inputs: int, outputs: int, kernel: int, slope: float | None = None) -> nn.Sequential:
    """Return a normalised convolution that keeps the size, followed by a ReLU of the given slope if there is one."""
    layers = [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([] if slope is None else [nn.LeakyReLU(slope, inplace=True)]))


def leak(features: int) -> float:
    """Return the slope of the ReLU below zero: the authors use a leaky one if there are few channels."""
    return 0.1 if features <= 64 else 0.0
