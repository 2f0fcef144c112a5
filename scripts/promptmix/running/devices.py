"""Which device a job computes on, and with how many threads.

Snakemake limits how many GPU jobs run at once (`--resources gpu=N`), but does not tell a job which GPU to use. So a job
leases one: it locks a file for as long as it runs, and the kernel releases the lock when the job ends, however it ends.
Jobs choose among the GPUs that CUDA_VISIBLE_DEVICES names, so a scheduler's choice is respected.
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
"""Variables in which Slurm, PBS, LSF, Grid Engine and HTCondor give a job's number, or its slot on the machine."""

DEVICES = Path("/dev")
"""Where the kernel lists the devices of the machine."""

CGROUP, CGROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
"""The control groups of this process, and the folder in which the kernel shows all of them."""


def gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES spells them.

    Without that variable, they are numbered from 0, one number per NVIDIA device. CUDA numbers the devices that it sees
    from 0 even if the only one is called nvidia5, as in a container that is given one GPU of several.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    devices = [path for path in DEVICES.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
    return [str(number) for number in range(len(devices))]


@contextmanager
def lease(folder: Path | None = None) -> Iterator[str | None]:
    """Lease a GPU that no other job of this machine holds, and make it the only visible one; yield its name.

    Call this before torch is imported. If all GPUs are taken, because the user allows more jobs than there are GPUs,
    the job shares the GPU that has the fewest jobs. Yields None on a machine without a GPU.

    If a scheduler has given the job one GPU, that one is used without a lease. If it has given several, they are leased
    among the processes of that job only: schedulers may number them from 0 in every job, so equal names in two jobs of
    one machine can be different GPUs.

    Args:
        folder: where the lock files are; by default a folder of the user's in the temporary folder.
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
        if (file := _try_lock(folder / re.sub(r"[^\w.-]", "-", f"{chosen}{name}-{others}.lock"))) is not None
    )
    if others:
        log.warning(
            "more GPU jobs at once than GPUs (%d): sharing GPU %s with %d other%s. `--resources gpu=%d` avoids that",
            *(len(names), name, others, "s" if others > 1 else "", len(names)),
        )
    try:
        os.environ["CUDA_VISIBLE_DEVICES"] = name
        yield name
    finally:
        os.close(file)


def _try_lock(path: Path) -> int | None:
    """Lock a file until it is closed and return its descriptor; None if another process has locked it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def cores() -> int:
    """Return how many cores this process can keep busy: those it may run on, or fewer if its CPU time is limited."""
    return max(1, int(min(len(os.sched_getaffinity(0)), _quota())))


def threads(jobs: int, limit: int | None = None) -> int:
    """Return how many threads each of `jobs` simultaneous jobs gets, so that together they do not exceed the cores.

    Jobs that together start more threads than there are cores take many times longer than one after the other.

    Args:
        limit: the most cores that the jobs may use together; None for all that this process can keep busy.
    """
    return max(1, min(cores(), limit or cores()) // max(1, jobs))


def _quota() -> float:
    """Return this process's limit of CPU time, in cores, as `docker run --cpus` sets it; infinite if there is none."""
    quotas = [math.inf]
    for line in CGROUP.read_text().splitlines():
        _, controllers, path = line.split(":", 2)  # version 2 names no controllers
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
