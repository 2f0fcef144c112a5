"""What every job does first and last: log, device, threads, and one clear line if it fails.

The only module of the library that is handed Snakemake's object, of which it uses log, threads and resources.
"""

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptmix.devices import lease
from promptmix.errors import InputError


@contextmanager
def start(snakemake) -> Iterator[str]:
    """Run a rule's script inside this; yields "cuda" or "cpu".

    Messages go to the rule's log file and, from warnings on, to the terminal. torch gets the rule's threads. An error
    ends the job with a last line that says what went wrong; what the user can mend (`InputError`) comes without a
    traceback on the terminal, and with it in the log.
    """
    _log_to(snakemake.log[0] if snakemake.log else None)
    log = logging.getLogger(snakemake.rule)
    os.environ["OMP_NUM_THREADS"] = str(snakemake.threads)
    try:
        if snakemake.resources.get("gpu", 0):
            with lease() as gpu:
                log.info("computing on %s, %d threads", "the CPU" if gpu is None else f"GPU {gpu}", snakemake.threads)
                yield "cpu" if gpu is None else "cuda"
        else:
            yield "cpu"
        log.info("done")
    except Exception as error:
        log.info("%s", traceback.format_exc())
        what = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        log.error("%s failed. %s", snakemake.rule, what)
        if not isinstance(error, InputError):
            traceback.print_exc()
        sys.exit(1)


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
