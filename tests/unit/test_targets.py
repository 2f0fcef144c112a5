"""Tables and figures: which experiments they show, in which rows and columns, what they need, and what cannot be shown."""

import pytest
from support.configs import resolved, small, smallest
from support.workflow import ROOT

from promptmix.config.experiments import Needs
from promptmix.config.paper import Claim, paper_results
from promptmix.config.targets import CostRow, CostTable, ErrorTable, Row
from promptmix.config.validation import read, resolve
from promptmix.errors import InputError

SHTB = {"dataset": "shtb", "network": "rescsrnet"}
DEPTH = {"dataset": "nyu", "network": "guidedepth"}
BASE, CONTROL, PROMPTMIX = "shtb-rescsrnet", "shtb-rescsrnet-control", "shtb-rescsrnet-promptmix"
WITHOUT, WITH, AGAIN = "ResCSRNet (baseline)", "ResCSRNet+PromptMix", "ResCSRNet (control)"
"""What tables call the three."""

PART_B = "Shanghai Tech Part B"


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


def table(entry, name="it", **sections):
    """Return what a table is in the small config."""
    config = with_only("tables", entry, **sections)
    config["tables"] = {name: entry}
    return resolved(config)[1][name]


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
    columns = {
        "table1": ["Dataset", "Method"],
        "table2": ["Method"],
        "table4": ["k", "r_mix"],
        "table5": ["k", "Pre-training dataset"],
        "table6": ["Floating-point precision", "Face restoration"],
        "table7": ["|P_man|", "Prompt format", "Prompt filtering", "r_img"],
    }
    assert {table: list(targets[table].rows[0].labels) for table in columns} == columns
    assert targets["table4"].rows[0].labels == {"k": "0", "r_mix": "0"}  # the baseline
    assert targets["table7"].rows[-1].labels["|P_man|"] == WITHOUT  # below the rule
    assert [tuple(row.labels.values()) for row in targets["table7"].rows[1:4]] == [
        ("1", "“large crowd in mecca”", "—", "100 %"),
        ("10", "“large crowd in [location]”", "—", "100 %"),
        ("10", "“large crowd in [location]”", "yes", "100 %"),
    ]


@pytest.mark.parametrize("name", ["config", "paper"])
@pytest.mark.parametrize("table", [f"table{n}" for n in range(1, 8)])
def test_a_table_of_the_shipped_configs_shows_every_row_of_the_paper_s_in_its_order(name, table):
    config = read([ROOT / f"config/{name}.yaml"])
    plan, targets = resolve(config)
    paper, entry, found = paper_results()[table], config["tables"][table], targets[table]
    assert [row["paper"] for row in entry["rows"]] == list(paper["rows"])
    theirs = [row for row in found.rows if not row.ours]
    assert found.rows[: len(theirs)] == theirs
    if isinstance(found, CostTable):
        expected = [{key: row[key] for key in ("gmac", "parameters", "mae")} for row in paper["rows"].values()]
        assert [row.paper for row in theirs] == expected
        assert len(found.claims) == len(paper["claims"])
        return
    methods = [plan.experiments[row.experiment].method for row in theirs]
    assert set(methods) == set(entry["methods"])
    with_promptmix = [row for row, method in zip(theirs, methods, strict=True) if method == "promptmix"]
    assert [row.paper for row in with_promptmix] == [row["promptmix"] for row in paper["rows"].values()]
    assert [row.paper_baseline for row in with_promptmix] == [row["baseline"] for row in paper["rows"].values()]
    for row, method in zip(theirs, methods, strict=True):
        if method == "baseline":
            assert row.paper == row.paper_baseline != {}
    assert len(found.claims) == len(paper.get("claims", []))
    assert found.notes == paper.get("notes", [])


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
    assert targets["rooms"].experiments == ["nyu-guidedepth", "nyu-guidedepth-promptmix"]


def test_baselines_alone_need_nothing_that_makes_images():
    config = smallest() | {"tables": {"mine": {"rows": [SHTB], "methods": ["baseline"]}}}
    plan, targets = resolved(config)
    assert targets["mine"].rows == [Row(BASE, {"Dataset": "Shanghai Tech Part B", "Method": WITHOUT})]
    assert targets["mine"].needs == Needs(experiments=frozenset([BASE]), datasets=frozenset(["shtb"]))
    assert (plan.annotators, plan.generators) == ({}, {})


# --- Tables of errors: rows ---


def test_rows_are_experiments_each_once_beside_what_they_are_compared_with(targets):
    cells = {"Dataset": "Shanghai Tech Part B"}
    numbers = paper_results()["table1"]["rows"]["shtb-rescsrnet"]
    found = targets["table1"]
    assert found.experiments == [
        BASE,
        PROMPTMIX,
        "panda-csrnet",
        "panda-csrnet-promptmix",
        CONTROL,
        "panda-csrnet-control",
    ]
    theirs = {"paper_baseline": numbers["baseline"]}
    assert [*found.rows[:2], found.rows[4]] == [
        Row(BASE, cells | {"Method": WITHOUT}, paper=numbers["baseline"], **theirs),
        Row(PROMPTMIX, cells | {"Method": WITH}, BASE, CONTROL, numbers["promptmix"], **theirs),
        Row(CONTROL, cells | {"Method": AGAIN}, BASE, **theirs, ours=True),
    ]
    assert all((row.paper, row.paper_baseline) == ({}, {}) for row in (*found.rows[2:4], found.rows[5]))
    assert [row.ours for row in found.rows] == [False] * 4 + [True] * 2
    assert (found.task, found.measured) == ("counting", [])
    assert found.needs.experiments == set(found.experiments)


def test_rows_of_depth(targets):
    base, promptmix = targets["depth"].rows
    assert base.labels == {"Dataset": "NYU Depth V2", "Method": "GuideDepth (baseline)"}
    assert promptmix.labels == {"Dataset": "NYU Depth V2", "Method": "GuideDepth+PromptMix"}
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


# --- Tables of errors: rows that the paper does not have ---

R20, R30 = f"{PROMPTMIX}-r20", f"{PROMPTMIX}-r30"


@pytest.mark.parametrize(
    ("methods", "ours", "names", "number"),
    [
        (["promptmix"], {"methods": ["baseline", "control"]}, [PROMPTMIX, R20, BASE, CONTROL, f"{CONTROL}-r20"], 2),
        (["baseline", "promptmix"], {"rows": [{"r_mix": 30}]}, [BASE, PROMPTMIX, R20, R30], 3),
        (["promptmix"], {"methods": ["baseline"], "rows": [{"r_mix": 30}]}, [PROMPTMIX, R20, BASE, R30], 2),
        (["promptmix"], {"methods": ["promptmix"], "rows": [{"r_mix": 20}]}, [PROMPTMIX, R20], 2),  # each once
        (
            ["baseline"],
            {"methods": ["control"], "rows": [{"r_mix": 30}]},
            [BASE, CONTROL, f"{CONTROL}-r20", f"{CONTROL}-r30"],
            1,
        ),
    ],
)
def test_what_the_paper_does_not_have_comes_last_and_is_marked(methods, ours, names, number):
    found = table({"base": SHTB, "rows": [{"r_mix": 500}, {"r_mix": 20}], "methods": methods, "ours": ours})
    assert found.experiments == names
    assert [row.ours for row in found.rows] == [False] * number + [True] * (len(names) - number)
    assert found.needs.experiments == set(names)


def test_what_is_shown_besides_can_be_of_some_rows():
    entry = {"rows": [SHTB, {"dataset": "shtb", "network": "csrnet"}], "methods": ["baseline"]}
    found = table(entry | {"ours": {"methods": ["control"], "where": {"network": "rescsrnet"}}})
    assert found.experiments == [BASE, "shtb-csrnet", CONTROL]


def test_what_is_shown_of_some_rows_is_shown_of_all_if_the_table_has_none_of_those():
    ours = {"methods": ["control"], "where": {"dataset": "panda"}}
    found = table({"rows": [SHTB, {"dataset": "shtb", "network": "csrnet"}], "methods": ["baseline"], "ours": ours})
    assert found.experiments == [BASE, "shtb-csrnet", CONTROL, "shtb-csrnet-control"]


def test_rows_are_compared_with_what_is_shown_below_them():
    found = table({"rows": [SHTB], "methods": ["promptmix"], "ours": {"methods": ["baseline", "control"]}})
    assert [(row.experiment, row.baseline, row.control) for row in found.rows] == [
        (PROMPTMIX, BASE, CONTROL),
        (BASE, None, None),
        (CONTROL, BASE, None),
    ]


def test_a_row_that_the_paper_does_not_have_is_compared_with_the_baseline():
    found = table({"base": SHTB, "rows": [{"k": 10}], "ours": {"rows": [{"k": 11}]}})
    assert [(row.experiment, row.baseline, row.ours) for row in found.rows] == [
        (BASE, None, False),
        (PROMPTMIX, BASE, False),
        (f"{PROMPTMIX}-k11", BASE, True),
    ]


def test_a_written_experiment_that_the_paper_does_not_have_is_compared_with_the_baseline():
    found = table({"rows": [SHTB | {"training": {"epochs": 600}, "k": 3}], "ours": {"rows": ["longer"]}})
    baseline = f"{BASE}-epochs-600"
    assert found.experiments[0] == baseline and found.experiments[-1] == "longer"
    assert (found.rows[-1].baseline, found.rows[-1].ours) == (baseline, True)


def test_what_the_paper_does_not_have_sets_no_columns_but_those_that_tell_it_apart():
    columns, rows = labels({"base": SHTB, "rows": [{"k": 3}], "ours": {"rows": [{"k": 4, "annotator": "dmcount"}]}})
    assert columns == ["Method", "k"]
    assert rows == [(WITHOUT, "0"), (WITH, "3"), (WITH, "4")]
    columns, rows = labels({"base": SHTB, "rows": [{"k": 3}], "ours": {"rows": [{"k": 3, "annotator": "dmcount"}]}})
    assert columns == ["Method", "k", "Annotator"]
    assert rows == [(WITHOUT, "0", "—"), (WITH, "3", "sasnet"), (WITH, "3", "dmcount")]


# --- Tables of errors: what the paper says ---


def claims_of(name):
    return {claim["says"]: claim for claim in paper_results()[name]["claims"]}


TABLE4 = [
    {"k": 100, "r_mix": 400, "paper": "k1000-r1000"},
    {"k": 50, "r_mix": 40, "paper": "k500-r500"},
    {"k": 100, "r_mix": 40, "paper": "k1000-r500"},
    {"k": 900, "r_mix": 40, "paper": "k10000-r500"},
]


def test_claims_are_of_the_experiments_of_their_rows():
    found = table({"base": SHTB | {"pools": ["places"]}, "rows": TABLE4}, "table4")
    names = dict(zip([row["paper"] for row in TABLE4], found.experiments[1:], strict=True))
    assert len(set(names.values())) == 4
    claims = {claim.says: claim for claim in found.claims}
    assert list(claims) == list(claims_of("table4"))
    for says, claim in claims_of("table4").items():
        assert (claims[says].lower, claims[says].higher) == (names[claim["lower"]], names[claim["higher"]])
    assert [claim.paper for claim in found.claims] == [(9.33, 10.22), (9.33, 9.96), (9.05, 9.33)]
    assert found.notes == []


@pytest.mark.parametrize(
    ("rows", "number"),
    [(TABLE4[:1], 0), (TABLE4[1:2] + TABLE4[3:], 0), (TABLE4[::2], 1), (TABLE4[:3], 2), (TABLE4[::-1], 3)],
)
def test_claims_of_rows_that_are_not_shown_are_left_out(rows, number):
    found = table({"base": SHTB | {"pools": ["places"]}, "rows": rows}, "table4")
    assert len(found.claims) == number
    shown = set(found.experiments)
    assert all({claim.lower, claim.higher} <= shown for claim in found.claims)


def test_claims_need_rows_that_name_the_paper_s():
    rows = [{key: value for key, value in row.items() if key != "paper"} for row in TABLE4]
    found = table({"base": SHTB | {"pools": ["places"]}, "rows": rows}, "table4")
    assert (found.claims, found.notes) == ([], [])
    found = table({"rows": [SHTB]}, "table1")
    assert (found.claims, found.notes) == ([], [])


@pytest.mark.parametrize(
    "more",
    [{"methods": ["baseline", "promptmix"]}, {"methods": ["promptmix"], "ours": {"methods": ["baseline"]}}],
)
def test_a_claim_can_be_of_the_baseline(more):
    entry = {"base": SHTB | {"pools": ["places"], "r_mix": 20}, "rows": [{"k": 10, "paper": "mecca"}], **more}
    found = table(entry, "table7")
    (name,) = set(found.experiments) - {BASE}
    (says,) = [says for says, claim in claims_of("table7").items() if claim["lower"] == "baseline"]
    assert found.claims == [Claim(says, BASE, name, (11.63, 12.08))]
    assert table(entry | {"methods": ["promptmix"], "ours": {}}, "table7").claims == []


def test_the_largest_gain_of_the_paper_s_table_1_and_its_notes(targets):
    (claim,) = targets["table1"].claims
    assert claim.says == "PromptMix improves lightweight networks by up to 26 %"
    assert (claim.lower, claim.higher) == ("", "")
    assert [round(gain, 1) for gain in claim.paper] == [26.3]
    assert targets["table1"].notes == paper_results()["table1"]["notes"]
    assert len(targets["table1"].notes) == 1


def test_the_paper_s_claims_agree_with_its_numbers():
    for name, paper in paper_results().items():
        if "rows" not in paper:
            continue
        errors = {key: row.get("promptmix", row).get("mae") for key, row in paper["rows"].items()} | {"baseline": 11.63}
        for claim in paper.get("claims", []):
            if "small" in claim:
                small, large = (paper["rows"][claim[size]] for size in ("small", "large"))
                assert large["gmac"] / small["gmac"] == pytest.approx(claim["gmac"], abs=0.01)
                assert large["parameters"] / small["parameters"] == pytest.approx(claim["parameters"], abs=0.01)
                assert 100 * (1 - small["mae"] / large["mae"]) == pytest.approx(claim["mae"], abs=0.01)
            elif "lower" in claim:
                assert errors[claim["lower"]] < errors[claim["higher"]], (name, claim)


# --- Tables of errors: columns ---


@pytest.mark.parametrize(
    ("entry", "columns", "cells"),
    [
        ({"rows": [SHTB]}, ["Dataset", "Method"], [("Shanghai Tech Part B",)] * 2),
        (
            {"base": SHTB, "rows": [{"k": 1, "r_mix": 20}, {"k": 10, "r_mix": 500}]},
            ["Method", "k", "r_mix"],
            [("0", "0"), ("1", "20"), ("10", "500")],
        ),
        (
            {"base": SHTB, "rows": [{"k": 3}, {"r_mix": 20}]},
            ["Method", "k", "r_mix"],
            [("0", "0"), ("3", "500"), ("10", "20")],
        ),
        (
            {"base": SHTB, "vary": {"annotator": ["sasnet", "dmcount", "both"]}},
            ["Method", "Annotator"],
            [("—",), ("sasnet",), ("dmcount",), ("both",)],
        ),
        (
            {
                "base": SHTB,
                "vary": {"restorer": [None, "gfpgan"], "precision": ["float16"], "generator": ["diffusion"]},
            },
            ["Method", "Generator", "Floating-point precision", "Face restoration"],
            [
                ("—", "—", "—"),
                ("diffusion", "Half-Precision (float16)", "—"),
                ("diffusion", "Half-Precision (float16)", "yes"),
            ],
        ),
        (
            {
                "base": SHTB | {"k": 200, "r_mix": 9},
                "rows": [
                    {"pools": ["places", "rooms"], "prompt_filter": True},
                    {"r_img": 37.5, "scored_by": ["sasnet", "dmcount"]},
                ],
            },
            ["Method", "Prompts", "Prompt filtering", "Scored by", "r_img"],
            [
                ("—",) * 4,
                ("places, rooms", "yes", "—", "100 %"),
                ("by-hand, shtb-captions", "—", "dmcount, sasnet", "37.5 %"),
            ],
        ),
        (
            {"base": SHTB | {"pools": ["places"], "r_mix": 9}, "rows": [{"prompt": "a street"}, {"k": 20}]},
            ["Method", "Only prompt", "k"],
            [("—", "0"), ("a street", "10"), ("—", "20")],
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
    assert [row[method] for row in rows] == [WITHOUT] + [WITH] * (len(rows) - 1)
    assert [row[:method] + row[method + 1 :] for row in rows] == cells


def test_networks_are_told_apart_by_the_method_in_the_paper_s_words():
    entry = {"base": {"dataset": "shtb"}, "vary": {"network": ["rescsrnet", "csrnet"]}}
    columns, rows = labels(entry | {"methods": ["baseline", "control", "promptmix"]})
    assert columns == ["Method"]
    assert [row[0] for row in rows] == [
        *(WITHOUT, AGAIN, WITH, "CSRNet (baseline)", "CSRNet (control)", "CSRNet+PromptMix"),
    ]


def test_of_two_restorers_the_one_that_was_used_is_shown():
    restorers = small()["restorers"]
    restorers["mine"] = restorers["gfpgan"]
    entry = {"base": SHTB, "vary": {"restorer": [None, "gfpgan", "mine"]}}
    columns, rows = labels(entry, restorers=restorers)
    assert columns == ["Method", "Face restoration"]
    assert [row[1] for row in rows] == ["—", "—", "gfpgan", "mine"]


@pytest.mark.parametrize(
    ("columns", "entry", "found", "cells"),
    [
        (["r_mix", "k"], {"rows": [{"annotator": "dmcount"}]}, ["k", "r_mix"], [("0", "0"), ("10", "500")]),
        (
            ["dataset", "method"],
            {"rows": [{"k": 3}]},
            ["Dataset", "Method"],
            [("Shanghai Tech Part B", m) for m in (WITHOUT, WITH)],
        ),
        (
            ["prompt_count", "prompt_format"],
            {
                "base": SHTB | {"k": 20, "r_mix": 20},
                "rows": [
                    {"pools": ["places"]},
                    {"pools": ["places"], "prompt": "many people at sea"},
                    {"pools": ["shtb-captions"]},
                ],
            },
            ["|P_man|", "Prompt format"],
            [
                ("—", "—"),
                ("5", "“a crowd [location]”, “a street”, “many people [location]”"),
                ("1", "“many people at sea”"),
                ("360", "captions"),
            ],
        ),
        (
            ["pre_training"],
            {"rows": [{"annotator": name} for name in ("sasnet-panda", "dmcount", "narrow", "both")]},
            ["Pre-training dataset"],
            [("—",), ("PANDA-Crowd",), ("PANDA-Crowd (DM-Count)",), ("narrow",), ("both",)],
        ),
    ],
)
def test_columns_are_those_that_a_table_names(columns, entry, found, cells):
    assert labels({"base": SHTB, **entry, "columns": columns}) == (found, cells)


def test_the_prompts_that_a_language_model_writes_are_told_from_captions():
    config, writer = small(), {"model": "models/qwen", "count": 7}
    config["pools"]["shtb-captions"]["written_by"] = writer
    config["pools"]["scenes"] = {
        **{"written_by": writer | {"topic": "rain"}, "width": 96, "height": 64, "quality": 75},
    }
    rows = [SHTB | {"pools": [pool], "k": 1, "r_mix": 1} for pool in ("scenes", "shtb-captions")]
    config["tables"] = {"it": {"rows": rows, "methods": ["promptmix"], "columns": ["prompt_count", "prompt_format"]}}
    config["figures"] = {}
    config["preflight"] = ["it"]
    found = [tuple(row.labels.values()) for row in resolved(config)[1]["it"].rows]
    assert found == [("7", "on “rain”"), ("2520", "variations of captions")]


@pytest.mark.parametrize(
    ("entry", "columns", "cells"),
    [
        ({"rows": [{"k": 3}, {"k": 3, "r_mix": 20}]}, ["k", "r_mix"], [("0", "0"), ("3", "500"), ("3", "20")]),
        (
            {"rows": [{"k": 3}, {"k": 3, "annotator": "sasnet-panda"}]},
            ["k", "Annotator"],
            [("0", "—"), ("3", "sasnet"), ("3", "sasnet-panda")],
        ),
        (
            {"rows": [{"k": 3}], "methods": ["baseline", "control", "promptmix"]},
            ["Method", "k"],
            [(WITHOUT, "0"), (AGAIN, "0"), (WITH, "3")],
        ),
    ],
)
def test_rows_that_would_look_alike_in_these_columns_get_others_too(entry, columns, cells):
    assert labels({"base": SHTB, "columns": ["k"], **entry}) == (columns, cells)


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        (["k", "annotator"], [("3", "sasnet"), (WITHOUT, "—"), (AGAIN, "—")]),
        (["annotator"], [("sasnet",), (WITHOUT,), (AGAIN,)]),
        (["method", "k"], [(WITH, "3"), (WITHOUT, "0"), (AGAIN, "0")]),
    ],
)
def test_below_the_rule_a_method_without_column_is_in_the_first(columns, cells):
    ours = {"methods": ["baseline", "control"]}
    _, rows = labels({"base": SHTB, "rows": [{"k": 3}], "methods": ["promptmix"], "columns": columns, "ours": ours})
    assert rows == cells


def test_below_the_rule_the_dataset_stays_in_the_first_column():
    entry = {"rows": [SHTB], "methods": ["promptmix"], "columns": ["dataset", "k"], "ours": {"methods": ["baseline"]}}
    assert labels(entry)[1] == [("Shanghai Tech Part B", "10"), ("Shanghai Tech Part B", "0")]


def test_written_experiments_that_would_look_alike_get_columns_for_what_they_differ_in():
    experiments = {"one": SHTB | {"k": 1, "r_mix": 20}, "other": SHTB | {"k": 2, "r_mix": 20}}
    columns, rows = labels({"rows": ["one", "other"]}, experiments=experiments)
    assert columns == ["Method", "k"]
    assert rows == [(WITHOUT, "0"), (WITH, "1"), (WITH, "2")]


def test_baselines_that_would_look_alike_get_columns_for_what_they_differ_in():
    experiments = {"one": SHTB, "other": {"dataset": "panda", "network": "rescsrnet", "annotator": "sasnet"}}
    columns, rows = labels({"rows": ["one", "other"]}, experiments=experiments)
    assert columns[:2] == ["Dataset", "Method"]
    assert [row[:2] for row in rows] == [
        (title, method) for title in ("Shanghai Tech Part B", "PANDA-Crowd") for method in (WITHOUT, WITH)
    ]


def test_experiments_that_differ_in_what_has_no_column_are_told_apart_by_their_names():
    experiments = {"one": SHTB, "other": SHTB | {"training": {"repeats": 1}}}
    columns, rows = labels({"rows": ["one", "other"]}, experiments=experiments)
    assert columns[0] == "Experiment"
    assert [row[0] for row in rows] == [BASE, "one", f"{BASE}-repeats-1", "other"]


def test_a_generator_is_shown_by_the_name_in_the_config():
    entry = {"base": SHTB, "vary": {"generator": ["diffusion", "other"], "precision": ["float32", "float16"]}}
    columns, rows = labels(entry)
    assert columns == ["Method", "Generator", "Floating-point precision"]
    assert [row[1:] for row in rows[1:]] == [
        (generator, precision)
        for generator in ("diffusion", "other")
        for precision in ("Full-Precision (float32)", "Half-Precision (float16)")
    ]


# --- Tables of errors: what cannot be shown ---


def test_a_table_of_two_tasks_is_refused():
    refused("tables", {"rows": [SHTB, DEPTH]}, "counting", "depth", "make two tables of it")
    refused("tables", {"vary": {"dataset": ["shtb", "nyu"], "network": ["csrnet"]}}, "'csrnet' is for counting", "nyu")


def test_the_paper_s_numbers_are_those_of_the_row_in_the_table_of_the_same_name():
    row = SHTB | {"paper": "shtb-rescsrnt"}
    known = ", ".join(paper_results()["table1"]["rows"])
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
        ({"rows": [SHTB], "columns": []}, [".columns: the list is empty"]),
        ({"rows": [SHTB], "columns": ["k", "k"]}, [".columns: 'k' is there twice"]),
        ({"rows": [SHTB], "columns": ["network"]}, [".columns[0]: 'network' is not a column", "annotator, dataset"]),
        ({"rows": [SHTB], "columns": ["prompt_coun"]}, [".columns[0]: 'prompt_coun'", "mean 'prompt_count'?"]),
        (
            {"rows": [SHTB], "ours": {"method": ["control"]}},
            [".ours.method is not a key", "methods, rows, where", "'methods'?"],
        ),
        ({"rows": [SHTB], "ours": {"where": {"k": 3}}}, [".ours.where.k is not a key", "dataset, network"]),
        ({"rows": [SHTB], "ours": {"methods": ["contrl"]}}, [".ours.methods[0]: 'contrl'", "mean 'control'?"]),
        ({"rows": [SHTB], "ours": {"rows": ["longr"]}}, [".ours.rows[0]: 'longr' is not an experiment", "'longer'?"]),
        (
            {"base": SHTB, "rows": [{}], "ours": {"rows": [{"k": 3}, {"r_mix": 5000}]}},
            [".ours.rows[1].r_mix: 5000 images per epoch", "Lower r_mix or raise k"],
        ),
        ({"base": SHTB, "rows": [{"prompt": "a street"}]}, [".rows[0].prompt: 'a street' is not a prompt", "by-hand"]),
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
        CostRow("rescsrnet", WITHOUT, "baseline", experiments={"shtb": BASE}, **trained),
        CostRow("rescsrnet", WITH, "PromptMix", experiments={"shtb": PROMPTMIX}, **trained),
        CostRow(
            "sasnet", "SASNet", "annotator", {"width": 0.25}, annotators={"shtb": "narrow", "panda": "narrow"}, **tested
        ),
        # Of a network that is not tested no settings were: else a note would say that its errors are a narrower one's
        CostRow("csrnet", "CSRNet", "—", {}, annotators={}, **tested),
    ]
    assert cost.claims == []
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


def test_rows_of_costs_that_would_look_alike_say_what_was_tested():
    rows = [
        {"network": "sasnet", "annotators": {"shtb": "sasnet"}},
        {"network": "sasnet", "annotators": {"shtb": "narrow", "panda": "narrow"}},
        *({"network": "csrnet", "datasets": [dataset], "methods": ["baseline"]} for dataset in ("shtb", "panda")),
        {"network": "dmcount"},
    ]
    titles = [row.title for row in table({"kind": "cost", "rows": rows}).rows]
    assert titles[:2] == ["SASNet, sasnet", "SASNet, narrow"]
    assert titles[2:] == ["CSRNet, Shanghai Tech Part B", "CSRNet, PANDA-Crowd", "DM-Count"]


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


def test_a_row_of_costs_may_be_an_annotator_of_any_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def count(images): ...\n")
    annotators = small()["annotators"] | {"mine": {"function": "mine.py:count", "task": "counting"}}
    rows = [{"annotators": {"shtb": name, "panda": name}} for name in ("mine", "both", "narrow")]
    cost = table({"kind": "cost", "rows": rows}, annotators=annotators)
    assert [(row.network, row.title, row.method, row.settings) for row in cost.rows] == [
        ("", "mine", "annotator", {}),
        ("", "both", "annotator", {}),
        ("sasnet", "SASNet", "annotator", {"width": 0.25}),
    ]
    assert cost.rows[0].annotators == {"shtb": "mine", "panda": "mine"}
    assert cost.needs.tests == {(name, dataset) for name in ("mine", "both", "narrow") for dataset in ("shtb", "panda")}
    assert cost.needs.annotators == {"mine", "sasnet", "dmcount", "narrow"}


def test_a_table_of_errors_tests_what_annotates_its_generated_images(plan, targets):
    assert targets["table1"].annotators == [("sasnet", "shtb"), ("sasnet-panda", "panda")]
    assert targets["depth"].annotators == [("adabins", "nyu")]
    assert targets["annotators"].annotators == [("sasnet", "shtb"), ("dmcount", "shtb")]
    assert targets["table1"].needs.tests == {("sasnet", "shtb"), ("sasnet-panda", "panda")}
    alone = table({"rows": [SHTB], "methods": ["baseline"]})
    assert (alone.annotators, alone.needs.tests) == ([], frozenset())
    (average,) = table({"rows": [SHTB | {"annotator": "both"}]}).annotators
    assert average == ("both", "shtb")


def test_a_fine_tuned_annotator_is_made_for_a_table_of_costs():
    rows = [{"network": "sasnet", "annotators": {"shtb": "sasnet-again"}}]
    needs = table({"kind": "cost", "rows": rows}).needs
    assert needs.annotators == {"sasnet", "sasnet-panda", "sasnet-again"}
    assert (needs.datasets, needs.tests) == ({"shtb", "panda"}, {("sasnet-again", "shtb")})


def test_the_cost_of_a_network_of_a_user_s_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("class Mine:\n    stride = 8\n\n    def __init__(self, width): ...\n")
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
    assert row.title == "mine"
    assert baseline.labels["Method"] == "mine (baseline)"


def test_the_paper_s_numbers_in_a_table_of_costs():
    numbers = paper_results()["table3"]["rows"]["sasnet"]
    entry = {"kind": "cost", "rows": [{"network": "sasnet", "paper": "sasnet"}, {"network": "dmcount"}]}
    found = table(entry, "table3")
    assert [row.paper for row in found.rows] == [numbers, {}]
    assert [row.ours for row in found.rows] == [False, True]
    entry["rows"][0]["paper"] = "sasnt"
    with pytest.raises(InputError, match=r"tables\.table3\.rows\[0\]\.paper: 'sasnt'.*Did you mean 'sasnet'\?"):
        table(entry, "table3")


def test_the_paper_s_claims_of_costs_are_left_out_if_a_row_is_missing():
    rows = [{"network": name, "paper": name} for name in ("rescsrnet", "csrnet", "sasnet")]
    assert table({"kind": "cost", "rows": rows}, "table3").claims == paper_results()["table3"]["claims"]
    assert table({"kind": "cost", "rows": rows[:2]}, "table3").claims == paper_results()["table3"]["claims"]
    assert table({"kind": "cost", "rows": rows[1:]}, "table3").claims == []
    assert table({"kind": "cost", "rows": [{"network": "csrnet"}, {"network": "rescsrnet"}]}, "table3").claims == []


def test_a_network_is_called_by_its_method_unless_it_is_the_baseline_alone():
    def titles(**row):
        rows = table({"kind": "cost", "rows": [{"network": "csrnet", "datasets": ["shtb"], **row}]}).rows
        return [row.title for row in rows]

    assert titles(methods=["baseline"]) == ["CSRNet"]
    assert titles(methods=["promptmix"]) == ["CSRNet+PromptMix"]
    assert titles(methods=["control"]) == ["CSRNet (control)"]
    assert titles(methods=["baseline", "control"]) == ["CSRNet (baseline)", "CSRNet (control)"]


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ({}, ["rows[0].network is missing: a network"]),
        ({"datasets": ["shtb"], "annotators": {"shtb": "both"}}, ["rows[0].network is missing: a network"]),
        ({"annotators": {"shtb": "sasnet", "panda": "dmcount"}}, ["network is missing", "a single annotator"]),
        ({"annotators": {"nyu": "both"}}, ["annotators.nyu: 'both' is for counting", "nyu is for depth"]),
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
            {"network": "sasnet", "annotators": {"shtb": "both"}},
            ["annotators.shtb: 'both' is an average; expected one of sasnet"],
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
    assert (found.pools, found.generator, found.captioner) == ({"by-hand": 2, "places": 5}, "diffusion", "clipcap")
    assert found.needs == Needs(
        captioners=frozenset(["clipcap"]), images={("by-hand", "diffusion"): 2, ("places", "diffusion"): 5}
    )


def test_a_round_trip_of_captions_needs_their_dataset():
    found = table(ROUNDTRIP | {"pools": ["shtb-captions", "places"]})
    assert found.pools == {"shtb-captions": 360, "places": 5}
    assert found.needs == Needs(
        datasets=frozenset(["shtb"]),
        captioners=frozenset(["clipcap"]),
        images={("shtb-captions", "diffusion"): 360, ("places", "diffusion"): 5},
    )


def test_the_paper_s_distance_is_that_of_its_round_trip():
    assert table(ROUNDTRIP, "roundtrip").paper == 2
    assert table(ROUNDTRIP).paper is None


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
    assert [tuple(row.values()) for _, row in targets["crowds"].rows] == pairs
    assert [title for title, _ in targets["crowds"].rows] == ["Shanghai Tech Part B", "PANDA-Crowd"]
    assert targets["crowds"].needs == plan.needs(*pairs[0], *pairs[1])
    pair = {"baseline": "nyu-guidedepth", "promptmix": "nyu-guidedepth-promptmix"}
    assert targets["rooms"].rows == [("NYU Depth V2", pair)]


def test_a_figure_of_predictions_of_a_written_experiment():
    found = figure({"kind": "predictions", "rows": ["longer"]})
    assert found.experiments == [f"{BASE}-epochs-600", "longer"]


@pytest.mark.parametrize(
    ("rows", "titles"),
    [
        ([SHTB, SHTB | {"network": "csrnet"}], [f"{PART_B}, ResCSRNet", f"{PART_B}, CSRNet"]),
        (
            [SHTB, SHTB | {"pools": ["places"]}],
            [f"{PART_B}, Prompts by-hand, shtb-captions", f"{PART_B}, Prompts places"],
        ),
        ([SHTB | {"k": k} for k in (2, 10)], [f"{PART_B}, k 2", f"{PART_B}, k 10"]),
        ([SHTB, SHTB], [PART_B]),
    ],
)
def test_rows_of_a_figure_are_told_apart_by_their_titles(rows, titles):
    rows = [row | {"r_mix": 20} for row in rows]
    assert [title for title, _ in figure({"kind": "predictions", "rows": rows}).rows] == titles


def test_a_figure_of_predictions_of_baselines_alone_needs_no_generated_images():
    found = figure({"kind": "predictions", "rows": [SHTB, "base"], "methods": ["baseline"]}, experiments=WRITTEN)
    assert found.experiments == ["base"] and not found.needs.images
    found = figure({"kind": "predictions", "rows": [DEPTH], "methods": ["baseline", "control", "promptmix"]})
    assert list(found.rows[0][1]) == ["baseline", "control", "promptmix"]


def test_a_figure_of_colours_shows_the_first_images_of_pools_of_one_prompt(targets):
    found = targets["colours"]
    assert (found.pools, found.generator, found.columns) == (["light", "dark"], "diffusion", 2)
    assert found.needs == Needs(images={("light", "diffusion"): 2, ("dark", "diffusion"): 2})


def test_a_figure_of_examples_shows_the_first_images_of_an_experiment_with_their_annotations(targets):
    found = targets["examples"]
    assert (found.experiment, found.pool, found.columns) == (PROMPTMIX, "by-hand", 4)
    assert found.needs == Needs(
        datasets=frozenset(["shtb"]),
        annotators=frozenset(["sasnet"]),
        images={("by-hand", "diffusion"): 4},
        annotations={("by-hand", "diffusion", "sasnet"): 4},
    )


def test_a_figure_of_examples_with_the_average_of_annotators_needs_those_of_each():
    needs = figure({"kind": "examples", "row": SHTB | {"annotator": "both"}, "columns": 4}).needs
    assert needs.annotators == {"sasnet", "dmcount"}
    assert needs.annotations == {("by-hand", "diffusion", name): 4 for name in ("both", "sasnet", "dmcount")}


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
COLOURS = {"kind": "colours", "pools": ["light", "dark"], "generator": "diffusion", "columns": 2}


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ({}, [".kind is missing: maps without and with PromptMix"]),
        (
            {"kind": "prediction"},
            [
                ".kind: 'prediction'",
                "by_size, changes, colours, examples, predictions",
                "Did you mean 'predictions'?",
            ],
        ),
        ("longer", ["'longer' (text) is not a section of keys and values"]),
        # Predictions
        ({"kind": "predictions"}, [".rows is missing: experiments whose maps are drawn"]),
        ({"kind": "predictions", "rows": []}, [".rows: the list is empty"]),
        ({"kind": "predictions", "rows": ["lnger"]}, [".rows[0]: 'lnger' is not an experiment", "base, control"]),
        ({"kind": "predictions", "rows": ["base"]}, [".rows[0]: 'base' is baseline", "PromptMix", "`methods`"]),
        ({"kind": "predictions", "rows": ["control"]}, [".rows[0]: 'control' is", "PromptMix", "`methods`"]),
        ({"kind": "predictions", "rows": [SHTB, DEPTH]}, ["counting", "depth", "make two figures of it"]),
        ({"kind": "predictions", "rows": [{"dataset": "shtb"}]}, [".rows[0]: network is missing"]),
        ({"kind": "predictions", "rows": [SHTB | {"r_mix": 5000}]}, [".rows[0].r_mix: 5000 images", "raise k"]),
        ({"kind": "predictions", "rows": [SHTB], "base": {}}, [".base is not a key. Known keys: kind, methods, rows."]),
        # Errors by size
        ({"kind": "by_size"}, [".rows is missing: experiments for counting"]),
        ({"kind": "by_size", "rows": [SHTB, DEPTH]}, [".rows: nyu-guidedepth is for depth", "rows for counting alone"]),
        ({"kind": "by_size", "rows": ["base"]}, [".rows[0]: 'base' is baseline", "PromptMix", "`methods`"]),
        ({"kind": "by_size", "rows": [SHTB], "bins": 4}, [".bins is not a key. Known keys: kind, methods, rows."]),
        # Changes
        ({"kind": "changes"}, [".tables is missing: tables of errors"]),
        ({"kind": "changes", "tables": []}, [".tables: the list is empty"]),
        ({"kind": "changes", "tables": ["errors", "errrs"]}, [".tables[1]: 'errrs' is not a table", "mean 'errors'?"]),
        ({"kind": "changes", "tables": ["errors", "cost"]}, [".tables[1]: 'cost' shows no changes", "a baseline"]),
        ({"kind": "changes", "tables": ["baselines"]}, [".tables[0]: 'baselines' shows no changes", "a baseline"]),
        # Colours
        (COLOURS | {"pools": ["light", "drk"]}, [".pools[1]: 'drk' is not a pool", "Did you mean 'dark'?"]),
        (COLOURS | {"pools": []}, [".pools: the list is empty"]),
        (COLOURS | {"pools": ["dark", "dark"]}, [".pools: 'dark' is there twice"]),
        (COLOURS | {"generator": "dalle"}, [".generator: 'dalle' is not a generator"]),
        (COLOURS | {"pools": ["light", "places"]}, [".pools[1]: places has 5 prompts", "a pool of its own"]),
        (COLOURS | {"pools": ["by-hand"]}, [".pools[0]: by-hand has 2 prompts", "a pool of its own"]),
        (COLOURS | {"columns": 0}, [".columns: 0 is not a whole number of 1 or more"]),
        (COLOURS | {"grey": "light"}, [".grey is not a key. Known keys: columns, generator, kind, pools."]),
        ({"kind": "colours", "columns": 2}, [".pools is missing: pools of one prompt"]),
        # Examples
        ({"kind": "examples"}, [".row is missing: the experiment whose training images"]),
        ({"kind": "examples", "row": "base"}, [".row: 'base' has no generated images", "expected"]),
        ({"kind": "examples", "row": 7}, [".row: 7 (number)", "the name of an experiment"]),
        ({"kind": "examples", "row": SHTB, "columns": 0}, [".columns: 0 is not a whole number of 1 or more"]),
        ({"kind": "examples", "row": SHTB, "colums": 3}, [".colums is not a key", "Did you mean 'columns'?"]),
    ],
)
def test_a_figure_that_cannot_be(entry, parts):
    tables = {"errors": {"rows": [SHTB]}, "baselines": {"rows": [SHTB], "methods": ["baseline"]}}
    refused("figures", entry, *parts, experiments=WRITTEN, tables=tables | {"cost": small()["tables"]["cost"]})


def test_a_figure_of_changes_needs_what_its_tables_need(targets):
    tables = {name: targets[name] for name in ("table1", "depth")}
    assert targets["changes"].tables == tables
    assert targets["changes"].needs == tables["table1"].needs | tables["depth"].needs


def test_a_table_that_cannot_be_is_said_once_whatever_figure_shows_it():
    config = with_only("figures", {"kind": "changes", "tables": ["bad"]}, tables={"bad": {"rows": [SHTB, DEPTH]}})
    with pytest.raises(InputError) as raised:
        resolved(config)
    assert "tables.bad" in str(raised.value) and "figures" not in str(raised.value)


def test_a_figure_by_size_has_a_title_for_each_row_and_experiments_by_method(plan):
    rows = [SHTB, SHTB | {"network": "csrnet"}]
    found = figure({"kind": "by_size", "rows": rows, "methods": ["baseline", "control", "promptmix"]})
    assert [title for title, _ in found.rows] == [f"{PART_B}, ResCSRNet", f"{PART_B}, CSRNet"]
    assert found.rows[0][1] == {"baseline": BASE, "control": CONTROL, "promptmix": PROMPTMIX}
    assert {BASE, CONTROL, PROMPTMIX} < set(found.experiments) == set(found.needs.experiments)
    assert figure({"kind": "by_size", "rows": [SHTB]}).rows == [(PART_B, {"baseline": BASE, "promptmix": PROMPTMIX})]


def test_preflight_names_tables_and_figures():
    for name in ("table1", "colours"):
        resolved(small() | {"preflight": [name]})
    with pytest.raises(InputError, match=r"preflight\[0\]: 'table2'.*Did you mean 'table1'\?"):
        resolved(small() | {"preflight": ["table2"]})
