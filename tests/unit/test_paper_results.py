"""The shipped configs have the paper's rows, numbers and words, as its tables say and Section IV."""

from pathlib import Path

import pytest
import yaml

from promptmix.config.paper import paper_results
from promptmix.config.pools import expand
from promptmix.config.validation import read, resolve
from promptmix.miniature.rendering.crowds import LOCATION_WORDS, LOCATIONS

ROOT = Path(__file__).parents[2]
PAPER = yaml.safe_load((ROOT / "tests/data/paper_tables.yaml").read_text())
RESULTS = paper_results()
SHTB = {"mae": PAPER["table1"]["rows"][0]["mae"]["shtb"]}
"""What Tables IV to VII are compared with: the baseline of ResCSRNet on SHTB."""
TITLES = {"shtb": "SHTB", "shta": "SHTA", "qnrf": "UCF-QNRF", "panda": "PANDA-Crowd"}
NETWORKS = {"rescsrnet": "ResCSRNet", "csrnet": "CSRNet", "guidedepth": "GuideDepth", "sasnet": "SASNet"}
METHODS = {"baseline": "{} (baseline)", "promptmix": "{}+PromptMix", "published": "{}"}


def mae_of(network, method, dataset):
    """Return a number of Table I."""
    (found,) = (
        row["mae"][dataset] for row in PAPER["table1"]["rows"] if (row["network"], row["method"]) == (network, method)
    )
    return found


def pairs():
    """Return the datasets and networks of Table I that the paper has a number for, in our order."""
    every = [(dataset, network) for dataset in PAPER["table1"]["columns"] for network in ("rescsrnet", "csrnet")]
    return [(dataset, network) for dataset, network in every if mae_of(network, "baseline", dataset) is not None]


def ablation(table):
    """Return the rows of an ablation study that have generated images; another one is the baseline."""
    rows = PAPER[table]["rows"]
    assert all(row["mae"] == SHTB["mae"] for row in rows if row.get("k") == 0)
    return [row for row in rows if row.get("k") != 0]


# --- config/paper-results.yaml ---


def test_the_numbers_of_table_1():
    expected = {
        f"{dataset}-{network}": {
            method: {"mae": mae_of(network, method, dataset)} for method in ("baseline", "promptmix")
        }
        for dataset, network in pairs()
    }
    assert sum(len(row) for row in expected.values()) == 14
    assert list(RESULTS["table1"]["rows"].items()) == list(expected.items())


def test_the_numbers_of_table_2():
    metrics = ("delta1", "delta2", "delta3", "rmse")
    expected = {row["method"]: {metric: row[metric] for metric in metrics} for row in PAPER["table2"]["rows"]}
    assert RESULTS["table2"]["rows"] == {"nyu-guidedepth": expected}


def test_the_numbers_and_ratios_of_table_3():
    numbers = ("gmac", "parameters", "mae")
    expected = {row["network"]: {number: row[number] for number in numbers} for row in PAPER["table3"]["rows"]}
    methods = {"rescsrnet": {"method": "promptmix"}, "csrnet": {"method": "baseline"}, "sasnet": {}}
    found = [(name, row) for name, row in RESULTS["table3"]["rows"].items()]
    assert found == [(name, methods[name] | row) for name, row in expected.items()]
    claims = PAPER["table3"]["claims"]
    less = -float(claims["error"].removesuffix(" %"))
    (claim,) = RESULTS["table3"]["claims"]
    assert (claim["small"], claim["large"]) == ("rescsrnet", "csrnet")
    assert (claim["gmac"], claim["parameters"], claim["mae"]) == (claims["computation"], claims["parameters"], less)
    small, large = expected["rescsrnet"], expected["csrnet"]
    for number in ("gmac", "parameters"):
        assert round(large[number] / small[number], 2) == claim[number]
    assert round(100 * (1 - small["mae"] / large["mae"]), 2) == claim["mae"]


def name_of_table_7(row):
    if row["prompts"] == 1:
        return row["format"].removeprefix("large crowd in ").removeprefix("a ").replace(" ", "-")
    return (
        "prompt-filter" if row["prompt_filtering"] else "locations" if row["r_img"] == 100 else f"r-img-{row['r_img']}"
    )


@pytest.mark.parametrize(
    ("table", "name_of"),
    [
        ("table4", lambda row: f"k{row['k']}-r{row['r_mix']}"),
        ("table5", lambda row: f"k{row['k']}-{row['pre_training']}"),
        ("table6", lambda row: row["precision"] + ("-restored" if row["face_restoration"] else "")),
        ("table7", name_of_table_7),
    ],
)
def test_the_numbers_of_the_ablation_studies(table, name_of):
    expected = {name_of(row): {"baseline": SHTB, "promptmix": {"mae": row["mae"]}} for row in ablation(table)}
    assert list(RESULTS[table]["rows"].items()) == list(expected.items())


@pytest.mark.parametrize("table", ["table4", "table5", "table6", "table7"])
def test_what_the_paper_says_of_two_rows_is_what_its_numbers_say(table):
    known = {name: row["promptmix"]["mae"] for name, row in RESULTS[table]["rows"].items()} | {"baseline": SHTB["mae"]}
    assert RESULTS[table]["claims"]
    for claim in RESULTS[table]["claims"]:
        assert known[claim["lower"]] < known[claim["higher"]], claim


# --- Tables of the paper's config ---


@pytest.fixture(scope="module")
def paper():
    """The paper's config, with its experiments and its tables."""
    config = read([ROOT / "config/paper.yaml"])
    return config, *resolve(config)


def shown(paper, table):
    """Return cells and the paper's numbers of the rows that are in the paper."""
    return [(tuple(row.labels.values()), row.paper) for row in paper[2][table].rows if not row.ours]


def test_table_1_has_the_paper_s_rows(paper):
    assert shown(paper, "table1") == [
        ((TITLES[dataset], METHODS[method].format(NETWORKS[network])), {"mae": mae_of(network, method, dataset)})
        for dataset, network in pairs()
        for method in ("baseline", "promptmix")
    ]
    (claim,) = paper[2]["table1"].claims
    gains = [
        1 - mae_of(network, "promptmix", dataset) / mae_of(network, "baseline", dataset) for dataset, network in pairs()
    ]
    assert claim.paper == pytest.approx((100 * max(gains),))
    assert round(claim.paper[0]) == 26 and "26 %" in claim.says


def test_table_2_has_the_paper_s_rows(paper):
    assert shown(paper, "table2") == [
        (
            (METHODS[row["method"]].format("GuideDepth"),),
            {key: row[key] for key in ("delta1", "delta2", "delta3", "rmse")},
        )
        for row in PAPER["table2"]["rows"]
    ]


def test_table_3_has_the_paper_s_rows(paper):
    rows = paper[2]["table3"].rows
    assert [(row.title, row.paper) for row in rows if not row.ours] == [
        (
            METHODS["published" if row["method"] == "baseline" else row["method"]].format(NETWORKS[row["network"]]),
            {key: row[key] for key in ("gmac", "parameters", "mae")},
        )
        for row in PAPER["table3"]["rows"]
    ]
    assert (len(rows), paper[2]["table3"].size) == (3, (1024, 768))


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ("table4", lambda row: (str(row["k"]), str(row["r_mix"]))),
        ("table5", lambda row: (str(row["k"]), TITLES.get(row["pre_training"], "—"))),
        (
            "table6",
            lambda row: (
                {"float16": "Half-Precision (float16)", "float32": "Full-Precision (float32)"}[row["precision"]],
                "yes" if row["face_restoration"] else "—",
            ),
        ),
        (
            "table7",
            lambda row: (
                str(row["prompts"]),
                f"“{row['format']}”",
                "yes" if row["prompt_filtering"] else "—",
                f"{row['r_img']} %",
            ),
        ),
    ],
)
def test_the_ablation_studies_have_the_paper_s_rows(paper, table, cells):
    assert shown(paper, table) == [(cells(row), {"mae": row["mae"]}) for row in PAPER[table]["rows"]]
    assert all(row.paper_baseline == SHTB for row in paper[2][table].rows if not row.ours)


@pytest.mark.parametrize(("table", "number"), [("table4", 3), ("table5", 2), ("table6", 2), ("table7", 4)])
def test_every_statement_of_the_paper_is_compared(paper, table, number):
    assert len(paper[2][table].claims) == len(RESULTS[table]["claims"]) == number


@pytest.mark.parametrize("scale", ["paper", "config", "study"])
def test_every_row_of_the_paper_is_in_the_tables_of_every_scale(scale):
    tables = read([ROOT / f"config/{scale}.yaml"])["tables"]
    for table in (f"table{i}" for i in range(1, 8)):
        assert [row["paper"] for row in tables[table]["rows"]] == list(RESULTS[table]["rows"])


# --- The paper's words ---


def prompts(paper, pool):
    entry = paper[0]["pools"][pool]
    return expand(entry["prompts"], entry["locations"])


def test_captions_get_the_paper_s_prefix_and_suffixes(paper):
    assert paper[0]["prompts"] == {
        "prefix": "large crowd",
        "suffix": {"grey": "grayscale image", "colour": "color image"},
    }


def test_the_prompts_of_the_ablation_studies_are_the_paper_s(paper):
    assert prompts(paper, "large-crowd") == ["large crowd"]
    entry, table = paper[0]["pools"]["locations"], PAPER["table7"]
    assert entry["prompts"] == ["large crowd in [location]"] == [table["format"].replace("{location}", "[location]")]
    as_in_its_rows = ["mecca" if location == "Mecca" else location for location in table["locations"]]
    assert entry["locations"] == as_in_its_rows
    assert len(as_in_its_rows) == 10
    alone = [row["format"] for row in table["rows"] if row["prompts"] == 1]
    assert alone == ["large crowd in a train station", "large crowd in mecca"]
    assert set(alone) < set(prompts(paper, "locations"))
    assert [row["prompt"] for row in paper[0]["tables"]["table7"]["rows"] if "prompt" in row] == alone


def test_the_prompts_of_figure_2_are_the_paper_s(paper):
    found = [prompts(paper, pool) for pool in paper[0]["figures"]["figure2"]["pools"]]
    assert found == [[f"large crowd, {colours} image"] for colours in ("black and white", "grayscale", "color")]


def test_rooms_have_the_paper_s_three_prompts(paper):
    assert prompts(paper, "rooms") == [f"{room} interior" for room in ("apartment", "bedroom", "bathroom")]


def test_generated_images_have_the_jpeg_quality_of_the_datasets(paper):
    pools = paper[0]["pools"]
    assert pools["qnrf-captions"]["quality"] == 91
    assert [name for name in pools if name.endswith("-captions") and "quality" in pools[name]] == ["qnrf-captions"]
    assert (pools["large-crowd"]["quality"], pools["locations"]["quality"]) == (75, 75)


def test_the_miniature_has_the_paper_s_locations_and_none_of_mecca_in_shtb():
    assert [words.lower() for words in LOCATION_WORDS.values()] == [
        location.lower() for location in PAPER["table7"]["locations"]
    ]
    rendered = {name: entry.get("locations") for name, entry in read([ROOT / "config/config.yaml"])["render"].items()}
    assert tuple(rendered["shta"]) == tuple(rendered["qnrf"]) == LOCATIONS
    assert "mecca" not in rendered["shtb"] and "train station" in rendered["shtb"]
    assert set(rendered["panda"]) == {"airport", "marathon", "ceremony"}


# --- Section IV ---


@pytest.mark.parametrize(
    ("dataset", "k", "r_mix", "batch_size", "annotator"),
    [
        ("shta", 10, 500, 1, "sasnet-shta"),
        ("shtb", 10, 500, 32, "sasnet-shtb"),
        ("qnrf", 1, 500, 1, "dmcount-qnrf"),
        ("panda", 10, 36, 1, "sasnet-panda"),
        ("nyu", 2500, 1000, 32, "adabins-nyu"),
    ],
)
def test_experiments_have_the_paper_s_numbers(paper, dataset, k, r_mix, batch_size, annotator):
    plan = paper[1]
    network = "guidedepth" if dataset == "nyu" else "csrnet"
    experiment = plan.experiments[f"{dataset}-{network}-promptmix"]
    assert (experiment.fake.k, experiment.fake.r_mix, experiment.fake.annotator) == (k, r_mix, annotator)
    assert list(experiment.fake.pools) == ["rooms" if dataset == "nyu" else f"{dataset}-captions"]
    assert (experiment.fake.r_img, experiment.fake.prompt_filter) == (100, False)
    for training in (experiment.training, plan.experiments[experiment.baseline].training):
        assert training["batch_size"] == batch_size
        assert training["learning_rates"] == ["1e-3", "1e-4", "1e-5", "1e-6"]
        assert (training["epochs"], training["decay"], training["weight_decay"]) == (500, 0.99, 1e-4)
        assert (training["sigma"], training["kernel"]) == (4, 15)


def test_the_paper_s_seed_and_datasets(paper):
    config = paper[0]
    assert config["seed"] == 42
    found = {name: (entry["images"], entry["split"], entry["resize"]) for name, entry in config["datasets"].items()}
    assert found == {
        "shta": ({"train": 300, "test": 182}, {"val": 0.2}, None),
        "shtb": ({"train": 400, "test": 316}, {"val": 0.1}, None),
        "qnrf": ({"train": 1201, "test": 334}, {"val": 0.1}, {"fit": [1920, 1920]}),
        "panda": ({"all": 45}, {"train": 30, "val": 6, "test": 9}, {"exact": [2560, 1440]}),
        "nyu": ({"all": 1449}, {"train": 0.7, "val": 0.1, "test": 0.2}, None),
    }


def test_images_are_made_by_stable_diffusion_in_half_precision(paper):
    generator = paper[0]["generators"]["stable-diffusion"]
    assert Path(generator["model"]).name == "stable-diffusion-v1-4"
    assert generator["precision"] == "float16"


def test_filters_have_the_two_annotators_that_the_paper_names(paper):
    config, plan, targets = paper
    filtered = [plan.experiments[row.experiment].fake for row in targets["table7"].rows if row.baseline]
    assert {fake.scored_by for fake in filtered if fake.r_img < 100} == {("sasnet-shta", "sasnet-shtb")}
    assert {fake.annotator for fake in filtered} == {"sasnet-shtb"}
    assert {(fake.k, fake.r_mix) for fake in filtered} == {(1000, 500)}
    trained = {name: config["annotators"][name] for name in ("sasnet-shta", "sasnet-shtb")}
    assert {name: (entry["network"], entry["trained_on"]) for name, entry in trained.items()} == {
        "sasnet-shta": ("sasnet", "shta"),
        "sasnet-shtb": ("sasnet", "shtb"),
    }


def test_the_annotator_of_panda_is_trained_further_as_all_networks_are(paper):
    fine_tune = paper[0]["annotators"]["sasnet-panda"]["fine_tune"]
    assert fine_tune["dataset"] == "panda"
    assert not {"learning_rates", "epochs", "batch_size"} & set(fine_tune)
