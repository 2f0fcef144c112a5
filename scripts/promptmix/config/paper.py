"""What the paper reports, and which of it belongs to the rows of a config's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from promptmix.config.experiments import Experiment
from promptmix.config.loading import read_yaml
from promptmix.errors import InputError, did_you_mean

PAPER = Path(__file__).resolve().parents[3] / "config" / "paper-results.yaml"
"""What the paper reports, by table: rows, claims, notes."""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that one of two experiments has the lower error, or that of the largest gain.

    Attributes:
        says: the statement.
        lower, higher: experiments; "" for the largest gain of all.
        paper: the paper's errors of the two, or the largest gain in percent.
    """

    says: str
    lower: str = ""
    higher: str = ""
    paper: tuple[float, ...] = ()


@cache
def paper_results(path: str | Path = PAPER) -> Mapping[str, Any]:
    """Return what the paper reports: by table `rows` (by row, method and metric; a row of Table III has no methods),
    `claims` and `notes`.
    """
    return read_yaml(path)


def numbers_of(table: str, row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return the paper's numbers for a row, nothing where it names none."""
    if "paper" not in row:
        return {}
    known = paper_results().get(table, {}).get("rows", {})
    if row["paper"] not in known:
        raise InputError(
            f"{where}.paper: '{row['paper']}' is not a row of {table} in config/{PAPER.name}. "
            f"Known: {', '.join(known) or 'none'}.{did_you_mean(row['paper'], known)}"
        )
    return known[row["paper"]]


def said_of(name: str, found: Sequence[tuple[str, Any, Mapping[str, Experiment]]]) -> tuple[list[Claim], list[str]]:
    """Return what the paper says of the rows of a table, as far as these rows are there."""
    paper = paper_results().get(name, {})
    named = {row["paper"]: experiments for _, row, experiments in found if isinstance(row, Mapping) and "paper" in row}
    if not named:
        return [], []
    numbers = {key: row["promptmix"]["mae"] for key, row in paper["rows"].items() if "mae" in row["promptmix"]}
    known = {key: experiments["promptmix"].name for key, experiments in named.items() if "promptmix" in experiments}
    if base := next((experiments["baseline"] for experiments in named.values() if "baseline" in experiments), None):
        known["baseline"], numbers["baseline"] = base.name, next(iter(paper["rows"].values()))["baseline"].get("mae")
    claims = []
    for claim in paper.get("claims", []):
        if "largest" in claim:
            gains = [100 * (1 - row["promptmix"]["mae"] / row["baseline"]["mae"]) for row in paper["rows"].values()]
            claims.append(Claim(claim["says"], paper=(max(gains),)))
        elif claim["lower"] in known and claim["higher"] in known:
            lower, higher = claim["lower"], claim["higher"]
            claims.append(Claim(claim["says"], known[lower], known[higher], (numbers[lower], numbers[higher])))
    return claims, list(paper.get("notes", []))
