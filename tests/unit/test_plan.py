import copy
import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from promptmix.config.plan import Plan
from promptmix.config.validation import as_text, check
from promptmix.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
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
  panda: {title: PANDA-Crowd, format: panda, path: data/panda, images: {all: 45}, split: {train: 30, val: 6, test: 9}}
  nyu: {title: NYU Depth V2, format: nyu, path: data/nyu, images: {all: 1449}, split: {train: 0.7, val: 0.1, test: 0.2}}
captioners:
  clipcap: {clip: models/clip, tokenizer: models/gpt2, weights: models/clipcap.pt}
prompts: {prefix: large crowd, suffix: {grey: grey photo, colour: colour photo}}
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
generators:
  stable-diffusion: {model: models/stable-diffusion, steps: 10, guidance: 3}
  half: {model: models/stable-diffusion, steps: 10, guidance: 3, precision: float16}
  half-restored: {generator: half, restorer: gfpgan}
restorers:
  gfpgan: {detector: {weights: models/d.pth}, parser: {weights: models/p.pth}, restorer: {weights: models/g.pth}}
annotators:
  sasnet: {network: sasnet, weights: models/sasnet.pth}
  sasnet-panda:
    network: sasnet
    fine_tune: {annotator: sasnet, dataset: panda, learning_rate: "2e-4", epochs: 6, batch_size: 4}
  sasnet-again:
    network: sasnet
    fine_tune: {annotator: sasnet-panda, dataset: panda, learning_rate: "1e-4", epochs: 1, batch_size: 1}
  narrow: {network: sasnet, settings: {width: 0.25}, weights: models/narrow.pth}
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
    density_scale: 100
    sigma: 4
    kernel: 15
    precision: float32
    validate_every: 1
  shtb: {batch_size: 32}
  panda: {sigma: 6, kernel: 21}
experiments:
  base: {dataset: shtb, network: rescsrnet}
  control: {dataset: shtb, network: rescsrnet, repeated: 500}
  promptmix:
    dataset: shtb
    network: rescsrnet
    training: {epochs: 100}
    fake: &fake
      pools: [by-hand, shtb-captions]
      images_per_prompt: 10
      generator: stable-diffusion
      annotator: sasnet
      r_mix: 500
  same-again: {dataset: shtb, network: rescsrnet, training: {batch_size: 32}}
  by-dmcount: {dataset: shtb, network: rescsrnet, fake: {<<: *fake, annotator: dmcount, generator: half-restored}}
  filtered:
    dataset: shtb
    network: rescsrnet
    fake: &filtered
      pools: [places, by-hand]
      images_per_prompt: 40
      generator: half
      annotator: sasnet
      r_mix: 50
      scored_by: [sasnet, dmcount]
      r_img: 37.5
      prompt_filter: {baseline: base}
  filtered-again: {dataset: shtb, network: rescsrnet, fake: {<<: *filtered, r_img: 10, r_mix: 20}}
  panda-csrnet: {dataset: panda, network: csrnet}
  panda-csrnet-promptmix: {dataset: panda, network: csrnet, fake: {<<: *fake, r_mix: 30}}
  depth: {dataset: nyu, network: guidedepth}
  depth-promptmix:
    dataset: nyu
    network: guidedepth
    fake: {pools: [rooms], images_per_prompt: 2500, generator: stable-diffusion, annotator: adabins, r_mix: 1000}
tables:
  table1:
    - {baseline: base, control: control, promptmix: promptmix, paper: {baseline: {mae: 10.6}, direction: lower}}
    - {baseline: same-again, promptmix: by-dmcount, paper: {baseline: {mae: 99}, promptmix: {mae: 9.5, rmse: 17}}}
  table2:
    - {baseline: depth, promptmix: depth-promptmix, paper: {baseline: {rmse: 0.639}, promptmix: {rmse: 0.601}}}
  table3:
    - network: rescsrnet
      runs: {baseline: [same-again], PromptMix: [promptmix]}
      annotators: {}
      paper: {gmac: 26.54, parameters: 1.57}
    - {network: sasnet, annotators: {shtb: narrow, panda: narrow}}
    - {network: csrnet}
  table4: {baseline: same-again, rows: [promptmix, by-dmcount]}
  table5: {baseline: base, rows: [promptmix, by-dmcount]}
  table6: {baseline: base, rows: [promptmix, by-dmcount]}
  table7: {baseline: base, rows: [promptmix, filtered]}
figures:
  figure3:
    - {baseline: same-again, promptmix: promptmix}
    - {baseline: panda-csrnet, promptmix: panda-csrnet-promptmix}
  figure4: [{baseline: depth, promptmix: depth-promptmix}]
""")


@pytest.fixture
def config():
    config = copy.deepcopy(SMALL)
    check(config)
    return config


@pytest.fixture
def plan(config):
    return Plan(config)


# --- Datasets, pools, images ---


def test_the_plan_of_the_shipped_config():
    config = copy.deepcopy(SHIPPED)
    check(config)
    plan = Plan(config)
    for pool, entry in config["pools"].items():
        if "dataset" in entry:
            assert plan.prompts_of(pool) == plan.split_of(entry["dataset"])["train"]
    assert [row["experiment"] for row in plan.rows_of_table("table1")] == [
        row[role] for row in config["tables"]["table1"] for role in ("baseline", "control", "promptmix")
    ]
    for table in config["tables"]:
        if table not in ("table3", "roundtrip"):
            assert len({frozenset(row["labels"]) for row in plan.rows_of_table(table)}) == 1
    # One training per location, and all rows of the table share them.
    filtered = [name for name, entry in config["experiments"].items() if "prompt_filter" in entry.get("fake", {})]
    assert len({name for each in filtered for name in plan.of_single_prompts(each)}) == 10


def test_a_dataset_s_task_follows_from_its_format(plan):
    assert [plan.task_of(name) for name in ("shtb", "panda", "nyu")] == ["counting", "counting", "depth"]


def test_splits(plan):
    assert plan.split_of("shtb") == {"train": 360, "val": 40, "test": 316}
    assert plan.split_of("panda") == {"train": 30, "val": 6, "test": 9}
    assert plan.split_of("nyu") == {"train": 1014, "val": 145, "test": 290}


def test_prompts(plan):
    assert plan.prompts_of("by-hand") == 2
    assert plan.prompts_of("places") == 5  # two of the three prompts at two locations each
    assert plan.prompts_of("shtb-captions") == 360
    assert plan.prompts_of("panda-captions") == 30


@pytest.mark.parametrize(("images", "blocks"), [(0, []), (1, ["000"]), (100, ["000"]), (101, ["000", "001"])])
def test_blocks(plan, images, blocks):
    assert plan.blocks_of(images, 100) == blocks


def test_blocks_have_three_digits(plan):
    assert plan.blocks_of(100_000, 100)[-1] == "999"
    with pytest.raises(InputError, match="100001 images of one pool are asked for; there can be 100000"):
        plan.blocks_of(100_001, 100)


# --- Trainings ---


def test_training_settings_come_from_the_experiment_else_the_dataset_else_the_default(plan):
    training = plan.training_of("promptmix")
    assert (training["epochs"], training["batch_size"], training["repeats"]) == (100, 32, 3)
    assert plan.training_of("base")["epochs"] == 500


def run(plan, experiment):
    """Return the settings of a run as training gets them, through a rule's parameter."""
    from promptmix.training.settings import TrainingSettings

    return TrainingSettings(**json.loads(as_text(plan.settings_of_run(experiment, "1e-3", 2))))


def test_the_settings_of_a_run_are_the_arguments_of_training(plan):
    from promptmix.training.settings import TrainingSettings

    fields = {field.name for field in dataclasses.fields(TrainingSettings)}
    assert set(plan.settings_of_run("promptmix", "1e-3", 2)) == fields - {"repeated", "real_images"}
    made = run(plan, "promptmix")
    assert (made.network, made.network_settings, made.r_mix) == ("rescsrnet", {"width": 0.5}, 500)
    assert (made.learning_rate, made.seed, made.epochs, made.batch_size) == (0.001, 44, 100, 32)
    assert (made.repeated, made.real_images) == (0, True)


def test_a_baseline_its_control_and_promptmix_have_one_seed_and_as_many_images_per_epoch(plan):
    base, control, promptmix = (run(plan, name) for name in ("base", "control", "promptmix"))
    assert base.seed == control.seed == promptmix.seed == 44
    assert (base.r_mix, base.repeated) == (0, 0)
    assert (control.r_mix, control.repeated) == (0, 500)
    assert (promptmix.r_mix, promptmix.repeated) == (500, 0)


def test_fine_tuning(plan):
    from promptmix.training.settings import TrainingSettings

    chosen = plan.fine_tuning_of("sasnet-panda")
    assert chosen["weights"] == "models/sasnet.pth"
    made = TrainingSettings(**chosen["training"])
    assert (made.network, made.learning_rate, made.epochs, made.batch_size, made.seed) == ("sasnet", 2e-4, 6, 4, 42)
    assert (made.r_mix, made.density_scale, made.sigma) == (0, 1, 6)
    assert plan.fine_tuning_of("sasnet-again")["weights"] == ""  # those are made by the workflow


# --- Networks and annotators, ours and a user's own ---


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The plan of a config with an annotator and a network of a user's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def count(images): ...\n\n\nclass Mine:\n    def __init__(self, width): ...\n")
    config = copy.deepcopy(SMALL)
    config["annotators"]["mine"] = {"function": "mine.py:count", "task": "counting"}
    config["networks"]["mine"] = {"class": "mine.py:Mine", "task": "counting", "backbone": "weights.pth", "width": 0.5}
    config["experiments"]["mine"] = {"dataset": "shtb", "network": "mine"}
    config["experiments"]["by-mine"] = copy.deepcopy(config["experiments"]["promptmix"])
    config["experiments"]["by-mine"] |= {"network": "mine"}
    config["experiments"]["by-mine"]["fake"]["annotator"] = "mine"
    config["tables"]["table1"] = [{"baseline": "mine", "promptmix": "by-mine"}]
    config["tables"]["table3"] = [{"network": "mine", "runs": {"baseline": ["mine"]}}]
    config["figures"]["figure3"] = [{"baseline": "mine", "promptmix": "by-mine"}]
    check(config)
    return Plan(config)


MINE = {"network": "mine.py:Mine", "settings": {"task": "counting", "width": 0.5}}


def test_a_network_of_a_user_s_own_is_a_reference_and_its_settings(own):
    run = own.settings_of_run("by-mine", "1e-3", 0)
    assert {"network": run["network"], "settings": run["network_settings"]} == MINE
    assert {"network": own.network_of("mine"), "settings": own.network_settings_of("mine")} == MINE
    assert own.counted("mine") == MINE | {"code": "mine.py:Mine"}
    assert own.code_of("mine") == "mine.py:Mine"
    (pair,) = own.comparisons_of_figure("figure3")
    assert pair["baseline"] == MINE | {"learning_rates": ["1e-3", "1e-4"], "repeats": 3}


def test_tables_show_the_name_that_the_config_gives_a_network(own):
    assert [row["labels"]["Network"] for row in own.rows_of_table("table1")] == ["mine", "mine"]
    (row,) = own.rows_of_costs("results/small")
    assert (row["network"], row["cost"]) == ("mine", "results/small/cost/mine.json")
    assert row["settings"] == own.counted("mine")["settings"]  # so no note says that another was counted


def test_our_networks_are_names(plan):
    assert (plan.network_of("base"), plan.network_settings_of("base")) == ("rescsrnet", {"width": 0.5})
    assert plan.code_of("base") == "promptmix.networks.rescsrnet"
    published = {"network": "rescsrnet", "settings": {}, "code": "promptmix.networks.rescsrnet"}
    assert plan.counted("rescsrnet") == published
    assert plan.counted("sasnet")["network"] == "sasnet"  # which no experiment trains


def test_a_backbone_is_no_setting_of_a_network(own, config):
    assert own.backbone_of("mine") == "weights.pth"
    config["networks"]["rescsrnet"]["backbone"] = "resnet18.pth"
    plan = Plan(config)
    assert (plan.backbone_of("base"), plan.backbone_of("depth")) == ("resnet18.pth", "")
    assert plan.settings_of_run("base", "1e-3", 0)["network_settings"] == {"width": 0.5}
    assert plan.rows_of_costs("results")[0]["settings"] == {"width": 0.5}
    assert plan.comparisons_of_figure("figure3")[0]["baseline"]["settings"] == {"width": 0.5}


def test_annotators_are_networks_or_functions(own, plan):
    assert own.annotator_of("mine") == {"function": "mine.py:count", "task": "counting"}
    assert own.code_of_annotator("mine") == "mine.py:count"
    narrow = {"network": "sasnet", "settings": {"width": 0.25}, "weights": "models/narrow.pth", "task": "counting"}
    assert plan.annotator_of("narrow") == narrow
    assert plan.annotator_of("adabins")["task"] == "depth"
    assert plan.annotator_of("sasnet-panda")["weights"] == ""  # those are made by the workflow
    assert plan.code_of_annotator("narrow") == "promptmix.networks.sasnet"


# --- Experiments that are one, and experiments of single prompts ---


def test_equal_experiments_are_one(plan, config):
    assert plan.canonical("same-again") == "base"
    for name in ("base", "control", "promptmix", "by-dmcount", "filtered"):
        assert plan.canonical(name) == name
    config["experiments"]["same-again"]["training"]["repeats"] = 4
    assert Plan(config).canonical("same-again") == "same-again"


def test_who_scores_does_not_matter_where_all_images_are_kept(config):
    experiments = config["experiments"]
    experiments["all"] = copy.deepcopy(experiments["promptmix"])
    experiments["all"]["fake"] |= {"scored_by": ["sasnet", "dmcount"], "r_img": 100}
    assert Plan(config).canonical("all") == "promptmix"
    experiments["all"]["fake"]["r_img"] = 99
    assert Plan(config).canonical("all") == "all"


def test_the_order_of_those_who_score_does_not_matter(config):
    experiments = config["experiments"]
    experiments["other"] = copy.deepcopy(experiments["filtered"])
    experiments["other"]["fake"]["scored_by"] = ["dmcount", "sasnet"]
    assert Plan(config).canonical("other") == "filtered"
    experiments["other"]["fake"]["scored_by"] = ["dmcount", "sasnet-panda"]
    assert Plan(config).canonical("other") == "other"


def test_a_prompt_filter_has_an_experiment_for_each_prompt(plan, config):
    names = plan.of_single_prompts("filtered")
    assert names == [f"filtered-prompt-{i}" for i in range(7)]  # five of places, two by hand
    assert set(plan.experiments) - set(config["experiments"]) == set(names) | {
        f"filtered-again-prompt-{i}" for i in range(7)
    }
    first, last = (plan.experiments[name] for name in (names[0], names[-1]))
    assert first == {
        "dataset": "shtb",
        "network": "rescsrnet",
        "real_images": True,
        "fake": {
            "pools": ["places", "by-hand"],
            "images_per_prompt": 40,
            "generator": "half",
            "annotator": "sasnet",
            "r_mix": 40,  # of 50: there are as many images of one prompt
            "r_img": 100,
            "scored_by": [],
            "prompt": 0,
        },
    }
    assert last == first | {"fake": first["fake"] | {"prompt": 6}}
    made = run(plan, names[0])
    assert (made.r_mix, made.real_images, made.seed) == (40, True, 44)


def test_prompts_can_be_told_apart_without_real_images(config):
    config["experiments"]["filtered"]["fake"]["prompt_filter"]["real_images"] = False
    made = run(Plan(config), "filtered-prompt-0")
    assert (made.r_mix, made.real_images) == (40, False)
    assert run(Plan(config), "filtered").real_images


def test_filters_of_the_same_prompts_share_their_trainings_if_they_are_the_same(plan, config):
    names = [f"filtered-prompt-{i}" for i in range(7)]
    assert plan.of_single_prompts("filtered-again") != names  # with 20 of 40 images in each epoch
    config["experiments"]["filtered-again"]["fake"]["r_mix"] = 45
    assert Plan(config).of_single_prompts("filtered-again") == names


# --- Tables I and II ---


def test_rows_of_comparisons_are_experiments_each_once(plan):
    rows = plan.rows_of_table("table1")
    assert [row["experiment"] for row in rows] == ["base", "control", "promptmix", "by-dmcount"]
    labels = {"Dataset": "Shanghai Tech Part B", "Network": "rescsrnet"}
    base = {"experiment": "base", "task": "counting", "baseline": None, "control": None, "k": None, "r_mix": 0}
    base |= {"repeated": 0, "labels": labels | {"Method": "baseline"}, "paper": {"mae": 10.6}, "paper_direction": None}
    assert rows[0] == base
    assert rows[1] == base | {
        **{"experiment": "control", "labels": labels | {"Method": "control"}, "baseline": "base", "repeated": 500},
        **{"paper": {}},
    }
    promptmix = base | {"labels": labels | {"Method": "PromptMix"}, "baseline": "base", "k": 10, "r_mix": 500}
    assert rows[2] == promptmix | {
        **{"experiment": "promptmix", "control": "control", "paper": {}, "paper_direction": "lower"},
    }
    assert rows[3] == promptmix | {"experiment": "by-dmcount", "paper": {"mae": 9.5, "rmse": 17}}


def test_rows_stand_where_they_are_first_named(config):
    config["tables"]["table1"] = [
        {"baseline": "base", "promptmix": "promptmix"},
        {"baseline": "base", "control": "control", "promptmix": "by-dmcount"},
    ]
    rows = Plan(config).rows_of_table("table1")
    assert [row["experiment"] for row in rows] == ["base", "promptmix", "control", "by-dmcount"]
    assert [row["control"] for row in rows] == [None, None, None, "control"]


def test_rows_of_depth(plan):
    base, promptmix = plan.rows_of_table("table2")
    assert base["labels"] == {"Dataset": "NYU Depth V2", "Network": "guidedepth", "Method": "baseline"}
    assert (base["task"], base["paper"]) == ("depth", {"rmse": 0.639})
    assert (promptmix["baseline"], promptmix["k"], promptmix["r_mix"]) == ("depth", 2500, 1000)
    assert (promptmix["paper"], promptmix["paper_direction"]) == ({"rmse": 0.601}, None)


def test_a_table_that_the_config_does_not_describe(config):
    del config["tables"]["table2"]
    with pytest.raises(InputError, match="tables.table2 is missing: the config does not say what is to be shown"):
        Plan(config).rows_of_table("table2")


# --- Tables IV to VII ---


@pytest.mark.parametrize(
    ("table", "labels", "measured"),
    [
        (
            "table4",
            [{"k": "—", "r_mix": "—"}, {"k": "10", "r_mix": "500"}, {"k": "10", "r_mix": "500"}],
            ["generated images"],
        ),
        ("table5", [{"Annotator": "—"}, {"Annotator": "sasnet"}, {"Annotator": "dmcount"}], []),
        (
            "table6",
            [
                {"Precision": "—", "Face restoration": "—"},
                {"Precision": "float32", "Face restoration": "none"},
                {"Precision": "float16", "Face restoration": "gfpgan"},
            ],
            ["faces restored"],
        ),
        (
            "table7",
            [
                {"Prompts": "—", "Prompt filter": "—", "r_img": "—"},
                {"Prompts": "by-hand, shtb-captions", "Prompt filter": "no", "r_img": "100 %"},
                {"Prompts": "places, by-hand", "Prompt filter": "yes", "r_img": "37.5 %"},
            ],
            ["prompts kept", "generated images"],
        ),
    ],
)
def test_rows_of_variations_say_what_sets_them_apart(plan, config, table, labels, measured):
    rows = plan.rows_of_table(table)
    assert [row["experiment"] for row in rows] == ["base", *config["tables"][table]["rows"]]
    methods = [{"Method": name} for name in ("baseline", "PromptMix", "PromptMix")]
    assert [row["labels"] for row in rows] == [method | label for method, label in zip(methods, labels, strict=True)]
    assert [row["baseline"] for row in rows] == [None, "base", "base"]
    assert all(row["measured"] == measured and row["control"] is None and row["paper"] == {} for row in rows)


def test_equal_rows_of_variations_stand_once(config):
    config["experiments"]["twin"] = copy.deepcopy(config["experiments"]["promptmix"])
    config["tables"]["table5"]["rows"] = ["twin", "by-dmcount", "promptmix"]
    assert [row["experiment"] for row in Plan(config).rows_of_table("table5")] == ["base", "promptmix", "by-dmcount"]


# --- Table III ---


def test_rows_of_costs(plan):
    rows = plan.rows_of_costs("results/small")
    shtb, runs = {"dataset": "Shanghai Tech Part B"}, "results/small/runs"
    paper = {"gmac": 26.54, "parameters": 1.57}
    trained = {"network": "rescsrnet", "cost": "results/small/cost/rescsrnet.json", "settings": {"width": 0.5}}
    assert rows[0] == trained | {
        **{"method": "baseline", "paper": paper},
        **{"maes": [shtb | {"predictions": f"{runs}/base/predictions.csv"}]},  # same-again is base
    }
    assert rows[1] == trained | {
        **{"method": "PromptMix", "paper": paper},
        **{"maes": [shtb | {"predictions": f"{runs}/promptmix/predictions.csv"}]},
    }
    annotators = "results/small/annotators/narrow"
    assert rows[2] == {
        **{"network": "sasnet", "method": "annotator", "cost": "results/small/cost/sasnet.json", "paper": {}},
        **{"settings": {"width": 0.25}},
        "maes": [
            shtb | {"predictions": f"{annotators}/shtb.csv"},
            {"dataset": "PANDA-Crowd", "predictions": f"{annotators}/panda.csv"},
        ],
    }
    assert rows[3] == {
        **{"network": "csrnet", "method": "—", "cost": "results/small/cost/csrnet.json", "settings": {}},
        **{"paper": {}, "maes": []},
    }
    assert len(rows) == 4


def test_a_network_that_is_not_tested_has_no_settings_that_were(config):
    """Else a note would say that errors, of which there are none, are those of a narrower network."""
    config["tables"]["table3"] = [{"network": "rescsrnet"}]
    assert Plan(config).rows_of_costs("results")[0]["settings"] == {}


def test_a_network_that_is_trained_and_annotates_has_the_settings_of_each(config):
    config["annotators"]["wide"] = {"network": "rescsrnet", "settings": {"width": 2}, "weights": "models/wide.pth"}
    config["tables"]["table3"][0]["annotators"] = {"shtb": "wide"}
    rows = Plan(config).rows_of_costs("results")[:3]
    assert [(row["method"], row["settings"]["width"]) for row in rows] == [
        *(("baseline", 0.5), ("PromptMix", 0.5), ("annotator", 2)),
    ]


def test_without_table_3_there_are_no_costs(config):
    del config["tables"]["table3"]
    with pytest.raises(InputError, match="tables.table3 is missing"):
        Plan(config).rows_of_costs("results")


# --- Figures ---


def test_comparisons_of_a_figure(plan):
    network = {"network": "rescsrnet", "settings": {"width": 0.5}}
    network |= {"learning_rates": ["1e-3", "1e-4"], "repeats": 3}
    first, second = plan.comparisons_of_figure("figure3")
    assert first == {
        **{"title": "Shanghai Tech Part B", "sigma": 4, "kernel": 15, "baseline": network, "promptmix": network},
    }
    assert (second["title"], second["sigma"], second["kernel"]) == ("PANDA-Crowd", 6, 21)
    assert second["baseline"] == network | {"network": "csrnet", "settings": {}}
    (rooms,) = plan.comparisons_of_figure("figure4")
    assert (rooms["title"], rooms["promptmix"]["network"]) == ("NYU Depth V2", "guidedepth")


def test_a_figure_knows_where_the_runs_of_each_experiment_end(config):
    config["experiments"]["promptmix"]["training"] |= {"learning_rates": ["1e-5"], "repeats": 1}
    found = Plan(config).comparisons_of_figure("figure3")[0]
    assert (found["baseline"]["learning_rates"], found["baseline"]["repeats"]) == (["1e-3", "1e-4"], 3)
    assert (found["promptmix"]["learning_rates"], found["promptmix"]["repeats"]) == (["1e-5"], 1)
