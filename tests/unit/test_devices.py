"""Leases of GPUs: each job gets its own, a dead job's is free again, a scheduler's choice stands."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from promptmix import devices
from promptmix.devices import SCHEDULERS, gpus, lease

SCRIPTS = Path(devices.__file__).parents[1]
JOB = """
import os, sys
from pathlib import Path
from promptmix.devices import lease

with lease(Path(sys.argv[1])) as gpu:
    print(gpu, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine with two GPUs and without a scheduler."""
    for variable in SCHEDULERS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS))
    monkeypatch.setattr(devices, "DEVICES", tmp_path / "dev")


@contextmanager
def job(folder):
    """Run a job that leases a GPU until the block ends; yield the process, the lease, and CUDA_VISIBLE_DEVICES."""
    command = [sys.executable, "-c", JOB, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        leased, visible = process.stdout.readline().split()
        yield process, leased, visible
        process.stdin.close()


def test_jobs_at_once_get_different_gpus_and_see_no_others(tmp_path):
    with job(tmp_path) as (_, first, first_sees), job(tmp_path) as (_, second, second_sees):
        assert {first, second} == {"0", "1"}
        assert (first_sees, second_sees) == (first, second)


def test_a_finished_jobs_gpu_is_free_again(tmp_path):
    for _ in range(2):
        with job(tmp_path) as (_, leased, _):
            assert leased == "0"


def test_a_killed_jobs_gpu_is_free_again(tmp_path):
    with job(tmp_path) as (first, first_lease, _), job(tmp_path) as (_, second_lease, _):
        first.kill()
        first.wait()
        with job(tmp_path) as (_, third_lease, _):
            assert third_lease == first_lease != second_lease


def test_a_failed_jobs_gpu_is_free_again(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="out of luck"), lease(tmp_path):
        raise RuntimeError("out of luck")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with lease(tmp_path) as gpu:
        assert gpu == "0"


def test_more_jobs_than_gpus_share_the_first(tmp_path, caplog, monkeypatch):
    with job(tmp_path), job(tmp_path):
        with lease(tmp_path) as gpu:
            assert gpu == os.environ["CUDA_VISIBLE_DEVICES"] == "0"
        assert "all 2 GPUs are leased; sharing GPU 0" in caplog.text


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_schedulers_choice_stands(scheduler, tmp_path, monkeypatch):
    monkeypatch.setenv(scheduler, "17")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with lease(tmp_path / "locks") as gpu:
        assert gpu == os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert not (tmp_path / "locks").exists()


@pytest.mark.parametrize("visible", ["", " ", "-1", "NoDevFiles"])
def test_hidden_gpus_are_no_gpus(visible, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with lease(tmp_path) as gpu:
        assert gpu is None
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_without_the_variable_a_machine_without_nvidia_devices_has_no_gpu(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with lease(tmp_path) as gpu:
        assert gpu is None
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(
    ("there", "numbers"),
    [(["nvidia0", "nvidia1", "nvidia10"], ["0", "1", "2"]), (["nvidia5"], ["0"]), ([], [])],
)
def test_without_the_variable_gpus_are_counted_from_0_as_cuda_does(there, numbers, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    (tmp_path / "dev").mkdir()
    for name in [*there, "nvidiactl", "nvidia-uvm", "nvidia-modeset"]:
        (tmp_path / "dev" / name).touch()
    assert gpus() == numbers


def test_gpus_can_have_other_names_than_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-1/7/0, GPU-8932f937")
    with job(tmp_path) as (_, first, _), job(tmp_path) as (_, second, _):
        assert {first, second} == {"MIG-GPU-1/7/0", "GPU-8932f937"}
