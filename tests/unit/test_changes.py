"""The figure of changes: what is drawn of which row, with which interval, beside which of the paper's numbers."""

import math

import pandas as pd
import pytest
from PIL import Image
from snakemake.iocontainers import OutputFiles
from support.scripts import run_script

from promptmix.errors import InputError
from promptmix.report import changes as module
from promptmix.report.changes import draw_changes, limits_of, read_changes

BASE, CONTROL, MIXED = "base", "again", "mixed"


def runs(experiment, errors, labels, baseline="", control="", certain=0, in_paper=1, paper=""):
    """Return the rows of a table's CSV: one run for each error."""
    facts = {"scale": "s", "experiment": experiment, **labels, "task": "counting", "baseline": baseline}
    facts |= {"control": control, "in_paper": in_paper, "certain": certain, "paper_mae": paper}
    return [facts | {"repeat": repeat, "mae": error} for repeat, error in errors]


@pytest.fixture
def table(tmp_path):
    """Write a table's CSV, and return what the figure takes of it."""

    def write(rows, name="table1"):
        pd.DataFrame(rows).to_csv(tmp_path / f"{name}.csv", index=False)
        return {"name": name, "csv": tmp_path / f"{name}.csv", "columns": ["Dataset", "k"]}

    return write


@pytest.fixture
def rows():
    """A baseline, PromptMix and its control, and a row that the paper does not have, with runs that have no partner."""
    label = {"Dataset": "SHTB"}
    return [
        *runs(BASE, enumerate([10, 20]), label | {"k": ""}, paper=8),
        *runs(MIXED, enumerate([6, 18, 99]), label | {"k": "1"}, BASE, CONTROL, certain=1, paper=6),
        *runs(CONTROL, enumerate([9, 20]), label | {"k": ""}, BASE, in_paper=0),
        *runs("null", [(1, 23)], label | {"k": "2"}, BASE, in_paper=0),
    ]


def test_changes_are_shares_of_the_baseline_over_common_repeats(rows, table):
    found = read_changes(**table(rows))
    assert found.columns == ["k"]  # Dataset tells nothing apart
    by_name = found.rows.set_index("experiment")
    assert list(by_name.index) == [MIXED, CONTROL, "null"]
    # differences -4 and -2 of 15: -3 ± 12.7062 x sqrt(2) / sqrt(2)
    mixed = by_name.loc[MIXED]
    assert mixed["change"] == pytest.approx(100 * -3 / 15)
    assert (mixed["low"], mixed["high"]) == pytest.approx((100 * -15.7062 / 15, 100 * 9.7062 / 15), rel=1e-5)
    assert mixed["repeats"] == 2 and mixed["paper_change"] == -25 and mixed["measure"] == "MAE"
    assert by_name["certain"].tolist() == [1, 0, 0] and by_name["in_paper"].tolist() == [1, 0, 0]
    # one repeat in common with the baseline's 20
    assert by_name.at["null", "change"] == pytest.approx(15) and by_name.at["null", "repeats"] == 1
    assert by_name.loc["null", ["low", "high", "paper_change"]].isna().all()


def test_a_control_is_on_the_line_of_what_it_controls(rows, table):
    found = read_changes(**table(rows)).rows
    assert found["line"].tolist() == ["1", "1", "2"]
    assert found["control_of"].tolist() == ["", MIXED, ""]


def test_the_only_row_keeps_all_its_cells(rows, table):
    found = read_changes(**table([row for row in rows if row["experiment"] in (BASE, MIXED)]))
    assert found.columns == ["Dataset", "k"] and found.rows["line"].tolist() == ["SHTB · 1"]


def test_experiments_without_common_repeats_have_the_papers_change_alone(table):
    label = {"Dataset": "SHTB", "k": "1"}
    rows = [*runs(BASE, [(0, 10)], label, paper=8), *runs(MIXED, [(1, 9)], label, BASE, paper=6)]
    (row,) = read_changes(**table(rows)).rows.to_dict("records")
    assert math.isnan(row["change"]) and row["repeats"] == 0 and row["paper_change"] == -25


def test_depth_is_scored_by_the_convention(rows, table):
    for row in rows:
        row |= {"task": "depth", "rmse_eigen_pixels": row["mae"], "rmse_full_images": 1, "paper_rmse": row["paper_mae"]}
    found = read_changes(**table(rows), convention="eigen-pixels").rows
    assert found["change"][0] == -20 and found["paper_change"][0] == -25 and found["measure"][0] == "RMSE"


def test_the_scale_holds_all_changes_and_not_all_of_a_long_interval():
    found = pd.DataFrame({"change": [-10.0, 10], "paper_change": [None, -30], "low": [-12, -500], "high": [-8, 31]})
    low, high = limits_of(found)
    assert -60 < low < -50 and 30 < high < 34
    found[["low", "high"]] = math.nan
    low, high = limits_of(found)
    assert -35 < low < -30 and 10 < high < 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [{**row, "mae": 0} for row in rows], "the error of base is 0"),
        (lambda rows: rows[:2], "no experiment with a baseline.*table1"),
        (lambda rows: [{k: v for k, v in row.items() if k != "certain"} for row in rows], "certain missing"),
    ],
)
def test_a_table_without_changes_is_an_error(rows, table, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        draw_changes(tmp_path / "it.png", tmp_path / "it.csv", [table(change(rows))])
    assert not (tmp_path / "it.png").exists()


def test_marks_are_filled_where_certain_and_lines_are_grouped_by_table(rows, table, tmp_path, monkeypatch):
    drawn = []
    save = module.save
    monkeypatch.setattr(module, "save", lambda figure, path: (drawn.append(figure), save(figure, path)))
    one, two = table(rows), table([row for row in rows if row["experiment"] in (BASE, MIXED)], "table4")
    run_script(
        "draw_changes",
        input={"tables": [two["csv"], one["csv"]]},
        output=OutputFiles(fromdict={"png": tmp_path / "it.png", "csv": tmp_path / "it.csv"}),
        params={"columns": {part["name"]: part["columns"] for part in (one, two)}, "convention": None},
    )
    first, second = drawn[0].axes
    assert [ax.get_title("left") for ax in (first, second)] == ["table1, MAE: k", "table4, MAE: Dataset · k"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["1", "2"]
    marks = [line for line in first.lines if line.get_marker() in ("o", "s")]
    assert [line.get_xdata()[0] for line in marks] == pytest.approx([-20, -10 / 3, 15])
    assert [line.get_markerfacecolor() != "white" for line in marks] == [True, False, False]
    assert [line.get_marker() for line in marks] == ["o", "s", "o"]
    assert marks[1].get_color() == marks[2].get_color() != marks[0].get_color()  # not in the paper
    papers = [line.get_xdata()[0] for line in first.lines if line.get_marker() == "d"]
    assert papers[0] == -25 and all(map(math.isnan, papers[1:]))
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == [
        "ours, certain",
        "control",
        "a row that the paper does not have",
        "the paper's",
    ]
    table_of_figure = pd.read_csv(tmp_path / "it.csv", keep_default_na=False)
    assert table_of_figure["table"].tolist() == ["table1"] * 3 + ["table4"]
    with Image.open(tmp_path / "it.png") as image:
        assert image.width == 1400
