"""ResCSRNet, the ultra-lightweight crowd counter of the PromptMix paper (section IV-A1, Table III).

CSRNet with the first nine convolutions of ResNet-18 (He et al., CVPR 2016) as its front end and 128 channels in each
dilated layer: 1 568 705 parameters, 26.54 GMac for a 1024x768 image. There is no official checkpoint; keys are named as
in CSRNet, and within a residual block as in torchvision.
"""

from torch import Tensor, nn

from promptmix.networks.layers import SHORTCUT, Backbone, CrowdNetwork, channels, convolutions, initialise, start_small

BACKEND = (128, 128, 128, 128, 128, 128)


class ResCSRNet(CrowdNetwork):
    """Density map of a crowd at one eighth of the image's size.

    A new network has Kaiming's weights everywhere, and a last layer with small ones.

    Args:
        width: share of the published number of channels (1 = published).
    """

    stride = 8
    backbone = Backbone(
        classifier="ResNet-18",
        published="torchvision's resnet18-f37072fd.pth",
        keys=r"frontend\..*",
        renamed={
            r"conv1\.": "frontend.0.",
            r"bn1\.": "frontend.1.",
            r"layer1\.": "frontend.4.",
            r"layer2\.": "frontend.5.",
        },
        dropped=(r"(layer3|layer4|fc)\..*",),
    )

    def __init__(self, width: float = 1.0):
        super().__init__()
        narrow, wide = channels(64, width, SHORTCUT), channels(128, width)
        self.frontend = nn.Sequential(
            nn.Conv2d(3, narrow, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Sequential(ResidualBlock(narrow, narrow), ResidualBlock(narrow, narrow)),
            nn.Sequential(ResidualBlock(narrow, wide, stride=2), ResidualBlock(wide, wide)),
        )
        self.backend = convolutions(wide, BACKEND, width, dilation=2)
        self.output_layer = nn.Conv2d(channels(BACKEND[-1], width), 1, 1)
        initialise(self)
        start_small(self.output_layer)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (ceil(H / 8), ceil(W / 8)): strided convolutions round up, while CSRNet's poolings round down."""
        return -(-height // 8), -(-width // 8)

    def forward(self, image: Tensor) -> Tensor:
        """Return people per output pixel, (N, 1, ceil(H/8), ceil(W/8)), for ImageNet-normalised RGB, (N, 3, H, W).

        The sum over a map is the count. Values can be slightly negative: there is no final ReLU.
        """
        return self.output_layer(self.backend(self.frontend(image)))


class ResidualBlock(nn.Module):
    """ResNet-18's block: two normalised 3x3 convolutions with a shortcut, which is a 1x1 one if shapes change."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features if self.downsample is None else self.downsample(features)
        features = self.relu(self.bn1(self.conv1(features)))
        return self.relu(self.bn2(self.conv2(features)) + shortcut)
