"""Tables of text as Markdown, LaTeX and HTML, with notes below."""

import html
import re
from collections.abc import Iterable, Sequence
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
    "“": "``",
    "”": "''",
    "…": r"\ldots{}",
    "²": "$^2$",
    "³": "$^3$",
}
"""The signs in tables that LaTeX does not have in text."""


OURS = "*Not in the paper:*"
"""What stands above the rows that the paper does not have."""


def write_markdown(path: str | Path, table: pd.DataFrame, notes: Sequence[str], of_paper: int | None = None) -> None:
    """Write a table of text, in which `**` marks what is bold, with notes below.

    Args:
        of_paper: number of rows, from the first, that the paper has; a line of its own stands above the others.
    """
    if of_paper is not None and of_paper < len(table):
        rule = pd.DataFrame([[OURS, *[""] * (len(table.columns) - 1)]], columns=table.columns)
        table = pd.concat([table[:of_paper], rule, table[of_paper:]])
    escaped = table.rename(columns=_escape_pipes).map(_escape_pipes)
    body = escaped.to_markdown(index=False, disable_numparse=True)
    with replacing(path) as temporary:
        temporary.write_text("\n\n".join([body, *notes]) + "\n")


def write_tex(path: str | Path, table: pd.DataFrame, notes: Sequence[str], of_paper: int | None = None) -> None:
    """Write a table of text as a `tabular` for the package booktabs, with notes below; arguments as of `write_markdown`."""
    body = tabulate(table, headers="keys", showindex=False, tablefmt="latex_booktabs", disable_numparse=True)
    if of_paper is not None and of_paper < len(table):
        *lines, bottom, end = body.split("\n")
        first = len(lines) - (len(table) - of_paper)
        rule = rf"\midrule \multicolumn{{{len(table.columns)}}}{{l}}{{\emph{{{OURS.strip('*')}}}}} \\"
        body = "\n".join([*lines[:first], rule, *lines[first:], bottom, end])
    escaped = ("".join(LATEX_ESCAPE_RULES.get(character, character) for character in note) for note in notes)
    lines = [body, "", *(f"\\par\\noindent {{\\footnotesize {note}}}" for note in escaped)]
    with replacing(path) as temporary:
        temporary.write_text(_with_signs("\n".join(lines)) + "\n")


STYLE = """body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5em; color: #222; background: #fff }
table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .3em .8em }
thead { border-bottom: 1px solid }
tbody tr:nth-child(even) { background: #f4f4f4 }
p { max-width: 60em; font-size: 13px }"""
"""How a page with a table looks."""


def write_html(path: str | Path, table: pd.DataFrame, notes: Sequence[str], of_paper: int | None = None) -> None:
    """Write a page with a table of text, in which `**` marks what is bold, and notes below; arguments as of `write_markdown`."""
    rows = [_html_row("td", row) for row in table.itertuples(index=False)]
    if of_paper is not None and of_paper < len(rows):
        rule = f'<tr><td colspan="{len(table.columns)}"><i>{OURS.strip("*")}</i></td></tr>'
        rows.insert(of_paper, rule)
    lines = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">', f"<title>{Path(path).stem}</title>"]
    lines += [f"<style>\n{STYLE}\n</style></head><body>"]
    lines += ["<table>", f"<thead>{_html_row('th', table.columns)}</thead>", "<tbody>", *rows, "</tbody>", "</table>"]
    lines += [*(f"<p>{_html(note)}</p>" for note in notes), "</body></html>"]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _html_row(kind: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{_html(cell)}</{kind}>' for cell in cells)}</tr>"


def _html(text: str) -> str:
    together = re.sub(r" (?=[±%])|(?<=±) ", "&nbsp;", html.escape(text))
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", together)


def _escape_pipes(text: str) -> str:
    return text.replace("|", r"\|")


def _with_signs(text: str) -> str:
    """Return escaped text with the signs in math mode, and what is between `**` bold."""
    signs = "".join(SIGNS.get(character, character) for character in text)
    return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", signs)
