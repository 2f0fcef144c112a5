"""Depth estimators of transformers as annotators: those whose depth is in metres."""

from pathlib import Path

import torch
from torch import Tensor

from promptmix.synthesis.annotation import check_maps
from promptmix.synthesis.transformers_annotator import TransformersAnnotator


class Estimator(TransformersAnnotator):
    """A depth estimator, used like a network; see `TransformersAnnotator` for arguments and errors."""

    def __init__(self, model: str | Path, device: torch.device | str, unit: str = ""):
        super().__init__("depth", model, device, unit=unit)

    def depth(self, image: Tensor) -> Tensor:
        """Return metres, (N, 1, H, W), of RGB in [0, 255], (N, 3, H, W).

        The model's own function brings its map to the size of the image. Where that is a bicubic one, which goes beyond the
        values at edges, values are kept within those of the map.

        Raises:
            InputError: numbers that cannot be metres.
        """
        outputs = self.compute(image)
        found = [each["predicted_depth"].reshape(image.shape[2:]) for each in self.post_process(outputs, image)]
        maps = torch.stack(found).float()
        if self.config.model_type != "depth_pro":  # whose output is inverse depth, and is made metres afterwards
            least, most = outputs.predicted_depth.flatten(1).float().aminmax(dim=1)
            maps = maps.clamp(least[:, None, None], most[:, None, None])
        check_maps(self.reference, maps, "depth", *image.shape[2:])
        return maps[:, None].to(image.device)


load = Estimator
"""As `promptmix.networks.transformers_models.MODULES` wants it."""
