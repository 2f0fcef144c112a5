"""Which of Snakemake's locks are left over from one that was killed.

While Snakemake runs, files in .snakemake/locks name what it reads and writes, and a second one that would write the
same is refused. `kill -9` or a power cut leaves these files behind, and then the same command is refused as well, until
someone runs it with `--unlock`. So each Snakemake here also holds a lock that the kernel releases, however it ends; when
nobody holds that, what lies in .snakemake/locks is of the dead.
"""

import fcntl
import socket
from collections.abc import Callable
from pathlib import Path
from typing import IO


def join(
    folder: str | Path = ".snakemake", cluster: bool = False, check: Callable[[], None] | None = None
) -> IO[str] | None:
    """Hold a lock shared by all living Snakemakes of a folder, and clear away the locks of dead ones if it is the first.

    What could be locks of another machine is kept: not all network file systems show each machine the others' locks.
    Where a file system has none at all, nothing is done.

    Args:
        folder: Snakemake's own.
        cluster: whether this Snakemake's jobs run on other machines, and so may outlive it.
        check: called before locks of dead ones whose jobs did so are cleared away; what it raises is passed on.

    Returns:
        An open file that holds the lock until the process ends; to be kept. None if nothing is locked.
    """
    folder = Path(folder)
    try:
        folder.mkdir(exist_ok=True)
        file = open(folder / "running", "a+")  # noqa: SIM115
    except OSError:  # a folder that may only be read, as for a dry run
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
