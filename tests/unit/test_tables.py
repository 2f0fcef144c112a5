"""Tables: means, paired changes and what is bold, and the runs that all of them can be computed from."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from promptmix.errors import InputError
from promptmix.report.costs import write_cost_table
from promptmix.report.layout import OURS, write_html
from promptmix.report.statistics import interval
from promptmix.report.tables import bold_if, brackets, mean_and_deviation, signed, write_table
from promptmix.tasks.depth_metrics import CROPS

CHANGE, IMAGES = "Change of MAE [95 % over repeats]", "[95 % over images]"
CONTROL = "Against the control [95 % over repeats]"
KEYS = "experiment,learning_rate,repeat"
PAPER_BASELINE = {"paper_baseline": {"mae": 68.2}}


def write(folder: Path, name: str, predictions: pd.DataFrame, task: str, r_mix: int = 0, **facts) -> dict:
    """Write predictions and selection of an experiment, and return its row."""
    folder.mkdir(exist_ok=True)
    repeats = predictions["repeat"].nunique()
    predictions.assign(experiment=name, learning_rate="1e-3").to_csv(folder / f"{name}.csv", index=False)
    candidates = {"1e-3": {"mean": 4.0, "repeats": [{"val_error": 4.0 + r, "epoch": 2} for r in range(repeats)]}}
    choice = {"learning_rate": "1e-3", "val_error": 4.0, "r_mix": r_mix, "candidates": candidates}
    (folder / f"{name}.json").write_text(json.dumps(choice))
    row = {"experiment": name, "task": task, "labels": {"Network": "rescsrnet", "Method": name}}
    row |= {"baseline": None, "control": None, "k": None, "repeated": 0, "paper": {}}
    return row | {"predictions": folder / f"{name}.csv", "selection": folder / f"{name}.json"} | facts


def counting(folder: Path, name: str, errors, **facts) -> dict:
    """Return the row of an experiment; `errors` holds those of each repeat's images."""
    rows = [
        {"repeat": repeat, "image": f"i{i}", "count": 50, "predicted": 50 + error, "error": error}
        for repeat, errors_of_repeat in enumerate(errors)
        for i, error in enumerate(errors_of_repeat)
    ]
    return write(folder, name, pd.DataFrame(rows), "counting", **facts)


def maes(folder: Path, name: str, values, **facts) -> dict:
    """Return the row of an experiment whose repeats have these MAEs, each on two images."""
    return counting(folder, name, [[value, -value] for value in values], **facts)


def depth(folder: Path, name: str, rmse, share=0.5, **facts) -> dict:
    """Return the row of a depth experiment: repeats with these RMSEs, thresholds kept by a share of the pixels."""
    rows = []
    for repeat, value in enumerate(rmse):
        for i in range(2):
            row = {"repeat": repeat, "image": f"i{i}"}
            for c, crop in enumerate(CROPS):
                row |= {f"pixels_{crop}": 100, f"squared_{crop}": 100 * (value + c) ** 2}
                row |= {f"{delta}_{crop}": 100 * (share + repeat / 100) for delta in ("d1", "d2", "d3")}
            rows.append(row)
    return write(folder, name, pd.DataFrame(rows), "depth", **facts)


def make(rows, folder, **arguments):
    """Return the table, and its files' contents by ending."""
    files = [folder / "tables" / f"table1.{ending}" for ending in ("md", "csv", "tex", "html")]
    table = write_table(rows, *files, scale="miniature", **arguments)
    return table, {file.suffix: file.read_text() for file in files}


@pytest.fixture
def rows(tmp_path):
    """A baseline, its control and PromptMix in three repeats of two images."""
    return [
        counting(tmp_path, "base", [[10, -10], [12, -12], [11, -11]], paper={"mae": 68.2}),
        maes(tmp_path, "control", [10, 11, 11], baseline="base", repeated=50),
        counting(
            tmp_path,
            "mixed",
            [[8, -9], [10, -11], [9, -9]],
            baseline="base",
            control="control",
            k=100,
            r_mix=50,
            paper={"mae": 66},
            **PAPER_BASELINE,
        ),
    ]


# --- Cells ---


def test_cells_are_means_with_deviations(rows, tmp_path):
    table, _ = make(rows, tmp_path)
    assert table["Method"].tolist() == ["base", "control", "mixed"]
    assert table["MAE"].tolist() == [
        "11.00 ± 1.00",
        "10.67 ± 0.58",
        "9.33 ± 1.04",
    ]  # not certainly better than the control
    # roots of 100, 144, 121; of the means of 64 and 81, 100 and 121, 81 and 81
    assert table["RMSE"].tolist()[0] == "11.00 ± 1.00"
    root = pd.Series([72.5, 110.5, 81]).pow(0.5)
    assert table["RMSE"].tolist()[2] == f"{root.mean():.2f} ± {root.std():.2f}"


def test_changes_are_paired_by_seed_and_have_intervals(rows, tmp_path):
    table, _ = make(rows, tmp_path)
    # control: 0, -1, 0: mean -0.333, deviation 0.577, so ± 4.302653 / 3
    assert table[CHANGE].tolist()[:2] == ["—", "−0.33, −3.0 % [−1.77, +1.10]"]
    # PromptMix: -1.5, -1.5, -2: mean -1.667, deviation 0.289, so ± 4.302653 x 0.289 / sqrt(3)
    assert table[CHANGE].tolist()[2] == "**−1.67, −15.2 % [−2.38, −0.95]**"
    # against the control: -1.5, -0.5, -2
    assert table[CONTROL].tolist() == ["—", "—", "−1.33, −12.5 % [−3.23, +0.56]"]


def test_the_bootstrap_draws_test_images(rows, tmp_path):
    # Two images: a draw is both, or one of them twice. PromptMix's first image gains 5/3 in the mean, its second 4/3.
    rows[2] = counting(tmp_path, "mixed", [[8, -9], [10, -11], [10, -9]], baseline="base", k=1, r_mix=5)
    table, _ = make(rows, tmp_path)
    assert table[IMAGES].tolist()[2] == "[−1.67, −1.33]"


def test_only_common_repeats_are_compared(tmp_path):
    rows = [maes(tmp_path, "a", [8, 10]), maes(tmp_path, "b", [7, 9.5, 100], baseline="a")]
    assert make(rows, tmp_path)[0][CHANGE][1].startswith("−0.75, −8.3 %")


def test_one_repeat_has_no_deviation_no_interval_and_nothing_bold(tmp_path):
    rows = [maes(tmp_path, "a", [8]), maes(tmp_path, "b", [2], baseline="a", paper={"mae": 66}, **PAPER_BASELINE)]
    table, files = make(rows, tmp_path)
    assert table["MAE"].tolist() == ["8.00", "2.00"]
    assert table[CHANGE].tolist() == ["—", "−6.00, −75.0 %"]
    assert table[IMAGES][1] == "[−6.00, −6.00]"
    assert table["Same way"][1] == "unresolved"
    assert "**" not in files[".md"]
    assert "One run each." in files[".md"]
    assert "One repeat could have resolved no difference" in files[".md"]


# --- Bold ---


def test_a_change_for_the_worse_is_bold_too(tmp_path):
    rows = [maes(tmp_path, "a", [8, 9, 8]), maes(tmp_path, "b", [10, 11, 10.1], baseline="a")]
    table, _ = make(rows, tmp_path)
    assert table[CHANGE][1].startswith("**+2.03")
    assert table["MAE"].str.startswith("**").tolist() == [True, False]


def test_the_best_is_bold_only_if_it_certainly_beats_the_runner_up(tmp_path):
    base = maes(tmp_path, "base", [20, 21, 22])
    first = maes(tmp_path, "first", [10, 11, 12], baseline="base")
    close = maes(tmp_path, "close", [10.5, 11, 12.1], baseline="base")
    behind = maes(tmp_path, "behind", [11, 12.1, 13], baseline="base")
    bold = lambda *rows: make(rows, tmp_path)[0]["MAE"].str.startswith("**").tolist()  # noqa: E731
    assert bold(base, first, behind) == [False, True, False]
    assert bold(base, first, close, behind) == [False] * 4
    assert bold(first | {"baseline": None}) == [False]
    # A lower mean that is due to a repeat without a partner: in pairs it is the worse.
    assert bold(base, first, maes(tmp_path, "lucky", [10.5, 11.6, 12.5, 2], baseline="base")) == [False] * 3


def test_bold_is_corrected_for_the_number_of_differences(tmp_path):
    base = maes(tmp_path, "base", [20, 21, 22])
    # Two differences of p 0.02: Holm asks the smaller of n for 0.05 / n. Against the best they do not differ certainly.
    some = [maes(tmp_path, f"row{i}", [17 + i / 10, 18.5, 18], baseline="base") for i in range(4)]
    alone, _ = make([base, some[0]], tmp_path)
    ends = r" \[−[\d.]+, −[\d.]+\]"
    assert re.search(rf"^\*\*.*{ends}\*\*$", alone[CHANGE][1])
    among, files = make([base, *some], tmp_path)
    assert all(re.search(rf"^−.*{ends}$", cell) for cell in among[CHANGE][1:])  # the interval excludes zero
    assert "Holm's correction for the 5 differences of this table" in files[".md"]


def test_nothing_is_bold_of_two_repeats_and_the_note_says_why(tmp_path):
    rows = [maes(tmp_path, "a", [8, 9]), maes(tmp_path, "b", [5, 6.001], baseline="a")]
    table, files = make(rows, tmp_path)
    assert "[−3.0" in table[CHANGE][1]  # the interval excludes zero
    assert "**" not in files[".md"]
    assert "Here nothing is: the deviation of fewer than 3 repeats" in files[".md"]


def test_a_tie_is_not_bold(tmp_path):
    rows = [maes(tmp_path, name, [10, 11, 12], baseline=b) for name, b in (("a", None), ("b", "a"))]
    table, _ = make(rows, tmp_path)
    assert table[CHANGE][1] == "0.00, 0.0 % [0.00, 0.00]"
    assert not table["MAE"].str.startswith("**").any()


def test_groups_have_winners_of_their_own(tmp_path):
    rows = [
        maes(tmp_path, "a", [8, 9, 8]),
        maes(tmp_path, "b", [5, 6, 5.1], baseline="a"),
        maes(tmp_path, "c", [80, 90, 80]),
        maes(tmp_path, "d", [50, 60, 50.1], baseline="c"),
    ]
    assert make(rows, tmp_path)[0]["MAE"].str.startswith("**").tolist() == [False, True, False, True]


def test_an_experiment_that_stands_twice_does_not_compete_with_itself(tmp_path):
    a, b = maes(tmp_path, "a", [8, 9, 8]), maes(tmp_path, "b", [5, 6, 5.1], baseline="a")
    assert make([a, b, b], tmp_path)[0]["MAE"].str.startswith("**").tolist() == [False, True, True]


# --- The paper ---


@pytest.mark.parametrize(
    ("mae", "paper", "paper_baseline", "same", "change"),
    [
        ([7, 8, 7.1], {"mae": 60}, {"mae": 68.2}, "yes", "−12.0 %"),
        ([9, 10, 9.1], {"mae": 75}, {"mae": 68.2}, "yes", "+10.0 %"),
        ([7, 8, 7.1], {"mae": 75}, {"mae": 68.2}, "no", "+10.0 %"),
        ([9, 10, 9.1], {"mae": 60}, {"mae": 68.2}, "no", "−12.0 %"),
        ([7, 10, 7.9], {"mae": 60}, {"mae": 68.2}, "unresolved", "−12.0 %"),
        ([7, 8, 7.1], {"mae": 60}, {"mae": 50}, "no", "+20.0 %"),
        ([7, 8, 7.1], {"mae": 68.2}, {"mae": 68.2}, "—", "0.0 %"),  # the paper's error does not change
        ([7, 8, 7.1], {}, {"mae": 68.2}, "—", "—"),
        ([7, 8, 7.1], {"mae": 60}, {}, "—", "—"),
        ([7, 8, 7.1], {"mae": 60}, {"rmse": 68.2}, "—", "—"),
    ],
)
def test_the_paper_s_change_and_whether_ours_goes_the_same_way(tmp_path, mae, paper, paper_baseline, same, change):
    rows = [
        maes(tmp_path, "a", [8, 9, 8], paper={"mae": 99}, paper_baseline={"mae": 99}),
        maes(tmp_path, "b", mae, baseline="a", paper=paper, paper_baseline=paper_baseline),
        maes(tmp_path, "c", [7, 8, 7.1], baseline="a", paper={"mae": 8.57}, paper_baseline={"mae": 11.63}),
    ]
    table, _ = make(rows, tmp_path)
    assert table["Same way"].tolist() == ["—", same, "yes"]
    assert table["Paper's change"].tolist() == ["—", change, "−26.3 %"]


def test_the_paper_s_numbers_are_compared_without_a_baseline_of_the_paper_in_the_table(rows, tmp_path):
    rows[0] |= {"paper": {}, "ours": True}
    table, _ = make(rows, tmp_path)
    assert table["Paper's MAE"].tolist() == ["—", "—", "66.00"]
    assert table["Paper's change"].tolist() == ["—", "—", "−3.2 %"]
    assert table["Same way"].tolist() == ["—", "—", "yes"]


def test_the_paper_s_numbers_stand_after_the_metrics_and_its_change_after_ours(rows, tmp_path):
    table, _ = make(rows, tmp_path)
    of_paper = ["Paper's MAE", CHANGE, IMAGES, "Paper's change", "Same way"]
    assert list(table) == ["Network", "Method", "MAE", "RMSE", *of_paper, CONTROL]


def test_the_paper_s_other_metrics_stand_beside(rows, tmp_path):
    rows[0]["paper"] = {"mae": 68.2, "rmse": 115}
    assert make(rows, tmp_path)[0]["Paper's MAE / RMSE"].tolist() == ["68.20 / 115.00", "—", "66.00 / —"]


def test_without_paper_control_or_baseline_there_are_no_such_columns(tmp_path):
    table, files = make([maes(tmp_path, "a", [8, 9], labels={"k": "—"})], tmp_path)
    assert list(table) == ["k", "MAE", "RMSE"]
    assert "Bold" not in files[".md"]
    assert "Same way" not in files[".md"]


# --- What the paper does not have ---


@pytest.fixture
def with_ours(rows):
    """The rows in the order of a table of the paper: without the control, which stands below."""
    return [rows[0], rows[2], rows[1] | {"ours": True}]


def test_what_the_paper_does_not_have_stands_below_a_rule(with_ours, tmp_path):
    table, files = make(with_ours, tmp_path)
    assert table["Method"].tolist() == ["base", "mixed", "control"]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in files[".md"].split("\n\n")[0].split("\n")[2:]]
    assert [line[1] for line in cells] == ["base", "mixed", "", "control"]
    assert cells[2] == [OURS] + [""] * (len(table.columns) - 1)
    body = files[".tex"].split("\\midrule\n")[1].split("\\bottomrule")[0].strip().split("\n")
    assert [line.split("&")[1].strip() for line in body if "&" in line] == ["base", "mixed", "control"]
    assert body[2] == r"\midrule \multicolumn{10}{l}{\emph{Not in the paper:}} \\"
    runs = pd.read_csv(tmp_path / "tables/table1.csv")
    assert runs.groupby("experiment")["in_paper"].unique().map(list).to_dict() == {
        "base": [1],
        "mixed": [1],
        "control": [0],
    }


def test_no_rule_where_the_paper_has_all_rows_or_none(rows, with_ours, tmp_path):
    without = [row | {"paper": {}, "paper_baseline": {}} for row in with_ours]
    for those in (rows, without):
        _, files = make(those, tmp_path)
        assert OURS not in files[".md"]
        assert files[".tex"].count("\\midrule") == 1 and "multicolumn" not in files[".tex"]


# --- What the paper says ---


@pytest.mark.parametrize(
    ("mae", "ours", "verdict"),
    [
        ([7, 8, 7.1], "7.37 ± 0.55 against 8.33 ± 0.58, difference −0.97, −11.6 % [−1.11, −0.82]", "the same"),
        ([9, 10, 9.1], "9.37 ± 0.55 against 8.33 ± 0.58, difference +1.03, +12.4 % [+0.89, +1.18]", "the opposite"),
        ([7, 10, 7.9], "8.30 ± 1.54 against 8.33 ± 0.58, difference −0.03, −0.4 % [−2.52, +2.45]", "unresolved"),
        ([7], "7.00 against 8.33 ± 0.58, difference −1.00, −12.5 %", "unresolved"),
    ],
)
def test_what_the_paper_says_of_two_rows_is_compared(tmp_path, mae, ours, verdict):
    rows = [
        maes(tmp_path, "base", [20, 21, 22]),
        maes(tmp_path, "a", [8, 9, 8], baseline="base"),
        maes(tmp_path, "b", mae, baseline="base"),
    ]
    claim = {"says": "b is better than a (10 %)", "lower": "b", "higher": "a", "paper": (8.5, 11.63)}
    _, files = make(rows, tmp_path, claims=[claim], notes=["One is left out."])
    note = f"The paper: b is better than a (10 %), MAE 8.50 against 11.63. Here: {ours}: {verdict}."
    _, *notes = files[".md"].split("\n\n")
    assert notes[:2] == ["One is left out.", note]
    assert notes[2].startswith("Scale: miniature.")
    assert r"b is better than a (10 \%), MAE 8.50 against 11.63." in files[".tex"]


def test_the_largest_gain_is_that_of_the_paper_s_rows_with_generated_images(tmp_path):
    def note(*rows):
        claim = {"says": "up to 26 %", "lower": "", "higher": "", "paper": (26.3113,)}
        _, files = make(rows, tmp_path, claims=[claim])
        return files[".md"].split("\n\n")[1]

    base = maes(tmp_path, "base", [10, 11, 12])
    mixed = {"baseline": "base", "r_mix": 5}
    small = maes(tmp_path, "small", [9, 10, 11.1], **mixed)
    large = maes(tmp_path, "large", [5, 6, 7.1], **mixed)
    unsure = maes(tmp_path, "unsure", [1, 12, 3], **mixed)
    ours = maes(tmp_path, "ours", [2, 3, 4], **mixed, ours=True)
    control = maes(tmp_path, "control", [2, 3, 4], baseline="base")
    said = "The paper: up to 26 % (26.3 % in its table). Here: "
    assert note(base, small, large, control, ours) == f"{said}by up to 45.2 % (large)."
    assert note(base, small, large, unsure) == f"{said}by up to 51.5 % (unsure, unresolved)."
    assert note(base, small) == f"{said}by up to 8.8 % (small)."
    assert note(base, control, ours) == f"{said}nothing to compare."


# --- Depth ---


def test_depth_has_its_metrics_under_one_convention(tmp_path):
    baseline, promptmix = {"delta1": 0.754, "rmse": 0.639}, {"delta1": 0.78, "rmse": 0.601}
    rows = [
        depth(tmp_path, "a", [0.5, 0.6, 0.5], paper=baseline),
        depth(tmp_path, "b", [0.4, 0.5, 0.41], share=0.7, baseline="a", k=2500, r_mix=1000, paper=promptmix),
    ]
    rows[1]["paper_baseline"] = baseline
    table, files = make(rows, tmp_path, convention="eigen-pixels")  # the crop's RMSE is greater by 1
    assert table["RMSE"].tolist() == ["1.533 ± 0.058", "**1.437 ± 0.055**"]
    assert table["δ1"].tolist() == ["0.510 ± 0.010", "0.710 ± 0.010"]  # bold is of the error alone
    assert table["Change of RMSE [95 % over repeats]"][1].startswith("**−0.097, −6.3 % [")
    assert list(table)[2:7] == ["δ1", "δ2", "δ3", "RMSE", "Paper's δ1 / RMSE"]  # the error last, as in the paper
    assert table["Paper's δ1 / RMSE"].tolist() == ["0.754 / 0.639", "0.780 / 0.601"]
    assert table["Paper's change"].tolist() == ["—", "−5.9 %"]
    assert table["Same way"].tolist() == ["—", "yes"]
    assert "Convention eigen-pixels" in files[".md"]
    runs = pd.read_csv(tmp_path / "tables/table1.csv")
    assert runs["rmse_full_images"].tolist() == pytest.approx([0.5, 0.6, 0.5, 0.4, 0.5, 0.41])
    assert runs["rmse_guidedepth_pixels"].tolist() == pytest.approx([2.5, 2.6, 2.5, 2.4, 2.5, 2.41])
    assert runs["delta3_eigen_images"].tolist() == pytest.approx([0.5, 0.51, 0.52, 0.7, 0.71, 0.72])


def test_a_table_has_one_task(tmp_path):
    with pytest.raises(InputError, match="counting, depth; a table has one task"):
        make([maes(tmp_path, "a", [1]), depth(tmp_path, "b", [1])], tmp_path)


# --- Notes and files ---


def test_the_notes_say_what_was_run_and_what_could_have_been_resolved(rows, tmp_path):
    _, files = make(rows, tmp_path)
    notes = files[".md"].split("\n\n")
    assert notes[0].startswith("| Network   | Method")
    assert notes[1].startswith("Scale: miniature. Test split.")
    assert notes[2].startswith("Mean ± standard deviation over 3 repeats.")
    # (4.302653 + 1.060660) x deviation / sqrt(3), of the deviations 0.577, 0.289 and, against the control, 0.764
    found = re.search(r"\(power 80 %\): (.*) to (.*)\. That is \(t\(0\.975\) \+ t\(0\.8\)\) s / √n", notes[4])
    assert [float(number) for number in found.groups()] == pytest.approx([0.894, 2.365], abs=0.006)
    assert notes[5:] == [
        "base: real images only, learning rate 1e-3.",
        "control: 50 real images a second time in each epoch, learning rate 1e-3.",
        "mixed: k 100, r_mix 50, learning rate 1e-3.\n",
    ]


def test_a_note_says_how_far_annotators_are_from_the_real_test_images(rows, tmp_path):
    tested = counting(tmp_path, "sasnet", [[3, -4, 5]])["predictions"]
    of_another = counting(tmp_path, "mine", [[0, 0, 6]])["predictions"]
    annotators = [("sasnet", "SHTB", tested), ("mine", "SHTB", of_another)]
    _, files = make(rows, tmp_path, annotators=annotators)
    (note,) = [line for line in files[".md"].split("\n\n") if "annotates the generated images" in line]
    assert "sasnet on SHTB: MAE 4.00, RMSE 4.08; mine on SHTB: MAE 2.00, RMSE 3.46" in note
    assert "nothing is chosen" in note
    assert "sasnet on SHTB: MAE 4.00" in files[".tex"]
    assert "annotates" not in make(rows, tmp_path)[1][".md"]

    of_depth = depth(tmp_path, "adabins", [0.5])["predictions"]
    with pytest.raises(InputError, match="adabins.csv: .*columns of counting"):
        make(rows, tmp_path, annotators=[("adabins", "NYU", of_depth)])
    said = make([depth(tmp_path, "a", [0.4])], tmp_path, annotators=[("adabins", "NYU", of_depth)])[1][".md"]
    assert "adabins on NYU: RMSE 0.500, δ1 0.500, δ2 0.500, δ3 0.500" in said


def test_equal_settings_share_a_line_and_columns_are_not_repeated(tmp_path):
    rows = [
        maes(tmp_path, "a", [1, 2], labels={"k": "1"}, k=1, r_mix=5),
        maes(tmp_path, "b", [1, 2], labels={"k": "2"}, k=2, r_mix=5),
        maes(tmp_path, "c", [1], labels={"k": "3"}, k=3, r_mix=5),
    ]
    _, files = make(rows, tmp_path)
    assert files[".md"].split("\n\n")[-2:] == [
        "a, b: r_mix 5, learning rate 1e-3, 2 repeats.",
        "c: r_mix 5, learning rate 1e-3, 1 repeat.\n",
    ]
    assert "over 1 to 2 repeats" in files[".md"]


def test_the_cells_can_be_computed_from_the_csv(rows, tmp_path):
    table, _ = make([row | {"annotator": "sasnet"} for row in rows], tmp_path)
    runs = pd.read_csv(tmp_path / "tables/table1.csv")
    assert len(runs) == 9
    assert runs["annotator"].tolist() == ["sasnet"] * 9
    assert runs["val_error"].tolist() == [4, 5, 6] * 3
    assert runs["images"].tolist() == [2] * 9
    assert runs["in_paper"].tolist() == [1] * 9
    assert runs["paper_mae"].dropna().tolist() == [68.2] * 3 + [66] * 3
    assert runs.loc[runs["experiment"] == "mixed", ["k", "r_mix", "repeated"]].to_numpy().tolist() == [[100, 50, 0]] * 3
    assert runs.loc[runs["experiment"] == "mixed", "control"].tolist() == ["control"] * 3
    assert runs.loc[runs["experiment"] == "mixed", "baseline"].tolist() == ["base"] * 3
    assert runs["learning_rate"].astype(str).tolist() == ["0.001"] * 9
    by_experiment = runs.groupby("experiment", sort=False)
    for metric in ("mae", "rmse"):
        cells = [mean_and_deviation(part[metric], 2) for _, part in by_experiment]
        assert cells == table[metric.upper()].str.strip("*").tolist()
    pairs = runs.pivot(index="repeat", columns="experiment", values="mae")
    for other, column in (("base", CHANGE), ("control", CONTROL)):
        difference = (pairs["mixed"] - pairs[other]).to_numpy()
        text = f"{signed(difference.mean(), 2)}, {signed(100 * difference.mean() / pairs[other].mean(), 1)} %"
        ends = interval(difference)
        assert table[column][2] == bold_if(ends[1] < 0, f"{text} {brackets(ends, 2)}")


def test_latex_is_escaped(tmp_path):
    labels = {"Data_set": "A&B 5 % #1 {x} ~^\\ $ [y]"}
    rows = [
        maes(tmp_path, "a_1", [8, 9, 8], labels=labels),
        maes(tmp_path, "b", [5, 6, 5.1], labels=labels, baseline="a_1"),
    ]
    _, files = make(rows, tmp_path)
    tex = re.sub(r" +", " ", files[".tex"])
    assert tex.startswith("\\begin{tabular}{lllll}\n\\toprule\n Data\\_set & MAE & RMSE & Change of MAE {[}95 \\% over")
    escaped = r"A\&B 5 \% \#1 \{x\} \textasciitilde{}\^{}\textbackslash{} \$ {[}y]"
    assert escaped + r" & 8.33 $\pm$ 0.58 & " in tex
    assert r" & \textbf{5.37 $\pm$ 0.55} & " in tex
    assert r" & \textbf{$-$2.97, $-$35.6 \% {[}$-$3.11, $-$2.82]} & " in tex
    assert r"a\_1, b: real images only" in tex
    assert "**" not in tex
    # What is left can be typeset: each special character is escaped or opens and closes mathematics.
    plain = re.sub(r"\$[^$]*\$", "", re.sub(r"\\[\\&%$#_{}^]", "", tex.split("\\midrule")[1]))
    assert not re.search(r"[$#_~^±−√δ²—]", plain)
    assert plain.count("{") == plain.count("}")


def test_bars_do_not_divide_markdown_cells(tmp_path):
    _, files = make([maes(tmp_path, "a", [8], labels={"Prompt": "a|b"})], tmp_path)
    assert r"| a\|b     | 8.00" in files[".md"]


def test_small_numbers():
    assert signed(-0.001, 2) == "0.00"
    assert signed(2, 1) == "+2.0"
    assert brackets((-0.5, 0.001), 1) == "[−0.5, 0.0]"


# --- What can be wrong ---


def test_a_baseline_that_is_not_in_the_table_is_an_error(rows, tmp_path):
    with pytest.raises(InputError, match=r"mixed is compared with base, which is not in the table; add base"):
        make(rows[2:], tmp_path)


def test_experiments_tested_on_different_images_are_not_compared(tmp_path):
    rows = [maes(tmp_path, "a", [8, 9]), counting(tmp_path, "b", [[1, 2, 3]] * 2, baseline="a")]
    with pytest.raises(InputError, match="a and b were tested on different images"):
        make(rows, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,error\na,1\n", r"a\.csv.*missing columns.*repeat"),
        (f"{KEYS},image,pixels_full\na,1e-3,0,a,1\n", r"a\.csv.*columns of counting"),
        (f"{KEYS},image,error\na,1e-3,0,a,1\na,1e-3,0,a,1\n", r"a\.csv.*each image once per repeat"),
        (f"{KEYS},image,error\n", r"a\.csv has 0 repeats"),
        (f"{KEYS},image,error\na,1e-3,0,a,1\n", r"a\.csv has 1 repeats and .*a\.json has 2"),
    ],
)
def test_predictions_that_do_not_fit_are_an_error(tmp_path, text, message):
    row = maes(tmp_path, "a", [8, 9])
    row["predictions"].write_text(text)
    with pytest.raises(InputError, match=message):
        make([row], tmp_path)


# --- Tables of cost ---


def cost_row(folder, network, method, parameters, gmac, tested, **facts):
    cost = {"network": network, "settings": {}, "height": 768, "width": 1024, "parameters": parameters, "gmac": gmac}
    (folder / f"{network}.json").write_text(json.dumps(cost))
    tests = {
        dataset: counting(folder, f"{network}-{method}-{i}", errors)["predictions"]
        for i, (dataset, errors) in enumerate(tested.items())
    }
    row = {"network": network, "title": network.upper(), "method": method, "cost": folder / f"{network}.json"}
    return row | {"tests": tests} | facts


def make_costs(rows, folder, **arguments):
    """Return the table of costs, its notes and its files' contents by ending."""
    files = [folder / f"table3.{ending}" for ending in ("md", "csv", "tex", "html")]
    table = write_cost_table(rows, *files, scale="miniature", **arguments)
    return table, files[0].read_text().strip().split("\n\n")[1:], {file.suffix: file.read_text() for file in files}


def test_table_3_has_costs_beside_errors(tmp_path):
    paper = {"gmac": 26.54, "parameters": 1.57, "mae": 8.57}
    rows = [
        cost_row(tmp_path, "rescsrnet", "baseline", 1568705, 26.542092288, {"A": [[10, -10], [12, -12]]}, paper=paper),
        cost_row(tmp_path, "sasnet", "annotator", 24600, 0.5, {"A": [[7, -7]], "B": [[3, -3]]}, paper={"gmac": 698.72}),
        cost_row(tmp_path, "dmcount", "annotator", 21.5e6, 300, {"A": [[8, -8]]}, paper={}),
    ]
    rows[0]["settings"] = {"width": 0.25}
    table, notes, files = make_costs(rows, tmp_path)
    assert table.to_numpy().tolist() == [
        ["RESCSRNET", "26.54", "1.57", "11.00 ± 1.41", "—", "26.54 / 1.57 / 8.57"],
        ["SASNET", "0.500", "0.0246", "7.00", "3.00", "698.72 / — / —"],
        ["DMCOUNT", "300.00", "21.50", "8.00", "—", "—"],
    ]
    assert list(table) == [
        "Method",
        "GMac for 1024x768 input",
        "Params (M)",
        "MAE on A",
        "MAE on B",
        "Paper's GMac / Params (M) / MAE",
    ]
    assert OURS not in files[".md"] and "multicolumn" not in files[".tex"]
    assert "of a 1024x768 image" in notes[0]
    assert notes[2].endswith("but of RESCSRNET (width 0.25).")
    runs = pd.read_csv(tmp_path / "table3.csv")
    assert runs[["network", "method", "dataset", "repeat", "mae"]].to_numpy().tolist() == [
        ["rescsrnet", "baseline", "A", 0, 10],
        ["rescsrnet", "baseline", "A", 1, 12],
        ["sasnet", "annotator", "A", 0, 7],
        ["sasnet", "annotator", "B", 0, 3],
        ["dmcount", "annotator", "A", 0, 8],
    ]
    assert runs["parameters"].tolist() == [1568705, 1568705, 24600, 24600, 21.5e6]
    np.testing.assert_allclose(runs["paper_gmac"], [26.54, 26.54, 698.72, 698.72, np.nan])
    np.testing.assert_allclose(runs["paper_mae"].iloc[:2], 8.57)


def test_costs_that_the_paper_does_not_have_stand_below_a_rule(tmp_path):
    rows = [
        cost_row(tmp_path, "rescsrnet", "baseline", 1568705, 26.5, {"A": [[10, -10]]}, paper={"gmac": 26.54}),
        cost_row(tmp_path, "csrnet", "—", 16263489, 325.3, {}, paper={}, ours=True),
    ]
    table, _, files = make_costs(rows, tmp_path)
    assert table["Method"].tolist() == ["RESCSRNET", "CSRNET"]
    firsts = [line.split("|")[1].strip() for line in files[".md"].split("\n")[2:5]]
    assert firsts == ["RESCSRNET", OURS, "CSRNET"]
    assert r"\midrule \multicolumn{5}{l}{\emph{Not in the paper:}} \\" in files[".tex"]


@pytest.mark.parametrize(
    ("tested", "error"),
    [
        ({"A": [[8, -8]]}, ", 20.00 % less error"),
        ({"A": [[12, -12]]}, ", 20.00 % more error"),
        ({}, ""),
    ],
)
def test_what_the_paper_says_of_two_networks_is_compared(tmp_path, tested, error):
    rows = [
        cost_row(tmp_path, "rescsrnet", "PromptMix", 1568705, 26.542092288, tested),
        cost_row(tmp_path, "csrnet", "baseline", 16263489, 325.339381248, {"A": [[10, -10], [9, -11]]}),
    ]
    claim = {"small": "rescsrnet", "large": "csrnet", "gmac": 12.26, "parameters": 10.36, "mae": 19.15}
    _, notes, _ = make_costs(rows, tmp_path, claims=[claim])
    assert notes[0] == (
        "The paper: ResCSRNet takes 12.26 times less computation and has 10.36 times fewer parameters than CSRNet, and "
        f"with PromptMix 19.15 % less error. Here: 12.26 times, 10.37 times{error}."
    )


def test_an_annotator_whose_cost_is_not_known_has_its_error_and_a_note(tmp_path):
    unknown = cost_row(tmp_path, "my-counter", "annotator", 1, 1, {"A": [[7, -7]]}) | {"cost": None}
    counted = cost_row(tmp_path, "sasnet", "annotator", 24600, 0.5, {"A": [[3, -3]]})
    table, notes, _ = make_costs([unknown, counted], tmp_path)
    assert table.iloc[:, :4].to_numpy().tolist() == [
        ["MY-COUNTER", "—", "—", "7.00"],
        ["SASNET", "0.500", "0.0246", "3.00"],
    ]
    assert any("MY-COUNTER costs is not known" in note for note in notes)
    runs = pd.read_csv(tmp_path / "table3.csv")
    assert runs["gmac"].isna().tolist() == [True, False] and runs["mae"].tolist() == [7, 3]

    table, notes, _ = make_costs([unknown], tmp_path)
    assert list(table)[:2] == ["Method", "MAE on A"]


def test_a_network_that_was_not_run_has_its_cost(tmp_path):
    rows = [
        cost_row(tmp_path, "rescsrnet", "baseline", 1568705, 26.5, {"A": [[10, -10]]}),
        cost_row(tmp_path, "csrnet", "—", 16263489, 325.3, {}),
    ]
    table, _, _ = make_costs(rows, tmp_path)
    assert table["MAE on A"].tolist() == ["10.00", "—"]
    runs = pd.read_csv(tmp_path / "table3.csv")
    assert runs["parameters"].tolist() == [1568705, 16263489]
    assert runs["mae"].isna().tolist() == [False, True]


def test_predictions_of_depth_have_no_mae(tmp_path):
    row = cost_row(tmp_path, "rescsrnet", "baseline", 1, 1.0, {"A": [[1, 2]]})
    row["tests"]["A"].write_text(f"{KEYS},image,pixels_full\na,1e-3,0,a,1\n")
    with pytest.raises(InputError, match="as for counting"):
        make_costs([row], tmp_path)


def test_a_note_sets_generated_images_against_real_ones(rows, tmp_path):
    facts = {"says": "people 5.5 (0.0 to 33.0) against 149.0 (3.0 to 420.0)", "doubts": ["more people than real ones"]}
    files = {name: tmp_path / f"fake-{name}.json" for name in ("mixed", "other")}
    for file in files.values():
        file.write_text(json.dumps(facts))
    _, content = make(rows, tmp_path, compared=files)
    assert "mixed, other: people 5.5 (0.0 to 33.0) against 149.0 (3.0 to 420.0); more people than" in content[".md"]
    assert "D_fake as annotated" not in make(rows, tmp_path)[1][".md"]


def test_notes_say_what_filters_left_out_and_what_is_like_test_images(rows, tmp_path):
    facts = {"says": "people 5 against 6", "doubts": []}
    left_out = {"filter of near-duplicates": 3, "filter of CLIP scores": 8}
    files = {name: tmp_path / f"fake-{name}.json" for name in ("mixed", "other", "plain")}
    files["mixed"].write_text(
        json.dumps(facts | {"filters": {"images": 40, "left_out": left_out, "like_test_images": 2}})
    )
    files["other"].write_text(json.dumps(facts | {"filters": {"images": 30, "left_out": {}}}))
    files["plain"].write_text(json.dumps(facts))
    _, content = make(rows, tmp_path, compared=files)
    said = (
        "mixed: of 40 images the filter of near-duplicates 3, the filter of CLIP scores 8. other: of 30 images nothing."
    )
    assert f"Left out of D_fake by filters. {said}" in content[".md"]
    assert "Images of D_fake that are like test images: mixed 2." in content[".md"]
    assert "by filters" not in make(rows, tmp_path, compared={"plain": files["plain"]})[1][".md"]


# --- As a page ---


def test_a_page_holds_the_table_with_its_notes_and_nothing_of_markdown(tmp_path):
    table = pd.DataFrame({"Method": ["a<b> & c", "ours"], "MAE": ["**1.2 ± 0.1**", "a | b"]})
    write_html(tmp_path / "page.html", table, ["A note, x < y."], of_paper=1)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<tr><th>Method</th><th>MAE</th></tr>" in page
    assert "<tr><td>a&lt;b&gt; &amp; c</td><td><b>1.2&nbsp;±&nbsp;0.1</b></td></tr>" in page
    assert (
        page.index("1.2") < page.index('<tr><td colspan="2"><i>Not in the paper:</i></td></tr>') < page.index("a | b")
    )
    assert "<p>A note, x &lt; y.</p>" in page and "*" not in page.split("</style>")[1]
