"""Choose among weights that were trained with several learning rates, by the validation error in their files."""

import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors import safe_open

from promptmix.errors import InputError
from promptmix.files import replacing

log = logging.getLogger(__name__)


def select_weights(candidates: Sequence[str | Path], out: str | Path) -> None:
    """Copy the weights with the lowest validation error, which is in each file's metadata, to `out`.

    Raises:
        InputError: no candidate has a validation error.
    """
    errors = {}
    for path in candidates:
        with safe_open(str(path), "pt") as file:
            errors[path] = float((file.metadata() or {}).get("val_error", "nan"))
    known = {path: error for path, error in errors.items() if math.isfinite(error)}
    if not known:
        raise InputError(
            f"{', '.join(map(str, candidates))}: none has a validation error; all diverged. Lower `learning_rates`"
        )
    best = min(known, key=known.__getitem__)
    log.info("%s: validation errors %s", best, ", ".join(f"{Path(p).stem} {e:.4g}" for p, e in errors.items()))
    with replacing(out) as temporary:
        shutil.copyfile(best, temporary)
