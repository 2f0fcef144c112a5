"""Object detectors of transformers as annotators: the middle of each box of a label is one person of a density map."""

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from promptmix.errors import InputError
from promptmix.networks.transformers_models import labels_of
from promptmix.synthesis.annotation import describe
from promptmix.synthesis.transformers_annotator import TransformersAnnotator
from promptmix.tasks.density import density_at_stride

log = logging.getLogger(__name__)


class Detector(TransformersAnnotator):
    """An object detector, used like a network; see `TransformersAnnotator` for other arguments and errors.

    Args:
        label: which of the model's labels is counted.
        score: least score of a box that counts.
        sigma, kernel: of a person in the density map, in pixels; see `promptmix.tasks.density`.
    """

    def __init__(
        self,
        model: str | Path,
        device: torch.device | str,
        label: str,
        score: float = 0.5,
        sigma: float = 4,
        kernel: int = 15,
    ):
        super().__init__("counting", model, device, label=label)
        self.labels = labels_of(self.config.to_dict(), label)
        self.score, self.sigma, self.kernel = score, sigma, kernel
        self._warned = False

    def density(self, image: Tensor) -> Tensor:
        """Return people per cell of 8 pixels a side, (N, 1, ceil(H/8), ceil(W/8)), of RGB in [0, 255], (N, 3, H, W).

        The sum of a map is the number of its boxes.

        Raises:
            InputError: scores or boxes that are not finite.
        """
        height, width = image.shape[2:]
        found = [
            density_at_stride(points, height, width, self.stride, self.sigma, self.kernel)
            for points in self.points(image)
        ]
        return torch.from_numpy(np.stack(found))[:, None].to(image.device)

    def points(self, image: Tensor) -> list[np.ndarray]:
        """Return the middle of each box that counts, of each image (M, 2) x and y in pixels."""
        outputs = self.compute(image)
        if not (outputs.logits.isfinite().all() and outputs.pred_boxes.isfinite().all()):
            raise InputError(
                f"{self.reference} gave scores or boxes that are not finite (NaN or infinity) for "
                f"{describe(len(image), *image.shape[2:])}. Check its weights"
            )
        queries, classes = outputs.logits.shape[1:]
        options = {"top_k": queries * classes, "use_focal_loss": getattr(self.config, "use_focal_loss", True)}
        points = []
        for each in self.post_process(outputs, image, threshold=self.score, **options):
            boxes = each["boxes"][torch.isin(each["labels"], torch.tensor(self.labels, device=each["labels"].device))]
            points.append((boxes[:, :2] + boxes[:, 2:]).double().cpu().numpy() / 2)
        self._warn_if_full(max(map(len, points)), queries)
        return points

    def _warn_if_full(self, most: int, queries: int) -> None:
        """Say once if a model has found as many as it can, so that there may be more."""
        if most >= queries and not self._warned:
            self._warned = True
            log.warning(
                "%s has found %d in an image, which is the most that it can find (its queries): there may be more. Take a "
                "model that counts crowds",
                *(self.reference, most),
            )


load = Detector
"""As `promptmix.networks.transformers_models.MODULES` wants it."""
