"""An annotator's mean over an image and the image mirrored: test-time averaging over flips."""

import torch
from torch import Tensor, nn

from promptmix.networks.registry import map_shape
from promptmix.tasks import batching


class Mirrored(nn.Module):
    """An annotator, used like a network whose maps are the mean of those of the image and of the image mirrored.

    Args:
        annotator: on a device: a network, or what is used like one.
    """

    mean, std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
    """With these the input of `density` and `depth` is in [0, 255]: the annotator normalises it in its own way."""

    def __init__(self, annotator: nn.Module):
        super().__init__()
        self.annotator = annotator
        self.task, self.stride = str(annotator.task), int(annotator.stride)
        self.reference = getattr(annotator, "reference", type(annotator).__name__)
        self.leaves_out = getattr(annotator, "leaves_out", False)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the map, which covers every pixel."""
        return map_shape(height, width, self.stride)

    def density(self, image: Tensor) -> Tensor:
        """Return people per cell, (N, 1, h, w), of RGB in [0, 255], (N, 3, H, W); the count is the mean of the two counts.

        Where the width is no multiple of a cell, the cells of the mirrored image lie across those of the image; the people in
        one are dealt to the two by the share of its pixels that are in each.
        """
        pixels = batching.pixels_of(image)
        found = batching.density(self.annotator, pixels, image.device)
        other = batching.density(self.annotator, pixels[:, :, ::-1], image.device)
        shares = _shares(image.shape[3], self.stride).to(other.device, other.dtype)
        return ((found + other @ shares) / 2)[:, None]

    def depth(self, image: Tensor) -> Tensor:
        """Return metres, (N, 1, H, W), of RGB in [0, 255], (N, 3, H, W): of one map where the other does not know them."""
        pixels = batching.pixels_of(image)
        found = batching.depth(self.annotator, pixels, image.device)
        other = batching.depth(self.annotator, pixels[:, :, ::-1], image.device).flip(2)
        both = torch.stack([found, other])
        known = both > 0
        return ((both * known).sum(0) / known.sum(0).clamp(min=1))[:, None]


def _shares(width: int, stride: int) -> Tensor:
    """Return which share of a cell of the mirrored image is in which cell of the image, (w, w); rows add up to 1."""
    cells = torch.arange(width) // stride
    pixels = torch.zeros(int(cells[-1]) + 1, int(cells[-1]) + 1, dtype=torch.float64)
    pixels.index_put_((cells, cells.flip(0)), torch.ones(width, dtype=torch.float64), accumulate=True)
    return pixels / pixels.sum(1, keepdim=True)
