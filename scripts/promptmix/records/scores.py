"""Scores of generated images."""

from promptmix.records.record import Record

QUALITY = Record(
    "the quality scores of generated images",
    {
        "stem": (str, "of the generated image's file"),
        "q": (float, "how far annotators disagree, 0 where they agree; see `promptmix.synthesis.quality`"),
    },
)
"""Scores of a block of generated images."""
