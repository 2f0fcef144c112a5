"""Lines of progress: how often they come and what they say; and that each long stage logs them. About 5 s."""

import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.sample import Sample
from promptmix.miniature.models.loop import fit
from promptmix.networks.build import build
from promptmix.running import progress as module
from promptmix.running.progress import Progress, duration, progress
from promptmix.training.evaluation import predict
from promptmix.training.loop import train
from promptmix.training.settings import TrainingSettings

NOISE = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
"""Three generated images."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that shows `clock.now`."""

    class Clock:
        now = 1000.0

    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture(autouse=True)
def lines(caplog):
    caplog.set_level(logging.WARNING, logger="promptmix")  # jobs that other tests have started have lowered it
    caplog.set_level(logging.INFO, logger="promptmix.running.progress")
    return caplog


def test_a_line_every_ten_seconds_and_one_at_the_end(clock, lines):
    for _ in progress(range(100), 100, "images generated"):
        clock.now += 0.3
    assert lines.messages == [
        "34 of 100 images generated, 20 s left",
        "68 of 100 images generated, 10 s left",
        "100 of 100 images generated, in 30 s",
    ]


def test_what_takes_less_than_ten_seconds_says_nothing(clock, lines):
    assert list(progress("abc", 3, "images")) == ["a", "b", "c"]
    assert not lines.messages


def test_an_item_counts_as_done_when_the_next_one_is_asked_for(clock, lines):
    items = progress(["a", "b"], 2, "images")
    next(items)
    clock.now += 60
    assert not lines.messages
    next(items)
    assert lines.messages == ["1 of 2 images, 60 s left"]


def test_batches_count_what_they_hold(clock, lines):
    for _ in progress([[1, 2, 3], [4]], 4, "images", len):
        clock.now += 15
    assert lines.messages == ["3 of 4 images, 5 s left", "4 of 4 images, in 30 s"]


def test_what_an_earlier_run_has_done_took_no_time_in_this_one(clock, lines):
    watch = Progress(500, "epochs", done=400)
    clock.now += 60
    watch.add(10, "loss 0.12")
    assert lines.messages == ["410 of 500 epochs, loss 0.12, 9 min left"]


def test_a_line_can_be_wanted_in_any_case(clock, lines):
    watch = Progress(2, "epochs")
    clock.now += 1
    watch.add(say=True)
    assert lines.messages == ["1 of 2 epochs, 1 s left"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (99.4, "99 s"), (99.6, "2 min"), (5940, "99 min"), (6000, "1 h 40 min"), (345_600, "96 h 0 min")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


# --- The stages that can take long ---


@pytest.fixture
def talkative(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0)


@pytest.fixture
def index(tmp_path, lines):
    """A prepared dataset of six training, two validation and two test images."""
    samples = []
    for number in range(10):
        file = tmp_path / f"{number}.jpg"
        Image.fromarray(np.full((32, 48, 3), 25 * number, np.uint8)).save(file)
        split = "train" if number < 6 else "val" if number < 8 else "test"
        samples.append(Sample(file.name, file, split, 48, 32, np.array([[8.0, 8.0]])))
    prepare(samples, tmp_path / "prepared", workers=2)
    lines.clear()
    return Index.open(tmp_path / "prepared/index.csv")


@pytest.fixture
def block(tmp_path):
    """Three generated images with their manifest."""
    rows = pd.DataFrame({"prompt": "a", "seed": range(3), "width": 8, "height": 8, "quality": 75})
    rows = rows.assign(source="", prompt_number=0)
    return rows, tmp_path / "images", tmp_path / "block.csv"


def without_time(lines):
    return [line.getMessage().rpartition(",")[0] for line in lines.records]


def test_preparing_a_dataset(talkative, lines, index):
    samples = [Sample("a", index.path.parents[1] / "0.jpg", "train", 48, 32, np.zeros((0, 2)))] * 10
    prepare(samples, index.path.parent / "again")
    assert without_time(lines) == [f"{i} of 10 images prepared" for i in range(1, 11)]


def test_training(talkative, lines, index, tmp_path):
    settings = TrainingSettings("rescsrnet", 1e-3, epochs=2, batch_size=2, seed=1, network_settings={"width": 0.1})
    train(settings, index, None, tmp_path / "run", "cpu")
    *images, validated, epoch, first_again, second = without_time(lines)
    assert images == [f"{number} of 6 images of epoch 1" for number in (2, 4, 6)]
    assert validated == "2 of 2 images predicted"
    assert epoch.startswith("1 of 2 epochs, loss ") and "validation error" in epoch
    assert first_again == "2 of 2 images predicted" and second.startswith("2 of 2 epochs, loss ")


def test_a_training_that_is_resumed(lines, index, tmp_path):
    settings = TrainingSettings("rescsrnet", 1e-3, epochs=3, batch_size=2, seed=1, network_settings={"width": 0.1})

    class Killed(Exception):
        pass

    def kill(*_):
        raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr("promptmix.records.record.write_csv", kill)
        train(settings, index, None, tmp_path / "run", "cpu", save_seconds=0)
    lines.clear()
    train(settings, index, None, tmp_path / "run", "cpu")
    (only,) = lines.messages
    assert only.startswith("3 of 3 epochs, loss ")


def test_evaluation(talkative, lines, index):
    predict(build("rescsrnet", width=0.1), index, "test", "cpu")
    assert without_time(lines)[-1] == "2 of 2 images predicted"


def test_generation_counts_batches(talkative, lines, block, monkeypatch):
    from promptmix.synthesis import generation

    images, folder, manifest = block
    said_before = []

    def two_at_once(pipeline, batch, settings):
        said_before.append(without_time(lines))
        return NOISE[: len(batch)]

    monkeypatch.setattr(generation, "_pixels", two_at_once)
    monkeypatch.setattr(generation, "BATCH_PIXELS", {"cpu": 2 * 8 * 8})
    monkeypatch.setattr(generation, "check_prompts", lambda *_: None)
    monkeypatch.setattr(generation, "size_multiple", lambda _: 8)
    monkeypatch.setattr(generation, "readers_of", lambda *_, **__: [])
    pipeline = SimpleNamespace(name_or_path="model", _execution_device=torch.device("cpu"), refiner=None)
    settings = SimpleNamespace(negative_prompt="", native=None)
    generation.write_block(pipeline, images, settings, folder, manifest, "pool")
    assert said_before == [[], ["2 of 3 images generated"]]
    assert without_time(lines) == ["2 of 3 images generated", "3 of 3 images generated"]


def test_captioning_counts_batches(talkative, lines):
    from promptmix.synthesis.captions import Captioner

    captioner = Captioner.__new__(Captioner)
    captioner._captions_of = lambda images: ["a crowd"] * len(images)
    assert len(list(captioner.caption(iter(NOISE), batch_size=2, total=3))) == 3
    assert without_time(lines) == ["2 of 3 images captioned", "3 of 3 images captioned"]
    lines.clear()
    list(captioner.caption(NOISE))
    assert lines.records == []


def test_face_restoration(talkative, lines, block, monkeypatch):
    from promptmix.synthesis import faces, generation

    images, folder, manifest = block
    monkeypatch.setattr(generation, "generate", lambda *_: enumerate(NOISE))
    generation.write_block(SimpleNamespace(name_or_path="model"), images, None, folder, manifest, "pool")
    lines.clear()

    class Restorer:
        def restore(self, image, seed):
            return image, 0

    faces.restore_block(Restorer(), manifest, folder.with_name("restored"), manifest.with_name("restored.csv"))
    assert without_time(lines) == [f"{i} of 3 images restored" for i in (1, 2, 3)]


def test_training_a_model_of_the_miniature(talkative, lines, tmp_path):
    network = nn.Linear(2, 1)
    fit(network, lambda step: network(torch.ones(1, 2)).square().mean(), 3, 1e-3, tmp_path / "state")
    assert [line.split(",")[0] for line in lines.messages] == ["1 of 3 steps", "2 of 3 steps", "3 of 3 steps"]
    assert all(", loss " in line for line in lines.messages)
