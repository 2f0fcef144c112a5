"""GPU jobs side by side, as Snakemake starts them: real jobs and leases, GPUs that are only named. About 12 s of two free cores."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from support.workflow import tiny

ROOT = Path(__file__).parents[2]
SNAKEFILE = """
rule all:
    input:
        expand("{number}.json", number=range(int(config["jobs"]))),

rule compute:
    output:
        "{number}.json",
    log:
        "logs/{number}.log",
    resources:
        gpu=1,
    script:
        "compute.py"
"""
# Each waits until as many compute as can, so that they really do so at once.
SCRIPT = """
import json, os, time
from pathlib import Path
from promptmix.running import job

config = snakemake.config
with job.start(snakemake) as device:
    began, me = time.time(), Path(f"at-work-{snakemake.wildcards.number}")
    me.touch()
    while len(list(Path().glob("at-work-*"))) < int(config["at_once"]) and time.time() < began + 30:
        time.sleep(0.02)
    if snakemake.wildcards.number == str(config.get("dies")) and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), 9)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = {"device": device, "visible": visible, "began": began, "ended": time.time()}
    Path(snakemake.output[0]).write_text(json.dumps(found))
"""


@pytest.fixture
def run(tmp_path):
    """Run a number of jobs with the default profile; return what they found, and the finished process."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "compute.py").write_text(SCRIPT)

    def run(*words, visible="0,1", gpu=2, **config):
        command = [sys.executable, "-m", "snakemake", *words, "--workflow-profile", str(ROOT / "profiles/default")]
        command += ["--cores", "8", "--resources", f"gpu={gpu}", "--config", *(f"{k}={v}" for k, v in config.items())]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "TMPDIR": str(tmp_path)}
        environment["CUDA_VISIBLE_DEVICES"] = visible
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        return [json.loads(file.read_text()) for file in sorted(tmp_path.glob("*.json"))], done

    return run


def at_once(jobs: list[dict]) -> int:
    """Return the largest number of jobs that computed at the same time."""
    return max(sum(other["began"] <= job["began"] < other["ended"] for other in jobs) for job in jobs)


def test_no_two_jobs_share_a_gpu_and_none_is_idle(run):
    jobs, done = run(jobs=4, at_once=2)
    assert done.returncode == 0, done.stderr
    assert at_once(jobs) == 2
    assert {(job["device"], job["visible"]) for job in jobs} == {("cuda", "0"), ("cuda", "1")}
    for i, job in enumerate(jobs):
        for other in jobs[i + 1 :]:
            assert (
                job["visible"] != other["visible"] or job["ended"] <= other["began"] or other["ended"] <= job["began"]
            )


def test_a_killed_job_s_gpu_is_used_again_and_the_same_command_goes_on(run, tmp_path):
    jobs, done = run(jobs=3, at_once=2, dies=1)
    assert done.returncode != 0 and len(jobs) == 2
    assert "sharing" not in done.stderr
    begun = time.time()
    jobs, done = run(jobs=3, at_once=1, dies=1)
    assert done.returncode == 0, done.stderr
    assert len(jobs) == 3 and sum(job["began"] > begun for job in jobs) == 1
    assert {job["visible"] for job in jobs} <= {"0", "1"}


def test_more_jobs_than_gpus_share_and_say_so(run):
    jobs, done = run(jobs=3, at_once=3, gpu=3)
    assert done.returncode == 0, done.stderr
    assert at_once(jobs) == 3
    assert sorted(job["visible"] for job in jobs) == ["0", "0", "1"]
    assert "more GPU jobs at once than GPUs (2): sharing GPU 0 with 1 other" in done.stderr


def test_without_a_gpu_jobs_compute_on_the_cpu(run):
    jobs, done = run(jobs=1, at_once=1, visible="")
    assert done.returncode == 0, done.stderr
    assert [(job["device"], job["visible"]) for job in jobs] == [("cpu", "")]


# --- Threads, as the rules share out the cores ---


@pytest.mark.parametrize(
    ("there", "words", "expected"),
    [
        (2, ["--cores", "8", "--resources", "gpu=2"], 1),
        (2, ["--cores", "8", "--resources", "gpu=1"], 2),
        (2, ["--cores", "1", "--resources", "gpu=1"], 1),
    ],
)
def test_gpu_jobs_have_a_share_of_the_cores(there, words, expected, tmp_path):
    cores = sorted(os.sched_getaffinity(0))[:there]
    if len(cores) < there:
        pytest.skip(f"{there} cores are needed to tell")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny()))
    (tmp_path / "Snakefile").write_text(
        f'REPOSITORY, GIVEN_CONFIGS = "{ROOT}", workflow.overwrite_configfiles\n'
        f'include: "{ROOT}/rules/common.smk"\nprint("threads", GPU_THREADS)\nrule all:\n    input: []\n'
    )
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all", "--configfile", "config.yaml", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        capture_output=True,
        text=True,
    )
    assert f"threads {expected}\n" in done.stdout, done.stderr
