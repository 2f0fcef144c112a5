"""Several annotators at once, to be tested like one network; `promptmix.synthesis.averaging` averages what they wrote."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptmix.networks.registry import STRIDES, map_shape
from promptmix.synthesis.annotation import load_annotator
from promptmix.synthesis.averaging import mean_map
from promptmix.tasks import batching


class Average(nn.Module):
    """Several annotators, used like one network whose maps are the mean of theirs.

    Args:
        annotators: on one device, for one task: networks, or functions of the user's.
    """

    mean, std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
    """With these the input of `density` and `depth` is in [0, 255]: each annotator normalises it in its own way."""

    leaves_out = True
    """Whether a depth of 0 says that it is not known."""

    def __init__(self, annotators: Sequence[nn.Module]):
        super().__init__()
        self.annotators = nn.ModuleList(annotators)
        self.task = str(annotators[0].task)
        self.stride = STRIDES[self.task]

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the map, which covers every pixel."""
        return map_shape(height, width, self.stride)

    def density(self, image: Tensor) -> Tensor:
        """Return people per cell of 8 pixels a side, (N, 1, ceil(H/8), ceil(W/8)), of RGB in [0, 255], (N, 3, H, W)."""
        rows, columns = self.output_size(*image.shape[2:])
        pixels, found = batching.pixels_of(image), []
        for annotator in self.annotators:
            maps = batching.density(annotator, pixels, image.device)
            side = self.stride // int(annotator.stride)
            maps = F.pad(maps, (0, columns * side - maps.shape[2], 0, rows * side - maps.shape[1]))
            found.append(F.avg_pool2d(maps, side, divisor_override=1))
        return self._mean(found, image)

    def depth(self, image: Tensor) -> Tensor:
        """Return metres, (N, 1, H, W), 0 where no annotator knows them, of RGB in [0, 255], (N, 3, H, W)."""
        pixels = batching.pixels_of(image)
        return self._mean([batching.depth(each, pixels, image.device) for each in self.annotators], image)

    def _mean(self, maps: Sequence[Tensor], image: Tensor) -> Tensor:
        mean = mean_map(torch.stack(list(maps)).double().cpu().numpy(), self.task)
        return torch.from_numpy(mean).to(image.device, torch.float32)[:, None]


def load_members(members: Sequence[Mapping[str, Any]], device: torch.device | str) -> nn.Module:
    """Return an annotator on a device, or the average of several.

    Args:
        members: what `load_annotator` takes of each.
    """
    annotators = [load_annotator(**member, device=device) for member in members]
    return annotators[0] if len(annotators) == 1 else Average(annotators)
