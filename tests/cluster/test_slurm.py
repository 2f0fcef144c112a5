"""The workflow as jobs of a real Slurm, which runs on this machine for as long as these tests: about three minutes."""

import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from slurm import NEEDED, Cluster, at_once, until
from support.workflow import tiny

ROOT = Path(__file__).parents[2]
MISSING = [command for command in NEEDED if shutil.which(command) is None]

needs_slurm = pytest.mark.skipif(bool(MISSING), reason=f"no Slurm here: {', '.join(MISSING)} not found")


IMPATIENT = """
import signal
from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor
Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
"""Snakemake, but it looks at Slurm's queue every second; the plugin looks the less often the longer nothing ends.

It can also be interrupted where tests run in the background of a shell, whose jobs ignore SIGINT.
"""


@pytest.fixture(scope="module")
def cluster():
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # not pytest's folders, in which munge does not trust
    cluster = Cluster(folder)
    yield cluster
    cluster.stop()
    shutil.rmtree(folder)


@dataclass
class Driver:
    """Snakemake in a folder of its own, submitting jobs to a cluster."""

    folder: Path
    cluster: Cluster
    snakefile: Path = ROOT / "tests" / "cluster" / "Snakefile"

    def start(self, *words: str) -> subprocess.Popen:
        """Start `snakemake {words}`."""
        command = [sys.executable, "-c", IMPATIENT, *words, "--workflow-profile", str(ROOT / "profiles" / "slurm")]
        command += ["--snakefile", str(self.snakefile), "--directory", ".", "--latency-wait", "10"]
        out = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self.cluster.env, stdout=out, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Return the exit code of `snakemake {words}` and what it prints."""
        return self.end(self.start(*words))

    @staticmethod
    def end(process: subprocess.Popen) -> tuple[int, str]:
        """Wait for a started Snakemake; return its exit code and what it has printed."""
        try:
            output, _ = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            pytest.fail(process.communicate()[0])
        return process.returncode, output

    def attempts(self, name: str) -> list[list[str]]:
        """Return the number of the Slurm job and the memory of each attempt at a job."""
        file = self.folder / f"{name}.attempts"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def driver(tmp_path, cluster) -> Driver:
    """Jobs that do what their names say, see work.py."""
    return Driver(tmp_path, cluster)


def test_the_profiles_differ_only_in_where_jobs_run():
    local, slurm = (
        yaml.safe_load((ROOT / f"profiles/{name}/profile.yaml").read_text()) for name in ("default", "slurm")
    )
    del local["resources"]
    assert local == {setting: slurm.get(setting) for setting in local}


def test_each_rule_says_what_it_needs_or_stays_at_the_driver():
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    rules = re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, flags=re.M | re.S)
    assert len(rules) > 30
    for name, body in rules:
        if "script:" in body and "localrule: True" not in body:
            assert re.search(r"mem_mb=(growing\(.+\)|memory_of_\w+),\n +runtime=\S.*,\n", body), name


def table1() -> dict:
    """Return a config with as few jobs for Table I as can be, and with prompts by hand."""
    config = tiny()
    del config["training"]["shtb"]  # one repeat
    config["promptmix"]["shtb"]["pools"] = ["locations"]
    return config


@needs_slurm
def test_table1_with_a_cancelled_job_and_a_killed_driver(tmp_path, cluster):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(table1(), sort_keys=False))
    (tmp_path / "resources").mkdir()
    (tmp_path / "resources/models").symlink_to(ROOT / "resources/models")
    driver = Driver(tmp_path, cluster, ROOT / "Snakefile")
    words = ["tables/table1.md", "--configfile", "config.yaml"]

    process = driver.start(*words)
    rendering = "rule_render_dataset_wildcards_shtb"
    until(lambda: process.poll() is not None or rendering in cluster.queue("%k"))
    assert process.poll() is None, process.communicate()[0]
    cluster.run("scancel", cluster.queue()[cluster.queue("%k").index(rendering)])
    until(lambda: sum("train_network" in comment for comment in cluster.queue("%k")) == 2, seconds=120)
    process.kill()
    killed, _ = process.communicate()
    queue = cluster.queue()

    code, refused = driver.run(*words)
    assert code == 1
    (still,) = re.findall(r"(\d+) of its jobs are still in Slurm's queue", refused)
    assert 1 <= int(still) <= len(queue)  # some may have ended
    assert "SLURM run ID" not in refused  # it has not come so far as to submit something
    until(lambda: not cluster.queue(), seconds=120)

    code, output = driver.run(*words)
    assert code == 0, output
    assert "shtb-rescsrnet-promptmix: k 3, r_mix 4" in (tmp_path / "tables/table1.md").read_text()
    assert "Nothing to be done" in driver.run(*words)[1]

    jobs = cluster.jobs(killed) + cluster.jobs(output)
    print(*jobs, sep="\n")  # seen with pytest -s
    cancelled, again = (job for job in jobs if job.comment == rendering)
    assert (cancelled.state, cancelled.memory) == ("CANCELLED", "1000M")
    assert (again.state, again.memory) == ("COMPLETED", "2000M")
    jobs.remove(cancelled)
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert len({job.comment for job in jobs}) == len(jobs)  # none twice
    rules = Counter(re.match("rule_([a-z_]+)_wildcards", job.comment)[1] for job in jobs)
    once = ("render_dataset", "prepare_dataset", "generate_images", "annotate_images", "evaluate_annotator")
    assert rules == dict.fromkeys(once, 1) | {"train_network": 3, "evaluate_network": 3}  # the others: in the driver

    on_gpu = [job for job in jobs if job.gpus]
    assert len(on_gpu) == len(jobs) - 2  # rendered and prepared without
    assert {(job.gpus, job.threads) for job in on_gpu} == {("gres:gpu:1", "8")}
    training = {(job.memory, job.limit) for job in jobs if "train_network" in job.comment}
    assert training == {("6000M", "01:00:00"), ("6004M", "01:00:00")}  # the least, and for some generated images
    assert at_once(on_gpu) == 2
    for one, other in combinations(on_gpu, 2):
        if one.start < other.end and other.start < one.end:
            assert {one.device, other.device} == {"0", "1"}, f"{one}\n{other}"


@needs_slurm
def test_a_failing_job_is_named_and_a_killed_one_gets_more_memory_while_the_others_finish(driver):
    code, output = driver.run("works.txt", "fails.txt", "hungry.txt")
    assert code == 1

    assert (driver.folder / "works.txt").read_text() == (driver.folder / "hungry.txt").read_text() == "all of it"
    assert not (driver.folder / "fails.txt").exists()
    last = driver.attempts("fails")[-1][0]
    assert f"SLURM-job '{last}' failed, SLURM status is: 'FAILED'" in output
    (log,) = re.findall(r"log: logs/fails\.log, (\S+) \(check log", output.split(f"SLURM-job '{last}' failed")[1])
    assert Path(log).exists()

    (killed, little), (done, more) = driver.attempts("hungry")
    assert (little, more) == ("600", "1200")
    states = {job.number: (job.state, job.memory) for job in driver.cluster.jobs(output)}
    assert states[killed] == ("FAILED", "600M") and states[done] == ("COMPLETED", "1200M")
    assert len(states) == 1 + 2 + 2


@needs_slurm
def test_an_interrupted_driver_leaves_nothing_behind(driver):
    process = driver.start("waits1.txt", "waits2.txt", "waits3.txt")
    until(lambda: len(list(driver.folder.glob("*.txt"))) == 2 and len(driver.cluster.queue()) == 3)
    process.send_signal(signal.SIGINT)
    code, output = driver.end(process)
    assert code == 1
    until(lambda: not driver.cluster.queue(), seconds=20)  # a cancelled job takes seconds to end
    assert {job.state for job in driver.cluster.jobs(output)} == {"CANCELLED"}
    until(lambda: not list(driver.folder.glob("*.txt")), seconds=20)  # those that were half done
