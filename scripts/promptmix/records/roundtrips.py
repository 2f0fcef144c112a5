"""Round trips from prompt to image to caption."""

from promptmix.records.prompts import PROMPT_KEYS
from promptmix.records.record import Record

ROUNDTRIP = Record(
    "the round trips of generated images",
    {
        "pool": PROMPT_KEYS["pool"],
        "stem": (str, "of the generated image's file"),
        "prompt": (str, "caption that the prompt was made of; a prompt by hand as a whole"),
        "caption": (str, "of the generated image"),
        "words": (int, "in `prompt`"),
        "distance": (int, "words to change from `prompt` to `caption`"),
        "chance": (int, "words to change from `prompt` to the caption of another image of the pool, drawn at random"),
    },
)
"""The first image of each prompt of some pools; see `promptmix.report.roundtrip`."""
