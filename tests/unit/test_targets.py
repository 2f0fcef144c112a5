"""Tables and figures: which experiments they show, in which rows and columns, what they need, and what cannot be shown."""

import pytest
from support.configs import resolved, small, smallest
from support.workflow import ROOT

from promptmix.config.experiments import Needs
from promptmix.config.targets import CostRow, ErrorTable, Row, paper_results
from promptmix.config.validation import read, resolve
from promptmix.errors import InputError

SHTB = {"dataset": "shtb", "network": "rescsrnet"}
DEPTH = {"dataset": "nyu", "network": "guidedepth"}
BASE, CONTROL, PROMPTMIX = "shtb-rescsrnet", "shtb-rescsrnet-control", "shtb-rescsrnet-promptmix"


@pytest.fixture
def targets():
    return resolved(small())[1]


@pytest.fixture
def plan():
    return resolved(small())[0]


def with_only(section, entry, **sections):
    """Return the small config with one table, or one figure, called "it"."""
    config = small() | {"tables": {}, "figures": {}} | sections
    del config["preflight"]
    config[section] = {"it": entry}
    return config


def table(entry, **sections):
    """Return what a table is in the small config."""
    return resolved(with_only("tables", entry, **sections))[1]["it"]


def labels(entry, **sections):
    """Return the columns of a table, and the leading cells of its rows."""
    rows = table(entry, **sections).rows
    assert len({tuple(row.labels) for row in rows}) == 1
    return list(rows[0].labels), [tuple(row.labels.values()) for row in rows]


def refused(section, entry, *parts, **sections):
    """Check that a table or figure is refused with a message that has these parts."""
    with pytest.raises(InputError) as raised:
        resolved(with_only(section, entry, **sections))
    lines = str(raised.value).splitlines()
    assert any(
        line.split(": ", 1)[1].startswith(f"{section}.it") and all(p in line for p in parts) for line in lines
    ), lines


# --- Tables and figures by name ---


def test_tables_and_figures_are_those_of_the_config_in_its_order(targets):
    config = small()
    assert list(targets) == [*config["tables"], *config["figures"]]


@pytest.mark.parametrize("name", ["config", "paper", "study"])
def test_the_tables_of_the_shipped_configs(name):
    plan, targets = resolve(read([ROOT / f"config/{name}.yaml"]))
    for target in targets.values():
        if isinstance(target, ErrorTable):
            assert len({tuple(row.labels.values()) for row in target.rows}) == len(target.rows)
            assert len({tuple(row.labels) for row in target.rows}) == 1
    rows = targets["table1"].rows
    assert {row.labels["Dataset"] for row in rows} == {
        plan.title_of(name) for name in ("shta", "shtb", "qnrf", "panda")
    }
    assert [row.paper for row in rows if row.experiment == "shtb-rescsrnet-promptmix"] == [{"mae": 8.57}]
    assert list(targets["table4"].rows[0].labels) == ["Method", "k", "r_mix"]
    assert list(targets["table5"].rows[0].labels) == ["Method", "Annotator"]
    assert list(targets["table6"].rows[0].labels) == ["Method", "Precision", "Face restoration"]
    assert list(targets["table7"].rows[0].labels) == ["Method", "Prompt filter", "r_img"]


def test_a_table_and_a_figure_have_two_names():
    config = small()
    config["figures"]["cost"] = config["figures"]["rooms"]
    with pytest.raises(InputError, match=r"figures\.cost: .*give the figure another name"):
        resolved(config)


def test_a_config_for_depth_alone():
    config = small()
    for section in ("datasets", "promptmix"):
        config[section] = {key: config[section][key] for key in config[section] if key in ("nyu", "default")}
    config["networks"] = {"guidedepth": {}}
    config["training"] = {"default": config["training"]["default"]}
    config["render"] = {"nyu": config["render"]["nyu"]}
    config["pools"] = {"rooms": config["pools"]["rooms"]}
    config["annotators"] = {"adabins": config["annotators"]["adabins"]}
    config["tables"] = {"rooms-table": {"rows": [DEPTH], "methods": ["baseline", "control", "promptmix"]}}
    config["figures"] = {"rooms": config["figures"]["rooms"]}
    for section in ("captioners", "prompts", "restorers", "experiments", "miniature", "preflight"):
        del config[section]
    _, targets = resolved(config)
    assert targets["rooms-table"].task == "depth"
    assert targets["rooms-table"].experiments == [
        "nyu-guidedepth",
        "nyu-guidedepth-control",
        "nyu-guidedepth-promptmix",
    ]
    assert targets["rooms"].pairs == [("nyu-guidedepth", "nyu-guidedepth-promptmix")]


def test_baselines_alone_need_nothing_that_makes_images():
    config = smallest() | {"tables": {"mine": {"rows": [SHTB], "methods": ["baseline"]}}}
    plan, targets = resolved(config)
    assert targets["mine"].rows == [
        Row(BASE, {"Dataset": "Shanghai Tech Part B", "Network": "rescsrnet", "Method": "baseline"})
    ]
    assert targets["mine"].needs == Needs(experiments=frozenset([BASE]), datasets=frozenset(["shtb"]))
    assert (plan.annotators, plan.generators) == ({}, {})


# --- Tables of errors: rows ---


def test_rows_are_experiments_each_once_beside_what_they_are_compared_with(targets):
    cells = {"Dataset": "Shanghai Tech Part B", "Network": "rescsrnet"}
    numbers = paper_results()["table1"]["shtb-rescsrnet"]
    assert targets["table1"].rows[:3] == [
        Row(BASE, cells | {"Method": "baseline"}, paper=numbers["baseline"]),
        Row(CONTROL, cells | {"Method": "control"}, baseline=BASE),
        Row(PROMPTMIX, cells | {"Method": "PromptMix"}, baseline=BASE, control=CONTROL, paper=numbers["promptmix"]),
    ]
    assert [row.experiment for row in targets["table1"].rows[3:]] == [
        *("panda-csrnet", "panda-csrnet-control", "panda-csrnet-promptmix"),
    ]
    assert all(row.paper == {} for row in targets["table1"].rows[3:])
    assert (targets["table1"].task, targets["table1"].measured) == ("counting", [])
    assert targets["table1"].needs.experiments == set(targets["table1"].experiments)


def test_rows_of_depth(targets):
    base, promptmix = targets["depth"].rows
    assert base.labels == {"Dataset": "NYU Depth V2", "Network": "guidedepth", "Method": "baseline"}
    assert (promptmix.experiment, promptmix.baseline, promptmix.control) == (
        "nyu-guidedepth-promptmix",
        "nyu-guidedepth",
        None,
    )
    assert targets["depth"].task == "depth"


@pytest.mark.parametrize(
    ("methods", "names", "compared"),
    [
        (["baseline"], [BASE], [(None, None)]),
        (["promptmix"], [PROMPTMIX], [(None, None)]),
        (["control", "promptmix"], [CONTROL, PROMPTMIX], [(None, None), (None, CONTROL)]),
        (["promptmix", "baseline"], [BASE, PROMPTMIX], [(None, None), (BASE, None)]),
    ],
)
def test_only_the_methods_that_are_asked_for_are_shown(methods, names, compared):
    found = table({"rows": [SHTB], "methods": methods})
    assert found.experiments == names
    assert [(row.baseline, row.control) for row in found.rows] == compared


def test_a_baseline_that_is_not_shown_is_not_needed():
    assert table({"rows": [SHTB], "methods": ["promptmix"]}).needs.experiments == {PROMPTMIX}


def test_rows_are_where_they_are_first_named():
    entry = {"rows": [SHTB, SHTB | {"annotator": "dmcount"}, SHTB | {"r_mix": 500}]}
    assert table(entry).experiments == [BASE, PROMPTMIX, f"{PROMPTMIX}-by-dmcount"]


def test_what_rows_have_in_common_is_in_base_and_rows_count_before_it():
    base = SHTB | {"k": 1, "r_mix": 20, "training": {"epochs": 5, "repeats": 2}}
    plan, targets = resolved(with_only("tables", {"base": base, "rows": [{}, {"k": 2, "training": {"epochs": 7}}]}))
    first, second = (plan.experiments[row.experiment] for row in targets["it"].rows if row.baseline)
    assert (first.fake.k, first.fake.r_mix, first.training["epochs"], first.training["repeats"]) == (1, 20, 5, 2)
    assert (second.fake.k, second.fake.r_mix, second.training["epochs"], second.training["repeats"]) == (2, 20, 7, 2)


def test_vary_is_rows_of_all_combinations():
    varied = table({"base": SHTB, "vary": {"k": [1, 2], "r_mix": [20, 30]}})
    rows = [{"k": k, "r_mix": r_mix} for k in (1, 2) for r_mix in (20, 30)]
    assert varied == table({"base": SHTB, "rows": rows})
    assert varied.experiments == [BASE, *(f"{PROMPTMIX}-k{k}-r{r_mix}" for k in (1, 2) for r_mix in (20, 30))]


def test_vary_can_hold_lists_and_sections():
    found = table(
        {
            "base": SHTB | {"r_mix": 20},
            "vary": {"pools": [["by-hand"], ["by-hand", "places"]], "training": [{"epochs": 5}]},
        }
    )
    assert [row.labels["Prompts"] for row in found.rows] == ["—", "by-hand", "by-hand, places"]
    assert {row.labels["Training"] for row in found.rows} == {"epochs 5"}


def test_experiments_written_by_hand_are_rows_by_their_names(targets):
    assert targets["named"].experiments == [f"{BASE}-epochs-600", "longer", BASE, "filtered"]
    assert [row.baseline for row in targets["named"].rows] == [None, f"{BASE}-epochs-600", None, BASE]
    assert table({"rows": ["longer"], "methods": ["promptmix"]}).experiments == ["longer"]


def test_an_experiment_can_be_named_by_each_of_its_names():
    experiments = {"one": SHTB, "other": SHTB | {"k": 10}, "base": SHTB | {"method": "baseline"}}
    found = table({"rows": ["base", "other"]}, experiments=experiments)
    assert found.experiments == [BASE, "one"]


def test_a_row_that_is_an_experiment_with_a_name_has_that_name():
    assert table({"rows": [SHTB]}, experiments={"mine": SHTB | {"k": 10}}).experiments == [BASE, "mine"]


# --- Tables of errors: columns ---


@pytest.mark.parametrize(
    ("entry", "columns", "cells"),
    [
        ({"rows": [SHTB]}, ["Dataset", "Network", "Method"], [("Shanghai Tech Part B", "rescsrnet")] * 2),
        (
            {"base": SHTB, "rows": [{"k": 1, "r_mix": 20}, {"k": 10, "r_mix": 500}]},
            ["Method", "k", "r_mix"],
            [("—", "—"), ("1", "20"), ("10", "500")],
        ),
        (
            {"base": SHTB, "rows": [{"k": 3}, {"r_mix": 20}]},
            ["Method", "k", "r_mix"],
            [("—", "—"), ("3", "500"), ("10", "20")],
        ),
        (
            {"base": SHTB, "vary": {"annotator": ["sasnet", "dmcount"]}},
            ["Method", "Annotator"],
            [("—",), ("sasnet",), ("dmcount",)],
        ),
        (
            {
                "base": SHTB,
                "vary": {"restorer": [None, "gfpgan"], "precision": ["float16"], "generator": ["diffusion"]},
            },
            ["Method", "Generator", "Precision", "Face restoration"],
            [("—", "—", "—"), ("diffusion", "float16", "none"), ("diffusion", "float16", "gfpgan")],
        ),
        (
            {
                "base": SHTB | {"k": 200, "r_mix": 9},
                "rows": [
                    {"pools": ["places", "rooms"], "prompt_filter": True},
                    {"r_img": 37.5, "scored_by": ["sasnet", "dmcount"]},
                ],
            },
            ["Method", "Prompts", "Prompt filter", "Scored by", "r_img"],
            [
                ("—",) * 4,
                ("places, rooms", "yes", "—", "100 %"),
                ("by-hand, shtb-captions", "no", "dmcount, sasnet", "37.5 %"),
            ],
        ),
        (
            {"base": SHTB | {"r_mix": 20}, "rows": [{"training": {"epochs": 5}}]},
            ["Method", "Training"],
            [("epochs 5",)] * 2,
        ),
    ],
)
def test_columns_follow_from_what_rows_set(entry, columns, cells):
    found, rows = labels(entry)
    assert found == columns
    method = columns.index("Method")
    assert [row[method] for row in rows] == ["baseline"] + ["PromptMix"] * (len(rows) - 1)
    assert [row[:method] + row[method + 1 :] for row in rows] == cells


def test_written_experiments_that_would_look_alike_get_columns_for_what_they_differ_in():
    experiments = {"one": SHTB | {"k": 1, "r_mix": 20}, "other": SHTB | {"k": 2, "r_mix": 20}}
    columns, rows = labels({"rows": ["one", "other"]}, experiments=experiments)
    assert columns == ["Method", "k"]
    assert rows == [("baseline", "—"), ("PromptMix", "1"), ("PromptMix", "2")]


def test_baselines_that_would_look_alike_get_columns_for_what_they_differ_in():
    experiments = {"one": SHTB, "other": {"dataset": "panda", "network": "csrnet"}}
    columns, rows = labels({"rows": ["one", "other"]}, experiments=experiments)
    assert columns[:2] == ["Dataset", "Network"]
    assert [row[:2] for row in rows] == [("Shanghai Tech Part B", "rescsrnet")] * 2 + [("PANDA-Crowd", "csrnet")] * 2


def test_experiments_that_differ_in_what_has_no_column_are_told_apart_by_their_names():
    experiments = {"one": SHTB, "other": SHTB | {"training": {"repeats": 1}}}
    columns, rows = labels({"rows": ["one", "other"]}, experiments=experiments)
    assert columns[0] == "Experiment"
    assert [row[0] for row in rows] == [BASE, "one", f"{BASE}-repeats-1", "other"]


def test_a_generator_is_shown_by_the_name_in_the_config():
    entry = {"base": SHTB, "vary": {"generator": ["diffusion", "other"], "precision": ["float32", "float16"]}}
    columns, rows = labels(entry)
    assert columns == ["Method", "Generator", "Precision"]
    assert [row[1:] for row in rows[1:]] == [
        *(("diffusion", "float32"), ("diffusion", "float16"), ("other", "float32"), ("other", "float16")),
    ]


# --- Tables of errors: what cannot be shown ---


def test_a_table_of_two_tasks_is_refused():
    refused("tables", {"rows": [SHTB, DEPTH]}, "counting", "depth", "make two tables of it")
    refused("tables", {"vary": {"dataset": ["shtb", "nyu"], "network": ["csrnet"]}}, "'csrnet' is for counting", "nyu")


def test_the_paper_s_numbers_are_those_of_the_row_in_the_table_of_the_same_name():
    row = SHTB | {"paper": "shtb-rescsrnt"}
    known = ", ".join(paper_results()["table1"])
    config = with_only("tables", {"rows": [SHTB]})
    config["tables"] = {"table1": {"rows": [row]}, "mine": {"rows": [row]}}
    with pytest.raises(InputError) as raised:
        resolved(config)
    first, second = str(raised.value).splitlines()
    for part in ("tables.table1.rows[0].paper: 'shtb-rescsrnt'", f"Known: {known}", "Did you mean 'shtb-rescsrnet'?"):
        assert part in first
    for part in ("tables.mine.rows[0].paper: 'shtb-rescsrnt'", "config/paper-results.yaml", "Known: none"):
        assert part in second


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ({"base": SHTB}, ["exactly one of 'rows' and 'vary', found none"]),
        ({"base": SHTB, "rows": [{}], "vary": {"k": [1]}}, ["exactly one", "found 'rows' and 'vary'"]),
        ({"base": SHTB, "rows": []}, [".rows: the list is empty"]),
        ({"base": SHTB, "vary": {}}, [".vary: {} is not a section of lists of values"]),
        ({"base": SHTB, "vary": {"k": []}}, [".vary.k: the list is empty"]),
        ({"base": SHTB, "vary": {"k": 1}}, [".vary.k: 1 (number) is not a list"]),
        ({"base": SHTB, "vary": {"k": [1, "two"]}}, [".vary.k[1]: 'two' (text) is not a whole number of 1 or more"]),
        ({"base": SHTB, "vary": {"kk": [1]}}, [".vary.kk is not a key", "annotator, dataset, generator", "mean 'k'?"]),
        (
            {"base": SHTB, "vary": {"annotator": ["nobody"]}},
            [".vary.annotator[0]: 'nobody'", "Known annotators: adabins"],
        ),
        ({"base": SHTB, "vary": {"pools": ["by-hand"]}}, [".vary.pools[0]: 'by-hand' (text) is not a list"]),
        (
            {"base": SHTB, "vary": {"pools": [["by-hnd"]]}},
            [".vary.pools[0][0]: 'by-hnd' is not a pool", "mean 'by-hand'?"],
        ),
        ({"base": SHTB, "vary": {"restorer": [None, 7]}}, [".vary.restorer[1]: 7 (number) is not a name or null"]),
        ({"base": SHTB, "vary": {"training": [{"epohcs": 1}]}}, [".vary.training[0].epohcs", "mean 'epochs'?"]),
        ({"base": SHTB, "vary": {"paper": ["a"]}}, [".vary.paper is not a key"]),
        (
            {"base": SHTB, "vary": {"r_mix": [20, 5000]}},
            [".vary.r_mix: 5000 images per epoch", "Lower r_mix or raise k"],
        ),
        ({"base": SHTB | {"paper": "a"}, "rows": [{}]}, [".base.paper is not a key"]),
        ({"rows": [7]}, [".rows[0]: 7 (number)", "a section of what the row sets, or the name of an experiment"]),
        ({"rows": [None]}, [".rows[0]: null", "the name of an experiment"]),
        (
            {"rows": ["longr"]},
            [".rows[0]: 'longr' is not an experiment", "filtered, filtered-again, longer", "mean 'longer'?"],
        ),
        ({"rows": [SHTB | {"kk": 1}]}, [".rows[0].kk is not a key", "Did you mean 'k'?"]),
        ({"rows": [SHTB | {"method": "control"}]}, [".rows[0].method is not a key"]),
        ({"rows": [{"dataset": "shtb"}]}, [".rows[0]: network is missing: the network to train", "`base`"]),
        ({"rows": [SHTB], "methods": []}, [".methods: the list is empty"]),
        (
            {"rows": [SHTB], "methods": ["contrl"]},
            [".methods[0]: 'contrl'", "baseline, control, promptmix", "mean 'control'?"],
        ),
        (
            {"rows": [SHTB], "measured": ["faces"]},
            [".measured[0]: 'faces'", "faces restored, generated images, prompts kept"],
        ),
        (
            {"kind": "cots", "rows": [SHTB]},
            [".kind: 'cots' is not a kind of table", "cost, errors, roundtrip", "mean 'cost'?"],
        ),
        ([SHTB], ["(list) is not a section of keys and values"]),
    ],
)
def test_a_table_of_errors_that_cannot_be(entry, parts):
    refused("tables", entry, *parts)


# --- Tables of costs ---


def test_rows_of_costs(targets):
    cost = targets["cost"]
    trained, tested = {"settings": {"width": 0.5}, "annotators": {}, "paper": {}}, {"experiments": {}, "paper": {}}
    assert cost.rows == [
        CostRow("rescsrnet", "baseline", experiments={"shtb": BASE}, **trained),
        CostRow("rescsrnet", "PromptMix", experiments={"shtb": PROMPTMIX}, **trained),
        CostRow("sasnet", "annotator", {"width": 0.25}, annotators={"shtb": "narrow", "panda": "narrow"}, **tested),
        # Of a network that is not tested no settings were: else a note would say that its errors are a narrower one's
        CostRow("csrnet", "—", {}, annotators={}, **tested),
    ]
    assert (cost.task, cost.size) == ("counting", (1024, 768))


def test_a_table_of_costs_needs_its_experiments_and_tests_of_its_annotators(plan, targets):
    needs = targets["cost"].needs
    assert needs == plan.needs(BASE, PROMPTMIX) | Needs(
        annotators=frozenset(["narrow"]),
        datasets=frozenset(["shtb", "panda"]),
        tests=frozenset([("narrow", "shtb"), ("narrow", "panda")]),
    )


def test_a_table_of_costs_of_networks_alone_needs_nothing():
    config = smallest() | {"tables": {"it": {"kind": "cost", "rows": [{"network": "csrnet"}], "size": [64, 32]}}}
    cost = resolved(config)[1]["it"]
    assert (cost.needs, cost.size, cost.task) == (Needs(), (64, 32), "counting")


def test_a_network_that_is_trained_and_annotates_has_the_settings_of_each():
    annotators = small()["annotators"] | {
        "wide": {"network": "rescsrnet", "settings": {"width": 2}, "weights": "models/wide.pth"}
    }
    row = {"network": "rescsrnet", "datasets": ["shtb"], "annotators": {"shtb": "wide"}}
    rows = table({"kind": "cost", "rows": [row]}, annotators=annotators).rows
    assert [(row.method, row.settings["width"]) for row in rows] == [
        ("baseline", 0.5),
        ("PromptMix", 0.5),
        ("annotator", 2),
    ]


def test_a_table_of_costs_of_depth_and_of_one_method():
    rows = [
        {"network": "guidedepth", "datasets": ["nyu"], "methods": ["baseline"]},
        {"network": "adabins", "annotators": {"nyu": "adabins"}},
    ]
    cost = table({"kind": "cost", "rows": rows})
    assert cost.task == "depth"
    assert [(row.method, row.experiments, row.annotators) for row in cost.rows] == [
        ("baseline", {"nyu": "nyu-guidedepth"}, {}),
        ("annotator", {}, {"nyu": "adabins"}),
    ]


def test_a_fine_tuned_annotator_is_made_for_a_table_of_costs():
    rows = [{"network": "sasnet", "annotators": {"shtb": "sasnet-again"}}]
    needs = table({"kind": "cost", "rows": rows}).needs
    assert needs.annotators == {"sasnet", "sasnet-panda", "sasnet-again"}
    assert (needs.datasets, needs.tests) == ({"shtb", "panda"}, {("sasnet-again", "shtb")})


def test_the_cost_of_a_network_of_a_user_s_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("class Mine:\n    def __init__(self, width): ...\n")
    own = {"mine": {"class": "mine.py:Mine", "task": "counting", "width": 0.5, "backbone": "weights.pth"}}
    networks = small()["networks"] | own
    row = {"network": "mine", "datasets": ["shtb"], "methods": ["baseline"]}
    plan, targets = resolved(with_only("tables", {"kind": "cost", "rows": [row]}, networks=networks))
    (row,) = targets["it"].rows
    assert (row.network, row.experiments) == ("mine", {"shtb": "shtb-mine"})
    assert row.settings == plan.published("mine").settings  # so no note says that another was counted
    (baseline,) = table(
        {"rows": [{"dataset": "shtb", "network": "mine"}], "methods": ["baseline"]}, networks=networks
    ).rows
    assert baseline.labels["Network"] == "mine"


def test_the_paper_s_numbers_in_a_table_of_costs():
    numbers = paper_results()["table3"]["sasnet"]
    config = with_only("tables", {"rows": [SHTB]})
    config["tables"] = {"table3": {"kind": "cost", "rows": [{"network": "sasnet", "paper": "sasnet"}]}}
    assert resolved(config)[1]["table3"].rows[0].paper == numbers
    config["tables"]["table3"]["rows"][0]["paper"] = "sasnt"
    with pytest.raises(InputError, match=r"tables\.table3\.rows\[0\]\.paper: 'sasnt'.*Did you mean 'sasnet'\?"):
        resolved(config)


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ({}, ["rows[0].network is missing: a network"]),
        ({"network": "csrnt"}, ["rows[0].network: 'csrnt'", "adabins, csrnet", "Did you mean 'csrnet'?"]),
        ({"network": "sasnet", "datasets": ["shtb"]}, ["rows[0].datasets: 'sasnet'", "networks.sasnet is missing"]),
        (
            {"network": "csrnet", "datasets": ["shta"]},
            ["rows[0].datasets[0]: 'shta'", "nyu, panda, shtb", "mean 'shtb'?"],
        ),
        ({"network": "csrnet", "datasets": ["shtb"] * 2}, ["rows[0].datasets: 'shtb' is there twice"]),
        ({"network": "csrnet", "datasets": ["nyu"]}, ["rows[0].network: 'csrnet' is for counting", "nyu is for depth"]),
        ({"network": "sasnet", "annotators": {"shta": "sasnet"}}, ["rows[0].annotators.shta: 'shta'", "mean 'shtb'?"]),
        (
            {"network": "sasnet", "annotators": {"shtb": "sasne"}},
            ["rows[0].annotators.shtb: 'sasne'", "mean 'sasnet'?"],
        ),
        (
            {"network": "sasnet", "annotators": {"shtb": "dmcount"}},
            ["annotators.shtb: 'dmcount' is of dmcount", "one of sasnet"],
        ),
        (
            {"network": "sasnet", "annotators": {"nyu": "sasnet"}},
            ["annotators.nyu: 'sasnet' is for counting", "nyu is for depth"],
        ),
        ({"network": "csrnet", "method": ["baseline"]}, ["rows[0].method is not a key", "Did you mean 'methods'?"]),
    ],
)
def test_a_table_of_costs_that_cannot_be(row, parts):
    refused("tables", {"kind": "cost", "rows": [row]}, *parts)


def test_a_table_of_costs_shows_one_task():
    rows = [{"network": "csrnet", "datasets": ["shtb"]}, {"network": "guidedepth", "datasets": ["nyu"]}]
    refused(
        "tables", {"kind": "cost", "rows": rows}, "shtb is for counting", "nyu is for depth", "make two tables of it"
    )


# --- Round trips ---


def test_a_round_trip_captions_the_first_image_of_each_prompt(targets):
    found = targets["roundtrip"]
    assert (found.pools, found.generator, found.captioner) == (
        {"shtb-captions": 360, "places": 5},
        "diffusion",
        "clipcap",
    )
    assert found.needs == Needs(
        datasets=frozenset(["shtb"]),
        captioners=frozenset(["clipcap"]),
        images={("shtb-captions", "diffusion"): 360, ("places", "diffusion"): 5},
    )


ROUNDTRIP = {"kind": "roundtrip", "pools": ["places"], "generator": "diffusion", "captioner": "clipcap"}


def test_a_round_trip_of_prompts_by_hand_needs_a_captioner_all_the_same():
    assert table(ROUNDTRIP).needs == Needs(captioners=frozenset(["clipcap"]), images={("places", "diffusion"): 5})


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"pools": ["by-hnd"]}, [".pools[0]: 'by-hnd' is not a pool", "Did you mean 'by-hand'?"]),
        ({"pools": []}, [".pools: the list is empty"]),
        ({"pools": ["places", "places"]}, [".pools: 'places' is there twice"]),
        ({"captioner": "blip"}, [".captioner: 'blip' is not a captioner. Known captioners: clipcap."]),
        ({"generator": "dalle"}, [".generator: 'dalle' is not a generator", "diffusion, other"]),
        ({"rows": [SHTB]}, [".rows is not a key", "captioner, generator, kind, pools"]),
    ],
)
def test_a_round_trip_that_cannot_be(change, parts):
    refused("tables", ROUNDTRIP | change, *parts)


@pytest.mark.parametrize(
    ("key", "meaning"),
    [("pools", "the first image"), ("generator", "what makes the images"), ("captioner", "what captions them")],
)
def test_a_round_trip_says_all_that_it_is_of(key, meaning):
    entry = {name: value for name, value in ROUNDTRIP.items() if name != key}
    refused("tables", entry, f".{key} is missing", meaning)


# --- Figures ---


def figure(entry, **sections):
    """Return what a figure is in the small config."""
    return resolved(with_only("figures", entry, **sections))[1]["it"]


def test_a_figure_of_predictions_compares_pairs(plan, targets):
    pairs = [(BASE, PROMPTMIX), ("panda-csrnet", "panda-csrnet-promptmix")]
    assert targets["crowds"].pairs == pairs
    assert targets["crowds"].needs == plan.needs(*pairs[0], *pairs[1])
    assert targets["rooms"].pairs == [("nyu-guidedepth", "nyu-guidedepth-promptmix")]


def test_a_figure_of_predictions_of_a_written_experiment():
    found = figure({"kind": "predictions", "rows": ["longer"]})
    assert found.pairs == [(f"{BASE}-epochs-600", "longer")]


def test_a_figure_of_colours_shows_the_first_images_of_two_pools(targets):
    found = targets["colours"]
    assert (found.grey, found.colour, found.generator, found.columns) == ("by-hand", "places", "diffusion", 2)
    assert found.needs == Needs(images={("by-hand", "diffusion"): 2, ("places", "diffusion"): 2})


def test_a_figure_of_examples_shows_the_first_images_of_an_experiment_with_their_annotations(targets):
    found = targets["examples"]
    assert (found.experiment, found.pool, found.columns) == (PROMPTMIX, "by-hand", 4)
    assert found.needs == Needs(
        datasets=frozenset(["shtb"]),
        annotators=frozenset(["sasnet"]),
        images={("by-hand", "diffusion"): 4},
        annotations={("by-hand", "diffusion", "sasnet"): 4},
    )


def test_a_figure_of_examples_with_faces_restored_by_a_fine_tuned_annotator():
    row = SHTB | {"restorer": "gfpgan", "annotator": "sasnet-panda", "pools": ["panda-captions"], "r_mix": 9}
    needs = figure({"kind": "examples", "row": row}).needs
    assert needs == Needs(
        datasets=frozenset(["shtb", "panda"]),
        captioners=frozenset(["clipcap"]),
        annotators=frozenset(["sasnet-panda", "sasnet"]),
        images={("panda-captions", "diffusion-gfpgan"): 6, ("panda-captions", "diffusion"): 6},
        annotations={("panda-captions", "diffusion-gfpgan", "sasnet-panda"): 6},
    )


WRITTEN = {"base": SHTB | {"method": "baseline"}, "control": SHTB | {"method": "control"}}
COLOURS = {"kind": "colours", "grey": "by-hand", "colour": "places", "generator": "diffusion", "columns": 2}


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ({}, [".kind is missing: maps without and with PromptMix"]),
        (
            {"kind": "prediction"},
            [".kind: 'prediction'", "colours, examples, predictions", "Did you mean 'predictions'?"],
        ),
        ("longer", ["'longer' (text) is not a section of keys and values"]),
        # Predictions
        ({"kind": "predictions"}, [".rows is missing: experiments whose maps are drawn"]),
        ({"kind": "predictions", "rows": []}, [".rows: the list is empty"]),
        ({"kind": "predictions", "rows": ["lnger"]}, [".rows[0]: 'lnger' is not an experiment", "base, control"]),
        ({"kind": "predictions", "rows": ["base"]}, [".rows[0]: 'base' has no generated images", "expected"]),
        ({"kind": "predictions", "rows": ["control"]}, [".rows[0]: 'control' has no generated images", "expected"]),
        ({"kind": "predictions", "rows": [SHTB, DEPTH]}, ["counting", "depth", "make two figures of it"]),
        ({"kind": "predictions", "rows": [{"dataset": "shtb"}]}, [".rows[0]: network is missing"]),
        ({"kind": "predictions", "rows": [SHTB | {"r_mix": 5000}]}, [".rows[0].r_mix: 5000 images", "raise k"]),
        ({"kind": "predictions", "rows": [SHTB], "base": {}}, [".base is not a key. Known keys: kind, rows."]),
        # Colours
        (COLOURS | {"grey": "gray"}, [".grey: 'gray' is not a pool", "by-hand, panda-captions"]),
        (COLOURS | {"generator": "dalle"}, [".generator: 'dalle' is not a generator"]),
        (COLOURS | {"columns": 3}, [".columns: 3 prompts, but by-hand has 2; lower it"]),
        (COLOURS | {"grey": "places", "columns": 6}, [".columns: 6 prompts, but places has 5; lower it"]),
        ({"kind": "colours", "grey": "places"}, [".colour is missing: the same prompts"]),
        # Examples
        ({"kind": "examples"}, [".row is missing: the experiment whose training images"]),
        ({"kind": "examples", "row": "base"}, [".row: 'base' has no generated images", "expected"]),
        ({"kind": "examples", "row": 7}, [".row: 7 (number)", "the name of an experiment"]),
        ({"kind": "examples", "row": SHTB, "columns": 0}, [".columns: 0 is not a whole number of 1 or more"]),
        ({"kind": "examples", "row": SHTB, "colums": 3}, [".colums is not a key", "Did you mean 'columns'?"]),
    ],
)
def test_a_figure_that_cannot_be(entry, parts):
    refused("figures", entry, *parts, experiments=WRITTEN)


def test_preflight_names_tables_and_figures():
    for name in ("table1", "colours"):
        resolved(small() | {"preflight": [name]})
    with pytest.raises(InputError, match=r"preflight\[0\]: 'table2'.*Did you mean 'table1'\?"):
        resolved(small() | {"preflight": ["table2"]})
