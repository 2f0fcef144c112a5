"""Predicted memory is that of the tensors that are really made, and bounded where images are large."""

import contextlib

import pytest
import torch
from safetensors import safe_open

from promptmix.networks.build import build
from promptmix.preflight import memory
from promptmix.synthesis.generation import TILE

MINIATURE = "resources/models/stable-diffusion"
GB = 10**9


@pytest.fixture
def really(monkeypatch):
    """Return a function that runs a prediction on real tensors and gives what was counted."""

    @contextlib.contextmanager
    def on_real_tensors():
        with memory._Memory() as counted:
            yield counted

    def run(predict, *arguments, **keywords):
        with monkeypatch.context() as patched:
            patched.setattr(memory, "_on_fake_tensors", on_real_tensors)
            return predict(*arguments, **keywords, overhead=False)

    return run


def parameters(network, **settings):
    with torch.device("meta"):
        return sum(p.numel() for p in build(network, **settings).parameters())


# --- Counting ---


def test_tensors_count_while_they_live_and_views_do_not():
    with memory._Memory() as counted:
        a = torch.empty(1000)
        assert counted.now == 4096  # the next multiple of 512 bytes
        b = a[10:].view(-1, 2)
        a.add_(1)
        assert counted.now == 4096
        c = a * 2
        assert counted.now == counted.peak == 8192
        del a, c
        assert counted.now == 4096
        del b
        assert (counted.now, counted.peak) == (0, 8192)


def test_what_backpropagation_needs_is_alive():
    x = torch.ones(1024, requires_grad=True)
    with memory._Memory() as counted:
        y = x.sin().cos().exp()
        assert (counted.now, counted.peak) == (2 * 4096, 3 * 4096)  # the cosine's argument and the result stay
        y.sum().backward()
        del y
        assert counted.now == 4096  # the gradient


# --- Predictions are what happens ---


@pytest.mark.parametrize(
    ("network", "precision"), [("rescsrnet", "float32"), ("rescsrnet", "float16"), ("guidedepth", "float32")]
)
def test_training_on_fake_tensors_counts_as_on_real_ones(really, monkeypatch, network, precision):
    monkeypatch.setattr(memory, "BATCH_PIXELS", 1)
    arguments = (network, 96, 64, 3, precision, {"width": 0.25})
    predicted = memory.training(*arguments, overhead=False)
    assert predicted == pytest.approx(really(memory.training, *arguments), rel=0.02)


def test_annotating_on_fake_tensors_counts_as_on_real_ones(really):
    adabins = {"width": 0.125, "encoder_depth": 0.35, "embedding": 32, "patch": 4, "bins": 64}
    for network, settings in (("dmcount", {"width": 0.125}), ("adabins", adabins)):
        arguments = (network, 96, 72, settings, 2)
        predicted = memory.annotation(*arguments, overhead=False)
        assert predicted == pytest.approx(really(memory.annotation, *arguments), rel=0.02)


def test_generating_on_fake_tensors_counts_as_on_real_ones(really):
    arguments = (96, 64, "float32", 1, MINIATURE)
    predicted = memory.generation(*arguments, overhead=False)
    assert predicted == pytest.approx(really(memory.generation, *arguments), rel=0.02)


def test_stable_diffusion_has_as_many_parameters_as_published():
    with torch.device("meta"):
        parts = memory.load_diffusion().parts
    numbers = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    assert numbers == {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480}


def test_a_models_own_configs_are_read():
    """So a model of another size is predicted as such."""
    stored = 0
    for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"):
        with safe_open(f"{MINIATURE}/{part}.safetensors", "pt") as file:
            stored += sum(file.get_tensor(key).numel() for key in file.keys())  # noqa: SIM118
    predicted = memory.generation(8, 8, "float32", 1, MINIATURE, overhead=False)
    assert 4 * stored < predicted < 1.3 * 4 * stored


# --- What they say ---


@pytest.mark.parametrize(("precision", "limit"), [("float16", 8 * GB), ("float32", 12 * GB)])
def test_large_images_are_generated_within_the_memory_that_the_readme_states(precision, limit):
    for size in ((512, 512), (2560, 1440)):
        assert memory.generation(*size, precision) < limit


def test_no_attention_of_all_positions_by_all_is_held():
    positions = (2560 // 8) * (1440 // 8)
    assert memory.generation(2560, 1440, overhead=False) < 2 * positions**2  # one such matrix in half precision


def test_an_image_too_large_for_one_tile_takes_the_autoencoder_no_more(monkeypatch):
    """Only the finished image grows, and the tiles of it."""
    monkeypatch.setitem(memory.STABLE_DIFFUSION, "unet", memory.STABLE_DIFFUSION["unet"] | NARROW)
    tile, larger = (memory.generation(side, side, overhead=False, batch=1) for side in (TILE, 2 * TILE))
    assert larger - tile < 0.15 * tile
    monkeypatch.setattr(memory.generating, "TILE", 2 * TILE)
    assert memory.generation(2 * TILE, 2 * TILE, overhead=False, batch=1) > 2 * tile


NARROW = {"block_out_channels": (32, 32, 32, 32)}


def test_activations_grow_with_the_batch_and_shrink_with_the_precision():
    one, two, half = (
        memory.training("csrnet", 2048, 1536, batch, precision, overhead=False) - 16 * parameters("csrnet")
        for batch, precision in ((1, "float32"), (2, "float32"), (2, "float16"))
    )
    assert two == pytest.approx(2 * one, rel=0.01)
    assert 0.5 * two < half < 0.7 * two


def test_weights_gradients_and_moments_are_there():
    weights = parameters("csrnet")
    assert memory.annotation("csrnet", 16, 16, batch=1, overhead=False) == pytest.approx(4 * weights, rel=0.05)
    assert memory.training("csrnet", 16, 16, 1, overhead=False) > 16 * weights


def test_validation_may_need_more_than_an_update(monkeypatch):
    needed = memory.training("rescsrnet", 256, 192, 1, overhead=False)
    monkeypatch.setattr(memory, "BATCH_PIXELS", 1)
    assert memory.training("rescsrnet", 256, 192, 1, overhead=False) < 0.5 * needed


def test_the_overhead_is_a_share_and_a_constant():
    arguments = ("dmcount", 96, 64)
    tensors = memory.annotation(*arguments, overhead=False)
    assert memory.annotation(*arguments) == round(memory.SLACK * tensors) + memory.CONTEXT


def test_another_network_is_an_error():
    with pytest.raises(ValueError, match="'csrnett' is not a network.*Did you mean 'csrnet'"):
        memory.training("csrnett", 96, 64, 1)
