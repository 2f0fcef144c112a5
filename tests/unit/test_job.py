"""What every job does first and last, as the terminal, the log and Snakemake see it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from promptmix.running import job
from promptmix.running.devices import SCHEDULERS

SCRIPTS = Path(job.__file__).parents[2]
SCRIPT = """
import logging, os, signal, sys, time, warnings
from types import SimpleNamespace
{before}
from promptmix.running import job
from promptmix.errors import InputError
from promptmix.files import replacing

snakemake = SimpleNamespace(rule="bake", log={log!r}, threads=3, resources={resources!r}, output={output!r})
with job.start(snakemake) as device:
{body}
"""


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "bake" / "bread.log"


@pytest.fixture
def command(log):
    """Return the command of a script that does what Snakemake's scripts do around a body."""

    def command(body, resources=None, has_log=True, output=(), before=""):
        snakemake = {
            "log": [str(log)] if has_log else [],
            "resources": resources or {},
            "output": list(map(str, output)),
        }
        script = SCRIPT.format(body=textwrap.indent(textwrap.dedent(body), "    "), before=before, **snakemake)
        return [sys.executable, "-c", script]

    return command


@pytest.fixture
def environment(tmp_path):
    inherited = {key: value for key, value in os.environ.items() if key not in (*SCHEDULERS, "OMP_NUM_THREADS")}
    return inherited | {"PYTHONPATH": str(SCRIPTS), "TMPDIR": str(tmp_path)}


@pytest.fixture
def run(command, environment, log):
    """Run a script as Snakemake would; return the finished process and its log."""

    def run(body, *args, **more):
        variables = {name: more.pop(name) for name in list(more) if name.isupper()}
        script = command(body, *args, **more)
        done = subprocess.run(script, capture_output=True, text=True, env=environment | variables)
        return done, log.read_text() if log.exists() else None

    return run


def test_a_good_job_is_quiet_and_leaves_a_log(run):
    done, log = run("logging.getLogger('promptmix.oven').info('200 degrees')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [line.split(" ", 2)[2] for line in log.splitlines()] == ["INFO 200 degrees", "INFO done"]


def test_warnings_reach_log_and_terminal(run):
    done, log = run("warnings.warn('the oven is cold')")
    assert done.returncode == 0
    assert "the oven is cold" in done.stderr and "the oven is cold" in log


def test_what_the_user_can_mend_is_one_line_on_the_terminal_and_a_traceback_in_the_log(run):
    done, log = run("raise InputError('flour.csv: row 3 is empty; fill it')")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("ERROR bake failed. flour.csv: row 3 is empty; fill it")
    assert "Traceback (most recent call last)" in log
    assert log.splitlines()[-1].endswith("ERROR bake failed. flour.csv: row 3 is empty; fill it")


def test_any_other_error_has_its_traceback_on_the_terminal_too(run):
    done, log = run("{}['yeast']")
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr and "Traceback (most recent call last)" in log
    assert "ERROR bake failed. KeyError: 'yeast'" in done.stderr
    assert log.splitlines()[-1].endswith("ERROR bake failed. KeyError: 'yeast'")


def test_a_rule_without_a_log_writes_none(run):
    done, log = run("raise InputError('no flour')", has_log=False)
    assert done.returncode == 1 and log is None
    assert done.stderr.endswith("ERROR bake failed. no flour\n")


def test_a_second_run_starts_its_log_anew(run):
    run("raise InputError('no flour')")
    _, log = run("pass")
    assert [line.split(" ", 2)[2] for line in log.splitlines()] == ["INFO done"]


def test_a_job_without_a_gpu_resource_computes_on_the_cpu_with_the_rules_threads(run):
    done, _ = run("print(device, os.environ['OMP_NUM_THREADS'])", CUDA_VISIBLE_DEVICES="4")
    assert done.stdout == "cpu 3\n"


@pytest.mark.parametrize(
    ("visible", "expected", "where"), [("4,5", "cuda 4 3\n", "GPU 4"), ("", "cpu  3\n", "the CPU")]
)
def test_a_gpu_job_leases_a_gpu_if_there_is_one(run, visible, expected, where):
    body = "print(device, os.environ['CUDA_VISIBLE_DEVICES'], os.environ['OMP_NUM_THREADS'])"
    done, log = run(body, {"gpu": 1}, CUDA_VISIBLE_DEVICES=visible)
    assert done.stdout == expected
    assert f"computing on {where}, 3 threads" in log


def test_a_gpu_may_be_asked_for_in_slurms_words(run):
    done, _ = run("print(device)", {"gpu": 0, "gres": "gpu:1"}, CUDA_VISIBLE_DEVICES="4")
    assert done.stdout == "cuda\n"


def test_a_full_disk_is_said_in_one_line(run, tmp_path):
    body = "raise OSError(28, 'No space left on device', 'bread')"
    done, log = run(body, output=[tmp_path / "oven" / "bread.csv"])
    (line,) = done.stderr.splitlines()
    assert f"ERROR bake failed. No room for a file in {tmp_path}/oven (No space left on device). Make room and" in line
    assert "Traceback" in log


def test_a_full_gpu_may_be_shared(run):
    body = "raise type('OutOfMemoryError', (RuntimeError,), {})('CUDA out of memory.\\nSee there')"
    done, _ = run(body)
    (line,) = done.stderr.splitlines()
    assert line.endswith("run fewer at once (`--resources gpu=1`). CUDA out of memory.")


def test_a_job_that_is_killed_leaves_nothing_under_the_name_and_the_next_one_clears_it_away(run, tmp_path):
    path = tmp_path / "oven" / "bread.csv"
    body = f"with replacing({str(path)!r}) as half: half.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    done, _ = run(body, output=[path])
    assert done.returncode == -signal.SIGKILL
    assert not path.exists() and len(os.listdir(path.parent)) == 1
    run("pass", output=[path])
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_stopped_says_so_in_one_line_and_leaves_nothing(run, tmp_path, number):
    path = tmp_path / "oven" / "bread.csv"
    body = f"with replacing({str(path)!r}) as half: half.write_text('half'); os.kill(os.getpid(), {number:d})"
    done, log = run(body, output=[path])
    assert done.returncode == 128 + number
    (line,) = done.stderr.splitlines()
    assert f"ERROR bake was stopped by {number.name}" in line and "same command" in line
    assert log.splitlines()[-1] == line
    assert os.listdir(path.parent) == []


def test_a_job_in_the_background_of_a_shell_script_is_not_stopped_by_ctrl_c(run):
    body = "os.kill(os.getpid(), signal.SIGINT); print('baked')"
    done, _ = run(body, before="signal.signal(signal.SIGINT, signal.SIG_IGN)")
    assert done.stdout == "baked\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only the kernel of Linux does it")
def test_a_job_ends_with_its_parent(command, environment, log, tmp_path):
    """A process in the place of Snakemake starts a job that would go on for ever, and is killed."""
    begun = tmp_path / "begun"
    job_of_it = command(f"open({str(begun)!r}, 'w')\nwhile True: time.sleep(0.01)")
    parent = f"import subprocess; subprocess.run({job_of_it!r})"
    process = subprocess.Popen([sys.executable, "-c", parent], env=environment, process_group=0)
    try:
        until(begun.exists)
        process.kill()
        process.wait()
        until(lambda: not alive(process.pid))
    finally:
        if alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    assert "bake was stopped by SIGTERM" in log.read_text()


def alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def until(event):
    deadline = time.monotonic() + 30
    while not event():
        assert time.monotonic() < deadline
        time.sleep(0.005)
