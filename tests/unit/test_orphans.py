"""Jobs in Slurm's queue that have outlived their Snakemake; a script takes the place of squeue."""

import pytest

from promptmix.errors import InputError
from promptmix.running import slurm
from promptmix.running.slurm import refuse_orphans


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Return what installs a squeue with these lines as its script, and nothing else on the PATH."""

    def install(*lines):
        (tmp_path / "squeue").write_text("\n".join(["#!/bin/sh", *lines]))
        (tmp_path / "squeue").chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return install


def test_no_slurm_no_orphans(squeue, tmp_path):
    refuse_orphans(tmp_path)


def test_jobs_of_other_folders_are_not_orphans(squeue, tmp_path):
    squeue(f"echo run-1 {tmp_path}/other", f"echo my own job {tmp_path.parent}")
    refuse_orphans(tmp_path)


def test_orphans_are_counted_and_their_runs_are_named(squeue, tmp_path):
    folder = tmp_path / "with a space"
    squeue(*(f"echo run-{number} '{folder}'" for number in (1, 1, 2)), f"echo run-3 {tmp_path}")
    with pytest.raises(InputError, match=r"3 of its jobs are still in Slurm's queue.*scancel --name run-1,run-2`"):
        refuse_orphans(folder)


def test_a_slurm_that_does_not_answer(squeue, tmp_path):
    squeue("echo 'Unable to contact slurm controller' >&2", "exit 1")
    with pytest.raises(
        InputError, match=r"`squeue --me` fails: Unable to contact slurm controller\. Run the same command again"
    ):
        refuse_orphans(tmp_path)


def test_a_slurm_that_is_too_slow(squeue, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "PATIENCE", 0.5)
    squeue("echo 'trying again' >&2", "exec /bin/sleep 60")
    with pytest.raises(InputError, match=r"`squeue --me` fails: .* timed out after 0\.5 seconds\. Run the same"):
        refuse_orphans(tmp_path)
