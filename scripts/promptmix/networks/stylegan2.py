"""StyleGAN2's generator (Karras et al.: Analyzing and Improving the Image Quality of StyleGAN, CVPR 2020), for GFPGAN.

This is the form that GFPGAN's authors trained ("clean", without custom CUDA kernels): up-sampling is bilinear, and half
of the features at each scale are steered by maps from outside. It is a part of GFPGAN and not a network by itself here.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2
"""Slope below zero of all ReLUs."""

GAIN = math.sqrt(2)
"""Factor for a styled convolution's result that keeps the deviation after its ReLU."""


class Generator(nn.Module):
    """Turns style codes and steering maps into an image.

    A new generator has normal weights of variance 1 / fan-in, no noise, and styles around 1.

    Args:
        widths: numbers of channels at sides 4, 8, 16 … up to the image's; all even.
        style: numbers per style code.
        mlp: layers of the mapping from random vectors to style codes, which is in checkpoints and not used here.
    """

    def __init__(self, widths: Sequence[int], style: int, mlp: int):
        super().__init__()
        # An identity replaces the authors' normalisation of the vector, so that the numbers in the keys agree.
        mapping = [nn.Sequential(nn.Linear(style, style), nn.LeakyReLU(SLOPE)) for _ in range(mlp)]
        self.style_mlp = nn.Sequential(nn.Identity(), *(layer for pair in mapping for layer in pair))
        self.constant_input = Constant(widths[0], 4)
        self.style_conv1 = StyledConvolution(widths[0], widths[0], style)
        self.to_rgb1 = ToRGB(widths[0], style)
        self.style_convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        self.noises = nn.Module()
        self.sides = [4]
        for level, (inputs, outputs) in enumerate(pairwise(widths), 3):
            self.style_convs.append(StyledConvolution(inputs, outputs, style, upsample=True))
            self.style_convs.append(StyledConvolution(outputs, outputs, style))
            self.to_rgbs.append(ToRGB(outputs, style))
            self.sides += [2**level] * 2
        for i, side in enumerate(self.sides):
            self.noises.register_buffer(f"noise{i}", torch.randn(1, 1, side, side))

    @property
    def codes(self) -> int:
        """Number of style codes that an image needs."""
        return 2 * len(self.to_rgbs) + 2

    def stored_noise(self) -> list[Tensor]:
        """Return the noise stored with the weights, one map (1, 1, s, s) for each styled convolution."""
        return [getattr(self.noises, f"noise{i}") for i in range(len(self.sides))]

    def forward(self, styles: Tensor, scales: Sequence[Tensor], shifts: Sequence[Tensor], noise: Sequence[Tensor]):
        """Return an image, (N, 3, S, S).

        Args:
            styles: style codes, (N, codes, style).
            scales: factors for half of the features at sides 8, 16 … S, (N, C/2, s, s) each.
            shifts: what is then added to these features, of the same shapes.
            noise: one map for each styled convolution, (1 or N, 1, s, s).
        """
        styles = styles.unbind(1)
        features = self.constant_input(len(styles[0]))
        features = self.style_conv1(features, styles[0], noise[0])
        image = self.to_rgb1(features, styles[1])
        for level, (scale, shift, to_rgb) in enumerate(zip(scales, shifts, self.to_rgbs, strict=True)):
            i = 2 * level + 1  # the last code of a level is also the first of the next one
            features = self.style_convs[i - 1](features, styles[i], noise[i])
            kept, steered = features.chunk(2, 1)
            features = torch.cat([kept, steered * scale + shift], 1)
            features = self.style_convs[i](features, styles[i + 1], noise[i + 1])
            image = to_rgb(features, styles[i + 2]) + resize(image, 2)
        return image


class Constant(nn.Module):
    """The learnt features that every image starts from."""

    def __init__(self, features: int, side: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, features, side, side))

    def forward(self, count: int) -> Tensor:
        return self.weight.expand(count, -1, -1, -1)


class StyledConvolution(nn.Module):
    """A 3x3 convolution steered by a style code, then noise, a bias and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, style: int, upsample: bool = False):
        super().__init__()
        self.modulated_conv = ModulatedConvolution(inputs, outputs, 3, style, upsample=upsample)
        self.weight = nn.Parameter(torch.zeros(1))  # strength of the noise
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, features: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        features = GAIN * self.modulated_conv(features, style)
        return F.leaky_relu(features + self.weight * noise + self.bias, SLOPE)


class ToRGB(nn.Module):
    """What one level adds to the image: a 1x1 convolution steered by a style code."""

    def __init__(self, inputs: int, style: int):
        super().__init__()
        self.modulated_conv = ModulatedConvolution(inputs, 3, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        return self.modulated_conv(features, style) + self.bias


class ModulatedConvolution(nn.Module):
    """A convolution whose input channels are scaled by a style code, and whose weights are then scaled to length 1.

    The published code scales the weights, separately for each image. Here the features before and after the convolution
    are scaled instead, which is equivalent and lets a batch share one convolution.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, style: int, demodulate: bool = True, upsample: bool = False
    ):
        super().__init__()
        self.demodulate = demodulate
        self.upsample = upsample
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel) / math.sqrt(inputs * kernel**2))
        self.modulation = nn.Linear(style, inputs)
        nn.init.kaiming_normal_(self.modulation.weight, nonlinearity="linear")
        nn.init.ones_(self.modulation.bias)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        weight = self.weight[0]
        scale = self.modulation(style)  # (N, inputs)
        features = features * scale[:, :, None, None]
        if self.upsample:
            features = resize(features, 2)
        features = F.conv2d(features, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            squares = scale.square() @ weight.square().sum((2, 3)).T  # squared length of each image's own weights
            features = features * (squares + 1e-8).rsqrt()[:, :, None, None]
        return features


def resize(features: Tensor, scale: float) -> Tensor:
    """Return features, or an image, resized bilinearly by the factor `scale`."""
    return F.interpolate(features, scale_factor=scale, mode="bilinear", align_corners=False)
