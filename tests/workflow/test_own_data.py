"""A user's own dataset, prompts, annotator and network, none of which this repository knows, through to Table I."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import Workflow, jobs, tiny
from PIL import Image

COUNTER = '''
"""People are where it is bright; see brightness.py."""

from brightness import of


def count(images):
    return of(images)[:, ::4, ::4] / 100  # people per cell of 4x4 pixels
'''

BRIGHTNESS = """
def of(images):
    return images.float().mean(1) / 255
"""

NETWORK = """
from torch import nn


class MyNetwork(nn.Module):
    stride = 8

    def __init__(self, width, layers=1):
        super().__init__()
        self.shrink = nn.Sequential(nn.Conv2d(3, width, 8, stride=8), nn.ReLU())
        self.body = nn.Sequential(*(nn.Conv2d(width, width, 3, padding=1) for _ in range(layers)))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, image):
        return self.head(self.body(self.shrink(image)))
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Workflow:
    """A folder with a user's images, points, code and config, in which Table I and Table III have been made."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    (folder / "data/station/images").mkdir(parents=True)
    heads = []
    for i in range(8):
        Image.fromarray(rng.integers(0, 255, (32, 44, 3), dtype=np.uint8)).save(folder / f"data/station/images/{i}.jpg")
        heads += [{"image": f"{i}.jpg", "x": x, "y": y} for x, y in rng.uniform(1, 31, (i + 1, 2))]
    pd.DataFrame(heads).to_csv(folder / "data/station/points.csv", index=False)
    (folder / "code").mkdir()
    (folder / "code/my_counter.py").write_text(COUNTER)
    (folder / "code/brightness.py").write_text(BRIGHTNESS)
    (folder / "code/my_network.py").write_text(NETWORK)

    config = tiny()
    on_station = {"dataset": "station", "network": "my-network"}
    fake = {"pools": ["by-hand"], "images_per_prompt": 2, "generator": "stable-diffusion", "annotator": "my-counter"}
    config |= {
        "datasets": {
            "station": {
                "title": "Station",
                "format": "points",
                "path": "data/station",
                "images": {"all": 8},
                "split": {"val": 2, "test": 2},
            }
        },
        "pools": {
            "by-hand": {"prompts": ["a crowded station", "a dark hall"], "width": 48, "height": 32, "quality": 90}
        },
        "generators": {"stable-diffusion": config["generators"]["stable-diffusion"]},
        "annotators": {"my-counter": {"function": "code/my_counter.py:count", "task": "counting"}},
        "networks": {"my-network": {"class": "code/my_network.py:MyNetwork", "task": "counting", "width": 4}},
        "experiments": {"station": on_station, "station-promptmix": on_station | {"fake": fake | {"r_mix": 2}}},
        "tables": {
            "table1": [{"baseline": "station", "promptmix": "station-promptmix"}],
            "table3": [{"network": "my-network", "runs": {"baseline": ["station"]}}],
        },
        "figures": {"figure3": [{"baseline": "station", "promptmix": "station-promptmix"}]},
    }
    for section in ("render", "restorers", "captioners"):
        config[section] = {}
    workflow = Workflow(folder, config)
    result = workflow.run("tables/table1.md", "tables/table3.md", "figures/figure3.png", "--resources", "gpu=2")
    assert result.returncode == 0, result.stdout
    return workflow


def test_the_tables_show_the_user_s_names(own):
    table = (own / "tables/table1.md").read_text()
    assert "Station" in table and "my-network" in table and "PromptMix" in table
    costs = pd.read_csv(own / "tables/table3.csv")
    assert costs["network"].tolist() == ["my-network"]
    assert json.loads((own / "results/tiny/cost/my-network.json").read_text())["parameters"] == 772 + 148 + 5


def test_generated_images_have_the_counts_of_the_user_s_function(own):
    fake = pd.read_csv(own / "results/tiny/fake/station-promptmix.csv")
    assert len(fake) == 4
    for row in fake.itertuples():
        pixels = np.asarray(Image.open(own / "results/tiny/fake" / row.file)).astype(np.float64)
        assert row.count == pytest.approx(pixels.mean(2)[::4, ::4].sum() / 255 / 100, rel=1e-4)


@pytest.mark.parametrize(
    ("file", "old", "new", "planned"),
    [
        ("my_counter.py", "People are", "Persons are", {}),
        ("brightness.py", "255", "256", {"annotate_images": 1, "mix_dataset": 1, "train_network": 1}),
        ("my_network.py", "layers=1", "layers=2", {"train_network": 2}),
    ],
    ids=["docstring", "module beside the annotator", "network"],
)
def test_what_depends_on_the_user_s_code_runs_again_if_it_changes(own, file, old, new, planned):
    path = own / f"code/{file}"
    source = path.read_text()
    path.write_text(source.replace(old, new))
    try:
        found = own.run("tables/table1.md", "--dry-run", "--quiet", "rules").stdout
    finally:
        path.write_text(source)
    if planned:
        runs = planned["train_network"]
        planned = planned | {"select_learning_rate": runs, "evaluate_network": runs, "write_table": 1}
        assert jobs(found) == planned | {"total": sum(planned.values())}
    else:
        assert "Nothing to be done" in found or "Job stats" not in found


DATASET = {"prepare_dataset": 1, "train_network": 2, "select_learning_rate": 2, "evaluate_network": 2, "write_table": 1}


@pytest.mark.parametrize(
    ("edit", "planned"),
    [
        (lambda folder: [(folder / ".hidden").touch(), *map(os.utime, folder.rglob("*"))], {}),
        (lambda folder: (folder / "points.csv").open("a").write("0.jpg,1,1\n"), DATASET),
        (lambda folder: shutil.copyfile(folder / "images/1.jpg", folder / "images/0.jpg"), DATASET),
        (shutil.rmtree, {}),
    ],
    ids=["touched", "points", "image", "deleted"],
)
def test_what_depends_on_the_user_s_dataset_runs_again_if_it_changes(own, tmp_path, edit, planned):
    folder = own / "data/station"
    shutil.copytree(folder, tmp_path / "station")
    edit(folder)
    try:
        result = own.run("tables/table1.md", "--dry-run", "--quiet", "rules")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "station", folder)
    assert result.returncode == 0, result.stdout
    if planned:
        assert jobs(result.stdout) == planned | {"total": sum(planned.values())}
    else:
        assert "Job stats" not in result.stdout


def test_an_error_in_the_user_s_function_is_shown_with_its_traceback(own):
    path = own / "code/my_counter.py"
    source = path.read_text()
    path.write_text(source.replace("/ 100", "/ hundred"))
    try:
        block = "results/tiny/annotations/by-hand/stable-diffusion/my-counter/block-000.h5"
        result = own.run(block, "--force")
    finally:
        path.write_text(source)
    assert result.returncode != 0
    shown = result.stdout
    assert "annotate_images failed. code/my_counter.py:count failed on " in shown
    assert '/code/my_counter.py", line 8, in count' in shown
    assert "NameError: name 'hundred' is not defined" in shown


def test_code_that_is_not_there_is_an_error_before_anything_runs(own):
    changed = own.config | {"annotators": {"my-counter": {"function": "my_counter.py:count", "task": "counting"}}}
    result = Workflow(own.folder, changed).run("--dry-run")
    assert result.returncode != 0
    assert "annotators.my-counter.function: my_counter.py: no such file" in result.stdout
