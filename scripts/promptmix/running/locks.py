"""Clear away Snakemake's stale locks: those of a Snakemake that was killed.

While Snakemake runs, files in .snakemake/locks name what it reads and writes, and a second Snakemake that would write
the same files is refused. `kill -9` or a power cut leaves these files behind, and then the same command is refused too,
until someone runs it with `--unlock`. To avoid that, each Snakemake here also holds a lock that the kernel releases
when the process ends, however it ends. If no process holds this lock, all files in .snakemake/locks are stale.
"""

import fcntl
import socket
from collections.abc import Callable
from pathlib import Path
from typing import IO


def hold_and_clear(
    folder: str | Path = ".snakemake", cluster: bool = False, check: Callable[[], None] | None = None
) -> IO[str] | None:
    """Hold a lock that all running Snakemakes of a folder share; if no other holds it, delete stale files in `locks/`.

    Files that may be locks of another machine are kept, as some network file systems do not show a machine the locks of
    the others. On a file system without locks, nothing is done.

    Args:
        folder: Snakemake's own folder.
        cluster: whether this Snakemake's jobs run on other machines, and so may outlive it.
        check: called before stale locks are deleted if the Snakemake that left them ran jobs on other machines. It may
            raise an exception to keep the locks; the exception is passed on.

    Returns:
        An open file: the lock is held until it is closed or the process ends, so keep a reference. None if the folder
        cannot be written or locked.
    """
    folder = Path(folder)
    try:
        folder.mkdir(exist_ok=True)
        file = open(folder / "running", "a+")  # noqa: SIM115
    except OSError:  # the folder is read-only, which suffices for a dry run
        return None
    host = socket.gethostname()
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            file.seek(0)
            dead, left = [line.split() for line in file.read().splitlines()], list((folder / "locks").glob("*.lock"))
            hosts = {words[0] for words in dead}
            if left and check and any("cluster" in words for words in dead):
                check()
            if hosts == {host}:
                for lock in left:
                    lock.unlink(missing_ok=True)
            if hosts == {host} or not left:
                file.truncate(0)
        fcntl.flock(file, fcntl.LOCK_SH)
        file.write(f"{host} cluster\n" if cluster else f"{host}\n")
        file.flush()
    except OSError:
        file.close()
        return None
    return file
