"""How far a long stage has come: a line in the log, now and then."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

EVERY = 10
"""Seconds between two lines. Of what takes less, nothing is said."""

T = TypeVar("T")


class Progress:
    """Counts what is done, and says now and then how much that is, of how much, and how long the rest will take.

    Args:
        total: what there is to do.
        what: its name in the plural, such as "images captioned".
        done: what an earlier run has done.
    """

    def __init__(self, total: int, what: str, done: int = 0):
        self.total, self.what, self.done, self._before = total, what, done, done
        self._begun = self._said = time.monotonic()

    def add(self, number: int = 1, note: str = "", say: bool = False) -> None:
        """Count `number` more as done.

        Args:
            note: what else there is to say, such as the loss.
            say: whether to say it in any case.
        """
        self.done += number
        now = time.monotonic()
        taken = now - self._begun
        finished = self.done >= self.total
        if not (say or now - self._said >= EVERY or (finished and taken >= EVERY)):
            return
        self._said = now
        left = taken / (self.done - self._before) * (self.total - self.done)
        time_s = f"in {duration(taken)}" if finished else f"{duration(left)} left"
        log.info("%s", ", ".join(filter(None, (f"{self.done} of {self.total} {self.what}", note, time_s))))


def progress(items: Iterable[T], total: int, what: str, size: Callable[[T], int] = lambda _: 1) -> Iterator[T]:
    """Yield items, and say now and then how far that is; an item is done when the next one is asked for.

    Args:
        total, what: see `Progress`.
        size: what an item counts, such as the number of images in a batch.
    """
    watch = Progress(total, what)
    for item in items:
        yield item
        watch.add(size(item))


def duration(seconds: float) -> str:
    """Return a time in words, such as "40 s", "12 min", "3 h 20 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
