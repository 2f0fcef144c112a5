"""What a person sees of a run: how far it is, when it will be done, its last result, and at the end where its results are.

`Run` follows Snakemake's log records. It knows nothing of terminals, and its times are the records'.
"""

import csv
import json
import logging
import math
import os
import re
import shlex
import textwrap
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

WIDTH = 100
"""Columns of a terminal that tables at the end are made for."""

SILENT = (LogEvent.JOB_STARTED, LogEvent.PROGRESS, LogEvent.SHELLCMD)
"""Records of which nothing is printed."""


@dataclass(frozen=True)
class Job:
    """A job that has started: its rule, what it does in words, its files, and when it started in seconds."""

    rule: str
    message: str
    output: tuple[str, ...]
    started: float


class Run:
    """How far a run is."""

    def __init__(self) -> None:
        self.running: dict[int, Job] = {}
        self._planned: dict[str, int] = {}
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._finished: list[Job] = []
        self._used: set[str] = set()
        self._asked: list[str] = []
        self._start = self._now = math.nan

    @property
    def total(self) -> int:
        """The number of jobs."""
        return sum(self._planned.values())

    @property
    def done(self) -> int:
        """The number of jobs that are done."""
        return len(self._finished)

    def take(self, record: logging.LogRecord) -> str | None:
        """Return what to print for a record, "" for nothing, or None for what Snakemake prints."""
        event, self._now = getattr(record, "event", None), record.created
        if event == LogEvent.RUN_INFO:
            self._planned = {rule: number for rule, number in record.stats.items() if rule != "total"}
            self._start = record.created if math.isnan(self._start) else self._start
        elif event == LogEvent.JOB_INFO:
            job = Job(record.rule_name, record.rule_msg or record.rule_name, tuple(record.output), record.created)
            self.running[record.jobid] = job
            if job.output:
                self._used.update(record.input)
            else:  # a rule such as `all`, which only asks for files
                self._asked += record.input
            return f"{clock(self._now)}  starts: {job.message}"
        elif event == LogEvent.JOB_FINISHED:
            job = self.running.pop(record.job_id, None)
            return None if job is None else self._finish(job)
        elif event == LogEvent.JOB_ERROR:
            self.running.pop(record.jobid, None)
        return "" if event in SILENT or record.getMessage() == "Select jobs to execute..." else None

    def _finish(self, job: Job) -> str:
        self._finished.append(job)
        self._seconds[job.rule].append(self._now - job.started)
        found = result_of(job.output)
        place = f"{self.done} of {self.total}, {self._stage(job.rule)}"
        took = "; ".join(filter(None, (duration(self._seconds[job.rule][-1]), self.left())))
        return f"{clock(self._now)}  {place}: {job.message}{found and f': {found}'} ({took})"

    def _stage(self, rule: str) -> str:
        return f"{rule} {len(self._seconds[rule])} of {self._planned.get(rule, '?')}"

    def left(self) -> str:
        """Return when the run will be done, going by how long the jobs of each rule took, "" if nothing is known.

        Of rules without a finished job nothing is known: the time is "at least" what the others still take.
        """
        means = {rule: sum(found) / len(found) for rule, found in self._seconds.items() if found}
        missing = {rule: number - len(self._seconds[rule]) for rule, number in self._planned.items()}
        missing = {rule: number for rule, number in missing.items() if number > 0}
        work = sum(number * means[rule] for rule, number in missing.items() if rule in means)
        spent = {job: self._now - job.started for job in self.running.values()}
        work -= sum(min(seconds, means[job.rule]) for job, seconds in spent.items() if job.rule in means)
        elapsed = self._now - self._start
        if not work > 0 or not elapsed > 0:
            return ""
        at_once = max(1.0, (sum(map(sum, self._seconds.values())) + sum(spent.values())) / elapsed)
        seconds = work / at_once
        word = "about" if missing.keys() <= means.keys() else "at least"
        return f"{word} {duration(seconds)} left, {clock(self._now + seconds)}"

    def status(self) -> str:
        """Return one line: how many jobs are done, when all will be, and what is running."""
        rules = ", ".join(dict.fromkeys(self._stage(job.rule) for job in self.running.values()))
        messages = [job.message for job in self.running.values()]
        return " · ".join(filter(None, (f"{self.done} of {self.total} jobs", self.left(), rules, *messages[:1])))

    def summary(self) -> str:
        """Return where the results are: tables as text, other paths, and the command of the report; "" if jobs are left."""
        if not self.total or self.done < self.total:
            return ""
        results = [job.output for job in self._finished if job.output and not self._used.intersection(job.output)]
        files = dict.fromkeys(self._asked or (file for output in results for file in output))
        lines = [f"{self.done} jobs in {duration(self._now - self._start)}. Results:"]
        for file in files:
            table = table_of(file)
            lines += ["", file, "", table, ""] if table else [file]
        targets = [] if self._asked else [output[0] for output in results]
        words = [
            "snakemake",
            *map(shlex.quote, targets),
            "--report report.html",
            os.environ.get("PROMPTMIX_OPTIONS", ""),
        ]
        return "\n".join(["", *lines, "", f"A report of them: {' '.join(words).strip()}"])


def result_of(files: tuple[str, ...]) -> str:
    """Return the result that a job's files hold in a few words, "" if there is none."""
    for file in files:
        try:
            if file.endswith("/history.csv"):
                return f"validation error {min(_numbers(file, 'val_error')):.3g}"
            if file.endswith("/selection.json"):
                found = json.loads(Path(file).read_text())
                return f"{found['learning_rate']}, validation error {found['val_error']:.3g}"
            if file.endswith("/predictions.csv"):
                errors = _numbers(file, "error")
                return f"MAE {sum(map(abs, errors)) / len(errors):.3g} on the test split"
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            return ""  # the display is not worth an error
    return ""


def _numbers(file: str, column: str) -> list[float]:
    with open(file, newline="") as rows:
        return [float(row[column]) for row in csv.DictReader(rows) if row[column]]


def table_of(file: str) -> str:
    """Return the table in a Markdown file as text of `WIDTH` columns, "" if it is no such file or it is gone."""
    if not file.endswith(".md"):
        return ""
    try:
        lines = [line for line in Path(file).read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    except (OSError, ValueError):
        return ""
    rows = [[_plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    if len(rows) < 3:
        return ""
    cells = [rows[0], *rows[2:]]
    columns = zip(*(row for row in cells if len(row) == 1 or any(row[1:])), strict=True)
    widths = _fit([(max(map(len, column)), len(_longest_word(column))) for column in columns])
    text = []
    for row in cells:
        if len(row) > 1 and not any(row[1:]):  # a heading above the rows below it
            text.append(row[0])
            continue
        wrapped = (textwrap.wrap(cell, width) for cell, width in zip(row, widths, strict=True))
        for line in zip_longest(*wrapped, fillvalue=""):
            text.append("  ".join(map(str.ljust, line, widths)).rstrip())
        if row is cells[0]:
            text.append("  ".join("-" * width for width in widths))
    return "\n".join(text)


def _plain(cell: str) -> str:
    return re.sub(r"\*+(.+?)\*+", r"\1", cell.strip().replace(r"\|", "|"))


def _longest_word(column: tuple[str, ...]) -> str:
    return max((word for cell in column for word in cell.split()), key=len, default="")


def _fit(wanted: list[tuple[int, int]]) -> list[int]:
    """Return widths of columns that fit in `WIDTH` with two spaces between, from each one's longest cell and longest word.

    The widest column gives way first, no column below its longest word as long as another one can.
    """
    widths, room = [max(1, longest) for longest, _ in wanted], WIDTH - 2 * (len(wanted) - 1)
    words = [max(1, word) for _, word in wanted]
    while sum(widths) > max(room, len(widths)):
        wrapped = [i for i in range(len(widths)) if widths[i] > words[i]] or range(len(widths))
        widths[max(wrapped, key=widths.__getitem__)] -= 1
    return widths


def duration(seconds: float) -> str:
    """Return a time in its largest units: "8 s", "12 min", "3 h 20 min", "2 d 4 h"."""
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s" if seconds < 59.5 else "1 min"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def clock(moment: float) -> str:
    """Return a time of day: "14:35:07"."""
    return time.strftime("%H:%M:%S", time.localtime(moment))
