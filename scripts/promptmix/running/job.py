"""What every job does first and last: open the log, lease a device, set the threads, report a failure in one line.

No other module of the library gets Snakemake's object; this one uses its rule, log, threads, resources and output.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptmix.errors import InputError
from promptmix.files import clear_leftovers, no_room
from promptmix.running.devices import lease
from promptmix.running.stopping import Stopped, stop_when_told
from promptmix.running.usage import measure_usage

if TYPE_CHECKING:
    from promptmix.running.scratch import Scratch

OBJECTS = 100_000
"""New objects after which Python looks for unused ones. Of the 200 000 that torch's import makes, none is; looking through them
every 700, and again at the end, is a sixth of a short job's time."""


@contextmanager
def start(snakemake) -> Iterator[str]:
    """Run a rule's script inside this context; yields "cuda" or "cpu".

    Messages go to the rule's log file; warnings and errors also go to the terminal. torch gets the rule's threads. If
    an error ends the job, its last message says what went wrong. The log then also has the traceback; the terminal has
    it unless the user can correct the error (`InputError`, a full disk, too little GPU memory). SIGINT, SIGTERM and the
    end of Snakemake end the job, cleanly if it can (see `promptmix.running.stopping`). The log says what the job used.
    """
    gc.set_threshold(OBJECTS)
    _log_to(snakemake.log[0] if snakemake.log else None)
    log = logging.getLogger(snakemake.rule)

    def say_stopped(by: str) -> None:
        log.error("%s was stopped by %s; run the same command again to resume", snakemake.rule, by)

    stop_when_told(say_stopped)
    os.environ["OMP_NUM_THREADS"] = str(snakemake.threads)
    resources = snakemake.resources
    try:
        clear_leftovers(snakemake.output)
        if resources.get("gpu", 0) or "gpu" in resources.get("gres", ""):  # some clusters need gres instead of gpu
            with lease() as gpu:
                log.info("computing on %s, %d threads", "the CPU" if gpu is None else f"GPU {gpu}", snakemake.threads)
                yield "cpu" if gpu is None else "cuda"
        else:
            yield "cpu"
        log.info("%s", measure_usage(resources.get("mem_mb", 0)).describe())
        log.info("done")
        gc.freeze()  # what is left ends with the process
    except Stopped as stopped:
        say_stopped(str(stopped))
        sys.exit(128 + signal.Signals[str(stopped)])
    except Exception as error:
        log.info("%s\n%s", measure_usage(resources.get("mem_mb", 0)).describe(), traceback.format_exc())
        if reason := no_room(error):
            folder = Path(snakemake.output[0]).parent if snakemake.output else Path()
            error = InputError(
                f"No room for a file in {folder} ({reason}). Make room and run the same command again: finished files "
                "are kept, half-written ones are not"
            )
        if type(error).__name__ == "OutOfMemoryError":  # torch's; torch is not imported here
            said = str(error).split("\n")[0]
            error = InputError(f"If other jobs share the GPU, run fewer at once (`--resources gpu=1`). {said}")
        what = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        log.error("%s failed. %s", snakemake.rule, what)
        if not isinstance(error, InputError):
            traceback.print_exc()
        sys.exit(1)


def with_inputs(snakemake, settings: Mapping[str, Any], *names: str, **renamed: str) -> dict[str, Any]:
    """Return settings in which the paths of what the user supplies are those of the job's inputs.

    What is not there is not an input (see `supplied` in rules/retrieve.smk); it keeps the path that the config gives, and
    whoever reads it says what is missing.

    Args:
        settings: a part of the config.
        names: keys of the settings that are also the names of inputs.
        renamed: keys of the settings whose inputs have other names.
    """
    found = dict(settings)
    for key, name in {**dict(zip(names, names)), **renamed}.items():
        if given := snakemake.input.get(name):
            found[key] = given if isinstance(given, str) else given[0]
    return found


def with_models(snakemake, generator: Mapping[str, Any]) -> dict[str, Any]:
    """Return a generator's settings in which each model is that of the job's inputs, as in `with_inputs`, and its `offload`.

    What waits in which memory does not change images, so it is no param of the job, whose change would run it again.
    """
    found = with_inputs(snakemake, generator, "model")
    if "refiner" in found:
        found["refiner"] = with_inputs(snakemake, found["refiner"], model="refiner")
    if "lora" in found:
        found["lora"] = [with_inputs(snakemake, lora, model=f"lora_{i}") for i, lora in enumerate(found["lora"])]
    offload = snakemake.resources.get("offload", "none")
    return found | ({"offload": offload} if offload != "none" else {})


def open_scratch(snakemake) -> Scratch:
    """Return the room on disk that the user gives to the job: `scratch_mb` of it, in `tmpdir`.

    Raises:
        InputError: `scratch_mb` is not a whole number, or `tmpdir` is of no use for it.
    """
    from promptmix.running.scratch import Scratch, name_if_in_memory

    rule, folder, room = snakemake.rule, snakemake.resources.get("tmpdir"), snakemake.resources.get("scratch_mb", 0)
    if not isinstance(room, int):
        raise InputError(
            f"scratch_mb is {room!r}. Expected a whole number of MB: --set-resources {rule}:scratch_mb=20000"
        )
    advice = f"Give scratch_mb a folder on a disk: --set-resources {rule}:tmpdir=FOLDER"
    try:
        scratch = Scratch(folder, room * 10**6)
    except OSError as error:
        raise InputError(f"{folder}: no file can be made there ({error.strerror}). {advice}") from error
    if room and (kind := name_if_in_memory(folder)):
        raise InputError(f"{folder}: what is written there stays in memory ({kind}). {advice}")
    return scratch


def _log_to(path: str | None) -> None:
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setLevel(logging.WARNING)
    handlers: list[logging.Handler] = [terminal]
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w"))
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, handlers=handlers, force=True
    )
    logging.getLogger(__package__).setLevel(logging.DEBUG)
    logging.captureWarnings(True)
