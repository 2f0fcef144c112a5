"""A cluster of one machine: Slurm's daemons, started by the tests, with two GPUs that are none."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue")

CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MailProg=/bin/true
MpiDefault=none
# Neither control groups nor systemd, so memory is looked at every two seconds.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
TaskProlog={folder}/prolog
SchedulerParameters=sched_interval=1,batch_sched_delay=1
KillWait=3
MinJobAge=3600
ReturnToService=2
# More cores and memory than there are: what jobs wait for is to be the GPUs.
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=32 RealMemory=128000 Gres=gpu:2 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

PROLOG = """#!/bin/sh
# Runs before what a job runs: writes down its GPU, and hides it, as there is none.
echo "$SLURM_JOB_ID $CUDA_VISIBLE_DEVICES" >>{folder}/devices
echo unset CUDA_VISIBLE_DEVICES
"""

SRUN = """#!/bin/sh
# The plugin calls srun without SLURM_CONF.
SLURM_CONF={folder}/slurm.conf exec {srun} "$@"
"""


@dataclass
class Job:
    """What Slurm says of a job."""

    number: str
    name: str  # of the Snakemake run
    comment: str  # the rule and its wildcards
    state: str
    memory: str
    limit: str
    threads: str
    gpus: str
    start: datetime | None
    end: datetime | None
    device: str  # as Slurm has set CUDA_VISIBLE_DEVICES

    def __str__(self) -> str:
        times = (f"{time:%H:%M:%S}" if time else "" for time in (self.start, self.end))
        row = [
            self.number,
            self.comment,
            self.state,
            self.memory,
            self.limit,
            self.threads,
            self.gpus,
            self.device,
            *times,
        ]
        return " | ".join(row)


class Cluster:
    """Slurm with one node, until `stop`.

    Args:
        folder: everything of it; no other user may write there.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        host, srun = socket.gethostname().split(".")[0], shutil.which("srun")
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            ports = [s.getsockname()[1] for s in (one, other)]
        for name in ("state", "spool", "bin"):
            (folder / name).mkdir()
        config = CONFIG.format(host=host, user=getpass.getuser(), folder=folder, ports=ports)
        (folder / "slurm.conf").write_text(config)
        (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/null,/dev/zero\n")
        for path, text in {"prolog": PROLOG, "bin/srun": SRUN}.items():
            (folder / path).write_text(text.format(folder=folder, srun=srun))
            (folder / path).chmod(0o755)
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o600)
        folder.chmod(0o755)  # munge wants its socket to be in reach of everybody
        paths = [f"{folder}/bin", str(Path(sys.executable).parent), os.environ["PATH"]]
        self.env = os.environ | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": os.pathsep.join(paths)}
        self.daemons = []
        munge = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self._start("munged", "--foreground", *(f"--{option}={folder}/munge.{end}" for option, end in munge.items()))
        self._start("slurmctld", "-D", "-c")
        self._start("slurmd", "-D", "-c")
        try:
            until(lambda: self.run("sinfo", "--noheader", "--format=%T", check=False).strip() == "idle", self.logs)
        except AssertionError:
            self._end()
            raise

    def _start(self, *command: str) -> None:
        with open(self.folder / f"{command[0]}.out", "w") as out:
            self.daemons.append(subprocess.Popen(command, env=self.env, stdout=out, stderr=out))

    def run(self, *command: str, check: bool = True) -> str:
        """Return what a command prints."""
        result = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=60)
        assert not check or result.returncode == 0, result.stderr
        return result.stdout

    def queue(self, what: str = "%i") -> list[str]:
        """Return the numbers of the jobs that wait or run, or something else of each, as `squeue --format` calls it."""
        return self.run("squeue", "--noheader", "--sort=i", f"--format={what}").split()

    def jobs(self, output: str) -> list[Job]:
        """Return the jobs of a Snakemake run that has printed `output`, in the order of their submission."""
        name = output.split("SLURM run ID: ")[1].split()[0]
        devices = dict(line.split(" ") for line in (self.folder / "devices").read_text().splitlines())
        lines = self.run("scontrol", "show", "job", "--oneliner").splitlines()
        jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return [
            Job(
                number=job["JobId"],
                name=job["JobName"],
                comment=job["Comment"],
                state=job["JobState"],
                memory=job["MinMemoryNode"],
                limit=job["TimeLimit"],
                threads=job["CPUs/Task"],
                gpus=job.get("TresPerJob", ""),
                start=_time(job["StartTime"]),
                end=_time(job["EndTime"]),
                device=devices.get(job["JobId"], ""),
            )
            for job in jobs
            if job["JobName"] == name
        ]

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        return "\n".join(f"{file}:\n{file.read_text()[-2000:]}" for file in sorted(self.folder.glob("*.[lo][ou][gt]")))

    def stop(self) -> None:
        """Cancel what runs and end the daemons."""
        self.run("scancel", f"--user={getpass.getuser()}", check=False)
        until(lambda: not self.queue(), self.logs)
        self._end()

    def _end(self) -> None:
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(30)


def _time(text: str) -> datetime | None:
    return None if text == "Unknown" else datetime.fromisoformat(text)


def until(holds: Callable[[], bool], explain: Callable[[], str] = str, seconds: float = 60) -> None:
    """Wait until something holds; fail with an explanation if it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


def at_once(jobs: list[Job]) -> int:
    """Return how many jobs ran at the same time, at most."""
    return max(sum(other.start <= job.start < other.end for other in jobs) for job in jobs)
