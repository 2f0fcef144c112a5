"""The training objective of a task, a module per task: targets, loss and validation error."""

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
    """The methods of a task's objective that the training loop calls."""

    def target(self, images: Split, i: int) -> np.ndarray:
        """Return the target of the network's output for a real image, (h, w) float32."""

    def forward(self, network: nn.Module, images: Sequence[np.ndarray], device: torch.device | str) -> Any:
        """Return the network's output for a batch of images, in the form that `loss` takes."""

    def loss(self, predicted: Any, targets: Tensor) -> Tensor:
        """Return the loss of a batch, a mean over its images."""

    def error(self, network: nn.Module, images: Split, device: torch.device | str) -> float:
        """Return the validation error, by which the best epoch and the learning rate are chosen."""

    def weights(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights to save, given the trained ones."""


def module_of(task: str) -> str:
    """Return the name of the module of a task's objective; `task` is "counting" or "depth"."""
    return f"promptmix.training.{task}"


def load_objective(network: nn.Module, sigma: float, kernel: int, density_scale: float) -> Objective:
    """Return the objective for a network's task.

    Args:
        network: has a `task` and a `stride`.
        sigma, kernel: deviation and side of the ground truth's Gaussian, in pixels; for counting.
        density_scale: factor of the density in the loss; for counting.
    """
    return importlib.import_module(module_of(network.task)).Objective(network, sigma, kernel, density_scale)
