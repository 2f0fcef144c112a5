import copy
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from promptmix.config import validation as configuration
from promptmix.config.plan import Plan
from promptmix.config.validation import as_text, check
from promptmix.datasets.registry import TASKS
from promptmix.errors import InputError
from promptmix.networks import registry as networks
from promptmix.networks.build import network_class, settings_of

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = yaml.safe_load(configuration.SCHEMA.read_text())
SHIPPED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())

# A config of its own, so that numbers in the shipped one can change freely.
SMALL = yaml.safe_load("""
scale: small
seed: 42
preflight: [table1]
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
  nyu:
    title: NYU Depth V2
    format: nyu
    path: results/small/rendered/nyu/nyu_depth_v2_labeled.mat
    images: {all: 20}
    split: {train: 0.7, val: 0.1, test: 0.2}
render:
  panda: {format: panda, sizes: [[96, 64]], locations: [airport], people: [6, 30], quality: [90, 95]}
  nyu: {format: nyu, sizes: [[96, 72]], rooms: [bedroom, office]}
captioners:
  clipcap: {clip: models/clip, tokenizer: models/gpt2, weights: models/clipcap.pt}
prompts: {prefix: large crowd, suffix: {grey: grey photo, colour: colour photo}}
pools:
  shtb-captions: {dataset: shtb, captioner: clipcap}
  panda-captions: {dataset: panda, captioner: clipcap}
  by-hand: {prompts: [a crowd in a stadium, a crowd on a beach], width: 96, height: 64, quality: 75}
  places: {prompts: ["a crowd [location]"], locations: [at sea, in town, at home], width: 96, height: 64, quality: 75}
  rooms: {prompts: [an office], width: 96, height: 72, quality: 95}
generators:
  stable-diffusion: {model: models/stable-diffusion, steps: 10, guidance: 3}
  restored: {generator: stable-diffusion, restorer: gfpgan}
restorers:
  gfpgan:
    detector: {weights: models/detector.pth}
    parser: {weights: models/parser.pth, settings: {in_size: 64}}
    restorer: {weights: models/gfpgan.pth, settings: {out_size: 64}}
annotators:
  sasnet: {network: sasnet, weights: models/sasnet.pth}
  sasnet-panda:
    network: sasnet
    fine_tune: {annotator: sasnet, dataset: panda, learning_rate: "2e-4", epochs: 6, batch_size: 4}
  dmcount: {network: dmcount, weights: models/dmcount.pth}
  adabins: {network: adabins, weights: models/adabins.pt}
networks:
  csrnet: {}
  rescsrnet: {width: 0.5}
  guidedepth: {}
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
  shtb-rescsrnet-control: {dataset: shtb, network: rescsrnet, repeated: 500}
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
  filtered:
    dataset: shtb
    network: rescsrnet
    fake:
      pools: [places]
      images_per_prompt: 40
      generator: restored
      annotator: sasnet
      r_mix: 40
      scored_by: [sasnet, dmcount]
      r_img: 50
      prompt_filter: {baseline: shtb-rescsrnet}
  panda-csrnet: {dataset: panda, network: csrnet}
  nyu-guidedepth: {dataset: nyu, network: guidedepth}
  nyu-guidedepth-promptmix:
    dataset: nyu
    network: guidedepth
    fake: {pools: [rooms], images_per_prompt: 60, generator: stable-diffusion, annotator: adabins, r_mix: 14}
evaluation: {crop: eigen, average: pixels}
tables:
  table1:
    - baseline: shtb-rescsrnet
      control: shtb-rescsrnet-control
      promptmix: shtb-rescsrnet-promptmix
      paper: {baseline: {mae: 10.6}, direction: lower}
    - {baseline: same-again, promptmix: shtb-rescsrnet-promptmix}
  table2:
    - baseline: nyu-guidedepth
      promptmix: nyu-guidedepth-promptmix
      paper: {baseline: {rmse: 0.639}, promptmix: {rmse: 0.601}}
  table3:
    - {network: rescsrnet, runs: {baseline: [shtb-rescsrnet]}, paper: {gmac: 26.54, parameters: 1.57}}
    - {network: sasnet, annotators: {shtb: sasnet}}
  table4: {baseline: shtb-rescsrnet, rows: [shtb-rescsrnet-promptmix]}
  table5: {baseline: shtb-rescsrnet, rows: [shtb-rescsrnet-promptmix]}
  table6: {baseline: shtb-rescsrnet, rows: [shtb-rescsrnet-promptmix]}
  table7: {baseline: shtb-rescsrnet, rows: [filtered]}
  roundtrip: {pools: [shtb-captions], generator: stable-diffusion, captioner: clipcap}
figures:
  figure2: {grey: by-hand, colour: places, generator: stable-diffusion, columns: 2}
  figure3: [{baseline: shtb-rescsrnet, promptmix: shtb-rescsrnet-promptmix}]
  figure4: [{baseline: nyu-guidedepth, promptmix: nyu-guidedepth-promptmix}]
miniature:
  corpus: {images: 10, seed: 1, rooms: 0.1}
  clip: {steps: 1}
  captioner: {steps: 1}
  autoencoder: {steps: 1}
  diffusion: {steps: 1, further: 1, rooms: 0.3}
  annotators:
    first: &first
      {network: sasnet, settings: {width: 0.25}, dataset: panda, images: 9, epochs: 1, learning_rate: "2e-3", decay: 0.75}
    second: {<<: *first, start: first}
  faces:
    retinaface: {settings: {}, steps: 1}
    parsenet: {settings: {}, steps: 1}
    gfpgan: {settings: {}, steps: 1}
""")
OPTIONAL = {"preflight", "render", "restorers", "evaluation", "figures", "miniature"}

GONE = object()


@pytest.fixture
def config():
    return copy.deepcopy(SMALL)


def put(config, path, value):
    """Set what stands at a path such as datasets.shtb.images.train or tables.table1.0.control, or remove it."""
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
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


def without(config):
    """Return the config without what may be left out."""
    config["datasets"]["panda"]["path"] = "data/PANDA_Crowd"
    config["datasets"]["nyu"]["path"] = "data/nyu_depth_v2_labeled.mat"
    del config["generators"]["restored"]
    config["experiments"]["filtered"]["fake"]["generator"] = "stable-diffusion"
    config["tables"] = {"table1": config["tables"]["table1"]}
    return {key: value for key, value in config.items() if key not in OPTIONAL}


def test_a_config_of_what_is_required_is_right(config):
    small = without(config)
    assert set(small) == set(SCHEMA["required"])
    check(small)
    assert (small["render"], small["restorers"], small["figures"]) == ({}, {}, {})
    assert small["evaluation"] == {"crop": "full", "average": "images"}


def test_names_are_checked_also_without_what_is_optional(config):
    small = without(config)
    small["experiments"]["same-again"]["dataset"] = "nowhere"
    assert "experiments.same-again.dataset: 'nowhere' is not a dataset" in problems(small)[0]


def test_defaults_are_filled_in(config):
    check(config)
    assert config["datasets"]["shtb"]["resize"] is None
    assert config["datasets"]["panda"]["resize"] == {"exact": [128, 72]}
    assert config["captioners"]["clipcap"] == {
        **{"clip": "models/clip", "tokenizer": "models/gpt2", "weights": "models/clipcap.pt"},
        **{"settings": {}, "decoding": "greedy", "max_tokens": 67, "normalise": False},
    }
    assert config["generators"]["stable-diffusion"]["negative_prompt"] == ""
    assert config["generators"]["stable-diffusion"]["precision"] == "float32"
    assert config["generators"]["restored"] == {"generator": "stable-diffusion", "restorer": "gfpgan"}
    assert config["restorers"]["gfpgan"]["score"] == 0.97
    assert (config["pools"]["by-hand"]["locations"], config["pools"]["shtb-captions"].keys()) == (
        [],
        {"dataset", "captioner"},
    )
    fake = config["experiments"]["shtb-rescsrnet-promptmix"]["fake"]
    assert (fake["r_img"], fake["scored_by"], "prompt_filter" in fake) == (100, [], False)
    assert config["experiments"]["filtered"]["fake"]["prompt_filter"]["real_images"] is True
    assert config["annotators"]["sasnet"]["settings"] == {}
    assert config["render"]["panda"]["grey"] == 0
    assert set(config["training"]["shtb"]) == {"batch_size"}  # what differs, and nothing else
    before = copy.deepcopy(config)
    check(config)
    assert config == before


# --- Errors: where, what, what was expected ---

POOLS = "Known pools: by-hand, panda-captions, places, rooms, shtb-captions."
ANNOTATORS = "Known annotators: adabins, dmcount, sasnet, sasnet-panda."
GENERATORS = "Known generators: restored, stable-diffusion."
DATASETS = "Known datasets: nyu, panda, shtb."
EXPERIMENTS = (
    "Known experiments: filtered, nyu-guidedepth, nyu-guidedepth-promptmix, panda-csrnet, same-again, shtb-rescsrnet, "
    "shtb-rescsrnet-control, shtb-rescsrnet-promptmix."
)
FAKE = "experiments.shtb-rescsrnet-promptmix.fake"
FILTERED = "experiments.filtered.fake"
PANDA = "annotators.sasnet-panda"


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        # Keys
        (
            "datasets.shtb.reszie",
            None,
            "datasets.shtb.reszie is not a key. Known keys: facts, format, images, path, resize, split, title, unit. "
            "Did you mean 'resize'?",
        ),
        ("datasets.shtb.path", GONE, "datasets.shtb.path is missing: folder of the dataset, or its .mat file for nyu"),
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
            "datasets.shtb.format: 'shangaitech' is not a format. Known: coco, depth_maps, nyu, panda, points, shanghaitech, "
            "ucf_qnrf. Did you mean 'shanghaitech'?",
        ),
        ("datasets.shtb.unit", 0.001, "datasets.shtb.unit: the format shanghaitech has none; take it away"),
        (
            "preflight",
            ["table9"],
            "preflight[0]: 'table9' is not a table or figure. Known: figure2, figure3, figure4, roundtrip, table1, table2, "
            "table3, table4, table5, table6, table7. Did you mean 'table7'?",
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
            "networks.rescrsnet.class is missing: a class of your own; ours are csrnet, rescsrnet and guidedepth",
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
            f"{FAKE}.generator: 'dalle' is not a generator. {GENERATORS}",
        ),
        (
            f"{FAKE}.annotator",
            "sasnt",
            f"{FAKE}.annotator: 'sasnt' is not an annotator. {ANNOTATORS} Did you mean 'sasnet'?",
        ),
        (
            "experiments.same-again.dataset",
            "shta",
            f"experiments.same-again.dataset: 'shta' is not a dataset. {DATASETS} Did you mean 'shtb'?",
        ),
        (
            "experiments.same-again.network",
            "vgg",
            "experiments.same-again.network: 'vgg' is not a network. Known networks: csrnet, guidedepth, rescsrnet.",
        ),
        (
            "pools.shtb-captions.dataset",
            "stb",
            f"pools.shtb-captions.dataset: 'stb' is not a dataset. {DATASETS} Did you mean 'shtb'?",
        ),
        (
            "pools.shtb-captions.captioner",
            "blip",
            "pools.shtb-captions.captioner: 'blip' is not a captioner. Known captioners: clipcap.",
        ),
        (
            "training.stb",
            {"epochs": 3},
            "training.stb: 'stb' is not a dataset. Known: default, nyu, panda, shtb. Did you mean 'shtb'?",
        ),
        (
            f"{PANDA}.fine_tune.annotator",
            "other",
            f"{PANDA}.fine_tune.annotator: 'other' is not an annotator. {ANNOTATORS}",
        ),
        (
            f"{PANDA}.fine_tune.dataset",
            "pandas",
            f"{PANDA}.fine_tune.dataset: 'pandas' is not a dataset. {DATASETS} Did you mean 'panda'?",
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
            "networks.rescsrnet.block_size is not a key. Known keys: backbone, width.",
        ),
        (
            "miniature.annotators.first.start",
            "zeroth",
            "miniature.annotators.first.start: 'zeroth' is not trained here. Known: first, second.",
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
            "datasets.panda.images",
            {"train": 40, "test": 5},
            'datasets.panda.images: {"train": 40, "test": 5}, but the format panda has no split; give {all: ...}',
        ),
        (
            "datasets.shtb.images",
            {"all": 716},
            'datasets.shtb.images: {"all": 716}, but the format shanghaitech comes with a test split; '
            "give {train: ..., test: ...}",
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
        ("render.nyu.rooms", GONE, "render.nyu.rooms is missing: nyu: kinds of rooms, each as likely"),
        (
            "render.nyu.rooms",
            ["garage"],
            "render.nyu.rooms[0]: 'garage' is not a kind of room. Known: bathroom, bedroom, "
            "kitchen, living room, office.",
        ),
        (
            "render.nyu.sizes",
            [[96, 72], [72, 96]],
            "render.nyu.sizes: [[96, 72], [72, 96]]: all images of the format nyu have one size; give one",
        ),
        ("render.nyu.people", [6, 30], "render.nyu.people: the format nyu has none; take it away"),
        ("render.panda.rooms", ["office"], "render.panda.rooms: the format panda has none; take it away"),
        ("render.panda.part", "part_A_final", "render.panda.part: the format panda has none; take it away"),
        ("render.panda.quality", GONE, "render.panda.quality is missing: lowest and highest JPEG quality"),
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
        # Prompts at locations
        (
            "pools.places.locations",
            GONE,
            "pools.places: prompts: 'a crowd [location]' has a [location], and there are no `locations` to put there",
        ),
        (
            "pools.by-hand.locations",
            ["at sea"],
            "pools.by-hand: locations: none of the prompts says where they belong; write [location] in one, or more",
        ),
        ("pools.places.locations", ["at sea", "at sea"], "pools.places.locations: 'at sea' stands there twice"),
        # Faces
        (
            "generators.restored.restorer",
            "gfpgn",
            "generators.restored.restorer: 'gfpgn' is not a restorer. Known restorers: gfpgan. Did you mean 'gfpgan'?",
        ),
        (
            "generators.restored.generator",
            "dalle",
            f"generators.restored.generator: 'dalle' is not a generator. {GENERATORS}",
        ),
        (
            "generators.restored.generator",
            "restored",
            "generators.restored.generator: the faces of 'restored' are restored already; name a diffusion model",
        ),
        ("generators.restored.generator", GONE, "generators.restored.generator is missing: whose images are restored"),
        (
            "generators.restored.steps",
            10,
            "generators.restored.steps is not a key. Known keys: generator, restorer.",
        ),
        (
            "restorers.gfpgan.parser.settings.in_size",
            128,
            "restorers.gfpgan: parser.settings.in_size is 128 and restorer.settings.out_size is 64; both get the same "
            "faces, so make them equal",
        ),
        (
            "restorers.gfpgan.restorer.settings",
            {},
            "restorers.gfpgan: parser.settings.in_size is 64 and restorer.settings.out_size is 512; both get the same "
            "faces, so make them equal",
        ),
        (
            "restorers.gfpgan.detector.settings",
            {"features": 30},
            "restorers.gfpgan.detector.settings.features: 30 is not a multiple of 4, 4 or more",
        ),
        (
            "restorers.gfpgan.parser",
            GONE,
            "restorers.gfpgan.parser is missing: what tells the parts of a face apart, ParseNet",
        ),
        ("restorers.gfpgan.score", 97, "restorers.gfpgan.score: 97 is not a number from 0 to 1"),
        # What a network takes
        (
            "networks.guidedepth",
            {"bins": 64},
            "networks.guidedepth.bins is not a key. Known keys: backbone, width.",
        ),
        (
            "annotators.adabins.settings",
            {"embedding": 30},
            "annotators.adabins.settings.embedding: 30 is not a multiple of 4, 4 or more",
        ),
        (
            "annotators.adabins.settings",
            {"block_size": 30},
            "annotators.adabins.settings.block_size is not a setting of adabins. "
            "Known settings: bins, embedding, encoder_depth, patch, width.",
        ),
        (
            "miniature.annotators.first.settings",
            {"bins": 64},
            "miniature.annotators.first.settings.bins is not a setting of sasnet. Known settings: block_size, width.",
        ),
        (
            "miniature.annotators.first.settings",
            {"width": 0.5},
            "miniature.annotators.second.start: network and settings are not those of 'first'; make them equal",
        ),
        # Tasks
        (
            "experiments.same-again.network",
            "guidedepth",
            "experiments.same-again.network: 'guidedepth' is for depth, and the dataset shtb is for counting",
        ),
        (
            "experiments.nyu-guidedepth-promptmix.fake.annotator",
            "sasnet",
            "experiments.nyu-guidedepth-promptmix.fake.annotator: 'sasnet' is for counting, and the dataset nyu is for "
            "depth",
        ),
        (
            f"{FILTERED}.scored_by",
            ["sasnet", "adabins"],
            f"{FILTERED}.scored_by[1]: 'adabins' is for depth, and the dataset shtb is for counting",
        ),
        (
            f"{PANDA}.fine_tune.dataset",
            "nyu",
            f"{PANDA}.network: 'sasnet' is for counting, and the dataset nyu is for depth",
        ),
        (
            "miniature.annotators.first.dataset",
            "nyu",
            "miniature.annotators.first.network: 'sasnet' is for counting, and the dataset nyu is for depth",
        ),
        (
            "figures.figure3.0",
            {"baseline": "nyu-guidedepth", "promptmix": "nyu-guidedepth-promptmix"},
            "figures.figure3[0]: nyu is for depth; expected a dataset for counting",
        ),
        (
            "figures.figure4.0",
            {"baseline": "shtb-rescsrnet", "promptmix": "shtb-rescsrnet-promptmix"},
            "figures.figure4[0]: shtb is for counting; expected a dataset for depth",
        ),
        (
            "tables.table1.1",
            {"baseline": "nyu-guidedepth", "promptmix": "nyu-guidedepth-promptmix"},
            "tables.table1[1]: nyu is for depth; expected a dataset for counting",
        ),
        (
            "tables.table2.0",
            {"baseline": "shtb-rescsrnet", "promptmix": "shtb-rescsrnet-promptmix"},
            "tables.table2[0]: shtb is for counting; expected a dataset for depth",
        ),
        # Filters
        (f"{FILTERED}.r_img", 0, f"{FILTERED}.r_img: 0 is not a percentage above 0, at most 100"),
        (f"{FILTERED}.r_img", 101, f"{FILTERED}.r_img: 101 is not a percentage above 0, at most 100"),
        (
            f"{FILTERED}.r_img",
            "40",
            f"{FILTERED}.r_img: '40' (text) is not a percentage above 0, at most 100. Take away the quotes",
        ),
        (
            f"{FILTERED}.scored_by",
            GONE,
            f"{FILTERED}.r_img: 50 % of the images are kept by how far annotators disagree; name two in scored_by",
        ),
        (
            f"{FILTERED}.scored_by",
            ["dmcount"],
            f"{FILTERED}.r_img: 50 % of the images are kept by how far annotators disagree; name two in scored_by",
        ),
        (
            f"{FILTERED}.scored_by",
            ["sasnet", "dmcont"],
            f"{FILTERED}.scored_by[1]: 'dmcont' is not an annotator. {ANNOTATORS} Did you mean 'dmcount'?",
        ),
        (f"{FILTERED}.scored_by", ["dmcount"] * 2, f"{FILTERED}.scored_by: 'dmcount' stands there twice"),
        (
            f"{FILTERED}.r_mix",
            61,
            f"{FILTERED}.r_mix: 61 images per epoch, but 120 are made: images_per_prompt (40) x 3 prompts, of which "
            "r_img keeps 60. Lower r_mix or raise images_per_prompt",
        ),
        (
            f"{FILTERED}.prompt_filter",
            {},
            f"{FILTERED}.prompt_filter.baseline is missing: the experiment without generated images, which each prompt "
            "is compared with",
        ),
        (
            f"{FILTERED}.prompt_filter.baseline",
            "shtb",
            f"{FILTERED}.prompt_filter.baseline: 'shtb' is not an experiment. {EXPERIMENTS}",
        ),
        (
            f"{FILTERED}.prompt_filter.baseline",
            "shtb-rescsrnet-promptmix",
            f"{FILTERED}.prompt_filter.baseline: 'shtb-rescsrnet-promptmix' has generated images (fake); "
            "expected an experiment without",
        ),
        (
            f"{FILTERED}.prompt_filter.baseline",
            "panda-csrnet",
            f"{FILTERED}.prompt_filter.baseline: 'panda-csrnet' is csrnet on panda, 'filtered' is rescsrnet on shtb; "
            "expected the same",
        ),
        (
            "experiments.filtered-prompt-2",
            {"dataset": "shtb", "network": "csrnet"},
            "experiments.filtered-prompt-2: the prompt filter of filtered makes experiments of such names; rename it",
        ),
        # Controls
        (
            "experiments.shtb-rescsrnet-control.repeated",
            GONE,
            "tables.table1[0].control: 'shtb-rescsrnet-control' sees no real images again (repeated), so it is no control",
        ),
        (
            "experiments.shtb-rescsrnet-control.repeated",
            400,
            "tables.table1[0].control: 'shtb-rescsrnet-control' sees 400 real images again (repeated), and "
            "'shtb-rescsrnet-promptmix' 500 generated ones (r_mix); make them equal",
        ),
        (
            "tables.table1.1.baseline",
            "shtb-rescsrnet-control",
            "tables.table1[1].baseline: 'shtb-rescsrnet-control' sees real images again (repeated), so it is a control",
        ),
        (
            "tables.table1.0.control",
            "contrl",
            f"tables.table1[0].control: 'contrl' is not an experiment. {EXPERIMENTS}",
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
        (
            "tables.table1.1.baseline",
            "panda-csrnet",
            "tables.table1[1]: 'shtb-rescsrnet-promptmix' is rescsrnet on shtb, 'panda-csrnet' is csrnet on panda; "
            "expected the same",
        ),
        (
            "tables.table1.0.promptmix",
            GONE,
            "tables.table1[0].promptmix is missing: the same dataset and network, with generated images",
        ),
        (
            "tables.table1.0.paper.baseline",
            10.6,
            "tables.table1[0].paper.baseline: 10.6 (number) is not a section of the paper's numbers, such as {mae: 68.2}",
        ),
        (
            "tables.table1.0.paper.direction",
            "better",
            "tables.table1[0].paper.direction: 'better' is not a direction. Known: higher, lower.",
        ),
        (
            "tables.table3.0.runs",
            {"baseline": ["shtb-rescsrnt"]},
            f"tables.table3[0].runs.baseline[0]: 'shtb-rescsrnt' is not an experiment. {EXPERIMENTS} "
            "Did you mean 'shtb-rescsrnet'?",
        ),
        (
            "tables.table3.0.network",
            "csrnet",
            "tables.table3[0].runs.baseline[0]: 'shtb-rescsrnet' is of rescsrnet; expected one of csrnet",
        ),
        (
            "tables.table3.0.runs.baseline",
            ["shtb-rescsrnet", "shtb-rescsrnet-control"],
            "tables.table3[0].runs.baseline[1]: 'shtb-rescsrnet-control' is on shtb, as 'shtb-rescsrnet' is; a row has "
            "one error per dataset",
        ),
        (
            "tables.table3.0",
            {"network": "guidedepth", "runs": {"baseline": ["nyu-guidedepth"]}},
            "tables.table3[0].runs.baseline[0]: nyu is for depth; expected a dataset for counting",
        ),
        (
            "tables.table3.1.annotators",
            {"shta": "sasnet"},
            f"tables.table3[1].annotators: 'shta' is not a dataset. {DATASETS} Did you mean 'shtb'?",
        ),
        (
            "tables.table3.1.annotators",
            {"shtb": "sasne"},
            f"tables.table3[1].annotators.shtb: 'sasne' is not an annotator. {ANNOTATORS} Did you mean 'sasnet'?",
        ),
        (
            "tables.table3.1.annotators",
            {"shtb": "dmcount"},
            "tables.table3[1].annotators.shtb: 'dmcount' is of dmcount; expected one of sasnet",
        ),
        (
            "tables.table3.1.network",
            "sasnett",
            "tables.table3[1].network: 'sasnett' is not a network. "
            "Known: adabins, csrnet, dmcount, guidedepth, rescsrnet, sasnet. Did you mean 'sasnet'?",
        ),
        (
            "tables.table4.baseline",
            "shtb-rescsrnet-promptmix",
            "tables.table4.baseline: 'shtb-rescsrnet-promptmix' has generated images (fake); "
            "expected an experiment without",
        ),
        (
            "tables.table5.rows",
            ["shtb-rescsrnet-promptmix", "by-dmcount"],
            f"tables.table5.rows[1]: 'by-dmcount' is not an experiment. {EXPERIMENTS}",
        ),
        (
            "tables.table6.rows",
            ["same-again"],
            "tables.table6.rows[0]: 'same-again' has no generated images (fake); expected an experiment with",
        ),
        (
            "tables.table7.baseline",
            "panda-csrnet",
            "tables.table7.rows[0]: 'filtered' is rescsrnet on shtb, 'panda-csrnet' is csrnet on panda; expected the same",
        ),
        (
            "tables.table7.rows",
            [],
            "tables.table7.rows: the list is empty; expected one entry or more",
        ),
        (
            "tables.roundtrip.pools",
            ["by-hnd"],
            f"tables.roundtrip.pools[0]: 'by-hnd' is not a pool. {POOLS} Did you mean 'by-hand'?",
        ),
        (
            "tables.roundtrip.captioner",
            "blip",
            "tables.roundtrip.captioner: 'blip' is not a captioner. Known captioners: clipcap.",
        ),
        (
            "tables.roundtrip.generator",
            "dalle",
            f"tables.roundtrip.generator: 'dalle' is not a generator. {GENERATORS}",
        ),
        (
            "tables.table8",
            {},
            "tables.table8 is not a key. Known keys: roundtrip, table1, table2, table3, table4, table5, table6, table7. "
            "Did you mean 'table7'?",
        ),
        # Figures
        ("figures.figure2.grey", "gray", f"figures.figure2.grey: 'gray' is not a pool. {POOLS}"),
        ("figures.figure2.generator", "dalle", f"figures.figure2.generator: 'dalle' is not a generator. {GENERATORS}"),
        ("figures.figure2.columns", 3, "figures.figure2.columns: 3 prompts, but by-hand has 2; lower it"),
        (
            "figures.figure3.0.promptmix",
            "other",
            f"figures.figure3[0].promptmix: 'other' is not an experiment. {EXPERIMENTS}",
        ),
        (
            "evaluation.crop",
            "eigne",
            "evaluation.crop: 'eigne' is not a crop. Known: eigen, full, guidedepth. Did you mean 'eigen'?",
        ),
        (
            "evaluation.average",
            GONE,
            "evaluation.average is missing: over images, each with its own error, or over all pixels together",
        ),
    ],
)
def test_an_error_says_where_what_and_what_was_expected(config, path, value, problem):
    put(config, path, value)
    lines = problems(config)
    assert f"config/config.yaml: {problem}" in lines
    assert all(line.startswith("config/config.yaml: ") for line in lines)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{FILTERED}.r_img", 100),
        (f"{FILTERED}.r_img", 0.5 + 1 / 3),
        (f"{FILTERED}.scored_by", ["sasnet", "dmcount", "sasnet-panda"]),
        (f"{FILTERED}.prompt_filter.real_images", False),
        ("experiments.filtered-prompt-3", {"dataset": "shtb", "network": "csrnet"}),
        ("experiments.filtered-prompt-02", {"dataset": "shtb", "network": "csrnet"}),
        ("tables.table3.0", {"network": "guidedepth"}),
        ("annotators.adabins.settings", {"width": 0.5, "encoder_depth": 0.5, "embedding": 32, "patch": 4, "bins": 64}),
        ("pools.places.prompts", ["a crowd [location]", "a crowd"]),
    ],
)
def test_what_looks_odd_and_is_right(config, path, value):
    if path.endswith("r_img"):
        config["experiments"]["filtered"]["fake"]["r_mix"] = 1
    put(config, path, value)
    check(config)


def test_what_is_kept_is_counted_without_rounding(config):
    """14.3 % of 1000 images are 143; in floating point they would be a little more."""
    config["pools"]["places"]["locations"] = [str(i) for i in range(10)]
    config["experiments"]["filtered"]["fake"] |= {"images_per_prompt": 100, "r_img": 14.3, "r_mix": 143}
    check(config)
    config["experiments"]["filtered"]["fake"]["r_mix"] = 144
    assert "r_img keeps 143" in problems(config)[0]


def test_a_filter_says_nothing_of_prompts_that_are_wrong(config):
    config["pools"]["places"]["locations"] = []
    assert len(problems(config)) == 1


def test_fine_tuning_in_a_circle(config):
    config["annotators"]["sasnet"] = {
        "network": "sasnet",
        "fine_tune": {"annotator": "sasnet-panda", "dataset": "shtb"},
    }
    config["annotators"]["sasnet"]["fine_tune"] |= {"learning_rate": "1e-4", "epochs": 1, "batch_size": 1}
    assert problems(config)[0].endswith("it would start from itself: sasnet from sasnet-panda from sasnet")


def test_a_rendered_part_of_shanghaitech_says_which(config):
    config["render"]["shtb"] = config["render"]["panda"] | {"format": "shanghaitech"}
    assert problems(config) == [
        "config/config.yaml: render.shtb.part is missing: part of ShanghaiTech; only for that format"
    ]


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


BROKEN = [GONE, None, [], {}, "text", {"x": None}, {"x": {}}]


@pytest.mark.parametrize("section", sorted(SCHEMA["properties"]))
@pytest.mark.parametrize("value", BROKEN)
def test_no_broken_section_breaks_the_check(config, section, value):
    """Every answer is either none or an InputError."""
    put(config, section, value)
    try:
        check(config)
    except InputError as error:
        assert str(error)


@pytest.mark.parametrize(
    "entry",
    [
        *(f"tables.{name}" for name in SCHEMA["properties"]["tables"]["properties"]),
        *(f"figures.{name}" for name in SCHEMA["properties"]["figures"]["properties"]),
        *("datasets.nyu", "render.nyu", "pools.places", "generators.restored", "restorers.gfpgan"),
        *("annotators.sasnet", "experiments.filtered", FILTERED, f"{FILTERED}.prompt_filter"),
        "networks.rescsrnet",
    ],
)
def test_no_broken_entry_breaks_the_check(config, entry):
    for value in BROKEN:
        broken = copy.deepcopy(config)
        put(broken, entry, value)
        try:
            check(broken)
        except InputError as error:
            assert str(error)


# --- A user's own datasets and code ---


@pytest.mark.parametrize("format", configuration.WITH_EITHER)
@pytest.mark.parametrize("images", [{"all": 20}, {"train": 15, "test": 5}])
def test_a_user_s_own_dataset_comes_with_a_split_or_without(config, format, images):
    split = {"val": 2} | ({"test": 5} if "all" in images else {})
    config["datasets"]["mine"] = {"title": "Mine", "format": format, "path": "data", "images": images, "split": split}
    check(config)


def test_a_unit_is_for_files_of_depth(config):
    config["datasets"]["nyu"]["unit"] = 0.001
    assert "config/config.yaml: datasets.nyu.unit: the format nyu has none; take it away" in problems(config)
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
    config["experiments"]["filtered"]["fake"]["scored_by"] = ["sasnet", "mine"]
    config["tables"]["table3"].append({"network": "mine", "runs": {"baseline": ["mine"]}})
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
    ("path", "value", "problem"),
    [
        (
            "annotators.mine.function",
            "my_counter.py:count",
            "annotators.mine.function: my_counter.py: no such file, looked for as {folder}/my_counter.py. A relative path "
            "starts in the folder in which snakemake runs.",
        ),
        (
            "annotators.mine.function",
            "code/my_counter.py",
            "annotators.mine.function: 'code/my_counter.py' is not a file and what it defines, such as "
            "my_counter.py:count, or a module in place of the file",
        ),
        (
            "annotators.mine.function",
            "code/my_counter.py:scaled",
            "annotators.mine.function: it is called with the images alone, and needs images, scale",
        ),
        ("annotators.mine.task", GONE, "annotators.mine.task is missing: what it gives, density or depth"),
        (
            "annotators.mine.task",
            "counts",
            "annotators.mine.task: 'counts' is not a task. Known: counting, depth. Did you mean 'counting'?",
        ),
        (
            "annotators.mine.task",
            "depth",
            "experiments.filtered.fake.scored_by[1]: 'mine' is for depth, and the dataset shtb is for counting",
        ),
        (
            "annotators.mine.weights",
            "models/mine.pth",
            "annotators.mine.weights is not a key. Known keys: function, task.",
        ),
        (
            "annotators.sasnet-panda.fine_tune.annotator",
            "mine",
            "annotators.sasnet-panda.fine_tune.annotator: 'mine' is a function, which cannot be trained; name one with a "
            "network",
        ),
        (
            "tables.table3.1.annotators",
            {"shtb": "mine"},
            "tables.table3[1].annotators.shtb: 'mine' is of no network; expected one of sasnet",
        ),
        (
            "networks.mine.class",
            "code/my_network.py:MyNet",
            "networks.mine.class: {folder}/code/my_network.py has no class 'MyNet'. Classes there: Inherits, MyNetwork, "
            "Open. Did you mean 'MyNetwork'?",
        ),
        (
            "networks.mine.widht",
            0.5,
            "networks.mine.widht is not an argument of MyNetwork. Its arguments: layers, width. Did you mean 'width'?",
        ),
        ("networks.mine.width", GONE, "networks.mine.width is missing: MyNetwork has no default for it"),
        (
            "networks.mine.task",
            "depth",
            "experiments.mine.network: 'mine' is for depth, and the dataset shtb is for counting",
        ),
        (
            "networks.csrnet.class",
            "code/my_network.py:MyNetwork",
            "networks.csrnet.class is not a key. Known keys: backbone, width.",
        ),
        (
            "networks.sasnet",
            {"class": "code/my_network.py:MyNetwork", "task": "counting", "width": 1},
            "networks.sasnet: a network of ours is called sasnet; give yours another name",
        ),
    ],
)
def test_what_is_wrong_with_a_user_s_own_code(own, tmp_path, path, value, problem):
    put(own, path, value)
    assert f"config/config.yaml: {problem.format(folder=tmp_path)}" in problems(own)


@pytest.mark.parametrize(
    "entry", ["networks.mine", "networks.mine.class", "annotators.mine", "annotators.mine.function"]
)
def test_no_broken_entry_of_a_user_s_own_breaks_the_check(own, entry):
    test_no_broken_entry_breaks_the_check(own, entry)


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


def test_the_examples_of_the_manual_are_right_above_the_shipped_config(tmp_path, monkeypatch):
    manual = (ROOT / "config" / "README.md").read_text()
    for name, source in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", manual, re.DOTALL):
        (tmp_path / name).write_text(source)
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    config = copy.deepcopy(SHIPPED)
    for example in examples:
        for section, entries in yaml.safe_load(example).items():
            config[section] |= entries
    check(config)
    plan = Plan(config)
    assert [row["experiment"] for row in plan.rows_of_table("table1")] == [
        "station-rescsrnet",
        "station-rescsrnet-promptmix",
    ]


def test_names_in_the_schema_are_those_of_the_library():
    from promptmix.miniature.rendering.crowds import LOCATIONS
    from promptmix.miniature.rendering.rooms import ROOMS
    from promptmix.report.statistics import metrics_of
    from promptmix.tasks import depth_metrics

    formats = SCHEMA["properties"]["datasets"]["additionalProperties"]["properties"]["format"]["enum"]
    assert set(formats) == set(TASKS)
    definitions = SCHEMA["$defs"]
    assert set(definitions["network"]["enum"]) == set(networks.TASKS)
    assert {*configuration.WITHOUT_SPLIT, *configuration.WITH_EITHER} < set(formats)
    properties = SCHEMA["properties"]["evaluation"]["properties"]
    assert set(properties["crop"]["enum"]) == set(depth_metrics.CROPS)
    assert set(properties["average"]["enum"]) == set(depth_metrics.AVERAGES)
    assert set(definitions["metrics"]["properties"]) == {
        metric.name for task in ("counting", "depth") for metric in metrics_of(task)
    }
    assert set(definitions["locations"]["items"]["enum"]) == set(LOCATIONS)
    rooms = SCHEMA["properties"]["render"]["additionalProperties"]["properties"]["rooms"]
    assert set(rooms["items"]["enum"]) == set(ROOMS)
    known = {setting for name in definitions["network"]["enum"] for setting in configuration.settings_of(name)}
    assert set(definitions["network_settings"]["properties"]) == known
    for name in SCHEMA["properties"]["networks"]["properties"]:
        assert set(definitions["lightweight"]["properties"]) == {*configuration.settings_of(name), "backbone"}
    assert set(definitions["task"]["enum"]) == set(networks.STRIDES) == set(networks.TASKS.values())


def test_lightweight_networks_have_the_stride_of_the_annotations():
    for name in SCHEMA["properties"]["networks"]["properties"]:
        assert network_class(name).stride == networks.STRIDES[networks.task_of(name)]


def test_settings_read_from_source_are_those_of_the_class():
    for name in networks.NETWORKS:
        assert configuration.settings_of(name) == settings_of(network_class(name))


def test_the_captioners_settings_are_those_of_clipcap():
    from promptmix.networks.clipcap import GPT_SETTINGS, ClipCap
    from promptmix.synthesis.captions import Captioner

    captioner = SCHEMA["properties"]["captioners"]["additionalProperties"]["properties"]
    assert set(captioner) == set(settings_of(Captioner)) - {"device"}
    settings = captioner["settings"]["properties"]
    assert set(settings) == set(settings_of(ClipCap))
    assert set(settings["gpt"]["properties"]) == set(GPT_SETTINGS)


def test_the_generators_settings_are_those_of_the_library():
    from promptmix.synthesis.generation import GeneratorSettings

    known = {field.name for field in dataclasses.fields(GeneratorSettings)}
    generator = SCHEMA["properties"]["generators"]["additionalProperties"]["else"]
    assert set(generator["properties"]) == known | {"model"}


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
    assert set(SCHEMA["$defs"]["training"]["properties"]) == known - of_experiments | {"learning_rates", "repeats"}
    assert set(SCHEMA["properties"]["training"]["properties"]["default"]["required"]) == set(
        SCHEMA["$defs"]["training"]["properties"]
    )


def test_importing_the_configuration_is_quick():
    heavy = ("torch", "pandas", "scipy", "h5py", "snakemake")
    code = f"import promptmix.config.validation, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_equal_values_are_equal_texts():
    assert as_text({"b": [1, None], "a": "x"}) == as_text({"a": "x", "b": [1, None]}) == '{"a": "x", "b": [1, null]}'
