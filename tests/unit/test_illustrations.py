"""Illustrations of tables: training curves of the chosen learning rate."""

import json

import pytest
from PIL import Image

from promptmix.errors import InputError
from promptmix.report import illustrations
from promptmix.report.illustrations import draw_curves
from promptmix.report.style import MARKS


def run_of(folder, title, errors, chosen="1e-3", network="CSRNet", method="baseline"):
    histories = []
    for rate, rows in errors.items():
        histories.append(folder / f"{title}-{rate}.csv")
        lines = [f"{title},{rate},0,{i},0.1,{i},{error},6,0,2,0.1" for i, error in enumerate(rows, 1)]
        head = "experiment,learning_rate,repeat,epoch,lr,loss,val_error,images,generated,updates,seconds"
        histories[-1].write_text("\n".join([head, *lines]) + "\n")
    selection = folder / f"{title}.json"
    selection.write_text(json.dumps({"learning_rate": chosen}))
    return {"title": title, "network": network, "method": method, "selection": selection, "histories": histories}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved."""
    figures, save = [], illustrations.save
    monkeypatch.setattr(illustrations, "save", lambda figure, path: (figures.append(figure), save(figure, path)))
    return figures


def test_the_curves_are_of_the_chosen_learning_rate_where_it_was_validated(tmp_path, drawn):
    runs = [
        run_of(tmp_path, "baseline", {"1e-3": [5, "", 3], "1e-4": [1, 1, 1]}),
        run_of(tmp_path, "b", {"1e-3": [4, 2]}),
    ]
    draw_curves(tmp_path / "curves.png", runs, "counting")
    loss, error = drawn[0].axes
    assert [list(line.get_ydata()) for line in error.lines] == [[5, 3], [4, 2]]
    assert [list(line.get_xdata()) for line in error.lines] == [[1, 3], [1, 2]]
    assert [line.get_label() for line in loss.lines] == ["baseline", "b"]
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 1000
    with pytest.raises(InputError, match="1e-5"):
        draw_curves(tmp_path / "none.png", [run_of(tmp_path, "c", {"1e-3": [1]}, "1e-5")], "depth")


def test_each_network_has_axes_of_its_own_and_each_method_its_colour(tmp_path, drawn):
    methods = ("baseline", "promptmix", "control")
    runs = [
        run_of(tmp_path, f"{network} {method}", {"1e-3": [3, 2, 1]}, network=network, method=method)
        for method in methods
        for network in ("ResCSRNet", "CSRNet")
    ]
    draw_curves(tmp_path / "curves.png", runs, "counting")
    for network, axes in zip(("ResCSRNet", "CSRNet"), (drawn[0].axes[:2], drawn[0].axes[2:]), strict=True):
        for ax in axes:
            assert [line.get_label() for line in ax.lines] == [f"{network} {method}" for method in methods]
            assert [line.get_color() for line in ax.lines] == [MARKS[method][0] for method in methods]


def test_several_experiments_of_a_method_have_a_colour_each(tmp_path, drawn):
    runs = [run_of(tmp_path, f"k {k}", {"1e-3": [k]}, method="promptmix") for k in range(12)]
    draw_curves(tmp_path / "curves.png", runs, "counting")
    assert len({tuple(line.get_color()) for line in drawn[0].axes[0].lines}) == 12
