"""Experiments: what they are of what the config says, which are one, what they are called, and what each needs."""

import dataclasses
import json

import pytest
from support.configs import GONE, put, resolved, small, smallest
from support.workflow import ROOT

from promptmix.config.experiments import Annotator, Needs, Network, prompts_of, split_of
from promptmix.config.validation import check, read, resolve
from promptmix.errors import InputError
from promptmix.training.settings import TrainingSettings

SHTB = {"dataset": "shtb", "network": "rescsrnet"}
PANDA = {"dataset": "panda", "network": "rescsrnet"}


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


@pytest.mark.parametrize(
    ("pool", "prompts"),
    [
        ("by-hand", 2),
        ("places", 5),  # two of the three prompts at two locations each
        ("shtb-captions", 360),
        ("panda-captions", 30),
    ],
)
def test_prompts(config, plan, pool, prompts):
    assert prompts_of(config, config["pools"][pool]) == plan.prompts_of(pool) == prompts


def test_texts_of_prompts_are_known_where_they_are_written_by_hand(plan):
    assert plan.texts_of("places") == [
        *("a crowd at sea", "a crowd in town", "a street", "many people at sea", "many people in town"),
    ]
    assert plan.texts_of("shtb-captions") == []


def test_a_language_model_writes_as_many_prompts_as_are_asked_for(config):
    writer = {"model": "models/qwen", "count": 3}
    config["pools"]["shtb-captions"]["written_by"] = writer
    config["pools"]["scenes"] = {
        **{"written_by": writer | {"topic": "rain"}, "width": 96, "height": 64, "quality": 75},
    }
    config["reviewed"]["scenes"] = {"edit": [{"prompt": 2, "to": "a street in the rain"}]}
    plan = resolved(config)[0]
    assert (plan.prompts_of("scenes"), plan.prompts_of("shtb-captions")) == (3, 3 * 360)
    assert plan.texts_of("scenes") == []
    assert plan.writer_of("scenes-edited")["topic"] == "rain" and plan.writer_of("by-hand") == {}


def test_more_images_than_a_pool_can_have_are_refused_where_they_are_asked_for():
    assert described(pools=["by-hand"], k=50_000).fake.images == {"by-hand": 100_000}
    with pytest.raises(InputError, match=r"experiments\.it\.k: 100002 images.*100000. Lower k, or divide the pool"):
        described(pools=["by-hand"], k=50_001)


def test_a_pool_of_the_shipped_config_has_a_prompt_per_training_image():
    config = read([ROOT / "config/config.yaml"])
    captions = {pool: entry["dataset"] for pool, entry in config["pools"].items() if "dataset" in entry}
    assert len(captions) == 4
    for pool, dataset in captions.items():
        assert prompts_of(config, config["pools"][pool]) == split_of(config, dataset)["train"]


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
    assert set(experiment.run_settings("1e-3", 2, 42)) == fields - {
        "accumulate",
        "tf32",
        "cudnn_benchmark",
        "compile",
    }  # no defaults in the config
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


def test_fine_tuning_is_as_it_says_else_as_training_on_the_dataset(plan):
    assert plan.learning_rates_of("sasnet-panda") == ["2e-4", "5e-5"]
    made = TrainingSettings(**plan.fine_tuning_of("sasnet-panda", "5e-5"))
    assert (made.network, made.learning_rate, made.epochs, made.batch_size, made.seed) == ("sasnet", 5e-5, 6, 4, 42)
    assert (made.r_mix, made.density_scale, made.sigma) == (0, 1, 6)

    assert plan.learning_rates_of("sasnet-again") == ["1e-3", "1e-4"]
    made = TrainingSettings(**plan.fine_tuning_of("sasnet-again", "1e-3"))
    assert (made.network, made.learning_rate, made.epochs, made.batch_size, made.seed) == ("sasnet", 1e-3, 500, 1, 42)
    assert (made.r_mix, made.density_scale, made.sigma) == (0, 1, 6)


def test_fine_tuning_follows_the_training_of_its_dataset_alone():
    config = small()
    config["training"]["panda"] |= {"learning_rates": ["3e-3"], "epochs": 7, "batch_size": 2}
    config["training"]["shtb"] |= {"learning_rates": ["4e-4"], "epochs": 8}
    plan = resolved(config)[0]
    assert plan.learning_rates_of("sasnet-again") == ["3e-3"]
    made = TrainingSettings(**plan.fine_tuning_of("sasnet-again", "3e-3"))
    assert (made.learning_rate, made.epochs, made.batch_size) == (3e-3, 7, 2)


def test_fine_tuned_weights_are_made_by_the_workflow(plan):
    assert plan.annotators["sasnet"].weights == "models/sasnet.pth"
    assert plan.annotators["sasnet-panda"].weights == plan.annotators["sasnet-again"].weights == ""
    assert plan.annotators["sasnet-again"].fine_tune["annotator"] == "sasnet-panda"


# --- Networks and annotators, ours and a user's own ---


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The plan of a config with an annotator and a network of a user's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "def count(images): ...\n\n\nclass Mine:\n    stride = 8\n\n    def __init__(self, width): ...\n"
    )
    config = small()
    config["annotators"]["mine"] = {"function": "mine.py:count", "task": "counting", "files": ["a.pt", "b.pt"]}
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
    assert mine == Annotator("mine", "counting", "mine.py:count", files=("a.pt", "b.pt"))
    assert (mine.is_function, mine.is_network, mine.code) == (True, False, "mine.py:count")
    narrow = own.annotators["narrow"]
    assert narrow == Annotator("narrow", "counting", "sasnet", {"width": 0.25}, "models/narrow.pth")
    assert (narrow.is_function, narrow.is_network, narrow.code) == (False, True, "promptmix.networks.sasnet")
    assert own.annotators["adabins"].task == "depth"


def test_annotators_are_models_of_transformers_too():
    config = small()
    config["annotators"]["people"] = {"model": "models/detr", "task": "counting", "label": "person", "flip": True}
    config["annotators"]["far"] = {"model": "owner/name", "task": "depth", "unit": "metres"}
    config["annotators"]["sasnet"]["flip"] = True
    annotators = resolved(config)[0].annotators
    people, far = annotators["people"], annotators["far"]
    assert people.is_of_transformers and not (people.is_network or people.is_function) and people.flip
    assert (people.weights, people.code) == ("models/detr", "promptmix.synthesis.detectors")
    assert people.settings == {"label": "person", "score": 0.5, "sigma": 4, "kernel": 15}
    assert (far.weights, far.settings, far.flip) == ("owner/name", {"unit": "metres"}, False)
    assert (far.task, far.code) == ("depth", "promptmix.synthesis.estimators")
    assert annotators["sasnet"].flip and not annotators["sasnet-panda"].flip and not annotators["narrow"].flip


def test_an_annotator_was_trained_on_what_it_says_or_is_fine_tuned_on(plan):
    trained_on = {name: annotator.trained_on for name, annotator in plan.annotators.items()}
    assert (trained_on["dmcount"], trained_on["sasnet-panda"], trained_on["sasnet"]) == ("panda", "panda", "")


def test_an_average_is_of_its_annotators_and_has_no_network(plan):
    both = plan.annotators["both"]
    assert both == Annotator("both", "counting", "", mean_of=("dmcount", "sasnet"))
    assert (both.is_function, both.is_network) == (False, False)
    assert (plan.members_of("both"), plan.members_of("sasnet")) == (("dmcount", "sasnet"), ("sasnet",))


def test_an_average_can_be_of_a_network_and_a_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def count(images): ...\n")
    config = small()
    config["annotators"]["mine"] = {"function": "mine.py:count", "task": "counting"}
    config["annotators"]["both"] = {"mean_of": ["sasnet", "mine"]}
    assert resolved(config)[0].annotators["both"] == Annotator("both", "counting", "", mean_of=("mine", "sasnet"))
    config["annotators"]["mine"]["task"] = "depth"
    with pytest.raises(
        InputError, match=r"annotators\.both\.mean_of: 'sasnet' is for counting and 'mine' is for depth"
    ):
        resolved(config)


# --- Experiments that are one, and their names ---

PLACES = {"pools": ["places"], "k": 40, "r_mix": 20}
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
        ({}, {"filters": {}}),
        ({"filters": {"leak_guard": "report"}}, {"filters": {"leak_guard": {"action": "report", "distance": 6}}}),
        ({"filters": {"near_duplicates": {}}}, {"filters": {"near_duplicates": {"distance": 6}}}),
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
        ({"annotator": "both"}, {"annotator": "dmcount"}),
        ({"filters": {"leak_guard": "report"}}, {"filters": {"leak_guard": "error"}}),
        ({"filters": {"near_duplicates": {}}}, {}),
        (PLACES, PLACES | {"prompt": "a street"}),
        (PLACES | {"prompt": "a crowd at sea"}, PLACES | {"prompt": "a street"}),
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
        ({"annotator": "both"}, "-by-both"),
        ({"pools": ["places"], "prompt": "a street", "k": 40, "r_mix": 20}, "-places-only-a-street-k40-r20"),
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
        ({"filters": {}}, ""),
        ({"filters": {"near_duplicates": {"distance": 4}}}, "-filters-near-duplicates-distance-4"),
        ({"filters": {"clip_score": {"model": "a/clip", "keep": 80}}}, "-filters-clip-score-model-clip-keep-80"),
        ({"filters": {"leak_guard": "error", "near_duplicates": {}}}, "-filters-leak-guard-error-near-duplicates-none"),
        (PANDA | {"rendered": "truth"}, "-rendered-truth"),
    ],
)
def test_the_name_of_an_experiment_says_what_differs(facts, suffix):
    assert name_of(**facts) == f"{facts.get('dataset', 'shtb')}-rescsrnet-promptmix{suffix}"


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"epochs": 5}, "-epochs-5"),
        ({"learning_rates": ["1e-3", "1e-5"]}, "-learning-rates-1e-3-1e-5"),
        ({"decay": 0.9}, "-decay-0-9"),
    ],
)
def test_the_names_of_an_experiment_and_its_baseline_say_what_differs_in_training(training, words):
    _, targets = resolved(small() | {"tables": {"table1": {"rows": [SHTB | {"training": training}]}}, "figures": {}})
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
            [
                "experiments.longer.r_mix: 3621",
                "3620 are made: promptmix.shtb.k (10) x 362 prompts",
                "Lower r_mix or raise k",
            ],
        ),
        (
            "experiments.filtered.r_mix",
            106,
            [
                "experiments.filtered.r_mix: 106",
                "280 are made: experiments.filtered.k (40) x 7 prompts",
                "r_img keeps 105",
                "Lower r_mix",
            ],
        ),
        (
            "promptmix.shtb.k",
            1,
            ["experiments.longer: promptmix.shtb.r_mix: 500 images", "362 are made: promptmix.shtb.k (1)", "raise k"],
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
    lines = problems_with(path, value)
    assert any(all(part in line for part in parts) for line in lines), lines


def problems_with(path, value):
    """Return what is said of the small config with a value at a path, or taken away."""
    config = small()
    put(config, path, value)
    with pytest.raises(InputError) as raised:
        check(config)
    return str(raised.value).splitlines()


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (
            "annotators.both.mean_of",
            ["sasnet"],
            ["annotators.both.mean_of: ", "is not a list of two annotators or more"],
        ),
        ("annotators.both.mean_of", ["sasnet", "sasnet"], ["annotators.both.mean_of: 'sasnet' is there twice"]),
        ("annotators.both.mean_of", ["sasnet", "dmcout"], ["annotators.both.mean_of[1]: 'dmcout'", "mean 'dmcount'?"]),
        (
            "annotators.both.mean_of",
            ["sasnet", "adabins"],
            ["annotators.both.mean_of: 'sasnet' is for counting and 'adabins' is for depth; only"],
        ),
        (
            "annotators.more",
            {"mean_of": ["sasnet", "both"]},
            ["annotators.more.mean_of[1]: 'both' is an average itself; name what it is of"],
        ),
        (
            "annotators.both.mean_of",
            ["sasnet", "both"],
            ["annotators.both.mean_of[1]: 'both' is an average itself; name what it is of"],
        ),
        ("annotators.both.weights", "models/both.pth", ["annotators.both.weights is not a key. Known keys: mean_of."]),
        (
            "experiments.filtered.scored_by",
            ["sasnet", "both"],
            ["experiments.filtered.scored_by: 'both' is the average of dmcount, sasnet; q compares", "name these"],
        ),
        (
            "annotators.sasnet-panda.fine_tune.annotator",
            "both",
            ["annotators.sasnet-panda.fine_tune.annotator: 'both' is an average, which cannot be trained", "a network"],
        ),
        (
            "tables.depth.rows.0.annotator",
            "both",
            ["tables.depth.rows[0].annotator: 'both' is for counting", "for depth"],
        ),
    ],
)
def test_an_average_that_cannot_be(path, value, parts):
    (line,) = problems_with(path, value)
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(
    ("facts", "parts"),
    [
        (
            PLACES | {"prompt": "a stret"},
            [".prompt: 'a stret' is not a prompt that is written by hand in places", "Did you mean 'a street'?"],
        ),
        (PLACES | {"prompt": "a crowd [location]"}, [".prompt: 'a crowd [location]' is not", "'a crowd "]),
        (
            PLACES | {"pools": ["by-hand", "shtb-captions"], "prompt": "a street"},
            [".prompt: 'a street' is not a prompt that is written by hand in by-hand, shtb-captions."],
        ),
        (
            PLACES | {"prompt": "a street", "r_mix": 41},
            [".r_mix: 41 images per epoch, but 40 are made: experiments.it.k (40) x 1 prompts. Lower r_mix or raise k"],
        ),
        (PLACES | {"prompt": 2}, [".prompt: 2 (number)"]),
    ],
)
def test_an_experiment_of_one_prompt_that_cannot_be(facts, parts):
    (line,) = problems_with("experiments.it", SHTB | facts)
    assert line.startswith(f"config/config.yaml: experiments.it{parts[0]}"), line
    assert all(part in line for part in parts), line


# --- Rendered images in the place of generated ones ---


def test_rendered_images_are_as_many_as_the_generated_ones_and_need_none_of_these():
    plan = planned({labels: PANDA | {"rendered": labels} for labels in ("truth", "annotator")} | {"generated": PANDA})
    truth, annotated, generated = (plan.experiments[name] for name in ("truth", "annotator", "generated"))
    assert (truth.fake.rendered, annotated.fake.rendered, generated.fake.rendered) == ("truth", "annotator", "")
    assert truth.fake.kept == annotated.fake.kept == generated.fake.kept == 300
    assert truth.baseline == annotated.baseline == generated.baseline == "panda-rescsrnet"
    rate = truth.learning_rates[0]
    assert len({json.dumps(each.run_settings(rate, 1, 42)) for each in (truth, annotated, generated)}) == 1
    assert plan.needs("truth") == Needs(experiments=frozenset(["truth"]), datasets=frozenset(["panda"]))
    needs = plan.needs("annotator")
    assert (needs.annotators, needs.images, needs.annotations) == ({"sasnet-panda", "sasnet"}, {}, {})


def test_rendered_images_with_the_labels_of_an_average_need_its_members():
    plan = planned({"it": PANDA | {"rendered": "annotator", "annotator": "both"}})
    assert plan.needs("it").annotators == {"sasnet", "dmcount"}


@pytest.mark.parametrize(
    ("facts", "parts"),
    [
        (PANDA | {"rendered": "true"}, [".rendered: 'true'", "annotator, truth", "Did you mean 'truth'?"]),
        (SHTB | {"rendered": "truth"}, [".rendered: ", "render.shtb is missing", "Rendered datasets: nyu, panda"]),
        (PANDA | {"rendered": "truth", "restorer": "gfpgan"}, [".rendered: restorer is of generated images"]),
        (PANDA | {"rendered": "annotator", "prompt_filter": True}, [".rendered: prompt_filter is of generated images"]),
        (
            PANDA | {"rendered": "truth", "r_img": 60, "scored_by": ["sasnet", "dmcount"]},
            [".rendered: r_img is of generated images", "take away the one or the other"],
        ),
        (PANDA | {"rendered": "truth", "r_mix": 301}, [".r_mix: 301 images per epoch, but 300 are made"]),
    ],
)
def test_an_experiment_with_rendered_images_that_cannot_be(facts, parts):
    (line,) = problems_with("experiments.it", facts)
    assert line.startswith(f"config/config.yaml: experiments.it{parts[0]}"), line
    assert all(part in line for part in parts), line


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


# --- Filters beyond the paper's ---

CLIP_SCORE = {"model": "models/clip", "at_least": 0.2}


def test_filters_have_all_of_their_settings_in_the_order_in_which_they_are_applied():
    guard = {"model": "other/clip-large"}
    plan = planned({"it": SHTB | {"filters": {"leak_guard": guard, "clip_score": CLIP_SCORE, "near_duplicates": {}}}})
    assert list(plan.written["it"].fake.filters.items()) == [
        ("near_duplicates", {"distance": 6}),
        ("clip_score", CLIP_SCORE),
        ("leak_guard", {"action": "report", "distance": 6, "similarity": 0.95} | guard),
    ]
    assert plan.clips == {"clip": "models/clip", "clip-large": "other/clip-large"}
    assert plan.clip_of("other/clip-large/") == "clip-large" and described().fake.filters == {}


def test_what_shares_keep_is_counted_and_what_thresholds_keep_is_not_known():
    keep = {"clip_score": {"model": "models/clip", "keep": 80}}
    assert described(**SCORED | {"filters": keep}).fake.kept == 320  # half of 80 % of 800
    with pytest.raises(InputError, match=r"800 are made: .*, of which clip_score and r_img keep 320\. Lower r_mix"):
        described(**SCORED | {"filters": keep, "r_mix": 321})
    with pytest.raises(InputError, match=r", of which clip_score keeps 2896\. Lower r_mix"):
        described(filters=keep, r_mix=2897)
    open_ended = described(filters={"clip_score": CLIP_SCORE, "near_duplicates": {}}).fake
    assert (open_ended.kept, open_ended.is_open) == (3620, False)


def test_of_one_prompt_an_epoch_takes_what_filters_leave():
    facts = PLACES | {"prompt": "a street"}
    assert not described(**facts, filters={"leak_guard": "error"}).fake.is_open
    for filters in ({"near_duplicates": {}}, {"clip_score": CLIP_SCORE}):
        fake = described(**facts, filters=filters).fake
        assert fake.is_open and fake.images == {"places": 200}  # the other prompts' images concern it


@pytest.mark.parametrize(
    ("filters", "parts"),
    [
        ({"clip_scores": CLIP_SCORE}, [".filters.clip_scores is not a key", "Did you mean 'clip_score'?"]),
        (
            {"clip_score": {"at_least": 0.2}},
            [".filters.clip_score.model is missing: folder of a CLIP with image processor"],
        ),
        (
            {"clip_score": {"model": "a"}},
            [".filters.clip_score: expected exactly one of 'at_least' and 'keep', found none"],
        ),
        (
            {"clip_score": CLIP_SCORE | {"keep": 5}},
            [": expected exactly one of 'at_least' and 'keep', found 'at_least' and"],
        ),
        ({"clip_score": CLIP_SCORE | {"at_least": 25}}, [".clip_score.at_least: 25 is not a cosine, from -1 to 1"]),
        ({"clip_score": {"model": "a", "keep": 0}}, [".clip_score.keep: 0 is not a percentage above 0, at most 100"]),
        ({"near_duplicates": {"distance": 64}}, [".near_duplicates.distance: 64 is not a whole number from 0 to 63"]),
        (
            {"near_duplicates": {"distance": 0.5}},
            [".near_duplicates.distance: 0.5 (number) is not a whole number from 0 to 63"],
        ),
        ({"near_duplicates": True}, [".near_duplicates: true is not a section of keys and values"]),
        ({"leak_guard": "stop"}, [".leak_guard: 'stop' is not something to do. Known: error, report"]),
        ({"leak_guard": {"action": "eror"}}, [".leak_guard.action: 'eror' is not", "Did you mean 'error'?"]),
        ({"leak_guard": {"model": "a", "similarity": 95}}, [".leak_guard.similarity: 95 is not a cosine"]),
        ({"leak_guard": True}, [".leak_guard: true is not report, error, or a section of settings"]),
        (
            {"leak_guard": {"similarity": 0.9}},
            [".filters.leak_guard.similarity: ", "leak_guard.model is missing", "name a CLIP, or take similarity away"],
        ),
        (
            {"clip_score": CLIP_SCORE, "leak_guard": {"model": "other/clip"}},
            [".filters.leak_guard.model: 'other/clip' and 'models/clip' would both be called clip", "rename a folder"],
        ),
    ],
)
def test_a_filter_that_cannot_be_is_an_error_of_the_config(filters, parts):
    (line,) = problems_with("experiments.it", SHTB | {"filters": filters})
    assert line.startswith("config/config.yaml: experiments.it.filters."), line
    assert all(part in line for part in parts), line


def test_rendered_images_are_not_filtered():
    (line,) = problems_with("experiments.it", PANDA | {"rendered": "truth", "filters": {"near_duplicates": {}}})
    assert ".rendered: filters is of generated images" in line


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
        assert (single.fake.r_img, single.fake.scored_by) == (37.5, ("dmcount", "sasnet"))  # images are filtered first
        assert single.fake.r_mix == 40  # of 50: there are as many images of one prompt
        assert (single.fake.prompt_filter, single.single_prompts, single.fake.is_open) == (False, {}, True)
    made = run(plan.experiments["filtered-prompt-0"])
    assert (made.r_mix, made.real_images, made.seed) == (40, True, 44)


def test_prompts_can_be_told_apart_without_real_images():
    plan = planned({"filtered": small()["experiments"]["filtered"] | {"real_images": False}})
    made = run(plan.experiments["filtered-prompt-0"])
    assert (made.r_mix, made.real_images) == (40, False)
    assert run(plan.experiments["filtered"]).real_images


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"r_mix": 45}, True),
        ({"r_mix": 28}, False),
        ({"r_mix": 28, "r_img": 10}, False),
        ({"annotator": "both"}, False),
    ],
)
def test_filters_of_the_same_prompts_share_their_trainings_if_they_are_the_same(change, shared):
    filtered = small()["experiments"]["filtered"]  # 50 images of 40 of each prompt
    plan = planned({"filtered": filtered, "again": filtered | change})
    first, again = (plan.written[name].single_prompts for name in ("filtered", "again"))
    assert plan.written["filtered"] is not plan.written["again"]
    assert list(first) == list(again)
    assert first == again if shared else not set(first.values()) & set(again.values())


def test_the_locations_of_the_shipped_table_7_are_trained_once_each():
    plan, targets = resolve(read([ROOT / "config/config.yaml"]))
    experiments = [plan.experiments[name] for name in targets["table7"].experiments]
    (filtered,) = [experiment for experiment in experiments if experiment.single_prompts]
    assert len(filtered.single_prompts) == 10
    assert set(filtered.single_prompts.values()) < plan.needs(filtered.name).experiments
    rows = {experiment.name for experiment in experiments if experiment.fake and experiment.fake.prompt}
    assert len(rows) == 2
    assert rows < set(filtered.single_prompts.values())  # the table's rows of one prompt


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


@pytest.mark.parametrize("names", [["one", "filter"], ["filter", "one"]])
def test_an_experiment_of_one_prompt_is_the_training_of_a_prompt_filter(names):
    entries = {"one": SHTB | PLACES | {"prompt": "a street"}, "filter": SHTB | PLACES | {"prompt_filter": True}}
    plan = planned({name: entries[name] for name in names})
    one, singles = plan.written["one"], plan.written["filter"].single_prompts
    assert one.fake.prompt == ("places", 2)
    assert singles["places", 2] == one.name == ("one" if names[0] == "one" else "filter-prompt-2")
    assert [number for _, number in singles if singles["places", number] == one.name] == [2]
    assert ("filter-prompt-2" in plan.experiments) == (names[0] == "filter")
    assert (one.fake.left, one.fake.kept, one.fake.r_mix, one.fake.is_open) == (40, 40, 20, False)


def test_an_experiment_of_one_prompt_is_another_than_that_of_a_filter_without_real_images():
    entries = {"one": SHTB | PLACES | {"prompt": "a street"}}
    entries["filter"] = SHTB | PLACES | {"prompt_filter": True, "real_images": False}
    plan = planned(entries)
    assert plan.written["filter"].single_prompts["places", 2] == "filter-prompt-2"
    assert run(plan.experiments["one"]).real_images


def test_the_only_prompt_is_of_the_first_pool_that_has_it():
    pools = small()["pools"]
    pools["more"] = pools["by-hand"] | {"prompts": ["many people", "a street"]}
    for order in (["places", "more"], ["more", "places"]):
        plan = planned({"it": SHTB | PLACES | {"pools": order, "prompt": "a street"}}, pools=pools)
        assert plan.written["it"].fake.prompt == (order[0], {"places": 2, "more": 1}[order[0]])


def test_of_filtered_images_of_one_prompt_an_epoch_takes_what_there_is():
    facts = SCORED | {"pools": ["places"], "k": 40, "r_img": 10, "r_mix": 40, "prompt": "a street"}
    assert described(**facts).fake.is_open


# --- What a review leaves out and edits ---

EDITS = [{"prompt": 2, "to": "a road"}, {"prompt": "a crowd at sea", "to": "people on a ship"}]


def reviewed_with(review, pool="places", **facts):
    """Return the plan of the small config with a review of one pool, and an experiment called "it"."""
    return planned({"it": SHTB | PLACES | {"pools": [pool]} | facts}, reviewed={pool: review})


def test_prompts_are_dropped_by_number_and_text():
    fake = reviewed_with({"drop": [3, "a street"]}).written["it"].fake
    assert fake.reviewed == {"places": {"drop": [3, 2], "exclude": []}}
    assert (fake.pools, fake.images) == ({"places": 5}, {"places": 200})
    assert (fake.left, fake.kept) == (120, 120)


def test_captions_are_dropped_by_text_as_they_are_not_known_yet():
    fake = reviewed_with({"drop": [3, "large crowd, a street"]}, "shtb-captions").written["it"].fake
    assert fake.reviewed == {"shtb-captions": {"drop": [3, "large crowd, a street"], "exclude": []}}
    assert fake.left == 358 * 40


def test_edited_prompts_are_a_pool_of_their_own_in_place_of_what_they_were():
    plan = reviewed_with({"edit": EDITS, "drop": [4]})
    assert plan.pools["places-edited"] == {"of": "places", "edits": EDITS}
    assert (plan.prompts_of("places-edited"), plan.prompts_of("places")) == (2, 5)
    fake = plan.written["it"].fake
    assert list(fake.pools.items()) == [("places", 5), ("places-edited", 2)]
    assert fake.images == {"places": 200, "places-edited": 80}
    assert fake.reviewed == {"places": {"drop": [4, 2, 0], "exclude": []}}
    assert fake.left == 280 - 3 * 40
    assert plan.needs("it").images == {("places", "diffusion"): 200, ("places-edited", "diffusion"): 80}


def test_edited_prompts_come_after_those_of_their_pool():
    experiments = {"it": SHTB | PLACES | {"pools": ["places", "by-hand"]}}
    fake = planned(experiments, reviewed={"places": {"edit": EDITS}}).written["it"].fake
    assert list(fake.pools) == ["places", "places-edited", "by-hand"]


def test_edited_captions_need_what_makes_the_captions():
    needs = reviewed_with({"edit": [{"prompt": 7, "to": "a road"}]}, "panda-captions").needs("it")
    assert (needs.datasets, needs.captioners) == ({"shtb", "panda"}, {"clipcap"})
    assert needs.images == {("panda-captions", "diffusion"): 1200, ("panda-captions-edited", "diffusion"): 40}


def test_images_are_excluded_by_seed():
    fake = reviewed_with({"exclude": [199, 0]}).written["it"].fake
    assert fake.reviewed == {"places": {"drop": [], "exclude": [0, 199]}}
    assert (fake.images, fake.left) == ({"places": 200}, 198)


def test_of_what_a_review_leaves_a_share_is_kept():
    facts = {"r_img": 50, "scored_by": ["sasnet", "dmcount"]}
    fake = reviewed_with({"drop": [1], "exclude": [0]}, **facts).written["it"].fake
    assert (fake.left, fake.kept) == (159, 80)


def test_a_review_concerns_the_experiments_with_its_pool():
    plan = planned({"it": SHTB | PLACES, "other": SHTB}, reviewed={"places": {"drop": [1]}})
    assert plan.written["other"].fake == planned({"other": SHTB}).written["other"].fake
    assert plan.written["it"].key != planned({"it": SHTB | PLACES}).written["it"].key


def test_a_prompt_filter_has_an_experiment_for_each_prompt_that_is_left():
    plan = reviewed_with({"drop": [1], "edit": EDITS}, prompt_filter=True)
    prompts = [("places", 3), ("places", 4), ("places-edited", 0), ("places-edited", 1)]
    assert list(plan.written["it"].single_prompts) == prompts
    assert len({*plan.written["it"].single_prompts.values()}) == 4


def test_what_a_review_says_of_other_prompts_does_not_concern_the_experiment_of_one():
    alone = reviewed_with({"drop": [1], "exclude": [3, 13]}, prompt="a street").written["it"]
    assert alone.fake.reviewed == {}
    alone = reviewed_with({"drop": [1], "exclude": [7, 2, 3]}, prompt="a street").written["it"]
    assert alone.fake.reviewed == {"places": {"drop": [], "exclude": [2, 7]}}
    assert alone.fake.left == 38
    alone = reviewed_with({"drop": [1], "exclude": [3]}, prompt="a street", r_img=50, scored_by=["sasnet", "dmcount"])
    assert alone.written["it"].fake.reviewed == {"places": {"drop": [1], "exclude": [3]}}


@pytest.mark.parametrize(
    ("review", "left"),
    [
        ({"drop": [0, 1]}, 120),
        ({"drop": [0], "exclude": [11]}, 159),
        ({"edit": EDITS}, 200),  # as many prompts as before
    ],
)
def test_an_epoch_cannot_have_more_images_than_a_review_leaves(review, left):
    assert reviewed_with(review, r_mix=left).written["it"].fake.left == left
    made = 280 if "edit" in review else 200
    expected = (
        rf"experiments\.it\.r_mix: {left + 1} .* {made} are made: .*of which a review leaves {left}\. Lower r_mix"
    )
    with pytest.raises(InputError, match=expected):
        reviewed_with(review, r_mix=left + 1)


def test_a_share_is_of_what_a_review_leaves():
    facts = {"r_img": 50, "scored_by": ["sasnet", "dmcount"], "r_mix": 81}
    with pytest.raises(InputError, match=r"200 are made: .*, of which a review leaves 160, of which r_img keeps 80\."):
        reviewed_with({"drop": [0]}, **facts)


@pytest.mark.parametrize(
    ("pool", "review", "line"),
    [
        ("places", {"drop": [0, 5]}, ".drop[1]: there is no prompt 5: places has 5, counted from 0"),
        (
            "places",
            {"edit": [{"prompt": 5, "to": "x"}]},
            ".edit[0].prompt: there is no prompt 5: places has 5, counted from 0",
        ),
        ("panda-captions", {"drop": [30]}, ".drop[0]: there is no prompt 30: panda-captions has 30, counted from 0"),
        ("places", {"drop": ["a stret"]}, ".drop[0]: 'a stret' is not a prompt of places. Did you mean 'a street'?"),
        (
            "places",
            {"edit": [{"prompt": "a stret", "to": "x"}]},
            ".edit[0].prompt: 'a stret' is not a prompt of places. Did you mean 'a street'?",
        ),
        ("places", {"drop": ["a street", 2]}, ".drop[1]: 2 is named at drop[0] already; name it once"),
        (
            "places",
            {"drop": [2], "edit": [{"prompt": "a street", "to": "x"}]},
            ".edit[0].prompt: 'a street' is named at drop[0] already; name it once",
        ),
        (
            "places",
            {"edit": [{"prompt": 1, "to": "x"}, {"prompt": 1, "to": "y"}]},
            ".edit[1].prompt: 1 is named at edit[0].prompt already; name it once",
        ),
        (
            "places",
            {"exclude": [3, 200]},
            ".exclude[1]: no experiment has an image of seed 200: "
            "the experiments make 200 of places, with the seeds from 0 on",
        ),
        ("rooms", {"exclude": [0]}, ".exclude[0]: no experiment has an image of seed 0: none uses that pool"),
    ],
)
def test_a_review_of_what_there_is_not(pool, review, line):
    with pytest.raises(InputError) as raised:
        planned({"it": SHTB | PLACES}, reviewed={pool: review})
    assert str(raised.value) == f"config/config.yaml: reviewed.{pool}{line}"


@pytest.mark.parametrize("review", [{"drop": ["a caption"]}, {"edit": [{"prompt": "a caption", "to": "a road"}]}])
def test_captions_are_reviewed_by_number_where_prompts_are_filtered(review):
    with pytest.raises(InputError) as raised:
        reviewed_with(review, "panda-captions", prompt_filter=True)
    (line,) = str(raised.value).splitlines()
    for part in (
        "experiments.it: it filters prompts",
        "reviewed.panda-captions names 'a caption' by its text",
        "by number",
    ):
        assert part in line
    by_number = {"drop": [7]} if "drop" in review else {"edit": [{"prompt": 7, "to": "a road"}]}
    singles = reviewed_with(by_number, "panda-captions", prompt_filter=True).written["it"].single_prompts
    assert ("panda-captions", 7) not in singles


def test_an_experiment_of_a_prompt_that_is_left_out_is_refused():
    for review in ({"drop": ["a street"]}, {"edit": EDITS}):
        with pytest.raises(InputError, match=r"experiments\.it\.prompt: 'a street' is left out by reviewed\.places"):
            reviewed_with(review, prompt="a street")


def test_a_pool_is_called_like_that_of_edited_prompts():
    pools = small()["pools"] | {"places-edited": small()["pools"]["rooms"]}
    with pytest.raises(InputError) as raised:
        planned({"it": SHTB | PLACES}, pools=pools, reviewed={"places": {"edit": EDITS}})
    (line,) = str(raised.value).splitlines()
    assert "reviewed.places.edit: the edited prompts would be the pool places-edited" in line


def test_only_a_review_makes_pools_of_edited_prompts():
    pools = small()["pools"]
    pools |= {"places-edited": pools["by-hand"], "old-edited": pools["by-hand"]}
    plan = planned({"it": SHTB | PLACES, "old": SHTB | PLACES | {"pools": ["old-edited"]}}, pools=pools)
    assert plan.written["it"].fake.pools == {"places": 5}
    assert plan.needs("old").images == {("old-edited", "diffusion"): 80}


@pytest.mark.parametrize(
    ("path", "value", "pool", "line"),
    [
        ("pools.places.locations", [], "places", "pools.places: prompts: 'a crowd [location]' has a [location]"),
        (
            "datasets.shtb.split",
            {"val": 1000},
            "shtb-captions",
            "datasets.shtb.split: 1000 val leaves no training image",
        ),
    ],
)
def test_a_review_of_a_pool_that_cannot_be_is_not_a_problem_of_its_own(path, value, pool, line):
    config = small() | {"reviewed": {pool: {"drop": [1]}}}
    put(config, path, value)
    with pytest.raises(InputError) as raised:
        check(config)
    (found,) = str(raised.value).splitlines()
    assert found.startswith(f"config/config.yaml: {line}"), found


@pytest.mark.parametrize(
    ("review", "parts"),
    [
        ({"plces": {"drop": [1]}}, ["reviewed", "'plces' is not a pool", "Did you mean 'places'?"]),
        ({"places": {"drops": [1]}}, ["reviewed.places.drops is not a key", "Did you mean 'drop'?"]),
        ({"places": {"drop": [1, 1]}}, ["reviewed.places.drop: 1", "is there twice"]),
        ({"places": {"exclude": [-1]}}, ["reviewed.places.exclude[0]: -1"]),
        ({"places": {"edit": [{"prompt": 1}]}}, ["reviewed.places.edit[0].to is missing"]),
    ],
)
def test_a_review_that_does_not_say_what_it_is_of(review, parts):
    (line,) = problems_with("reviewed", review)
    assert all(part in line for part in parts), line


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


def test_an_average_needs_annotations_of_each_and_its_own():
    plan = planned({"it": SHTB | {"pools": ["by-hand"], "k": 20, "r_mix": 40, "annotator": "both"}})
    needs = plan.needs("it")
    assert needs.annotators == {"sasnet", "dmcount"}
    assert needs.annotations == {("by-hand", "diffusion", name): 40 for name in ("both", "sasnet", "dmcount")}


def test_an_average_needs_what_its_annotators_are_made_from():
    annotators = small()["annotators"] | {"both": {"mean_of": ["sasnet-panda", "dmcount"]}}
    needs = planned({"it": SHTB | {"annotator": "both"}}, annotators=annotators).needs_of_annotator("both")
    assert needs == Needs(annotators=frozenset(["sasnet-panda", "sasnet", "dmcount"]), datasets=frozenset(["panda"]))


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
