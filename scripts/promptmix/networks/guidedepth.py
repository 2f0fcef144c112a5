"""GuideDepth (Rudolph et al.: Lightweight Monocular Depth Estimation through Guided Decoding, ICRA 2022).

The PromptMix paper's lightweight network for depth: DDRNet-23-slim and three up-sampling blocks that are guided by the
image itself. 5 824 513 parameters, 10.59 GMac for a 640x480 image. The keys are those of the published checkpoints
(github.com/mic-rud/GuidedDecoding). The authors' code has no licence; this is written from the facts, without copying.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.ddrnet import DDRNet
from promptmix.networks.layers import Backbone, channels, initialise, start_small
from promptmix.networks.registry import FARTHEST, NEAREST


class GuideDepth(nn.Module):
    """Inverse depth of each pixel, in images of rooms.

    A new network has Kaiming's weights everywhere; the last layer has small ones and a bias of 3, a depth of 3.3 m.
    (The authors take ImageNet's weights for the backbone.)

    Args:
        width: share of the published number of channels (1 = published).
    """

    task = "depth"
    stride = 1
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    """The network takes RGB in [0, 1] without normalisation."""
    published = (
        "NYU_Full_GuideDepth.pth is on Google Drive, as 1TNTUUve5LHEv6ERN6v9aX2eYw1-a-4bO "
        "(github.com/mic-rud/GuidedDecoding)"
    )
    backbone = Backbone(
        classifier="DDRNet-23-slim",
        published="DDRNet23s_imagenet.pth, on Google Drive as 1mg5tMX7TJ9ZVcAiGSB4PEihPtrJyalB4 "
        "(github.com/ydhongHIT/DDRNet)",
        keys=r"feature_extractor\.(?!spp\.|final_layer\.).*",
        renamed={r"(?!feature_extractor\.)": "feature_extractor."},
        dropped=(r"(down5|last_layer|linear)\..*",),
    )

    def __init__(self, width: float = 1.0):
        super().__init__()
        c1, c2, c3 = (channels(c, width) for c in (64, 32, 16))
        self.feature_extractor = DDRNet(c1, width)
        self.up_1 = GuidedUpSampling(c1, c2)
        self.up_2 = GuidedUpSampling(c2, c3)
        self.up_3 = GuidedUpSampling(c3, 1)
        initialise(self)
        start_small(self.up_3.reduce, bias=3.0)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the largest size, at most the image's, whose sides are multiples of 8, the backbone's stride."""
        return height - height % 8, width - width % 8

    def forward(self, image: Tensor) -> Tensor:
        """Return 10 / depth in 1/m, (N, 1, H, W), for RGB in [0, 1], (N, 3, H, W), with sides that are multiples of 8.

        The values are not bounded; `depth` bounds them.
        """
        features = self.feature_extractor(image)
        for block, scale in ((self.up_1, 0.25), (self.up_2, 0.5), (self.up_3, 1)):
            guide = image if scale == 1 else F.interpolate(image, scale_factor=scale, mode="nearest")
            features = block(F.interpolate(features, scale_factor=2, mode="bilinear"), guide)
        return features

    def depth(self, image: Tensor) -> Tensor:
        """Return metres in [0.1, 10], (N, 1, H, W), for images as in `forward`.

        As in the authors' code, values of `forward` below zero, which are not valid depths, become 0.1 m.
        """
        return (10 / self(image)).clamp(NEAREST, FARTHEST)


class GuidedUpSampling(nn.Module):
    """Adds to features what convolutions compute from them and from the image at the same size.

    Args:
        inputs: channels of the features, an even number.
        outputs: channels of the result.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.feature_conv = convolutions(inputs, inputs, inputs // 2)
        self.guide_conv = convolutions(3, inputs, inputs // 2)
        self.comb_conv = convolutions(inputs, inputs, inputs)
        self.reduce = nn.Conv2d(inputs, outputs, 1)
        self.SE_block = SqueezeExcite(inputs)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Return (N, outputs, h, w), given features (N, inputs, h, w) and RGB (N, 3, h, w)."""
        both = torch.cat([self.feature_conv(features), self.guide_conv(guide)], 1)
        return self.reduce(self.comb_conv(self.SE_block(both)) + features)


def convolutions(inputs: int, between: int, outputs: int) -> nn.Sequential:
    """Return a 3x3 and a 1x1 convolution, each followed by normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, between, 3, padding=1),
        nn.BatchNorm2d(between),
        nn.ReLU(inplace=True),
        nn.Conv2d(between, outputs, 1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class SqueezeExcite(nn.Module):
    """Multiplies each channel by a number in (0, 1) computed from the means of all channels."""

    def __init__(self, inputs: int):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(inputs, inputs, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(inputs, inputs, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features * self.fc(features.mean((2, 3)))[:, :, None, None]
