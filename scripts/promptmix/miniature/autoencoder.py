"""The miniature's variational autoencoder: 4x reduction instead of Stable Diffusion's 8x, as its images are small.

Source: "High-resolution image synthesis with latent diffusion models" (the first stage); class of diffusers. Trained
on absolute differences of pixels and of their neighbours' differences; there is no perceptual or adversarial loss, so
textures come out softer than the published one's.
"""

import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from promptmix.miniature import corpus
from promptmix.miniature.loop import fit

log = logging.getLogger(__name__)

CROP = 48
"""Side of a training crop, in pixels. The network is convolutional, and more steps of fewer pixels learn faster."""


def build() -> AutoencoderKL:
    """Return an untrained autoencoder: RGB in [-1, 1], (N, 3, H, W), to 6 x H/4 x W/4."""
    return AutoencoderKL(
        latent_channels=6,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=8,
        sample_size=96,
    )


def to_tensor(images: np.ndarray, mirrored: np.ndarray | None = None) -> Tensor:
    """Return (N, H, W, 3) uint8 as (N, 3, H, W) float32 in [-1, 1], some of them mirrored."""
    if mirrored is not None:
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def differences(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference of two batches of images, plus that of their gradients."""
    d = a - b
    return d.abs().mean() + d.diff(dim=2).abs().mean() + d.diff(dim=3).abs().mean()


def train(
    folder: Path,
    steps: int,
    seed: int,
    out: Path,
    device: torch.device,
    batch: int = 8,
    learning_rate: float = 1.5e-3,
    kl_weight: float = 1e-4,
) -> list:
    """Train on the corpus in `folder` and save the autoencoder, with the scale of its latents, in `out`."""
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    rows = corpus.read_rows(folder)
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    model = build().to(device, memory_format=torch.channels_last)

    def loss(step: int) -> Tensor:
        images = corpus.stack(pixels, corpus.batches_of_one_size(rows, batch, seed, step))
        rng = np.random.default_rng([seed, step, 1])
        top, left = (rng.integers(length - CROP + 1) for length in images.shape[1:3])
        images = to_tensor(images[:, top : top + CROP, left : left + CROP], rng.random(batch) < 0.5)
        images = images.to(device, memory_format=torch.channels_last)
        torch.manual_seed(seed + step)
        code = model.encode(images).latent_dist
        return differences(model.decode(code.sample()).sample, images) + kl_weight * code.kl().mean() / code.mean[0].numel()

    history = fit(model, loss, steps, learning_rate, out / "state.pt", decay=0.0)
    deviation = torch.cat([encode(model, pixels, rows, first)[0].flatten() for first in range(0, 400, 100)]).std()
    model.register_to_config(scaling_factor=round(1 / deviation.item(), 4))
    model.save_pretrained(out)
    return history


@torch.inference_mode()
def encode(model: AutoencoderKL, pixels: np.ndarray, rows, first: int, count: int = 32) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of the latents of the images of one size among rows from `first` on."""
    part = rows.iloc[first : first + count]
    part = part[(part["width"] == part["width"].iloc[0]) & (part["height"] == part["height"].iloc[0])]
    device = next(model.parameters()).device
    code = model.encode(to_tensor(corpus.stack(pixels, part)).to(device)).latent_dist
    return code.mean.cpu(), code.std.cpu()
