"""Leases of GPUs: each job gets one, a dead job's is free again, a scheduler's choice is kept. And shares of cores.

Real processes, no real GPUs. About 5 s.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from promptmix.running import devices
from promptmix.running.devices import SCHEDULERS, cores, gpus, lease, threads

SCRIPTS = Path(devices.__file__).parents[2]
JOB = """
import os, sys
from pathlib import Path
from promptmix.running.devices import lease

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


CROWD = """
import os, sys, time
from pathlib import Path
from promptmix.running.devices import lease

folder, turns = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(turns):
    os.environ["CUDA_VISIBLE_DEVICES"] = "0,1,2,3"
    with lease(folder / "locks") as gpu:
        (folder / gpu).mkdir()  # fails if another process is in here with the same GPU
        time.sleep(0.001)
        (folder / gpu).rmdir()
"""


@contextmanager
def job(folder, **environment):
    """Run a job that leases a GPU until the block ends; yield the process, the lease, and CUDA_VISIBLE_DEVICES."""
    command = [sys.executable, "-c", JOB, str(folder)]
    environment = os.environ | environment
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
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


def test_many_jobs_that_come_and_go_at_once_are_never_two_on_a_gpu(tmp_path):
    command = [sys.executable, "-c", CROWD, str(tmp_path), "200"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    crowd = [subprocess.Popen(command, **pipes, text=True) for _ in range(4)]
    for process in crowd:
        assert process.stdout.readline() == "ready\n"
    for process in crowd:
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in crowd]
    assert errors == [""] * 4 and not any(process.returncode for process in crowd)


def test_more_jobs_than_gpus_are_spread_over_them_with_a_warning(tmp_path, caplog):
    with job(tmp_path), job(tmp_path), job(tmp_path) as (_, third, third_sees):
        assert third == third_sees == "0"
        with job(tmp_path) as (_, fourth, _), lease(tmp_path) as fifth:
            assert (fourth, fifth) == ("1", "0") and os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert "more GPU jobs at once than GPUs (2): sharing GPU 0 with 2 others. `--resources gpu=2`" in caplog.text


def test_a_free_gpu_comes_before_a_shared_one(tmp_path):
    with job(tmp_path), job(tmp_path) as (second, second_lease, _), job(tmp_path) as (_, shared, _):
        assert (second_lease, shared) == ("1", "0")
        second.kill()
        second.wait()
        with job(tmp_path) as (_, next_lease, _):
            assert next_lease == "1"


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_one_gpu_that_a_scheduler_gives_is_taken_as_it_is(scheduler, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(scheduler, "17")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with lease(tmp_path / "locks") as gpu, lease(tmp_path / "locks") as again:
        assert gpu == again == os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert not (tmp_path / "locks").exists() and not caplog.text


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_several_gpus_that_a_scheduler_gives_are_leased_within_its_job(scheduler, tmp_path):
    given = {"CUDA_VISIBLE_DEVICES": "2,3"}
    with (
        job(tmp_path, **given, **{scheduler: "17.server"}) as (_, first, first_sees),
        job(tmp_path, **given, **{scheduler: "17.server"}) as (_, second, _),
        job(tmp_path, **given, **{scheduler: "18.server"}) as (_, of_another, _),
    ):
        # Another job's 2 need not be the same device: where schedulers hide the others, each counts its own from 0.
        assert [first, second, of_another] == ["2", "3", "2"] and first_sees == "2"


def test_where_a_scheduler_names_no_gpus_its_jobs_lease_the_machines(tmp_path, monkeypatch):
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1"):
        (tmp_path / "dev" / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("JOB_ID", "17")
    with lease(tmp_path) as first:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        monkeypatch.setenv("JOB_ID", "18")
        with lease(tmp_path) as second:
            assert [first, second] == ["0", "1"]


@pytest.mark.parametrize("visible", ["", " ", "-1", "NoDevFiles"])
def test_hidden_gpus_are_not_used(visible, tmp_path, monkeypatch):
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


# --- Threads ---


def test_jobs_at_once_have_no_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 16)
    assert {jobs: threads(jobs) for jobs in (0, 1, 2, 3, 16, 40)} == {0: 16, 1: 16, 2: 8, 3: 5, 16: 1, 40: 1}


def test_fewer_cores_can_be_asked_for_and_not_more(monkeypatch):
    monkeypatch.setattr(devices, "cores", lambda: 4)
    assert [threads(2, limit) for limit in (1, 2, 3, 4, 8)] == [1, 1, 1, 2, 2]


def test_only_cores_that_this_process_may_run_on_count(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "CGROUP", Path("/dev/null"))
    allowed = os.sched_getaffinity(0)
    assert cores() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("cgroup", "files", "expected"),
    [
        ("0::/", {}, 64),
        ("0::/", {"cpu.max": "max 100000\n"}, 64),
        ("0::/", {"cpu.max": "350000 100000\n"}, 3),
        ("0::/", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/", {"cpu.max": "10000000 100000\n"}, 64),
        ("0::/user/job", {"user/cpu.max": "200000 100000\n", "user/job/cpu.max": "max 100000\n"}, 2),
        (
            "3:cpuset:/\n1:cpu,cpuacct:/",
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "1"},
            64,
        ),
        ("1:cpu:/docker/ab12\n0::/", {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ],
    ids=["none", "unlimited", "3.5", "half", "above", "parent's", "unlimited-v1", "docker-v1"],
)
def test_a_container_s_share_of_time_counts(cgroup, files, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    monkeypatch.setattr(devices, "CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(devices, "CGROUPS", tmp_path / "sys")
    (tmp_path / "cgroup").write_text(cgroup + "\n")
    for name, text in files.items():
        (tmp_path / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / name).write_text(text)
    assert cores() == expected
