"""ParseNet, which finds the parts of an aligned face (facexlib, github.com/xinntao/facexlib, MIT).

GFPGAN's pipeline pastes a restored face back only where this network finds parts of a face. It has an encoder, residual
blocks at a sixteenth of the size, a decoder, and no skip connections: 21 303 254 parameters. The keys are those of the
published checkpoint.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from promptmix.networks.layers import channels, initialise, start_small

CLASSES = (
    *("background", "skin", "nose", "glasses", "left eye", "right eye", "left brow", "right brow"),
    *("left ear", "right ear", "mouth", "upper lip", "lower lip", "hair", "hat", "earring", "necklace", "neck"),
    "clothes",
)
"""The parts; a part's number is its position here, as in CelebAMask-HQ."""

FACE = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15)
"""Numbers of the parts that are pasted back: all but background, hat, necklace, neck and clothes."""


class ParseNet(nn.Module):
    """Finds the part of a face that each pixel belongs to.

    A new network has Kaiming's weights everywhere, and last layers with small ones.

    Args:
        in_size: side of a face's image in pixels.
        classes: number of parts.
        width: share of the published number of channels (1 = published).
        depth: residual blocks between encoder and decoder.
        smallest: side to which the encoder reduces the image; `in_size` must be this times a power of two.
    """

    task = "faces"
    published = "parsing_parsenet.pth is at github.com/xinntao/facexlib/releases/tag/v0.2.2"

    def __init__(
        self, in_size: int = 512, classes: int = len(CLASSES), width: float = 1.0, depth: int = 10, smallest: int = 32
    ):
        super().__init__()
        steps = round(math.log2(in_size / smallest)) if in_size >= smallest >= 2 else 0
        if in_size != smallest * 2**steps or smallest < 2:
            raise ValueError(
                f"in_size is {in_size!r}; expected smallest, {smallest!r}, times 1, 2, 4 …, with smallest 2 or more"
            )
        self.in_size = in_size
        widths = [channels(min(64 * 2**step, 256), width) for step in range(steps + 1)]
        down = [ResidualBlock(a, b, "down") for a, b in pairwise(widths)]
        up = [ResidualBlock(b, a, "up") for a, b in pairwise(widths)]
        self.encoder = nn.Sequential(Convolution(3, widths[0]), *down)
        self.body = nn.Sequential(*(ResidualBlock(widths[-1], widths[-1]) for _ in range(depth)))
        self.decoder = nn.Sequential(*reversed(up))
        self.out_img_conv = Convolution(widths[0], 3)
        self.out_mask_conv = Convolution(widths[0], classes)
        initialise(self)
        for block in (*down, *up):
            # No ReLU follows a shortcut, and Kaiming's weights for a ReLU would double the variance in each block.
            nn.init.kaiming_normal_(block.shortcut_func.conv2d.weight, nonlinearity="linear")
        start_small(self.out_img_conv.conv2d)
        start_small(self.out_mask_conv.conv2d)

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the parts, (N, classes, S, S), and an image, (N, 3, S, S).

        The published checkpoint was also trained to return the face as an image, which the pipeline does not use.

        Args:
            face: RGB in [-1, 1], (N, 3, S, S), where S is `in_size`, aligned as for GFPGAN.

        Raises:
            ValueError: the image has another size.
        """
        if face.shape[-2:] != (self.in_size, self.in_size):
            height, width = face.shape[-2:]
            raise ValueError(f"this ParseNet takes faces of {self.in_size}x{self.in_size} pixels, not {width}x{height}")
        features = self.encoder(face)
        features = self.decoder(features + self.body(features))
        return self.out_mask_conv(features), self.out_img_conv(features)

    def parse(self, face: Tensor) -> Tensor:
        """Return the number in `CLASSES` of the likeliest part at each pixel, (N, S, S), for faces as in `forward`."""
        return self(face)[0].argmax(1)


class Convolution(nn.Module):
    """A 3x3 convolution with mirrored edges that can also change the size.

    Args:
        inputs, outputs: numbers of channels.
        scale: "same", "up" (doubles the size before the convolution) or "down" (halves it by a stride of 2).
        normalised: whether a batch normalisation replaces the bias.
        relu: whether a leaky ReLU follows.
    """

    def __init__(self, inputs: int, outputs: int, scale: str = "same", normalised: bool = False, relu: bool = False):
        super().__init__()
        self.scale = nn.Upsample(scale_factor=2, mode="nearest") if scale == "up" else nn.Identity()
        self.pad = nn.ReflectionPad2d(1)
        self.conv2d = nn.Conv2d(inputs, outputs, 3, stride=2 if scale == "down" else 1, bias=not normalised)
        self.norm = Normalisation(outputs) if normalised else nn.Identity()
        self.relu = nn.LeakyReLU(0.2, inplace=True) if relu else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv2d(self.pad(self.scale(features)))))


class Normalisation(nn.Module):
    """Batch normalisation inside one more module, as the checkpoint's keys require."""

    def __init__(self, features: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(features)

    def forward(self, features: Tensor) -> Tensor:
        return self.norm(features)


class ResidualBlock(nn.Module):
    """Two normalised convolutions with a shortcut, which is a convolution if shapes change."""

    def __init__(self, inputs: int, outputs: int, scale: str = "same"):
        super().__init__()
        unchanged = scale == "same" and inputs == outputs
        self.shortcut_func = nn.Identity() if unchanged else Convolution(inputs, outputs, scale)
        # The size grows before the first convolution, and shrinks in the second.
        first, second = ("up", "same") if scale == "up" else ("same", scale)
        self.conv1 = Convolution(inputs, outputs, first, normalised=True, relu=True)
        self.conv2 = Convolution(outputs, outputs, second, normalised=True)

    def forward(self, features: Tensor) -> Tensor:
        return self.shortcut_func(features) + self.conv2(self.conv1(features))
