"""GFPGAN v1.3 (Wang et al.: Towards Real-World Blind Face Restoration with Generative Facial Prior, CVPR 2021).

Restores the face in an aligned image of one. A U-Net encodes the face as a style code and features at each scale; these
steer a StyleGAN2 generator, which knows what faces look like. 86 444 252 parameters, 2.1 million of them never used.
The keys are those of the published checkpoint (github.com/TencentARC/GFPGAN, there `GFPGANv1Clean`; Apache 2.0).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.layers import channels, start_small
from promptmix.networks.stylegan2 import SLOPE, Generator, resize


class GFPGAN(nn.Module):
    """Makes a clear image of a face from a bad one.

    Faces are aligned: their eyes, nose and mouth are at the same places as in the training images. A new network has
    Kaiming's weights, and its steering maps leave the generator's features unchanged.

    Args:
        out_size: side of a face's image in pixels, in and out: 8, 16, 32 … 1024.
        style: numbers per style code.
        width: share of the published number of channels (1 = published).
        mlp: layers of StyleGAN2's mapping network, which is in the checkpoint and never used; a new network can have 0.
    """

    task = "faces"
    published = "GFPGANv1.3.pth is at github.com/TencentARC/GFPGAN/releases/tag/v1.3.0"

    def __init__(self, out_size: int = 512, style: int = 512, width: float = 1.0, mlp: int = 8):
        super().__init__()
        sides = [2**level for level in range(2, 11)]
        if out_size not in sides[1:]:
            raise ValueError(f"out_size is {out_size!r}; expected one of {', '.join(map(str, sides[1:]))} pixels")
        self.out_size = out_size
        self.style = style
        sides = sides[: sides.index(out_size) + 1]
        # The U-Net's channels at sides 4, 8 … out_size; the generator has twice as many.
        widths = [channels(min(256, 16384 // side), width) for side in sides]
        steps = list(pairwise(widths))

        self.conv_body_first = nn.Conv2d(3, widths[-1], 1)
        self.conv_body_down = nn.ModuleList(ResidualBlock(b, a, scale=0.5) for a, b in reversed(steps))
        self.final_conv = nn.Conv2d(widths[0], widths[0], 3, padding=1)
        self.conv_body_up = nn.ModuleList(ResidualBlock(a, b, scale=2) for a, b in steps)
        self.toRGB = nn.ModuleList(nn.Conv2d(features, 3, 1) for features in widths[1:])
        self.final_linear = nn.Linear(16 * widths[0], 2 * len(widths) * style)
        self.stylegan_decoder = Generator([2 * features for features in widths], style, mlp)
        self.condition_scale = nn.ModuleList(condition(features) for features in widths[1:])
        self.condition_shift = nn.ModuleList(condition(features) for features in widths[1:])
        self._initialise()

    def _initialise(self) -> None:
        unet = (module for name, module in self.named_modules() if not name.startswith("stylegan_decoder"))
        for module in unet:
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for block in (*self.conv_body_down, *self.conv_body_up):
                # Each of the two branches has half the variance; otherwise features would grow with every block.
                block.conv2.weight *= 0.5**0.5
                block.skip.weight *= 0.5**0.5
        for layer in self.toRGB:
            start_small(layer)
        for layers, bias in ((self.condition_scale, 1.0), (self.condition_shift, 0.0)):
            for layer in layers:
                nn.init.zeros_(layer[2].weight)
                nn.init.constant_(layer[2].bias, bias)

    def forward(self, face: Tensor, noise: Sequence[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return restored faces (N, 3, S, S), not clamped, and the U-Net's guesses at sides 8, 16 … S, (N, 3, s, s).

        Args:
            face: RGB in [-1, 1], (N, 3, S, S), where S is `out_size`.
            noise: what `draw_noise` returns; the default is the noise stored with the weights. (The authors' `forward`
                draws new noise by default.)

        Raises:
            ValueError: the image has another size.
        """
        if face.shape[-2:] != (self.out_size, self.out_size):
            height, width = face.shape[-2:]
            raise ValueError(f"this GFPGAN takes faces of {self.out_size}x{self.out_size} pixels, not {width}x{height}")
        features = F.leaky_relu(self.conv_body_first(face), SLOPE)
        skips = []
        for block in self.conv_body_down:
            features = block(features)
            skips.append(features)
        features = F.leaky_relu(self.final_conv(features), SLOPE)
        styles = self.final_linear(features.flatten(1)).unflatten(1, (-1, self.style))

        scales, shifts, guesses = [], [], []
        for level, block in enumerate(self.conv_body_up):
            features = block(features + skips.pop())
            scales.append(self.condition_scale[level](features))
            shifts.append(self.condition_shift[level](features))
            guesses.append(self.toRGB[level](features))
        noise = self.stylegan_decoder.stored_noise() if noise is None else noise
        return self.stylegan_decoder(styles, scales, shifts, noise), guesses

    def restore(self, face: Tensor, generators: Sequence[torch.Generator] | None = None) -> Tensor:
        """Return restored faces in [-1, 1], (N, 3, S, S), for faces as in `forward`.

        Args:
            face: RGB in [-1, 1], (N, 3, S, S).
            generators: one for each face, see `draw_noise`; the default is the noise stored with the weights.
        """
        return self(face, None if generators is None else self.draw_noise(generators))[0].clamp(-1, 1)

    def draw_noise(self, generators: Sequence[torch.Generator]) -> list[Tensor]:
        """Return new noise for N faces, (N, 1, s, s) for each of StyleGAN2's convolutions.

        A face's noise depends only on its generator, not on the batch or the device. Faces that share a generator draw
        from it one after the other.

        Args:
            generators: one for each face, on the CPU.
        """
        stored = self.stylegan_decoder.stored_noise()
        faces = [[torch.randn(noise.shape, generator=generator) for noise in stored] for generator in generators]
        return [torch.cat(maps).to(noise) for maps, noise in zip(zip(*faces, strict=True), stored, strict=True)]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a 1x1 shortcut; between the two, the size is multiplied by `scale`."""

    def __init__(self, inputs: int, outputs: int, scale: float):
        super().__init__()
        self.scale = scale
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        between = resize(F.leaky_relu(self.conv1(features), SLOPE), self.scale)
        return F.leaky_relu(self.conv2(between), SLOPE) + self.skip(resize(features, self.scale))


def condition(features: int) -> nn.Sequential:
    """Return the layers that make the steering maps of one level, from (N, C, s, s) to the same shape."""
    return nn.Sequential(
        nn.Conv2d(features, features, 3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(features, features, 3, padding=1),
    )
