"""The prompts of a pool, and what a prompt is known by."""

from promptmix.records.record import Record

PROMPTS = Record(
    "the prompts of a pool",
    {
        "prompt": (str, "the text"),
        "width": (int, "of the images to generate, pixels"),
        "height": (int, "of the images to generate, pixels"),
        "quality": (int, "of the images to generate, JPEG quality from 1 to 100"),
        "grey": (int, "1 if the captioned image is grey, 0 otherwise"),
        "source": (str, "name of the captioned image within its dataset; empty for a prompt written by hand"),
    },
)
"""The prompts of a pool; a prompt's number is that of its row, from 0."""

PROMPT_KEYS = {
    "pool": (str, "name of the pool of prompts"),
    "prompt_number": (int, "of the prompt within its pool, from 0"),
}
"""What a prompt is known by."""
