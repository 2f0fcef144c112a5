"""Texts that a language model has written, of which prompts are made."""

from promptmix.records.record import Record

TEXTS = Record(
    "the texts of a language model",
    {
        "image": (str, "name of the real image whose caption is varied; empty for a text on a topic"),
        "text": (str, "what the model wrote"),
    },
)
"""Texts of a pool: the first of each caption, then the second of each, and so on; or those on a topic."""
