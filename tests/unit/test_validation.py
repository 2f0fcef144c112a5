"""What a config may hold, what must agree in it, and what messages say of what does not."""

import copy
import dataclasses
import datetime
import json
import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from jsonschema import Draft202012Validator
from support.configs import GONE, put, resolved, small, smallest
from support.workflow import ROOT, tiny

from promptmix.config import validation
from promptmix.config.columns import DERIVED, HEADINGS
from promptmix.config.experiments import FAKE_KEYS, METHODS, split_of
from promptmix.config.paper import paper_results
from promptmix.config.validation import check, read, resolve
from promptmix.datasets.registry import TASKS
from promptmix.errors import InputError
from promptmix.networks import registry as networks
from promptmix.networks.build import network_class, settings_of
from promptmix.report.statistics import metrics_of
from promptmix.report.tables import measure

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
    tables, figures = (
        dict.fromkeys([f"table{i}" for i in range(1, 8)] + ["roundtrip"]),
        ("figure2", "figure3", "figure4", "changes", "ablations", "by-size"),
    )
    further = {"limits", "limits-depth", "softened", "halving"} if name == "study" else set()
    assert set(targets) == {*tables, *figures, "examples", *further}
    for experiment in plan.experiments.values():
        assert experiment.task == plan.task_of(experiment.dataset)


@pytest.mark.parametrize(("name", "dataset"), [("own-counting", "station"), ("own-depth", "corridor")])
@pytest.mark.parametrize("models", ["config", "paper"])
def test_the_configs_to_copy_are_short_and_right_with_the_miniature_s_models_and_the_published_ones(
    name, dataset, models, tmp_path
):
    text = (ROOT / f"config/{name}.yaml").read_text()
    assert len(text.splitlines()) <= 50
    copied = tmp_path / "mine.yaml"
    copied.write_text(text.replace("extends: config.yaml", f"extends: {ROOT}/config/{models}.yaml"))
    plan, targets = resolve(read([copied]))
    assert list(targets) == ["table1"]
    assert [plan.experiments[name].method for name in targets["table1"].experiments] == list(METHODS)
    assert targets["table1"].needs.datasets == {dataset}
    assert not any(row.ours or row.paper for row in targets["table1"].rows)


def test_the_config_of_the_tests_of_the_workflow_is_right():
    resolved(tiny())


@pytest.mark.parametrize("more", [("datasets", "networks", "training"), ()])
def test_a_config_of_what_is_required_is_right(more):
    config = smallest()
    config = {key: config[key] for key in (*SCHEMA["required"], *more)}
    check(config)
    plan, targets = resolve(config)
    assert (plan.experiments, targets) == ({}, {})
    optional = ("render", "captioners", "pools", "reviewed", "generators", "restorers", "annotators", "promptmix")
    for section in {*optional, "tables", "figures", "datasets", "networks", "training"} - {*more}:
        assert config[section] == {}
    assert config["evaluation"] == {"crop": "full", "average": "images"}
    assert config["prompts"] == {"prefix": "", "suffix": {"grey": "", "colour": ""}}


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ("training", "training.default is missing: how networks are trained; give it epochs"),
        ("networks", "tables.it.rows[0].network: 'rescsrnet' is not a network. Known networks: none"),
        ("datasets", "tables.it.rows[0].dataset: 'shtb' is not a dataset. Known datasets: none"),
    ],
)
def test_what_a_training_needs_is_missing_only_where_something_is_trained(section, line):
    row = {"dataset": "shtb", "network": "rescsrnet"}
    config = smallest() | {"tables": {"it": {"rows": [row], "methods": ["baseline"]}}}
    del config[section]
    assert any(found.startswith(line) for found in problems(config))


def test_the_miniature_needs_the_training_that_its_annotators_have_settings_of(config):
    del config["training"]
    assert problems(config) == ["training.default is missing: the miniature's annotators have its sigma and kernel"]


def test_images_alone_need_no_dataset_and_no_training():
    """Prompts by hand, a generator and a captioner are all that a round trip takes."""
    config = {key: small()[key] for key in ("scale", "seed", "generators", "captioners")}
    config["pools"] = {"by-hand": small()["pools"]["by-hand"]}
    table = {"kind": "roundtrip", "pools": ["by-hand"], "generator": "diffusion", "captioner": "clipcap"}
    assert list(resolved(config | {"tables": {"it": table}})[1]) == ["it"]


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
    assert config["annotators"]["sasnet"].keys() == {"network", "weights", "settings", "flip"}
    assert config["annotators"]["sasnet"]["settings"] == {}
    assert config["annotators"]["both"] == {"mean_of": ["sasnet", "dmcount"]}
    assert config["render"]["panda"]["grey"] == 0
    assert config["experiments"]["longer"]["method"] == "promptmix"


def test_what_is_not_said_of_fine_tuning_is_left_to_the_training(config):
    check(config)
    assert config["annotators"]["sasnet-again"]["fine_tune"] == {"annotator": "sasnet-panda", "dataset": "panda"}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([0.001, "0.0001"], ["1e-3", "1e-4"]),
        (["1e-03", "1E-4", "10e-6"], ["1e-3", "1e-4", "1e-5"]),
        ([2.5e-05, 1, "0.50"], ["2.5e-5", "1e0", "5e-1"]),
    ],
)
def test_a_learning_rate_has_one_spelling_wherever_it_is_said(config, given, found):
    config["training"]["default"]["learning_rates"] = list(given)
    config["annotators"]["sasnet-panda"]["fine_tune"]["learning_rates"] = list(given)
    config["experiments"]["longer"]["training"]["learning_rates"] = list(given)
    config["tables"]["amounts"]["rows"][0]["training"] = {"learning_rates": list(given)}
    config["miniature"]["annotators"]["first"]["learning_rate"] = given[0]
    config["networks"]["mine"] = {"class": "yours", "learning_rates": list(given)}
    validation._spell_learning_rates(config)
    assert config["training"]["default"]["learning_rates"] == found
    assert config["annotators"]["sasnet-panda"]["fine_tune"]["learning_rates"] == found
    assert config["experiments"]["longer"]["training"]["learning_rates"] == found
    assert config["tables"]["amounts"]["rows"][0]["training"]["learning_rates"] == found
    assert config["miniature"]["annotators"]["first"]["learning_rate"] == found[0]
    assert config["networks"]["mine"]["learning_rates"] == given  # arguments of a user's class


def test_what_is_written_otherwise_is_trained_once(config):
    rows = config["tables"]["table1"]["rows"]
    rows += [rows[1] | {"training": {"learning_rates": rates}} for rates in ([0.001, "1e-4"], ["1e-03", 0.0001])]
    config["training"]["default"]["learning_rates"] = ["1e-3", 1.0e-4]
    assert len(resolved(config)[1]["table1"].experiments) == 6  # three of each of the two rows that were there


def test_a_fine_tuned_annotator_is_of_the_network_that_it_starts_from(config):
    given = config["annotators"]
    given |= {
        name: {"fine_tune": {"annotator": start, "dataset": "panda"}} for name, start in (("a", "b"), ("b", "narrow"))
    }
    check(config)
    assert [(given[name]["network"], given[name]["settings"]) for name in "ab"] == [("sasnet", {"width": 0.25})] * 2


@pytest.mark.parametrize(
    ("start", "line"),
    [
        ("both", "annotators.b.fine_tune.annotator: 'both' is an average, which cannot be trained"),
        ("a", "annotators.b.fine_tune.annotator: it would start from itself"),
    ],
)
def test_a_fine_tuned_annotator_of_what_has_no_network(config, start, line):
    given = config["annotators"]
    given |= {name: {"fine_tune": {"annotator": to, "dataset": "panda"}} for name, to in (("a", "b"), ("b", start))}
    assert any(found.startswith(line) for found in problems(config))


def test_a_review_is_of_any_part(config):
    config["reviewed"] = {"by-hand": {"exclude": [3]}, "shtb-captions": {"drop": [0, "any text"]}, "rooms": {}}
    check(config)
    assert config["reviewed"] == {
        "by-hand": {"drop": [], "edit": [], "exclude": [3]},
        "shtb-captions": {"drop": [0, "any text"], "edit": [], "exclude": []},
        "rooms": {"drop": [], "edit": [], "exclude": []},
    }


def test_captions_may_have_a_quality_of_their_own(config):
    config["pools"]["panda-captions"]["quality"] = 91
    check(config)


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
    depth |= {"methods": ["baseline", "promptmix"], "ours": {"methods": [], "where": {}, "rows": []}}
    assert config["tables"]["depth"] == depth
    assert config["tables"]["table1"]["ours"] == {"methods": ["control"], "where": {}, "rows": []}
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


def test_a_captioner_of_transformers_and_a_pool_that_is_written_have_defaults(config):
    config["captioners"]["blip"] = {"model": "models/blip"}
    config["pools"]["scenes"] = {"written_by": {"model": "models/qwen", "count": 9, "topic": "rain"}, **SIZE}
    config["pools"]["varied"] = {
        "dataset": "shtb",
        "captioner": "blip",
        "written_by": {"model": "models/qwen", "count": 2},
    }
    check(config)
    assert config["captioners"]["blip"] == {
        **{"model": "models/blip", "instruction": "", "decoding": "greedy", "max_tokens": 67, "precision": "float32"},
        "trust_remote_code": False,
    }
    usual = {"seed": 0, "max_tokens": 60, "temperature": 0.8, "precision": "float32", "trust_remote_code": False}
    assert config["pools"]["scenes"]["written_by"] == {"model": "models/qwen", "count": 9, "topic": "rain"} | usual
    assert config["pools"]["varied"]["written_by"] == {"model": "models/qwen", "count": 2} | usual


# --- Errors: where, what, what was expected ---

SIZE = {"width": 96, "height": 64, "quality": 75}
WRITER = {"model": "models/qwen", "count": 9}
POOLS = "by-hand, dark, light, panda-captions, places, rooms, shtb-captions"
ANNOTATORS = "adabins, both, dmcount, narrow, sasnet, sasnet-again, sasnet-panda"
FILTERED, SHTB, PANDA = "experiments.filtered", "promptmix.shtb", "annotators.sasnet-panda"
PLACES = ("datasets.nyu", "render.nyu", "pools.places", "restorers.gfpgan", "training.default", "annotators.sasnet")


def refused(config, path, value, place, parts):
    """Check that a line of the message about a changed config begins with a place and has these parts."""
    put(config, path, value)
    lines = problems(config)
    assert [
        line for line in lines if re.match(rf"{re.escape(place)}[: ]", line) and all(part in line for part in parts)
    ], lines


@pytest.mark.parametrize(
    ("path", "value", "place", "parts"),
    [
        # Keys
        (
            "datasets.shtb.reszie",
            1,
            "datasets.shtb.reszie",
            ["Known keys: anchor, facts, format, images, path, resize, split, title, unit", "Did you mean 'resize'?"],
        ),
        ("datasets.shtb.path", GONE, "datasets.shtb.path", ["is missing: folder of the dataset", ".mat file for nyu"]),
        ("datasets.shtb.images.test", GONE, "datasets.shtb.images.test", ["is missing: test images"]),
        ("training.default.epochs", GONE, "training.default.epochs", ["is missing: passes over the real"]),
        ("seed", GONE, "seed", ["is missing: of every split, and of the first repeat"]),
        ("pools.by-hand.width", GONE, "pools.by-hand.width", ["is missing: of the images to generate"]),
        ("pools.shtb-captions.captioner", GONE, "pools.shtb-captions.captioner", ["is missing: what captions them"]),
        ("pools.empty", {}, "pools.empty.captioner", ["is missing: what captions them"]),
        ("captioners.blip", {"model": "m", "clip": "c"}, "captioners.blip.clip", ["Known keys: decoding, instruction"]),
        ("captioners.clipcap.instruction", "a", "captioners.clipcap.instruction", ["Known keys: clip, decoding"]),
        ("captioners.blip", {"model": "m", "precision": "int8"}, "captioners.blip.precision", ["bfloat16, float16"]),
        (
            "pools.scenes",
            {"written_by": WRITER, **SIZE},
            "pools.scenes.written_by.topic",
            ["is missing: what the prompts"],
        ),
        (
            "pools.scenes",
            {"written_by": WRITER | {"topic": "rain"}},
            "pools.scenes.width",
            ["is missing: of the images to generate"],
        ),
        (
            "pools.scenes",
            {"written_by": WRITER | {"topic": " "}, **SIZE},
            "pools.scenes.written_by.topic",
            ["is empty; expected words"],
        ),
        (
            "pools.scenes",
            {"written_by": WRITER | {"topic": "rain", "instruction": "Describe rain"}, **SIZE},
            "pools.scenes.written_by.instruction",
            ["where the topic belongs; write [topic] in it"],
        ),
        (
            "pools.shtb-captions.written_by",
            WRITER | {"instruction": "Vary [topic]"},
            "pools.shtb-captions.written_by.instruction",
            ["where the caption belongs; write [caption] in it"],
        ),
        (
            "pools.shtb-captions.written_by",
            WRITER | {"topic": "rain"},
            "pools.shtb-captions.written_by.topic",
            ["whose captions are varied; take away"],
        ),
        (
            "pools.shtb-captions.written_by",
            WRITER | {"count": 0},
            "pools.shtb-captions.written_by.count",
            ["0 is not a whole number of 1 or more"],
        ),
        (
            "pools.shtb-captions.written_by",
            WRITER | {"temperature": 0},
            "pools.shtb-captions.written_by.temperature",
            ["0 is not a number above 0"],
        ),
        ("pools.by-hand.written_by", WRITER, "pools.by-hand.written_by", ["Known keys: height, locations, prompts"]),
        ("restorers.gfpgan.parser", GONE, "restorers.gfpgan.parser", ["is missing: what tells the parts of a face"]),
        ("evaluation.average", GONE, "evaluation.average", ["is missing: over images"]),
        ("experiments.longer.network", GONE, "experiments.longer.network", ["is missing: the network to train"]),
        (
            "promptmix.shtb.images_per_prompt",
            1,
            "promptmix.shtb.images_per_prompt",
            ["Known keys: annotator, filters, generator, k"],
        ),
        ("experiments.longer.repeated", 1, "experiments.longer.repeated", ["is not a key", "r_mix"]),
        ("networks.rescsrnet", {"block_size": 32}, "networks.rescsrnet.block_size", ["Known keys: backbone, width"]),
        ("networks.guidedepth", {"bins": 64}, "networks.guidedepth.bins", ["Known keys: backbone, width"]),
        (
            "networks.rescrsnet",
            {},
            "networks.rescrsnet.class",
            ["is missing", "ours are csrnet, rescsrnet and guidedepth"],
        ),
        # Values
        (
            "training.default.epochs",
            "twelve",
            "training.default.epochs",
            ["'twelve' (text)", "whole number of 1 or more"],
        ),
        ("training.default.epochs", 0, "training.default.epochs", ["0 is not a whole number of 1 or more"]),
        ("training.default.epochs", 4.0, "training.default.epochs", ["4.0 (number)", "whole number of 1 or more"]),
        ("training.default.epochs", True, "training.default.epochs", ["true is not a whole number of 1 or more"]),
        ("training.default.epochs", None, "training.default.epochs", ["null is not a whole number of 1 or more"]),
        ("training.default.epochs", "12", "training.default.epochs", ["'12' (text)", "Take away the quotes"]),
        ("training.default.flip", 1, "training.default.flip", ["1 (number) is not true or false"]),
        ("training.default.sigma", float("nan"), "training.default.sigma", ["NaN (number) is not a number above 0"]),
        (
            "training.default.sigma",
            float("inf"),
            "training.default.sigma",
            ["Infinity (number) is not a number above 0"],
        ),
        ("training.default.kernel", 14, "training.default.kernel", ["14 is not an odd whole number, such as 15"]),
        ("training.default.decay", 1.5, "training.default.decay", ["1.5 is not a number above 0, at most 1"]),
        ("training.default.weight_decay", "1e-4", "training.default.weight_decay", ["'1e-4' (text)", "write 1.0e-4"]),
        (
            "training.shtb.learning_rates",
            ["1e-3", "fast"],
            "training.shtb.learning_rates[1]",
            ["'fast'", "a learning rate above 0, such as 1e-3"],
        ),
        ("training.default.learning_rates", ["0.0e-3"], "training.default.learning_rates[0]", ["'0.0e-3'", "such as"]),
        ("training.default.learning_rates", [], "training.default.learning_rates", ["is empty", "one entry or more"]),
        ("training.default.learning_rates", ["1e-3"] * 2, "training.default.learning_rates", ["'1e-3' is there twice"]),
        ("training.default.learning_rates", ["1e-3", 0.001], "training.default.learning_rates", ["1e-3", "twice"]),
        ("training.default.learning_rates", [True], "training.default.learning_rates[0]", ["above 0"]),
        ("training.default.learning_rates", [float("inf")], "training.default.learning_rates[0]", ["above 0"]),
        (
            "training.default.precision",
            "float61",
            "training.default.precision",
            ["'float61' is not a precision", "Known: bfloat16, float16, float32", "Did you mean 'float16'?"],
        ),
        ("training.shtb", None, "training.shtb", ["null is not a section"]),
        (
            "datasets.shtb.format",
            "shangaitech",
            "datasets.shtb.format",
            [
                "'shangaitech'",
                "coco, depth_maps, nyu, panda, points, shanghaitech, ucf_qnrf",
                "Did you mean 'shanghaitech'?",
            ],
        ),
        ("datasets.shtb.unit", 0.001, "datasets.shtb.unit", ["format shanghaitech has none; take it away"]),
        ("datasets.shtb.anchor", "top", "datasets.shtb.anchor", ["format shanghaitech has none; take it away"]),
        ("datasets.shtb.anchor", "bottom", "datasets.shtb.anchor", ["'bottom'", "center", "top"]),
        ("datasets.shtb.resize", {"fit": [96]}, "datasets.shtb.resize.fit", ["[96]", "such as [96, 64]"]),
        (
            "datasets.shtb.resize",
            {"fit": [96, 64], "exact": [96, 64]},
            "datasets.shtb.resize",
            ['"exact": [96, 64]}', "{fit: [width, height]}, {exact: [width, height]} or null"],
        ),
        ("datasets.shtb.resize", "96x64", "datasets.shtb.resize", ["'96x64' (text)", "{fit: [width, height]}"]),
        ("datasets.shtb.title", datetime.date(2024, 1, 2), "datasets.shtb.title", ['"2024-01-02" is not a text']),
        ("datasets.shtb.title", {1, 2}, "datasets.shtb.title", ["is not a text"]),
        ("datasets.shtb.title", b"a", "datasets.shtb.title", ["is not a text"]),
        ("render.panda.grey", 25, "render.panda.grey", ["25 is not a number from 0 to 1"]),
        ("experiments", ["shtb"], "experiments", ['["shtb"] (list) is not a section of keys and values']),
        ("promptmix.shtb.pools", "by-hand", "promptmix.shtb.pools", ["'by-hand' (text) is not a list"]),
        ("promptmix.shtb.r_mix", -1, "promptmix.shtb.r_mix", ["-1 is not a whole number of 1 or more"]),
        ("promptmix.shtb.restorer", 7, "promptmix.shtb.restorer", ["7 (number) is not a name or null"]),
        (
            "experiments.longer.method",
            "promptmx",
            "experiments.longer.method",
            ["'promptmx'", "Did you mean 'promptmix'?"],
        ),
        (
            "pools.Big_Crowd",
            {"dataset": "shtb", "captioner": "clipcap"},
            "pools.Big_Crowd",
            ["'Big_Crowd' is not a name", "small letters, digits and hyphens", "a file's name"],
        ),
        ("scale", "a/b", "scale", ["'a/b' is not a name: small letters, digits and hyphens"]),
        ("restorers.gfpgan.score", 97, "restorers.gfpgan.score", ["97 is not a number from 0 to 1"]),
        (
            "restorers.gfpgan.detector.settings",
            {"features": 30},
            "restorers.gfpgan.detector.settings.features",
            ["30 is not a multiple of 4, 4 or more"],
        ),
        (
            "annotators.adabins.settings",
            {"embedding": 30},
            "annotators.adabins.settings.embedding",
            ["30 is not a multiple of 4, 4 or more"],
        ),
        (f"{FILTERED}.r_img", 0, f"{FILTERED}.r_img", ["0 is not a percentage above 0, at most 100"]),
        (f"{FILTERED}.r_img", 101, f"{FILTERED}.r_img", ["101 is not a percentage above 0, at most 100"]),
        (f"{FILTERED}.r_img", "40", f"{FILTERED}.r_img", ["'40' (text)", "Take away the quotes"]),
        (f"{FILTERED}.prompt_filter", 3, f"{FILTERED}.prompt_filter", ["3 (number) is not true, false, or a section"]),
        ("evaluation.crop", "eigne", "evaluation.crop", ["Known: eigen, full, guidedepth", "Did you mean 'eigen'?"]),
        (
            "pools.panda-captions.quality",
            101,
            "pools.panda-captions.quality",
            ["101 is not a JPEG quality from 1 to 100"],
        ),
        ("reviewed", {"by-hand": {"omit": [1]}}, "reviewed.by-hand.omit", ["Known keys: drop, edit, exclude"]),
        ("reviewed", {"by-hand": {"drop": [-1]}}, "reviewed.by-hand.drop[0]", ["-1", "a prompt's number, from 0"]),
        ("reviewed", {"by-hand": {"drop": [1, 1]}}, "reviewed.by-hand.drop", ["1 is there twice"]),
        ("reviewed", {"by-hand": {"exclude": ["a"]}}, "reviewed.by-hand.exclude[0]", ["'a' (text)", "0 or more"]),
        ("reviewed", {"by-hand": {"edit": [{"prompt": 1}]}}, "reviewed.by-hand.edit[0].to", ["is missing: the text"]),
        ("annotators.both.mean_of", ["sasnet"], "annotators.both.mean_of", ["a list of two annotators or more"]),
        ("annotators.both.mean_of", ["sasnet"] * 2, "annotators.both.mean_of", ["'sasnet' is there twice"]),
        ("annotators.both.network", "sasnet", "annotators.both.network", ["is not a key. Known keys: mean_of"]),
        (
            f"{PANDA}.fine_tune.learning_rate",
            "1e-4",
            f"{PANDA}.fine_tune.learning_rate",
            ["is not a key", "Did you mean 'learning_rates'?"],
        ),
        (
            f"{PANDA}.fine_tune.learning_rates",
            ["1e-3", -0.0001],
            f"{PANDA}.fine_tune.learning_rates[1]",
            ["-0.0001", "a learning rate above 0"],
        ),
        (f"{PANDA}.fine_tune.dataset", GONE, f"{PANDA}.fine_tune.dataset", ["is missing: whose training images"]),
        ("tables.depth.columns", ["metod"], "tables.depth.columns[0]", ["'metod' is not a column", "mean 'method'?"]),
        ("tables.depth.columns", [], "tables.depth.columns", ["is empty", "one entry or more"]),
        ("tables.table1.ours.methods", ["controll"], "tables.table1.ours.methods[0]", ["Did you mean 'control'?"]),
        ("tables.table1.ours.vary", {}, "tables.table1.ours.vary", ["is not a key. Known keys: methods, rows"]),
        ("figures.colours.pools", [], "figures.colours.pools", ["is empty", "one entry or more"]),
        ("figures.colours.grey", "light", "figures.colours.grey", ["is not a key", "columns, generator, kind, pools"]),
        ("miniature.diffusion.further", 1, "miniature.diffusion.further", ["is not a key. Known keys: rooms, steps"]),
        ("render.panda.locations", ["street"], "render.panda.locations[0]", ["'street'", "Did you mean 'streets'?"]),
        # One or the other
        (
            "annotators.sasnet.weights",
            GONE,
            "annotators.sasnet",
            ["expected exactly one of 'weights' and 'fine_tune', found none"],
        ),
        (f"{PANDA}.weights", "models/panda.pth", PANDA, ["exactly one", "found 'weights' and 'fine_tune'"]),
        ("render.nyu.rooms", GONE, "render.nyu.rooms", ["is missing: nyu: kinds of rooms, each as likely"]),
        ("render.panda.quality", GONE, "render.panda.quality", ["is missing: lowest and highest JPEG quality"]),
        ("render.nyu.rooms", ["garage"], "render.nyu.rooms[0]", ["'garage'", "Known: bathroom, bedroom, kitchen"]),
        ("pools.places.locations", ["at sea"] * 2, "pools.places.locations", ["'at sea' is there twice"]),
    ],
)
def test_what_does_not_fit_the_schema(config, path, value, place, parts):
    refused(config, path, value, place, parts)


@pytest.mark.parametrize(
    ("path", "value", "place", "parts"),
    [
        (
            f"{SHTB}.pools",
            ["by-hand", "shtb-captoins"],
            f"{SHTB}.pools[1]",
            ["'shtb-captoins' is not a pool", f"Known pools: {POOLS}", "Did you mean 'shtb-captions'?"],
        ),
        (f"{SHTB}.generator", "dalle", f"{SHTB}.generator", ["'dalle' is not a generator", "diffusion, other"]),
        (f"{SHTB}.restorer", "gfpgn", f"{SHTB}.restorer", ["'gfpgn' is not a restorer", "Did you mean 'gfpgan'?"]),
        (
            f"{SHTB}.annotator",
            "sasnt",
            f"{SHTB}.annotator",
            ["'sasnt' is not an annotator", f"Known annotators: {ANNOTATORS}", "Did you mean 'sasnet'?"],
        ),
        (f"{FILTERED}.scored_by", ["sasnet", "dmcont"], f"{FILTERED}.scored_by[1]", ["'dmcont'", "mean 'dmcount'?"]),
        (f"{FILTERED}.scored_by", ["dmcount"] * 2, f"{FILTERED}.scored_by", ["'dmcount' is there twice"]),
        (
            "experiments.longer.dataset",
            "shta",
            "experiments.longer.dataset",
            ["'shta'", "nyu, panda, shtb", "mean 'shtb'?"],
        ),
        (
            "experiments.longer.network",
            "vgg",
            "experiments.longer.network",
            ["'vgg' is not a network. Known networks: csrnet, guidedepth, rescsrnet."],
        ),
        (
            "pools.shtb-captions.dataset",
            "stb",
            "pools.shtb-captions.dataset",
            ["'stb' is not a dataset", "mean 'shtb'?"],
        ),
        ("pools.shtb-captions.captioner", "blip", "pools.shtb-captions.captioner", ["Known captioners: clipcap"]),
        ("training.stb", {"epochs": 3}, "training.stb", ["'stb'", "default, nyu, panda, shtb", "Did you mean 'shtb'?"]),
        ("promptmix.stb", {"k": 3}, "promptmix.stb", ["'stb'", "default, nyu, panda, shtb", "Did you mean 'shtb'?"]),
        ("render.pandas", {}, "render.pandas", ["'pandas' is not a dataset", "Did you mean 'panda'?"]),
        (f"{PANDA}.fine_tune.annotator", "other", f"{PANDA}.fine_tune.annotator", ["'other'", ANNOTATORS]),
        (f"{PANDA}.fine_tune.dataset", "pandas", f"{PANDA}.fine_tune.dataset", ["'pandas'", "Did you mean 'panda'?"]),
        (
            "annotators.both.mean_of",
            ["sasnet", "dmcont"],
            "annotators.both.mean_of[1]",
            ["'dmcont' is not an annotator", "Did you mean 'dmcount'?"],
        ),
        (
            "annotators.dmcount.trained_on",
            "pandas",
            "annotators.dmcount.trained_on",
            ["'pandas' is not a dataset", "Did you mean 'panda'?"],
        ),
        (
            "reviewed",
            {"by-hnd": {"drop": [0]}},
            "reviewed.by-hnd",
            ["'by-hnd' is not a pool", "Did you mean 'by-hand'?"],
        ),
        ("figures.colours.pools", ["light", "drak"], "figures.colours.pools[1]", ["Did you mean 'dark'?"]),
        ("tables.table1.ours.rows", ["longr"], "tables.table1.ours.rows[0]", ["'longr'", "Did you mean 'longer'?"]),
        (
            "preflight",
            ["table9"],
            "preflight[0]",
            ["'table9' is not a table or a figure", "colours, cost, crowds", "table1", "Did you mean 'table1'?"],
        ),
        (
            "miniature.annotators.first.start",
            "zeroth",
            "miniature.annotators.first.start",
            ["'zeroth' is not trained here. Known: first, second."],
        ),
    ],
)
def test_names_of_other_entries(config, path, value, place, parts):
    refused(config, path, value, place, parts)


@pytest.mark.parametrize(
    ("path", "value", "place", "parts"),
    [
        # Datasets and what is rendered
        (
            "datasets.panda.images.all",
            44,
            "datasets.panda.split",
            ["30 train + 6 val + 9 test = 45 images, but there are 44"],
        ),
        ("datasets.shtb.split.val", 1.0, "datasets.shtb.split", ["1.0 val leaves no training image of 400"]),
        ("datasets.shtb.split.val", 0.001, "datasets.shtb.split", ['{"val": 0.001}', "no image in 'val'"]),
        ("datasets.shtb.split.test", 0.1, "datasets.shtb.split", ["comes with a test split; give 'val' only"]),
        (
            "datasets.panda.split",
            {"val": 0.1},
            "datasets.panda.split",
            ["without a test split; give 'test' beside 'val'"],
        ),
        (
            "datasets.panda.images",
            {"train": 40, "test": 5},
            "datasets.panda.images",
            ['{"train": 40, "test": 5}', "panda has no split; give {all: ...}"],
        ),
        (
            "datasets.shtb.images",
            {"all": 716},
            "datasets.shtb.images",
            ['{"all": 716}', "shanghaitech comes with a test split", "give {train: ..., test: ...}"],
        ),
        (
            "datasets.panda.title",
            "Shanghai Tech Part B",
            "datasets.panda.title",
            ["'Shanghai Tech Part B' is the title of shtb"],
        ),
        ("render.panda.format", "ucf_qnrf", "render.panda.format", ["'ucf_qnrf'", "'panda'; make them equal"]),
        ("render.nyu.sizes", [[96, 72], [72, 96]], "render.nyu.sizes", ["[[96, 72], [72, 96]]", "one size; give one"]),
        ("render.nyu.people", [6, 30], "render.nyu.people", ["the format nyu has none; take it away"]),
        ("render.panda.rooms", ["office"], "render.panda.rooms", ["the format panda has none; take it away"]),
        ("render.panda.part", "part_A_final", "render.panda.part", ["the format panda has none; take it away"]),
        ("render.panda.people", [30, 6], "render.panda.people", ["[30, 6]: the first number is the lowest; swap them"]),
        (
            "datasets.panda.path",
            "results/other/PANDA_Crowd",
            "datasets.panda.path",
            ["'results/other/PANDA_Crowd'", "rendered into results/small/rendered/panda", "leave path out"],
        ),
        # Prompts at locations
        (
            "pools.places.locations",
            GONE,
            "pools.places",
            ["'a crowd [location]' has a [location]", "there are no `locations` to put there"],
        ),
        (
            "pools.by-hand.locations",
            ["at sea"],
            "pools.by-hand",
            ["locations: none of the prompts", "write [location]"],
        ),
        ("pools.places.locations", ["at sea", " "], "pools.places", ["locations[1] is empty; expected words"]),
        # Faces
        (
            "restorers.gfpgan.parser.settings.in_size",
            128,
            "restorers.gfpgan",
            ["parser.settings.in_size is 128", "restorer.settings.out_size is 64", "make them equal"],
        ),
        (
            "restorers.gfpgan.restorer.settings",
            {},
            "restorers.gfpgan",
            ["parser.settings.in_size is 64", "restorer.settings.out_size is 512", "make them equal"],
        ),
        # Annotators
        (
            f"{PANDA}.fine_tune.annotator",
            "sasnet-panda",
            f"{PANDA}.fine_tune.annotator",
            ["it would start from itself: sasnet-panda from sasnet-panda"],
        ),
        (
            f"{PANDA}.fine_tune.annotator",
            "sasnet-again",
            f"{PANDA}.fine_tune.annotator",
            ["it would start from itself: sasnet-panda from sasnet-again from sasnet-panda"],
        ),
        (
            f"{PANDA}.settings",
            {"width": 0.25},
            f"{PANDA}.fine_tune.annotator",
            ["network and settings are not those of 'sasnet'; leave them out"],
        ),
        (f"{PANDA}.fine_tune.dataset", "nyu", f"{PANDA}.network", ["'sasnet' is for counting", "nyu is for depth"]),
        (
            "annotators.adabins.settings",
            {"block_size": 30},
            "annotators.adabins.settings.block_size",
            ["not a setting of adabins", "Known settings: bins, embedding, encoder_depth, patch, width"],
        ),
        (
            "annotators.sasnet-again.fine_tune.annotator",
            "both",
            "annotators.sasnet-again.fine_tune.annotator",
            ["'both' is an average, which cannot be trained; name one with a network"],
        ),
        (
            "annotators.more",
            {"mean_of": ["sasnet", "both"]},
            "annotators.more.mean_of[1]",
            ["'both' is an average itself; name what it is of"],
        ),
        (
            "annotators.both.mean_of",
            ["sasnet", "adabins"],
            "annotators.both.mean_of",
            ["'sasnet' is for counting and 'adabins' is for depth", "annotations for one task"],
        ),
        # Reviews
        (
            "reviewed",
            {"by-hand": {"drop": [2]}},
            "reviewed.by-hand.drop[0]",
            ["there is no prompt 2: by-hand has 2, counted from 0"],
        ),
        (
            "reviewed",
            {"shtb-captions": {"edit": [{"prompt": 360, "to": "a crowd"}]}},
            "reviewed.shtb-captions.edit[0].prompt",
            ["there is no prompt 360: shtb-captions has 360"],
        ),
        (
            "reviewed",
            {"by-hand": {"drop": ["a crowd in a stadum"]}},
            "reviewed.by-hand.drop[0]",
            ["'a crowd in a stadum' is not a prompt of by-hand", "Did you mean 'a crowd in a stadium'?"],
        ),
        (
            "reviewed",
            {"places": {"drop": ["a crowd [location]"]}},
            "reviewed.places.drop[0]",
            ["'a crowd [location]' is not a prompt of places"],
        ),
        (
            "reviewed",
            {"by-hand": {"drop": [0, "a crowd in a stadium"]}},
            "reviewed.by-hand.drop[1]",
            ["is named at drop[0] already; name it once"],
        ),
        (
            "reviewed",
            {"by-hand": {"drop": [1], "edit": [{"prompt": 1, "to": "a crowd"}]}},
            "reviewed.by-hand.edit[0].prompt",
            ["1 is named at drop[0] already"],
        ),
        (
            "reviewed",
            {"by-hand": {"exclude": [79, 80]}},
            "reviewed.by-hand.exclude[1]",
            ["no experiment has an image of seed 80: the experiments make 80 of by-hand"],
        ),
        (
            "reviewed",
            {"light": {"exclude": [0]}},
            "reviewed.light.exclude[0]",
            ["no experiment has an image of seed 0: none uses that pool"],
        ),
        # Tables of costs
        (
            "tables.cost.rows.1.annotators",
            {"shtb": "both"},
            "tables.cost.rows[1].annotators.shtb",
            ["'both' is an average; expected one of sasnet"],
        ),
        (
            "tables.cost.rows.1.network",
            "sasnett",
            "tables.cost.rows[1].network",
            ["'sasnett'", "Known: adabins, csrnet, dmcount, guidedepth, rescsrnet, sasnet", "Did you mean 'sasnet'?"],
        ),
        (
            "tables.cost.rows.1.datasets",
            ["shtb"],
            "tables.cost.rows[1].datasets",
            ["'sasnet' is trained there, but networks.sasnet is missing"],
        ),
        # The miniature's models
        (
            "miniature.annotators.first.start",
            "first",
            "miniature.annotators.first.start",
            ["it would start from itself: first from first"],
        ),
        (
            "miniature.annotators.first.settings",
            {"bins": 64},
            "miniature.annotators.first.settings.bins",
            ["not a setting of sasnet. Known settings: block_size, width."],
        ),
        (
            "miniature.annotators.first.settings",
            {"width": 0.5},
            "miniature.annotators.second.start",
            ["network and settings are not those of 'first'; make them equal"],
        ),
        (
            "miniature.annotators.first.dataset",
            "nyu",
            "miniature.annotators.first.network",
            ["'sasnet' is for counting, and the dataset nyu is for depth"],
        ),
    ],
)
def test_parts_that_do_not_agree(config, path, value, place, parts):
    refused(config, path, value, place, parts)


def test_a_rendered_part_of_shanghaitech_says_which(config):
    config["render"]["shtb"] = config["render"]["panda"] | {"format": "shanghaitech"}
    assert problems(config) == ["render.shtb.part is missing: part of ShanghaiTech; only for that format"]


def test_a_dataset_that_is_not_rendered_has_a_path(config):
    del config["render"], config["miniature"]
    assert [line.split(": ")[0] for line in problems(config)] == [
        "datasets.panda.path is missing",
        "datasets.nyu.path is missing",
    ]


def test_no_dataset_is_called_default(config):
    config["datasets"]["default"] = config["datasets"]["shtb"] | {"title": "Default"}
    (line,) = problems(config)
    assert line.startswith("datasets.default: ") and "another name" in line and "`training.default`" in line


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("pools", {2024: {}}, "pools: the key 2024"),
        ("tables.depth.rows.0", {2024: 1}, "tables.depth.rows[0]: the key 2024"),
        ("datasets.shtb", {None: 1}, "datasets.shtb: the key null"),
        ("datasets.shtb", {datetime.date(2024, 1, 2): 1}, 'datasets.shtb: the key "2024-01-02"'),
        ("training", {True: {}}, "training: the key true"),
    ],
)
def test_a_key_that_yaml_does_not_read_as_text(config, path, value, place):
    put(config, path, value)
    (line,) = problems(config)
    assert line.startswith(place) and "put it in quotes" in line


def test_all_problems_come_at_once_in_the_order_of_the_config(config):
    config["experiments"]["longer"]["generator"] = "dalle"
    config["tables"]["depth"]["rows"][0]["dataset"] = 7
    config["seed"] = "a"
    config["datasets"]["panda"]["split"]["val"] = "b"
    assert [line.split(": ")[0] for line in problems(config)] == [
        "seed",
        "datasets.panda.split.val",
        "experiments.longer.generator",
        "tables.depth.rows[0].dataset",
    ]


def test_problems_of_experiments_come_at_once_and_those_of_tables_too(config):
    config["experiments"]["longer"]["r_mix"] = config["experiments"]["filtered"]["r_mix"] = 100_000
    assert [line.split(": ")[0] for line in problems(config)] == [
        "experiments.longer.r_mix",
        "experiments.filtered.r_mix",
    ]
    config = small()
    config["tables"]["amounts"]["rows"][1]["r_mix"] = config["figures"]["examples"]["row"]["r_mix"] = 100_000
    assert [line.split(": ")[0] for line in problems(config)] == [
        "tables.amounts.rows[1].r_mix",
        "figures.examples.row.r_mix",
    ]


def test_at_most_ten_problems_and_the_number_of_the_others(config):
    config["experiments"] |= {f"e{i}": {"dataset": "nowhere", "network": "csrnet"} for i in range(12)}
    lines = problems(config)
    assert len(lines) == 11
    assert "2 more" in lines[-1]


def test_messages_name_the_file_that_was_read(config):
    config["seed"] = -1
    with pytest.raises(InputError, match=r"^mine\.yaml: seed: -1 is not a whole number of 0 or more$"):
        check(config, "mine.yaml")


BROKEN = [GONE, None, [], {}, "text", 7, {"x": None}, {"x": {}}, ["x"], [{}]]


@pytest.mark.parametrize(
    "path",
    [
        *small(),
        *(f"tables.{name}" for name in small()["tables"]),
        *(f"figures.{name}" for name in small()["figures"]),
        *("tables.table1.rows", "tables.faces.vary", "tables.faces.base", "tables.cost.rows", "tables.named.rows.0"),
        *("figures.examples.row", "figures.rooms.rows", "tables.table1.ours", "tables.faces.vary.restorer"),
        *("datasets.nyu", "render.nyu", "pools.places", "generators.diffusion", "restorers.gfpgan"),
        *("annotators.both", "annotators.both.mean_of", f"{PANDA}.fine_tune", "figures.colours.pools"),
        *("tables.table1.ours.methods", "annotators.dmcount.trained_on"),
        *("annotators.sasnet", FILTERED, f"{FILTERED}.prompt_filter", "networks.rescsrnet", SHTB, "training.shtb"),
    ],
)
@pytest.mark.parametrize("value", BROKEN, ids=lambda value: "gone" if value is GONE else str(value))
def test_no_broken_section_or_entry_breaks_the_check(config, path, value):
    """Every answer is either none or an InputError that says where."""
    put(config, path, value)
    try:
        resolved(config)
    except InputError as error:
        assert all(line.startswith(("config/config.yaml: ", "and ")) for line in str(error).splitlines())


@pytest.mark.parametrize("path", ["by-hand", "by-hand.drop", "by-hand.edit", "by-hand.edit.0", "by-hand.exclude"])
def test_no_broken_review_breaks_the_check(config, path):
    review = {"drop": [0], "edit": [{"prompt": 1, "to": "a crowd"}], "exclude": [1]}
    for value in BROKEN:
        broken = copy.deepcopy(config) | {"reviewed": {"by-hand": copy.deepcopy(review)}}
        test_no_broken_section_or_entry_breaks_the_check(broken, f"reviewed.{path}", value)


# --- A user's own datasets and code ---


@pytest.mark.parametrize("format", validation.WITH_EITHER)
@pytest.mark.parametrize("images", [{"all": 20}, {"train": 15, "test": 5}])
def test_a_user_s_own_dataset_comes_with_a_split_or_without(config, format, images):
    split = {"val": 2} | ({"test": 5} if "all" in images else {})
    config["datasets"]["mine"] = {"title": "Mine", "format": format, "path": "data", "images": images, "split": split}
    check(config)


@pytest.mark.parametrize("format", validation.WITH_EITHER)
def test_a_dataset_with_validation_images_of_its_own_has_no_split(config, format):
    images = {"train": 15, "val": 4, "test": 5}
    mine = {"title": "Mine", "format": format, "path": "data", "images": images}
    config["datasets"]["mine"] = mine
    check(config)
    assert split_of(config, "mine") == images
    mine["split"] = {"val": 2}
    (line,) = problems(config)
    assert line.startswith("datasets.mine.split: the dataset comes with validation images") and "split: null" in line
    mine |= {"split": None, "images": {"train": 15, "test": 5}}
    assert "datasets.mine.split is missing, " in problems(config)[0]
    config["datasets"]["mine"] = {"title": "Mine", "format": "ucf_qnrf", "path": "data", "images": images}
    assert "datasets.mine.images.val: the format ucf_qnrf has no validation images" in problems(config)[0]


def test_groups_of_images(config):
    mine = {"title": "Mine", "format": "points", "path": "data", "images": {"train": 15, "test": 5}}
    config["datasets"]["mine"] = mine
    for grouped in ({"group": r"(cam\d+)_"}, {"group_column": "camera"}):
        mine["split"] = {"val": 3} | grouped
        check(config)
    mine["split"] |= {"group": "(cam"}
    found = "\n".join(problems(config))
    assert "datasets.mine.split: both 'group' and 'group_column' are given" in found
    assert "datasets.mine.split.group: '(cam' is not a regular expression" in found
    mine |= {"format": "coco", "split": {"val": 3, "group_column": "camera"}}
    assert "datasets.mine.split.group_column: the format coco has no table" in problems(config)[0]


def test_a_unit_is_for_files_of_depth(config):
    config["datasets"]["nyu"]["unit"] = 0.001
    assert "datasets.nyu.unit: the format nyu has none; take it away" in problems(config)
    del config["render"]["nyu"]
    config["datasets"]["nyu"] |= {"format": "depth_maps", "path": "data"}
    check(config)


@pytest.fixture
def own(config, tmp_path, monkeypatch):
    """A config with an annotator and a network of a user's own, in the folder where snakemake runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/my_counter.py").write_text(
        "import nothing_that_is_installed\n\n\ndef count(images): ...\ndef scaled(images, scale): ...\n"
    )
    (tmp_path / "code/my_network.py").write_text(
        "class MyNetwork(Module):\n    def __init__(self, width, layers=3): ...\nclass Open(Module):\n"
        "    def __init__(self, **settings): ...\nclass Inherits(MyNetwork): ...\n"
    )
    config["annotators"]["mine"] = {"function": "code/my_counter.py:count", "task": "counting"}
    config["networks"]["mine"] = {"class": "code/my_network.py:MyNetwork", "task": "counting", "width": 0.5}
    config["experiments"]["mine"] = {"dataset": "shtb", "network": "mine"}
    config["experiments"]["filtered"]["scored_by"] = ["sasnet", "mine"]
    config["tables"]["cost"]["rows"].append({"network": "mine", "datasets": ["shtb"]})
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("networks.mine.layers", [3, 4]),
        ("networks.mine.backbone", "data/weights.safetensors"),
        ("networks.mine", {"class": "code/my_network.py:Open", "task": "counting", "anything": "goes"}),
        ("networks.mine", {"class": "code/my_network.py:Inherits", "task": "counting", "anything": "goes"}),
        ("networks.mine.class", "code.my_network:MyNetwork"),
        ("annotators.mine.function", "code.my_counter:count"),
    ],
)
def test_a_user_s_own_code_is_looked_at_and_not_run(own, path, value):
    put(own, path, value)
    check(own)


@pytest.mark.parametrize(
    ("path", "value", "place", "parts"),
    [
        (
            "annotators.mine.function",
            "my_counter.py:count",
            "annotators.mine.function",
            ["my_counter.py: no such file", "{folder}/my_counter.py", "the folder in which snakemake runs"],
        ),
        (
            "annotators.mine.function",
            "code/my_counter.py",
            "annotators.mine.function",
            ["'code/my_counter.py' is not a file and what it defines, such as my_counter.py:count"],
        ),
        (
            "annotators.mine.function",
            "code/my_counter.py:scaled",
            "annotators.mine.function",
            ["called with the images alone", "images, scale"],
        ),
        ("annotators.mine.task", GONE, "annotators.mine.task", ["is missing: what it gives, density or depth"]),
        ("annotators.mine.task", "counts", "annotators.mine.task", ["Known: counting, depth", "mean 'counting'?"]),
        (
            "annotators.mine.task",
            "depth",
            "experiments.filtered.scored_by",
            ["'mine' is for depth", "shtb is for counting"],
        ),
        (
            "annotators.mine.weights",
            "models/mine.pth",
            "annotators.mine.weights",
            ["Known keys: files, flip, function, task"],
        ),
        (
            f"{PANDA}.fine_tune.annotator",
            "mine",
            f"{PANDA}.fine_tune.annotator",
            ["'mine' is a function, which cannot be trained; name one with a network"],
        ),
        (
            "tables.cost.rows.1.annotators",
            {"shtb": "mine"},
            "tables.cost.rows[1].annotators.shtb",
            ["'mine' is a function; expected one of sasnet"],
        ),
        (
            "networks.mine.class",
            "code/my_network.py:MyNet",
            "networks.mine.class",
            ["no class 'MyNet'", "Inherits, MyNetwork, Open", "Did you mean 'MyNetwork'?"],
        ),
        (
            "networks.mine.widht",
            0.5,
            "networks.mine.widht",
            ["not an argument of MyNetwork", "layers, width", "Did you mean 'width'?"],
        ),
        ("networks.mine.width", GONE, "networks.mine.width", ["is missing: MyNetwork has no default for it"]),
        ("networks.mine.task", "depth", "experiments.mine.network", ["'mine' is for depth", "shtb is for counting"]),
        (
            "networks.csrnet.class",
            "code/my_network.py:MyNetwork",
            "networks.csrnet.class",
            ["is not a key. Known keys: backbone, width"],
        ),
        (
            "networks.sasnet",
            {"class": "code/my_network.py:MyNetwork", "task": "counting", "width": 1},
            "networks.sasnet",
            ["a network of ours is called sasnet; give yours another name"],
        ),
    ],
)
def test_what_is_wrong_with_a_user_s_own_code(own, tmp_path, path, value, place, parts):
    refused(own, path, value, place, [part.format(folder=tmp_path) for part in parts])


@pytest.mark.parametrize(("line", "found"), [("stride = 4", "stride 4"), ("width = 4", "no stride")])
def test_a_wrong_stride_of_a_user_s_network_is_said_once_and_its_code_not_run(own, tmp_path, line, found):
    (tmp_path / "code/my_network.py").write_text(
        f"class Net(nn.Module):\n    {line}\n    def __init__(self, width): ...\n"
    )
    put(own, "networks.mine.class", "code/my_network.py:Net")
    refused(
        own, "networks.mine.width", 1, "networks.mine.class", [found, "a network for counting must have `stride = 8`"]
    )


@pytest.mark.parametrize(
    "path", ["networks.mine", "networks.mine.class", "annotators.mine", "annotators.mine.function"]
)
def test_no_broken_entry_of_a_user_s_own_breaks_the_check(own, path):
    for value in BROKEN:
        test_no_broken_section_or_entry_breaks_the_check(copy.deepcopy(own), path, value)


# --- Models of transformers ---


@pytest.fixture
def ready(config, tmp_path, monkeypatch):
    """A config with a detector and a depth estimator, of which only the detector's config.json is there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "detr").mkdir()
    facts = {"model_type": "detr", "architectures": ["DetrForObjectDetection"], "id2label": {"0": "person", "1": "dog"}}
    (tmp_path / "detr/config.json").write_text(json.dumps(facts))
    config["annotators"]["people"] = {"model": "detr", "task": "counting", "label": "person"}
    config["annotators"]["far"] = {"model": "depth", "task": "depth"}
    config["annotators"]["mean"] = {"mean_of": ["sasnet", "people"]}
    config["experiments"]["detected"] = {"dataset": "shtb", "network": "rescsrnet", "annotator": "people"}
    config["experiments"]["filtered"]["scored_by"] = ["sasnet", "people"]
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("annotators.people.score", 0.9),
        ("annotators.people.sigma", 1.5),
        ("annotators.people.kernel", 7),
        ("annotators.people.trained_on", "shtb"),
        ("annotators.people.flip", True),
        ("annotators.far.unit", "metres"),
        ("annotators.far.flip", True),
        ("annotators.sasnet.flip", True),
        ("annotators.sasnet-panda.flip", True),
        ("annotators.people.model", "owner/name"),  # not in the Hub's cache: the preflight says so
    ],
)
def test_a_model_of_transformers_may_annotate(ready, path, value):
    put(ready, path, value)
    check(ready)


def test_what_a_model_s_settings_are_if_not_given(ready):
    check(ready)
    assert ready["annotators"]["people"].items() >= {"score": 0.5, "sigma": 4, "kernel": 15, "flip": False}.items()
    assert ready["annotators"]["far"] == {"model": "depth", "task": "depth", "flip": False}


@pytest.mark.parametrize(
    ("path", "value", "place", "parts"),
    [
        ("annotators.people.task", GONE, "annotators.people.task", ["is missing: what it gives"]),
        ("annotators.people.label", GONE, "annotators.people.label", ["is missing: which of its labels is counted"]),
        ("annotators.people.label", "persn", "annotators.people.model", ["dog, person", "Did you mean 'person'?"]),
        ("annotators.people.unit", "metres", "annotators.people.unit", ["is not a key", "label", "score"]),
        ("annotators.far.label", "person", "annotators.far.label", ["is not a key. Known keys: flip, model, task"]),
        ("annotators.far.unit", "feet", "annotators.far.unit", ["'feet' is not a unit of depth. Known: metres"]),
        ("annotators.people.score", 2, "annotators.people.score", ["2 is not a number from 0 to 1"]),
        ("annotators.people.kernel", 4, "annotators.people.kernel", ["4 is not an odd whole number"]),
        ("annotators.people.flip", "yes", "annotators.people.flip", ["is not true or false"]),
        ("annotators.both.flip", True, "annotators.both.flip", ["is not a key. Known keys: mean_of"]),
        (
            "annotators.far.model",
            "detr",
            "annotators.far.model",
            ["a DetrForObjectDetection, which is no depth estimator", "depth_anything"],
        ),
        ("promptmix.shtb.annotator", "far", "experiments.longer", ["'far' is for depth", "shtb is for counting"]),
        (
            f"{PANDA}.fine_tune.annotator",
            "people",
            f"{PANDA}.fine_tune.annotator",
            ["'people' is a model of transformers, which cannot be trained"],
        ),
    ],
)
def test_what_is_wrong_with_a_model_of_transformers(ready, path, value, place, parts):
    refused(ready, path, value, place, parts)


@pytest.mark.parametrize("path", ["annotators.people", "annotators.people.model", "annotators.far"])
def test_no_broken_model_of_transformers_breaks_the_check(ready, path):
    for value in BROKEN:
        test_no_broken_section_or_entry_breaks_the_check(copy.deepcopy(ready), path, value)


# --- The schema ---


def nodes(node, path="#"):
    """Yield every schema within a schema with its path."""
    yield path, node
    for word in ("additionalProperties", "propertyNames", "items", "if", "then", "else"):
        if isinstance(node.get(word), dict):
            yield from nodes(node[word], f"{path}/{word}")
    for word in ("properties", "$defs"):
        for name, inner in node.get(word, {}).items():
            yield from nodes(inner, f"{path}/{word}/{name}")
    for word in ("allOf", "oneOf"):
        for i, inner in enumerate(node.get(word, [])):
            yield from nodes(inner, f"{path}/{word}/{i}")


def whole(node):
    """Return a schema together with the definitions that it refers to."""
    while "$ref" in node:
        target = SCHEMA
        for part in node["$ref"].split("/")[1:]:
            target = target[part]
        node = target | {key: value for key, value in node.items() if key != "$ref"}
    return node


def names_of_properties():
    """Yield path and schema of every key that the schema knows."""
    for path, node in nodes(SCHEMA):
        if path.split("/")[-2:-1] == ["properties"] and "/if/" not in path:
            yield path, node


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_the_small_config_of_the_tests_has_every_section():
    assert {*small(), "extends"} == set(SCHEMA["properties"])


def test_every_key_is_described_once():
    for path, node in names_of_properties():
        again = path.endswith("/kind") and "$defs" in path  # where the kinds of tables are told apart
        defaults = path.startswith("#/properties/training/properties/default/properties/")
        assert again or defaults or whole(node).get("description"), path


def test_no_section_takes_unknown_keys():
    for path, node in nodes(SCHEMA):
        section = whole(node)
        by_kind = "if" in section or "allOf" in section  # whose branches say it
        if section.get("type") == "object" and not by_kind:
            assert "additionalProperties" in section, path


def test_every_value_of_a_list_of_known_ones_has_a_word_for_it():
    for path, node in nodes(SCHEMA):
        if "enum" in node and "/if/" not in f"{path}/" and not path.endswith("/kind"):
            assert node.get("title"), path


def test_every_definition_of_the_schema_is_used():
    text = validation.SCHEMA.read_text()
    assert [name for name in SCHEMA["$defs"] if f"#/$defs/{name}" not in text and name != "fake"] == []


def test_the_manual_names_every_key():
    manual = (ROOT / "config" / "README.md").read_text()
    keys = {path.rsplit("/", 1)[1] for path, _ in names_of_properties() if "/vary/" not in path}
    assert not [key for key in sorted(keys) if not re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", manual)]


@pytest.mark.parametrize("below", ["config", "paper"])
def test_the_examples_of_the_manual_are_right_above_the_shipped_configs(below, tmp_path, monkeypatch):
    manual = (ROOT / "config" / "README.md").read_text()
    for name, source in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", manual, re.DOTALL):
        (tmp_path / name).write_text(source)
    monkeypatch.chdir(tmp_path)
    files = [ROOT / f"config/{below}.yaml"]
    for i, text in enumerate(re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)):
        example = yaml.safe_load(text)
        example.pop("extends", None)
        example.get("datasets", {}).pop("nyu", None)  # at a path of the user's, and the miniature renders it
        files.append(tmp_path / f"{i}.yaml")
        files[-1].write_text(yaml.safe_dump(example))
    _, targets = resolve(read(files))
    assert targets["stations"].experiments == ["station-rescsrnet", "station-rescsrnet-promptmix"]
    assert {"mine", "filters"} < set(targets)


def test_names_in_the_schema_are_those_of_the_library():
    from promptmix.miniature.rendering.crowds import LOCATIONS
    from promptmix.miniature.rendering.rooms import ROOMS
    from promptmix.tasks import depth_metrics

    formats = SCHEMA["properties"]["datasets"]["additionalProperties"]["properties"]["format"]["enum"]
    assert set(formats) == set(TASKS)
    definitions = SCHEMA["$defs"]
    assert set(definitions["network"]["enum"]) == set(networks.TASKS)
    assert {*validation.WITHOUT_SPLIT, *validation.WITH_EITHER} < set(formats)
    properties = SCHEMA["properties"]["evaluation"]["properties"]
    assert set(properties["crop"]["enum"]) == set(depth_metrics.CROPS)
    assert set(properties["average"]["enum"]) == set(depth_metrics.AVERAGES)
    assert set(definitions["locations"]["items"]["enum"]) == set(LOCATIONS)
    rooms = SCHEMA["properties"]["render"]["additionalProperties"]["properties"]["rooms"]
    assert set(rooms["items"]["enum"]) == set(ROOMS)
    known = {setting for name in definitions["network"]["enum"] for setting in validation.settings_of(name)}
    assert set(definitions["network_settings"]["properties"]) == known
    for name in SCHEMA["properties"]["networks"]["properties"]:
        assert set(definitions["lightweight"]["properties"]) == {*validation.settings_of(name), "backbone"}
    assert set(definitions["task"]["enum"]) == set(networks.STRIDES) == set(networks.TASKS.values())


def test_what_experiments_and_tables_can_say_is_what_the_library_knows():
    definitions = SCHEMA["$defs"]
    assert list(definitions["method"]["enum"]) == list(METHODS)
    assert set(definitions["fake"]["properties"]) == set(FAKE_KEYS)
    of_rows = {*FAKE_KEYS, "dataset", "network", "training"}
    assert set(definitions["experiment"]["properties"]) == of_rows
    assert of_rows - {"network"} | {"method", *DERIVED} == set(HEADINGS)  # the method names the network
    table = definitions["error_table"]["properties"]
    assert set(table["vary"]["properties"]) == of_rows
    assert table["columns"]["items"]["enum"] == list(HEADINGS)


def test_tables_know_what_they_are_asked_to_count(monkeypatch):
    fake = pd.DataFrame({"pool": ["rooms", "rooms"], "prompt_number": [0, 0], "faces": [2, 3]})
    monkeypatch.setattr("promptmix.report.tables.read_fake", lambda _: fake)
    names = SCHEMA["$defs"]["error_table"]["properties"]["measured"]["items"]["enum"]
    assert measure("fake.csv", names) == {"generated images": "2", "prompts kept": "1", "faces restored": "5"}


def test_the_paper_s_numbers_are_of_metrics_that_tables_know():
    metrics = {metric.name for task in ("counting", "depth") for metric in metrics_of(task)}
    results = paper_results()
    assert set(results) == {*(f"table{i}" for i in range(1, 8)), "roundtrip"}
    for table in ("table1", "table2", "table4", "table5", "table6", "table7"):
        for row in results[table]["rows"].values():
            assert set(row) == {"baseline", "promptmix"} <= set(METHODS)
            assert {metric for numbers in row.values() for metric in numbers} <= metrics
    assert "mae" in metrics
    for row in results["table3"]["rows"].values():
        assert row.keys() - {"method"} == {"gmac", "parameters", "mae"} and row.get("method", "baseline") in METHODS


def test_lightweight_networks_have_the_stride_of_the_annotations():
    for name in SCHEMA["properties"]["networks"]["properties"]:
        assert network_class(name).stride == networks.STRIDES[networks.task_of(name)]


def test_settings_read_from_source_are_those_of_the_class():
    for name in networks.NETWORKS:
        assert validation.settings_of(name) == settings_of(network_class(name))


def test_the_captioners_settings_are_those_of_clipcap():
    from promptmix.networks.clipcap import GPT_SETTINGS, ClipCap
    from promptmix.synthesis.captions import Captioner

    captioner = SCHEMA["properties"]["captioners"]["additionalProperties"]["else"]["properties"]
    assert set(captioner) == set(settings_of(Captioner)) - {"device"}
    settings = captioner["settings"]["properties"]
    assert set(settings) == set(settings_of(ClipCap))
    assert set(settings["gpt"]["properties"]) == set(GPT_SETTINGS)


FLUX = {"model_index": {"_class_name": "FluxPipeline"}, "transformer": {"guidance_embeds": True}}
SCHNELL = FLUX | {"transformer": {"guidance_embeds": False}}
TURBO = {
    "model_index": {"_class_name": "StableDiffusionXLPipeline", "scheduler": ["diffusers", "EulerDiscreteScheduler"]},
    "unet": {},
    "scheduler": {"timestep_spacing": "trailing"},
}
SDXL = TURBO | {"scheduler": {"timestep_spacing": "leading"}}
LCM = {"model_index": {"_class_name": "LatentConsistencyModelPipeline"}, "unet": {"time_cond_proj_dim": 256}}
PIXART = {"model_index": {"_class_name": "PixArtAlphaPipeline"}, "transformer": {}}
NEGATIVE, GUIDED = {"guidance": 3, "negative_prompt": "a dog"}, {"guidance": 3}
REFINED, WITH_LORA = {"refiner": {"model": "other"}}, {"lora": [{"model": "other"}]}


@pytest.mark.parametrize(
    ("model", "settings", "key"),
    [
        *((FLUX, NEGATIVE, "negative_prompt"), (FLUX, GUIDED, ""), (FLUX, REFINED, "refiner"), (FLUX, WITH_LORA, "")),
        *((SCHNELL, GUIDED, "guidance"), (TURBO, GUIDED, "guidance"), (TURBO, REFINED, ""), (SDXL, NEGATIVE, "")),
        *((LCM, NEGATIVE, "negative_prompt"), (LCM, GUIDED, ""), (PIXART, WITH_LORA, "lora"), (PIXART, NEGATIVE, "")),
        ({"model_index": {"_class_name": "OtherPipeline"}}, NEGATIVE, ""),  # which the preflight refuses
        ({"model_index": [1]}, NEGATIVE, ""),
        ({}, NEGATIVE, ""),
    ],
)
def test_what_a_generator_s_model_does_not_take_is_a_problem_of_the_config(config, tmp_path, model, settings, key):
    """Where the model is there already; its configs are all that is read."""
    for part, content in model.items():
        name = {"model_index": "model_index", "scheduler": "scheduler/scheduler_config"}.get(part, f"{part}/config")
        path = tmp_path / f"model/{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    entry = config["generators"]["diffusion"]
    entry |= {"guidance": 0, "negative_prompt": "", "model": str(tmp_path / "model")} | settings
    found = [line for line in validation.find_problems(config) if line.startswith("generators.diffusion.")]
    assert len(found) == bool(key)
    if key:
        assert found[0].startswith(f"generators.diffusion.{key}: {tmp_path / 'model'}: ")
        assert f"take `{key}` away" in found[0] or "write `guidance: 0`" in found[0]


@pytest.mark.parametrize(
    ("guidance", "text", "wrong"), [(0, "", False), (0, "a dog", True), (1, "a dog", True), (1.5, "a dog", False)]
)
def test_a_negative_prompt_needs_guidance(config, guidance, text, wrong):
    config["generators"]["diffusion"] |= {"guidance": guidance, "negative_prompt": text}
    found = list(validation.find_problems(config))
    assert len(found) == wrong
    for message in found:
        assert "generators.diffusion.negative_prompt: " in message and "take it away, or raise guidance" in message


def test_the_generators_settings_are_those_of_the_library():
    from promptmix.synthesis.generation import GeneratorSettings

    known = {field.name for field in dataclasses.fields(GeneratorSettings)}
    generator = SCHEMA["properties"]["generators"]["additionalProperties"]
    assert set(generator["properties"]) == known | {"model", "base"}


RIGHT = {
    "scheduler": "EulerDiscreteScheduler",
    "variant": "fp16",
    "native": [1024, 768],
    "offload": "sequential",
    "precision": "bfloat16",
    "refiner": {"model": "models/refiner"},
    "lora": [{"model": "models/a.safetensors", "scale": -0.5}, {"model": "models/loras", "file": "b.safetensors"}],
}


def test_a_generator_has_only_the_settings_that_are_given(config):
    """Or a new version of this repository would make all images anew."""
    config["generators"]["other"] |= RIGHT
    check(config)
    assert set(config["generators"]["diffusion"]) == {"model", "steps", "guidance", "negative_prompt", "precision"}
    assert config["generators"]["other"]["refiner"] == {"model": "models/refiner", "from": 0.8}
    assert [lora["scale"] for lora in config["generators"]["other"]["lora"]] == [-0.5, 1]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("scheduler", "euler", "'euler' is not the name of a class in diffusers"),
        ("native", 0, "native"),
        ("native", [1024], "native"),
        ("native", "1024", "a side in pixels, or [width, height]"),
        ("offload", "cpu", "'cpu' is not model or sequential"),
        ("variant", "fp 16", "a variant, such as fp16"),
        ("precision", "float64", "'float64' is not a precision"),
        ("refiner", {"model": "models/refiner", "from": 1}, "a share between 0 and 1"),
        ("refiner", {"from": 0.5}, "refiner.model is missing"),
        ("lora", [], "lora"),
        ("lora", [{"scale": 1}], "lora[0].model is missing"),
        ("lora", [{"model": "a", "file": "b.bin"}], "the name of a .safetensors file"),
    ],
)
def test_a_setting_of_a_generator_that_is_none_is_refused(config, key, value, said):
    config["generators"]["other"][key] = value
    (message,) = problems(config)
    assert f"generators.other.{key}" in message and said in message


def test_the_restorers_settings_are_those_of_the_library():
    from promptmix.synthesis.faces import FaceSettings

    restorer = SCHEMA["$defs"]["restorer"]["properties"]
    parts = {"detector": "retinaface", "parser": "parsenet", "restorer": "gfpgan"}
    settings = {field.name: field.default for field in dataclasses.fields(FaceSettings)}
    assert set(restorer) == set(parts) | set(settings)
    assert {name: restorer[name]["default"] for name in settings} == settings
    for part, network in parts.items():
        known = set(settings_of(network_class(network)))
        if part == "parser":
            known -= {"classes"}  # what is pasted back follows from them
        assert restorer[part]["properties"]["settings"]["$ref"] == f"#/$defs/{network}"
        assert set(SCHEMA["$defs"][network]["properties"]) == known


def test_the_training_settings_are_those_of_the_library():
    from promptmix.training.settings import TrainingSettings

    known = {field.name for field in dataclasses.fields(TrainingSettings)}
    of_experiments = {"network", "network_settings", "seed", "r_mix", "repeated", "real_images", "learning_rate"}
    training = set(SCHEMA["$defs"]["training"]["properties"])
    assert training == known - of_experiments | {"learning_rates", "repeats"}
    default = SCHEMA["properties"]["training"]["properties"]["default"]
    # each has to be given, or has a default, but for one that came later: the params of what was trained do not name it
    assert training == {
        *default["required"],
        *default["properties"],
        "accumulate",
        "tf32",
        "cudnn_benchmark",
        "compile",
    }
    assert not set(default["required"]) & set(default["properties"])


# --- Snakemake does it at each start ---


def test_reading_and_resolving_the_paper_s_config_is_quick():
    heavy = ("torch", "pandas", "scipy", "h5py", "snakemake")
    code = f"""
import sys, time
from promptmix.config.validation import read, resolve
resolve(read(["config/paper.yaml"]))
print(time.process_time(), *(name for name in {heavy} if name in sys.modules))
"""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'scripts'){code}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, *imported = found.stdout.split()
    assert imported == []
    assert float(seconds) < 1  # of the processor's, the start of Python and all imports included; it takes a third
