import copy
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from promptmix import configuration, networks
from promptmix.configuration import Plan, as_text, check
from promptmix.datasets import READERS
from promptmix.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = yaml.safe_load(configuration.SCHEMA.read_text())
SHIPPED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())

# A config of its own, so that numbers in the shipped one can change freely.
SMALL = yaml.safe_load("""
scale: small
seed: 42
datasets:
  shtb:
    title: Shanghai Tech Part B
    format: shanghaitech
    path: data/part_B_final
    images: {train: 400, test: 316}
    split: {val: 0.1}
  panda:
    title: PANDA-Crowd
    format: panda
    path: results/small/rendered/panda/PANDA_Crowd
    images: {all: 45}
    split: {train: 30, val: 6, test: 9}
    resize: {exact: [128, 72]}
render:
  panda: {format: panda, sizes: [[96, 64]], locations: [airport], people: [6, 30], quality: [90, 95]}
captioners:
  clipcap: {clip: models/clip, tokenizer: models/gpt2, weights: models/clipcap.pt}
prompts: {prefix: large crowd, suffix: {grey: grey photo, colour: colour photo}}
pools:
  shtb-captions: {dataset: shtb, captioner: clipcap}
  panda-captions: {dataset: panda, captioner: clipcap}
  by-hand: {prompts: [a crowd in a stadium, a crowd on a beach], width: 96, height: 64, quality: 75}
generators:
  stable-diffusion: {model: models/stable-diffusion, steps: 10, guidance: 3}
annotators:
  sasnet: {network: sasnet, weights: models/sasnet.pth}
  sasnet-panda:
    network: sasnet
    fine_tune: {annotator: sasnet, dataset: panda, learning_rate: "2e-4", epochs: 6, batch_size: 4}
networks:
  csrnet: {}
  rescsrnet: {width: 0.5}
training:
  default:
    epochs: 500
    batch_size: 1
    learning_rates: ["1e-3", "1e-4"]
    repeats: 3
    weight_decay: 1.0e-4
    decay: 0.99
    flip: false
    density_scale: 1
    sigma: 4
    kernel: 15
    precision: float32
    validate_every: 1
  shtb: {batch_size: 32}
experiments:
  shtb-rescsrnet: {dataset: shtb, network: rescsrnet}
  shtb-rescsrnet-promptmix:
    dataset: shtb
    network: rescsrnet
    training: {epochs: 100}
    fake:
      pools: [by-hand, shtb-captions]
      images_per_prompt: 10
      generator: stable-diffusion
      annotator: sasnet
      r_mix: 500
  same-again: {dataset: shtb, network: rescsrnet, training: {batch_size: 32}}
tables:
  table1:
    - {baseline: shtb-rescsrnet, promptmix: shtb-rescsrnet-promptmix, paper: {baseline: 10.6}}
    - {baseline: same-again, promptmix: shtb-rescsrnet-promptmix}
miniature:
  corpus: {images: 10, seed: 1, rooms: 0.1}
  clip: {steps: 1}
  captioner: {steps: 1}
  autoencoder: {steps: 1}
  diffusion: {steps: 1}
  annotators:
    first:
      {network: sasnet, width: 0.25, dataset: panda, images: 9, epochs: 1, learning_rate: "2e-3", decay: 0.75}
""")

GONE = object()


@pytest.fixture
def config():
    return copy.deepcopy(SMALL)


def put(config, path, value):
    """Set what stands at a path such as datasets.shtb.images.train, or remove it."""
    *parents, last = path.split(".")
    for part in parents:
        config = config[part]
    if value is GONE:
        del config[last]
    else:
        config[last] = value


def problems(config):
    with pytest.raises(InputError) as raised:
        check(config)
    return str(raised.value).splitlines()


# --- Configs that are right ---


def test_the_shipped_config_is_right():
    check(copy.deepcopy(SHIPPED))


def test_a_config_without_a_miniature_is_right(config):
    del config["miniature"], config["render"]
    config["datasets"]["panda"]["path"] = "data/PANDA_Crowd"
    check(config)
    assert config["render"] == {}


def test_defaults_are_filled_in(config):
    check(config)
    assert config["datasets"]["shtb"]["resize"] is None
    assert config["datasets"]["panda"]["resize"] == {"exact": [128, 72]}
    assert config["captioners"]["clipcap"] == {
        **{"clip": "models/clip", "tokenizer": "models/gpt2", "weights": "models/clipcap.pt"},
        **{"settings": {}, "decoding": "greedy", "max_tokens": 67, "normalise": False},
    }
    assert config["generators"]["stable-diffusion"]["negative_prompt"] == ""
    assert config["annotators"]["sasnet"]["settings"] == {}
    assert config["render"]["panda"]["grey"] == 0
    assert set(config["training"]["shtb"]) == {"batch_size"}  # what differs, and nothing else
    before = copy.deepcopy(config)
    check(config)
    assert config == before


# --- Errors: where, what, what was expected ---

POOLS = "Known pools: by-hand, panda-captions, shtb-captions."
EXPERIMENTS = "Known experiments: same-again, shtb-rescsrnet, shtb-rescsrnet-promptmix."
FAKE = "experiments.shtb-rescsrnet-promptmix.fake"
PANDA = "annotators.sasnet-panda"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        # Keys
        (
            "datasets.shtb.reszie",
            None,
            "datasets.shtb.reszie is not a key. Known keys: format, images, path, resize, split, title. "
            "Did you mean 'resize'?",
        ),
        ("datasets.shtb.path", GONE, "datasets.shtb.path is missing: folder of the dataset"),
        ("datasets.shtb.images.test", GONE, "datasets.shtb.images.test is missing: test images of the authors' split"),
        (
            "training.default.sigma",
            GONE,
            "training.default.sigma is missing: of a head in the density map, in pixels",
        ),
        (
            "seed",
            GONE,
            "seed is missing: of every split, and of the first repeat; repeat n has seed + n",
        ),
        ("pools.by-hand.width", GONE, "pools.by-hand.width is missing: of the images to generate"),
        ("pools.shtb-captions.captioner", GONE, "pools.shtb-captions.captioner is missing: what captions them"),
        ("pools.empty", {}, "pools.empty.captioner is missing: what captions them"),
        # Values
        (
            "training.default.epochs",
            "twelve",
            "training.default.epochs: 'twelve' (text) is not a whole number of 1 or more",
        ),
        ("training.default.epochs", 0, "training.default.epochs: 0 is not a whole number of 1 or more"),
        ("training.default.epochs", 4.0, "training.default.epochs: 4.0 (number) is not a whole number of 1 or more"),
        ("training.default.epochs", True, "training.default.epochs: true is not a whole number of 1 or more"),
        ("training.default.epochs", None, "training.default.epochs: null is not a whole number of 1 or more"),
        ("training.default.flip", 1, "training.default.flip: 1 (number) is not true or false"),
        ("training.default.sigma", float("nan"), "training.default.sigma: NaN (number) is not a number above 0"),
        ("training.default.kernel", 14, "training.default.kernel: 14 is not an odd whole number, such as 15"),
        ("training.default.decay", 1.5, "training.default.decay: 1.5 is not a number above 0, at most 1"),
        (
            "training.default.weight_decay",
            "1e-4",
            "training.default.weight_decay: '1e-4' (text) is not a number of 0 or more. "
            "YAML reads 1e-4 as text; write 1.0e-4",
        ),
        (
            "training.default.epochs",
            "12",
            "training.default.epochs: '12' (text) is not a whole number of 1 or more. Take away the quotes",
        ),
        (
            "training.shtb.learning_rates",
            ["1e-3", 0.0001],
            'training.shtb.learning_rates[1]: 0.0001 (number) is not a learning rate in quotes, such as "1e-3"',
        ),
        (
            "training.default.learning_rates",
            ["0.0e-3"],
            "training.default.learning_rates[0]: '0.0e-3' is not a learning rate in quotes, such as \"1e-3\"",
        ),
        (
            "training.default.learning_rates",
            [],
            "training.default.learning_rates: the list is empty; expected one entry or more",
        ),
        (
            "training.default.learning_rates",
            ["1e-3", "1e-3"],
            "training.default.learning_rates: '1e-3' stands there twice",
        ),
        (
            "training.default.precision",
            "float61",
            "training.default.precision: 'float61' is not a precision. Known: float16, float32. Did you mean 'float16'?",
        ),
        (
            "datasets.shtb.format",
            "shangaitech",
            "datasets.shtb.format: 'shangaitech' is not a format. Known: panda, shanghaitech, ucf_qnrf. "
            "Did you mean 'shanghaitech'?",
        ),
        (
            "datasets.shtb.resize",
            {"fit": [96]},
            "datasets.shtb.resize.fit: [96] is not a width and a height, such as [96, 64]",
        ),
        (
            "datasets.shtb.resize",
            {"fit": [96, 64], "exact": [96, 64]},
            'datasets.shtb.resize: {"fit": [96, 64], "exact": [96, 64]} is not '
            "{fit: [width, height]}, {exact: [width, height]} or null",
        ),
        (
            "datasets.shtb.resize",
            "96x64",
            "datasets.shtb.resize: '96x64' (text) is not {fit: [width, height]}, {exact: [width, height]} or null",
        ),
        ("render.panda.grey", 25, "render.panda.grey: 25 is not a number from 0 to 1"),
        ("experiments", ["shtb"], 'experiments: ["shtb"] (list) is not a section of keys and values'),
        (f"{FAKE}.pools", "by-hand", f"{FAKE}.pools: 'by-hand' (text) is not a list"),
        (
            f"{FAKE}.r_mix",
            -1,
            f"{FAKE}.r_mix: -1 is not a whole number of 1 or more",
        ),
        (
            "pools.Big_Crowd",
            {"dataset": "shtb", "captioner": "clipcap"},
            "pools.Big_Crowd: 'Big_Crowd' is not a name: small letters, digits and hyphens, such as shtb-captions "
            "(it becomes a file's name)",
        ),
        (
            "scale",
            "a/b",
            "scale: 'a/b' is not a name: small letters, digits and hyphens, such as shtb-captions (it becomes a file's name)",
        ),
        (
            "networks.rescrsnet",
            {},
            "networks.rescrsnet: 'rescrsnet' is not a lightweight network. Known: csrnet, rescsrnet. "
            "Did you mean 'rescsrnet'?",
        ),
        # One or the other
        (
            "annotators.sasnet.weights",
            GONE,
            "annotators.sasnet: expected exactly one of 'weights' and 'fine_tune', found none",
        ),
        (
            f"{PANDA}.weights",
            "models/panda.pth",
            f"{PANDA}: expected exactly one of 'weights' and 'fine_tune', found 'weights' and 'fine_tune'",
        ),
        # Names of other entries
        (
            f"{FAKE}.pools",
            ["by-hand", "shtb-captoins"],
            f"{FAKE}.pools[1]: 'shtb-captoins' is not a pool. {POOLS} Did you mean 'shtb-captions'?",
        ),
        (
            f"{FAKE}.generator",
            "dalle",
            f"{FAKE}.generator: 'dalle' is not a generator. Known generators: stable-diffusion.",
        ),
        (
            f"{FAKE}.annotator",
            "sasnt",
            f"{FAKE}.annotator: 'sasnt' is not an annotator. Known annotators: sasnet, sasnet-panda. Did you mean 'sasnet'?",
        ),
        (
            "experiments.same-again.dataset",
            "shta",
            "experiments.same-again.dataset: 'shta' is not a dataset. Known datasets: panda, shtb. Did you mean 'shtb'?",
        ),
        (
            "experiments.same-again.network",
            "vgg",
            "experiments.same-again.network: 'vgg' is not a network. Known networks: csrnet, rescsrnet.",
        ),
        (
            "pools.shtb-captions.dataset",
            "stb",
            "pools.shtb-captions.dataset: 'stb' is not a dataset. Known datasets: panda, shtb. Did you mean 'shtb'?",
        ),
        (
            "pools.shtb-captions.captioner",
            "blip",
            "pools.shtb-captions.captioner: 'blip' is not a captioner. Known captioners: clipcap.",
        ),
        (
            "training.stb",
            {"epochs": 3},
            "training.stb: 'stb' is not a dataset. Known: default, panda, shtb. Did you mean 'shtb'?",
        ),
        (
            f"{PANDA}.fine_tune.annotator",
            "other",
            f"{PANDA}.fine_tune.annotator: 'other' is not an annotator. Known annotators: sasnet, sasnet-panda.",
        ),
        (
            f"{PANDA}.fine_tune.dataset",
            "pandas",
            f"{PANDA}.fine_tune.dataset: 'pandas' is not a dataset. Known datasets: panda, shtb. Did you mean 'panda'?",
        ),
        (
            f"{PANDA}.fine_tune.annotator",
            "sasnet-panda",
            f"{PANDA}.fine_tune.annotator: it would start from itself: sasnet-panda from sasnet-panda",
        ),
        (
            "annotators.sasnet.settings",
            {"width": 0.25},
            f"{PANDA}.fine_tune.annotator: network and settings are not those of 'sasnet'; make them equal",
        ),
        (
            "networks.rescsrnet",
            {"block_size": 32},
            "networks.rescsrnet.block_size is not a setting of rescsrnet. Known settings: width.",
        ),
        (
            "miniature.annotators.first.start",
            "zeroth",
            "miniature.annotators.first.start: 'zeroth' is not trained here. Known: first.",
        ),
        (
            "miniature.annotators.first.start",
            "first",
            "miniature.annotators.first.start: it would start from itself: first from first",
        ),
        # Numbers and places that do not agree
        (
            f"{FAKE}.r_mix",
            3621,
            f"{FAKE}.r_mix: 3621 images per epoch, but 3620 are made: images_per_prompt (10) x 362 prompts. "
            "Lower r_mix or raise images_per_prompt",
        ),
        (
            "datasets.panda.images.all",
            44,
            "datasets.panda.split: 30 train + 6 val + 9 test = 45 images, but there are 44",
        ),
        ("datasets.shtb.split.val", 1.0, "datasets.shtb.split: 1.0 val leaves no training image of 400"),
        (
            "datasets.shtb.split.val",
            0.001,
            "datasets.shtb.split: {\"val\": 0.001} leaves no image in 'val'; expected one or more",
        ),
        (
            "datasets.shtb.split.test",
            0.1,
            "datasets.shtb.split: 'test' is given, but the dataset comes with a test split; give 'val' only",
        ),
        (
            "datasets.panda.split",
            {"val": 0.1},
            "datasets.panda.split: the dataset comes without a test split; give 'test' beside 'val'",
        ),
        (
            "datasets.panda.title",
            "Shanghai Tech Part B",
            "datasets.panda.title: 'Shanghai Tech Part B' is the title of shtb, and tables show titles",
        ),
        (
            "render.panda.format",
            "ucf_qnrf",
            "render.panda.format: 'ucf_qnrf', but the dataset's is 'panda'; make them equal",
        ),
        ("render.panda.people", [30, 6], "render.panda.people: [30, 6]: the first number is the lowest; swap them"),
        (
            "scale",
            "mine",
            "datasets.panda.path: 'results/small/rendered/panda/PANDA_Crowd', but it is rendered into "
            "results/mine/rendered/panda; give the path of a folder in there",
        ),
        (
            "render",
            {},
            "datasets.panda.path: 'results/small/rendered/panda/PANDA_Crowd', but there is no render.panda that says "
            "what to render there",
        ),
        # Tables
        (
            "tables.table1",
            [{"baseline": "shtb", "promptmix": "shtb-rescsrnet-promptmix"}],
            f"tables.table1[0].baseline: 'shtb' is not an experiment. {EXPERIMENTS}",
        ),
        (
            "tables.table1",
            [{"baseline": "shtb-rescsrnet-promptmix", "promptmix": "shtb-rescsrnet-promptmix"}],
            "tables.table1[0].baseline: 'shtb-rescsrnet-promptmix' has generated images (fake); "
            "expected an experiment without",
        ),
        (
            "tables.table1",
            [{"baseline": "shtb-rescsrnet", "promptmix": "same-again"}],
            "tables.table1[0].promptmix: 'same-again' has no generated images (fake); expected an experiment with",
        ),
    ],
)
def test_an_error_says_where_what_and_what_was_expected(config, path, value, problem):
    put(config, path, value)
    lines = problems(config)
    assert f"config/config.yaml: {problem}" in lines
    assert all(line.startswith("config/config.yaml: ") for line in lines)


def test_a_table_pairs_experiments_of_one_dataset_and_network(config):
    config["experiments"]["other"] = {"dataset": "panda", "network": "csrnet"}
    config["tables"]["table1"][0]["baseline"] = "other"
    assert problems(config) == [
        "config/config.yaml: tables.table1[0]: 'shtb-rescsrnet-promptmix' is rescsrnet on shtb, 'other' is csrnet on "
        "panda; expected the same"
    ]


def test_fine_tuning_in_a_circle(config):
    config["annotators"]["sasnet"] = {
        "network": "sasnet",
        "fine_tune": {"annotator": "sasnet-panda", "dataset": "shtb"},
    }
    config["annotators"]["sasnet"]["fine_tune"] |= {"learning_rate": "1e-4", "epochs": 1, "batch_size": 1}
    assert problems(config)[0].endswith("it would start from itself: sasnet from sasnet-panda from sasnet")


def test_a_rendered_part_of_shanghaitech_says_which(config):
    config["render"]["shtb"] = config["render"]["panda"] | {"format": "shanghaitech"}
    assert problems(config) == ["config/config.yaml: render.shtb.part is missing: part of ShanghaiTech"]


def test_no_dataset_is_called_default(config):
    config["datasets"]["default"] = config["datasets"]["shtb"] | {"title": "Default"}
    assert problems(config) == [
        "config/config.yaml: datasets.default: a dataset needs another name; `training.default` is for all datasets"
    ]


def test_a_key_that_yaml_reads_as_a_number(config):
    config["pools"][2024] = config["pools"]["by-hand"]
    assert problems(config) == ["config/config.yaml: pools: the key 2024 is no text; put it in quotes"]


def test_all_problems_come_at_once_in_the_order_of_the_config_those_between_entries_last(config):
    config["experiments"]["shtb-rescsrnet-promptmix"]["fake"]["generator"] = "dalle"
    config["experiments"]["same-again"]["dataset"] = 7
    config["seed"] = "a"
    config["datasets"]["panda"]["split"]["val"] = "b"
    assert [line.split(": ")[1] for line in problems(config)] == [
        "seed",
        "datasets.panda.split.val",
        "experiments.same-again.dataset",
        "experiments.shtb-rescsrnet-promptmix.fake.generator",
    ]


def test_at_most_ten_problems_and_the_number_of_the_others(config):
    config["experiments"] |= {f"e{i}": {"dataset": "nowhere", "network": "csrnet"} for i in range(12)}
    lines = problems(config)
    assert len(lines) == 11
    assert lines[-1] == "config/config.yaml: 2 more"


def test_messages_name_the_file_that_was_read(config):
    config["seed"] = -1
    with pytest.raises(InputError, match=r"^mine\.yaml: seed: -1 is not a whole number of 0 or more$"):
        check(config, "mine.yaml")


@pytest.mark.parametrize("section", sorted(SCHEMA["properties"]))
@pytest.mark.parametrize("value", [GONE, None, [], {}, "text", {"x": None}, {"x": {}}])
def test_no_broken_section_breaks_the_check(config, section, value):
    """Every answer is either none or an InputError."""
    put(config, section, value)
    try:
        check(config)
    except InputError as error:
        assert str(error)


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


def resolved(node):
    target = SCHEMA
    for part in node.get("$ref", "#").split("/")[1:]:
        target = target[part]
    return target | node if "$ref" in node else node


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_every_key_is_described_and_no_section_takes_unknown_ones():
    for path, node in nodes(SCHEMA):
        whole = resolved(node)
        if path.split("/")[-2:-1] == ["properties"] and "/if/" not in path:
            assert whole.get("description"), path
        if whole.get("type") == "object" and "if" not in whole:
            assert "additionalProperties" in whole, path


def test_the_manual_names_every_key():
    manual = (ROOT / "config" / "README.md").read_text()
    keys = {path.rsplit("/", 1)[1] for path, _ in nodes(SCHEMA) if path.split("/")[-2:-1] == ["properties"]}
    assert not [key for key in sorted(keys) if not re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", manual)]


def test_the_examples_of_the_manual_are_right_above_the_shipped_config():
    examples = re.findall(r"```yaml\n(.*?)```", (ROOT / "config" / "README.md").read_text(), re.DOTALL)
    config = copy.deepcopy(SHIPPED)
    for example in examples:
        for section, entries in yaml.safe_load(example).items():
            config[section] |= entries
    check(config)
    plan = Plan(config)
    assert plan.images_of("station-captions", "stable-diffusion") == 3200
    assert [row["experiment"] for row in plan.rows_of_table("table1")] == [
        "station-rescsrnet",
        "station-rescsrnet-promptmix",
    ]


def test_names_in_the_schema_are_those_of_the_library():
    from promptmix.miniature.crowds import LOCATIONS

    formats = SCHEMA["properties"]["datasets"]["additionalProperties"]["properties"]["format"]["enum"]
    assert set(formats) == set(READERS)
    definitions = SCHEMA["$defs"]
    assert set(definitions["network"]["enum"]) == set(networks.NETWORKS) - {"clipcap"}
    assert set(definitions["locations"]["items"]["enum"]) == set(LOCATIONS)
    known = {setting for name in definitions["network"]["enum"] for setting in configuration.settings_of(name)}
    assert set(definitions["network_settings"]["properties"]) == known


def test_lightweight_networks_have_the_stride_of_the_annotations():
    for name in SCHEMA["properties"]["networks"]["propertyNames"]["enum"]:
        assert networks.network_class(name).stride == 8


def test_settings_read_from_source_are_those_of_the_class():
    for name in networks.NETWORKS:
        assert configuration.settings_of(name) == networks.settings_of(networks.network_class(name))


def test_the_captioners_settings_are_those_of_clipcap():
    from promptmix.captions import Captioner
    from promptmix.networks.clipcap import GPT_SETTINGS, ClipCap

    captioner = SCHEMA["properties"]["captioners"]["additionalProperties"]["properties"]
    assert set(captioner) == set(networks.settings_of(Captioner)) - {"device"}
    settings = captioner["settings"]["properties"]
    assert set(settings) == set(networks.settings_of(ClipCap))
    assert set(settings["gpt"]["properties"]) == set(GPT_SETTINGS)


def test_the_generators_settings_are_those_of_the_library():
    from promptmix.generation import GeneratorSettings

    known = {field.name for field in dataclasses.fields(GeneratorSettings)}
    generator = SCHEMA["properties"]["generators"]["additionalProperties"]["properties"]
    assert set(generator) == known | {"model"}


def test_importing_the_configuration_is_quick():
    heavy = ("torch", "pandas", "scipy", "h5py", "snakemake")
    code = f"import promptmix.configuration, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


# --- The plan ---


def test_the_plan_of_the_shipped_config():
    config = copy.deepcopy(SHIPPED)
    check(config)
    plan = Plan(config)
    for pool, entry in config["pools"].items():
        assert plan.prompts_of(pool) == plan.split_of(entry["dataset"])["train"]
    assert {dataset: plan.split_of(dataset)["train"] for dataset in config["datasets"]} == {
        **{"shta": 40, "shtb": 40, "qnrf": 40, "panda": 30},
    }
    assert plan.split_of("shta") == {"val": 10, "test": 40, "train": 40}
    assert plan.images_of("shta-captions", "stable-diffusion") == 80
    assert plan.images_of("panda-captions", "stable-diffusion") == 90
    rows = plan.rows_of_table("table1")
    assert [row["experiment"] for row in rows] == [
        row[role] for row in config["tables"]["table1"] for role in ("baseline", "promptmix")
    ]
    assert {row["method"] for row in rows} == {"baseline", "PromptMix"}


@pytest.fixture
def plan(config):
    check(config)
    return Plan(config)


def test_prompts_and_images(plan, config):
    assert plan.prompts_of("by-hand") == 2
    assert plan.prompts_of("shtb-captions") == 360
    assert plan.prompts_of("panda-captions") == 30
    assert plan.images_of("shtb-captions", "stable-diffusion") == 3600
    assert plan.images_of("panda-captions", "stable-diffusion") == 0
    assert plan.images_of("by-hand", "another") == 0
    more = copy.deepcopy(config["experiments"]["shtb-rescsrnet-promptmix"])
    more["fake"] |= {"images_per_prompt": 40, "pools": ["by-hand"]}
    config["experiments"]["more"] = more
    assert Plan(config).images_of("by-hand", "stable-diffusion") == 80
    assert Plan(config).images_of("shtb-captions", "stable-diffusion") == 3600


@pytest.mark.parametrize(("images", "blocks"), [(0, []), (1, ["000"]), (100, ["000"]), (101, ["000", "001"])])
def test_blocks(plan, images, blocks):
    assert plan.blocks_of(images, 100) == blocks


def test_blocks_have_three_digits(plan):
    assert plan.blocks_of(100_000, 100)[-1] == "999"
    with pytest.raises(InputError, match="100001 images of one pool are asked for; there can be 100000"):
        plan.blocks_of(100_001, 100)


def test_training_settings_come_from_the_experiment_else_the_dataset_else_the_default(plan):
    training = plan.training_of("shtb-rescsrnet-promptmix")
    assert (training["epochs"], training["batch_size"], training["repeats"]) == (100, 32, 3)
    assert plan.training_of("shtb-rescsrnet")["epochs"] == 500


def test_the_settings_of_a_run_are_the_arguments_of_training(plan):
    from promptmix.training import TrainingSettings

    settings = plan.settings_of_run("shtb-rescsrnet-promptmix", "1e-3", 2)
    assert set(settings) == {field.name for field in dataclasses.fields(TrainingSettings)}
    made = TrainingSettings(**json.loads(as_text(settings)))
    assert (made.network, made.network_settings, made.r_mix) == ("rescsrnet", {"width": 0.5}, 500)
    assert (made.learning_rate, made.seed, made.epochs, made.batch_size) == (0.001, 44, 100, 32)
    assert plan.settings_of_run("shtb-rescsrnet", "1e-3", 2)["r_mix"] == 0
    assert plan.settings_of_run("shtb-rescsrnet", "1e-3", 2)["seed"] == 44


def test_fine_tuning(plan):
    from promptmix.training import TrainingSettings

    chosen = plan.fine_tuning_of("sasnet-panda")
    assert chosen["weights"] == "models/sasnet.pth"
    made = TrainingSettings(**chosen["training"])
    assert (made.network, made.learning_rate, made.epochs, made.batch_size, made.seed) == ("sasnet", 2e-4, 6, 4, 42)
    assert (made.r_mix, made.density_scale, made.sigma) == (0, 1, 4)


def test_equal_experiments_are_one(plan, config):
    assert plan.canonical("same-again") == "shtb-rescsrnet"
    assert plan.canonical("shtb-rescsrnet") == "shtb-rescsrnet"
    assert plan.canonical("shtb-rescsrnet-promptmix") == "shtb-rescsrnet-promptmix"
    config["experiments"]["same-again"]["training"]["repeats"] = 4
    assert Plan(config).canonical("same-again") == "same-again"


def test_rows_of_a_table_are_experiments_each_once(plan):
    dataset = {"dataset": "Shanghai Tech Part B", "network": "rescsrnet"}
    assert plan.rows_of_table("table1") == [
        {"experiment": "shtb-rescsrnet", "method": "baseline", "k": None, "r_mix": 0, "paper_mae": 10.6} | dataset,
        {"experiment": "shtb-rescsrnet-promptmix", "method": "PromptMix", "k": 10, "r_mix": 500, "paper_mae": None}
        | dataset,
    ]


def test_equal_values_are_equal_texts():
    assert as_text({"b": [1, None], "a": "x"}) == as_text({"a": "x", "b": [1, None]}) == '{"a": "x", "b": [1, null]}'
