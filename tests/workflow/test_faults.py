"""Runs that are killed, stopped, starved of disk, started twice, or whose files are lost: the same command completes.

On two cores, about 100 s beside the finished run that all workflow tests share: two kills along one block of images,
three along one training, one along a pool that grows, a block made anew, a full disk.
"""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from support.workflow import Workflow, jobs

from promptmix.synthesis.maps import read_counts

RESULTS = "results/tiny"
POOL = "locations/stable-diffusion"
IMAGES, ANNOTATIONS = f"{RESULTS}/images/{POOL}", f"{RESULTS}/annotations/{POOL}"
SCORES = f"{RESULTS}/quality/{POOL}/sasnet-shta+sasnet-shtb/block-00000-00011.csv"
RUN = f"{RESULTS}/runs/long/lr-1e-3/repeat-0"


def made(workflow: Workflow) -> dict[str, str]:
    """Return the contents of all files that the workflow has made but logs and benchmarks, hashed; a time that was taken is no content."""
    found = {}
    for folder in ("results", "tables", "figures"):
        for path in (workflow / folder).rglob("*"):
            name = str(path.relative_to(workflow.folder))
            if not path.is_file() or name.startswith((f"{RESULTS}/logs/", f"{RESULTS}/benchmarks/")):
                continue
            content = path.read_bytes()
            if path.name == "history.csv":
                content = pd.read_csv(path).drop(columns="seconds").to_csv().encode()
            found[name] = hashlib.sha256(content).hexdigest()
    return found


class Driver:
    """Snakemake, running in a group of processes of its own, as a shell would start it."""

    def __init__(self, workflow: Workflow, *words: str):
        self.log = workflow / "driver.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                workflow.command(*words), cwd=workflow.folder, stdout=log, stderr=log, process_group=0
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def until(self, event: Callable[[], object]) -> None:
        """Wait for an event, which must come while Snakemake runs, and within two minutes."""
        deadline = time.monotonic() + 120
        while not event():
            assert self.process.poll() is None, f"ended too early:\n{self.output}"
            assert time.monotonic() < deadline, self.output
            time.sleep(0.002)

    def stop(self, number: signal.Signals, alone: bool = False) -> None:
        """Send a signal to Snakemake and its jobs, or to Snakemake alone, and wait until none of them is left."""
        assert self.process.poll() is None, self.output
        (os.kill if alone else os.killpg)(self.process.pid, number)
        self.process.wait(timeout=60)
        deadline = time.monotonic() + 60
        while self.alive():
            assert time.monotonic() < deadline, "a job goes on without its Snakemake"
            time.sleep(0.01)

    def alive(self) -> bool:
        """Tell whether any process of the group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True


@pytest.fixture
def start():
    """Start drivers that do not outlive the test."""
    started = []

    def start(workflow: Workflow, *words: str) -> Driver:
        started.append(Driver(workflow, *words))
        return started[-1]

    yield start
    for driver in started:
        if driver.alive():
            os.killpg(driver.process.pid, signal.SIGKILL)
        driver.process.wait()


# --- Kills ---


def test_a_run_that_is_killed_completes_with_the_same_command_and_the_same_files(finished, changed, start):
    for folder in ("images", "annotations", "quality", "logs/annotate_images"):
        shutil.rmtree(changed / f"{RESULTS}/{folder}/locations")

    # Snakemake is killed while it generates; the job ends with it. Images wait in a hidden folder until all are there.
    driver = start(changed, SCORES)
    driver.until(lambda: (changed / f"{IMAGES}/.block-00000-00011.part/written").exists())
    driver.stop(signal.SIGKILL, alone=True)
    assert not (changed / f"{IMAGES}/block-00000-00011").exists()
    assert not (changed / f"{IMAGES}/block-00000-00011.csv").exists()

    # All is killed while it annotates.
    driver = start(changed, SCORES)
    driver.until(lambda: list((changed / RESULTS).glob("logs/annotate_images/locations/**/00000-00011.log")))
    driver.stop(signal.SIGKILL)
    assert jobs(driver.output) == {"generate_images": 1, "annotate_images": 2, "score_images": 1, "total": 4}
    assert not list((changed / RESULTS).glob("annotations/locations/**/*.h5"))

    result = changed.run(SCORES)
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"annotate_images": 2, "score_images": 1, "total": 3}
    assert made(changed) == made(finished)


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory) -> tuple[Workflow, subprocess.CompletedProcess]:
    """A long training that is let alone, and what a second Snakemake says meanwhile that is to make the same."""
    folder = shutil.copytree(finished.folder, tmp_path_factory.mktemp("long") / "copy", symlinks=True)
    workflow = with_a_long_training(Workflow(folder, finished.config))
    driver = Driver(workflow, f"{RUN}/checkpoint.safetensors")
    try:
        driver.until(lambda: (workflow / f"{RUN}/state.pt").exists())
        second = workflow.run(f"{RUN}/checkpoint.safetensors")
        assert driver.process.wait(timeout=120) == 0, driver.output
    finally:
        driver.process.kill()
    return workflow, second


def with_a_long_training(workflow: Workflow) -> Workflow:
    """Return the same folder with one more experiment, of so many epochs that there is time to stop it."""
    experiments = workflow.config["experiments"]
    long = {"dataset": "shtb", "network": "rescsrnet", "method": "baseline", "training": {"epochs": 2000, "repeats": 1}}
    return Workflow(workflow.folder, workflow.config | {"experiments": experiments | {"long": long}})


def test_a_second_snakemake_does_not_touch_what_the_first_one_makes(undisturbed):
    _, second = undisturbed
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout and "--unlock" in second.stdout


def test_a_training_that_is_stopped_goes_on_from_its_last_saved_epoch(undisturbed, changed, start):
    changed = with_a_long_training(changed)
    state, log = changed / f"{RUN}/state.pt", changed / f"{RESULTS}/logs/train_network/long/lr-1e-3/repeat-0.log"
    saved = 0

    for number, alone in ((signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGKILL, True)):
        driver = start(changed, f"{RUN}/checkpoint.safetensors")
        driver.until(lambda before=saved: state.exists() and state.stat().st_mtime_ns > before)
        saved = state.stat().st_mtime_ns
        driver.stop(number, alone)
        assert driver.process.returncode != 0
        assert os.listdir(changed / RUN) == ["state.pt"]
        if number != signal.SIGKILL:  # the user reads what happened, in one line
            assert f"train_network was stopped by {number.name}" in driver.output
            assert "Traceback" not in driver.output

    result = changed.run(f"{RUN}/checkpoint.safetensors")
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"train_network": 1, "total": 1}
    assert int(re.search(r"Resuming after epoch (\d+)", log.read_text())[1]) > 1
    assert made(changed) == made(undisturbed[0])


# --- Pools that grow ---


def of_images(workflow: Workflow) -> dict[str, tuple[bytes, int]]:
    """Return the contents and times of all images, manifests, annotations and scores."""
    paths = [path for part in ("images", "annotations", "quality") for path in (workflow / RESULTS / part).rglob("*")]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths if path.is_file()}


def test_a_pool_grows_through_a_kill_and_shrinks_and_keeps_all_images_that_it_has(finished, changed, start):
    target, before = f"{RESULTS}/fake/shtb-q50.csv", of_images(changed)
    changed.config["experiments"]["shtb-q50"]["k"] = 40  # 80 images, of which 12 are there
    new = changed / f"{IMAGES}/block-00012-00079"
    driver = start(changed, target)
    driver.until(lambda: (new.with_name(f".{new.name}.part") / "seed-00012.jpg").exists())
    driver.stop(signal.SIGKILL)
    assert not new.exists() and not new.with_suffix(".csv").exists()
    assert before.items() <= of_images(changed).items()

    result = changed.run(target)
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {
        **{"generate_images": 1, "annotate_images": 2, "score_images": 1, "mix_dataset": 1, "total": 5}
    }
    log = (changed / f"{RESULTS}/logs/generate_images/{POOL}/00012-00079.log").read_text()
    assert re.search(r"Resuming: \d+ of 68 images are there", log)
    grown = of_images(changed)
    assert before.items() <= grown.items()
    assert sorted(path.name for path in new.glob("*.jpg")) == [f"seed-{seed:05d}.jpg" for seed in range(12, 80)]
    fake = pd.read_csv(changed / target)
    assert len(fake) == 40 and (fake["stem"] > "seed-00011").any() and (fake["stem"] <= "seed-00011").any()
    for maps, rows in fake.groupby("maps"):
        counts = read_counts(changed / RESULTS / "fake" / maps)["count"]
        assert counts[rows["stem"]].tolist() == pytest.approx(rows["count"].tolist())

    changed.config["experiments"]["shtb-q50"]["k"] = 6
    result = changed.run(target)
    assert jobs(result.stdout) == {"mix_dataset": 1, "total": 1}
    assert (changed / target).read_bytes() == (finished / target).read_bytes()
    assert of_images(changed) == grown


# --- Lost and damaged files ---


def test_an_image_that_was_changed_is_named_with_the_command_that_makes_it_anew(finished, changed):
    image = changed / f"{IMAGES}/block-00000-00011/seed-00003.jpg"
    content = image.read_bytes()
    image.write_bytes(content[:-1] + b"x")
    result = changed.run(f"{ANNOTATIONS}/adabins-nyu/block-00000-00011.h5")  # which nothing else needs
    assert result.returncode != 0
    says = re.search(
        r"ERROR annotate_images failed\. (\S+): not the image that was generated: its SHA-256 is ([0-9a-f]{64}), its "
        r"manifest says ([0-9a-f]{64})\. Delete the folder (\S+) and generate its images again with `snakemake (.*)`",
        result.stdout,
    )
    assert Path(says[1]) == image
    assert [says[2], says[3]] == [hashlib.sha256(found).hexdigest() for found in (image.read_bytes(), content)]

    shutil.rmtree(changed / says[4])
    command = [sys.executable, "-m", "snakemake", *shlex.split(says[5])]
    command += ["--snakefile", str(changed.repository / "Snakefile")]  # a user is in its folder
    again = subprocess.run(command, cwd=changed.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert again.returncode == 0, again.stdout
    assert jobs(again.stdout) == {"generate_images": 1, "total": 1}
    assert made(changed) == made(finished)
    assert "Nothing to be done" in changed.run("--dry-run").stdout  # for the images are the same again


# --- A full disk ---


def test_a_full_disk_leaves_nothing_partial_and_the_same_command_completes(finished, changed):
    """On a disk of its own, so small that annotations do not fit, which is there for as long as the shell runs."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system, or user namespaces")
    shutil.rmtree(changed / ANNOTATIONS)
    target = f"{ANNOTATIONS}/sasnet-shta/block-00000-00011.h5"
    small = changed / RESULTS / "annotations/locations"
    script = f"mount -t tmpfs -o size=8k tmpfs {shlex.quote(str(small))} && ({shlex.join(changed.command(target))}"
    script += f"); echo returned $?; find {shlex.quote(str(small))} -type f"
    result = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script], cwd=changed.folder, capture_output=True, text=True, check=True
    )
    output = result.stdout + result.stderr
    assert output.count(f"No room for a file in {Path(target).parent} (No space left on device). Make room") == 2
    assert "Traceback" not in output.split("Logfile")[0]
    assert result.stdout.endswith("returned 1\n")  # and then no files

    result = changed.run(target, f"{ANNOTATIONS}/sasnet-shtb/block-00000-00011.h5")
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout) == {"annotate_images": 2, "total": 2}
    assert made(changed) == made(finished)
