"""What annotators of transformers have in common: a model and its image processor, loaded whole or refused.

How they are used is that of the networks here, see `promptmix.tasks.batching`: they take RGB images of one size and return
maps. The image processor resizes, normalises and pads as the model was trained.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoImageProcessor, BatchFeature

from promptmix.errors import InputError
from promptmix.networks.registry import STRIDES, map_shape
from promptmix.networks.transformers_models import KINDS, find_class
from promptmix.synthesis.pretrained import explain, load_part, locate, read_json, silence
from promptmix.tasks.batching import pixels_of

POST_PROCESS = {"depth": "post_process_depth_estimation", "counting": "post_process_object_detection"}
"""What brings a model's output back to the image's size: a function of its image processor."""


class TransformersAnnotator(nn.Module):
    """A model of transformers with its image processor, used like a network.

    Args:
        task: "counting" or "depth".
        model: a folder in transformers' format, or a name in the Hub's cache.
        device: where to compute; on "meta" everything is checked and nothing can be computed.
        label, unit: see `promptmix.networks.transformers_models.find_class`.

    Attributes:
        config: the model's, with transformers' defaults.

    Raises:
        InputError: the model is missing, incomplete, or of another kind.
    """

    mean, std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
    """With these the input of `density` and `depth` is in [0, 255]: the image processor normalises it."""

    def __init__(self, task: str, model: str | Path, device: torch.device | str, label: str = "", unit: str = ""):
        super().__init__()
        self.reference, self.task, self.stride = str(model), task, STRIDES[task]
        expected = f"a folder in transformers' format, of a model for {task} ({KINDS[task]})"
        folder = locate(str(model), expected)
        try:
            of_class = find_class(read_json(folder / "config.json"), task, label, unit)
            where = "meta" if str(device) == "meta" else "cpu"
            self.network: Any = load_part(getattr(transformers, of_class), folder, torch.float32, where)
            self.processor = _load_processor(folder, task)
        except InputError as error:
            raise InputError(f"{model} cannot annotate for {task}, or is incomplete: {error}") from error
        self.config: Any = self.network.config
        if where == "cpu":
            self.network.to(device)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the map: it covers every pixel, so no image is padded."""
        return map_shape(height, width, self.stride)

    def prepare(self, image: Tensor) -> BatchFeature:
        """Return what the model takes, on the CPU, of RGB in [0, 255], (N, 3, H, W).

        Raises:
            InputError: the images cannot be prepared, or would be padded.
        """
        with explain(f"{self.reference}: preprocessor_config.json:"):
            inputs = self.processor(list(pixels_of(image)), input_data_format="channels_last", return_tensors="pt")
        mask = inputs.get("pixel_mask")
        if mask is not None and not mask.all():
            raise InputError(
                f"{self.reference}: its image processor fills images up to a size (`pad_size`), and boxes could be in parts of "
                f"what is filled. Take that setting out of preprocessor_config.json"
            )
        return inputs

    def compute(self, image: Tensor) -> Any:
        """Return the model's output for RGB in [0, 255], (N, 3, H, W), without gradients."""
        inputs = self.prepare(image)
        device = next(self.network.parameters()).device
        with torch.no_grad():
            return self.network(**{key: value.to(device) for key, value in inputs.items()})

    def post_process(self, outputs: Any, image: Tensor, **options: Any) -> list[dict[str, Tensor]]:
        """Return what the image processor makes of the output for each image, at the size of the images.

        Args:
            options: those that the processor does not know are left out.
        """
        function: Callable = getattr(self.processor, POST_PROCESS[self.task])
        sizes = [tuple(image.shape[2:])] * len(image)
        known = inspect.signature(function).parameters
        options = {"source_sizes": sizes} | options
        return function(outputs, target_sizes=sizes, **{key: value for key, value in options.items() if key in known})


def _load_processor(folder: Path, task: str) -> Any:
    """Return the image processor in a model's folder.

    Raises:
        InputError: there is none, or that of a model for another task.
    """
    read_json(folder / "preprocessor_config.json")
    with explain("preprocessor_config.json"), silence():
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not hasattr(processor, POST_PROCESS[task]):
        raise InputError(
            f"preprocessor_config.json: a {type(processor).__name__}, which is not for a {KINDS[task]}; take the file that the "
            f"model was published with"
        )
    return processor
