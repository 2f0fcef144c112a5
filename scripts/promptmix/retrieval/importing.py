"""Convert checkpoints as their authors published them to safetensors, once."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptmix import files
from promptmix.errors import InputError
from promptmix.networks.checkpoints import read_backbone, read_fitting, save_weights
from promptmix.networks.published import find_weights, refuse_stand_ins

log = logging.getLogger(__name__)


def import_checkpoint(
    network_name: str,
    source: str | Path,
    out: str | Path,
    metadata: Mapping[str, Any],
    *,
    backbone: bool = False,
    bytes: int | None = None,
    sha256: str | None = None,
    **settings,
) -> None:
    """Convert a published file to safetensors that hold a network's tensors, no others, and where they are from.

    The result's metadata are the given ones and `network`, `settings` (JSON), `source_file` (its name), `source_sha256`,
    and `backbone` where it is one. Numbers stay as they are. What is left out of the file goes to the log.

    Args:
        network_name: a key of `networks.registry.NETWORKS`.
        source: the file as published, see `read_tensors`.
        out: the file to write, ending in .safetensors.
        metadata: what else the result should say about itself: source, licence. What is no text becomes JSON; what is
            None is left out.
        backbone: the file holds a classifier to start from, see `read_backbone`.
        bytes, sha256: what the file should have, if known.
        settings: those of the published network, as in `networks.build`.

    Raises:
        InputError: no such file, it is not the expected one, damaged, holds something else, or does not fit.
    """
    source = find_weights(source)
    refuse_stand_ins(source)
    digest = _verify(source, bytes, sha256)
    tensors = (read_backbone if backbone else read_fitting)(network_name, source, **settings)
    about = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in metadata.items()
        if value is not None
    }
    about |= {"network": network_name, "settings": json.dumps(settings)}
    about |= {"source_file": source.name, "source_sha256": digest} | ({"backbone": "true"} if backbone else {})
    save_weights(out, tensors, about)
    log.info("%s: %d tensors of %s, from %s (SHA-256 %s)", out, len(tensors), network_name, source, digest)


def _verify(path: Path, bytes: int | None, sha256: str | None) -> str:
    """Return the SHA-256 of a file, or raise an InputError if its size or its SHA-256 is not the expected one."""
    size, digest = path.stat().st_size, files.sha256(path)
    advice = (
        "Fetch it again. If it is what its authors publish today, and you trust it, correct the entry in "
        "config/sources.yaml"
    )
    if bytes is not None and size != bytes:
        part = ": the download was cut off" if size < bytes else ""
        raise InputError(f"{path} has {size} bytes, and {bytes} were expected{part}. {advice}")
    if sha256 is not None and digest != sha256.lower():
        raise InputError(
            f"{path} is not the expected file.\n  its SHA-256: {digest}\n  expected:    {sha256}\n{advice}"
        )
    return digest
