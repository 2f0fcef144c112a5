import errno
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from promptmix import files
from promptmix.errors import InputError, did_you_mean
from promptmix.files import clear_leftovers, no_room, replacing, sha256, write_csv


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


def test_what_killed_jobs_have_left_of_a_file_is_removed_and_nothing_else(tmp_path):
    mine, others = tmp_path / "block-000.h5", tmp_path / "block-001.h5"
    killed = [replacing(path) for path in (mine, others)]
    for path, write in zip((mine, others), killed):
        write.__enter__().write_text("half")
        path.with_name(f".{path.name}.part").touch()
    assert len(os.listdir(tmp_path)) == 4
    clear_leftovers([mine, tmp_path / "not" / "there.csv"])
    left = [re.sub(r"^\.[0-9a-f]{8}\.", "half ", name) for name in os.listdir(tmp_path)]
    assert sorted(left) == [".block-000.h5.part", ".block-001.h5.part", "half block-001.h5"]


def limited(code):
    """Run code in a process whose files may have at most 100 kB, as on a full disk, and return what it prints."""
    script = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n" + textwrap.dedent(code)
    environment = os.environ | {"PYTHONPATH": str(Path(files.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)


def test_every_writer_reports_that_there_is_no_room_and_leaves_nothing(tmp_path):
    """Tables, arrays, HDF5, images, torch's states, weights: each has an error of its own."""
    done = limited(f"""
        import os
        from pathlib import Path
        import numpy as np, pandas as pd, torch
        from promptmix import files
        from promptmix.synthesis import maps
        from promptmix.networks import checkpoints
        many = np.random.default_rng(0).random(100_000, dtype=np.float32)
        folder = Path({str(tmp_path)!r})

        def through(write, name="file"):
            with files.replacing(folder / name) as temporary, open(temporary, "wb") as file:
                write(file)

        writers = {{
            "table": lambda: files.write_csv(folder / "a.csv", pd.DataFrame({{"a": many}})),
            "bytes": lambda: through(lambda file: file.write(many.tobytes())),
            "array": lambda: through(lambda file: np.save(file.name, many), "a.npy"),
            "state": lambda: through(lambda file: torch.save({{"a": torch.from_numpy(many)}}, file)),
            "maps": lambda: maps.write_maps(
                folder / "a.h5", (maps.Annotation(str(i), many[:100].reshape(10, 10), 80, 80) for i in range(300)), 8, "me"
            ),
            "weights": lambda: checkpoints.save_weights(folder / "a.safetensors", {{"a": torch.from_numpy(many)}}),
        }}
        for name, write in writers.items():
            try:
                write()
            except Exception as error:
                print(name, files.no_room(error), os.listdir(folder))
    """)
    reasons = {"array": "No space left on device"}  # numpy does not say why
    names = ("table", "bytes", "array", "state", "maps", "weights")
    assert done.stdout.splitlines() == [f"{name} {reasons.get(name, 'File too large')} []" for name in names]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_distinguished_from_other_errors(number):
    assert no_room(OSError(number, os.strerror(number))) == os.strerror(number)
    outer = RuntimeError("the library has failed")
    outer.__cause__ = OSError(number, os.strerror(number))
    assert no_room(outer) == os.strerror(number)
    assert no_room(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))) is None
