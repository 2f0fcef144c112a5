"""Reading batches: the same ones whatever the threads, whole while they are computed on, and no thread is left behind."""

import errno
import os
import threading
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, replace
from types import SimpleNamespace
from unittest.mock import Mock, call

import numpy as np
import pytest
import torch
from snakemake.iocontainers import Namedlist as Named
from support.scripts import run_script
from support.trainings import SETTINGS, TinyIndex, make_fake, run

from promptmix.errors import InputError
from promptmix.networks.build import build
from promptmix.running.scratch import Scratch
from promptmix.tasks.batching import network_input
from promptmix.training import loading
from promptmix.training import loop as training
from promptmix.training.images import Cache, FakeImages, RealImages
from promptmix.training.loading import Loader
from promptmix.training.loop import plan_epoch
from promptmix.training.objective import load_objective

STRIDE = 8
LOOKS = [(1, 0), (1, 1), (4, 1), (4, 3), (2, 100)]
"""Numbers of threads, and of batches that are read ahead."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def images(tmp_path):
    """Real and generated images, none of which is kept in memory."""
    objective = load_objective(build("rescsrnet", width=0.1), 4, 15, 1)
    fake = FakeImages(make_fake(tmp_path / "fake"), STRIDE, cache_bytes=0)
    return RealImages(TinyIndex(), "train", objective, cache_bytes=0), fake


def plan_of(images, epoch=1):
    real, generated = images
    return plan_epoch(real.sizes, generated.sizes, replace(SETTINGS, r_mix=5, flip=True), epoch)


def stacked(images, plan):
    """Return what a plan's batches are, each read anew and stacked."""
    real, generated = images
    for batch in plan:
        sources = [(generated if is_generated else real, i, -1 if flip else 1) for is_generated, i, flip in batch]
        yield tuple(
            np.stack([found[:, ::step] for found, step in found])
            for found in (
                [(source.image(i), step) for source, i, step in sources],
                [(source.target(i), step) for source, i, step in sources],
            )
        )


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("reader")]


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@pytest.mark.parametrize(("threads", "ahead"), LOOKS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_batches_are_the_same_with_any_number_of_threads(images, device, threads, ahead):
    loader = Loader(*images, STRIDE, device, threads, ahead)
    for epoch in (1, 2, 3):  # the second and third are read into the memory of the first
        plan = plan_of(images, epoch)
        found = [tuple(part.clone() for part in batch) for batch in loader.read(plan)]
        wanted = list(stacked(images, plan))
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted):
            for tensor, expected in zip(one, other):
                assert tensor.device.type == device
                assert torch.equal(tensor.cpu(), torch.from_numpy(expected))


def test_depth_annotated_in_float16_is_the_same_in_float32():
    class Rooms:
        sizes = [(6, 8)] * 4
        depths = np.random.default_rng(0).uniform(0, 10, (4, 6, 8)).astype(np.float16)

        def image(self, i):
            return np.zeros((6, 8, 3), np.uint8)

        def target(self, i):
            return self.depths[i]

    ((_, targets),) = Loader(Rooms(), Rooms(), 1, "cpu").read([[(True, i, False) for i in range(4)]])
    assert targets.dtype == torch.float32
    np.testing.assert_array_equal(targets.numpy(), Rooms.depths)


@pytest.mark.parametrize(("threads", "ahead"), LOOKS)
def test_a_batch_stays_as_it_is_while_it_is_computed_on(images, threads, ahead):
    for pixels, targets in Loader(*images, STRIDE, "cpu", threads, ahead).read(plan_of(images)):
        before = pixels.clone(), targets.clone()
        time.sleep(0.05)  # the readers go on
        assert torch.equal(pixels, before[0]) and torch.equal(targets, before[1])


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_memory_is_used_again(images, ahead):
    loader = Loader(*images, STRIDE, "cpu", threads=1, ahead=ahead)
    real = [[(False, i, False) for i in range(1, 5)]] * 8
    seen = {pixels.data_ptr() for _ in range(3) for pixels, _ in loader.read(real)}
    assert len(seen) == ahead + 1


def test_what_a_gpu_computes_on_is_waited_for_before_its_memory_is_filled_again(images, monkeypatch):
    """With a GPU's streams and events in words: none is here. Waiting for the last batch would leave the GPU idle."""
    computing, waited = [], []

    class Event:
        def __init__(self, blocking):
            assert blocking

        def synchronize(self):
            assert self in computing[:-1]
            waited.append(computing.index(self))

    now, copies = Mock(), Mock()
    now.record_event = lambda event: computing.append(event) or event
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: now)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    monkeypatch.setattr(loading, "_Room", lambda pinned, make=loading._Room: make(pinned=not pinned))
    loader = Loader(*images, STRIDE, "cpu", threads=2, ahead=2)
    loader._copies = copies
    plan = [[(False, i, False) for i in range(1, 5)]] * 5
    seen = [pixels.data_ptr() for _ in range(2) for pixels, _ in loader.read(plan)]
    assert len(set(seen)) == 4  # one computed on, two read, one that may still be in use
    assert waited == [0, 1, 2, 3, 4, 5]
    assert now.wait_stream.call_args_list == [call(copies)] * 10


def test_batches_of_one_image_keep_all_threads_busy(images):
    """The third image is not there before the others have been begun."""
    real, _ = images
    together = threading.Barrier(3, timeout=10)
    read = real.image
    real.image = lambda i: (together.wait(), read(i))[1]
    plan = [[(False, i, False)] for i in (1, 2, 3, 4, 6, 7)]
    assert len(list(Loader(*images, STRIDE, "cpu", threads=3, ahead=1).read(plan))) == 6


@pytest.mark.parametrize(("threads", "ahead"), LOOKS)
def test_no_more_threads_than_asked_for(images, threads, ahead):
    before = threading.active_count()
    for _ in Loader(*images, STRIDE, "cpu", threads, ahead).read(plan_of(images)):
        assert threading.active_count() - before <= (threads if ahead else 0)
    assert threading.active_count() == before


def test_a_cpu_reads_in_line_unless_told_otherwise(images):
    for _ in Loader(*images, STRIDE, "cpu").read(plan_of(images)):
        assert not readers()


@pytest.mark.parametrize(("threads", "ahead"), LOOKS)
@pytest.mark.parametrize("kind", [InputError, OSError])
def test_an_error_of_a_reader_is_raised_where_batches_are_asked_for(images, threads, ahead, kind):
    real, _ = images
    read = real.image

    def image(i):
        if i in (3, 4):
            raise kind(f"image {i} is missing")
        return read(i)

    real.image = image
    plan = [[(False, 1, False), (False, 2, False)], [(False, 3, False), (False, 4, False)], [(False, 6, False)]]
    found = []
    with pytest.raises(kind, match="image 3 is missing"):
        found.extend(len(pixels) for pixels, _ in Loader(*images, STRIDE, "cpu", threads, ahead).read(plan))
    assert found == [2]
    assert not readers()


def test_threads_end_when_the_iterator_is_closed(images):
    batches = Loader(*images, STRIDE, "cpu", 4, 2).read(plan_of(images))
    next(batches)
    assert readers()
    batches.close()
    assert not readers()


@pytest.mark.parametrize("epochs", [1, 2])  # the first epoch's batches are counted on their way
def test_no_thread_outlives_a_training_that_fails(tmp_path, monkeypatch, epochs):
    monkeypatch.setattr(training, "Loader", lambda *args: Loader(*args, threads=2, ahead=2))
    seen = []

    def load(*args):
        objective = load_objective(*args)
        loss = objective.loss

        def failing(*given):
            seen.append(len(readers()))
            if len(seen) == 3 * epochs - 1:
                raise RuntimeError("the loss is at a loss")
            return loss(*given)

        objective.loss = failing
        return objective

    monkeypatch.setattr(training, "load_objective", load)
    with pytest.raises(RuntimeError, match="at a loss") as raised:
        run(tmp_path)
    assert seen[-1] and not readers(), raised  # whose traceback holds the variables of the training


def test_a_training_that_reads_ahead_ends_with_the_same_bits(tmp_path, monkeypatch):
    settings, fake = replace(SETTINGS, r_mix=4, flip=True), make_fake(tmp_path / "fake")
    one, _ = run(tmp_path / "a", settings, fake)
    monkeypatch.setattr(training, "Loader", lambda *args: Loader(*args, threads=4, ahead=3))
    other, _ = run(tmp_path / "b", settings, fake, cache_bytes=0)
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


# --- Images that threads share ---


def test_threads_share_a_cache(monkeypatch):
    begun = threading.Barrier(4, timeout=10)

    def compute(i):
        begun.wait()
        return np.full(10, i, np.uint8)

    cache = Cache(compute, limit=25)
    for i in range(2):  # all four compute it; it is kept, and counted, once
        found = in_threads(4, lambda i=i: cache[i])
        assert all((array == i).all() for array in found)
    assert (cache[0], cache[1]) and cache._left == 5
    begun.abort()
    with pytest.raises(threading.BrokenBarrierError):
        cache[2]


def test_what_does_not_fit_into_memory_is_computed_once_and_kept_on_disk(tmp_path):
    results = [np.arange(i, i + 20, dtype=np.float16).reshape(4, 5)[:, ::-1] for i in range(6)]
    compute = Mock(side_effect=results.__getitem__)
    cache = Cache(compute, limit=80, scratch=Scratch(tmp_path / "new", 3 * 40))  # two in memory, three on disk
    for _ in range(3):
        for i, result in enumerate(results):
            assert cache[i].dtype == np.float16 and np.array_equal(cache[i], result)
    assert Counter(i for ((i,), _) in compute.call_args_list) == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 6}
    assert os.listdir(tmp_path / "new") == []  # a file without a name, which no killed job leaves


def test_threads_share_what_is_kept_on_disk(tmp_path):
    begun = threading.Barrier(4, timeout=10)

    def compute(i):
        begun.wait()
        return np.full(1000, i)

    scratch = Scratch(tmp_path, 10 * 8000)
    one, other = Cache(compute, 0, scratch), Cache(lambda i: -compute(i), 0, scratch)
    for i in range(4):  # all four compute it, and it takes its place once
        assert all((array == i).all() for array in in_threads(4, lambda i=i: one[i]))
        assert all((array == -i).all() for array in in_threads(4, lambda i=i: other[i]))
    assert scratch._left == 2 * 8000
    begun.abort()
    assert all((one[i] == i).all() and (other[i] == -i).all() for i in range(4))


def test_a_disk_that_is_full_is_told_of_once_and_images_are_read_anew(tmp_path, monkeypatch, caplog):
    really = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, array, start: really(file, bytes(array)[: 150 - start], start))
    cache = Cache(lambda i: np.full(100, i, np.uint8), 0, Scratch(tmp_path, 1000))
    for _ in range(2):
        assert [(cache[i] == i).all() for i in range(4)] == [True] * 4
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path} is full; what does not fit is read and decoded again when it is needed"
    ]


def test_a_disk_without_any_room_is_told_of_and_other_errors_are_raised(tmp_path, monkeypatch, caplog):
    for number in (errno.ENOSPC, errno.EIO):
        monkeypatch.setattr(os, "pwrite", Mock(side_effect=OSError(number, os.strerror(number))))
        cache = Cache(lambda i: np.full(100, i, np.uint8), 0, Scratch(tmp_path, 1000))
        if number == errno.EIO:
            with pytest.raises(OSError, match="Input/output error"):
                cache[0]
        else:
            assert (cache[0] == 0).all() and f"{tmp_path} is full" in caplog.text


def test_a_training_that_keeps_images_on_disk_ends_with_the_same_bits(tmp_path, monkeypatch):
    settings, fake = replace(SETTINGS, r_mix=4, flip=True), make_fake(tmp_path / "fake")
    one, _ = run(tmp_path / "a", settings, fake)
    monkeypatch.setattr(training, "Loader", lambda *args: Loader(*args, threads=4, ahead=3))
    scratch = Scratch(tmp_path, 10**6)
    other, _ = run(tmp_path / "b", settings, fake, cache_bytes=0, scratch=scratch)
    assert scratch._left < 10**6
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_file_of_annotations_is_opened_once_by_all_threads(tmp_path, monkeypatch):
    fake = FakeImages(make_fake(tmp_path), STRIDE, cache_bytes=0)
    opened, really = [], fake._open

    def slowly(path):
        opened.append(path)
        time.sleep(0.05)
        return really(path)

    monkeypatch.setattr(fake, "_open", slowly)
    found = in_threads(4, lambda: [fake.target(i) for i in range(len(fake))])
    assert len(opened) == 1
    assert all(np.array_equal(one, found[0]) for one in found)


def test_all_threads_are_told_that_annotations_have_another_stride(tmp_path):
    fake = FakeImages(make_fake(tmp_path), 4)
    for _ in range(2):
        with pytest.raises(InputError, match="stride 8.*network has stride 4"):
            fake.target(0)


def in_threads(number, function):
    """Return what a function returns in each of some threads that run at once."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(function())) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(found) == number
    return found


@pytest.mark.parametrize("mem_mb", [16000, 2000])
def test_a_job_s_three_caches_leave_a_quarter_of_its_memory(monkeypatch, tmp_path, mem_mb):
    seen = []
    monkeypatch.setattr(
        training, "train", lambda *args, **kwargs: seen.append((kwargs["cache_bytes"], kwargs["scratch"]))
    )
    monkeypatch.setattr("promptmix.datasets.index.Index.open", lambda path: TinyIndex())
    params = {"settings": asdict(SETTINGS), "takes_what_is_left": False, "backbone": None, "code": ""}
    run_script(
        "train_network",
        input={"fake": [], "index": "index.csv", "get": lambda name: None},
        params=params,
        output=Named(fromdict={"checkpoint": str(tmp_path / "checkpoint.safetensors")}),
        resources=Named(fromdict={"mem_mb": mem_mb, "tmpdir": str(tmp_path / "new"), "scratch_mb": 0}),
        wildcards=SimpleNamespace(experiment="shta", lr="1e-3", repeat="0"),
    )
    ((cache_bytes, scratch),) = seen
    assert cache_bytes == mem_mb * 10**6 // 4
    assert scratch.keep(np.zeros(1)) is None and not (tmp_path / "new").exists()  # unless the user gives it some


# --- The batch of a network ---


def test_a_batch_in_one_tensor_is_what_its_images_are():
    network = build("rescsrnet", width=0.1)
    images = [np.random.default_rng(i).integers(0, 256, (35, 50, 3), np.uint8) for i in range(3)]
    one = network_input(network, images, "cpu")
    assert torch.equal(network_input(network, torch.from_numpy(np.stack(images)), "cpu"), one)


def test_colours_of_a_prediction_serve_training_too():
    network, image = build("rescsrnet", width=0.1), [np.full((16, 16, 3), 90, np.uint8)]
    network.mean, network.std = [0.1, 0.2, 0.31], (0.5, 0.6, 0.7)  # of no other test
    with torch.inference_mode():
        network_input(network, image, "cpu")
    batch = network_input(network, image, "cpu")
    assert not batch.is_inference()
    np.testing.assert_allclose(batch[0, :, 0, 0], (90 / 255 - np.array(network.mean)) / network.std, rtol=1e-5)
