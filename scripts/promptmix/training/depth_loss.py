"""The losses for depth: GuideDepth's and AdaBins'.

A target is 0 where the depth is unknown: sensors leave holes, and images are padded. Such pixels are left out.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from promptmix.networks.registry import FARTHEST, NEAREST

WINDOW, DEVIATION = 11, 1.5
"""Side and deviation of the Gaussian window of the structural similarity, in pixels."""

VALUES = 10.0
"""Range of the values for the structural similarity: that of GuideDepth's authors, though 10 / depth can be 100."""


def inverse(depth: Tensor) -> Tensor:
    """Return 10 / depth in 1/m, in [1, 100], for metres clipped to [0.1, 10]; 0 where unknown (0 or not finite)."""
    known = torch.isfinite(depth) & (depth > 0)
    return torch.where(known, 10 / depth.clamp(NEAREST, FARTHEST), 0)


def guidedepth_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return GuideDepth's loss: 0.1 L1 + (1 - SSIM) / 2 + L1 of the gradients (github.com/mic-rud/GuidedDecoding).

    In the authors' code all depths are known, and pixels beyond the image's edge are 0. Here an unknown pixel is
    treated like one beyond the edge: it adds no error itself, its differences to its neighbours do not count, and in
    the windows of the structural similarity it is 0 in both images. So an image has the same loss with and without
    padding.

    Args:
        predicted: 10 / depth, (N, 1, H, W).
        target: likewise, as from `inverse`: 0 where unknown. If no pixel is known, the loss is 0.
    """
    known = target > 0
    l1 = _mean((predicted - target).abs(), known)
    similarity = _mean(ssim(predicted * known, target), known)
    return 0.1 * l1 + ((1 - similarity) / 2).clamp(0, 1) * known.any() + gradient_loss(predicted, target)


def gradient_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute error of the differences between rows plus that of the differences between columns.

    A difference between two pixels of which one is unknown counts as correct. The means are over the known pixels.
    """
    known, error = target > 0, predicted - target
    rows = (error.diff(dim=2).abs() * known[:, :, 1:] * known[:, :, :-1]).sum()
    columns = (error.diff(dim=3).abs() * known[..., 1:] * known[..., :-1]).sum()
    return (rows + columns) / known.sum().clamp(min=1)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the structural similarity (Wang et al. 2004) of the window around each pixel, (N, 1, H, W)."""
    mean_a, mean_b, aa, bb, ab = blur(torch.cat([a, b, a * a, b * b, a * b], 1)).split(1, 1)
    c1, c2 = (0.01 * VALUES) ** 2, (0.03 * VALUES) ** 2  # against division by small numbers
    means = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    spreads = (2 * (ab - mean_a * mean_b) + c2) / (aa - mean_a**2 + bb - mean_b**2 + c2)
    return means * spreads


def blur(maps: Tensor) -> Tensor:
    """Return maps (N, C, H, W) blurred by the Gaussian window around each pixel; values beyond the edges are 0.

    It multiplies with a band matrix from either side: ten times as fast as convolutions on a CPU, and never in TF32.
    """

    def band(side: int) -> Tensor:
        pixels = torch.arange(side, device=maps.device)
        offsets = pixels[:, None] - pixels
        near = torch.arange(-(WINDOW // 2), WINDOW // 2 + 1, dtype=torch.float64, device=maps.device)
        total = (-0.5 * (near / DEVIATION) ** 2).exp().sum()
        weights = (-0.5 * (offsets.double() / DEVIATION) ** 2).exp() / total
        return (weights * (offsets.abs() <= WINDOW // 2)).to(maps.dtype)

    return band(maps.shape[2]) @ maps @ band(maps.shape[3])


def adabins_loss(edges: Tensor, predicted: Tensor, target: Tensor) -> Tensor:
    """Return AdaBins' loss (CVPR 2021, section 3.4): 10 sqrt(var + 0.15 mean^2) of the log errors, + 0.1 of the bins'.

    Args:
        edges: of the bins, ascending, (N, bins + 1) metres.
        predicted: (N, 1, h, w) metres above 0; resized to the target's size bilinearly, as in `AdaBins.depth`.
        target: (N, 1, H, W) metres, 0 or not finite where unknown. If no pixel is known, the loss is 0.
    """
    known = torch.isfinite(target) & (target > 0)
    predicted = F.interpolate(predicted, target.shape[-2:], mode="bilinear", align_corners=True)
    error = torch.where(known, predicted.log() - torch.where(known, target, 1).log(), 0)
    mean = _mean(error, known)
    spread = ((error - mean).square() * known).sum() / (known.sum() - 1).clamp(min=1)
    scale_invariant = 10 * (spread + 0.15 * mean**2 + 1e-12).sqrt()  # the root of 0 has no gradient
    return scale_invariant * known.any() + 0.1 * bin_loss(edges, torch.where(known, target, 0))


def bin_loss(edges: Tensor, target: Tensor) -> Tensor:
    """Return the Chamfer distance in m^2 between the bins' centres and the depths, averaged over the images.

    It is the mean squared distance from a centre to the nearest depth, plus that from a depth to the nearest centre. In
    one dimension neighbours are found by sorting, so all depths can be used.

    Args:
        edges: ascending, (N, bins + 1) metres.
        target: (N, 1, H, W) metres, 0 where unknown; an image without known pixels adds 0.
    """
    centres = (edges[:, :-1] + edges[:, 1:]) / 2
    depths = target.flatten(1)
    known = depths > 0

    # The nearest centre of each depth: found among the points halfway between neighbouring centres.
    halfway = (centres[:, :-1] + centres[:, 1:]).detach() / 2
    nearest = centres.gather(1, torch.searchsorted(halfway, depths))
    of_depths = ((nearest - depths).square() * known).sum(1) / known.sum(1).clamp(min=1)

    # The nearest depth of each centre: the last one below it, or the first one that is not below it.
    depths = torch.where(known, depths, torch.inf).sort(1).values
    depths = F.pad(F.pad(depths, (1, 0), value=-torch.inf), (0, 1), value=torch.inf)
    found = centres.detach()
    above = torch.searchsorted(depths, found)
    low, high = depths.gather(1, above - 1), depths.gather(1, above)
    nearest = torch.where(found - low < high - found, low, high)
    of_centres = (centres - torch.where(known.any(1, keepdim=True), nearest, found)).square().mean(1)
    return (of_depths + of_centres).mean()


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Return the mean of the known values; 0 if no value is known."""
    return (values * known).sum() / known.sum().clamp(min=1)
