"""AdaBins, GuideDepth and what they are trained by, at small sizes; tests/parity compares them with the authors'."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from promptmix.errors import InputError
from promptmix.networks import registry as networks
from promptmix.networks.build import build, network_class
from promptmix.networks.ddrnet import PooledNormalisation
from promptmix.tasks import batching
from promptmix.training.depth_loss import adabins_loss, bin_loss, guidedepth_loss, inverse, ssim

SMALL = {
    "adabins": {"width": 0.125, "encoder_depth": 0.2, "embedding": 16, "patch": 4, "bins": 16},
    "guidedepth": {"width": 0.125},
}


@pytest.fixture(params=SMALL)
def name(request):
    return request.param


@pytest.fixture
def network(name):
    torch.manual_seed(0)
    return build(name, **SMALL[name])


@pytest.fixture
def adabins():
    torch.manual_seed(0)
    return build("adabins", **SMALL["adabins"]).eval()


@pytest.fixture
def guidedepth():
    torch.manual_seed(0)
    return build("guidedepth", **SMALL["guidedepth"])


# --- Tasks ---


def test_the_tasks_are_those_of_the_classes():
    assert {networks.task_of(name) for name in ("csrnet", "rescsrnet", "sasnet", "dmcount")} == {"counting"}
    assert {networks.task_of(name) for name in ("adabins", "guidedepth")} == {"depth"}
    for name, task in networks.TASKS.items():
        assert network_class(name).task == task, name


def test_a_task_is_known_without_torch():
    code = "import sys; from promptmix.networks import registry as networks; networks.task_of('adabins'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_a_network_without_a_map_has_no_task():
    with pytest.raises(ValueError, match="'clipcap' is not a network for counting or depth. Known: adabins, "):
        networks.task_of("clipcap")


# --- Sizes ---


@pytest.mark.parametrize(("height", "width", "expected"), [(72, 96, (96, 96)), (96, 96, (96, 96)), (97, 60, (128, 64))])
def test_adabins_takes_multiples_of_32(adabins, height, width, expected):
    assert batching.padded_size(adabins, height, width) == expected


@pytest.mark.parametrize(("height", "width", "expected"), [(72, 96, (72, 96)), (70, 90, (72, 96)), (9, 16, (16, 16))])
def test_guidedepth_takes_multiples_of_8(guidedepth, height, width, expected):
    assert batching.padded_size(guidedepth, height, width) == expected


@pytest.mark.parametrize("size", [(72, 96), (90, 75)])
def test_depth_has_the_image_s_size_and_is_in_metres(network, size):
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    with torch.inference_mode():
        depth = batching.depth(network.eval(), list(images), "cpu")
    assert depth.shape == (2, *size)
    assert depth.min() >= 1e-3 and depth.max() <= 10


def test_guidedepth_sees_rgb_as_it_is(guidedepth):
    image = np.full((8, 8, 3), (0, 51, 255), dtype=np.uint8)
    batch = batching.network_input(guidedepth, [image], "cpu")
    torch.testing.assert_close(batch[0, :, 0, 0], torch.tensor([0, 0.2, 1]))


# --- AdaBins ---


def test_bins_divide_the_range_and_depths_lie_within(adabins):
    with torch.inference_mode():
        edges, depth = adabins(torch.randn(2, 3, 96, 128))
    assert edges.shape == (2, 17) and depth.shape == (2, 1, 48, 64)
    torch.testing.assert_close(edges[:, [0, -1]], torch.tensor([[1e-3, 10.0]] * 2))
    assert (edges.diff(dim=1) > 0).all() and not edges[0].equal(edges[1])
    assert (edges[:, 0] < depth.amin((1, 2, 3))).all() and (depth.amax((1, 2, 3)) < edges[:, -1]).all()


def test_the_depth_of_a_mirrored_image_is_the_mirrored_depth(adabins):
    image = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        depth, mirrored = adabins.depth(image), adabins.depth(image.flip(-1))
        alone = adabins(image)[1]
    torch.testing.assert_close(mirrored, depth.flip(-1))
    assert not torch.allclose(depth[..., ::95, ::95], alone[..., ::47, ::47])


def test_the_two_results_are_cut_averaged_and_enlarged_with_aligned_corners(adabins, monkeypatch):
    rows = torch.linspace(1, 8, 48)[:, None].expand(1, 1, 48, 48)
    monkeypatch.setattr(adabins, "forward", lambda image: (None, rows))
    depth = adabins.depth(torch.zeros(1, 3, 96, 96))
    torch.testing.assert_close(depth, torch.linspace(1, 8, 96)[:, None].expand(1, 1, 96, 96))
    halves = torch.tensor([-5.0, 15.0]).repeat_interleave(24).expand(1, 1, 48, 48)
    monkeypatch.setattr(adabins, "forward", lambda image: (None, halves))
    depth = adabins.depth(torch.zeros(1, 3, 96, 96))
    torch.testing.assert_close(depth, torch.full_like(depth, (1e-3 + 10) / 2))


def test_each_pixel_counts(adabins):
    """All 129 tokens that are used see all patches, and with a patch's width of 8 pixels every pixel is in one."""
    image = torch.randn(1, 3, 96, 96, requires_grad=True)
    edges, _ = adabins(image)
    edges[0, 3].backward()
    assert (image.grad.abs().sum(1) > 0).all()


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (
            (96, 96),
            r"96x96 pixels into 9 patches of 32x32 pixels \(patch: 16\), .* 129 to 500\. Expected .*"
            "132096 to 512000 pixels, or .*`patch` 3 or 4",
        ),
        ((352, 352), "into 121 patches"),
        ((736, 704), "into 506 patches"),
    ],
)
def test_an_image_with_too_few_or_too_many_patches_is_refused(size, message):
    network = build("adabins", width=0.05, encoder_depth=0.1, embedding=4, bins=4)
    with pytest.raises(InputError, match=message):
        network(torch.zeros(1, 3, *size))


@pytest.mark.parametrize(("patch", "size"), [(16, (480, 640)), (16, (352, 416)), (4, (96, 96)), (4, (160, 192))])
def test_images_with_129_to_500_patches_are_taken(patch, size):
    network = build("adabins", width=0.05, encoder_depth=0.1, embedding=4, bins=4, patch=patch)
    network.adaptive_bins_layer.check(*size)


def test_no_size_helps_an_image_too_small_for_any_patch():
    network = build("adabins", width=0.05, encoder_depth=0.1, embedding=4, bins=4)
    with pytest.raises(InputError, match="pixels$"):
        network.adaptive_bins_layer.check(16, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding": 30}, "embedding is 30; four heads"),
        ({"patch": 0}, "patch is 0"),
        ({"bins": 0}, "bins is 0"),
        ({"encoder_depth": 0}, "depth is 0"),
        ({"width": 0}, "width is 0"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        build("adabins", **SMALL["adabins"] | settings)


def test_older_names_of_tensors_become_those_of_today(adabins):
    keys = adabins.state_dict()
    for old, new in (
        ("adaptive_bins_layer.embedding_conv.weight", "adaptive_bins_layer.conv3x3.weight"),
        (
            "adaptive_bins_layer.patch_transformer.embedding_encoder.bias",
            "adaptive_bins_layer.patch_transformer.embedding_convPxP.bias",
        ),
    ):
        renamed = [
            re.sub(pattern, name, old) for pattern, name in adabins.renamed_keys.items() if re.match(pattern, old)
        ]
        assert renamed == [new] and new in keys
    assert not any(re.match(pattern, key) for pattern in adabins.renamed_keys for key in keys)


# --- GuideDepth ---


def test_guidedepth_s_depth_is_ten_by_its_output(guidedepth, monkeypatch):
    outputs = torch.tensor([0.5, 1, 4, 100, 1000, 0, -1])
    monkeypatch.setattr(guidedepth, "forward", lambda image: outputs)
    torch.testing.assert_close(guidedepth.depth(None), torch.tensor([10, 10, 2.5, 0.1, 0.1, 10, 0.1]))


def test_a_new_guidedepth_starts_at_three_metres(guidedepth):
    with torch.inference_mode():
        depth = guidedepth.eval().depth(torch.rand(2, 3, 72, 96))
    assert (depth - 10 / 3).abs().max() < 1


def test_one_image_can_be_trained_on(guidedepth):
    """The means over the whole image are single cells, of which one image has no variance."""
    single = guidedepth.feature_extractor.spp.scale4[1]
    assert isinstance(single, PooledNormalisation)
    guidedepth(torch.rand(1, 3, 72, 96)).sum().backward()
    assert not single.running_mean.any() and single.weight.grad.isfinite().all()
    guidedepth(torch.rand(2, 3, 72, 96))
    assert single.running_mean.any()


def test_a_single_cell_is_normalised_as_in_evaluation():
    layer = PooledNormalisation(3)
    layer.running_mean.copy_(torch.tensor([1, 2, 3]))
    layer.running_var.fill_(4)
    cell = torch.randn(1, 3, 1, 1)
    torch.testing.assert_close(layer.train()(cell), layer.eval()(cell))
    several = torch.randn(2, 3, 1, 1)
    torch.testing.assert_close(layer.train()(several), nn.BatchNorm2d(3).train()(several))


# --- Both ---


def test_a_new_network_can_learn_all_its_weights(network):
    predicted = network(torch.randn(2, 3, 96, 96))
    target = 1 + 5 * torch.rand(2, 1, 96, 96)
    if isinstance(predicted, tuple):
        adabins_loss(*predicted, target).backward()
    else:
        guidedepth_loss(predicted, inverse(target)).backward()
    for key, parameter in network.named_parameters():
        if key.startswith("encoder.original_model.bn2"):  # after the features, in the published network too
            assert parameter.grad is None
            continue
        assert torch.isfinite(parameter.grad).all(), key
        if key.endswith("weight"):  # a bias before a batch normalisation has no influence
            assert parameter.grad.any(), key


def test_a_network_learns_a_slope(network):
    """Brighter is farther: after a few steps the network has it much better than the best constant."""
    depth = torch.linspace(1, 8, 96).expand(2, 1, 96, 96)
    images = (depth / 8).expand(2, 3, 96, 96) + 0.05 * torch.randn(2, 3, 96, 96)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(30):
        predicted = network(images)
        if isinstance(predicted, tuple):
            loss = adabins_loss(*predicted, depth)
        else:
            loss = guidedepth_loss(predicted, inverse(depth))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.inference_mode():  # in training mode: so few steps are too few for running statistics
        found = network.depth(images)
    assert (found - depth).square().mean().sqrt() < 0.75 * depth.std()


# --- Losses ---


def maps(seed, *shape, holes=0.0):
    """Depths of 1 to 9 m, some of them unknown."""
    generator = torch.Generator().manual_seed(seed)
    depth = 1 + 8 * torch.rand(shape, generator=generator, dtype=torch.float64)
    return torch.where(torch.rand(shape, generator=generator) < holes, 0, depth)


def test_inverse_depth():
    depth = torch.tensor([0, 0.05, 0.1, 2, 10, 20, torch.inf, torch.nan, -1])
    torch.testing.assert_close(inverse(depth), torch.tensor([0, 100, 100, 5, 1, 1, 0, 0, 0.0]))


@pytest.mark.parametrize("holes", [0, 0.3])
def test_the_truth_has_no_loss(holes):
    target = inverse(maps(0, 2, 1, 24, 32, holes=holes))
    assert guidedepth_loss(target, target).item() == pytest.approx(0, abs=1e-9)
    guess = torch.where(target > 0, target, 7)
    assert guidedepth_loss(guess, target).item() == pytest.approx(0, abs=1e-9)


def test_the_gradient_at_the_truth_is_finite():
    depth = maps(0, 2, 1, 24, 32)
    predicted = depth.clone().requires_grad_()
    adabins_loss(torch.linspace(1, 9, 5, dtype=torch.float64).expand(2, -1), predicted, depth).backward()
    assert predicted.grad.isfinite().all()


def test_the_similarity_of_constants_is_that_of_their_means():
    """Within the image, where no window reaches beyond the edge."""
    twos = torch.full((1, 1, 24, 24), 2.0, dtype=torch.float64)
    found = ssim(twos, 1.5 * twos)[..., 8:-8, 8:-8]
    torch.testing.assert_close(found, torch.full_like(found, (2 * 6 + 0.01) / (4 + 9 + 0.01)))


def losses():
    """Each loss as a function of a prediction and depths, both (N, 1, H, W)."""

    def bins(predicted, depth):
        edges = torch.linspace(1e-3, 10, 9, dtype=predicted.dtype).expand(len(predicted), -1)
        return adabins_loss(edges, predicted, depth)

    return pytest.mark.parametrize(
        "loss",
        [lambda predicted, depth: guidedepth_loss(predicted, inverse(depth)), bins],
        ids=["guidedepth", "adabins"],
    )


@losses()
def test_nothing_is_learnt_where_depth_is_unknown(loss):
    depth = maps(1, 2, 1, 24, 32, holes=0.3)
    depth[0, 0, 5:20, 8:30] = 0
    predicted = maps(2, 2, 1, 24, 32).requires_grad_()
    loss(predicted, depth).backward()
    assert not predicted.grad[depth == 0].any()
    assert (predicted.grad[depth > 0] != 0).double().mean() > 0.95
    other = torch.where(depth > 0, predicted.detach(), maps(3, 2, 1, 24, 32))
    torch.testing.assert_close(loss(other, depth), loss(predicted, depth))


@losses()
def test_padding_changes_nothing(loss):
    depth, predicted = maps(1, 2, 1, 24, 32, holes=0.1), maps(2, 2, 1, 24, 32)
    padded = torch.zeros(2, 1, 40, 48, dtype=torch.float64)
    padded[..., :24, :32] = depth
    guess = maps(3, 2, 1, 40, 48)
    guess[..., :24, :32] = predicted
    torch.testing.assert_close(loss(guess, padded), loss(predicted, depth))


@losses()
def test_without_any_depth_there_is_no_loss_and_a_gradient_of_zero(loss):
    predicted = maps(2, 2, 1, 24, 32).requires_grad_()
    found = loss(predicted, torch.zeros(2, 1, 24, 32, dtype=torch.float64))
    found.backward()
    assert found.item() == 0 and not predicted.grad.any()


@losses()
def test_gradients_are_right(loss):
    depth, predicted = maps(1, 2, 1, 6, 5, holes=0.2), maps(2, 2, 1, 6, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, depth), predicted)


def test_a_prediction_is_brought_to_the_target_s_size():
    depth = maps(1, 1, 1, 24, 32)
    edges = torch.linspace(1, 9, 5, dtype=torch.float64)[None]
    small = maps(2, 1, 1, 12, 16)
    large = nn.functional.interpolate(small, (24, 32), mode="bilinear", align_corners=True)
    assert adabins_loss(edges, small, depth) == adabins_loss(edges, large, depth)


def test_adabins_forgives_most_of_a_wrong_scale():
    """With all depths e times too large there is no variance, and a mean of 1."""
    depth = maps(1, 2, 1, 24, 32, holes=0.2)
    edges = torch.linspace(1, 9, 5, dtype=torch.float64).expand(2, -1)
    predicted = torch.where(depth > 0, torch.e * depth, 1)
    found = adabins_loss(edges, predicted, depth) - 0.1 * bin_loss(edges, depth)
    assert found.item() == pytest.approx(10 * 0.15**0.5)


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_of_the_bins_is_the_chamfer_distance(seed):
    depth = maps(seed, 3, 1, 9, 11, holes=0.4)
    depth[2] = 0
    edges = maps(seed + 10, 3, 8).sort(1).values
    expected = 0
    for row, image in zip((edges[:, 1:] + edges[:, :-1]) / 2, depth, strict=True):
        if image.any():
            distances = (row[:, None] - image[image > 0]).square()
            expected += (distances.amin(0).mean() + distances.amin(1).mean()) / 3
    torch.testing.assert_close(bin_loss(edges, depth), expected)
    assert torch.autograd.gradcheck(lambda e: bin_loss(e, depth), edges.requires_grad_())


def test_the_bins_move_to_the_depths():
    depth = maps(0, 1, 1, 24, 32)
    widths = torch.ones(1, 4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([widths], lr=0.1)
    for _ in range(200):
        loss = bin_loss(nn.functional.pad(widths, (1, 0), value=1).cumsum(1), depth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(widths.detach(), torch.full((1, 4), 2.0, dtype=torch.float64), atol=0.4, rtol=0)


@pytest.mark.parametrize(("name", "width"), [("guidedepth", 0.05), ("rescsrnet", 0.05)])
def test_the_narrowest_networks_train_on_any_cpu(name, width):
    """A kernel that writes outside of its memory ends the process: hence another one, and only a small network."""
    program = f"""
import torch
from promptmix.networks.build import build
torch.set_num_threads(1)
torch.manual_seed(0)
network = build({name!r}, width={width}).to(memory_format=torch.channels_last)
for _ in range(5):
    network(torch.rand(4, 3, 64, 64)).square().sum().backward()
"""
    scripts = Path(__file__).parents[2] / "scripts"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(scripts)})
