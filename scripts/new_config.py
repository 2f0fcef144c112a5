"""Look at a folder of images, say what is in it, and write a config for it. Not a rule's script: give it by hand.

    uv run python scripts/new_config.py --images data/station --out config/mine.yaml

What can be decided in several ways is asked on a terminal, and else guessed.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from promptmix.datasets.readers.coco import ANCHORS
from promptmix.datasets.registry import TASKS
from promptmix.errors import InputError
from promptmix.preflight.looking import Found, find_dataset, look, shown
from promptmix.preflight.starting import MODELS, Choices, check_free, check_name, commands, guess, write_config

T = TypeVar("T")


def main(words: Sequence[str] | None = None) -> int:
    """Write a config, and return the exit code: 0, or 1 after a message of what is wrong, with nothing written."""
    options = _parser().parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        check_free(options.out)
        found = look(*find_dataset(options.images, options.format), options.unit, options.anchor)
        print("\n".join([f"{shown(found.path)}:", *(f"  {line}" for line in found.describe())]))
        choices = _choose(found, options)
        write_config(options.out, found, choices)
    except InputError as error:
        print(f"{error}\nNothing was written.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or options.out}: {error.strerror}. Nothing was written.", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("\nNothing was written.", file=sys.stderr)
        return 130
    guessed = f" Guessed, so look there first: {', '.join(choices.guessed)}." if choices.guessed else ""
    print("\n  ".join([f"{options.out} is written.{guessed} Next:", *commands(options.out)]))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--images", required=True, metavar="FOLDER", help="the dataset: images and what is known of them"
    )
    parser.add_argument("--out", default="config/mine.yaml", help="the config to write (default: %(default)s)")
    parser.add_argument("--name", help="of the dataset (default: the folder's)")
    parser.add_argument("--format", choices=TASKS, help="of the dataset (default: what it looks like)")
    parser.add_argument("--models", choices=MODELS, help="the small ones that ship, or the published ones")
    parser.add_argument("--unit", type=_positive, help="depth maps: metres per count, such as 0.001")
    parser.add_argument("--anchor", choices=ANCHORS, help="boxes: around heads (center) or around whole people (top)")
    parser.add_argument("--prompts", type=_list, help="depth: what the images show, such as 'office interior, kitchen'")
    return parser


def _choose(found: Found, options: argparse.Namespace) -> Choices:
    """Return what was given as options, what is answered on a terminal, and the rest as guessed."""
    guessed, decided, left = guess(found), {}, []
    questions: dict[str, tuple[bool, str, Callable]] = {
        "name": (True, "Name of the dataset", check_name),
        "models": (
            True,
            "Models: the small ones that ship (miniature) or the published ones (published)",
            _one_of(MODELS),
        ),
        "unit": (len(found.units) > 1, "Metres per count of the depth maps", _positive),
        "anchor": (found.format == "coco", "Boxes are around heads (center) or whole people (top)", _one_of(ANCHORS)),
        "prompts": (found.task == "depth", "What the images show, in words, with commas between", _list),
    }
    if options.prompts and found.task == "counting":
        raise InputError("--prompts is for depth; to count people, prompts are captions of the images. Leave it out")
    on_terminal = sys.stdin is not None and sys.stdin.isatty()
    for key, (is_open, question, read) in questions.items():
        best, given = getattr(guessed, key), getattr(options, key)
        if given is not None:
            decided[key] = check_name(given) if key == "name" else given
        elif is_open and on_terminal:
            decided[key] = _ask(question, best, read)
        elif is_open:
            left.append(key)
    return replace(guessed, **decided, guessed=tuple(left))


def _ask(question: str, best: T, read: Callable[[str], T]) -> T:
    """Return an answer from the terminal, or the best guess if it is empty; ask again while it is none."""
    preset = ", ".join(best) if isinstance(best, tuple) else best
    while True:
        answer = input(f"{question} [{preset}]: ").strip()
        try:
            return read(answer) if answer else best
        except (ValueError, argparse.ArgumentTypeError) as error:  # of which InputError is one
            print(error)


def _one_of(known) -> Callable[[str], str]:
    def read(answer: str) -> str:
        if answer not in known:
            raise InputError(f"'{answer}' is none of {', '.join(known)}")
        return answer

    return read


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0, such as 0.001")
    return number


def _list(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        raise argparse.ArgumentTypeError("expected one text or more, with commas between")
    return words


if __name__ == "__main__":
    sys.exit(main())
