"""Captions of real and of generated images."""

from promptmix.records.record import Record

CAPTIONS = Record(
    "the captions of a dataset",
    {
        "image": (str, "name of the real image within its dataset"),
        "caption": (str, "what the captioner says of it"),
    },
)
"""Captions of a dataset's training images."""

GENERATED_CAPTIONS = Record(
    "the captions of generated images",
    {
        "stem": (str, "of the generated image's file"),
        "caption": (str, "what the captioner says of it"),
    },
)
"""Captions of a block of generated images."""
