"""A GPU whose memory does not suffice: smaller batches where that changes nothing, and words on what to lower."""

import gc
import logging
import re
import weakref
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from promptmix.errors import InputError
from promptmix.out_of_memory import NotEnoughMemory, compute_in_parts, explain_lack_of_memory
from promptmix.synthesis.annotation import Function, annotate
from promptmix.synthesis.captions import Captioner
from promptmix.training import loop as training
from promptmix.training.evaluation import predict
from promptmix.training.loop import train
from promptmix.training.settings import TrainingSettings

CUDA = "CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 7.79 GiB\nSee documentation"
LOWER = (
    r"Make the images smaller \(`resize` of the dataset, `width` and `height` of the pool\), or, if other jobs share "
    r"the GPU, run fewer at once \(`--resources gpu=1`\)\. \(CUDA out of memory.* 7\.79 GiB\)$"
)


class Hungry:
    """Takes batches of up to `most` items."""

    def __init__(self, most):
        self.most, self.batches = most, []

    def take(self, batch):
        if len(batch) > self.most:
            raise torch.OutOfMemoryError(CUDA)
        self.batches.append(len(batch))


class Mean(Hungry, nn.Module):
    """A network that sees an eighth of a person, or metre, more where the image is brighter."""

    stride, mean, std = 1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, task, most):
        nn.Module.__init__(self)
        Hungry.__init__(self, most)
        self.task = task

    def output_size(self, height, width):
        return height, width

    def density(self, image):
        self.take(image)
        return image[:, :1] / 8 + 0.125

    depth = density


class Gallery:
    """Nine images of two sizes, all of them to be tested."""

    frame = pd.DataFrame({"image": list("abcdefghi"), "height": [8] * 7 + [4] * 2, "width": 8, "count": range(9)})

    def split(self, _):
        return np.arange(9)

    def image(self, i):
        row = self.frame.iloc[i]
        return np.full((row["height"], row["width"], 3), i, dtype=np.uint8)

    def depth(self, i):
        return np.full(self.image(i).shape[:2], 2.0, dtype=np.float32)


def images():
    return [(name, Gallery().image(i)) for i, name in enumerate("abcdefghi")]


# --- In parts ---


def squares(hungry):
    def compute(batch):
        hungry.take(batch)
        return [number**2 for number in batch]

    return compute


def test_a_batch_that_is_too_large_is_halved_and_so_are_the_later_ones(caplog):
    hungry = Hungry(3)
    found = list(compute_in_parts([range(8), range(8, 16), range(16, 18)], squares(hungry), "Lower `it`"))
    assert [number for part, _ in found for number in part] == list(range(18))
    assert [square for _, part in found for square in part] == [number**2 for number in range(18)]
    assert hungry.batches == [2] * 4 + [2] * 4 + [1] * 2  # a quarter of each, at least one
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2  # 8 at once, 4 at once, and not again
    assert re.search(r"with 4 images at once: not enough memory for 8 images at once\. Lower `it`", caplog.text)


def test_nothing_is_cut_without_need(caplog):
    hungry = Hungry(8)
    assert [part for part, _ in compute_in_parts([[1, 2, 3], [4]], squares(hungry), "")] == [[1, 2, 3], [4]]
    assert not caplog.records


def test_what_does_not_fit_alone_is_an_error_with_what_to_lower():
    with pytest.raises(
        NotEnoughMemory, match=r"^not enough memory for a single image\. Lower `it`, or, .*7\.79 GiB\)$"
    ):
        list(compute_in_parts([range(5)], squares(Hungry(0)), "Lower `it`"))


def test_the_tensors_of_an_attempt_are_gone_when_the_next_one_begins():
    seen, alive = [], []

    def compute(batch):
        alive.append([tensor() for tensor in seen if tensor() is not None])
        activations = torch.zeros(len(batch), 1000)
        seen.append(weakref.ref(activations))
        raise_out_of_memory(activations, len(batch) > 1)

    def raise_out_of_memory(held, too_many):
        if too_many:
            raise torch.OutOfMemoryError(CUDA)

    gc.disable()  # only what the function itself does counts
    try:
        list(compute_in_parts([range(4)], compute, ""))
    finally:
        gc.enable()
    assert len(seen) == 2 + 4
    assert alive == [[]] * 6


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_errors_of_cuda_and_its_libraries_are_known(text):
    with pytest.raises(NotEnoughMemory, match="not enough memory for it"), explain_lack_of_memory("it", "Lower `it`"):
        raise RuntimeError(text)


def test_a_cpu_can_run_out_of_memory_too():
    with (
        pytest.raises(NotEnoughMemory, match="not enough memory for it.*allocate"),
        explain_lack_of_memory("it", "Lower `it`"),
    ):
        torch.empty(2**58)


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes"), InputError("no image"), ValueError("memory")])
def test_other_errors_stay_what_they_are(error):
    def compute(_):
        raise error

    with pytest.raises(type(error)) as found:
        list(compute_in_parts([range(4)], compute, ""))
    assert found.value is error


# --- What is computed in parts ---


def test_annotations_are_the_same_with_less_memory():
    plenty, tight = ({a.stem: a for a in annotate(Mean("counting", most), images(), "cpu")} for most in (99, 2))
    assert sorted(tight) == sorted(plenty) == list("abcdefghi")
    for stem in plenty:
        assert (tight[stem].map == plenty[stem].map).all()


def test_an_annotator_for_which_one_image_is_too_large():
    with pytest.raises(InputError, match=f"^not enough memory for a single image. {LOWER}"):
        list(annotate(Mean("counting", 0), images(), "cpu"))


def test_a_function_of_the_user_gets_smaller_batches_too(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def count(images):\n"
        "    if len(images) > 2:\n"
        f"        raise torch.OutOfMemoryError({CUDA!r})\n"
        "    return images[:, 0].float() / 8\n"
    )
    found = list(annotate(Function(f"{tmp_path}/mine.py:count", "counting"), images(), "cpu"))
    assert {a.stem: a.map.sum() for a in found} == {name: image[..., 0].sum() / 8 for name, image in images()}


@pytest.mark.parametrize("task", ["counting", "depth"])
def test_predictions_are_the_same_with_less_memory(task):
    plenty, tight = (Mean(task, most) for most in (99, 2))
    expected = predict(plenty, Gallery(), "test", "cpu")
    pd.testing.assert_frame_equal(predict(tight, Gallery(), "test", "cpu"), expected, check_exact=True)
    assert (max(plenty.batches), max(tight.batches)) == (7, 1)  # 7, 3, then 1 of 7
    assert len(expected) == 9
    with pytest.raises(InputError, match=f"^not enough memory for a single image. {LOWER}"):
        predict(Mean(task, 0), Gallery(), "test", "cpu")


def captioner(most):
    hungry = Hungry(most)

    def encoder(pixel_values):
        hungry.take(pixel_values)
        return SimpleNamespace(image_embeds=pixel_values)

    found = Captioner.__new__(Captioner)
    found.device, found.encoder, found.normalise, found.decoding = "cpu", encoder, False, "greedy"
    found.processor = lambda batch, return_tensors: SimpleNamespace(
        pixel_values=torch.tensor([int(image[0, 0, 0]) for image in batch])
    )
    found.network = SimpleNamespace(clip_project=lambda x: x, greedy=lambda x, stop, most: x.tolist())
    found.tokenizer = SimpleNamespace(decode=lambda tokens, skip_special_tokens: f"image {tokens}")
    found.stop = found.max_tokens = 1
    return found


def test_captions_are_the_same_with_less_memory():
    pictures = [image for _, image in images()]
    assert list(captioner(3).caption(pictures, batch_size=8)) == [f"image {i}" for i in range(9)]
    with pytest.raises(InputError, match=r"^not enough memory for a single image\. Use smaller models \(`clip`"):
        list(captioner(0).caption(pictures))


# --- Training, where the batch matters ---

SETTINGS = TrainingSettings("rescsrnet", 1e-3, epochs=2, batch_size=4, seed=1, network_settings={"width": 0.05})


class Dataset(Gallery):
    """Six images to train on and three to validate."""

    def split(self, name):
        return {"train": np.arange(6), "val": np.arange(6, 9)}[name]

    def heads(self, i):
        return np.array([[3.0, 2.0, 0.0, 0.0]], np.float32)


def hungry_tasks(monkeypatch, in_training, in_validation):
    """Limit the number of images that counting takes at once; return the sizes of the batches that it took."""
    from promptmix.tasks import counting
    from promptmix.training import counting as objective

    batches = {True: [], False: []}
    density = counting.density

    def tight(network, images, device):
        if len(images) > (in_training if network.training else in_validation):
            raise torch.OutOfMemoryError(CUDA)
        batches[network.training].append(len(images))
        return density(network, images, device)

    for module in (counting, objective):
        monkeypatch.setattr(module, "density", tight)
    return batches


def test_training_keeps_its_batch_size_and_says_what_to_lower(tmp_path, monkeypatch):
    batches = hungry_tasks(monkeypatch, 3, 99)
    expected = r"^not enough memory for an update on 4 images of 8x8 pixels\. Raise `accumulate`, set `precision` to"
    with pytest.raises(InputError, match=f"{expected} bfloat16, or m{LOWER[1:]}"):
        train(SETTINGS, Dataset(), None, tmp_path, "cpu")
    assert batches[True] in ([], [2])  # an epoch is a batch of 4 and one of 2; none was made smaller
    assert not list(tmp_path.iterdir())


def test_a_training_whose_validation_does_not_fit_continues_with_smaller_batches(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    histories = []
    for most in (99, 1):
        batches = hungry_tasks(monkeypatch, 99, most)
        train(SETTINGS, Dataset(), None, tmp_path / str(most), "cpu")
        histories.append(pd.read_csv(tmp_path / str(most) / "history.csv"))
        monkeypatch.undo()
    assert batches[False] == [1] * 6
    np.testing.assert_allclose(histories[1]["val_error"], histories[0]["val_error"], rtol=1e-6)
    assert histories[1]["loss"].tolist() == histories[0]["loss"].tolist()


def test_an_update_is_named_with_its_images():
    assert training._describe([np.zeros((4, 6, 3))]) == "1 image of 6x4 pixels"
