"""Where a model lies: in a folder, or in the Hub's cache on this machine, from which nothing is fetched."""

import json
import os
from pathlib import Path

SNAPSHOTS = "PROMPTMIX_SNAPSHOTS"
"""Environment variable through which a run tells its jobs which snapshots it found: JSON, the folder by name. While a run
lasts, someone may fetch another snapshot of a model, and all of a pool's images are to be made with one."""

FILES = ("model_index.json", "config.json", "tokenizer_config.json", "pytorch_lora_weights.safetensors")
"""Of which a model on the Hub has one at least."""


def locate(path: str) -> Path | None:
    """Return the folder of a model: the path itself, or the snapshot that a name on the Hub stands for; None if neither.

    Args:
        path: a folder, or a name such as "openai/clip-vit-base-patch32".
    """
    return Path(path) if os.path.exists(path) else find_snapshot(path)


def find_snapshot(name: str) -> Path | None:
    """Return the folder in the Hub's cache of the commit that a model is at, the same for a run and its jobs; or None."""
    if name.count("/") > 1:  # a path that is not there
        return None
    found = json.loads(os.environ.get(SNAPSHOTS, "{}"))
    if name not in found:
        if (folder := _look_up(name)) is None:
            return None
        found[name] = str(folder)
        os.environ[SNAPSHOTS] = json.dumps(found)
    return Path(found[name])


def _look_up(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache  # it takes a while, and few configs name models of the cache

    for file in FILES:
        try:
            found = try_to_load_from_cache(name, file)
        except ValueError:  # not a name that the Hub could have
            return None
        if isinstance(found, str):
            return Path(found).parent
    return None
