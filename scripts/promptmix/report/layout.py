"""Tables of text as Markdown and LaTeX, with notes below."""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tabulate import LATEX_ESCAPE_RULES, tabulate

from promptmix.files import replacing

SIGNS = {
    "[": "{[}",  # after the end of a row, LaTeX would take it for a length
    "±": r"$\pm$",
    "−": "$-$",
    "—": "---",
    "√": r"$\surd$",
    "δ": r"$\delta$",
    "²": "$^2$",
    "³": "$^3$",
}
"""The signs in tables that LaTeX does not have in text."""


def write_markdown(path: str | Path, table: pd.DataFrame, notes: Sequence[str]) -> None:
    """Write a table of text, in which `**` marks what is bold, with notes below."""
    escaped = table.rename(columns=_escape_pipes).map(_escape_pipes)
    body = escaped.to_markdown(index=False, disable_numparse=True)
    with replacing(path) as temporary:
        temporary.write_text("\n\n".join([body, *notes]) + "\n")


def write_tex(path: str | Path, table: pd.DataFrame, notes: Sequence[str]) -> None:
    """Write a table of text as a `tabular` for the package booktabs, with notes below."""
    body = tabulate(table, headers="keys", showindex=False, tablefmt="latex_booktabs", disable_numparse=True)
    escaped = ("".join(LATEX_ESCAPE_RULES.get(character, character) for character in note) for note in notes)
    lines = [body, "", *(f"\\par\\noindent {{\\footnotesize {note}}}" for note in escaped)]
    with replacing(path) as temporary:
        temporary.write_text(_with_signs("\n".join(lines)) + "\n")


def _escape_pipes(text: str) -> str:
    return text.replace("|", r"\|")


def _with_signs(text: str) -> str:
    """Return escaped text with the signs in math mode, and what is between `**` bold."""
    signs = "".join(SIGNS.get(character, character) for character in text)
    return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", signs)
