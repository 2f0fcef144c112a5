"""CSRNet (Li, Zhang, Chen: CSRNet, CVPR 2018), one of the PromptMix paper's lightweight crowd counters (Table III).

The first ten convolutions of VGG-16, six dilated ones and a 1x1 convolution: 16 263 489 parameters, 325.34 GMac for a
1024x768 image. The keys are those of the published checkpoints (github.com/leeyeehoo/CSRNet-pytorch). The authors' code
has no licence; this is written from the facts, without copying.
"""

from torch import Tensor, nn

from promptmix.networks.layers import Backbone, CrowdNetwork, channels, convolutions, initialise, start_small

FRONTEND = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512)
BACKEND = (512, 512, 512, 256, 128, 64)


class CSRNet(CrowdNetwork):
    """Density map of a crowd at one eighth of the image's size.

    A new network has Kaiming's weights everywhere, and a last layer with small ones. (The authors take VGG-16's
    ImageNet weights for the front end and draw the rest with deviation 0.01; without ImageNet's weights, a network with
    such small ones does not learn.)

    Args:
        width: share of the published number of channels (1 = published).
    """

    stride = 8
    published = (
        "PartAmodel_best.pth.tar and partBmodel_best.pth.tar are on Google Drive, as 1Z-atzS5Y2pOd-nEWqZRVBDMYJDreGWHH "
        "and 1zKn6YlLW3Z9ocgPbP99oz7r2nC7_TBXK (github.com/leeyeehoo/CSRNet-pytorch)"
    )
    backbone = Backbone(
        classifier="VGG-16 without batch normalisation",
        published="torchvision's vgg16-397923af.pth",
        keys=r"frontend\..*",
        renamed={r"features\.": "frontend."},
        dropped=(r"features\.(24|26|28)\..*", r"classifier\..*"),
    )

    def __init__(self, width: float = 1.0):
        super().__init__()
        self.frontend = convolutions(3, FRONTEND, width)
        self.backend = convolutions(channels(FRONTEND[-1], width), BACKEND, width, dilation=2)
        self.output_layer = nn.Conv2d(channels(BACKEND[-1], width), 1, 1)
        initialise(self)
        start_small(self.output_layer)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (H // 8, W // 8): the poolings round down."""
        return height // 8, width // 8

    def forward(self, image: Tensor) -> Tensor:
        """Return people per output pixel, (N, 1, H // 8, W // 8), for ImageNet-normalised RGB, (N, 3, H, W).

        The sum over a map is the count. Values can be slightly negative: there is no final ReLU.
        """
        return self.output_layer(self.backend(self.frontend(image)))
