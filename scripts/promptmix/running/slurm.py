"""Jobs in Slurm's queue that have outlived the Snakemake that submitted them.

What is killed on the machine where one gives commands goes on living on the others: jobs run to their end, and those that
wait start later. A Snakemake that knew nothing of them would submit them a second time, to write the same files.
"""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

from promptmix.errors import InputError


def refuse_orphans(folder: str | Path = ".") -> None:
    """Look for jobs that were submitted from a folder; to be called where no living Snakemake could have done so.

    Raises:
        InputError: there are some, and what to do about it; or Slurm does not answer.
    """
    if shutil.which("squeue") is None:
        return
    command = ["squeue", "--me", "--noheader", "--format=%j %Z"]  # a name for each run of Snakemake, and the folder
    try:
        queue = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise InputError(
            "Snakemake was killed here, and whether jobs of it are still in Slurm's queue cannot be told, as "
            f"`{' '.join(command[:2])}` fails: {(error.stderr or str(error)).strip()}"
        ) from None
    lines = (line.split(" ", 1) for line in queue.splitlines())
    runs = Counter(run for run, submitted_from in lines if Path(submitted_from) == Path(folder).resolve())
    if runs:
        names = ",".join(runs)
        raise InputError(
            f"Snakemake was killed here, or runs on another machine, and {runs.total()} of its jobs are still in Slurm's "
            f"queue. Wait until they have ended (`squeue --me --name {names}` shows them), and what they have made is "
            f"kept; or end them by `scancel --name {names}`. Then give the same command again"
        )
