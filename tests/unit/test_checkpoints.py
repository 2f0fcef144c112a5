import os
import stat

import pytest
import torch

from promptmix.errors import InputError
from promptmix.networks.build import build
from promptmix.networks.checkpoints import (
    load_network,
    load_weights,
    read_fitting,
    read_metadata,
    read_tensors,
    save_weights,
)


@pytest.fixture
def network():
    torch.manual_seed(1)
    return build("rescsrnet", width=0.1)


def assert_equal(module, state):
    for key, tensor in module.state_dict().items():
        assert tensor.equal(state[key]), key


def test_round_trip(network, tmp_path):
    path = tmp_path / "models" / "rescsrnet.safetensors"
    save_weights(path, network, {"epoch": "7"})
    loaded = load_network("rescsrnet", path, width=0.1)
    assert_equal(loaded, network.state_dict())
    assert not loaded.training
    assert read_metadata(path) == {"epoch": "7"}
    assert os.listdir(path.parent) == [path.name]


def test_a_file_has_the_rights_that_the_umask_leaves(network, tmp_path):
    umask = os.umask(0o022)
    try:
        save_weights(tmp_path / "a.safetensors", network)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o644


def test_a_failure_leaves_the_old_file(network, tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    save_weights(path, network)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_weights(path, {"a": torch.zeros(1)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_half_precision_on_disk_is_full_precision_in_the_network(network, tmp_path):
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_weights(full, network)
    save_weights(half, network, dtype=torch.float16)
    assert half.stat().st_size < 0.6 * full.stat().st_size
    assert read_tensors(half)["frontend.0.weight"].dtype == torch.float16
    assert read_tensors(half)["frontend.1.num_batches_tracked"].dtype == torch.int64
    loaded = load_network("rescsrnet", half, width=0.1)
    for key, tensor in network.state_dict().items():
        assert loaded.state_dict()[key].dtype == tensor.dtype
        torch.testing.assert_close(loaded.state_dict()[key], tensor, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("ending", [".pt", ".pth", ".pth.tar"])
def test_files_of_pytorch_are_read(network, tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    torch.save(network.state_dict(), path)
    assert_equal(load_network("rescsrnet", path, width=0.1), network.state_dict())


def test_pytorch_s_legacy_format_is_read(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert_equal(load_network("rescsrnet", tmp_path / "old.pth", width=0.1), network.state_dict())


def test_views_of_larger_tensors_are_written_alone(tmp_path):
    whole = torch.arange(12.0).reshape(3, 4)
    save_weights(tmp_path / "a.safetensors", {"row": whole[1], "column": whole[:, 2]})
    read = read_tensors(tmp_path / "a.safetensors")
    assert read["row"].tolist() == [4, 5, 6, 7]
    assert read["column"].tolist() == [2, 6, 10]


def test_tensors_that_do_not_fit_are_listed(network, tmp_path):
    state = dict(network.state_dict())
    del state["output_layer.bias"]
    for i in range(7):
        state[f"extra.{i}"] = torch.zeros(1)
    state["output_layer.weight"] = torch.zeros(1, 8, 1, 1)
    path = tmp_path / "a.safetensors"
    save_weights(path, state)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(ValueError) as error:
        load_weights(network, path)
    assert str(error.value) == (
        f"{path} does not fit ResCSRNet.\n"
        f"Of the network's {len(before)} tensors and the file's {len(before) + 6}:\n"
        "  1 missing: output_layer.bias\n"
        "  7 unexpected: extra.0, extra.1, extra.2, extra.3, extra.4, ...\n"
        "  1 of another shape: output_layer.weight is 1x8x1x1 in the file, 1x12x1x1 in the network\n"
        "Is this file a checkpoint of ResCSRNet? If so, check the settings that it was trained with: width."
    )
    assert_equal(network, before)


def test_another_width_is_an_error_that_names_the_setting(network, tmp_path):
    path = tmp_path / "a.safetensors"
    save_weights(path, network)
    with pytest.raises(ValueError, match=r"(?s)of another shape: frontend\.0\.weight is 8x3x7x7 .*: width\."):
        load_network("rescsrnet", path, width=0.25)


def test_a_missing_file_says_where_it_should_be_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        load_network("rescsrnet", "models/rescsrnet.safetensors", width=0.1)
    message = str(error.value)
    assert (
        f"No weights at models/rescsrnet.safetensors (expected at {tmp_path}/models/rescsrnet.safetensors)" in message
    )
    assert "config" in message and "resources/models" in message
    with pytest.raises(InputError, match="SHHA.pth and SHHB.pth are in the Google Drive folder"):
        load_network("sasnet", "SHHA.pth", width=0.1)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
@pytest.mark.parametrize("content", [b"", b"\x00no weights", b"\x80\x02not a pickle", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_an_error_that_names_it(network, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} is damaged") as error:
        load_weights(network, tmp_path / name)
    assert "weights_only" not in str(error.value)  # PyTorch advises to load it in spite of all


def test_a_truncated_file_is_damaged(network, tmp_path):
    save_weights(tmp_path / "a.safetensors", network)
    torch.save(network.state_dict(), tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=f"{name} is damaged"):
            load_weights(network, tmp_path / name)


class Payload:
    def __reduce__(self):
        return (os.system, ("touch executed",))


def test_nothing_in_a_file_is_executed(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Payload()}, "a.pth")
    with pytest.raises(ValueError, match="refused, and nothing in it was run: reading it would run code"):
        load_weights(network, "a.pth")
    assert not (tmp_path / "executed").exists()


def test_something_else_than_tensors_by_key(network, tmp_path):
    torch.save({"epoch": 3, "weights": [1, 2]}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="holds a dict of epoch, weights"):
        load_weights(network, tmp_path / "a.pth")
    torch.save({"model": {0: torch.zeros(1)}, "epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"tensors by key, .* holds a dict of model \(0\), epoch"):
        load_weights(network, tmp_path / "a.pth")
    torch.save([1, 2], tmp_path / "a.pth")
    with pytest.raises(ValueError, match="holds list"):
        load_weights(network, tmp_path / "a.pth")


def test_a_file_that_fits_is_told_from_one_that_does_not_without_the_network(network, tmp_path):
    save_weights(tmp_path / "a.safetensors", network)
    read_fitting("rescsrnet", tmp_path / "a.safetensors", width=0.1)
    with pytest.raises(InputError, match=r"(?s)does not fit ResCSRNet\..*check the settings .*: width\."):
        read_fitting("rescsrnet", tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"No weights at .*b\.safetensors"):
        read_fitting("rescsrnet", tmp_path / "b.safetensors", width=0.1)


def test_weights_that_are_one_in_the_network_are_one_in_a_check_too(tmp_path):
    settings = {"gpt": {"vocab_size": 11, "n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2}}
    save_weights(tmp_path / "a.safetensors", build("clipcap", **settings))
    assert "gpt.lm_head.weight" not in read_tensors(tmp_path / "a.safetensors")
    read_fitting("clipcap", tmp_path / "a.safetensors", **settings)


def test_other_endings_and_metadata_that_is_no_text(network, tmp_path):
    (tmp_path / "a.onnx").touch()
    with pytest.raises(ValueError, match=r"end in \.safetensors, \.pt, \.pth, \.pth\.tar"):
        load_weights(network, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        save_weights(tmp_path / "a.pth", network)
    with pytest.raises(TypeError, match="metadata is text, and 'epoch' is 3"):
        save_weights(tmp_path / "a.safetensors", network, {"epoch": 3})


def test_older_names_of_tensors_are_understood(tmp_path):
    class Renamed(torch.nn.Linear):
        renamed_keys = {r"old\.": ""}

    network, path = Renamed(2, 3), tmp_path / "old.pth"
    torch.save({"old.weight": torch.ones(3, 2), "bias": torch.zeros(3)}, path)
    load_weights(network, path)
    assert network.weight.sum() == 6


def test_equal_weights_make_equal_files(network, tmp_path):
    """safetensors writes metadata in another order each time, and what goes by the contents would see a change."""
    metadata = {name: f'{name}é\\"' for name in ("network", "settings", "epoch", "val_error", "source", "licence")}
    contents = set()
    for _ in range(5):
        save_weights(tmp_path / "a.safetensors", network, metadata)
        contents.add((tmp_path / "a.safetensors").read_bytes())
    assert len(contents) == 1
    assert read_metadata(tmp_path / "a.safetensors") == metadata
    assert_equal(load_network("rescsrnet", tmp_path / "a.safetensors", width=0.1), network.state_dict())
    with open(tmp_path / "a.safetensors", "rb") as file:
        assert int.from_bytes(file.read(8), "little") % 8 == 0
