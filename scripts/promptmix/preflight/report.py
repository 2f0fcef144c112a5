"""The table of what is needed and whether it is there, and below it what to do about what is missing or wrong."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

FOUND, IMPORTED, UNPACKED, MADE = "found", "found, will be imported", "found, will be unpacked", "will be made"
FETCHED = "will be fetched"
MISSING, WRONG = "MISSING", "WRONG"

COLUMNS = {"what": 22, "where": 54, "state": 18, "needed by": 20}
"""The columns of the table, and the most characters of a line in each."""

WIDTH = sum(COLUMNS.values()) + 2 * (len(COLUMNS) - 1)
"""Characters of a line of the report."""


@dataclass(frozen=True)
class Item:
    """A line of the table.

    Attributes:
        what: what is needed.
        where: path, or what is known of it.
        state: one of the constants above, or a longer text that begins with one, or what else there is to say.
        needed_by: tables and figures.
        advice: what is wrong and what to do about it, if something is.
    """

    what: str
    where: str
    state: str
    needed_by: tuple[str, ...]
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether computing can begin, as far as this matters for it."""
        return not self.state.startswith((MISSING, WRONG))


def report(items: Sequence[Item]) -> str:
    """Return the table, and below it, numbered, what to do about each thing that is missing or wrong.

    Addresses and paths stay whole there, to be copied; in the table long ones are broken.
    """
    targets = {target for item in items for target in item.needed_by}
    problems = [item for item in items if not item.ok]
    rows = []
    for item in items:
        note = "" if item.ok else f" [{problems.index(item) + 1}]"
        users = "all" if len(targets) > 1 and set(item.needed_by) == targets else " ".join(item.needed_by)
        rows.append((item.what, item.where, item.state + note, users))
    widths = list(COLUMNS.values())
    table = tabulate(rows, list(COLUMNS), maxcolwidths=widths, break_on_hyphens=False, disable_numparse=True)
    lines = [line.rstrip() for line in table.splitlines()]
    for number, item in enumerate(problems, 1):
        lines += ["", f"[{number}] {item.what}: {item.state}", *_indented(item.advice)]
    missing = sum(item.state.startswith(MISSING) for item in problems)
    found = f"{missing} missing, {len(problems) - missing} wrong" if problems else "nothing missing, nothing wrong"
    return "\n".join([*lines, "", f"{len(items)} things needed: {found}"])


def describe_bytes(number: float) -> str:
    """Return bytes in words: "4.2 GB", "87 MB"."""
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{math.ceil(number / 1e6)} MB"


def _indented(advice: str) -> list[str]:
    """Return the lines of an advice, four spaces in, with its own indentation and its long words kept."""
    lines: list[str] = []
    for paragraph in advice.splitlines():
        indent = " " * (len(paragraph) - len(paragraph.lstrip()) + 4)
        lines += textwrap.wrap(
            paragraph,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines
