"""What halving has decided about prompts."""

from promptmix.records.prompts import PROMPT_KEYS
from promptmix.records.record import Record

VERDICTS = {True: "kept", False: "dropped"}
"""What `verdict` says of a prompt whose images do no harm, and of one whose images do."""

HALVING = Record(
    "what halving has decided",
    {
        **PROMPT_KEYS,
        "prompt": (str, "the text"),
        "epochs": (int, "of the trainings with this prompt's images so far"),
        "learning_rates": (str, "that are left, as the config spells them, with spaces between"),
        "val_error": (float, "the lowest of these epochs (people, or metres); empty if all trainings diverged"),
        "baseline": (float, "the same without generated images, in as many epochs"),
        "verdict": (str, "kept or dropped; empty as long as the trainings go on"),
        "updates": (int, "of weights in the trainings so far, of all learning rates and repeats"),
        "updates_in_full": (int, "the same, had each training gone on to its end"),
    },
)
"""The prompts of an experiment after a rung, also those that were decided before."""
