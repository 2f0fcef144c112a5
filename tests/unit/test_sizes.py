"""The figure of errors by the number of people: bins, errors in them, and what is drawn."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from snakemake.iocontainers import OutputFiles
from support.scripts import run_script

from promptmix.errors import InputError
from promptmix.report import sizes as module
from promptmix.report.sizes import bins_of, errors_by_size

COUNTS = [1, 2, 3, 4, 5, 6, 7, 100]


@pytest.fixture
def write(tmp_path):
    """Write predictions with these errors: of each repeat a number, or a list with that of each image."""

    def predictions(name, errors, counts=COUNTS):
        frames = []
        for repeat, error in enumerate(errors):
            frame = pd.DataFrame({"image": [f"{i}" for i in range(len(counts))], "count": counts, "error": error})
            frame = frame.assign(experiment=name, learning_rate="1e-3", repeat=repeat)
            frames.append(frame.assign(predicted=frame["count"] + frame["error"])[::-1])
        path = tmp_path / name / "predictions.csv"
        path.parent.mkdir(exist_ok=True)
        pd.concat(frames).to_csv(path, index=False)
        return path

    return predictions


@pytest.mark.parametrize(
    ("counts", "bins"),
    [
        (COUNTS, [0, 0, 1, 1, 2, 2, 3, 3]),
        (COUNTS[::-1], [3, 3, 2, 2, 1, 1, 0, 0]),
        ([5], [0]),
        ([7, 7, 7], [0, 0, 0]),
        ([0, 0, 0, 0, 0, 9], [0, 0, 0, 0, 0, 1]),  # no empty bins
        ([1, 2, 3], [0, 1, 2]),
        ([1, 2, 3, 4, 5], [0, 0, 1, 2, 3]),  # quartiles 2, 3, 4
    ],
)
def test_bins_are_divided_by_quartiles(counts, bins):
    assert bins_of(np.array(counts, float)).tolist() == bins


def test_errors_are_means_over_a_bins_images_and_then_over_repeats(write):
    files = {"baseline": write("base", [[1, -3, 0, 0, 2, 2, 10, -20], 4]), "promptmix": write("mixed", [1])}
    found = errors_by_size(files)
    assert found["method"].tolist() == ["baseline"] * 4 + ["promptmix"] * 4
    assert found["experiment"].tolist() == ["base"] * 4 + ["mixed"] * 4
    assert list(zip(found["fewest"], found["most"]))[:4] == [(1, 2), (3, 4), (5, 6), (7, 100)]
    assert found["images"].tolist() == [2] * 8 and found["repeats"].tolist() == [2] * 4 + [1] * 4
    assert found["mae"].tolist() == [(2 + 4) / 2, 2, 3, (15 + 4) / 2, 1, 1, 1, 1]
    assert found["mae_lowest"].tolist()[:4] == [2, 0, 2, 4] and found["mae_highest"].tolist()[:4] == [4, 4, 4, 15]


@pytest.mark.parametrize("counts", [COUNTS[:-1], [*COUNTS[:-1], 101]])
def test_other_test_images_are_an_error(write, counts):
    files = {"baseline": write("base", [1]), "promptmix": write("mixed", [1], counts)}
    with pytest.raises(InputError, match=r"mixed/predictions\.csv: other images or true counts than in .*base"):
        errors_by_size(files)


def test_an_image_that_a_repeat_lacks_is_an_error(write):
    path = write("base", [1, 2])
    frame = pd.read_csv(path)
    frame[:-1].to_csv(path, index=False)
    with pytest.raises(InputError, match="each once in each repeat"):
        errors_by_size({"baseline": path})


def test_predictions_without_any_are_an_error(write):
    path = write("base", [1])
    pd.read_csv(path)[:0].to_csv(path, index=False)
    with pytest.raises(InputError, match="no predictions"):
        errors_by_size({"baseline": path})


def test_each_row_is_a_panel_with_a_line_per_method(write, tmp_path, monkeypatch):
    drawn = []
    save = module.save
    monkeypatch.setattr(module, "save", lambda figure, path: (drawn.append(figure), save(figure, path)))
    files = [write("base", [1, 3]), write("mixed", [1, 2]), write("again", [2]), write("other", [5], [7, 7, 70])]
    rows = [("SHTB, CSRNet", {"baseline": "base", "control": "again", "promptmix": "mixed"})]
    rows.append(("SHTA", {"baseline": "other"}))
    run_script(
        "draw_sizes",
        input={"predictions": files},
        output=OutputFiles(fromdict={"png": tmp_path / "it.png", "csv": tmp_path / "it.csv"}),
        params={"rows": rows},
    )
    one, two = drawn[0].axes
    assert [ax.get_title() for ax in (one, two)] == ["SHTB, CSRNet", "SHTA"]
    assert [list(line.get_ydata()) for line in one.lines] == [[2] * 4, [2] * 4, [1.5] * 4]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["baseline", "control", "PromptMix"]
    assert [text.get_text() for text in one.get_xticklabels()] == ["1–\n2", "3–\n4", "5–\n6", "7–\n100"]
    assert [text.get_text() for text in two.get_xticklabels()] == ["7", "70"]
    assert one.get_ylim()[0] == two.get_ylim()[0] == 0
    table = pd.read_csv(tmp_path / "it.csv")
    assert table["row"].tolist() == ["SHTB, CSRNet"] * 12 + ["SHTA"] * 2
    with Image.open(tmp_path / "it.png") as image:
        assert image.width == 1400
