"""Lets targets stand anywhere on Snakemake's command line, also behind an option that takes several words.

`snakemake --cores 8 --resources gpu=2 tables/table1.md` ends in a traceback of Snakemake's parser, for which every word
behind `--resources` belongs to it. Profiles and environment variables are read too late to help. Snakemake imports
packages named `snakemake_logger_plugin_*` while it builds its parser, before it reads the words. So this is one, and
importing it replaces one method, `ArgumentParser.parse_args`, by one that moves targets to the front and then calls the
original. Nothing else of Snakemake is changed.

Which words are targets follows from the parser's own options, and what an option can take stays with it: if
Snakemake's parser comes to leave targets alone, there is nothing to move. Jobs' command lines, which Snakemake writes
itself, are left as they are.

`--logger promptmix` shows a run: see `LogHandler`. At a terminal it is the default.
"""

import argparse
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from snakemake.common.argparse import ArgumentParser
from snakemake.logging import ColorizingTextHandler
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_promptmix.display import Run

WIPE = "\r\x1b[K"
"""Moves to the start of a terminal's line and empties it."""

CONFIGS = (".yaml", ".yml", ".json", "")
"""How names of configs end."""


def in_order(parser: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Return the words of a command line with its targets first, or as they are if an option is not known.

    Words after `--` are targets, and stay after it.
    """
    if "--mode" in words:  # a job's
        return words
    end = words.index("--") if "--" in words else len(words)
    try:
        options = list(_options(parser, words[:end]))
    except LookupError:
        return words
    targets, rest = _split(options, guess=False)
    if not targets and end == len(words):
        targets, rest = _split(options, guess=True)
        if targets:
            _say(f"Taken as targets: {' '.join(targets)}. Put targets first to have words read otherwise.")
    if end < len(words):
        return [*rest, "--", *targets, *words[end + 1 :]]
    return [*targets, *rest]


def _options(
    parser: argparse.ArgumentParser, words: list[str]
) -> Iterator[tuple[argparse.Action | None, list[str], list[str]]]:
    """Yield each option, how it is written, and the words from there to the next option; first None and words before.

    An option that has its value attached (`--cores=8`, `-j8`) is None, as it takes no more words.

    Raises:
        LookupError: an option that the parser does not know, or a negative number.
    """
    known = {string: action for action in parser._actions for string in action.option_strings}
    action, option, behind = None, [], []
    for word in words:
        if word[:1] != "-" or word == "-" or " " in word:
            behind.append(word)
        else:
            yield action, option, behind
            action, option, behind = _option(known, word), [word], []
    yield action, option, behind


def _option(known: dict[str, argparse.Action], word: str) -> argparse.Action | None:
    """Return the option that a word such as `--cores`, `--core` or `-nq` ends with; None if a value is attached to it."""
    name, attached, _ = word.partition("=")
    if name in known:
        return None if attached else known[name]
    if word.startswith("--"):
        meant = {action for string, action in known.items() if string.startswith(name)}
        if len(meant) != 1:
            raise LookupError(word)
        return None if attached else meant.pop()
    for place, letter in enumerate(word[1:], start=2):
        action = known[f"-{letter}"]
        if action.nargs != 0:
            return action if place == len(word) else None
    return action


def _split(
    options: list[tuple[argparse.Action | None, list[str], list[str]]], guess: bool
) -> tuple[list[str], list[str]]:
    """Return the targets, and the other words.

    Args:
        options: from `_options`.
        guess: whether a path behind the names of rules is a target, as in `--until train_network tables/table1.md`.
            Snakemake takes it for a file until which to run, and then runs for the first rule's files.
    """
    targets, rest = [], []
    for action, option, behind in options:
        own: list[str] = []
        for word in behind:
            is_own = action is not None and _takes(action, word, own)
            if guess and own and own[0].isidentifier() and not word.isidentifier() and "=" not in word:
                is_own = False
            (own if is_own else targets).append(word)
        rest += [*option, *own]
    return targets, rest


def _takes(action: argparse.Action, word: str, own: list[str]) -> bool:
    """Return whether an option can take a word besides those that it has."""
    if action.nargs is None or isinstance(action.nargs, int):
        return len(own) < (1 if action.nargs is None else action.nargs)
    if not own and action.nargs == "+":
        return True  # one word it has to have, and Snakemake says if it is a wrong one
    if own and action.nargs == "?":
        return False
    if action.choices is not None:
        return word in map(str, action.choices)
    if "=" in word:
        return True
    if "=" in str(action.metavar):
        return False
    if "--configfile" in action.option_strings:
        is_there = os.path.exists(word) and not os.path.isdir(word)
        return Path(word).suffix in (CONFIGS if is_there else (".yaml", ".yml"))
    try:
        action(None, argparse.Namespace(), [word])
    except ValueError:
        return False
    return True


@cache
def _say(text: str) -> None:
    """Print a text once: Snakemake parses twice, first to find its profile."""
    print(text, file=sys.stderr)


_parse_args = ArgumentParser.parse_args


def parse_args(self: ArgumentParser, args: list[str] | None = None, *others, **named) -> argparse.Namespace:
    """Parse words as before, with targets in front, and with the display of this package at a terminal."""
    words = list(sys.argv[1:] if args is None else args)
    parsed = _parse_args(self, in_order(self, words), *others, **named)
    if sys.stderr.isatty() and getattr(parsed, "logger", None) == [] and "--mode" not in words:
        parsed.logger = ["promptmix"]
    return parsed


ArgumentParser.parse_args = parse_args


class LogHandler(LogHandlerBase, ColorizingTextHandler):
    """Prints a line per job, what remains to be done, and at the end the results; all else as Snakemake's own handler.

    At a terminal its last line says how far the run is. That is a single line, which is wiped before anything else is
    printed, so that nothing that others print is lost: at worst it stands behind that line.
    """

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        ColorizingTextHandler.__init__(self, settings.nocolor, stream)
        as_snakemake = (settings.dryrun, settings.quiet, settings.verbose, settings.printshellcmds, settings.debug_dag)
        self._run = None if any(as_snakemake) else Run()
        self._lively = self.is_tty and os.environ.get("TERM") != "dumb"

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        if self._run is None:
            ColorizingTextHandler.emit(self, record)
            return
        try:
            text = self._run.take(record)
        except Exception:  # a record of a kind that is not known: Snakemake's handler knows it
            text = None
        if self._lively and getattr(record, "event", None) == LogEvent.JOB_INFO:
            text = ""  # it is in the status
        self._write(WIPE if self._lively else "")
        if text is None:
            ColorizingTextHandler.emit(self, record)
        elif text:
            self._write(f"{text}\n")
        if self._lively and self._run.running and self._run.total > 1:
            self._write(self._run.status()[: shutil.get_terminal_size().columns - 1])

    def close(self) -> None:
        """Print where the results are; later calls print nothing."""
        run, self._run = self._run, None
        if run is not None:
            summary = run.summary()
            self._write((WIPE if self._lively else "") + (f"{summary}\n" if summary else ""))
        super().close()

    def _write(self, text: str) -> None:
        if text:
            self.stream.write(text)
            self.stream.flush()
