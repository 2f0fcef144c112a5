"""Errors that are the user's to mend, and the words for them."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something the user supplied is wrong: data, configuration or a file.

    The message says what is wrong, where, what was expected, and what to do.
    """


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'shtb-captions'?" for a `name` close to a known one, else "".

    The leading space lets it follow a sentence: `f"Known pools: {', '.join(pools)}.{did_you_mean(name, pools)}"`.
    """
    close = get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
