"""Experiments: what they are of what the config says, which are one, what they are called, and what each needs."""

import dataclasses
import json

import pytest
from support.configs import GONE, put, resolved, small, smallest
from support.workflow import ROOT

from promptmix.config.experiments import Annotator, Needs, Network, blocks_of, prompts_of, split_of
from promptmix.config.validation import check, read, resolve
from promptmix.errors import InputError
from promptmix.training.settings import TrainingSettings

SHTB = {"dataset": "shtb", "network": "rescsrnet"}


@pytest.fixture
def config():
    config = small()
    check(config)
    return config


@pytest.fixture
def plan(config):
    return resolve(config)[0]


def planned(experiments, **sections):
    """Return the plan of the small config with these experiments, without tables and figures."""
    config = small() | {"experiments": experiments, "tables": {}, "figures": {}, **sections}
    del config["preflight"]
    return resolved(config)[0]


def described(**facts):
    """Return the experiment with PromptMix on shtb that differs in these facts."""
    return planned({"it": SHTB | facts}).written["it"]


def name_of(**facts):
    """Return the name of an experiment that a row of a table describes."""
    config = small() | {"experiments": {}, "tables": {"t": {"rows": [SHTB | facts]}}, "figures": {}}
    del config["preflight"]
    return resolved(config)[1]["t"].rows[-1].experiment


# --- Datasets, pools, images ---


def test_a_dataset_s_task_follows_from_its_format(plan):
    assert [plan.task_of(name) for name in ("shtb", "panda", "nyu")] == ["counting", "counting", "depth"]


def test_splits(config):
    assert split_of(config, "shtb") == {"train": 360, "val": 40, "test": 316}
    assert split_of(config, "panda") == {"train": 30, "val": 6, "test": 9}
    assert split_of(config, "nyu") == {"train": 1014, "val": 145, "test": 290}


def test_prompts(config):
    assert prompts_of(config, "by-hand") == 2
    assert prompts_of(config, "places") == 5  # two of the three prompts at two locations each
    assert prompts_of(config, "shtb-captions") == 360
    assert prompts_of(config, "panda-captions") == 30


@pytest.mark.parametrize(("images", "blocks"), [(0, []), (1, ["000"]), (100, ["000"]), (101, ["000", "001"])])
def test_blocks(images, blocks):
    assert blocks_of(images) == blocks


def test_blocks_have_three_digits():
    assert blocks_of(100_000)[-1] == "999"
    with pytest.raises(InputError, match="100001 images of one pool are asked for; there can be 100000"):
        blocks_of(100_001)


def test_more_images_than_blocks_can_number_are_refused_where_they_are_asked_for():
    assert described(pools=["by-hand"], k=50_000).fake.images == {"by-hand": 100_000}
    with pytest.raises(InputError, match=r"experiments\.it\.k: 100002 images.*100000. Lower k, or divide the pool"):
        described(pools=["by-hand"], k=50_001)


def test_the_blocks_of_an_experiment_are_those_of_its_pools():
    fake = described(pools=["by-hand", "rooms"], k=60, r_mix=9).fake
    assert list(fake.blocks()) == [("by-hand", "000"), ("by-hand", "001"), ("rooms", "000")]


def test_a_pool_of_the_shipped_config_has_a_prompt_per_training_image():
    config = read([ROOT / "config/config.yaml"])
    captions = {pool: entry["dataset"] for pool, entry in config["pools"].items() if "dataset" in entry}
    assert len(captions) == 4
    for pool, dataset in captions.items():
        assert prompts_of(config, pool) == split_of(config, dataset)["train"]


# --- Trainings ---


def run(experiment, learning_rate="1e-3", repeat=2):
    """Return the settings of a run as training gets them, through a rule's parameter."""
    return TrainingSettings(**json.loads(json.dumps(experiment.run_settings(learning_rate, repeat, 42))))


def test_training_settings_come_from_the_experiment_else_the_dataset_else_the_default():
    plan = planned({"it": SHTB | {"training": {"epochs": 100}}, "usual": SHTB})
    training = plan.written["it"].training
    assert (training["epochs"], training["batch_size"], training["repeats"]) == (100, 32, 3)
    assert (plan.written["it"].learning_rates, plan.written["it"].repeats) == (["1e-3", "1e-4"], 3)
    assert plan.written["usual"].training["epochs"] == 500


def test_an_experiment_is_what_it_says_over_what_its_dataset_says_over_what_all_say():
    promptmix = {"default": {"generator": "diffusion", "k": 3, "r_mix": 7, "pools": ["rooms"]}}
    promptmix["shtb"] = {"annotator": "sasnet", "k": 20, "r_mix": 8}
    fake = planned({"it": SHTB | {"r_mix": 9}}, promptmix=promptmix).written["it"].fake
    assert (fake.generator, fake.pools, fake.annotator, fake.k, fake.r_mix) == (
        "diffusion",
        {"rooms": 1},
        "sasnet",
        20,
        9,
    )
    assert (fake.r_img, fake.scored_by, fake.prompt_filter, fake.real_images, fake.prompt) == (
        100,
        (),
        False,
        True,
        None,
    )


def test_the_settings_of_a_run_are_the_arguments_of_training(plan):
    fields = {field.name for field in dataclasses.fields(TrainingSettings)}
    experiment = plan.experiments["shtb-rescsrnet-promptmix"]
    assert set(experiment.run_settings("1e-3", 2, 42)) == fields
    made = run(experiment)
    assert (made.network, made.network_settings, made.r_mix) == ("rescsrnet", {"width": 0.5}, 500)
    assert (made.learning_rate, made.seed, made.epochs, made.batch_size) == (0.001, 44, 500, 32)
    assert (made.repeated, made.real_images) == (0, True)


def test_a_baseline_its_control_and_promptmix_have_one_seed_and_as_many_images_per_epoch(plan):
    names = [f"shtb-rescsrnet{suffix}" for suffix in ("", "-control", "-promptmix")]
    base, control, promptmix = (run(plan.experiments[name]) for name in names)
    assert base.seed == control.seed == promptmix.seed == 44
    assert (base.r_mix, base.repeated) == (0, 0)
    assert (control.r_mix, control.repeated) == (0, 500)
    assert (promptmix.r_mix, promptmix.repeated) == (500, 0)
    assert plan.experiments["shtb-rescsrnet-promptmix"].baseline == names[0]
    assert plan.experiments["shtb-rescsrnet-control"].baseline == names[0]
    assert plan.experiments["shtb-rescsrnet"].baseline is None


def test_fine_tuning(plan):
    made = TrainingSettings(**plan.fine_tuning_of("sasnet-panda"))
    assert (made.network, made.learning_rate, made.epochs, made.batch_size, made.seed) == ("sasnet", 2e-4, 6, 4, 42)
    assert (made.r_mix, made.density_scale, made.sigma) == (0, 1, 6)


def test_fine_tuned_weights_are_made_by_the_workflow(plan):
    assert plan.annotators["sasnet"].weights == "models/sasnet.pth"
    assert plan.annotators["sasnet-panda"].weights == plan.annotators["sasnet-again"].weights == ""
    assert plan.annotators["sasnet-again"].fine_tune["annotator"] == "sasnet-panda"


# --- Networks and annotators, ours and a user's own ---


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The plan of a config with an annotator and a network of a user's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def count(images): ...\n\n\nclass Mine:\n    def __init__(self, width): ...\n")
    config = small()
    config["annotators"]["mine"] = {"function": "mine.py:count", "task": "counting"}
    config["networks"]["mine"] = {"class": "mine.py:Mine", "task": "counting", "backbone": "weights.pth", "width": 0.5}
    config["experiments"]["by-mine"] = {"dataset": "shtb", "network": "mine", "annotator": "mine"}
    return resolved(config)[0]


def test_a_network_of_a_user_s_own_is_a_reference_and_its_settings(own):
    network = own.written["by-mine"].network
    assert network == Network("mine", "mine.py:Mine", "counting", {"task": "counting", "width": 0.5}, "weights.pth")
    assert network.code == "mine.py:Mine"
    run = own.written["by-mine"].run_settings("1e-3", 0, 42)
    assert (run["network"], run["network_settings"]) == ("mine.py:Mine", {"task": "counting", "width": 0.5})
    assert own.published("mine") == network  # as it is trained


def test_our_networks_are_names(plan):
    network = plan.experiments["shtb-rescsrnet"].network
    assert network == Network("rescsrnet", "rescsrnet", "counting", {"width": 0.5})
    assert network.code == "promptmix.networks.rescsrnet"
    assert plan.published("rescsrnet") == Network("rescsrnet", "rescsrnet", "counting", {})
    assert plan.published("sasnet") == Network("sasnet", "sasnet", "counting", {})  # which no experiment trains


def test_a_backbone_is_not_a_setting_of_a_network():
    plan = planned({"it": SHTB}, networks={"rescsrnet": {"width": 0.5, "backbone": "resnet18.pth"}})
    experiment = plan.written["it"]
    assert (experiment.network.backbone, experiment.network.settings) == ("resnet18.pth", {"width": 0.5})
    assert experiment.run_settings("1e-3", 0, 42)["network_settings"] == {"width": 0.5}
    assert plan.published("rescsrnet").backbone == ""


def test_annotators_are_networks_or_functions(own):
    mine = own.annotators["mine"]
    assert mine == Annotator("mine", "counting", "mine.py:count")
    assert (mine.is_function, mine.code) == (True, "mine.py:count")
    narrow = own.annotators["narrow"]
    assert narrow == Annotator("narrow", "counting", "sasnet", {"width": 0.25}, "models/narrow.pth")
    assert (narrow.is_function, narrow.code) == (False, "promptmix.networks.sasnet")
    assert own.annotators["adabins"].task == "depth"


# --- Experiments that are one, and their names ---

SCORED = {"pools": ["by-hand"], "k": 400, "r_img": 50, "r_mix": 50, "scored_by": ["sasnet", "dmcount"]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"training": {"batch_size": 32}}),  # as on that dataset anyway
        ({}, {"k": 10, "generator": "diffusion", "precision": "float32", "restorer": None}),
        ({"method": "baseline"}, {"method": "baseline", "k": 3, "pools": ["rooms"]}),
        ({"method": "control"}, {"method": "control", "annotator": "dmcount"}),
        # Who scores is of no account where all images are kept, nor is their order
        ({}, {"scored_by": ["sasnet", "dmcount"], "r_img": 100}),
        (SCORED, SCORED | {"scored_by": ["dmcount", "sasnet"]}),
        ({}, {"real_images": False}),  # which is said to the prompt filter
        ({}, {"training": {"density_scale": 100.0}}),  # 100 on that dataset
        (SCORED, SCORED | {"r_img": 50.0}),
    ],
)
def test_equal_experiments_are_one_under_the_name_that_is_given_first(one, other):
    plan = planned({"one": SHTB | one, "other": SHTB | other})
    assert plan.written["one"] is plan.written["other"]
    assert plan.written["other"].name == "one"
    assert "other" not in plan.experiments


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"training": {"repeats": 4}}),
        ({}, {"training": {"learning_rates": ["1e-3"]}}),
        ({}, {"method": "control"}),
        ({}, {"pools": ["shtb-captions", "by-hand"]}),  # whose order counts
        ({}, {"restorer": "gfpgan"}),
        ({}, {"precision": "float16"}),
        ({}, {"generator": "other"}),
        (SCORED, SCORED | {"r_img": 51}),
        (SCORED, SCORED | {"scored_by": ["dmcount", "sasnet-panda"]}),
        ({"prompt_filter": True, "pools": ["rooms"], "k": 500}, {"pools": ["rooms"], "k": 500}),
    ],
)
def test_experiments_that_differ_are_two(one, other):
    plan = planned({"one": SHTB | one, "other": SHTB | other})
    assert (plan.written["one"].name, plan.written["other"].name) == ("one", "other")


def test_a_baseline_that_is_written_after_what_is_compared_with_it_is_the_same():
    plan = planned({"it": SHTB, "base": SHTB | {"method": "baseline"}})
    assert plan.written["base"].name == plan.written["it"].baseline == "shtb-rescsrnet"


def test_a_baseline_that_is_written_before_has_its_own_name():
    plan = planned({"base": SHTB | {"method": "baseline"}, "it": SHTB})
    assert plan.written["it"].baseline == "base"
    assert "shtb-rescsrnet" not in plan.experiments


def test_an_experiment_is_promptmix_if_it_does_not_say():
    plan = planned({"it": SHTB})
    assert (plan.written["it"].method, plan.written["it"].task) == ("promptmix", "counting")


@pytest.mark.parametrize(
    ("facts", "suffix"),
    [
        ({}, ""),
        ({"k": 1, "r_mix": 20}, "-k1-r20"),
        ({"k": 10, "r_mix": 500}, ""),  # as usual
        ({"annotator": "dmcount"}, "-by-dmcount"),
        ({"pools": ["places", "by-hand"], "k": 100}, "-places-by-hand-k100"),
        ({"precision": "float16"}, "-float16"),
        ({"precision": "float32"}, ""),
        ({"generator": "other"}, "-other"),
        ({"generator": "other", "precision": "float16"}, "-other"),  # its own
        ({"generator": "other", "precision": "float32", "restorer": "gfpgan"}, "-other-float32-gfpgan"),
        ({"restorer": "gfpgan"}, "-gfpgan"),
        ({"restorer": None}, ""),
        ({"r_mix": 5, "r_img": 60, "scored_by": ["sasnet", "dmcount"]}, "-r5-scored-by-sasnet-dmcount-q60"),
        ({"r_mix": 5, "r_img": 37.5, "scored_by": ["sasnet", "dmcount"]}, "-r5-scored-by-sasnet-dmcount-q37-5"),
        (
            {"pools": ["rooms"], "k": 500, "prompt_filter": True, "real_images": False},
            "-rooms-k500-prompt-filter-without-real-images",
        ),
        ({"prompt_filter": False}, ""),
    ],
)
def test_the_name_of_an_experiment_says_what_differs(facts, suffix):
    assert name_of(**facts) == f"shtb-rescsrnet-promptmix{suffix}"


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"epochs": 5}, "-epochs-5"),
        ({"learning_rates": ["1e-3", "1e-5"]}, "-learning-rates-1e-3-1e-5"),
        ({"decay": 0.9}, "-decay-0-9"),
    ],
)
def test_the_names_of_an_experiment_and_its_baseline_say_what_differs_in_training(training, words):
    _, targets = resolved(small() | {"tables": {"table1": {"rows": [SHTB | {"training": training}]}}})
    assert targets["table1"].experiments == [f"shtb-rescsrnet{words}", f"shtb-rescsrnet-promptmix{words}"]


def test_without_the_restorer_that_is_usual():
    promptmix = small()["promptmix"]
    promptmix["default"]["restorer"] = "gfpgan"
    plan = planned({"usual": SHTB, "without": SHTB | {"restorer": None}}, promptmix=promptmix)
    assert plan.written["usual"].fake.generator == "diffusion-gfpgan"
    assert plan.written["without"].fake.generator == "diffusion"
    tables = {"table1": {"base": SHTB, "vary": {"restorer": [None, "gfpgan"]}}}
    names = resolved(small() | {"promptmix": promptmix, "tables": tables, "figures": {}})[1]["table1"].experiments
    assert names == ["shtb-rescsrnet", "shtb-rescsrnet-promptmix-no-restorer", "shtb-rescsrnet-promptmix"]


def test_generators_with_another_precision_and_with_faces_restored(plan):
    made, given = plan.generators, plan.config["generators"]
    assert made["diffusion"] == given["diffusion"]
    assert made["diffusion-float16"] == given["diffusion"] | {"precision": "float16"}
    assert made["diffusion-gfpgan"] == {"generator": "diffusion", "restorer": "gfpgan"}
    assert made["diffusion-float16-gfpgan"] == {"generator": "diffusion-float16", "restorer": "gfpgan"}
    assert set(made) == {"diffusion", "other", "diffusion-float16", "diffusion-gfpgan", "diffusion-float16-gfpgan"}
    precisions = {name: plan.precision_of(name) for name in made}
    assert precisions.pop("diffusion") == precisions.pop("diffusion-gfpgan") == "float32"
    assert set(precisions.values()) == {"float16"}


# --- What cannot be ---


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        # One name for two
        (
            "experiments.shtb-rescsrnet",
            {"dataset": "shtb", "network": "csrnet"},
            [
                "experiments.shtb-rescsrnet: ",
                "'shtb-rescsrnet'",
                "experiments.filtered",
                "give one of them another name",
            ],
        ),
        (
            "experiments.shtb-rescsrnet-promptmix-k1-r20",
            SHTB | {"k": 3},
            ["tables.amounts.rows[0]: ", "'shtb-rescsrnet-promptmix-k1-r20'", "give one of them another name"],
        ),
        (
            "generators.diffusion-float16",
            {"model": "models/mine", "steps": 1, "guidance": 1},
            ["tables.faces.vary: ", "'diffusion-float16'", "another name, in `generators`"],
        ),
        (
            "generators.diffusion-gfpgan",
            {"model": "models/mine", "steps": 1, "guidance": 1},
            ["tables.faces.vary: ", "'diffusion-gfpgan'", "another name, in `generators`"],
        ),
        (
            "experiments.filtered-prompt-2",
            {"dataset": "shtb", "network": "csrnet"},
            ["experiments.filtered-prompt-2: ", "experiments.filtered", "another name"],
        ),
        # What is missing
        *(
            (
                f"promptmix.{'default' if key == 'generator' else 'shtb'}.{key}",
                GONE,
                [f"experiments.longer: {key} is missing", meaning, "promptmix.shtb", "promptmix.default"],
            )
            for key, meaning in [
                ("pools", "where the prompts come from"),
                ("k", "images per prompt"),
                ("generator", "what makes the images"),
                ("annotator", "what annotates them"),
                ("r_mix", "generated images per epoch"),
            ]
        ),
        ("tables.depth.rows.0.dataset", GONE, ["tables.depth.rows[0]: dataset is missing", "`base`"]),
        ("tables.amounts.base.network", GONE, ["tables.amounts.rows[0]: network is missing", "`base`"]),
        ("figures.examples.row.network", GONE, ["figures.examples.row: network is missing", "in the row"]),
        # Numbers
        (
            "experiments.longer.r_mix",
            3621,
            ["experiments.longer.r_mix: 3621", "3620 are made: k (10) x 362 prompts", "Lower r_mix or raise k"],
        ),
        (
            "experiments.filtered.r_mix",
            106,
            ["experiments.filtered.r_mix: 106", "280 are made: k (40) x 7 prompts", "r_img keeps 105", "Lower r_mix"],
        ),
        (
            "promptmix.shtb.k",
            1,
            ["experiments.longer: promptmix.shtb.r_mix: 500 images", "362 are made: k (1)", "raise k"],
        ),
        ("promptmix.shtb.k", 10_000, ["experiments.longer: promptmix.shtb.k: 3600000 images", "100000. Lower k"]),
        ("promptmix.default.r_img", 50, ["experiments.longer: promptmix.default.r_img: 50 %", "name two in scored_by"]),
        ("experiments.filtered.scored_by", GONE, ["experiments.filtered.r_img: 37.5 %", "name two in scored_by"]),
        (
            "experiments.filtered.scored_by",
            ["dmcount"],
            ["experiments.filtered.r_img: 37.5 %", "name two in scored_by"],
        ),
        # Tasks
        (
            "experiments.longer.network",
            "guidedepth",
            ["experiments.longer.network: 'guidedepth' is for depth, and the dataset shtb is for counting"],
        ),
        (
            "promptmix.nyu.annotator",
            "sasnet",
            ["tables.depth.rows[0]: promptmix.nyu.annotator: 'sasnet' is for counting", "nyu is for depth"],
        ),
        (
            "experiments.filtered.scored_by",
            ["sasnet", "adabins"],
            ["experiments.filtered.scored_by: 'adabins' is for depth, and the dataset shtb is for counting"],
        ),
        (
            "tables.annotators.vary.annotator",
            ["sasnet", "adabins"],
            ["tables.annotators.vary.annotator: 'adabins' is for depth", "shtb is for counting"],
        ),
    ],
)
def test_an_experiment_that_cannot_be(path, value, parts):
    config = small()
    put(config, path, value)
    with pytest.raises(InputError) as raised:
        check(config)
    lines = str(raised.value).splitlines()
    assert any(all(part in line for part in parts) for line in lines), lines


def test_a_control_needs_r_mix():
    config = smallest() | {"tables": {"t": {"rows": [SHTB], "methods": ["baseline", "control"]}}}
    with pytest.raises(InputError, match=r"tables\.t\.rows\[0\]: r_mix is missing.*as many updates.*promptmix\.shtb"):
        resolved(config)
    config["tables"]["t"]["rows"] = [SHTB | {"r_mix": 7}]
    plan, targets = resolved(config)
    control = plan.experiments[targets["t"].experiments[1]]
    assert (control.name, control.method, control.repeated, control.fake) == (
        "shtb-rescsrnet-control-r7",
        "control",
        7,
        None,
    )


def test_what_is_kept_is_counted_without_rounding():
    """14.3 % of 1000 images are 143; in floating point they would be a little more."""
    facts = SCORED | {"k": 500, "r_img": 14.3}
    assert described(**facts | {"r_mix": 143}).fake.kept == 143
    with pytest.raises(InputError, match="r_img keeps 143"):
        described(**facts | {"r_mix": 144})
    assert described(**facts | {"k": 1, "r_mix": 1}).fake.kept == 1  # of 2 images 0.286, rounded up


# --- Experiments of single prompts ---


def test_a_prompt_filter_has_an_experiment_for_each_prompt(plan):
    filtered = plan.written["filtered"]
    prompts = [*(("places", number) for number in range(5)), ("by-hand", 0), ("by-hand", 1)]
    assert filtered.single_prompts == {prompt: f"filtered-prompt-{i}" for i, prompt in enumerate(prompts)}
    for prompt, name in filtered.single_prompts.items():
        single = plan.experiments[name]
        assert single.fake.prompt == prompt
        assert (single.dataset, single.network, single.training) == ("shtb", filtered.network, filtered.training)
        assert (single.fake.pools, single.fake.k) == ({"places": 5, "by-hand": 2}, 40)
        assert (single.fake.generator, single.fake.annotator) == ("diffusion", "sasnet")
        assert (single.fake.r_img, single.fake.scored_by, single.fake.prompt_filter) == (100, (), False)
        assert single.fake.r_mix == single.fake.kept == 40  # of 50: there are as many images of one prompt
        assert not single.single_prompts
    made = run(plan.experiments["filtered-prompt-0"])
    assert (made.r_mix, made.real_images, made.seed) == (40, True, 44)


def test_prompts_can_be_told_apart_without_real_images():
    plan = planned({"filtered": small()["experiments"]["filtered"] | {"real_images": False}})
    made = run(plan.experiments["filtered-prompt-0"])
    assert (made.r_mix, made.real_images) == (40, False)
    assert run(plan.experiments["filtered"]).real_images


def test_filters_of_the_same_prompts_share_their_trainings_if_they_are_the_same(plan):
    first, again = plan.written["filtered"].single_prompts, plan.written["filtered-again"].single_prompts
    assert not set(first.values()) & set(again.values())  # with 20 of 40 images in each epoch
    entries = small()["experiments"]
    entries["filtered-again"]["r_mix"] = 28
    entries["filtered-again"]["r_img"] = 10
    entries["filtered"]["r_mix"] = 28
    plan = planned(entries)
    assert plan.written["filtered"].single_prompts == plan.written["filtered-again"].single_prompts
    assert plan.written["filtered"] is not plan.written["filtered-again"]


def test_the_locations_of_the_shipped_table_7_are_trained_once_each():
    plan, targets = resolve(read([ROOT / "config/config.yaml"]))
    experiments = [plan.experiments[name] for name in targets["table7"].experiments]
    (filtered,) = [experiment for experiment in experiments if experiment.single_prompts]
    assert len(filtered.single_prompts) == 10
    assert set(filtered.single_prompts.values()) < plan.needs(filtered.name).experiments


@pytest.mark.parametrize("name", ["filtered-prompt-3", "filtered-prompt-02"])
def test_a_name_like_that_of_a_prompt_s_experiment_that_there_is_not(name):
    plan = planned({"filtered": small()["experiments"]["filtered"] | {"pools": ["by-hand"], "r_mix": 20}, name: SHTB})
    assert plan.written[name].name == name


def test_names_of_prompts_experiments_are_refused_before_and_after():
    filtered = small()["experiments"]["filtered"]
    for entries in (
        {"filtered-prompt-2": SHTB, "filtered": filtered},
        {"filtered": filtered, "filtered-prompt-2": SHTB},
    ):
        with pytest.raises(InputError, match="filtered-prompt-2"):
            planned(entries)


# --- What experiments need ---


def test_a_baseline_and_a_control_need_their_dataset():
    plan = planned({"base": SHTB | {"method": "baseline"}, "control": SHTB | {"method": "control"}})
    assert plan.needs("base") == Needs(experiments=frozenset(["base"]), datasets=frozenset(["shtb"]))
    assert plan.needs("control") == Needs(experiments=frozenset(["control"]), datasets=frozenset(["shtb"]))


def test_generated_images_need_prompts_a_generator_and_an_annotator(plan):
    assert plan.needs("shtb-rescsrnet-promptmix") == Needs(
        experiments=frozenset(["shtb-rescsrnet-promptmix"]),
        datasets=frozenset(["shtb"]),
        captioners=frozenset(["clipcap"]),
        annotators=frozenset(["sasnet"]),
        images={("by-hand", "diffusion"): 20, ("shtb-captions", "diffusion"): 3600},
        annotations={("by-hand", "diffusion", "sasnet"): 20, ("shtb-captions", "diffusion", "sasnet"): 3600},
    )


def test_captions_of_another_dataset_need_that_dataset():
    plan = planned({"it": SHTB | {"pools": ["panda-captions"], "r_mix": 300}})
    assert plan.needs("it").datasets == {"shtb", "panda"}


def test_prompts_by_hand_need_no_captioner():
    needs = planned({"it": SHTB | {"pools": ["by-hand"], "r_mix": 20}}).needs("it")
    assert (needs.captioners, needs.datasets) == (frozenset(), {"shtb"})


def test_restored_images_need_the_images_that_are_restored(plan):
    needs = plan.needs("shtb-rescsrnet-promptmix-float16-gfpgan")
    restored, source = "diffusion-float16-gfpgan", "diffusion-float16"
    assert needs.images == {
        (pool, generator): number
        for pool, number in (("by-hand", 20), ("shtb-captions", 3600))
        for generator in (restored, source)
    }
    assert needs.annotations == {("by-hand", restored, "sasnet"): 20, ("shtb-captions", restored, "sasnet"): 3600}


def test_a_fine_tuned_annotator_needs_what_it_starts_from_and_learns(plan):
    needs = plan.needs_of_annotator("sasnet-again")
    assert needs == Needs(
        annotators=frozenset(["sasnet-again", "sasnet-panda", "sasnet"]), datasets=frozenset(["panda"])
    )
    assert planned({"it": SHTB | {"annotator": "sasnet-panda"}}).needs("it").datasets == {"shtb", "panda"}


def test_filters_need_all_who_score_and_the_trainings_that_prompts_are_judged_by(plan):
    needs = plan.needs("filtered")
    assert needs.annotators == {"sasnet", "dmcount"}
    number = {"places": 200, "by-hand": 80}
    assert needs.images == {(pool, "diffusion"): number[pool] for pool in number}
    assert needs.annotations == {
        (pool, "diffusion", name): number[pool] for pool in number for name in ("sasnet", "dmcount")
    }
    assert needs.experiments == {"filtered", "shtb-rescsrnet", *(f"filtered-prompt-{i}" for i in range(7))}


def test_who_scores_is_not_needed_where_all_images_are_kept():
    plan = planned({"it": SHTB | {"scored_by": ["sasnet", "dmcount"]}})
    assert plan.needs("it").annotators == {"sasnet"}


def test_needs_of_several_are_what_each_needs_and_the_larger_number_of_images(plan):
    names = ("shtb-rescsrnet-promptmix", "shtb-rescsrnet-promptmix-k1-r20", "nyu-guidedepth")
    needs = plan.needs(*names)
    assert needs == plan.needs(names[0]) | plan.needs(names[1]) | plan.needs(names[2])
    assert needs.experiments == set(names)
    assert needs.images == {("by-hand", "diffusion"): 20, ("shtb-captions", "diffusion"): 3600}
    assert plan.needs() == Needs()
