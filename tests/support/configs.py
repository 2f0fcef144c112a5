"""A small config of its own, so that numbers in the shipped ones can change freely, and how to change it."""

import copy
from typing import Any

import yaml

from promptmix.config.plan import Plan
from promptmix.config.targets import Target
from promptmix.config.validation import check, resolve

GONE = object()
"""What `put` takes a key away with."""

SMALL = """
scale: small
seed: 42
images_per_block: 100
preflight: [table1]
plan: {tflops: 10, watts: 300}
publish: {creator: A. Nyone}
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
    images: {all: 45}
    split: {train: 30, val: 6, test: 9}
    resize: {exact: [128, 72]}
  nyu: {title: NYU Depth V2, format: nyu, images: {all: 1449}, split: {train: 0.7, val: 0.1, test: 0.2}}
render:
  panda: {format: panda, sizes: [[96, 64]], locations: [airport], people: [6, 30], quality: [90, 95]}
  nyu: {format: nyu, sizes: [[96, 72]], rooms: [bedroom, office]}
captioners:
  clipcap: {clip: models/clip, tokenizer: models/gpt2, weights: models/clipcap.pt}
prompts: {prefix: large crowd, suffix: {grey: grayscale image, colour: color image}}
pools:
  shtb-captions: {dataset: shtb, captioner: clipcap}
  panda-captions: {dataset: panda, captioner: clipcap}
  by-hand: {prompts: [a crowd in a stadium, a crowd on a beach], width: 96, height: 64, quality: 75}
  places:
    prompts: ["a crowd [location]", a street, "many people [location]"]
    locations: [at sea, in town]
    width: 96
    height: 64
    quality: 75
  rooms: {prompts: [an office], width: 96, height: 72, quality: 95}
  light: {prompts: [a bright crowd], width: 96, height: 64, quality: 75}
  dark: {prompts: [a dark crowd], width: 96, height: 64, quality: 75}
reviewed: {rooms: {}}
generators:
  diffusion: {model: models/diffusion, steps: 10, guidance: 3}
  other: {model: models/other, steps: 10, guidance: 3, precision: float16}
restorers:
  gfpgan:
    detector: {weights: models/detector.pth}
    parser: {weights: models/parser.pth, settings: {in_size: 64}}
    restorer: {weights: models/gfpgan.pth, settings: {out_size: 64}}
annotators:
  sasnet: {network: sasnet, weights: models/sasnet.pth}
  sasnet-panda:
    network: sasnet
    fine_tune: {annotator: sasnet, dataset: panda, learning_rates: ["2e-4", "5e-5"], epochs: 6, batch_size: 4}
  sasnet-again:
    network: sasnet
    fine_tune: {annotator: sasnet-panda, dataset: panda}
  narrow: {network: sasnet, settings: {width: 0.25}, weights: models/narrow.pth}
  dmcount: {network: dmcount, weights: models/dmcount.pth, trained_on: panda}
  both: {mean_of: [sasnet, dmcount]}
  adabins: {network: adabins, weights: models/adabins.pt}
networks:
  csrnet: {}
  rescsrnet: {width: 0.5}
  guidedepth: {}
training:
  default: {epochs: 500, batch_size: 1, learning_rates: ["1e-3", "1e-4"], repeats: 3, density_scale: 100}
  shtb: {batch_size: 32}
  panda: {sigma: 6, kernel: 21}
promptmix:
  default: {generator: diffusion}
  shtb: {pools: [by-hand, shtb-captions], annotator: sasnet, k: 10, r_mix: 500}
  panda: {pools: [panda-captions], annotator: sasnet-panda, k: 10, r_mix: 30}
  nyu: {pools: [rooms], annotator: adabins, k: 2500, r_mix: 1000}
experiments:
  longer: {dataset: shtb, network: rescsrnet, training: {epochs: 600}}
  filtered: &filtered
    dataset: shtb
    network: rescsrnet
    pools: [places, by-hand]
    k: 40
    r_mix: 50
    scored_by: [sasnet, dmcount]
    r_img: 37.5
    prompt_filter: true
  filtered-again: {<<: *filtered, r_img: 10, r_mix: 20}
evaluation: {crop: eigen, average: pixels}
tables:
  table1:
    rows:
      - {dataset: shtb, network: rescsrnet, paper: shtb-rescsrnet}
      - {dataset: panda, network: csrnet}
    ours: {methods: [control]}
  depth: {rows: [{dataset: nyu, network: guidedepth}]}
  amounts:
    base: {dataset: shtb, network: rescsrnet}
    rows: [{k: 1, r_mix: 20}, {k: 10, r_mix: 500}]
    measured: [generated images]
  annotators: {base: {dataset: shtb, network: rescsrnet}, vary: {annotator: [sasnet, dmcount]}}
  faces:
    base: {dataset: shtb, network: rescsrnet}
    vary: {restorer: [null, gfpgan], precision: [float32, float16]}
  named: {rows: [longer, filtered]}
  cost:
    kind: cost
    rows:
      - {network: rescsrnet, datasets: [shtb]}
      - {network: sasnet, annotators: {shtb: narrow, panda: narrow}}
      - {network: csrnet}
  roundtrip: {kind: roundtrip, pools: [by-hand, places], generator: diffusion, captioner: clipcap}
figures:
  colours: {kind: colours, pools: [light, dark], generator: diffusion, columns: 2}
  crowds: {kind: predictions, rows: [{dataset: shtb, network: rescsrnet}, {dataset: panda, network: csrnet}]}
  rooms: {kind: predictions, rows: [{dataset: nyu, network: guidedepth}]}
  by-size: {kind: by_size, rows: [{dataset: shtb, network: rescsrnet}]}
  changes: {kind: changes, tables: [table1, depth]}
  examples: {kind: examples, row: {dataset: shtb, network: rescsrnet}, columns: 4}
miniature:
  corpus: {images: 10, seed: 1, rooms: 0.1}
  clip: {steps: 1}
  captioner: {steps: 1}
  autoencoder: {steps: 1}
  diffusion: {steps: 1, rooms: 0.3}
  annotators:
    first: &first
      {network: sasnet, settings: {width: 0.25}, dataset: panda, images: 9, epochs: 1, learning_rate: "2e-3", decay: 0.75}
    second: {<<: *first, start: first}
  faces:
    retinaface: {settings: {}, steps: 1}
    parsenet: {settings: {}, steps: 1}
    gfpgan: {settings: {}, steps: 1}
"""


def small() -> dict:
    """Return a config with every section, and every kind of table and of figure."""
    return yaml.safe_load(SMALL)


def smallest() -> dict:
    """Return a config of the sections that every training needs, for one dataset and one network."""
    config = {key: small()[key] for key in ("scale", "seed", "datasets", "networks", "training")}
    config["datasets"] = {"shtb": config["datasets"]["shtb"]}
    config["networks"] = {"rescsrnet": {"width": 0.5}}
    config["training"] = {"default": {"epochs": 2, "batch_size": 1, "learning_rates": ["1e-3"]}}
    return config


def put(config: dict, path: str, value: Any) -> None:
    """Set what is at a path such as datasets.shtb.images.train or tables.table1.rows.0.k, or take it away."""
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in parents:
        config = config[part]
    if value is GONE:
        del config[last]
    else:
        config[last] = value


def resolved(config: dict) -> tuple[Plan, dict[str, Target]]:
    """Return the experiments, and the tables and figures of a config that is not checked yet, which stays as it is."""
    config = copy.deepcopy(config)
    check(config)
    return resolve(config)
