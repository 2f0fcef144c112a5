"""How a job ends at SIGINT, at SIGTERM and at the end of Snakemake: cleanly if it can, and within ten seconds if it cannot.

Python handles a signal between two of its own instructions. A job inside one operator of torch, which may take minutes on
a CPU, does not see the signal until the operator returns; nor does one that waits for a thread with such an operator. So a
thread learns of the signal beside the main one, and ends the process if that is still there after `GRACE` seconds.

That is safe at any moment: a file has its name only when it is complete (`promptmix.files.replacing`), the next start of the
job clears half-written ones away, and the kernel releases the lease of a GPU.

The thread needs Python's lock for a moment. Operators of torch, numpy, scipy, OpenCV, Pillow and HDF5 release it: of twenty that
were tried, for seconds each, none kept it for half of one. Should one keep it that began after the signal, or should the log's
disk not answer, the kernel ends the process. Only one that began before the signal and keeps the lock is waited for.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM)

GRACE = 8.0
"""Seconds that the main thread has from the signal on to end the job cleanly."""

LAST = 1.0
"""Seconds that the thread then has to say so in the log, before the kernel ends the process without a word."""

LIBC = ctypes.CDLL(None)


class Stopped(KeyboardInterrupt):
    """The job has received a signal to end; the argument is the signal's name."""


def stop_when_told(say: Callable[[str], None]) -> None:
    """Let signals raise `Stopped` in this thread, the main one, from now on, and end the process soon after in any case.

    The exit code is then 128 plus the signal's number. Processes that the job has forked are killed when it ends.

    Args:
        say: writes the last message of a job that could not end cleanly; it gets the signal's name, in another thread.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)  # Python's handler in C writes the signal's number there at once
    threading.Thread(target=_watch, args=(reader, say), daemon=True).start()
    os.register_at_fork(after_in_child=_end_with_job)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # a shell script ignores SIGINT for what it starts with &
            signal.signal(number, _stop)
    # A job that outlived Snakemake would write the same files, on the same GPU, as the job that the next Snakemake starts.
    _at_the_parents_end(signal.SIGTERM)


def _stop(number: int, _) -> None:
    raise Stopped(signal.Signals(number).name)


def _watch(reader: int, say: Callable[[str], None]) -> None:
    """Wait for a signal, then for `GRACE` seconds, and end the process."""
    number = os.read(reader, 1)[0]
    while number not in SIGNALS:  # another one that a library handles
        number = os.read(reader, 1)[0]
    signal.setitimer(signal.ITIMER_REAL, GRACE + LAST)  # nothing handles SIGALRM, so that it ends the process
    time.sleep(GRACE)
    say(signal.Signals(number).name)
    os._exit(128 + number)


def _end_with_job() -> None:
    """Make a forked process end with its job, and keep the signals that it gets from the job's thread."""
    signal.set_wakeup_fd(-1)
    _at_the_parents_end(signal.SIGKILL)


def _at_the_parents_end(number: signal.Signals) -> None:
    """Make the kernel send this process a signal when the one that started it ends, however it ends.

    The kernel watches the thread that started it. Snakemake's waits until the job has ended, and jobs fork in their main one.
    """
    if sys.platform == "linux":
        LIBC.prctl(1, number)  # PR_SET_PDEATHSIG
