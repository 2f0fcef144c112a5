"""Run the workflow as a user would, in a folder of its own and at a scale that takes minutes."""

import copy
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def shipped() -> dict:
    """Return the shipped config, with the results of a scale called tiny."""
    return yaml.safe_load((ROOT / "config/config.yaml").read_text().replace("results/miniature", "results/tiny"))


def tiny() -> dict:
    """Return a complete config, as small as can be: every rule of the method, every table and every figure."""
    config = shipped()
    datasets, render, experiments = (config[section] for section in ("datasets", "render", "experiments"))
    shtb = datasets["shtb"] | {"images": {"train": 8, "test": 4}, "split": {"val": 0.25}}
    nyu = datasets["nyu"] | {"images": {"all": 10}, "split": {"train": 6, "val": 2, "test": 2}}
    by_hand = {"locations": ["in a stadium", "on a beach"], "width": 48, "height": 32, "quality": 75}
    pools = {name: config["pools"][name] for name in ("shtb-captions", "rooms")}
    pools["rooms"] |= {"prompts": ["bedroom interior", "bathroom interior"], "width": 72, "height": 72}
    for word in ("grey", "colour"):
        pools[f"{word}-prompts"] = by_hand | {"prompts": [f"large crowd, people [location], {word} photo"]}
    steps = {"stable-diffusion": 2, "stable-diffusion-float16": 2}
    generators = {name: config["generators"][name] | {"steps": number} for name, number in steps.items()}
    generators["stable-diffusion-float16-restored"] = config["generators"]["stable-diffusion-float16-restored"]
    # With next to no denoising, faces are hardly to be seen: take for one what is a little like one.
    gfpgan = config["restorers"]["gfpgan"] | {"score": 0.8, "enlarge": 4}

    captions = experiments["shtb-rescsrnet-promptmix"]["fake"] | {"images_per_prompt": 3, "r_mix": 4}
    by_hand = captions | {"pools": ["colour-prompts"], "images_per_prompt": 6}
    rooms = experiments["nyu-guidedepth-promptmix"]["fake"] | {"images_per_prompt": 5, "r_mix": 4}
    annotators = ("sasnet-shtb", "sasnet-shta")
    on_shtb = {"dataset": "shtb", "network": "rescsrnet"}
    on_nyu = {"dataset": "nyu", "network": "guidedepth"}
    costs = {row["network"]: {"network": row["network"], "paper": row["paper"]} for row in config["tables"]["table3"]}
    runs, tested = {"baseline": ["shtb-rescsrnet"], "PromptMix": ["shtb-rescsrnet-promptmix"]}, {"shtb": "sasnet-shtb"}
    twice = {"training": {"repeats": 2}}  # where statistics are looked at
    return {
        "scale": "tiny",
        "seed": 42,
        "datasets": {"shtb": shtb, "nyu": nyu},
        "render": {
            "shtb": render["shtb"] | {"sizes": [[48, 32]], "people": [3, 12]},
            "nyu": render["nyu"] | {"sizes": [[72, 72]]},
        },
        "captioners": config["captioners"],
        "prompts": config["prompts"],
        "pools": pools,
        "generators": generators,
        "restorers": {"gfpgan": gfpgan},
        "annotators": {name: config["annotators"][name] for name in (*annotators, "adabins-nyu")},
        "networks": {"rescsrnet": {"width": 0.125}, "guidedepth": {"width": 0.125}},
        "training": {
            "default": config["training"]["default"] | {"epochs": 2, "learning_rates": ["1e-3"], "repeats": 1}
        },
        "experiments": {
            "shtb-rescsrnet": on_shtb | twice,
            "shtb-rescsrnet-control": on_shtb | twice | {"repeated": 4},
            "shtb-rescsrnet-promptmix": on_shtb | twice | {"fake": captions},
            "nyu-guidedepth": on_nyu,
            "nyu-guidedepth-control": on_nyu | {"repeated": 4},
            "nyu-guidedepth-promptmix": on_nyu | {"fake": rooms},
            "shtb-by-shta": on_shtb | {"fake": captions | {"annotator": "sasnet-shta"}},
            "shtb-restored": on_shtb | {"fake": captions | {"generator": "stable-diffusion-float16-restored"}},
            "shtb-prompt-filter": on_shtb | {"fake": by_hand | {"prompt_filter": {"baseline": "shtb-rescsrnet"}}},
            "shtb-q50": on_shtb | {"fake": by_hand | {"scored_by": [*annotators], "r_img": 50}},
        },
        "tables": {
            "table1": [comparison("shtb-rescsrnet") | {"paper": {"direction": "lower"}}],
            "table2": [comparison("nyu-guidedepth") | {"paper": config["tables"]["table2"][0]["paper"]}],
            "table3": [costs["rescsrnet"] | {"runs": runs}, costs["csrnet"], costs["sasnet"] | {"annotators": tested}],
            "table4": {"baseline": "shtb-rescsrnet", "rows": ["shtb-rescsrnet-promptmix"]},
            "table5": {"baseline": "shtb-rescsrnet", "rows": ["shtb-rescsrnet-promptmix", "shtb-by-shta"]},
            "table6": {"baseline": "shtb-rescsrnet", "rows": ["shtb-rescsrnet-promptmix", "shtb-restored"]},
            "table7": {"baseline": "shtb-rescsrnet", "rows": ["shtb-prompt-filter", "shtb-q50"]},
            "roundtrip": config["tables"]["roundtrip"] | {"pools": ["shtb-captions"]},
        },
        "figures": {
            "figure2": config["figures"]["figure2"] | {"columns": 2},
            "figure3": [{"baseline": "shtb-rescsrnet", "promptmix": "shtb-rescsrnet-promptmix"}],
            "figure4": [{"baseline": "nyu-guidedepth", "promptmix": "nyu-guidedepth-promptmix"}],
        },
    }


def comparison(baseline: str) -> dict:
    """Return the entry of a baseline in Table I or II."""
    return {"baseline": baseline, "control": f"{baseline}-control", "promptmix": f"{baseline}-promptmix"}


def jobs(output: str) -> dict[str, int]:
    """Return the number of jobs by rule that Snakemake announces."""
    table = output.split("Job stats:")[1].split("\n\n")[0]
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.M)}


@dataclass
class Workflow:
    """A folder in which the workflow runs with a config of its own, and with the shipped models."""

    folder: Path
    config: dict
    repository: Path = ROOT

    def __post_init__(self):
        models = self.folder / "resources/models"
        models.parent.mkdir(exist_ok=True)
        if not models.exists():
            models.symlink_to(ROOT / "resources/models")

    def command(self, *words: str) -> list[str]:
        """Return the command `snakemake {words}`, with the config in its place."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))
        command = [sys.executable, "-m", "snakemake", *words, "--cores", "2"]
        command += ["--snakefile", str(self.repository / "Snakefile"), "--directory", "."]
        return command + ["--configfile", "config.yaml", "--replace-workflow-config"]

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """Run `snakemake {words}`; stdout and stderr come together."""
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def __truediv__(self, path: str) -> Path:
        return self.folder / path


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """A tiny workflow of which nothing has been run."""
    return Workflow(tmp_path, tiny())


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A tiny workflow that has made all tables and figures; tests must not change it."""
    workflow = Workflow(tmp_path_factory.mktemp("tiny"), tiny())
    result = workflow.run("--resources", "gpu=2")
    assert result.returncode == 0, result.stdout
    return workflow


@pytest.fixture
def changed(finished, tmp_path) -> Workflow:
    """A copy of the finished workflow, to be changed."""
    folder = shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Workflow(folder, copy.deepcopy(finished.config))
