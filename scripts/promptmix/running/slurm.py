"""Jobs in Slurm's queue that have outlived the Snakemake that submitted them.

If Snakemake is killed, its jobs on other machines run to their end, and those that wait in the queue start later. The
next Snakemake does not know of them, and would submit jobs that write the same files.
"""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

from promptmix.errors import InputError

PATIENCE = 60
"""Seconds within which Slurm has to answer."""


def refuse_orphans(folder: str | Path = ".") -> None:
    """Raise an error if jobs that were submitted from a folder are in the queue; call this if no Snakemake runs there.

    Raises:
        InputError: there are such jobs, with what to do about them; or Slurm does not answer.
    """
    if shutil.which("squeue") is None:
        return
    command = ["squeue", "--me", "--noheader", "--format=%j %Z"]  # a name for each run of Snakemake, and the folder
    try:
        queue = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
        raise InputError(
            "Snakemake was killed here, and jobs of it may still be in Slurm's queue, but "
            f"`{' '.join(command[:2])}` fails: {str(said or error).strip()}. Run the same command again when "
            "Slurm answers"
        ) from None
    lines = (line.split(" ", 1) for line in queue.splitlines())
    runs = Counter(run for run, submitted_from in lines if Path(submitted_from) == Path(folder).resolve())
    if runs:
        names = ",".join(runs)
        raise InputError(
            f"Snakemake was killed here, or runs on another machine, and {runs.total()} of its jobs are still in "
            f"Slurm's queue. Wait until they have ended (`squeue --me --name {names}` shows them; what they make is "
            f"kept), or cancel them with `scancel --name {names}`. Then run the same command again"
        )
