"""Files of weights as people really have them: extras, wrappers, averages, odd numbers, other files in their place."""

import argparse
import bz2
import collections
import datetime
import decimal
import fractions
import gzip
import io
import logging
import lzma
import os
import pathlib
import pickle
import tarfile
import types
import uuid
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from promptmix.errors import InputError
from promptmix.networks.checkpoints import load_weights, read_metadata, read_tensors, save_weights


class Net(nn.Module):
    """Two layers and a normalisation; `filled` gives it numbers of its own."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Conv2d(4, 1, 1)


def filled(seed=1):
    torch.manual_seed(seed)
    return Net()


def assert_loads(path, expected=None):
    """Check that a file's weights are those of a network, by default `filled()`."""
    network, expected = Net(), (expected or filled()).state_dict()
    load_weights(network, path)
    for key, tensor in network.state_dict().items():
        assert tensor.equal(expected[key].to(tensor.dtype)), key


def save(content, path):
    """Save in the format that the path's ending names."""
    if path.suffix == ".safetensors":
        save_file({key: tensor.clone() for key, tensor in content.items()}, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization="legacy" not in path.name)


def renamed(new):
    return {new(key): tensor for key, tensor in filled().state_dict().items()}


# --- Beside the weights ---

EXTRAS = {
    "numpy scalars": [np.float64(61.2), np.float32(1), np.int64(3), np.bool_(True)],
    "numpy arrays": np.arange(6.0).reshape(2, 3),
    "types of numpy": {"dtype": np.dtype("f4"), "kind": np.float32},
    "random state": np.random.get_state(),
    "argparse.Namespace": argparse.Namespace(lr=1e-3, out=pathlib.Path("a/b"), best=np.float64(2)),
    "paths": [pathlib.Path("a"), pathlib.PurePosixPath("b"), pathlib.PureWindowsPath("c:/d")],
    "dates": [datetime.datetime(2020, 1, 2), datetime.date(2020, 1, 2), datetime.timedelta(3), datetime.UTC],
    "numbers": [decimal.Decimal("1.5"), fractions.Fraction(1, 3), 3 + 4j],
    "collections": [
        collections.OrderedDict(a=1),
        collections.defaultdict(list, a=[1], b=[2, 3]),
        collections.Counter("abc"),
        collections.deque([1, 2, 3], maxlen=5),
    ],
    "others": [
        types.SimpleNamespace(a=1),
        uuid.uuid4(),
        frozenset({1}),
        {1, 2},
        slice(1, 2),
        range(3),
        bytearray(b"a"),
    ],
    "torch's": [torch.Size([1]), torch.float32, torch.device("cpu"), torch.torch_version.TorchVersion("2.1.0")],
    "an optimiser": torch.optim.Adam(filled().parameters()).state_dict(),
}


@pytest.mark.parametrize("name", ["a.pth", "legacy.pth"])
@pytest.mark.parametrize("extra", EXTRAS.values(), ids=EXTRAS)
def test_harmless_objects_beside_weights_are_left_out(extra, name, tmp_path, caplog):
    save({"state_dict": filled().state_dict(), "best_mae": extra}, tmp_path / name)
    with caplog.at_level(logging.INFO):
        assert_loads(tmp_path / name)
    assert "weights are under 'state_dict'; left out: best_mae" in caplog.text


def test_extras_may_lie_among_the_tensors(tmp_path):
    save(filled().state_dict() | {"epoch": 3, "mae": np.float64(7)}, tmp_path / "a.pth")
    assert_loads(tmp_path / "a.pth")


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [os.mkdir, pathlib.Path.mkdir, np.save, torch.save, getattr, eval, print])
def test_a_call_of_a_function_is_refused_and_nothing_is_run(function, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save({"state_dict": filled().state_dict(), "args": [np.float64(1), Call(function, "made")]}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth is refused, and nothing in it was run.* state_dict"):
        load_weights(Net(), tmp_path / "a.pth")
    assert os.listdir(tmp_path) == ["a.pth"]


def test_what_stands_for_an_object_is_not_the_object(tmp_path):
    """A constructor with an effect, had it been called, would have been seen."""
    save({"state_dict": filled().state_dict(), "time": Call(datetime.datetime, "no date")}, tmp_path / "a.pth")
    assert_loads(tmp_path / "a.pth")


# --- Prefixes and nests ---

PREFIXES = [
    "module.",
    "model.",
    "_orig_mod.",
    "net.",
    "network.",
    "module._orig_mod.",
    "model.module.",
    "whatever.net.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_wraps_a_network_is_taken_from_its_keys_in_all_formats(prefix, name, tmp_path):
    save(renamed(lambda key: prefix + key), tmp_path / name)
    assert_loads(tmp_path / name)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("wrapper", ["module", "_orig_mod"])
def test_parts_of_a_network_may_be_wrapped(wrapper, name, tmp_path):
    save(renamed(lambda key: key.replace("body.", f"body.{wrapper}.")), tmp_path / name)
    assert_loads(tmp_path / name)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_averages_of_torch_itself(name, tmp_path):
    save(AveragedModel(filled()).state_dict(), tmp_path / name)
    assert_loads(tmp_path / name)
    save(AveragedModel(nn.DataParallel(filled())).state_dict(), tmp_path / name)
    assert_loads(tmp_path / name)


NESTS = [
    "net",
    "network",
    "ema",
    "model",
    "state_dict",
    "model_state_dict",
    "params_ema",
    "weights",
    "netG",
    "my own name",
]


@pytest.mark.parametrize("nest", NESTS)
def test_weights_may_lie_in_a_dict_of_any_name(nest, tmp_path):
    save({"epoch": 3, nest: filled().state_dict()}, tmp_path / "a.pth")
    assert_loads(tmp_path / "a.pth")
    save({"checkpoint": {nest: {f"module.{k}": v for k, v in filled().state_dict().items()}}}, tmp_path / "a.pth")
    assert_loads(tmp_path / "a.pth")
    save((3, filled().state_dict()), tmp_path / "a.pth")
    assert_loads(tmp_path / "a.pth")


def test_a_loss_beside_the_network_is_left_out_and_said(tmp_path, caplog):
    state = renamed(lambda key: f"model.{key}") | {"criterion.weight": torch.ones(3)}
    save({"state_dict": state, "hyper_parameters": {"lr": 1}}, tmp_path / "lightning.ckpt")
    with caplog.at_level(logging.INFO):
        assert_loads(tmp_path / "lightning.ckpt")
    assert "weights are under 'state_dict.model'; left out: hyper_parameters, criterion.*" in caplog.text


def test_a_network_with_an_attribute_of_a_wrapper_s_name_keeps_it(tmp_path):
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)
            self.model = nn.Linear(2, 2)

    for name in ("a.pth", "a.safetensors"):
        network = Inner()
        save({f"module.{key}": tensor for key, tensor in network.state_dict().items()}, tmp_path / name)
        loaded = Inner()
        load_weights(loaded, tmp_path / name)
        assert loaded.module.weight.equal(network.module.weight) and loaded.model.weight.equal(network.model.weight)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("prefix", ["", "module.", "net.model."])
def test_the_check_is_as_strict_after_it(prefix, name, tmp_path):
    state = renamed(lambda key: prefix + key)
    state[f"{prefix}more.weight"] = state.pop(f"{prefix}head.weight")
    save(state, tmp_path / name)
    with pytest.raises(
        InputError, match=r"(?s)does not fit Net\..*1 missing: head\.weight\n *1 unexpected: more\.weight"
    ):
        load_weights(Net(), tmp_path / name)


# --- Averaged weights ---


@pytest.mark.parametrize("raw", ["state_dict", "params", "model"])
@pytest.mark.parametrize(
    "averaged", ["params_ema", "ema", "model_ema", "ema_state_dict", "state_dict_ema", "swa_model"]
)
def test_averaged_weights_are_preferred_and_it_is_said(raw, averaged, tmp_path, caplog):
    save({raw: filled(2).state_dict(), averaged: filled().state_dict()}, tmp_path / "a.pth")
    assert_loads(tmp_path / "a.pth")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"averaged weights, '{averaged}'" in warning and f"not '{raw}'" in warning


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_averaged_weights_may_have_a_prefix(name, tmp_path, caplog):
    raw = {f"online_model.{key}": tensor for key, tensor in filled(2).state_dict().items()}
    state = raw | renamed(lambda key: f"ema_model.{key}") | {"initted": torch.tensor(True), "step": torch.tensor(7)}
    save(state, tmp_path / name)
    assert_loads(tmp_path / name)
    assert "'ema_model'" in caplog.text and "'online_model'" in caplog.text


def test_averaged_weights_that_do_not_fit_are_not_taken_and_it_is_said(tmp_path, caplog):
    ema = dict(filled(2).named_parameters())
    ema.pop("head.bias")
    save({"model": filled().state_dict(), "ema": {k: v.detach() for k, v in ema.items()}}, tmp_path / "a.pth")
    assert_loads(tmp_path / "a.pth")
    assert "averaged weights, ema, do not fit and were not taken; 'model' were" in caplog.text


def test_two_sets_that_fit_are_an_error_unless_they_are_equal(tmp_path):
    save({"state_dict": filled().state_dict(), "best": filled(2).state_dict()}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"2 sets of weights that fit Net.*'state_dict', 'best'.* a file of its own"):
        load_weights(Net(), tmp_path / "a.pth")
    save({"state_dict": filled().state_dict(), "best": filled().state_dict()}, tmp_path / "a.pth")
    assert_loads(tmp_path / "a.pth")


# --- Odd numbers ---


def with_head(change):
    state = filled().state_dict()
    state["head.weight"] = change(state["head.weight"])
    return state


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "bool", "complex64", "float8_e4m3fn", "float8_e5m2"])
def test_numbers_that_are_not_the_weights_themselves_are_refused(kind, name, tmp_path):
    save(with_head(lambda weight: (100 * weight).to(getattr(torch, kind))), tmp_path / name)
    with pytest.raises(InputError, match=rf"does not fit Net\.(?s:.*)head\.weight \({kind}, and float32 is needed"):
        load_weights(Net(), tmp_path / name)


@pytest.mark.filterwarnings("ignore")
def test_quantised_and_sparse_weights_are_refused(tmp_path):
    quantised = with_head(lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8))
    for state in (quantised, with_head(lambda weight: weight.to_sparse())):
        save(state, tmp_path / "a.pth")
        with pytest.raises(InputError, match=r"head\.weight \(.*float32 is needed, not quantised or sparse"):
            load_weights(Net(), tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_real_numbers_are_converted(kind, name, tmp_path):
    expected = filled().to(kind)
    save(expected.state_dict(), tmp_path / name)
    assert_loads(tmp_path / name, expected)
    counts = {key: tensor.to(kind) for key, tensor in expected.state_dict().items()}  # batches counted in halves
    save(counts, tmp_path / name)
    assert_loads(tmp_path / name, expected)


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("head.weight", float("nan")),
        ("head.bias", float("inf")),
        ("head.weight", 1e300),
        ("body.1.running_var", float("nan")),
    ],
)
def test_weights_that_are_not_finite_are_refused(number, key, tmp_path):
    state = filled().state_dict()
    state[key] = torch.full(state[key].shape, number, dtype=torch.float64)
    save(state, tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=rf"{key} \(NaN"):
        load_weights(Net(), tmp_path / "a.safetensors")


def test_a_number_that_is_too_large_for_half_precision_is_saved_in_full(tmp_path):
    network = filled()
    network.body[1].running_var[0] = 1e5
    save_weights(tmp_path / "a.safetensors", network, dtype=torch.float16)
    held = read_tensors(tmp_path / "a.safetensors")
    assert held["body.1.running_var"].equal(network.body[1].running_var)
    assert held["head.weight"].dtype == torch.float16


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.lm_head = nn.Embedding(3, 4), nn.Linear(4, 3, bias=False)
        self.lm_head.weight = self.wte.weight


def test_one_tensor_under_two_keys_has_one_value(tmp_path):
    numbers = torch.arange(12.0).reshape(3, 4)
    for held in (
        {"wte.weight": numbers},
        {"lm_head.weight": numbers},
        dict.fromkeys(("wte.weight", "lm_head.weight"), numbers),
    ):
        save(held, tmp_path / "a.safetensors")
        network = Tied()
        load_weights(network, tmp_path / "a.safetensors")
        assert network.wte.weight.equal(numbers)
    save({"wte.weight": numbers, "lm_head.weight": numbers + 1}, tmp_path / "a.pth")
    with pytest.raises(
        InputError, match=r"wte\.weight and lm_head\.weight are one tensor .* two with different numbers"
    ):
        load_weights(Tied(), tmp_path / "a.pth")


def test_an_old_and_a_new_name_of_one_tensor_have_one_value(tmp_path):
    class Renamed(nn.Linear):
        renamed_keys = {r"old\.": ""}

    state = {"old.weight": torch.ones(3, 2), "weight": torch.zeros(3, 2), "bias": torch.zeros(3)}
    save(state, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"old\.weight and weight are both weight of Renamed, and differ"):
        load_weights(Renamed(2, 3), tmp_path / "a.pth")


# --- Other files in their place ---


def pth():
    content = io.BytesIO()
    torch.save(filled().state_dict(), content)
    return content.getvalue()


def tar(mode):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as opened:
        member = tarfile.TarInfo("models/best.pth")
        member.size = len(pth())
        opened.addfile(member, io.BytesIO(pth()))
    return content.getvalue()


def zipped(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for name, data in files.items():
            opened.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return content.getvalue()


FOUND = {
    "zip": (zipped(models__best_dot_pth=pth(), README=b"a"), r"is a zip archive.* holds models/best\.pth\..*unzip"),
    "tar": (tar("w"), r"is a tar archive.* holds models/best\.pth\..*tar -xf"),
    "tar.gz": (tar("w:gz"), r"is a tar archive.* holds models/best\.pth\..*tar -xf"),
    "gzip": (gzip.compress(pth()), "is compressed by gzip.*gzip -d"),
    "bzip2": (bz2.compress(pth()), "is compressed by bzip2.*bzip2 -d"),
    "xz": (lzma.compress(pth()), "is compressed by xz.*xz -d"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(90), "is a 7z archive.*7z x"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(90), "is a RAR archive.*unrar x"),
    "npz": (zipped(a_dot_npy=b"a"), "arrays of numpy's"),
    "npy": (b"\x93NUMPY\x01\x00" + bytes(90), "array of numpy's"),
    "Keras": (b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file.*state_dict"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0" + bytes(range(256)), "ONNX's.* state_dict"),
    "exported": (zipped(a__archive_format=b"pt2", a__models__model_dot_json=b"{}"), "torch.export"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:16\nsize 8\n", "git lfs pull"),
    "annex": (b"/annex/objects/SHA256E-s86005202--16ef954a.pth\n", r"pointer of git-annex.*git annex get a\."),
    "annex, link": (b"../.git/annex/objects/zx/9k/SHA256E-s8--1.pth/SHA256E-s8--1.pth", r"git annex get a\."),
    "page": (b"<!DOCTYPE html><html><title>Sign in</title>", "is a web page.*'Sign in'"),
    "JSON": (b'{"message": "Not Found"}', "is JSON that begins '{.*Not Found.*Fetch the file itself"),
    "index": (b'{"metadata": {}, "weight_map": {"a": "model-1-of-2.safetensors"}}', "index of weights .*in several"),
    "DVC": (b"outs:\n- md5: a304afb96060aad90176268345e10355\n  path: a.pth\n", "is text that begins 'outs:'"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(90), "is a picture"),
}


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.pth.tar"])
@pytest.mark.parametrize(("content", "message"), FOUND.values(), ids=FOUND)
def test_another_file_is_called_what_it_is(content, message, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^{tmp_path}/{name} .*{message}") as error:
        load_weights(Net(), tmp_path / name)
    assert "damaged" not in str(error.value)


def test_contents_say_what_a_file_is_and_not_its_ending(tmp_path):
    save(filled().state_dict(), tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").rename(tmp_path / "safe.pth")
    assert_loads(tmp_path / "safe.pth")
    for name in ("a.pth", "legacy.pth"):
        save(filled().state_dict(), tmp_path / name)
        (tmp_path / name).rename(tmp_path / "pickled.safetensors")
        assert_loads(tmp_path / "pickled.safetensors")
    assert read_metadata(tmp_path / "pickled.safetensors") == {}


def test_a_pickle_of_another_protocol_is_no_text(tmp_path):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": 1}, 0))
    with pytest.raises(InputError, match=r"a\.pth is damaged .* or reading it would run code"):
        load_weights(Net(), tmp_path / "a.pth")


def test_links_and_folders_are_called_what_they_are(tmp_path):
    (tmp_path / "a.pth").symlink_to("../.git/annex/objects/zx/9k/SHA256E-s8--1.pth")
    with pytest.raises(InputError, match=r"a\.pth is a link to .*, which does not exist; run `git annex get a\.pth`"):
        load_weights(Net(), tmp_path / "a.pth")
    (tmp_path / "b.pth").symlink_to("elsewhere.pth")
    with pytest.raises(
        InputError, match=r"b\.pth is a link to elsewhere\.pth, which does not exist; put the file there"
    ):
        load_weights(Net(), tmp_path / "b.pth")
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match=r"c is a folder; expected a file of weights"):
        load_weights(Net(), tmp_path / "c")
