"""Manifests of generated images."""

from promptmix.records.prompts import PROMPT_KEYS
from promptmix.records.record import Record

MANIFEST = Record(
    "a manifest of generated images",
    {
        "file": (str, "path of the image, relative to the folder of this CSV"),
        "seed": (int, "of the noise that the image was made from; no two images of a pool have the same"),
        **PROMPT_KEYS,
        "prompt": (str, "the text"),
        "width": (int, "pixels"),
        "height": (int, "pixels"),
        "quality": (int, "JPEG quality from 1 to 100"),
        "source": (str, "name of the captioned image within its dataset; empty for a prompt written by hand"),
        "faces": (int, "number of faces that were restored"),
        "sha256": (str, "of the file, 64 hexadecimal digits"),
    },
)
"""A block of generated images; see `promptmix.synthesis.manifest`."""
