"""The prompts that a filter keeps."""

from promptmix.records.prompts import PROMPT_KEYS
from promptmix.records.record import Record

FILTER = Record(
    "the prompts that a filter keeps",
    {
        **PROMPT_KEYS,
        "prompt": (str, "the text"),
        "val_error": (float, "validation error with this prompt's images alone (people, or metres); empty if diverged"),
        "baseline": (float, "validation error without generated images (people, or metres)"),
        "kept": (int, "1 for a prompt that is kept, 0 otherwise"),
    },
)
"""The prompts of an experiment with a prompt filter."""
