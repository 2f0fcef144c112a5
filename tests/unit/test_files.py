import os

import pytest

from promptmix.errors import InputError, did_you_mean
from promptmix.files import replacing, sha256, write_csv


def test_a_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "new" / "table.csv.gz"
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.name.endswith(".csv.gz")
    assert path.read_text() == "half"
    assert os.listdir(path.parent) == ["table.csv.gz"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, failure):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(failure), replacing(path) as temporary:
        temporary.write_text("new")
        raise failure
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "table.csv"):
        pass


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_csv_has_a_header_and_no_row_numbers(tmp_path):
    write_csv(tmp_path / "t.csv", [{"image": "a", "count": 1}, {"image": "b, c", "count": 2.5}])
    assert (tmp_path / "t.csv").read_text() == 'image,count\na,1.0\n"b, c",2.5\n'


def test_did_you_mean_names_the_nearest_or_nothing():
    assert did_you_mean("shtb-captoins", ["shta-captions", "shtb-captions"]) == " Did you mean 'shtb-captions'?"
    assert did_you_mean("xyz", ["shta-captions"]) == ""


def test_an_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)
