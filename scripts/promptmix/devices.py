"""Which device a job computes on, and with how many threads.

Snakemake limits how many GPU jobs run at once (`--resources gpu=N`), but does not tell a job which GPU is its own.
So a job leases one: it holds a lock on a file for as long as it lives, and the kernel releases the lock when the job
ends, however it ends. A scheduler that has set CUDA_VISIBLE_DEVICES for the job wins.
"""

import fcntl
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "_CONDOR_SLOT")
"""Variables that say that a scheduler has started the job, and that its choice of devices stands."""

DEVICES = Path("/dev")
"""Where the kernel names the devices of the machine."""


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
    GPUs, the first is shared. Yields None on a machine without a GPU.

    Args:
        folder: where the locks lie; the user's part of the temporary folder by default.
    """
    names = gpus()
    if not names:
        yield None
        return
    if any(variable in os.environ for variable in SCHEDULERS):
        yield ",".join(names)
        return
    folder = folder or Path(tempfile.gettempdir()) / f"promptmix-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        file = os.open(folder / f"{name.replace('/', '-')}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        try:
            os.environ["CUDA_VISIBLE_DEVICES"] = name
            yield name
        finally:
            os.close(file)
        return
    log.warning("all %d GPUs are leased; sharing GPU %s", len(names), names[0])
    os.environ["CUDA_VISIBLE_DEVICES"] = names[0]
    yield names[0]
