"""Kill jobs and Snakemake at random, again and again, and see whether anything is lost, doubled or left half-done.

    python benchmarks/storm.py                          a few hundred small jobs, some minutes on two cores
    python benchmarks/storm.py --blocks 40 --seed 7     more jobs, other kills
    python benchmarks/storm.py --real tables/table1.md  the workflow itself, with the tests' tiny config

A workflow is run twice in a temporary folder: once in peace, and once in a storm. In the storm, at random intervals, a
process is chosen and sent SIGKILL: mostly a job, sometimes Snakemake itself. Whenever Snakemake ends, because it was
killed or because jobs have failed, the same command is run again at once, until all kills are done and it succeeds. The
seed determines which processes are chosen and when, but not what they are doing then.

By default the workflow is a small version of the real one, whose jobs take a second: blocks of images with manifests,
annotations of each block by two annotators, trainings that resume from their state, a table. It uses the modules of the
real one (job, devices, locks, files, images, manifest, maps) and the settings of profiles/default, and it simulates two
GPUs, so that jobs lease them. `--real` takes a target of the real workflow, whose jobs take longer.

At the end it checks the following, and exits with an error and code 1 if anything is wrong:

- every manifest names the images of its block, each seed once, and each file's SHA-256 is as it says;
- there are the same files as after the run in peace, with the same bytes (except for the seconds in a history), no
  half-written files, and no state of an unfinished training;
- no job that had finished was done again;
- the same command has nothing left to do.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from promptmix.files import TEMPORARY, sha256  # noqa: E402
from promptmix.running.devices import SCHEDULERS  # noqa: E402
from promptmix.synthesis.manifest import read_manifest  # noqa: E402

LONGEST = 1800
"""Seconds after which a single run of Snakemake is assumed to hang."""

# --- The small workflow ---

SNAKEFILE = """
from promptmix.running import locks

if workflow.is_main_process:
    LOCK = locks.hold_and_clear()

POOLS = [f"pool{i}" for i in range(config["pools"])]
BLOCKS = [f"{100 * i:05d}-{100 * i + config['images'] - 1:05d}" for i in range(config["blocks"])]


rule all:
    input:
        "tables/table.csv",


rule generate_images:
    output:
        images=directory("results/images/{pool}/block-{block}"),
        manifest="results/images/{pool}/block-{block}.csv",
    log:
        "results/logs/generate_images/{pool}/{block}.log",
    resources:
        gpu=1,
    message:
        "Generating block {wildcards.block} of {wildcards.pool}"
    script:
        "scripts/generate_images.py"


rule annotate_images:
    input:
        "results/images/{pool}/block-{block}.csv",
    output:
        "results/annotations/{pool}/{annotator}/block-{block}.h5",
    log:
        "results/logs/annotate_images/{pool}/{annotator}/{block}.log",
    resources:
        gpu=1,
    message:
        "Annotating block {wildcards.block} of {wildcards.pool} with {wildcards.annotator}"
    script:
        "scripts/annotate_images.py"


rule train_network:
    input:
        manifests=expand("results/images/{{pool}}/block-{block}.csv", block=BLOCKS),
        annotations=expand("results/annotations/{{pool}}/{a}/block-{block}.h5", a=["first", "second"], block=BLOCKS),
    output:
        checkpoint="results/runs/{pool}/repeat-{repeat}/checkpoint.safetensors",
        history="results/runs/{pool}/repeat-{repeat}/history.csv",
    log:
        "results/logs/train_network/{pool}/{repeat}.log",
    resources:
        gpu=1,
    message:
        "Training on {wildcards.pool}, repeat {wildcards.repeat}"
    script:
        "scripts/train_network.py"


rule write_table:
    input:
        expand("results/runs/{pool}/repeat-{repeat}/checkpoint.safetensors", pool=POOLS, repeat=range(config["repeats"])),
    output:
        "tables/table.csv",
    log:
        "results/logs/write_table.log",
    message:
        "Writing the table"
    script:
        "scripts/write_table.py"
"""

SCRIPTS = {
    "generate_images": """
from promptmix.running import job

with job.start(snakemake):
    import time
    from pathlib import Path

    import numpy as np

    from promptmix.files import replacing, sha256
    from promptmix.datasets.pictures import encode_jpeg
    from promptmix.synthesis.manifest import write_manifest

    first, last = map(int, snakemake.wildcards.block.split("-"))
    rows = []
    for seed in range(first, last + 1):
        file = Path(snakemake.output.images, f"seed-{seed:05d}.jpg")
        pixels = np.random.default_rng([seed, *snakemake.wildcards.pool.encode()]).integers(0, 255, (32, 48, 3), np.uint8)
        with replacing(file) as temporary:
            content = encode_jpeg(pixels, 75)
            temporary.write_bytes(content[:500])
            time.sleep(0.01)  # half-written
            temporary.write_bytes(content)
        pool = snakemake.wildcards.pool
        rows.append({"file": file, "seed": seed, "pool": pool, "prompt_number": seed, "prompt": f"image {seed}"})
        rows[-1] |= {"width": 48, "height": 32, "quality": 75, "source": "", "faces": 0, "sha256": sha256(file)}
    write_manifest(snakemake.output.manifest, rows)
""",
    "annotate_images": """
from promptmix.running import job

with job.start(snakemake):
    import time

    import numpy as np

    from promptmix.synthesis.manifest import read_images
    from promptmix.synthesis.maps import Annotation, write_maps

    def annotations():
        for stem, image in read_images(snakemake.input[0]):
            time.sleep(0.01)
            blocks = image.reshape(4, 8, 6, 8, 3).sum((1, 3, 4), dtype=np.float32)
            yield Annotation(stem, blocks / (1 + len(snakemake.wildcards.annotator)), 32, 48)

    write_maps(snakemake.output[0], annotations(), 8, snakemake.wildcards.annotator)
""",
    "train_network": """
from promptmix.running import job

with job.start(snakemake):
    import time
    from pathlib import Path

    import numpy as np
    from safetensors.numpy import load_file, save_file

    from promptmix.files import clear_leftovers, replacing, write_csv
    from promptmix.synthesis.manifest import read_manifest
    from promptmix.synthesis.maps import read_counts

    counts = np.concatenate([read_counts(file)["count"] for file in snakemake.input.annotations])
    seeds = np.concatenate([read_manifest(file)["seed"] for file in snakemake.input.manifests])
    state = Path(snakemake.output.checkpoint).with_name("state.safetensors")
    clear_leftovers([state])  # as the real training does
    saved = load_file(state) if state.exists() else {"weights": np.zeros(50), "losses": np.zeros(0)}
    weights, losses = saved["weights"], saved["losses"]
    for epoch in range(len(losses), 30):
        rng = np.random.default_rng([int(snakemake.wildcards.repeat), epoch])
        weights = weights * 0.9 + rng.choice(counts, 50) + seeds.sum() * 1e-6
        losses = np.append(losses, weights.std())
        with replacing(state) as temporary:
            save_file({"weights": weights, "losses": losses}, temporary)
            time.sleep(0.02)
    write_csv(snakemake.output.history, [{"epoch": i + 1, "loss": loss} for i, loss in enumerate(losses)])
    with replacing(snakemake.output.checkpoint) as temporary:
        save_file({"weights": weights}, temporary)
    state.unlink()
""",
    "write_table": """
from promptmix.running import job

with job.start(snakemake):
    from safetensors.numpy import load_file

    from promptmix.files import write_csv

    write_csv(snakemake.output[0], [{"run": file, "mean": load_file(file)["weights"].mean()} for file in snakemake.input])
""",
}


def small_workflow(folder: Path, sizes: dict) -> list[str]:
    """Write the small workflow into a folder; return the command that runs it there."""
    (folder / "scripts").mkdir(parents=True)
    (folder / "Snakefile").write_text(SNAKEFILE)
    for name, text in SCRIPTS.items():
        (folder / f"scripts/{name}.py").write_text(text)
    settings = [f"{name}={value}" for name, value in sizes.items()]
    return ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", "4", "--config", *settings]


def real_workflow(folder: Path, target: str) -> list[str]:
    """Write the tests' tiny config into a folder; return the command that runs the real workflow there."""
    from support.workflow import tiny

    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(tiny(), sort_keys=False))
    (folder / "resources").mkdir()
    (folder / "resources/models").symlink_to(ROOT / "resources/models")
    return [target, "--snakefile", str(ROOT / "Snakefile"), "--cores", "2", "--configfile", "config.yaml"]


# --- The storm ---


class Run:
    """One workflow in one folder, and the state of its run.

    Attributes:
        starts: how often Snakemake was started.
        finished: how often each job was reported as finished, by what Snakemake calls it.
    """

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]):
        self.folder = folder
        self.command = [sys.executable, "-m", "snakemake", *command]
        self.environment = environment
        self.starts, self.finished = 0, Counter()

    def start(self) -> subprocess.Popen:
        self.starts += 1
        with open(self.folder / "terminal.txt", "w") as terminal:
            return subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=terminal, stderr=terminal
            )

    def end(self) -> str:
        """Return the output of the last start, and count the jobs that it finished."""
        text = (self.folder / "terminal.txt").read_text()
        names = dict(re.findall(r"^Job (\d+): (.*)$", text, flags=re.M))
        self.finished.update(
            names.get(number, f"job {number}") for number in re.findall(r"^Finished jobid: (\d+)", text, re.M)
        )
        return text

    def jobs(self) -> list[int]:
        """Return the ids of the processes that run jobs of this folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                if (process / "cwd").readlink() == self.folder and b"/.snakemake/scripts/" in words[1]:
                    found.append(int(process.name))
            except (OSError, IndexError):  # it has ended, or is the kernel's
                continue
        return sorted(found)


def in_peace(run: Run) -> None:
    """Run a workflow; raise if it fails."""
    code = run.start().wait(LONGEST)
    text = run.end()
    if code:
        raise SystemExit(f"the run in peace failed:\n{text}")


def in_a_storm(run: Run, rng: random.Random, kills: int, share: float, every: float) -> Counter:
    """Run a workflow until it is done, killing processes meanwhile; return the number of kills of jobs and Snakemake.

    Args:
        kills: number of processes to kill.
        share: share of the kills that hit Snakemake.
        every: mean number of seconds between two kills.
    """
    killed = Counter()
    while True:
        driver, before = run.start(), killed.total()
        while driver.poll() is None:
            storm = killed.total() < kills
            try:
                driver.wait(rng.expovariate(1 / every) if storm else LONGEST)
            except subprocess.TimeoutExpired:
                if not storm:
                    driver.kill()
                    raise
                what = "Snakemake" if rng.random() < share else "jobs"
                if victims := [driver.pid] if what == "Snakemake" else run.jobs():
                    with suppress(ProcessLookupError):  # it may have ended meanwhile
                        os.kill(rng.choice(victims), signal.SIGKILL)
                        killed[what] += 1
        text = run.end()
        if driver.returncode == 0:
            return killed
        if killed.total() == before:
            raise SystemExit(f"Snakemake failed, and nothing had been killed:\n{text}")


# --- What is left ---


def results(folder: Path) -> dict[str, str]:
    """Return the hash of each file that a run has made, by its path; for a history, its contents without times."""
    hashes = {}
    for part in ("results", "tables", "figures"):
        for file in sorted((folder / part).rglob("*")):
            path = str(file.relative_to(folder))
            if not file.is_file() or "/logs/" in path or file.name == ".snakemake_timestamp":
                continue
            if file.name == "history.csv":
                hashes[path] = pd.read_csv(file).drop(columns="seconds", errors="ignore").to_csv()
            else:
                hashes[path] = sha256(file)
    return hashes


def check(run: Run, peace: Run) -> int:
    """Compare the files of the run in a storm with those of the run in peace; return the number of images.

    Raises:
        SystemExit: with all that is wrong.
    """
    wrong, found, expected = [], results(run.folder), results(peace.folder)
    wrong += [f"lost: {path}" for path in expected.keys() - found.keys()]
    wrong += [f"too much: {path}" for path in found.keys() - expected.keys()]
    wrong += [f"other contents: {path}" for path in expected.keys() & found.keys() if expected[path] != found[path]]
    wrong += [f"half-written: {path}" for path in found if TEMPORARY.fullmatch(Path(path).name)]
    wrong += [f"unfinished: {path}" for path in found if Path(path).name.startswith("state.")]
    seen = set()
    for manifest in sorted((run.folder / "results").rglob("images/*/**/block-*.csv")):
        rows, (first, last) = read_manifest(manifest), map(int, manifest.stem.removeprefix("block-").split("-"))
        if rows["seed"].tolist() != list(range(first, last + 1)):
            wrong.append(f"not each image once: {manifest}")
        for row in rows.itertuples():
            if row.file in seen or Path(row.file).stem != f"seed-{row.seed:05d}":
                wrong.append(f"named twice or wrongly: {row.file}")
            if not Path(row.file).exists() or sha256(row.file) != row.sha256:
                wrong.append(f"not as its manifest says: {row.file}")
            seen.add(row.file)
    unnamed = {path for path in found if re.search(r"/seed-\d+\.jpg$", path)}
    unnamed -= {str(Path(image).relative_to(run.folder.resolve())) for image in seen}
    wrong += [f"in no manifest: {path}" for path in unnamed]
    wrong += [f"finished {times} times: {job}" for job, times in run.finished.items() if times > 1]
    again = subprocess.run(
        [*run.command, "--dry-run"], cwd=run.folder, env=run.environment, capture_output=True, text=True
    )
    if "Nothing to be done" not in again.stdout + again.stderr:
        wrong.append(f"there is still something to do:\n{again.stdout}{again.stderr}")
    if wrong:
        raise SystemExit("\n".join([f"{len(wrong)} things are wrong:", *wrong]))
    return len(seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pools", type=int, default=3)
    parser.add_argument("--blocks", type=int, default=20, help="of each pool; 3 jobs each")
    parser.add_argument("--repeats", type=int, default=6, help="trainings on each pool")
    parser.add_argument("--kills", type=int, help="one for three jobs, if not given")
    parser.add_argument("--share", type=float, default=0.2, help="of the kills that are Snakemake's")
    parser.add_argument("--every", type=float, default=1, help="seconds between two kills, on average")
    parser.add_argument("--real", metavar="TARGET", help="take a target of the real workflow instead")
    parser.add_argument("--keep", action="store_true", help="do not remove the temporary folder")
    chosen = parser.parse_args()

    folder = Path(tempfile.mkdtemp(prefix="storm-")).resolve()
    environment = {key: value for key, value in os.environ.items() if key not in SCHEDULERS}
    environment |= {"PYTHONPATH": str(ROOT / "scripts"), "TMPDIR": str(folder)}
    if not chosen.real:
        environment["CUDA_VISIBLE_DEVICES"] = "0,1"
    sizes = {"pools": chosen.pools, "blocks": chosen.blocks, "repeats": chosen.repeats, "images": 20}
    runs = []
    for name in ("peace", "storm"):
        place = folder / name
        command = real_workflow(place, chosen.real) if chosen.real else small_workflow(place, sizes)
        runs.append(Run(place, command, environment))
    peace, storm = runs

    times = [time.monotonic()]
    in_peace(peace)
    times.append(time.monotonic())
    jobs = sum(peace.finished.values())
    print(f"in peace: {jobs} jobs, {times[1] - times[0]:.0f} s", flush=True)
    kills = jobs // 3 if chosen.kills is None else chosen.kills
    killed = in_a_storm(storm, random.Random(chosen.seed), kills, chosen.share, chosen.every)
    times.append(time.monotonic())
    images = check(storm, peace)
    print(
        f"in the storm (seed {chosen.seed}): {jobs} jobs, {killed['jobs']} kills of jobs, {killed['Snakemake']} of Snakemake, "
        f"{storm.starts} starts, {times[2] - times[1]:.0f} s\n"
        f"{images} images, each once and as its manifest says; {len(results(storm.folder))} files, the same as in peace; "
        "nothing half-written; no finished job done again; nothing left to do"
    )
    if not chosen.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
