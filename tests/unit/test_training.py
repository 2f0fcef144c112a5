"""Training: what an epoch sees, what is kept, and that a killed run ends like one that was left in peace."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from support.trainings import SETTINGS, TinyIndex, assert_equal_runs, make_fake, run

from promptmix.errors import InputError
from promptmix.networks.build import build
from promptmix.records.histories import HISTORY
from promptmix.synthesis.mixing import read_fake
from promptmix.tasks.counting import predict_counts
from promptmix.training import loop as training
from promptmix.training.images import RealImages
from promptmix.training.loop import plan_epoch, split_batch, train
from promptmix.training.objective import load_objective

LONG = replace(SETTINGS, r_mix=4, epochs=60, flip=True)


pytestmark = pytest.mark.usefixtures("one_thread")


def sizes(*counts):
    return [size for size, count in zip([(48, 64), (35, 50)], counts, strict=False) for _ in range(count)]


def test_an_epoch_holds_every_real_image_once_and_r_mix_generated_ones():
    settings = replace(SETTINGS, r_mix=5)
    batches = plan_epoch(sizes(10, 7), sizes(20), settings, epoch=1)
    images = [image for batch in batches for image in batch]
    assert sorted(i for generated, i, _ in images if not generated) == list(range(17))
    fakes = [i for generated, i, _ in images if generated]
    assert len(fakes) == len(set(fakes)) == 5


@pytest.mark.parametrize(("repeated", "least", "most"), [(5, 1, 2), (17, 2, 2), (40, 3, 4)])
def test_the_control_sees_real_images_again(repeated, least, most):
    batches = plan_epoch(sizes(10, 7), [], replace(SETTINGS, repeated=repeated), epoch=1)
    images = [i for batch in batches for _, i, _ in batch]
    seen = np.bincount(images)
    assert (len(images), len(seen), seen.min(), seen.max()) == (17 + repeated, 17, least, most)


def test_the_control_makes_as_many_updates_as_promptmix():
    control = plan_epoch(sizes(20), [], replace(SETTINGS, repeated=16), epoch=3)
    promptmix = plan_epoch(sizes(20), sizes(30), replace(SETTINGS, r_mix=16), epoch=3)
    assert len(control) == len(promptmix) == 9


def test_generated_images_alone():
    settings = replace(SETTINGS, r_mix=6, real_images=False)
    images = [image for batch in plan_epoch(sizes(10), sizes(20), settings, epoch=1) for image in batch]
    assert len(images) == 6 and all(generated for generated, _, _ in images)
    with pytest.raises(InputError, match="real_images is false and r_mix is 0.*Raise r_mix"):
        replace(SETTINGS, real_images=False)


def test_a_single_image_joins_another_batch_of_its_size():
    assert sorted(len(batch) for batch in plan_epoch(sizes(9, 1), [], SETTINGS, epoch=1)) == [1, 4, 5]
    assert len(plan_epoch(sizes(3), [], replace(SETTINGS, batch_size=1), epoch=1)) == 3


def test_a_batch_has_one_size_and_is_full_where_it_can_be():
    batches = plan_epoch(sizes(10, 7), [], SETTINGS, epoch=1)
    assert sorted(len(batch) for batch in batches) == [2, 3, 4, 4, 4]
    for batch in batches:
        assert len({sizes(10, 7)[i] for _, i, _ in batch}) == 1


def test_the_order_is_a_function_of_seed_and_epoch():
    plan = plan_epoch(sizes(30), sizes(30), replace(SETTINGS, r_mix=9), 2)
    assert plan == plan_epoch(sizes(30), sizes(30), replace(SETTINGS, r_mix=9), 2)
    assert plan != plan_epoch(sizes(30), sizes(30), replace(SETTINGS, r_mix=9), 3)
    assert plan != plan_epoch(sizes(30), sizes(30), replace(SETTINGS, r_mix=9, seed=4), 2)


def test_real_images_come_in_the_same_order_with_and_without_generated_ones():
    def order(r_mix):
        settings = replace(SETTINGS, r_mix=r_mix, batch_size=1000)
        return [image for batch in plan_epoch(sizes(30), sizes(30), settings, 1) for image in batch if not image[0]]

    assert order(0) == order(9)


def test_images_are_mirrored_only_when_asked():
    def mirrored(flip):
        plan = plan_epoch(sizes(100), [], replace(SETTINGS, flip=flip), 1)
        return sum(image[2] for batch in plan for image in batch)

    assert mirrored(False) == 0
    assert 30 < mirrored(True) < 70


@pytest.mark.slow
def test_a_network_learns_to_count(tmp_path):
    _, history = run(tmp_path, replace(SETTINGS, epochs=40, network_settings={"width": 0.25}))
    assert history["loss"].iloc[-1] < 0.5 * history["loss"].iloc[0]
    assert history["val_error"].min() < history["val_error"].iloc[0]


def test_the_best_epoch_is_kept_and_named(tmp_path):
    _, history = run(tmp_path, replace(SETTINGS, epochs=8))
    best = history.loc[history["val_error"].idxmin()]
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["network"] == "rescsrnet"
    assert json.loads(metadata["settings"]) == {"width": 0.1}
    assert int(metadata["epoch"]) == best["epoch"]
    assert float(metadata["val_error"]) == pytest.approx(best["val_error"])
    network = build("rescsrnet", width=0.1)
    network.load_state_dict(load_file(tmp_path / "checkpoint.safetensors"))
    images = RealImages(TinyIndex(), "val", load_objective(network, 4, 15, 1))
    errors = predict_counts(network, images, "cpu") - images.frame["count"]
    assert errors.abs().mean() == pytest.approx(best["val_error"], rel=1e-4)


def test_history_has_one_row_per_epoch(tmp_path):
    _, history = run(tmp_path, replace(SETTINGS, validate_every=3))
    assert list(history["epoch"]) == [1, 2, 3, 4]
    assert history["lr"].to_numpy() == pytest.approx(1e-3 * 0.99 ** np.arange(4))
    assert list(history["val_error"].notna()) == [False, False, True, True]
    assert list(history["images"]) == [10] * 4
    assert list(history["generated"]) == [0] * 4
    assert list(history["updates"]) == [3] * 4
    assert not (tmp_path / "state.pt").exists()


def test_generated_images_join_the_real_ones(tmp_path):
    fake = make_fake(tmp_path / "fake")
    with_fake, history = run(tmp_path / "a", replace(SETTINGS, r_mix=4), fake)
    without, _ = run(tmp_path / "b", SETTINGS, fake)
    assert list(history["images"]) == [14] * 4
    assert list(history["generated"]) == [4] * 4
    assert not torch.equal(with_fake["output_layer.weight"], without["output_layer.weight"])
    assert_equal_runs(run(tmp_path / "b"), run(tmp_path / "c", SETTINGS, fake))


KEYS = {"experiment": "shta", "learning_rate": "1e-3", "repeat": 2}


def metadata_of(folder):
    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        return file.metadata()


def test_a_run_says_which_it_is_in_its_history_and_in_its_checkpoint(tmp_path):
    alone, named = run(tmp_path / "a"), run(tmp_path / "b", keys=KEYS)
    assert (named[1][list(KEYS)] == list(KEYS.values())).all(axis=None) and list(named[1])[:3] == list(KEYS)
    assert alone[1][list(KEYS)].drop_duplicates().to_numpy().tolist() == [["", "", 0]]
    assert metadata_of(tmp_path / "b") == metadata_of(tmp_path / "a") | KEYS | {"repeat": "2"}
    assert_equal_runs(*((weights, history.drop(columns=list(KEYS))) for weights, history in (alone, named)))


def test_a_run_resumes_under_another_name(tmp_path, monkeypatch):
    stopped_after(2, tmp_path / "a", monkeypatch, SETTINGS, None)
    seen = []
    monkeypatch.setattr(training, "plan_epoch", lambda *args: seen.append(args[-1]) or plan_epoch(*args))
    _, history = run(tmp_path / "a", keys=KEYS)
    assert seen == [3, 4]
    assert history["experiment"].tolist() == ["shta"] * 4


@pytest.mark.parametrize("split", ["test", ""])
def test_no_other_split_than_train_and_val_can_be_read(split):
    with pytest.raises(ValueError, match="'train' and 'val'"):
        RealImages(TinyIndex(), split, None)


def test_the_test_split_is_never_read_and_changes_nothing(tmp_path):
    index = TinyIndex()
    one = run(tmp_path / "a", index=index)
    assert set(index.read) == set(range(14))
    assert_equal_runs(one, run(tmp_path / "b", index=TinyIndex(test_seed=9)))


def test_scaled_density_is_saved_unscaled(tmp_path):
    _, history = run(tmp_path, replace(SETTINGS, density_scale=100, epochs=12))
    network = build("rescsrnet", width=0.1)
    network.load_state_dict(load_file(tmp_path / "checkpoint.safetensors"))
    images = RealImages(TinyIndex(), "val", load_objective(network, 4, 15, 1))
    errors = predict_counts(network, images, "cpu") - images.frame["count"]
    assert errors.abs().mean() == pytest.approx(history["val_error"].min(), rel=1e-3)


class TinyRooms(TinyIndex):
    """Images whose brightness is their depth, from 1 to 5 m, with a hole in each."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(4)
        self.depths = []
        for i, image in enumerate(self.images):
            slope = np.linspace(*rng.uniform(1, 5, 2), image.shape[1], dtype=np.float32)
            depth = np.broadcast_to(slope, image.shape[:2]).copy()
            self.images[i] = (np.repeat(depth[..., None], 3, axis=2) * 50).astype(np.uint8)
            depth[:5, :7] = 0
            self.depths.append(depth)

    def depth(self, i):
        return self.depths[i]


@pytest.mark.slow
def test_a_network_learns_depth(tmp_path):
    settings = replace(SETTINGS, network="guidedepth", network_settings={"width": 0.25}, learning_rate=3e-3, epochs=24)
    _, history = run(tmp_path, settings, index=TinyRooms())
    assert history["val_error"].min() < 0.6 * history["val_error"].iloc[0]


@pytest.mark.slow
def test_an_annotator_of_depth_can_be_trained(tmp_path):
    settings = replace(SETTINGS, network="adabins", network_settings={"width": 0.05, "patch": 2}, epochs=2)
    _, history = run(tmp_path, settings, index=TinyRooms())
    assert np.isfinite(history[["loss", "val_error"]].to_numpy()).all()


def test_given_weights_are_the_start(tmp_path):
    run(tmp_path / "a")
    weights = load_file(tmp_path / "a" / "checkpoint.safetensors")
    front = {name: tensor for name, tensor in weights.items() if name.startswith("frontend.0.")}
    one, _ = run(tmp_path / "b", replace(SETTINGS, learning_rate=0.0), weights=front)
    assert torch.equal(one["frontend.0.weight"], weights["frontend.0.weight"])
    assert not torch.equal(one["output_layer.weight"], weights["output_layer.weight"])
    with pytest.raises(InputError, match="frontend.99"):
        run(tmp_path / "c", weights={"frontend.99.weight": torch.zeros(1)})


def test_a_run_that_diverges_ends_without_an_error(tmp_path):
    _, history = run(tmp_path, replace(SETTINGS, network="csrnet", learning_rate=1e15, epochs=30))
    assert len(history) < 30
    assert not np.isfinite(history["loss"].iloc[-1])


def test_float16_on_a_cpu_is_float32(tmp_path):
    assert_equal_runs(run(tmp_path / "a"), run(tmp_path / "b", replace(SETTINGS, precision="float16")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r_mix": 7}, "r_mix is 7.*holds 6"),
        ({"network": "sasnet", "r_mix": 1}, "stride 8.*network has stride 1"),
        ({"network": "dmcount", "density_scale": 10}, "density_scale"),
    ],
)
def test_what_does_not_fit_is_an_error(tmp_path, change, message):
    fake = make_fake(tmp_path / "fake")
    with pytest.raises(InputError, match=message):
        run(tmp_path, replace(SETTINGS, **change), fake)


def test_bfloat16_trains_with_about_the_same_losses(tmp_path):
    """Its numbers have 8 bits: the errors of a network with layers without normalisation are in the percents."""
    (weights, history), (other, mixed) = (
        run(tmp_path / precision, replace(SETTINGS, precision=precision)) for precision in ("float32", "bfloat16")
    )
    assert not torch.equal(weights["output_layer.weight"], other["output_layer.weight"])
    assert other["output_layer.weight"].dtype == torch.float32
    np.testing.assert_allclose(mixed["loss"], history["loss"], rtol=0.1)


@pytest.mark.skipif(not shutil.which("g++"), reason="without a GPU, torch compiles by a C++ compiler")
def test_a_compiled_network_is_trained_to_the_same_weights_but_for_rounding(tmp_path):
    settings = replace(SETTINGS, epochs=1, batch_size=5)
    plain, history = run(tmp_path / "plain", settings)
    compiled, other = run(tmp_path / "compiled", replace(settings, compile=True))
    assert compiled.keys() == plain.keys()
    np.testing.assert_allclose(other["loss"], history["loss"], rtol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="these settings are a GPU's")
@pytest.mark.parametrize("on", [False, True])
def test_a_gpu_is_told_which_algorithms_it_may_take(tmp_path, on):
    settings = replace(SETTINGS, epochs=1, tf32=on, cudnn_benchmark=on)
    train(settings, TinyIndex(), None, tmp_path, "cuda")
    cudnn = torch.backends.cudnn
    assert (cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic) == (on, on, not on)


@pytest.mark.parametrize(("images", "parts"), [(4, 1), (4, 2), (4, 3), (5, 4), (1, 4), (32, 5)])
def test_a_batch_is_split_into_even_parts(images, parts):
    found = [range(images)[part] for part in split_batch(images, parts)]
    assert [i for part in found for i in part] == list(range(images))
    assert len(found) == max(1, min(images // 2, parts)) and max(map(len, found)) - min(map(len, found)) <= 1
    assert min(map(len, found)) >= min(images, 2)


def test_a_network_that_pools_over_the_whole_image_is_trained_in_parts(tmp_path):
    """With parts of one image, its batch normalisation would have one number."""
    network = {"network": "guidedepth", "network_settings": {"width": 0.25}}
    _, history = run(tmp_path, replace(SETTINGS, **network, epochs=1, accumulate=4), index=TinyRooms())
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(("network", "parts"), [("csrnet", 2), ("csrnet", 3), ("csrnet", 9)])
def test_a_batch_in_parts_makes_the_update_of_the_whole(tmp_path, network, parts):
    """To rounding, of a network without batch normalisation."""
    settings, fake = replace(SETTINGS, network=network, r_mix=4, epochs=2), make_fake(tmp_path / "fake")
    whole, history = run(tmp_path / "a", settings, fake)
    split, other = run(tmp_path / "b", replace(settings, accumulate=parts), fake)
    assert other["updates"].tolist() == history["updates"].tolist()
    np.testing.assert_allclose(other["loss"], history["loss"], rtol=1e-4)
    for name, tensor in whole.items():  # AdamW's first updates are as large as the rate, whatever the gradient
        assert torch.isclose(split[name], tensor, atol=2e-4).double().mean() > 0.99, name


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("network", ["csrnet", "adabins"])
def test_the_loss_in_the_history_is_a_mean_over_the_images(tmp_path, monkeypatch, network, parts):
    """Also where a network gives more than maps, as AdaBins its bins, and whatever the parts' numbers of images are."""
    settings = {"width": 0.1} if network == "csrnet" else {"width": 0.05, "patch": 2}
    losses, load = [], training.load_objective

    def watched(*args):
        objective = load(*args)
        loss = objective.loss

        def keep(predicted, targets):
            found = loss(predicted, targets)
            losses.append((found.item(), len(targets)))
            return found

        objective.loss = keep
        return objective

    monkeypatch.setattr(training, "load_objective", watched)
    index = TinyIndex() if network == "csrnet" else TinyRooms()
    chosen = {"network": network, "network_settings": settings, "accumulate": parts, "epochs": 1, "learning_rate": 1e-4}
    _, history = run(tmp_path, replace(SETTINGS, **chosen), index=index)
    assert sum(number for _, number in losses) == history["images"][0]
    expected = sum(loss * number for loss, number in losses) / history["images"][0]
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_no_more_than_a_part_of_a_batch_goes_through_the_network_at_once(tmp_path, monkeypatch):
    seen = []
    load = training.load_objective

    def watched(*args):
        objective = load(*args)
        forward = objective.forward
        objective.forward = lambda network, images, device: seen.append(len(images)) or forward(network, images, device)
        return objective

    monkeypatch.setattr(training, "load_objective", watched)
    run(tmp_path, replace(SETTINGS, accumulate=2, epochs=1))
    assert max(seen) <= 2 and sum(seen) == 10


@pytest.mark.parametrize("change", [{"precision": "int8"}, {"epochs": 0}, {"batch_size": 0}, {"accumulate": 0}])
def test_settings_are_checked(change):
    with pytest.raises(InputError, match=next(iter(change))):
        replace(SETTINGS, **change)


def test_a_missing_split_is_an_error(tmp_path):
    index = TinyIndex()
    index.frame["split"] = index.frame["split"].replace("val", "test")
    with pytest.raises(InputError, match="'val'"):
        run(tmp_path, index=index)


def stopped_after(epoch: int, folder, monkeypatch, settings, fake):
    """Train until the state after `epoch` is saved, then fail."""

    def plan(*args):
        if args[-1] > epoch:
            raise KeyboardInterrupt
        return plan_epoch(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "plan_epoch", plan)
        run(folder, settings, fake, save_seconds=0)
    assert (folder / "state.pt").exists()


@pytest.mark.parametrize("r_mix", [0, 4])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, monkeypatch, r_mix):
    settings, fake = replace(SETTINGS, r_mix=r_mix, epochs=6, flip=True), make_fake(tmp_path / "fake")
    undisturbed = run(tmp_path / "a", settings, fake)
    stopped_after(2, tmp_path / "b", monkeypatch, settings, fake)
    assert_equal_runs(undisturbed, run(tmp_path / "b", settings, fake))


@pytest.mark.slow
def test_a_state_of_other_settings_or_data_is_discarded(tmp_path, monkeypatch):
    fake = make_fake(tmp_path / "fake")
    settings = replace(SETTINGS, r_mix=4)
    stopped_after(2, tmp_path / "b", monkeypatch, settings, fake)
    other = replace(settings, learning_rate=1e-4)
    assert_equal_runs(run(tmp_path / "a", other, fake), run(tmp_path / "b", other, fake))

    stopped_after(2, tmp_path / "c", monkeypatch, settings, fake)
    assert_equal_runs(run(tmp_path / "d", settings, fake[1:]), run(tmp_path / "c", settings, fake[1:]))

    stopped_after(2, tmp_path / "e", monkeypatch, settings, fake)
    changed = TinyIndex()
    changed.images[2] = 255 - changed.images[2]
    assert_equal_runs(run(tmp_path / "f", settings, fake, changed), run(tmp_path / "e", settings, fake, changed))


def test_a_state_that_other_code_has_left_is_discarded(tmp_path, monkeypatch):
    stopped_after(2, tmp_path / "a", monkeypatch, SETTINGS, None)
    seen = []
    monkeypatch.setattr(training, "plan_epoch", lambda *args: seen.append(args[-1]) or plan_epoch(*args))
    run(tmp_path / "a", code="changed")
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "damage", [lambda state: b"", lambda state: state[: len(state) // 2], lambda state: b"junk" * 99]
)
def test_a_damaged_state_is_discarded(tmp_path, monkeypatch, caplog, damage):
    stopped_after(2, tmp_path / "a", monkeypatch, SETTINGS, None)
    state = tmp_path / "a" / "state.pt"
    state.write_bytes(damage(state.read_bytes()))
    assert_equal_runs(run(tmp_path / "b"), run(tmp_path / "a"))
    assert f"{state} is damaged and is discarded" in caplog.text


@pytest.mark.slow
def test_saving_takes_no_more_than_a_hundredth_of_the_time(tmp_path, monkeypatch):
    """A clock on which an epoch takes 10 s, and to save the state 1 s; later 100 s."""
    clock, saved = [0.0], []

    def plan(*args):
        clock[0] += 10
        return plan_epoch(*args)

    def save(state, file):
        clock[0] += 1 if state["epoch"] < 10 else 100
        saved.append(state["epoch"])

    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(training, "plan_epoch", plan)
    monkeypatch.setattr(torch, "save", save)
    run(tmp_path, replace(SETTINGS, epochs=60), save_seconds=300)
    assert saved == [1, 11, 41]  # 100 s after the first; then not 10 000 s, but save_seconds


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    fake = make_fake(tmp_path / "fake")

    def start():
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen([sys.executable, __file__, tmp_path / "b", tmp_path / "fake/fake.csv"], env=environment)

    victim, state = start(), tmp_path / "b" / "state.pt"
    while not state.exists() and victim.poll() is None:
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.3))
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL, "the run ended before it was killed; give it more epochs"
    assert state.exists()
    assert not (tmp_path / "b" / "checkpoint.safetensors").exists()

    undisturbed = run(tmp_path / "a", LONG, fake)
    assert start().wait(timeout=300) == 0
    resumed = load_file(tmp_path / "b" / "checkpoint.safetensors"), HISTORY.read(tmp_path / "b" / "history.csv")
    assert_equal_runs(undisturbed, resumed)
    assert sorted(os.listdir(tmp_path / "b")) == sorted(os.listdir(tmp_path / "a"))


if __name__ == "__main__":  # what `test_a_killed_run_ends_with_the_same_bits` starts
    torch.set_num_threads(1)
    train(LONG, TinyIndex(), read_fake(sys.argv[2]), sys.argv[1], "cpu", save_seconds=0)
