"""What every job does first and last, as the terminal, the log and Snakemake see it. Half a minute on two cores."""

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
from promptmix.running.usage import read_usage

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
    first, used, last = (line.split(" ", 2)[2] for line in log.splitlines())
    assert (first, last) == ("INFO 200 degrees", "INFO done") and used.startswith("INFO used ")


def test_the_log_says_what_a_job_used_whatever_started_it(run):
    body = """
    import time
    large = bytearray(200_000_000)
    while time.process_time() < 1: pass
    del large
    """
    done, log = run(body, {"mem_mb": 500})
    assert done.returncode == 0
    used = read_usage(log)
    assert 1 <= used.cpu < 2 and 2e8 < used.memory < 3.5e8 and (used.asked, used.gpu) == (5e8, 0)
    larger = bytearray(600_000_000)  # the memory of whoever starts a job is not the job's
    assert read_usage(run("pass")[1]).memory < 2e8 < len(larger)


def test_the_log_says_what_a_job_had_used_that_failed(run):
    _, log = run("raise ValueError('burnt')")
    assert read_usage(log).memory > 1e6
    assert read_usage("2026-11-27 ERROR bake failed. ValueError: burnt") is None


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
    assert len(log.splitlines()) == 2 and log.endswith("INFO done\n")


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


@pytest.fixture
def scratch(run, tmp_path):
    """Return what a job says that opens the scratch that its resources give it, writes there, and says whether it could."""
    body = "import numpy; print(job.open_scratch(snakemake).keep(numpy.zeros(9)) is not None)"
    before = "import pathlib; from promptmix.running import scratch; scratch.MOUNTS = pathlib.Path({!r})"

    def scratch(resources, kind="ext4"):
        device = os.stat(tmp_path).st_dev
        name = f"{os.major(device)}:{os.minor(device)}"
        mounts = tmp_path / "mountinfo"
        mounts.write_text(f"1 0 0:1 / /else rw - tmpfs tmpfs rw\n2 1 {name} / / rw shared:1 - {kind} /dev/a rw\n")
        return run(body, resources, before=before.format(str(mounts)))

    return scratch


@pytest.mark.parametrize("room, kept", [({}, False), ({"scratch_mb": 0}, False), ({"scratch_mb": 1}, True)])
def test_a_job_has_the_room_on_disk_that_it_is_given(scratch, tmp_path, room, kept):
    done, _ = scratch({"tmpdir": str(tmp_path / "new"), **room})
    assert (done.returncode, done.stdout) == (0, f"{kept}\n")
    assert (tmp_path / "new").exists() == kept


@pytest.mark.parametrize("room", ["30GB", 0.5])
def test_room_that_is_no_whole_number_of_mb_is_refused(scratch, tmp_path, room):
    done, _ = scratch({"tmpdir": str(tmp_path), "scratch_mb": room})
    (line,) = done.stderr.splitlines()
    assert f"scratch_mb is {room!r}. Expected a whole number of MB: --set-resources bake:scratch_mb=20000" in line


def test_a_folder_that_is_of_no_use_is_refused(scratch, tmp_path):
    (tmp_path / "file").touch()
    advice = "Give scratch_mb a folder on a disk: --set-resources bake:tmpdir=FOLDER"
    for folder, kind, why in [
        (tmp_path / "file", "ext4", "no file can be made there (File exists)"),
        (tmp_path / "file" / "new", "ext4", "no file can be made there (Not a directory)"),
        (tmp_path, "tmpfs", "what is written there stays in memory (tmpfs)"),
    ]:
        done, _ = scratch({"tmpdir": str(folder), "scratch_mb": 1}, kind)
        (line,) = done.stderr.splitlines()
        assert line.endswith(f"{folder}: {why}. {advice}")


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


# --- Jobs that cannot end cleanly ---

LONG = """
import ctypes
lock = ctypes.create_string_buffer(64)
{library}(None).pthread_mutex_lock(lock)
open({begun!r}, "w")
{library}(None).pthread_mutex_lock(lock)
"""
"""An operator that never returns: C waits for a lock that it holds itself. No signal interrupts it, unlike a sleep."""

HURRIED = "from promptmix.running import stopping; stopping.GRACE = stopping.LAST = 0.5"


@pytest.fixture
def begun(tmp_path):
    """A file that appears when the job has come to what a test waits for."""
    return tmp_path / "begun"


@pytest.fixture
def long(begun):
    return LONG.format(library="ctypes.CDLL", begun=str(begun))


@pytest.fixture
def stop(command, environment, begun):
    """Start a script, send it SIGTERM when `begun` is there; return exit code, what the terminal shows, and the seconds to the end."""

    def stop(body, *args, **more):
        variables = {name: more.pop(name) for name in list(more) if name.isupper()}
        script = command(body, *args, **more)
        process = subprocess.Popen(
            script, stderr=subprocess.PIPE, text=True, env=environment | variables, process_group=0
        )
        try:
            until(begun.exists)
            time.sleep(0.2)  # from the file to the operator
            told = time.monotonic()
            process.terminate()
            _, shown = process.communicate(timeout=60)
            taken = time.monotonic() - told
            until(lambda: not alive(process.pid))  # nor what it has started
        finally:
            if alive(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, shown, taken

    return stop


def stopped(shown, log):
    """Tell whether all that was shown, and the log's last line, is that the job was stopped and how it resumes."""
    (line,) = shown.splitlines()
    says = line.endswith("ERROR bake was stopped by SIGTERM; run the same command again to resume")
    return says and log.read_text().splitlines()[-1] == line


def test_a_job_inside_a_long_operator_ends_within_ten_seconds(stop, begun, log):
    body = f"""
        import torch
        torch.set_num_threads(1)
        matrix = torch.rand(5000, 5000)
        open({str(begun)!r}, "w")
        torch.linalg.svd(matrix)
    """
    code, shown, taken = stop(body)
    assert code == 128 + signal.SIGTERM and stopped(shown, log)
    assert taken < 10
    assert taken > 7, "the operator was too short to be one"


def test_what_such_a_job_leaves_is_no_file_under_its_name_and_goes_with_the_next_start(stop, run, long, tmp_path, log):
    path = tmp_path / "oven" / "bread.csv"
    body = f"with replacing({str(path)!r}) as half:\n    half.write_text('half')\n{textwrap.indent(long, '    ')}"
    code, shown, taken = stop(body, output=[path], before=HURRIED)
    assert code == 128 + signal.SIGTERM and stopped(shown, log) and taken < 5
    assert not path.exists() and len(os.listdir(path.parent)) == 1
    run("pass", output=[path])
    assert os.listdir(path.parent) == []


def test_its_processes_end_with_it_and_its_gpu_is_free(stop, run, long, log):
    pool = """
        from concurrent.futures import ProcessPoolExecutor
        pool = ProcessPoolExecutor(2)
        list(pool.map(abs, range(2)))
    """
    code, _, _ = stop(textwrap.dedent(pool) + long, {"gpu": 1}, before=HURRIED, CUDA_VISIBLE_DEVICES="4")
    assert code == 128 + signal.SIGTERM and "computing on GPU 4" in log.read_text()
    _, of_the_next = run("pass", {"gpu": 1}, CUDA_VISIBLE_DEVICES="4")
    assert "computing on GPU 4" in of_the_next and "sharing" not in of_the_next


def test_a_job_that_goes_on_after_the_signal_is_ended(stop, begun, log):
    body = f"""
        open({str(begun)!r}, "w")
        while True:
            try:
                time.sleep(1)
            except KeyboardInterrupt:
                pass
    """
    code, shown, taken = stop(body, before=HURRIED)
    assert code == 128 + signal.SIGTERM and stopped(shown, log) and taken < 5


def test_a_job_that_keeps_pythons_lock_after_the_signal_is_ended_by_the_kernel(stop, begun, tmp_path):
    held = LONG.format(library="ctypes.PyDLL", begun=str(tmp_path / "held"))
    body = f"""
try:
    open({str(begun)!r}, "w")
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.1)
{textwrap.indent(held, "    ")}"""
    code, _, taken = stop(body, before=HURRIED)
    assert code == -signal.SIGALRM and taken < 5


def test_a_job_that_can_end_cleanly_has_the_time_to(stop, begun, tmp_path, log):
    saved = tmp_path / "saved"
    body = f"""
        try:
            open({str(begun)!r}, "w")
            while True:
                pass
        finally:
            time.sleep(1)
            open({str(saved)!r}, "w")
    """
    code, shown, taken = stop(body)
    assert code == 128 + signal.SIGTERM and stopped(shown, log) and taken < 5
    assert saved.exists()


def test_no_other_signal_and_no_signal_to_its_processes_ends_a_job(run):
    body = """
        signal.signal(signal.SIGUSR1, lambda *_: None)
        os.kill(os.getpid(), signal.SIGUSR1)
        if (child := os.fork()) == 0:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                os._exit(7)
        time.sleep(0.2)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        time.sleep(1.5)
    """
    done, log = run(body, before=HURRIED)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(log.splitlines()) == 2 and log.endswith("INFO done\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only the kernel of Linux does it")
@pytest.mark.parametrize("inside", ["Python", "an operator"])
def test_a_job_ends_with_its_parent(command, environment, log, begun, long, inside):
    """A process in the place of Snakemake starts a job that would go on for ever, and is killed."""
    python = f"open({str(begun)!r}, 'w')\nwhile True: time.sleep(0.01)"
    job_of_it = command(python if inside == "Python" else long, before=HURRIED)
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
