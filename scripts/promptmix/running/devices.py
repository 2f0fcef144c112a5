"""Which device a job computes on, and with how many threads.

Snakemake limits how many GPU jobs run at once (`--resources gpu=N`), but does not tell a job which GPU is its own.
So a job leases one: it holds a lock on a file for as long as it lives, and the kernel releases the lock when the job
ends, however it ends. Jobs choose among what CUDA_VISIBLE_DEVICES names, so a scheduler that has set it wins.
"""

import fcntl
import logging
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

log = logging.getLogger(__name__)

SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "_CONDOR_SLOT")
"""Variables by which Slurm, PBS, LSF, Grid Engine and HTCondor name a job, or its place on the machine."""

DEVICES = Path("/dev")
"""Where the kernel names the devices of the machine."""

CGROUP, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
"""Which control groups this process is in, and where the kernel shows them."""


def gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES spells them.

    Without that variable: the first numbers, as many as there are NVIDIA devices. CUDA counts the devices that it sees
    from 0, also where the only one is called nvidia5, as in a container with one GPU of several.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    devices = [path for path in DEVICES.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    return [str(number) for number in range(len(devices))]


@contextmanager
def lease(folder: Path | None = None) -> Iterator[str | None]:
    """Lease a GPU that no other job of this machine holds, and make it the only visible one; yield its name.

    To be called before torch is imported. If all GPUs are taken, as the user has allowed more jobs than there are
    GPUs, one is shared with as few others as can be. Yields None on a machine without a GPU.

    A scheduler that has given its job several GPUs may number them from 0, as in every other job of the same machine;
    they are leased among the processes of that job. If it has given one, that is the one.

    Args:
        folder: where the locks lie; the user's part of the temporary folder by default.
    """
    names = gpus()
    scheduled = [f"{name}-{os.environ[name]}-" for name in SCHEDULERS if name in os.environ][:1]
    if len(names) == 0 or (scheduled and len(names) == 1):
        yield names[0] if names else None
        return
    chosen = scheduled[0] if scheduled and "CUDA_VISIBLE_DEVICES" in os.environ else ""
    folder = folder or Path(tempfile.gettempdir()) / f"promptmix-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file, name, others = next(
        (file, name, others)
        for others in count()
        for name in names
        if (file := _locked(folder / re.sub(r"[^\w.-]", "-", f"{chosen}{name}-{others}.lock"))) is not None
    )
    if others:
        log.warning(
            "more GPU jobs at once than GPUs (%d): sharing GPU %s with %d other%s. `--resources gpu=%d` gives each its own",
            *(len(names), name, others, "s" if others > 1 else "", len(names)),
        )
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = name
        yield name
    finally:
        os.close(file)


def _locked(path: Path) -> int | None:
    """Return a file that is locked until it is closed, None if another process has locked it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def cores() -> int:
    """Return how many cores this process can keep busy: those that it may run on, or fewer if its time is limited."""
    return max(1, int(min(len(os.sched_getaffinity(0)), _quota())))


def threads(jobs: int, limit: int | None = None) -> int:
    """Return the threads of each of so many jobs at once, so that together they have no more threads than cores.

    Jobs that together start more threads than there are cores run many times slower than one after the other.

    Args:
        limit: cores that the jobs may take, where that is less than this process could keep busy.
    """
    return max(1, min(cores(), limit or math.inf) // max(1, jobs))


def _quota() -> float:
    """Return the cores' worth of time that control groups leave to this process, as `docker run --cpus` sets it."""
    quotas = [math.inf]
    for line in CGROUP.read_text().splitlines():
        _, controllers, path = line.split(":", 2)  # of version 2 without controllers
        if controllers and "cpu" not in controllers.split(","):
            continue
        inner = CGROUPS / controllers / path.lstrip("/")
        for folder in (inner, *inner.parents):
            for files in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
                try:
                    quota, period = " ".join((folder / file).read_text() for file in files).split()
                except OSError:
                    continue
                if quota not in ("max", "-1"):
                    quotas.append(int(quota) / int(period))
    return min(quotas)
