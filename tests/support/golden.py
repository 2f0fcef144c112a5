"""Facts taken by running the authors' networks (tests/parity/*.json), and how to hold a network against them."""

import json
from pathlib import Path

import numpy as np
import torch

from support.fill import digest

FACTS = Path(__file__).parents[1] / "parity"

# Standard deviations of the golden output. In float32 the authors' own code deviates by up to 3e-5 of them; mistakes
# (align_corners, a dilation, an epsilon) by 1e-3 and more.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-4}


def facts(name):
    return json.loads((FACTS / f"{name}.json").read_text())


def shapes(module):
    return {key: list(tensor.shape) for key, tensor in module.state_dict().items()}


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def assert_golden(output, golden):
    found = digest(output)
    assert found["shape"] == golden["shape"]
    tolerance = TOLERANCES[output.dtype] * golden["std"]
    assert found["samples"].keys() == golden["samples"].keys()
    np.testing.assert_allclose(
        list(found["samples"].values()), list(golden["samples"].values()), rtol=0, atol=tolerance
    )
    assert abs(found["mean"] - golden["mean"]) <= tolerance
    assert abs(found["std"] - golden["std"]) <= tolerance
