"""D_fakes given to others, through the front door."""

import subprocess

import pandas as pd

from promptmix.datasets.registry import read_dataset

RESULTS = "results/tiny"
ROOMS = f"{RESULTS}/published/nyu-guidedepth-promptmix"
CROWDS = f"{RESULTS}/published/shtb-q50"


def test_a_d_fake_is_published_and_read_back_as_a_dataset(changed):
    result = changed.run(ROOMS, CROWDS)
    assert result.returncode == 0, result.stdout
    for folder, name in ((ROOMS, "nyu-guidedepth-promptmix"), (CROWDS, "shtb-q50")):
        rows = pd.read_csv(changed / f"{folder}/metadata.csv")
        fake = pd.read_csv(changed / f"{RESULTS}/fake/{name}.csv")
        assert rows["sha256"].tolist() == fake["sha256"].tolist()
        column = "depth" if folder == ROOMS else "count"
        assert rows[column].tolist() == fake[column].tolist()
        assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=changed / folder).returncode == 0
    assert pd.read_csv(changed / f"{CROWDS}/metadata.csv")["q"].notna().all()
    assert len(read_dataset("depth_maps", changed / ROOMS)) == 10


def test_what_cannot_be_published_is_refused_before_anything_is_computed(workflow):
    workflow.config["generators"]["stable-diffusion"]["model"] = "models/mine"
    for name, words in (
        ("shtb-rescsrnet", ("'shtb-rescsrnet' has no generated images", "shtb-rescsrnet-promptmix")),
        ("shtb-q50", ("models/mine (generates the images)", "its licence is not known", "publish: {accept:")),
    ):
        result = workflow.run(f"{RESULTS}/published/{name}")
        assert result.returncode == 1
        assert all(word in result.stdout for word in words), result.stdout
        assert not (workflow / f"{RESULTS}/published").exists() and not (workflow / f"{RESULTS}/rendered").exists()
