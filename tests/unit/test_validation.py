"""What a config may hold, what must agree in it, and what messages say of what does not."""

import copy
import dataclasses
import datetime
import re
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator
from support.configs import GONE, put, resolved, small, smallest
from support.workflow import ROOT, tiny

from promptmix.config import validation
from promptmix.config.experiments import FAKE_KEYS, METHODS
from promptmix.config.targets import HEADINGS, paper_results
from promptmix.config.validation import check, read, resolve
from promptmix.datasets.registry import TASKS
from promptmix.errors import InputError
from promptmix.networks import registry as networks
from promptmix.networks.build import network_class, settings_of

SCHEMA = yaml.safe_load(validation.SCHEMA.read_text())
SHIPPED = ("config", "paper", "study")


@pytest.fixture
def config():
    return small()


def problems(config):
    """Return the lines of the message about a config, without the file's name."""
    with pytest.raises(InputError) as raised:
        check(config)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(("config/config.yaml: ", "and ")) for line in lines)
    return [line.removeprefix("config/config.yaml: ") for line in lines]


# --- Configs that are right ---


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_configs_are_right(name):
    plan, targets = resolve(read([ROOT / f"config/{name}.yaml"]))
    tables, figures = (dict.fromkeys([f"table{i}" for i in range(1, 8)] + ["roundtrip"]), ("figure2", "figure3", "figure4"))
    assert set(targets) == {*tables, *figures, "examples"}
    for experiment in plan.experiments.values():
        assert experiment.task == plan.task_of(experiment.dataset)


def test_the_config_of_the_tests_of_the_workflow_is_right():
    resolved(tiny())


def test_a_config_of_what_is_required_is_right():
    config = smallest()
    assert set(config) == set(SCHEMA["required"])
    plan, targets = resolved(config)
    assert (plan.experiments, targets) == ({}, {})
    for section in ("render", "captioners", "pools", "generators", "restorers", "annotators", "promptmix", "tables"):
        assert config[section] == {}
    assert config["evaluation"] == {"crop": "full", "average": "images"}
    assert config["prompts"] == {"prefix": "", "suffix": {"grey": "", "colour": ""}}


def test_names_are_checked_also_without_what_is_optional():
    config = smallest() | {"experiments": {"same-again": {"dataset": "nowhere", "network": "rescsrnet"}}}
    assert "experiments.same-again.dataset: 'nowhere' is not a dataset" in problems(config)[0]


def test_defaults_are_filled_in(config):
    check(config)
    assert config["datasets"]["shtb"]["resize"] is None
    assert config["datasets"]["shtb"]["facts"] == {}
    assert config["datasets"]["panda"]["resize"] == {"exact": [128, 72]}
    assert config["captioners"]["clipcap"] == {
        **{"clip": "models/clip", "tokenizer": "models/gpt2", "weights": "models/clipcap.pt"},
        **{"settings": {}, "decoding": "greedy", "max_tokens": 67, "normalise": False},
    }
    assert config["generators"]["diffusion"]["negative_prompt"] == ""
    assert config["generators"]["diffusion"]["precision"] == "float32"
    assert config["restorers"]["gfpgan"]["score"] == 0.97
    assert config["pools"]["by-hand"]["locations"] == []
    assert config["pools"]["shtb-captions"].keys() == {"dataset", "captioner"}
    assert config["annotators"]["sasnet"]["settings"] == {}
    assert config["render"]["panda"]["grey"] == 0
    assert config["experiments"]["longer"]["method"] == "promptmix"


def test_defaults_of_training_are_those_of_the_paper_and_only_of_the_default(config):
    check(config)
    given = {"epochs": 500, "batch_size": 1, "learning_rates": ["1e-3", "1e-4"], "repeats": 3, "density_scale": 100}
    filled = {"weight_decay": 1e-4, "decay": 0.99, "flip": False, "sigma": 4, "kernel": 15, "precision": "float32"}
    assert config["training"]["default"] == given | filled | {"validate_every": 1}
    assert config["training"]["shtb"] == {"batch_size": 32}  # what differs, and nothing else


def test_defaults_of_tables_and_figures_by_their_kind_and_in_their_rows(config):
    del config["figures"]["examples"]["columns"]
    check(config)
    depth = {"rows": [{"dataset": "nyu", "network": "guidedepth"}], "kind": "errors", "base": {}, "measured": []}
    assert config["tables"]["depth"] == depth | {"methods": ["baseline", "promptmix"]}
    cost = config["tables"]["cost"]
    assert (cost["kind"], cost["size"]) == ("cost", [1024, 768])
    assert cost["rows"][2] == {
        **{"network": "csrnet", "datasets": [], "annotators": {}, "methods": ["baseline", "promptmix"]},
    }
    assert config["tables"]["roundtrip"].keys() == {"kind", "pools", "generator", "captioner"}
    assert config["figures"]["examples"]["columns"] == 6


def test_what_is_checked_again_stays_as_it_is(config):
    check(config)
    before = copy.deepcopy(config)
    check(config)
    assert config == before


def test_defaults_are_not_shared(config):
    check(config)
    config["tables"]["depth"]["methods"].append("control")
    other = small()
    check(other)
    assert other["tables"]["depth"]["methods"] == ["baseline", "promptmix"]


def test_a_rendered_dataset_is_where_it_is_rendered(config):
    config["render"]["shtb"] = config["render"]["panda"] | {"format": "shanghaitech", "part": "part_B_final"}
    del config["datasets"]["shtb"]["path"]
    check(config)
    assert {name: entry["path"] for name, entry in config["datasets"].items()} == {
        "shtb": "results/small/rendered/shtb/part_B_final",
        "panda": "results/small/rendered/panda/PANDA_Crowd",
        "nyu": "results/small/rendered/nyu/nyu_depth_v2_labeled.mat",
    }
