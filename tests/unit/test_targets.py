"""Tables and figures: which experiments they show, in which rows and columns, what they need, and what cannot be shown."""

import pytest
from support.configs import GONE, put, resolved, small, smallest
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
    plan, targets = resolved(config)
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
