"""Run the workflow as a user would, in a folder of its own and at a scale that takes minutes."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from promptmix.config.experiments import Needs
from promptmix.config.loading import load
from promptmix.config.plan import Plan
from promptmix.config.validation import read, resolve

ROOT = Path(__file__).parents[2]


def shipped() -> dict:
    """Return what the shipped config and the design that it extends say."""
    return load([ROOT / "config/config.yaml"])[0]


def tiny() -> dict:
    """Return a complete config, as small as can be: every rule of the method, every table and every figure."""
    config = shipped()
    datasets, render = config["datasets"], config["render"]
    shtb = datasets["shtb"] | {"images": {"train": 8, "test": 4}, "split": {"val": 0.25}}
    nyu = datasets["nyu"] | {"images": {"all": 10}, "split": {"train": 6, "val": 2, "test": 2}}
    size = {"width": 48, "height": 32}
    pools = {name: config["pools"][name] for name in ("shtb-captions", "rooms")}
    pools["rooms"] |= {"prompts": ["bedroom interior", "bathroom interior"], "width": 72, "height": 72}
    pools["locations"] = config["pools"]["locations"] | {"locations": ["a stadium", "mecca"]} | size
    pools["samples"] = config["pools"]["samples"] | {"prompts": config["pools"]["samples"]["prompts"][:3]} | size
    colours = ("black-and-white", "grayscale", "color")
    pools |= {name: config["pools"][name] | size for name in colours}
    # With next to no denoising, faces are hardly to be seen: take for one what is a little like one.
    gfpgan = config["restorers"]["gfpgan"] | {"score": 0.8, "enlarge": 4}
    on_shtb = {"dataset": "shtb", "network": "rescsrnet"}
    on_locations = {"pools": ["locations"], "k": 6}
    both, control = ["sasnet-shtb", "sasnet-shta"], {"methods": ["control"]}
    default = config["training"]["default"] | {"epochs": 2, "learning_rates": ["1e-3"], "repeats": 1}
    tables = config["tables"]
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
        "generators": {"stable-diffusion": config["generators"]["stable-diffusion"] | {"steps": 2}},
        "restorers": {"gfpgan": gfpgan},
        "annotators": {
            **{name: config["annotators"][name] for name in ("sasnet-shtb", "adabins-nyu")},
            "sasnet-shta": {k: v for k, v in config["annotators"]["sasnet-shta"].items() if k != "trained_on"},
            "both": {"mean_of": list(both)},
        },
        "networks": {"rescsrnet": {"width": 0.125}, "guidedepth": {"width": 0.125}},
        "training": {"default": default, "shtb": {"repeats": 2}},  # where statistics are looked at
        "promptmix": {
            "default": {"generator": "stable-diffusion"},
            "shtb": {"pools": ["shtb-captions"], "annotator": "sasnet-shtb", "k": 3, "r_mix": 4},
            "nyu": {"pools": ["rooms"], "annotator": "adabins-nyu", "k": 5, "r_mix": 4},
        },
        "experiments": {
            "shtb-by-shta": on_shtb | {"annotator": "sasnet-shta"},
            "shtb-restored": on_shtb | {"precision": "float16", "restorer": "gfpgan"},
            "shtb-by-both": on_shtb | {"annotator": "both"},
            "shtb-prompt-filter": on_shtb | on_locations | {"prompt_filter": True},
            "shtb-q50": on_shtb | on_locations | {"scored_by": list(both), "r_img": 50},
        },
        "tables": {
            "table1": {"rows": [on_shtb | {"paper": "shtb-rescsrnet"}], "ours": control},
            "table2": {"columns": ["method"], "rows": tables["table2"]["rows"], "ours": control},
            "table3": {
                "kind": "cost",
                "rows": [
                    {"network": "rescsrnet", "datasets": ["shtb"], "paper": "rescsrnet"},
                    {"network": "csrnet", "paper": "csrnet"},
                    {"network": "sasnet", "annotators": {"shtb": "sasnet-shtb"}, "paper": "sasnet"},
                ],
            },
            "table4": {"base": on_shtb, "rows": [{"k": 3, "r_mix": 4}], "measured": ["generated images"]},
            "table5": {"base": on_shtb, "rows": [{"annotator": "sasnet-shtb"}, "shtb-by-shta", "shtb-by-both"]},
            "table6": {
                "base": on_shtb,
                "rows": [{"precision": "float32", "restorer": None}, {"precision": "float16", "restorer": "gfpgan"}],
                "measured": ["faces restored"],
            },
            "table7": {
                "columns": ["method", "prompt_format", "prompt_filter", "r_img"],
                "rows": [on_shtb | on_locations | {"prompt": "large crowd in mecca"}, "shtb-prompt-filter", "shtb-q50"],
                "measured": ["prompts kept", "generated images"],
            },
            "roundtrip": tables["roundtrip"],
        },
        "figures": {
            "figure2": config["figures"]["figure2"] | {"columns": 2},
            "figure3": {"kind": "predictions", "rows": [on_shtb]},
            "figure4": config["figures"]["figure4"],
            "changes": config["figures"]["changes"],
            "ablations": config["figures"]["ablations"],
            "by-size": {"kind": "by_size", "rows": [on_shtb], "methods": ["baseline", "control", "promptmix"]},
            "examples": {"kind": "examples", "row": on_shtb},
        },
    }


def planned_trainings(*files: Path, targets: tuple[str, ...] = ()) -> int:
    """Return the number of trainings behind tables and figures of a config, all or those named."""
    plan, known = resolve(read(files))
    needs = Needs()
    for name in targets or known:
        needs |= known[name].needs
    return trainings_of(plan, needs)


def trainings_of(plan: Plan, needs: Needs) -> int:
    """Return the number of runs of the experiments that something needs."""
    experiments = [plan.experiments[name] for name in needs.experiments]
    return sum(len(experiment.learning_rates) * experiment.repeats for experiment in experiments)


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
        return command + ["--configfile", "config.yaml"]

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
