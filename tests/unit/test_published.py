"""Checkpoints in each form in which their authors published them, emulated, become networks that compute the same.

What a network computes is held against the authors' code in tests/parity. Here networks are filled by the same formula,
saved as the published files are, and imported. Networks are narrow where only the form matters. Keys and shapes of the
published size are those that were taken from the authors' networks; as files they hold one number per tensor.
"""

import json
import logging
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from support.fill import fill, image, values
from support.golden import facts
from support.scripts import run_script
from torch import Tensor, nn

from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.networks.build import build, network_class
from promptmix.networks.checkpoints import (
    load_network,
    load_weights,
    read_backbone,
    read_fitting,
    read_metadata,
    read_tensors,
)
from promptmix.retrieval.importing import import_checkpoint

GPT = {"vocab_size": 61, "n_positions": 48, "n_embd": 32, "n_layer": 2, "n_head": 4}
CAPTIONER = {"prefix_length": 4, "clip_length": 3, "prefix_size": 24, "num_layers": 2, "gpt": GPT}


# --- How authors save ---


def zipped(content, path):
    torch.save(content, path)


def legacy(content, path):
    """As PyTorch before 1.6 saved by Python 3."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


class Storage:
    """The numbers of a tensor, as a pickle refers to them."""

    def __init__(self, tensor: Tensor):
        self.numbers = torch.tensor([], dtype=tensor.dtype).set_(tensor.untyped_storage())
        self.key = str(94000000000000 + tensor.untyped_storage().data_ptr() % 10**12)


class Python2Pickler(pickle._Pickler):
    """Pickles as PyTorch 0.4 wrote by Python 2.7 on a GPU: byte strings, and dictionaries made of lists."""

    dispatch = pickle._Pickler.dispatch.copy()

    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.storages = {}

    def save_text(self, text):
        self.write(pickle.SHORT_BINSTRING + bytes([len(text.encode())]) + text.encode())
        self.memoize(text)

    dispatch[str] = save_text

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        self.storages[thing.key] = thing.numbers
        kind = {torch.float32: torch.cuda.FloatStorage, torch.uint8: torch.cuda.ByteStorage}[thing.numbers.dtype]
        return ("storage", kind, thing.key, "cuda:0", len(thing.numbers), None)

    def reducer_override(self, thing):
        if isinstance(thing, Tensor):
            rest = (thing.storage_offset(), tuple(thing.shape), thing.stride(), False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, (Storage(thing), *rest)
        if isinstance(thing, OrderedDict):
            return OrderedDict, ([list(item) for item in thing.items()],), vars(thing) or None
        return NotImplemented


def by_python2(content, path):
    with open(path, "wb") as file:
        machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
        for header in (0x1950A86A20F9469CFC6C, 1001, machine):
            Python2Pickler(file).dump(header)
        pickler = Python2Pickler(file)
        pickler.dump(content)
        Python2Pickler(file).dump(sorted(pickler.storages))
        for _, numbers in sorted(pickler.storages.items()):
            file.write(struct.pack("<q", len(numbers)) + numbers.numpy().tobytes())


# --- What authors save ---


def plain(state):
    return state


def csrnet(state):
    momentum = {
        94000000000 + i: {"momentum_buffer": constant(1, tensor.shape)} for i, tensor in enumerate(state.values())
    }
    groups = [{"lr": 1e-7, "momentum": 0.95, "nesterov": False, "params": list(momentum)}]
    return {
        "epoch": 195,
        "arch": "vgg16",
        "state_dict": state,
        "best_prec1": torch.tensor(9.69),
        "optimizer": {"state": momentum, "param_groups": groups},
    }


def lwcc(state):
    return {"model": state}


def parallel(state):
    return OrderedDict((f"module.{key}", tensor) for key, tensor in state.items())


def adabins(state):
    def old(key):
        key = key.replace("adaptive_bins_layer.conv3x3.", "adaptive_bins_layer.embedding_conv.")
        return key.replace("patch_transformer.embedding_convPxP", "patch_transformer.embedding_encoder")

    moments = {i: {"step": 7, "exp_avg": constant(1, tensor.shape)} for i, tensor in enumerate(state.values())}
    optimiser = {"state": moments, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": list(moments)}]}
    state = OrderedDict((old(key), tensor) for key, tensor in state.items())
    return {"model": parallel(state), "optimizer": optimiser, "epoch": 24}


def gfpgan(state):
    return {"params_ema": state}


def gfpgan_in_training(state):
    return {"params": {key: constant(7, tensor.shape) for key, tensor in state.items()}, "params_ema": state}


def clipcap(state):
    """With the buffers of transformers 4.10, whose sides are those of the state's position embeddings."""
    positions = len(state["gpt.transformer.wpe.weight"])
    layers = {key.removesuffix(".ln_1.weight") for key in state if key.endswith(".ln_1.weight")}
    causal = torch.ones(1, dtype=torch.uint8).expand(1, 1, positions, positions)
    for layer in sorted(layers):
        state |= {f"{layer}.attn.bias": causal, f"{layer}.attn.masked_bias": torch.tensor(-1e4)}
    return state


FORMS = {
    "CSRNet by PyTorch 0.4": ("csrnet", {"width": 0.1}, csrnet, by_python2, "partBmodel_best.pth.tar"),
    "CSRNet by lwcc": ("csrnet", {"width": 0.1}, lwcc, zipped, "CSRNet_SHA.pth"),
    "DM-Count": ("dmcount", {"width": 0.1}, plain, legacy, "model_qnrf.pth"),
    "DM-Count by lwcc": ("dmcount", {"width": 0.1}, lwcc, zipped, "DM-Count_QNRF.pth"),
    "SASNet": ("sasnet", {"width": 0.1}, plain, zipped, "SHHA.pth"),
    "AdaBins": (
        "adabins",
        {"width": 0.125, "encoder_depth": 0.2, "embedding": 16, "patch": 4, "bins": 16},
        adabins,
        zipped,
        "AdaBins_nyu.pt",
    ),
    "GuideDepth": ("guidedepth", {"width": 0.125}, plain, zipped, "NYU_Full_GuideDepth.pth"),
    "ClipCap, MLP": ("clipcap", CAPTIONER, clipcap, legacy, "coco_weights.pt"),
    "ClipCap, transformer": (
        "clipcap",
        CAPTIONER | {"mapping": "transformer"},
        clipcap,
        zipped,
        "transformer_weights.pt",
    ),
    "GFPGAN": ("gfpgan", {"out_size": 64, "style": 16, "width": 0.0625}, gfpgan, zipped, "GFPGANv1.3.pth"),
    "GFPGAN in training": (
        "gfpgan",
        {"out_size": 64, "style": 16, "width": 0.0625},
        gfpgan_in_training,
        zipped,
        "a.pth",
    ),
    "RetinaFace": ("retinaface", {"width": 0.125, "features": 32}, parallel, legacy, "detection_Resnet50_Final.pth"),
    "ParseNet": ("parsenet", {"in_size": 64, "width": 0.125}, plain, zipped, "parsing_parsenet.pth"),
}

PUBLISHED_SIZE = {form: "clipcap_mlp" if network == "clipcap" else network for form, (network, *_) in FORMS.items()}
PUBLISHED_SIZE["ClipCap, transformer"] = "clipcap_transformer"


def outputs(network) -> list[Tensor]:
    with torch.no_grad():
        if type(network).__name__ == "ClipCap":
            features = torch.from_numpy(values("features", (2, 24)).astype(np.float32))
            found = network(torch.tensor([[5, 17, 42], [60, 1, 13]]), features).logits
        else:
            found = network(image(*((64, 64) if network.task == "faces" else (96, 128))))
    flat = [found] if isinstance(found, Tensor) else [x for y in found for x in (y if isinstance(y, list) else [y])]
    assert all(output.isfinite().all() and output.std() > 0 for output in flat)
    return flat


def constant(number: float, shape) -> Tensor:
    """Return a tensor that takes the space of one number, also in a file."""
    return torch.tensor(float(number)).expand(tuple(shape))


def one_number_each(shapes: dict[str, list[int]]) -> OrderedDict[str, Tensor]:
    """Return tensors of the given shapes that take no space."""
    return OrderedDict((key, constant(0, shape)) for key, shape in shapes.items())


def filled(shapes: dict[str, list[int]]) -> OrderedDict[str, Tensor]:
    """Return tensors of the given shapes with the formula's numbers; the counts of batches are integers."""
    state = OrderedDict()
    for key, shape in shapes.items():
        count = key.endswith("num_batches_tracked")
        state[key] = torch.tensor(5) if count else torch.from_numpy(values(key, tuple(shape)).astype(np.float32))
    return state


@pytest.mark.parametrize("form", FORMS)
def test_an_imported_network_computes_what_the_published_one_does(form, tmp_path):
    name, settings, content, save, file = FORMS[form]
    torch.manual_seed(0)
    published = fill(build(name, **settings))
    state = published.state_dict()
    save(content(state.copy()), tmp_path / file)
    expected = outputs(published)

    out = tmp_path / "checkpoints" / "imported.safetensors"
    import_checkpoint(name, tmp_path / file, out, {"title": form}, **settings)
    read_fitting(name, out, **settings)
    for path in (out, tmp_path / file):  # a published file can also be used as it is
        loaded = load_network(name, path, **settings)
        for found, wanted in zip(outputs(loaded), expected, strict=True):
            assert found.equal(wanted)
    held = set(read_tensors(out))
    assert held == set(state) - {"gpt.lm_head.weight"}  # which is `wte`
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("form", FORMS)
def test_files_of_the_published_size_fit(form, tmp_path):
    name, _, content, save, file = FORMS[form]
    settings = {"mapping": "transformer"} if "transformer" in form else {}
    state = one_number_each(facts(PUBLISHED_SIZE[form])["state_dict"])
    if form == "ClipCap, transformer":
        del state["gpt.lm_head.weight"]  # one and the same as `wte`: once is enough
    save(content(state.copy()), tmp_path / file)
    read_fitting(name, tmp_path / file, **settings)
    lacking = next(key for key in reversed(state) if not key.endswith("num_batches_tracked"))
    del state[lacking]
    save(content(state), tmp_path / file)
    with pytest.raises(InputError, match=r"(?s)does not fit .*1 missing: " + lacking.replace(".", r"\.")):
        read_fitting(name, tmp_path / file, **settings)


def test_an_import_says_what_it_is_and_where_it_is_from(tmp_path, caplog):
    source, out = tmp_path / "partAmodel_best.pth.tar", tmp_path / "csrnet-shta.safetensors"
    by_python2(csrnet(fill(build("csrnet", width=0.1)).state_dict()), source)
    licence = {"name": "none stated", "research": "unclear"}
    with caplog.at_level(logging.INFO):
        import_checkpoint(
            "csrnet",
            source,
            out,
            {"title": "CSRNet", "licence": licence, "url": None},
            bytes=source.stat().st_size,
            sha256=sha256(source).upper(),
            width=0.1,
        )
    assert read_metadata(out) == {
        "title": "CSRNet",
        "licence": json.dumps(licence),
        "network": "csrnet",
        "settings": '{"width": 0.1}',
        "source_file": "partAmodel_best.pth.tar",
        "source_sha256": sha256(source),
    }
    assert f"{source}: weights are under 'state_dict'; left out: epoch, arch, best_prec1, optimizer" in caplog.text
    assert f"{out}: 34 tensors of csrnet, from {source} (SHA-256 {sha256(source)})" in caplog.text


def test_what_is_left_out_of_the_weights_is_in_the_log(tmp_path, caplog):
    torch.save(clipcap(build("clipcap", **CAPTIONER).state_dict()), tmp_path / "coco_weights.pt")
    with caplog.at_level(logging.INFO):
        read_fitting("clipcap", tmp_path / "coco_weights.pt", **CAPTIONER)
    assert "left out 4 tensors that the network has no use for: gpt.transformer.h.0.attn.bias, " in caplog.text


def test_batch_counts_are_zero_where_pytorch_did_not_count_yet(tmp_path):
    state = fill(build("guidedepth", width=0.125)).state_dict()
    state = OrderedDict((key, tensor) for key, tensor in state.items() if not key.endswith("num_batches_tracked"))
    by_python2(state, tmp_path / "old.pth")
    network = load_network("guidedepth", tmp_path / "old.pth", width=0.125)
    assert network.up_1.feature_conv[1].num_batches_tracked == 0
    assert network.up_1.feature_conv[1].weight.equal(state["up_1.feature_conv.1.weight"])


# --- Backbones ---


def vgg16():
    """torchvision's VGG-16, of which the classifier takes no memory."""
    with torch.device("meta"):
        network = torchvision.models.vgg16()
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    frontend = {key: shape for key, shape in shapes.items() if key.startswith("features.")}
    network.features.load_state_dict(
        {key.removeprefix("features."): tensor for key, tensor in filled(frontend).items()}, assign=True
    )
    state = one_number_each(shapes) | {f"features.{key}": value for key, value in network.features.state_dict().items()}
    return state, network.features[:23]


def resnet18():
    network = torchvision.models.resnet18().eval()
    for part in ("conv1", "bn1", "layer1", "layer2"):
        fill(network.get_submodule(part))
    parts = (network.conv1, network.bn1, network.relu, network.maxpool, network.layer1, network.layer2)
    return network.state_dict(), nn.Sequential(*parts)


@pytest.mark.parametrize("imported", [False, True], ids=["published", "imported"])
@pytest.mark.parametrize(
    ("name", "make", "tensors"), [("csrnet", vgg16, 20), ("rescsrnet", resnet18, 60)], ids=["VGG-16", "ResNet-18"]
)
@torch.no_grad()
def test_the_front_end_computes_what_torchvision_s_does(name, make, tensors, imported, tmp_path):
    state, expected = make()
    path = tmp_path / f"{name}.pth"
    legacy(state, path)
    if imported:
        import_checkpoint(name, path, tmp_path / "backbone.safetensors", {}, backbone=True)
        path = tmp_path / "backbone.safetensors"
        assert read_metadata(path)["backbone"] == "true"
    weights = read_backbone(name, path)
    assert len(weights) == tensors
    network = build(name).eval()
    before = network.output_layer.weight.clone()
    result = network.load_state_dict(weights, strict=False)
    assert not result.unexpected_keys
    assert not [key for key in result.missing_keys if key.startswith("frontend.")]
    assert network.frontend(image(48, 64)).equal(expected(image(48, 64)))
    assert network.output_layer.weight.equal(before)


def ddrnet(width=1.0):
    """The published ImageNet checkpoint's tensors: those of GuideDepth's that it has, and twenty more."""
    with torch.device("meta"):
        network = build("guidedepth", width=width).feature_extractor
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    shapes = {key: shape for key, shape in shapes.items() if not key.startswith(("spp.", "final_layer."))}
    more = {f"down5.{i}.weight": [8] for i in range(12)} | {f"last_layer.{i}.weight": [8] for i in range(6)}
    return filled(shapes) | one_number_each(more | {"linear.weight": [1000, 8], "linear.bias": [1000]})


@pytest.mark.parametrize("content", [plain, lambda state: {"epoch": 99, "state_dict": parallel(state)}])
def test_254_of_the_published_ddrnet_s_274_tensors_go_to_guidedepth(content, tmp_path, caplog):
    state = ddrnet()
    zipped(content(state), tmp_path / "DDRNet23s_imagenet.pth")
    with caplog.at_level(logging.INFO):
        weights = read_backbone("guidedepth", tmp_path / "DDRNet23s_imagenet.pth")
    assert (len(state), len(weights)) == (274, 254)
    for key, tensor in weights.items():
        assert tensor.equal(state[key.removeprefix("feature_extractor.")]), key
    assert "left out 20 tensors that the network has no use for: down5.0.weight" in caplog.text
    network = build("guidedepth")
    assert not network.load_state_dict(weights, strict=False).unexpected_keys
    backbone = {key for key in network.state_dict() if key.startswith("feature_extractor.")}
    assert len(backbone - set(weights)) == 79

    import_checkpoint("guidedepth", tmp_path / "DDRNet23s_imagenet.pth", tmp_path / "a.safetensors", {}, backbone=True)
    again = read_backbone("guidedepth", tmp_path / "a.safetensors")
    assert list(again) == list(weights)
    assert all(tensor.equal(weights[key]) for key, tensor in again.items())


def test_a_resnet_of_before_pytorch_0_4_1_counts_no_batches(tmp_path):
    state = {key: tensor for key, tensor in resnet18()[0].items() if not key.endswith("num_batches_tracked")}
    by_python2(OrderedDict(state), tmp_path / "resnet18-5c106cde.pth")
    assert read_backbone("rescsrnet", tmp_path / "resnet18-5c106cde.pth")["frontend.1.num_batches_tracked"] == 0


@pytest.mark.parametrize(
    ("name", "state", "difference"),
    [
        ("csrnet", "vgg19", r"4 unexpected: features\.30.*|.*missing: frontend\.17"),
        ("csrnet", "vgg16_bn", r"missing: frontend\.2\.weight"),
        ("rescsrnet", "resnet34", r"unexpected: frontend\.4\.2\.conv1\.weight"),
        ("rescsrnet", "vgg16", r"unexpected: features\.0\.weight"),
    ],
)
def test_another_classifier_is_no_backbone(name, state, difference, tmp_path):
    with torch.device("meta"):
        network = getattr(torchvision.models, state)()
    shapes = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    zipped(one_number_each(shapes), tmp_path / "a.pth")
    with pytest.raises(InputError) as error:
        read_backbone(name, tmp_path / "a.pth")
    backbone = network_class(name).backbone
    network = network_class(name).__name__
    assert f"a.pth does not fit {backbone.classifier}, the backbone of {network}." in str(error.value)
    assert f"Is this file {backbone.classifier} as trained on ImageNet ({backbone.published})?" in str(error.value)
    error.match(f"(?s){difference}")


@pytest.mark.parametrize("name", ["csrnet", "rescsrnet", "guidedepth"])
def test_a_narrower_network_cannot_start_from_published_weights(name, tmp_path):
    state = {"csrnet": vgg16, "rescsrnet": resnet18, "guidedepth": lambda: (ddrnet(), None)}[name]()[0]
    zipped(state, tmp_path / "a.pth")
    message = rf"(?s)of another shape: .* If so, {name} must have its published width \(width: 1\) to start from it"
    with pytest.raises(InputError, match=message):
        read_backbone(name, tmp_path / "a.pth", width=0.5)


def test_a_network_without_a_backbone(tmp_path):
    with pytest.raises(InputError, match=r"sasnet has no backbone .* remove the backbone of sasnet from the config"):
        read_backbone("sasnet", tmp_path / "vgg16.pth")


# --- What is no published file ---

PAGES = {
    b'<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body class="uc">': (
        "Google Drive - Virus scan warning"
    ),
    b"\n<html>\n<head><title>\nGoogle Drive - Quota exceeded\n</title></head>": "Google Drive - Quota exceeded",
    b"\xef\xbb\xbf<!doctype html><HTML><TITLE>Sign in &ndash; Google Accounts</TITLE>": "Sign in – Google Accounts",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>': None,
}


@pytest.mark.parametrize("file", ["SHHA.pth", "partAmodel_best.pth.tar", "sasnet.safetensors"])
@pytest.mark.parametrize(("page", "title"), PAGES.items(), ids=["warning", "quota", "sign in", "XML"])
def test_a_web_page_in_a_file_s_place(page, title, file, tmp_path):
    (tmp_path / file).write_bytes(page)
    with pytest.raises(InputError) as error:
        read_tensors(tmp_path / file)
    named = f" ({title!r})" if title else ""
    assert f"{file} is a web page{named} and no file of weights" in str(error.value)
    assert "Open the link in a browser, download the file there" in str(error.value)


@pytest.mark.parametrize("file", ["model_qnrf.pth", "model.safetensors"])
def test_a_pointer_of_git_lfs(file, tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:16ef954a2cef40c6\nsize 86005202\n"
    (tmp_path / file).write_text(pointer)
    with pytest.raises(InputError, match=rf"{file} is only a pointer of git-lfs to the file; run `git lfs pull`"):
        read_tensors(tmp_path / file)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_archive(tmp_path):
    torch.jit.trace(nn.Linear(2, 3), torch.zeros(1, 2)).save(tmp_path / "ViT-B-32.pt")
    with pytest.raises(InputError) as error:
        load_weights(nn.Linear(2, 3), tmp_path / "ViT-B-32.pt")
    assert "ViT-B-32.pt is a TorchScript archive, which holds a program" in str(error.value)
    assert "openai/clip-vit-base-patch32 on the Hugging Face Hub" in str(error.value)


class Payload:
    def __reduce__(self):
        return exec, ("open('executed', 'w')",)


def pickled(protocol):
    def save(content, path):
        path.write_bytes(pickle.dumps(content, protocol))

    return save


SAVERS = {"zip": zipped, "legacy": legacy} | {f"pickle {protocol}": pickled(protocol) for protocol in range(6)}
SAVERS["zip, protocol 4"] = lambda content, path: torch.save(content, path, pickle_protocol=4)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
def test_a_pickle_that_would_run_code_is_refused_and_not_run(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save({"state_dict": {"weight": torch.zeros(2)}, "args": Payload()}, Path("a.pth"))
    with pytest.raises(InputError) as error:
        import_checkpoint("csrnet", "a.pth", "a.safetensors", {})
    error.match(r"^a\.pth is .*reading it would run code.*[Ff]etch.* from where its authors published it")
    if save is zipped:  # of older files and other protocols PyTorch does not say what they call
        error.match(r"nothing in it was run.* calls .*\bexec\b")
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_a_whole_network_is_refused(tmp_path):
    torch.save(build("rescsrnet", width=0.1), tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"calls .*promptmix\.networks\.rescsrnet\.ResCSRNet, .* for a state_dict"):
        read_tensors(tmp_path / "a.pth")


@pytest.mark.parametrize("save", [zipped, legacy, by_python2])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_download_that_was_cut_off(save, share, tmp_path):
    save(csrnet(build("csrnet", width=0.1).state_dict()), tmp_path / "a.pth.tar")
    whole = (tmp_path / "a.pth.tar").read_bytes()
    (tmp_path / "a.pth.tar").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"a\.pth\.tar is damaged or cut off, .*; fetch it again "):
        read_tensors(tmp_path / "a.pth.tar")


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "model_qnrf.pth"
    legacy(build("dmcount", width=0.05).state_dict(), path)
    return path


def test_another_size_than_expected(source, tmp_path):
    size = source.stat().st_size
    with pytest.raises(InputError) as error:
        import_checkpoint("dmcount", source, tmp_path / "a.safetensors", {}, bytes=size + 1, width=0.05)
    assert str(error.value) == (
        f"{source} has {size} bytes, and {size + 1} were expected: the download was cut off. Fetch it again. If it is "
        f"what its authors publish today, and you trust it, correct the entry in config/sources.yaml"
    )
    with pytest.raises(InputError, match=rf"has {size} bytes, and 9 were expected\. Fetch it again"):
        import_checkpoint("dmcount", source, tmp_path / "a.safetensors", {}, bytes=9, width=0.05)
    assert not (tmp_path / "a.safetensors").exists()


def test_another_sha256_than_expected(source, tmp_path):
    with pytest.raises(InputError) as error:
        import_checkpoint("dmcount", source, tmp_path / "a.safetensors", {}, sha256="0" * 64, width=0.05)
    assert str(error.value) == (
        f"{source} is not the expected file.\n  its SHA-256: {sha256(source)}\n  expected:    {'0' * 64}\n"
        f"Fetch it again. If it is what its authors publish today, and you trust it, correct the entry in "
        f"config/sources.yaml"
    )
    assert not (tmp_path / "a.safetensors").exists()


def test_a_web_page_is_called_that_and_not_another_sha256(tmp_path):
    (tmp_path / "SHHA.pth").write_text("<html><title>Google Drive - Quota exceeded</title></html>")
    with pytest.raises(InputError, match="is a web page"):
        import_checkpoint("sasnet", tmp_path / "SHHA.pth", tmp_path / "a.safetensors", {}, bytes=5, sha256="0" * 64)


def test_a_checkpoint_of_another_network(source, tmp_path):
    with pytest.raises(InputError, match=r"(?s)does not fit CSRNet\..*Is this file a checkpoint of CSRNet\?"):
        import_checkpoint("csrnet", source, tmp_path / "a.safetensors", {}, width=0.05)
    assert not (tmp_path / "a.safetensors").exists()


# --- The rule's script ---


def run(tmp_path, source, **params):
    about = {"network": "dmcount", "backbone": False, "bytes": None, "sha256": None, "metadata": {"licence": "MIT"}}
    about |= {"how_to_get": "dmcount-qnrf: fetch model_qnrf.pth from Google Drive"}
    log, output = tmp_path / "import.log", tmp_path / "dmcount-qnrf.safetensors"
    run_script("import_checkpoint", log=[log], input={"source": source}, output=[output], params=about | params)
    return log.read_text()


def test_the_rule_imports_and_logs(tmp_path):
    source = tmp_path / "model_qnrf.pth"
    legacy(build("dmcount").state_dict(), source)
    log = run(tmp_path, [str(source)], bytes=source.stat().st_size, sha256=sha256(source))
    assert "tensors of dmcount, from" in log
    metadata = read_metadata(tmp_path / "dmcount-qnrf.safetensors")
    assert metadata["licence"] == "MIT" and metadata["source_sha256"] == sha256(source)
    read_fitting("dmcount", tmp_path / "dmcount-qnrf.safetensors")


def test_the_rule_says_what_to_fetch_where_there_is_no_file(tmp_path):
    with pytest.raises(SystemExit):
        run(tmp_path, [])
    log = (tmp_path / "import.log").read_text()
    assert "import_checkpoint failed. dmcount-qnrf: fetch model_qnrf.pth from Google Drive" in log
