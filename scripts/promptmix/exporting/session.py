"""An exported network in ONNX Runtime. Nothing here needs PyTorch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from promptmix.errors import InputError

ONNX, WEIGHTS, CARD = "network.onnx", "network.safetensors", "README.md"
"""The files of an exported network."""

OUTPUTS = {"counting": ("density", "count"), "depth": ("depth",)}
"""Names of what a network gives, by its task; the map is the first."""


def open_session(path: str | Path, threads: int) -> onnxruntime.InferenceSession:
    """Return a session of a file of ONNX on the CPU, with so many threads.

    Raises:
        InputError: no such file, or it is no ONNX or damaged.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; expected an exported network")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors; it warns of images as small as a cell
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a kind for each way in which a file can be wrong
        said = str(error).strip().splitlines()[0]
        raise InputError(f"{path}: not a network in ONNX, or damaged ({said}). Export it again") from error


@dataclass(frozen=True)
class Exported:
    """An exported network.

    Args:
        session: of ONNX Runtime.
        about: what the file says of itself, as text by key.
    """

    session: onnxruntime.InferenceSession
    about: Mapping[str, str]

    @classmethod
    def open(cls, place: str | Path, threads: int) -> "Exported":
        """Open a folder that `snakemake results/{scale}/exported/{experiment}` has made, or its file of ONNX.

        Raises:
            InputError: there is none, it is damaged, or it was not exported by this project.
        """
        place = Path(place)
        if place.is_dir() and not (place / ONNX).exists():
            raise InputError(f"{place}: no {ONNX} in this folder; expected what `snakemake .../exported/...` has made")
        file = place / ONNX if place.is_dir() else place
        session = open_session(file, threads)
        about = session.get_modelmeta().custom_metadata_map
        if missing := [key for key in ("task", "stride", "resize") if key not in about]:
            raise InputError(
                f"{file}: a network in ONNX that was not exported by this project: it does not say its {missing[0]}"
            )
        return cls(session, about)

    @property
    def task(self) -> str:
        """Return "counting" or "depth"."""
        return self.about["task"]

    @property
    def stride(self) -> int:
        """Pixels of the image per cell of a map, along a side."""
        return int(self.about["stride"])

    @property
    def resize(self) -> dict[str, Any] | None:
        """How images are resized first, see `promptmix.datasets.pictures.training_size`."""
        return json.loads(self.about["resize"])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return maps, (N, h, w) people per cell or metres, for images, (N, H, W, 3) uint8 RGB."""
        return self.session.run([OUTPUTS[self.task][0]], {"images": images})[0]

    def predict_counts(self, images: np.ndarray) -> np.ndarray:
        """Return the people in images, (N,), as the file itself counts them."""
        return self.session.run(["count"], {"images": images})[0]
