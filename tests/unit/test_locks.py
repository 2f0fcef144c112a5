"""Locks of killed Snakemakes are cleared away, and no others."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from promptmix.running import locks

SCRIPTS = Path(locks.__file__).parents[2]
HOLD = """
import sys
from promptmix.running import locks
kept = locks.hold_and_clear(sys.argv[1], cluster="cluster" in sys.argv)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Return a function that starts another process which holds the lock until it is killed."""
    started = []

    def other(*words):
        command = [sys.executable, "-c", HOLD, str(tmp_path), *words]
        environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield other
    for process in started:
        kill(process)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture
def lock(tmp_path):
    """A lock file as Snakemake leaves it."""
    path = tmp_path / "locks/0.output.lock"
    path.parent.mkdir()
    path.write_text("tables/table1.md")
    return path


def test_locks_of_a_running_one_stay_and_those_of_a_killed_one_go(tmp_path, other, lock):
    first = other()
    second = other()  # such as a dry run, or one that makes something else
    assert lock.exists()
    kill(first)
    kept = locks.hold_and_clear(tmp_path)
    assert lock.exists()  # it may be the second one's
    kept.close()
    kill(second)
    locks.hold_and_clear(tmp_path)
    assert not lock.exists()


def test_the_lock_is_held_for_as_long_as_the_file_is_kept(tmp_path):
    first, second = locks.hold_and_clear(tmp_path), locks.hold_and_clear(tmp_path)
    first.close()
    with open(tmp_path / "running") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    second.close()
    with open(tmp_path / "running") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_job_does_not_inherit_the_lock(tmp_path):
    kept = locks.hold_and_clear(tmp_path)
    assert not os.get_inheritable(kept.fileno())


def test_locks_of_another_machine_stay(tmp_path, lock, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "login2")
    locks.hold_and_clear(tmp_path).close()
    monkeypatch.undo()
    for _ in range(2):
        locks.hold_and_clear(tmp_path).close()
        assert lock.exists()

    lock.unlink()  # as by --unlock
    locks.hold_and_clear(tmp_path).close()
    lock.touch()
    locks.hold_and_clear(tmp_path).close()
    assert not lock.exists()


def test_locks_of_a_snakemake_that_did_not_hold_the_lock_stay(tmp_path, lock):
    locks.hold_and_clear(tmp_path).close()
    assert lock.exists()


def test_jobs_that_may_still_run_on_a_cluster_are_looked_for_first(tmp_path, other, lock):
    def check():
        raise RuntimeError("a job is left")

    kill(other("cluster"))
    with pytest.raises(RuntimeError, match="a job is left"):
        locks.hold_and_clear(tmp_path, check=check)
    assert lock.exists()
    locks.hold_and_clear(tmp_path, check=lambda: None).close()
    assert not lock.exists()
    lock.touch()
    locks.hold_and_clear(tmp_path, check=check).close()  # the killed one ran its jobs on this machine
    assert not lock.exists()


def test_nothing_is_done_where_there_are_no_locks(tmp_path, lock, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    locks.hold_and_clear(tmp_path).close()
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert locks.hold_and_clear(tmp_path) is None
    assert locks.hold_and_clear(tmp_path / "running") is None  # nothing can be written there
    assert lock.exists()
