"""How figures look, whatever they show: width, letters, colours of the ways to train, and how they are saved."""

import textwrap
from pathlib import Path

from matplotlib.figure import Figure

from promptmix.files import replacing

WIDTH, DPI = 7.0, 200
"""A figure's width in inches, that of a page's text, and its pixels per inch."""

SMALL, LARGE = 7, 8
"""Sizes of letters in points: below pictures, and of titles."""

LINE = 0.16
"""Height of a line of text and its margins, in inches."""

HEADINGS = {"baseline": "baseline", "control": "control", "promptmix": "PromptMix"}
"""What a figure calls the ways in which networks are trained."""

MARKS = {"baseline": ("#404040", "o"), "control": ("#b07000", "s"), "promptmix": ("#0072b2", "D")}
"""Colour and marker of each way; they differ in lightness too, for those who do not tell colours apart."""


def wrap(text: str, width: float) -> str:
    """Return a text in small letters, broken into lines that are not wider than a width in inches."""
    return textwrap.fill(text, int(width * 72 / (0.55 * SMALL)))


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as a PNG, the same bytes each time; the file appears when it is complete."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
