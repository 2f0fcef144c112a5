"""A model that a config names as on the Hub is the snapshot in the Hub's cache, and images depend on which. About 30 s."""

import shutil

from safetensors.torch import load_file, save_file
from support.workflow import ROOT, Workflow, jobs, tiny

BLOCK = "results/tiny/images/color/stable-diffusion/block-00000-00001.csv"
WEIGHTS = "vae/diffusion_pytorch_model.safetensors"


def test_images_are_made_anew_when_the_cache_moves_to_another_commit(tmp_path, monkeypatch):
    first, second = "a" * 40, "b" * 40
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    model = tmp_path / "cache/models--owner--name"
    for commit in (first, second):
        shutil.copytree(ROOT / "resources/models/stable-diffusion", model / "snapshots" / commit)
    weights = load_file(model / "snapshots" / second / WEIGHTS)
    weights["decoder.conv_out.bias"] += 0.1
    save_file(weights, model / "snapshots" / second / WEIGHTS, {"format": "pt"})
    (model / "refs").mkdir()
    (model / "refs/main").write_text(first)
    config = tiny()
    config["generators"]["stable-diffusion"]["model"] = "owner/name"
    (tmp_path / "run").mkdir()
    workflow = Workflow(tmp_path / "run", config)
    assert (result := workflow.run(BLOCK)).returncode == 0, result.stdout
    assert (
        f"snapshots/{first}"
        in (workflow / "results/tiny/logs/generate_images/color/stable-diffusion/00000-00001.log").read_text()
    )
    assert "Nothing to be done" in workflow.run(BLOCK, "-n").stdout
    (model / "refs/main").write_text(second)
    assert jobs(workflow.run(BLOCK, "-n").stdout) == {"generate_images": 1, "total": 1}
