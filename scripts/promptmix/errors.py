"""Errors that are the user's to mend, and the words for them."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

OPTIONS = "PROMPTMIX_OPTIONS"
"""In this variable a run tells its jobs how it was called, for `command`."""


class InputError(ValueError):
    """Something the user supplied is wrong: data, configuration or a file.

    The message says what is wrong, where, what was expected, and what to do.
    """


def command(*targets: str | Path) -> str:
    """Return the command that makes files, with the options of this run: other threads may mean other last bits."""
    relative = [os.path.relpath(target) for target in targets]
    names = [str(target) if path.startswith("..") else path for target, path in zip(targets, relative)]
    return " ".join(filter(None, ("snakemake", *names, os.environ.get(OPTIONS))))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'shtb-captions'?" for a `name` close to a known one, else "".

    The leading space lets it follow a sentence: `f"Known pools: {', '.join(pools)}.{did_you_mean(name, pools)}"`.
    """
    close = get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
