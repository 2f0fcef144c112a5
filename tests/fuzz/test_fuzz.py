"""Every mutation alone, then random pairs of them until the time is over: right, or refused, and never a word too few."""

import os
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fuzz.cases import FORMATS, Case, Unfit, make
from fuzz.judge import RIGHT, Allowed, both, judge
from fuzz.mutations import MUTATIONS

SHOWN = 40
"""The most faults of a format that are shown in full."""

AGAIN = 40
"""How many seeds are tried for a mutation that fits few datasets."""

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where datasets are written: a file system in memory if there is one, as it is twice as fast."""


@dataclass(frozen=True)
class Trial:
    """A dataset's format, what is done to it, and the seed of all that is drawn. Written "points:csv_form-tab+head_twice:7"."""

    format: str
    mutations: tuple[str, ...]
    seed: int

    def __str__(self) -> str:
        return f"{self.format}:{'+'.join(self.mutations)}:{self.seed}"

    @classmethod
    def parse(cls, text: str) -> "Trial":
        """Return the trial that is written so."""
        format, mutations, seed = text.split(":")
        return cls(format, tuple(filter(None, mutations.split("+"))), int(seed))

    def build(self) -> tuple[Case, Allowed] | None:
        """Return the dataset and what may come of it, or None if a mutation does not fit."""
        rng = np.random.default_rng([self.seed, zlib.crc32(str(self).rpartition(":")[0].encode())])
        case, allowed = make(self.format, rng), RIGHT
        for number, name in enumerate(self.mutations):
            try:
                allowed = both(allowed, MUTATIONS[name].apply(case, rng))
            except Unfit:
                return None
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                if number == 0:
                    raise
                return None  # the one before has left nothing that this one can change
        return case, allowed

    def run(self) -> str | None:
        """Return what is not right, "" if all is, or None if a mutation does not fit."""
        if not (built := self.build()):
            return None
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder, suppress(Unfit):
            return judge(*built, Path(folder))
        return None


def fitting(format: str) -> list[str]:
    """Return the names of a format's mutations."""
    return [name for name, mutation in MUTATIONS.items() if format in mutation.formats]


def trials(format: str, seed: int) -> Iterator[Trial]:
    """Yield no mutation, each alone, then pairs of them without end.

    Each mutation is among the first of one format, so that all are tried in little time.
    """
    names = fitting(format)
    rng = np.random.default_rng([seed, FORMATS.index(format)])

    def is_late(name: str) -> bool:
        formats = MUTATIONS[name].formats
        return formats[zlib.crc32(f"{name} {seed}".encode()) % len(formats)] != format

    for name in ("", *sorted(map(str, rng.permutation(names)), key=is_late)):
        yield Trial(format, (name,) if name else (), int(rng.integers(10**6)))
    while True:
        yield Trial(format, tuple(map(str, rng.choice(names, 2, replace=False))), int(rng.integers(10**6)))


def explore(format: str, seed: int, seconds: float) -> tuple[int, dict[Trial, str]]:
    """Return the number of cases that fit, and what is not right by trial, as far as time allows.

    A mutation that fails alone is not paired.
    """
    end, tried, faults = time.monotonic() + seconds, 0, {}
    for trial in trials(format, seed):
        if time.monotonic() > end:
            break
        if any(one.mutations and set(one.mutations) <= set(trial.mutations) for one in faults):
            continue
        again = range(trial.seed, trial.seed + (AGAIN if len(trial.mutations) < 2 else 1))
        for one in (replace(trial, seed=number) for number in again):
            if (fault := one.run()) is not None:
                tried += 1
                faults |= {one: fault} if fault else {}
                break
    return tried, faults


def report(tried: int, faults: dict[Trial, str]) -> str:
    """Return faults in words, each with the option that runs it alone."""
    shown = [f"--fuzz-case '{trial}'\n    {fault}" for trial, fault in list(faults.items())[:SHOWN]]
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return "\n".join([f"{len(faults)} of {tried} cases:", *shown, *more])


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_odd_datasets_are_read_rightly_or_refused(format, request):
    option = request.config.getoption
    if one := option("--fuzz-case"):
        trial = Trial.parse(one)
        if trial.format != format:
            pytest.skip("another format's case was asked for")
        tried, faults = 1, {trial: found} if (found := trial.run()) else {}
    else:
        share = len(fitting(format)) / sum(len(fitting(one)) for one in FORMATS)
        tried, faults = explore(format, option("--fuzz-seed"), option("--fuzz-seconds") * share)
    print(f"{format}: {tried} cases, seed {option('--fuzz-seed')}")
    assert not faults, report(tried, faults)
