"""The user's own code: found, checked without being run, imported, and named in its own errors only."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from promptmix.errors import InputError
from promptmix.extensions import Arguments, check, find_constant, load, locate
from promptmix.networks.build import build
from promptmix.networks.checkpoints import load_network, save_weights
from promptmix.networks.cost import count
from promptmix.synthesis.annotation import annotate, load_annotator
from promptmix.tasks.batching import density, depth, padded_size
from promptmix.training.evaluation import predict
from promptmix.training.objective import load_objective


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder in which snakemake runs; what is imported in a test is forgotten after it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(name, source):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(source)


# --- Where code is, and what its source defines ---


def test_code_is_a_file_or_a_module(folder, monkeypatch):
    write("code/counter.py", "def count(images): ...")
    write("code/mine/__init__.py", "")
    write("code/mine/net.py", "def count(images): ...")
    file = folder / "code" / "counter.py"
    assert locate("code/counter.py:count") == (file, folder / "code", "counter", "count")
    assert locate(f"{file}:count") == locate("code/counter.py:count")
    assert locate("code.counter:count") == (file, folder, "code.counter", "count")
    monkeypatch.syspath_prepend(folder / "code")
    assert locate("counter:count") == locate("code/counter.py:count")
    assert locate("mine.net:count") == (folder / "code/mine/net.py", folder / "code", "mine.net", "count")
    assert locate("mine:count") == (folder / "code/mine/__init__.py", folder / "code", "mine", "count")


def test_code_that_is_not_there(folder):
    write("counter.py", "")
    with pytest.raises(InputError) as raised:
        locate("countre.py:count")
    text = str(raised.value)
    assert text.startswith("countre.py: no such file") and f"{folder}/countre.py" in text
    assert "A relative path starts in" in text and text.endswith("Did you mean 'counter.py'?")
    with pytest.raises(InputError, match=r"^/nowhere/counter.py: no such file\.$"):
        locate("/nowhere/counter.py:count")
    with pytest.raises(
        InputError, match=r"no module 'my.counter' in .* or on PYTHONPATH\. Add .* such as my/counter.py$"
    ):
        locate("my.counter:count")
    with pytest.raises(InputError, match="'code/counter' is neither a file that ends in .py nor the name of a module"):
        locate("code/counter:count")


SOURCE = """
import missing_module
from somewhere import imported
raise RuntimeError("this is never run")

if True:
    def guarded(images): ...
assigned = partial(print)

def count(images, *, device="cpu"): ...

@wrapped
def decorated(a, b, c): ...

class Net:
    def __init__(self, width, depth=3, *, kernel, **others): ...

class Child(Net): ...
"""


@pytest.mark.parametrize(
    ("name", "kind", "arguments"),
    [
        ("count", "function", Arguments(["images", "device"], ["images"], False)),
        ("guarded", "function", Arguments(["images"], ["images"], False)),
        ("Net", "class", Arguments(["width", "depth", "kernel"], ["width", "kernel"], True)),
        *((name, "function", None) for name in ("imported", "assigned", "decorated")),
        *((name, "class", None) for name in ("imported", "Child")),
    ],
)
def test_a_source_says_what_it_defines_without_being_run(name, kind, arguments):
    write("source.py", SOURCE)
    assert check(f"source.py:{name}", kind) == arguments


def test_what_a_source_does_not_define(folder):
    write("source.py", SOURCE)
    file = folder / "source.py"
    with pytest.raises(
        InputError, match=f"{file} has no function 'cuont'. Functions there: count, decorated, guarded. "
    ):
        check("source.py:cuont", "function")
    with pytest.raises(InputError, match=f"'Net' in {file} is a class; expected a function"):
        check("source.py:Net", "function")
    with pytest.raises(InputError, match=f"'count' in {file} is a function; expected a class"):
        check("source.py:count", "class")
    write("broken.py", "def count(images):\nreturn 1\n")
    with pytest.raises(InputError, match=f"{folder}/broken.py, line 2: not Python: expected an indented block"):
        check("broken.py:count", "function")
    write("star.py", "from elsewhere import *\n")
    assert check("star.py:count", "function") is None


def test_checking_does_not_import_torch():
    code = "import sys; from promptmix import extensions; from promptmix.networks import registry; from promptmix.running import fingerprint; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


# --- Imported ---


def test_a_file_imports_what_lies_beside_it():
    write("code/counter.py", "from helper_of_mine import LIMIT\n\ndef count(images):\n    return LIMIT\n")
    write("code/helper_of_mine.py", "LIMIT = 7\n")
    count = load("code/counter.py:count")
    assert count(None) == 7
    assert load("code/counter.py:count") is count


def test_files_of_one_name_are_two_modules():
    write("a/net.py", "NAME = 'a'\n")
    write("b/net.py", "NAME = 'b'\n")
    assert (load("a/net.py:NAME"), load("b/net.py:NAME")) == ("a", "b")


def test_modules_beside_two_files_must_have_different_names(folder):
    for name in "ab":
        write(f"{name}/net.py", "import layers_of_mine\nclass Net: ...\n")
        write(f"{name}/layers_of_mine.py", "")
    load("a/net.py:Net")
    with pytest.raises(InputError) as raised:
        load("b/net.py:Net")
    text = str(raised.value)
    assert text.startswith(f"{folder}/b/net.py imports 'layers_of_mine', ")
    assert f"{folder}/a/layers_of_mine.py" in text and text.endswith("Rename layers_of_mine.py")


def test_an_error_while_importing_is_the_users():
    write("counter.py", "import helper_that_fails\n")
    write("helper_that_fails.py", "\n1 / 0\n")
    with pytest.raises(InputError) as raised:
        load("counter.py:count")
    text = str(raised.value)
    assert text.startswith("counter.py:count cannot be imported:\nTraceback (most recent call last):\n")
    assert "counter.py" in text.splitlines()[2] and "importlib" not in text.split("counter.py", 2)[2].splitlines()[0]
    assert 'helper_that_fails.py", line 2' in text and text.endswith("ZeroDivisionError: division by zero")


def test_a_name_that_only_seemed_to_be_there(folder):
    write("star.py", "from math import *\n")
    assert load("star.py:sqrt")(4) == 2
    with pytest.raises(InputError, match=f"{folder}/star.py has no 'count'"):
        load("star.py:count")


# --- A function in the place of an annotator ---


def images(*sizes):
    """Return images in which each pixel is its own number."""
    rng = np.random.default_rng(0)
    return [(str(i), rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for i, size in enumerate(sizes)]


def annotator(body, task="counting"):
    """Return an annotator of a function of `images`, (N, 3, H, W), with this body."""
    number = sum(1 for _ in Path().glob("annotator*.py"))
    write(
        f"annotator{number}.py",
        f"import torch\nfrom torch.nn import functional as F\n\ndef count(images):\n    {body}\n",
    )
    return load_annotator(f"annotator{number}.py:count", task, {}, "", "cpu")


def test_a_file_that_a_function_reads_and_that_is_not_there_is_said_before_it_is_called():
    write("reads.py", "def count(images):\n    return images[:, 0].float()\n")
    write("here.pt", "")
    load_annotator("reads.py:count", "counting", {}, "", "cpu", files=["here.pt"])
    with pytest.raises(InputError, match=r"gone\.pt: .*no such file.*reads\.py:count.*`files`"):
        load_annotator("reads.py:count", "counting", {}, "", "cpu", files=["here.pt", "gone.pt"])


def test_a_function_gets_the_bytes_of_images_of_one_size():
    write("seen.py", "SEEN = []\ndef count(images):\n    SEEN.append(images)\n    return images[:, 0] / 255\n")
    pixels = images((24, 32), (16, 32), (24, 32))
    list(annotate(load_annotator("seen.py:count", "counting", {}, "", "cpu"), pixels, "cpu"))
    seen = {tuple(batch.shape): batch for batch in load("seen.py:SEEN")}
    assert set(seen) == {(2, 3, 24, 32), (1, 3, 16, 32)}
    batch = seen[(2, 3, 24, 32)]
    assert batch.dtype == torch.uint8 and batch.is_contiguous()
    assert (batch[1].permute(1, 2, 0).numpy() == pixels[2][1]).all()


@pytest.mark.parametrize("cell", [1, 2, 4, 8])
@pytest.mark.parametrize("rounding", ["False", "True"], ids=["down", "up"])
@pytest.mark.parametrize("channel", ["[:, :1]", "[:, 0]"], ids=["N1hw", "Nhw"])
def test_densities_of_any_cell_are_summed_to_cells_of_eight(cell, rounding, channel):
    function = annotator(
        f"return F.avg_pool2d(images{channel}.float() / 255, {cell}, ceil_mode={rounding}, divisor_override=1)"
    )
    ((_, pixels),) = images((37, 50))
    (found,) = annotate(function, [("a", pixels)], "cpu")
    seen = pixels[:, :, 0].astype(float) / 255
    if rounding == "False":
        seen[37 // cell * cell :], seen[:, 50 // cell * cell :] = 0, 0
    expected = np.pad(seen, ((0, 3), (0, 6))).reshape(5, 8, 7, 8).sum(axis=(1, 3))
    assert found.map.shape == (5, 7)
    np.testing.assert_allclose(found.map, expected, rtol=1e-5)


def test_depth_is_taken_as_it_is():
    function = annotator("return images[:, 0].double() / 100", "depth")
    pixels = images((9, 13), (9, 13))
    found = list(annotate(function, pixels, "cpu", stride=1))
    assert [a.map.dtype for a in found] == [np.float32] * 2
    for (_, image), annotation in zip(pixels, found, strict=True):
        np.testing.assert_allclose(annotation.map, image[:, :, 0] / 100, rtol=1e-6)


def test_half_precision_whole_numbers_and_slightly_negative_densities_are_numbers_too():
    for body, people in (("half()", 1.0), ("long()", 1.0), ("float() - 0.001", 1 - 0.384)):
        function = annotator(f"return (torch.arange(384).reshape(1, 16, 24) == 7).{body}")
        (found,) = annotate(function, images((16, 24)), "cpu")
        assert found.map.sum() == pytest.approx(people, abs=1e-3)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            "return images.float().sum().item()",
            "gave float, not a tensor for 2 images of 24x16 pixels; expected a tensor of (2, h, w) or",
        ),
        (
            "return images",
            "gave a tensor of (2, 3, 16, 24) for 2 images of 24x16 pixels; expected a tensor of (2, h, w) or ",
        ),
        ("return images[:1, 0]", "gave a tensor of (1, 16, 24) for 2 images"),
        (
            "return torch.zeros(2, 24, 16)",
            "gave maps of 24x16 cells (rows x columns) for 2 images of 24x16 pixels; expected cells of 1, 2, 4 or 8 pixels a "
            "side, so 16x24, 8x12, 4x6, 2x3, or one less",
        ),
        ("return torch.zeros(2, 1, 1)", "gave maps of 1x1 cells"),
        ("return images[:, 0] / 0.0", "gave numbers that are not finite (NaN or infinity) for 2 images"),
        ("return -images[:, 0].float()", "people in a cell and a count of -"),
        ("return torch.full((2, 16, 24), -0.01)", "gave -0.01 people in a cell and a count of -3.84 for 2 images of"),
    ],
)
def test_errors_say_what_is_wrong_with_a_density_map(body, problem):
    function = annotator(body)
    with pytest.raises(InputError) as raised:
        list(annotate(function, images((16, 24), (16, 24)), "cpu"))
    assert str(raised.value).startswith("annotator0.py:count gave ") and problem in str(raised.value)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (
            "return images[:, 0, ::2, ::2]",
            "gave maps of 8x12 pixels (rows x columns) for 1 image of 24x16 pixels; expected ",
        ),
        (
            "return 3000.0 + images[:, 0]",
            " for 1 image of 24x16 pixels; expected metres, from 0 (unknown) to at most 1000",
        ),
        ("return images[:, 0] - 3.0", "gave -3 to 252 for 1 image of 24x16 pixels; expected metres, from 0 (unknown)"),
    ],
)
def test_errors_say_what_is_wrong_with_a_depth_map(body, problem):
    function = annotator(body, "depth")
    image = np.tile(np.array([0, 255], dtype=np.uint8)[None, :, None], (16, 12, 3))
    with pytest.raises(InputError) as raised:
        list(annotate(function, [("a", image)], "cpu", stride=1))
    assert problem in str(raised.value)


def test_an_error_in_a_function_is_shown_as_the_functions_with_its_own_traceback():
    write(
        "failing.py",
        "def count(images):\n    return inner(images)\n\ndef inner(images):\n    raise KeyError('weights')\n",
    )
    function = load_annotator("failing.py:count", "counting", {}, "", "cpu")
    with pytest.raises(InputError) as raised:
        list(annotate(function, images((16, 24)), "cpu"))
    text = str(raised.value)
    assert text.startswith("failing.py:count failed on 1 image of 24x16 pixels:\nTraceback (most recent call last):\n")
    assert text.endswith("KeyError: 'weights'")
    assert next(line for line in text.splitlines() if line.startswith("  File ")).endswith(
        'failing.py", line 2, in count'
    )
    assert "annotation.py" not in text


def test_what_is_not_a_function_is_an_error():
    write("constant.py", "count = 3\n")
    with pytest.raises(InputError, match="constant.py:count is int; expected a function"):
        load_annotator("constant.py:count", "counting", {}, "", "cpu")


class TwoImages:
    """What `predict` needs of an index."""

    def __init__(self):
        self.frame = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "height": 16, "width": 24, "count": [5.0, 6.0]})

    def split(self, name):
        return [0, 1]

    def image(self, i):
        return np.full((16, 24, 3), i, dtype=np.uint8)


def test_a_function_is_evaluated_like_a_network():
    function = annotator("return images[:, 0, :2, :3] + 1.0")
    found = predict(function, TwoImages(), "test", "cpu")
    assert found["predicted"].tolist() == [6, 12]
    assert found["error"].tolist() == [1, 6]


def test_a_network_is_an_annotator_as_before(tmp_path):
    made = build("csrnet", width=0.05)
    save_weights("csrnet.safetensors", made)
    chosen = {"reference": "csrnet", "settings": {"width": 0.05}, "task": "counting", "device": "cpu"}
    found = load_annotator(**chosen, weights="csrnet.safetensors")
    assert torch.equal(found.output_layer.weight, made.output_layer.weight)
    with pytest.raises(InputError, match="No weights at elsewhere.safetensors"):
        load_annotator(**chosen, weights="elsewhere.safetensors")


# --- The user's own network ---


COUNTER = """
from torch import nn

class Net(nn.Module):
    stride = 8

    def __init__(self, width=0.5):
        super().__init__()
        self.body = nn.Conv2d(3, int(8 * width), 3, stride=8, padding=1)
        self.{last} = nn.Conv2d(int(8 * width), 1, 1)

    def forward(self, image):
        return self.{last}(self.body(image).relu())
"""

DEPTH = """
from torch import nn

class Net(nn.Module):
    stride = 1

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 1, 3, stride=4, padding=1)

    def output_size(self, height, width):
        return height - height % 4, width - width % 4

    def forward(self, image):
        return nn.functional.interpolate(self.body(image) + 5, scale_factor=4)
"""


def made_of(source, task="counting", **settings):
    write("net.py", source)
    return build("net.py:Net", task=task, **settings)


def test_a_network_for_counting_needs_a_stride_and_forward_alone():
    network = made_of(COUNTER.format(last="last"), width=1)
    assert (network.task, type(network).__name__, len(network.body.weight)) == ("counting", "Net", 8)
    assert padded_size(network, 37, 50) == (40, 56)
    with torch.no_grad():
        maps = density(network.eval(), [image for _, image in images((37, 50), (37, 50))], "cpu")
    assert maps.shape == (2, 5, 7)
    assert set(network.state_dict()) == {f"{layer}.{kind}" for layer in ("body", "last") for kind in ("weight", "bias")}


def test_a_network_for_depth_needs_a_stride_and_forward_alone():
    network = made_of(DEPTH, "depth")
    pixels = [image for _, image in images((10, 13), (10, 13))]
    with torch.no_grad():
        maps = depth(network.eval(), pixels, "cpu")
        assert maps.shape == (2, 10, 13)
        assert maps.min() >= 0.1 and maps.max() <= 10
        learnt = load_objective(network, 4, 15, 1).forward(network, pixels, "cpu")
    torch.testing.assert_close((10 / learnt[:, 0, :10, :13]).clamp(0.1, 10), maps)


def test_what_a_class_says_itself_counts():
    source = DEPTH + "\n    def depth(self, image):\n        return self(image) * 0 + 42\n    mean = (0, 0, 0)\n"
    with torch.no_grad():
        maps = depth(made_of(source, "depth"), [image for _, image in images((8, 8))], "cpu")
    assert (maps == 42).all()
    sub = "from promptmix.networks.csrnet import CSRNet\n\nclass Net(CSRNet): ...\n"
    write("sub.py", sub)
    assert build("sub.py:Net", task="counting", width=0.05).output_size(37, 50) == (4, 6)


def test_weights_are_saved_and_loaded_and_the_cost_is_counted():
    network = made_of(COUNTER.format(last="last"), width=1)
    save_weights("net.safetensors", network)
    loaded = load_network("net.py:Net", "net.safetensors", task="counting", width=1)
    assert torch.equal(loaded.body.weight, network.body.weight)
    with pytest.raises(InputError, match=r"net.safetensors does not fit Net"):
        load_network("net.py:Net", "net.safetensors", task="counting", width=2)
    cost = count("net.py:Net", {"task": "counting", "width": 1}, height=64, width=80)
    assert cost == {"parameters": 233, "gmac": pytest.approx((224 + 9) * 8 * 10 / 1e9, rel=0.01)}


def test_a_scaled_density_needs_a_last_layer_by_name():
    with pytest.raises(InputError, match="density_scale is 100; it must be 1, as Net has no `output_layer`"):
        load_objective(made_of(COUNTER.format(last="last")), 4, 15, 100)
    write("net2.py", COUNTER.format(last="output_layer"))
    network = build("net2.py:Net", task="counting")
    found = load_objective(network, 4, 15, 100).weights(network.state_dict())
    torch.testing.assert_close(found["output_layer.weight"] * 100, network.output_layer.weight.detach())


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("stride = 8", "", "net.py:Net has no stride; a network for counting must have `stride = 8`"),
        ("stride = 8", "stride = 4", "net.py:Net has stride 4; a network for counting must have `stride = 8`"),
        ("nn.Module", "", "net.py:Net is not a network; expected a class that inherits from torch.nn.Module"),
        ("8 * width", "8 / 0", "net.py:Net cannot be made with {'width': 1}:\nTraceback (most recent call last):\n"),
        (
            ", width=0.5",
            "",
            "cannot be made with {'width': 1}:\nTypeError: Net.__init__() got an unexpected keyword argument 'width'",
        ),
    ],
)
def test_errors_say_what_is_wrong_with_a_class(old, new, problem):
    with pytest.raises(InputError) as raised:
        made_of(COUNTER.format(last="last").replace(old, new), width=1)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("end", "found"),
    [("[:, 0]", "(2, 2, 3)"), (".sum((2, 3), keepdim=True)", "(2, 1, 1, 1)"), (".tolist()", "list")],
)
def test_an_output_of_another_size_is_an_error(end, found):
    network = made_of(COUNTER.format(last="last").replace("relu())", f"relu()){end}"))
    with pytest.raises(InputError) as raised:
        density(network, [image for _, image in images((16, 24), (16, 24))], "cpu")
    text = str(raised.value)
    assert text.startswith(f"Net.forward gave {found} for images of (2, 3, 16, 24); expected ")
    assert "(2, 1, 2, 3)" in text and "output_size" in text


def test_the_code_in_the_manual_works():
    manual = (Path(__file__).parents[2] / "config/README.md").read_text()
    for name, source in re.findall(r"```python\n# (\S+\.py)\n(.*?)```", manual, re.DOTALL):
        write(name, source)
    counter = load_annotator("my_counter.py:count", "counting", {}, "", "cpu")
    ((_, pixels),) = images((16, 24))
    (found,) = annotate(counter, [("a", pixels)], "cpu")
    assert found.map.sum() == pytest.approx(pixels.mean() / 255 * 6, rel=1e-5)
    network = build("my_network.py:MyNetwork", task="counting", width=16)
    assert density(network, [pixels], "cpu").shape == (1, 2, 3)


@pytest.mark.parametrize(
    "body", ["images[:, 0] / 0.0", "torch.where(images[:, 0, :1, :1] > 9, 1e6, 0.0).expand(-1, 16, 24)"]
)
def test_maps_of_a_function_that_cannot_be_right_name_the_images(body):
    pixels = [(f"seed-{i}", np.full((16, 24, 3), 255 if i == 2 else 0, np.uint8)) for i in range(4)]
    body = body.replace("images[:, 0] / 0.0", "torch.where(images[:, 0] > 9, torch.nan, 0.0)")
    with pytest.raises(
        InputError, match=r"^annotator mine: annotator0\.py:count gave .* 1 image of .*Images: seed-2\."
    ):
        list(annotate(annotator(f"return {body}"), pixels, "cpu", name="mine"))


@pytest.mark.parametrize(
    ("old", "new", "line", "error"),
    [
        ("self.body(image)", "self.boddy(image)", 13, "AttributeError"),
        ("self.body(image)", "self.body(image[:, :2])", 13, "RuntimeError"),
    ],
)
def test_an_error_in_forward_names_its_file_and_line(old, new, line, error):
    network = made_of(COUNTER.format(last="last").replace(old, new))
    with pytest.raises(InputError) as raised:
        density(network, [image for _, image in images((16, 24))], "cpu")
    text = str(raised.value)
    assert text.startswith("net.py:Net failed in forward, called with (1, 3, 16, 24):\nTraceback")
    assert f'net.py", line {line}, in forward' in text and error in text.splitlines()[-1]
    assert "own.py" not in text


def test_an_error_in_depth_or_output_size_names_its_file_and_line():
    network = made_of(DEPTH + "\n    def depth(self, image):\n        return image.nothing\n", "depth")
    with pytest.raises(InputError, match=r'(?s)net.py:Net failed in depth, .*net\.py", line \d+, in depth'):
        depth(network, [image for _, image in images((8, 8))], "cpu")
    write("other.py", DEPTH.replace("height - height % 4", "height // 0"))
    with pytest.raises(
        InputError, match=r"(?s)other.py:Net failed in output_size, called with 8, 8:.*ZeroDivisionError"
    ):
        depth(build("other.py:Net", task="depth"), [image for _, image in images((8, 8))], "cpu")


def test_lack_of_memory_in_forward_is_still_that():
    lacking = "(_ for _ in ()).throw(torch.OutOfMemoryError('CUDA out of memory'))"
    source = COUNTER.format(last="last").replace("from torch import nn", "import torch\nfrom torch import nn")
    network = made_of(source.replace("self.body(image)", f"(self.body(image) if len(image) < 2 else next({lacking}))"))
    found = list(annotate(network, images((16, 24), (16, 24)), "cpu"))
    assert [annotation.stem for annotation in found] == ["0", "1"]


@pytest.mark.parametrize(
    ("source", "stride"),
    [
        ("class Net(nn.Module):\n    stride = 4", 4),
        ("class Net(nn.Module):\n    stride: int = 8", 8),
        ("class Net(torch.nn.Module):\n    def forward(self): ...", None),
        ("class Base(nn.Module):\n    stride = 2\n\nclass Net(Base): ...", 2),
        ("class Net(Elsewhere): ...", ...),
        ("class Net(Elsewhere):\n    stride = 3", 3),
        ("class Net(nn.Module):\n    stride: int", ...),
        ("class Net(nn.Module):\n    stride = 2 * FOUR", ...),
        ("class Net(nn.Module):\n    def __init__(self):\n        self.stride = 8", ...),
        ("class Net(nn.Module):\n    @property\n    def stride(self): ...", ...),
        ("class Net(nn.Module):\n    if True:\n        stride = 8", ...),
        ("class Net(nn.Module): ...\n\nNet.stride = 8", ...),
        ("@decorated\nclass Net(nn.Module):\n    stride = 4", ...),
        ("from elsewhere import Net", ...),
    ],
)
def test_a_source_shows_a_class_s_constant_or_not(source, stride):
    write("net.py", source)
    assert find_constant("net.py:Net", "stride") == stride
