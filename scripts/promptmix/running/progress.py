"""How far a long stage has come: a line in the log at intervals."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

EVERY = 10
"""Least seconds between two lines. A stage that takes less time logs none."""

T = TypeVar("T")


class Progress:
    """Counts finished items, and logs at intervals how many of the total are done and how long the rest will take.

    Args:
        total: number of items.
        what: what is counted, in the plural, such as "images captioned".
        done: number of items that an earlier run has finished.
    """

    def __init__(self, total: int, what: str, done: int = 0):
        self.total, self.what, self.done, self._before = total, what, done, done
        self._begun = self._said = time.monotonic()

    def add(self, number: int = 1, note: str = "", say: bool = False) -> None:
        """Count `number` more items as done.

        Args:
            note: further text for the line, such as the loss.
            say: log a line now, even if the last one was less than EVERY seconds ago.
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
    """Yield items and log the progress at intervals; an item counts as done when the next one is requested.

    Args:
        total, what: see `Progress`.
        size: how much an item counts, such as the number of images in a batch.
    """
    watch = Progress(total, what)
    for item in items:
        yield item
        watch.add(size(item))


def duration(seconds: float) -> str:
    """Return a duration as text, such as "40 s", "12 min", "3 h 20 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
