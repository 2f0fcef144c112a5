"""Run the workflow as a user would, in a folder of its own and at a scale that takes seconds."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def tiny() -> dict:
    """Return a complete config: one dataset of a few small images, two experiments, a table of one pair."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    models = str(ROOT / "resources/models")
    shtb = config["datasets"]["shtb"] | {
        "path": "results/tiny/rendered/shtb/part_B_final",
        "images": {"train": 8, "test": 4},
        "split": {"val": 0.25},
    }
    render = config["render"]["shtb"] | {"sizes": [[48, 32]], "people": [3, 12]}
    generator = config["generators"]["stable-diffusion"] | {"steps": 2, "model": f"{models}/stable-diffusion"}
    captioner = config["captioners"]["clipcap"]
    captioner |= {"clip": f"{models}/clip", "tokenizer": f"{models}/clip", "weights": f"{models}/clipcap.safetensors"}
    annotator = config["annotators"]["sasnet-shtb"] | {"weights": f"{models}/sasnet-shtb.safetensors"}
    fake = config["experiments"]["shtb-rescsrnet-promptmix"]["fake"] | {"images_per_prompt": 3, "r_mix": 4}
    return {
        "scale": "tiny",
        "seed": 42,
        "datasets": {"shtb": shtb},
        "render": {"shtb": render},
        "captioners": {"clipcap": captioner},
        "prompts": config["prompts"],
        "pools": {"shtb-captions": config["pools"]["shtb-captions"]},
        "generators": {"stable-diffusion": generator},
        "annotators": {"sasnet-shtb": annotator},
        "networks": {"rescsrnet": {"width": 0.125}},
        "training": {
            "default": config["training"]["default"] | {"epochs": 2, "learning_rates": ["1e-3"], "repeats": 2}
        },
        "experiments": {
            "shtb-rescsrnet": {"dataset": "shtb", "network": "rescsrnet"},
            "shtb-rescsrnet-promptmix": {"dataset": "shtb", "network": "rescsrnet", "fake": fake},
        },
        "tables": {"table1": [{"baseline": "shtb-rescsrnet", "promptmix": "shtb-rescsrnet-promptmix"}]},
    }


@dataclass
class Workflow:
    """A folder in which the workflow runs with a config of its own."""

    folder: Path
    config: dict

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """Run `snakemake {words}`; stdout and stderr come together."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))
        command = [sys.executable, "-m", "snakemake", *words, "--cores", "2", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--configfile", "config.yaml", "--replace-workflow-config", "--directory", "."]
        return subprocess.run(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    def __truediv__(self, path: str) -> Path:
        return self.folder / path


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """A tiny workflow of which nothing has been run."""
    return Workflow(tmp_path, tiny())


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A tiny workflow that has made Table I; tests must not change it."""
    workflow = Workflow(tmp_path_factory.mktemp("tiny"), tiny())
    result = workflow.run("tables/table1.md", "--resources", "gpu=2")
    assert result.returncode == 0, result.stdout
    return workflow
