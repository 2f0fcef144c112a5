"""The rehearsal of the paper's config: which jobs it has, and how it reads what they used. The jobs themselves take an hour."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from support.workflow import ROOT, jobs

from promptmix.config.loading import load
from promptmix.config.validation import read, resolve
from promptmix.networks.build import build
from promptmix.synthesis.faces import FaceRestorer

SCRIPT = ROOT / "benchmarks" / "rehearsal.py"
PAPER = ROOT / "config" / "paper.yaml"


@pytest.fixture(scope="module")
def rehearsal():
    spec = importlib.util.spec_from_file_location("rehearsal", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["rehearsal"] = module  # for its dataclass
    spec.loader.exec_module(module)
    return module


def planned(config: Path, folder: Path) -> dict[str, int]:
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "2"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config), "--directory", "."]
    return jobs(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout)


def test_it_has_all_rules_of_the_config_and_few_jobs(rehearsal, tmp_path):
    small, _ = rehearsal.rehearsed(load([PAPER])[0])
    (tmp_path / "rehearsal.yaml").write_text(yaml.safe_dump(small))
    found, whole = planned(tmp_path / "rehearsal.yaml", tmp_path), planned(PAPER, tmp_path)
    assert found.keys() == whole.keys()
    assert found["train_network"] < 40 and found["generate_images"] < 20
    plan, targets = resolve(read([str(tmp_path / "rehearsal.yaml")], {}))
    assert targets.keys() == resolve(read([str(PAPER)], {}))[1].keys()
    images = sum(sum(target.needs.images.values()) for target in targets.values())
    assert images < 80 and {e.training["epochs"] for e in plan.experiments.values()} == {1}


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"datasets": {"mine": {}}}, "datasets.mine: the sizes of its images are not known here"),
        ({"captioners": {"blip": {"model": "m"}}}, "captioners.blip: it is not ClipCap"),
        (
            {"annotators": {"a": {"weights": "resources/checkpoints/mine.safetensors"}}},
            "mine.safetensors: config/sources",
        ),
        ({"generators": {"mine": {"model": "m", "base": "b"}}}, "generators.mine: it is not Stable Diffusion v1"),
    ],
)
def test_a_config_that_has_what_nothing_stands_for_is_refused(rehearsal, part, said):
    config = load([PAPER])[0]
    assert rehearsal.refused(config) == ""
    for section, entries in part.items():
        config[section] |= entries
    assert said in rehearsal.refused(config)


@pytest.mark.parametrize("gpu", [False, True])
def test_what_is_smaller_than_in_the_config_is_said(rehearsal, gpu, monkeypatch):
    monkeypatch.setattr(rehearsal, "GPU", gpu)
    config, smaller = rehearsal.rehearsed(load([PAPER])[0])
    batch = config["training"]["shtb"]["batch_size"]
    if gpu:
        assert smaller == [] and batch == 32 and config["datasets"]["panda"]["resize"] == {"exact": [2560, 1440]}
        assert config["datasets"]["shtb"]["images"]["train"] == 33
    else:
        assert batch == 2 and any("panda: images of 1280x720, and not of 2560x1440" in one for one in smaller)
        assert any("training on shtb in batches of 2, and not of 32" in one for one in smaller)


def test_its_crowds_have_the_published_sizes_and_heads_inside(rehearsal):
    scene = rehearsal._tiled(np.random.default_rng(0), 1024, 700)
    assert scene.image.shape == (700, 1024, 3)
    assert len(scene.points) == len(scene.boxes) > 100
    assert (
        (scene.points >= 0).all() and (scene.points < [1024, 700]).all() and (scene.boxes[:, 2:] <= [1024, 700]).all()
    )


def test_the_detector_of_random_weights_finds_some_faces_in_any_image(rehearsal):
    torch.manual_seed(0)
    detector = build("retinaface")
    rehearsal._expect_few_faces(detector)
    others = (build("parsenet", in_size=64, width=0.125), build("gfpgan", out_size=64, style=16, width=0.0625))
    restorer = FaceRestorer(detector, *others)
    for pixels in (
        np.zeros((768, 1024, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (768, 1024, 3), np.uint8),
    ):
        assert 5 < len(restorer.detect(pixels)[0]) < 50
