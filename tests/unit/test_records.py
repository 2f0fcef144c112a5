"""Records: what is written is read as it was, and what is not of the kind is named with the command that makes it."""

import importlib
import pkgutil

import numpy as np
import pandas as pd
import pytest

from promptmix import records
from promptmix.errors import InputError
from promptmix.records.record import Record

FRUIT = Record("a list of fruit", {"name": (str, "of the fruit"), "count": (int, "pieces"), "mass": (float, "kg")})
SUMS = Record("sums", {"name": (str, "of the fruit")}, others=True)

TEXTS = ["apple", "", "007", "1e-3", "NA", "null", "nan", "True", 'a, "b"', "two\nlines", " space ", "žluťoučký"]


def rows(*names):
    return [{"name": name, "count": i, "mass": i / 2} for i, name in enumerate(names)]


@pytest.mark.parametrize("kind", [list, pd.DataFrame])
def test_text_stays_text_and_numbers_stay_numbers(tmp_path, kind):
    FRUIT.write(tmp_path / "a.csv", kind(rows(*TEXTS)))
    frame = FRUIT.read(tmp_path / "a.csv")
    assert frame["name"].tolist() == TEXTS
    assert frame["count"].tolist() == list(range(len(TEXTS))) and frame["count"].dtype == np.int64
    assert frame["mass"].dtype == np.float64


def test_an_unknown_float_is_written_empty_and_read_as_nan(tmp_path):
    FRUIT.write(tmp_path / "a.csv", [{"name": "", "count": 1, "mass": None}, {"name": "b", "count": 2, "mass": np.inf}])
    assert (tmp_path / "a.csv").read_text().splitlines()[1] == ",1,"
    assert FRUIT.read(tmp_path / "a.csv")["mass"].tolist() == pytest.approx([np.nan, np.inf], nan_ok=True)


def test_only_the_columns_of_the_kind_are_written_in_their_order(tmp_path):
    FRUIT.write(tmp_path / "a.csv", [{"mass": 0.5, "colour": "red", "count": 3, "name": "apple"}])
    assert (tmp_path / "a.csv").read_text() == "name,count,mass\napple,3,0.5\n"


def test_further_columns_are_numbers_where_the_kind_has_some(tmp_path):
    SUMS.write(tmp_path / "a.csv", [{"x": 1, "name": "7", "y": np.nan}, {"x": 2, "name": "8", "y": 0.5}])
    frame = SUMS.read(tmp_path / "a.csv")
    assert list(frame.columns) == ["name", "x", "y"]
    assert frame["name"].tolist() == ["7", "8"]
    assert frame[["x", "y"]].sum().tolist() == [3, 0.5]
    (tmp_path / "b.csv").write_text("name,count,mass,colour\napple,3,0.5,red\n")
    assert list(FRUIT.read(tmp_path / "b.csv").columns) == ["name", "count", "mass"]


@pytest.mark.parametrize("nothing", [[], pd.DataFrame()])
def test_there_can_be_no_rows(tmp_path, nothing):
    FRUIT.write(tmp_path / "a.csv", nothing)
    frame = FRUIT.read(tmp_path / "a.csv")
    assert frame.empty and list(frame.columns) == list(FRUIT.columns)
    assert pd.concat([frame, pd.DataFrame(rows("a"))], ignore_index=True).dtypes["count"] == np.int64


def test_a_missing_column_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="a list of fruit needs name, count, mass; missing: count, mass"):
        FRUIT.write(tmp_path / "a.csv", [{"name": "apple"}])
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; expected a list of fruit. Make it"),
        ("", "is empty; expected a list of fruit. Delete it"),
        ("name,mass\na,1\n", "not a list of fruit: missing columns: count; found: name, mass. Delete it"),
        ("name,count,mass\na,many,1\n", "not a list of fruit: .*many.*Delete it"),
        ("name,count,mass\na,,1\n", "not a list of fruit: .*Delete it"),
        ("name,count,mass\na,1,2,3\nb,1,2,3,4,5\n", "not a list of fruit: .*Delete it"),
        (b"\xff\xfe\x00", "not a list of fruit: .*Delete it"),
    ],
)
def test_what_is_not_of_the_kind_is_an_error_with_the_command(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=rf"^a\.csv: .*{message}.* `snakemake a\.csv`"):
        FRUIT.read("a.csv")


def test_a_column_means_one_thing_in_all_kinds():
    modules = [importlib.import_module(f"{records.__name__}.{m.name}") for m in pkgutil.iter_modules(records.__path__)]
    found = {id(kind): kind for module in modules for kind in vars(module).values() if isinstance(kind, Record)}
    kinds = list(found.values())
    assert len(kinds) == 17
    for name in ("image", "stem", "pool", "prompt_number", "experiment", "learning_rate", "repeat", "sha256"):
        assert len({kind.columns[name][0] for kind in kinds if name in kind.columns}) == 1
    assert {name for kind in kinds for name in kind.columns if name in ("image", "file", "stem")} == {
        *("image", "file", "stem")
    }
    assert not any({"image", "file"} <= set(kind.columns) for kind in kinds)
