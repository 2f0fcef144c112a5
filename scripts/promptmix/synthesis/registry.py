"""What captions images, by what the config says of a captioner.

Snakemake imports this at every start, so it imports little.
"""

import importlib
from collections.abc import Mapping
from typing import Any


def modules_of_captioner(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that a captioner consists of, its class `Captioner` in the first.

    One that names a `model` is of transformers; any other is ClipCap.
    """
    if "model" in settings:
        return ("promptmix.synthesis.captioners",)
    return "promptmix.synthesis.captions", "promptmix.networks.clipcap"


def load_captioner(settings: Mapping[str, Any], device: str) -> Any:
    """Return a captioner, a `promptmix.synthesis.captioning.ImageCaptioner`.

    Args:
        settings: those of the config.
        device: where to compute.

    Raises:
        InputError: its files are missing, damaged or of something else.
    """
    return importlib.import_module(modules_of_captioner(settings)[0]).Captioner(**settings, device=device)
