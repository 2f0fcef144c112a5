"""What a network is trained by, a module per task: its targets, its loss and its validation error."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from promptmix.datasets.split import Split


class Objective(Protocol):
    """What the training loop asks of a task."""

    def target(self, images: Split, i: int) -> np.ndarray:
        """Return what the network should give for a real image, (h, w) float32."""

    def forward(self, network: nn.Module, images: Sequence[np.ndarray], device: torch.device | str) -> Any:
        """Return what the network gives in training, for `loss`."""

    def loss(self, predicted: Any, targets: Tensor) -> Tensor:
        """Return the mean over the images of a batch."""

    def error(self, network: nn.Module, images: Split, device: torch.device | str) -> float:
        """Return the validation error, by which the best epoch and the learning rate are chosen."""

    def weights(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights to keep, of those that were trained."""


def module_of(task: str) -> str:
    """Return the name of the module of a task's objective; `task` is "counting" or "depth"."""
    return f"promptmix.training.{task}"


def load_objective(network: nn.Module, sigma: float, kernel: int, density_scale: float) -> Objective:
    """Return what a network is trained by.

    Args:
        network: has a `task` and a `stride`.
        sigma, kernel: of the ground truth's Gaussian, in pixels; for counting.
        density_scale: what density is multiplied with in the loss; for counting.
    """
    return importlib.import_module(module_of(network.task)).Objective(network, sigma, kernel, density_scale)
