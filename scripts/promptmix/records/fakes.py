"""D_fake: generated images with annotations."""

from promptmix.records.prompts import PROMPT_KEYS
from promptmix.records.record import Record

FAKE = Record(
    "a list of generated images with annotations",
    {
        "file": (str, "path of the image, relative to the folder of this CSV"),
        "sha256": (str, "of the image's file, 64 hexadecimal digits"),
        "width": (int, "pixels"),
        "height": (int, "pixels"),
        "maps": (str, "path of the file with the image's annotation, relative to the folder of this CSV"),
        "stem": (str, "of the image's file: its name in `maps`"),
        "count": (float, "people in the annotation; empty for depth"),
        "depth": (float, "metres, mean of the depths that the annotation knows; empty for counting"),
        **PROMPT_KEYS,
        "prompt": (str, "the text"),
        "faces": (int, "number of faces that were restored"),
    },
)
"""D_fake of an experiment; see `promptmix.synthesis.mixing`."""
