"""A user's own dataset, prompts, annotator and network, none of which this repository knows, through to a table."""

import json
import os
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.workflow import ROOT, Workflow, jobs, tiny

COUNTER = '''
"""People are where it is bright; see brightness.py."""

from brightness import of


def count(images):
    return of(images)[:, ::4, ::4] / float(open("code/divisor.txt").read())  # people per cell of 4x4 pixels
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
    """A folder with a user's images, points, code and config, in which two tables and a figure have been made."""
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
    (folder / "code/divisor.txt").write_text("100")
    (folder / "code/my_network.py").write_text(NETWORK)

    config = tiny()
    on_station = {"dataset": "station", "network": "my-network"}
    generated = {"pools": ["by-hand"], "k": 2, "annotator": "my-counter", "r_mix": 2}
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
        "annotators": {
            "my-counter": {
                "function": "code/my_counter.py:count",
                "task": "counting",
                "files": ["code/divisor.txt"],
            }
        },
        "networks": {"my-network": {"class": "code/my_network.py:MyNetwork", "task": "counting", "width": 4}},
        "promptmix": {"station": generated | {"generator": "stable-diffusion"}},
        "experiments": {"station-promptmix": on_station},
        "tables": {
            "stations": {"rows": [on_station]},
            "cost": {
                "kind": "cost",
                "rows": [
                    {"network": "my-network", "datasets": ["station"], "methods": ["baseline"]},
                    {"annotators": {"station": "my-counter"}},
                ],
            },
        },
        "figures": {"maps": {"kind": "predictions", "rows": [on_station]}},
    }
    config["training"] = {"default": config["training"]["default"]}
    for section in ("render", "restorers", "captioners", "prompts"):
        del config[section]
    workflow = Workflow(folder, config)
    result = workflow.run("tables/stations.md", "tables/cost.md", "figures/maps.png", "--resources", "gpu=2")
    assert result.returncode == 0, result.stdout
    return workflow


def test_the_tables_show_the_user_s_names(own):
    table = (own / "tables/stations.md").read_text()
    assert "Station" in table and "my-network" in table and "PromptMix" in table
    costs = pd.read_csv(own / "tables/cost.csv")
    assert costs["network"].tolist() == ["my-network", "my-counter"]
    assert costs["gmac"].isna().tolist() == [False, True]
    assert json.loads((own / "results/tiny/cost/my-network-1024x768.json").read_text())["parameters"] == 772 + 148 + 5


def test_the_user_s_function_is_tested_on_the_user_s_images(own):
    tested = pd.read_csv(own / "results/tiny/annotators/my-counter/station.csv", dtype={"image": str})
    for row in tested.itertuples():
        pixels = np.asarray(Image.open(own / "data/station" / row.image)).astype(np.float64)
        assert row.predicted == pytest.approx(pixels.mean(2)[::4, ::4].sum() / 255 / 100, rel=1e-4)
    mae = f"{tested['error'].abs().mean():.2f}"
    assert f"my-counter on Station: MAE {mae}, RMSE" in (own / "tables/stations.md").read_text()
    costs = (own / "tables/cost.md").read_text()
    assert f"| my-counter | — | — | {mae} |" in " ".join(costs.split()) and "my-counter costs is not known" in costs


def test_generated_images_have_the_counts_of_the_user_s_function(own):
    fake = pd.read_csv(own / "results/tiny/fake/station-promptmix.csv")
    assert len(fake) == 4
    for row in fake.itertuples():
        pixels = np.asarray(Image.open(own / "results/tiny/fake" / row.file)).astype(np.float64)
        assert row.count == pytest.approx(pixels.mean(2)[::4, ::4].sum() / 255 / 100, rel=1e-4)


ANNOTATED = {"annotate_images": 1, "evaluate_annotator": 1, "mix_dataset": 1, "train_network": 1}


@pytest.mark.parametrize(
    ("file", "old", "new", "planned"),
    [
        ("my_counter.py", "People are", "Persons are", {}),
        ("brightness.py", "255", "256", ANNOTATED),
        ("divisor.txt", "100", "50", ANNOTATED),
        ("divisor.txt", "100", "100", {}),
        ("my_network.py", "layers=1", "layers=2", {"train_network": 2}),
    ],
    ids=["docstring", "module beside the annotator", "file that it reads", "touched", "network"],
)
def test_what_depends_on_the_user_s_code_runs_again_if_it_changes(own, file, old, new, planned):
    path = own / f"code/{file}"
    source = path.read_text()
    path.write_text(source.replace(old, new))
    try:
        found = own.run("tables/stations.md", "--dry-run", "--quiet", "rules").stdout
    finally:
        path.write_text(source)
    if planned:
        runs = planned["train_network"]
        planned = planned | {"select_learning_rate": runs, "evaluate_network": runs, "write_table": 1, "show_table": 1}
        planned |= {"draw_curves": 1} | ({"show_generated": 1} if "mix_dataset" in planned else {})
        assert jobs(found) == planned | {"total": sum(planned.values())}
    else:
        assert "Nothing to be done" in found or "Job stats" not in found


DATASET = {"prepare_dataset": 1, "mix_dataset": 1, "train_network": 2, "select_learning_rate": 2, "evaluate_network": 2}
DATASET |= {"evaluate_annotator": 1, "write_table": 1, "draw_curves": 1, "show_generated": 1, "show_table": 1}


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
        result = own.run("tables/stations.md", "--dry-run", "--quiet", "rules")
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
    path.write_text(source.replace("/ float", "/ hundred * float"))
    try:
        block = "results/tiny/annotations/by-hand/stable-diffusion/my-counter/block-00000-00003.h5"
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


@pytest.fixture(scope="module")
def corridor(tmp_path_factory) -> Workflow:
    """A folder with a user's depth maps alone, and a config that says nothing of crowds."""
    folder = tmp_path_factory.mktemp("corridor")
    rng = np.random.default_rng(0)
    for part in ("images", "depths"):
        (folder / f"data/corridor/{part}").mkdir(parents=True)
    for i in range(8):
        pixels, millimetres = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8), rng.integers(500, 9000, (64, 64))
        Image.fromarray(pixels).save(folder / f"data/corridor/images/{i}.jpg")
        Image.fromarray(millimetres.astype(np.uint16)).save(folder / f"data/corridor/depths/{i}.png")
    config = {
        "scale": "corridor",
        "seed": 1,
        "datasets": {
            "corridor": {
                "title": "Corridor",
                "format": "depth_maps",
                "path": "data/corridor",
                "unit": 0.001,
                "images": {"all": 8},
                "split": {"val": 2, "test": 2},
            }
        },
        "networks": {"guidedepth": {"width": 0.125}},
        "training": {"default": {"epochs": 1, "batch_size": 2, "learning_rates": ["1e-3"]}},
        "tables": {
            "corridors": {
                "base": {"dataset": "corridor", "network": "guidedepth"},
                "vary": {"training": [{"epochs": 1}, {"epochs": 2}]},
                "methods": ["baseline"],
            }
        },
    }
    workflow = Workflow(folder, config)
    result = workflow.run()
    assert result.returncode == 0, result.stdout
    return workflow


def test_depth_alone_and_baselines_alone_make_a_table_of_the_user_s_own_name(corridor):
    runs = pd.read_csv(corridor / "tables/corridors.csv")
    assert runs["experiment"].tolist() == ["corridor-guidedepth", "corridor-guidedepth-epochs-2"]
    assert runs["task"].eq("depth").all() and runs["rmse_full_images"].between(0, 10).all()
    table = (corridor / "tables/corridors.md").read_text()
    assert "epochs 2" in table and "RMSE in metres" in table and "PromptMix" not in table
    assert (corridor / "results/corridor/tables/corridors.md").read_text() == table


# --- The configs to copy ---

LAID_OVER = {
    "training": {"default": {"epochs": 1, "learning_rates": [0.001], "repeats": 1}},
    "generators": {"stable-diffusion": {"steps": 2}},
}
"""What makes them quick, but for the dataset and the amounts."""


def made(folder, template, laid_over) -> pd.DataFrame:
    """Make Table I with a config to copy, as it stands, and a small one laid over it; return the table's CSV."""
    workflow = Workflow(folder, LAID_OVER | laid_over)
    *command, laid_over = workflow.command("tables/table1.md")
    command += [str(ROOT / f"config/{template}.yaml"), laid_over]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert not (workflow / f"results/{template}/rendered").exists()
    return pd.read_csv(workflow / "tables/table1.csv")


def test_the_config_to_copy_for_counting_makes_table_1_of_one_s_own_images(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "data/station/images").mkdir(parents=True)
    lines = ["image,x,y"]
    for i in range(8):
        pixels = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"data/station/images/{i}.jpg")
        lines += [f"{i}.jpg,{x:.1f},{y:.1f}" for x, y in rng.uniform(1, 47, (i + 1, 2))]
    (tmp_path / "data/station/points.csv").write_text("\n".join(lines))
    station = {"datasets": {"station": {"images": {"all": 8}}}, "promptmix": {"station": {"k": 2, "r_mix": 4}}}
    runs = made(tmp_path, "own-counting", station)
    names = [f"station-rescsrnet{method}" for method in ("", "-control", "-promptmix")]
    assert runs["experiment"].tolist() == names
    assert runs["task"].eq("counting").all() and runs["learning_rate"].eq(0.001).all()
    fake = pd.read_csv(tmp_path / f"results/own-counting/fake/{names[2]}.csv")
    assert len(fake) == 2 * len(pd.read_csv(tmp_path / "results/own-counting/captions/station/clipcap.csv")) == 8


def test_the_config_to_copy_for_depth_makes_table_1_of_one_s_own_images(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("images", "depths"):
        (tmp_path / f"data/corridor/{part}").mkdir(parents=True)
    for i in range(8):
        pixels, millimetres = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8), rng.integers(500, 9000, (48, 64))
        Image.fromarray(pixels).save(tmp_path / f"data/corridor/images/{i}.jpg")
        Image.fromarray(millimetres.astype(np.uint16)).save(tmp_path / f"data/corridor/depths/{i}.png")
    corridor = {"datasets": {"corridor": {"images": {"all": 8}}}, "promptmix": {"corridor": {"k": 2, "r_mix": 4}}}
    runs = made(tmp_path, "own-depth", corridor)
    assert runs["experiment"].tolist() == [f"corridor-guidedepth{method}" for method in ("", "-control", "-promptmix")]
    assert runs["task"].eq("depth").all() and runs["rmse_full_images"].between(0, 10).all()
