"""What every job does first and last, as the terminal, the log and Snakemake see it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from promptmix import job
from promptmix.devices import SCHEDULERS

SCRIPTS = Path(job.__file__).parents[1]
SCRIPT = """
import logging, os, sys, warnings
from types import SimpleNamespace
from promptmix import job
from promptmix.errors import InputError

snakemake = SimpleNamespace(rule="bake", log={log!r}, threads=3, resources={resources!r})
with job.start(snakemake) as device:
    {body}
"""


@pytest.fixture
def run(tmp_path):
    """Run a script as Snakemake would; return the finished process and its log."""

    def run(body, resources=None, log=True, **environment):
        path = tmp_path / "logs" / "bake" / "bread.log"
        script = SCRIPT.format(body=body, log=[str(path)] if log else [], resources=resources or {})
        inherited = {key: value for key, value in os.environ.items() if key not in (*SCHEDULERS, "OMP_NUM_THREADS")}
        environment = inherited | {"PYTHONPATH": str(SCRIPTS), "TMPDIR": str(tmp_path)} | environment
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
        return done, path.read_text() if path.exists() else None

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
    done, log = run("raise InputError('no flour')", log=False)
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
