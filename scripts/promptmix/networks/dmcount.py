"""DM-Count (Wang, Liu, Samaras, Hoai: Distribution Matching for Crowd Counting, NeurIPS 2020).

One of the PromptMix paper's heavyweight annotators: the convolutions of VGG-19, whose map is doubled in size, and a
small head. 21 499 457 parameters, 324.45 GMac for a 1024x768 image. The keys are those of the published checkpoints
(github.com/cvlab-stonybrook/DM-Count, MIT).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.layers import CrowdNetwork, channels, convolutions, initialise, start_small

FEATURES = (64, 64, "pool", 128, 128, "pool", *[256] * 4, "pool", *[512] * 4, "pool", *[512] * 4)
REGRESSION = (256, 128)


class DMCount(CrowdNetwork):
    """Density map of a crowd at one eighth of the image's size, and the same map as a distribution.

    A new network has Kaiming's weights everywhere; the last layer has small ones and a bias of 0.1, for the ReLU after
    it. (The authors take VGG-19's ImageNet weights for `features`, and PyTorch's initial ones for the rest.)

    Args:
        width: share of the published number of channels (1 = published).
    """

    stride = 8
    published = (
        "model_qnrf.pth and others are in the Google Drive folder 10U7F4iW_aPICM5-qJq21SXLLkzlum9tX "
        "(github.com/cvlab-stonybrook/DM-Count)"
    )

    def __init__(self, width: float = 1.0):
        super().__init__()
        self.features = convolutions(3, FEATURES, width)
        self.reg_layer = convolutions(channels(FEATURES[-1], width), REGRESSION, width)
        self.density_layer = nn.Sequential(nn.Conv2d(channels(REGRESSION[-1], width), 1, 1), nn.ReLU())
        initialise(self)
        start_small(self.density_layer[0], bias=0.1)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (2 * (H // 16), 2 * (W // 16)): four poolings round down, then the size is doubled."""
        return 2 * (height // 16), 2 * (width // 16)

    def people(self, output: tuple[Tensor, Tensor]) -> Tensor:
        """Return the first of the two maps that `forward` returns."""
        return output[0]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return two maps, each (N, 1, 2 (H // 16), 2 (W // 16)), for ImageNet-normalised RGB, (N, 3, H, W).

        The first is people per output pixel, at least 0, and its sum is the count. The second is the first divided by
        (its sum + 1e-6).
        """
        features = F.interpolate(self.features(image), scale_factor=2, mode="bilinear", align_corners=True)
        density = self.density_layer(self.reg_layer(features))
        return density, density / (density.sum(dim=(1, 2, 3), keepdim=True) + 1e-6)
