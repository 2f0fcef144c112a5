"""The paper's scale. None of its files can be had here: what is tested is the plan, and what a user reads who lacks them."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.workflow import ROOT, jobs, planned_trainings

from promptmix.networks.build import build
from promptmix.networks.checkpoints import read_metadata, read_tensors

PAPER = ROOT / "config" / "paper.yaml"

PLANNED = {
    "prepare_dataset": 5,
    "caption_images": 4,  # the training images of four datasets for counting
    # blocks of 400: 6 + 9 + 3 + 1 of captions, 19 of rooms, 25 + 3 of large crowd, 25 of locations, 1 of samples, 3 of Figure 2
    "generate_images": 95,
    "restore_faces": 6,
    "fine_tune_annotator": 4,
    "select_annotator": 1,
    "annotate_images": 147,
    "evaluate_annotator": 6,
    "score_images": 25,
    "mix_dataset": 32,
    "train_network": 160,  # 40 experiments, 4 learning rates
    "select_learning_rate": 40,
    "evaluate_network": 32,  # not those of single prompts
    "fetch_model": 3,
    "unpack_archive": 1,
    "import_checkpoint": 11,
    "write_table": 6,
    "draw_curves": 9,
    "show_generated": 9,
    "show_table": 8,
    "draw_changes": 2,
    "draw_sizes": 1,
    "show_figure": 7,
    "total": 645,
}
"""Jobs for all tables and figures, with nothing there."""


def paper(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Run `snakemake {words}` at the paper's scale in a folder in which there is nothing."""
    command = [sys.executable, "-m", "snakemake", *words, "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--configfile", str(PAPER), "--directory", "."]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("paper")


def test_the_whole_reproduction_is_planned_without_any_dataset(folder):
    result = paper(folder, "--dry-run", "--quiet", "rules")
    assert result.returncode == 0, result.stdout
    planned = jobs(result.stdout)
    assert planned["train_network"] == planned_trainings(PAPER)
    assert PLANNED.items() <= planned.items(), planned


def test_table1_alone_needs_no_ablation(folder):
    planned = jobs(paper(folder, "tables/table1.md", "--dry-run", "--quiet", "rules").stdout)
    assert planned["train_network"] == 14 * 4
    assert planned["generate_images"] == planned["annotate_images"] == 6 + 9 + 3 + 1
    assert "restore_faces" not in planned and "score_images" not in planned


def test_nothing_of_the_miniature_shines_through(folder):
    result = paper(folder, "results/paper/models/sasnet-shta.safetensors", "--dry-run")
    assert result.returncode != 0  # the miniature trains its models; the paper's config says nothing of that
    assert "MissingRuleException" in result.stdout


def test_a_dataset_that_a_person_must_fetch(folder):
    result = paper(folder, "results/paper/datasets/shta/index.csv")
    assert result.returncode != 0
    assert "resources/datasets/ShanghaiTech/part_A_final: the dataset is missing" in result.stdout
    assert "github.com/desenzhou/ShanghaiTechDataset" in result.stdout


def test_a_checkpoint_that_a_person_must_fetch(folder):
    result = paper(folder, "resources/checkpoints/sasnet-shta.safetensors")
    assert result.returncode != 0
    assert "It has to lie here: resources/downloads/SHHA.pth" in result.stdout
    assert "drive.google.com" in result.stdout and "Licence: " in result.stdout


def test_a_published_checkpoint_is_imported_once(folder):
    torch.manual_seed(0)
    state = build("sasnet").state_dict()
    (folder / "resources/downloads").mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / "resources/downloads/SHHB.pth", _use_new_zipfile_serialization=False)
    checkpoint = "resources/checkpoints/sasnet-shtb.safetensors"
    result = paper(folder, checkpoint)
    assert result.returncode == 0, result.stdout
    imported = read_tensors(folder / checkpoint)
    assert imported.keys() == state.keys()
    assert all(torch.equal(imported[key], state[key]) for key in state)
    said = read_metadata(folder / checkpoint)
    assert (
        said["network"] == "sasnet"
        and "drive.google.com" in said["source"]
        and said["licence"]
        and said["source_sha256"]
    )
    assert "Nothing to be done" in paper(folder, checkpoint).stdout

    # What needs it does not bring its download back, or one that is fetched, if they are deleted to save space; another
    # file of that name is imported.
    (folder / "resources/downloads/SHHB.pth").unlink()
    (folder / "resources/checkpoints/dmcount-qnrf.safetensors").touch()
    wanted = [f"results/paper/annotators/{name}/shtb.csv" for name in ("sasnet-shtb", "dmcount-qnrf")]
    result = paper(folder, *wanted, "--dry-run", "--quiet", "rules")
    assert jobs(result.stdout) == {"prepare_dataset": 1, "evaluate_annotator": 2, "total": 3}
    assert "SHHB.pth is not there any more. What was made of it is kept" in result.stdout
    (folder / "resources/downloads/SHHB.pth").write_bytes(b"another")
    planned = jobs(paper(folder, *wanted, "--dry-run", "--quiet", "rules").stdout)
    assert planned == {"import_checkpoint": 1, "prepare_dataset": 1, "evaluate_annotator": 2, "total": 4}


def test_the_preflight_lists_what_is_missing_and_fails(folder):
    result = paper(folder, "preflight")
    assert result.returncode != 0
    lines = result.stdout.splitlines()
    for name, state in {"shta": "MISSING", "qnrf": "will be fetched", "adabins-nyu": "MISSING"}.items():
        assert any(name in line and state in line for line in lines), result.stdout
