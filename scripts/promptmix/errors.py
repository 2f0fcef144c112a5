"""Errors that the user can correct, and words for their messages."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

OPTIONS = "PROMPTMIX_OPTIONS"
"""Environment variable through which a run tells its jobs the options it was called with, for `command`."""


SHOWN = 5
"""Names that a message lists of many."""


class InputError(ValueError):
    """Something the user supplied is wrong: data, configuration or a file.

    The message says what is wrong, where, what was expected, and what to do.
    """


def command(*targets: str | Path) -> str:
    """Return the command that makes files, with this run's options.

    Another number of threads, for one, can change the last bits of a result.
    """
    relative = [os.path.relpath(target) for target in targets]
    names = [str(target) if path.startswith("..") else path for target, path in zip(targets, relative)]
    return " ".join(filter(None, ("snakemake", *names, os.environ.get(OPTIONS))))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'shtb-captions'?" for a `name` close to a known one, else "".

    The leading space lets it follow a sentence: `f"Known pools: {', '.join(pools)}.{did_you_mean(name, pools)}"`.
    """
    close = get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def list_some(found: Iterable[object]) -> str:
    """Return the first of some names: "a, b, c, d, e, ..."."""
    names = [str(name) for name in found]
    return f"{', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
