"""The miniature's variational autoencoder.

Source: "High-resolution image synthesis with latent diffusion models" (the first stage). The class is diffusers'. It
reduces sides by 4 instead of Stable Diffusion's 8, as the miniature's images are small. It keeps 12 channels instead of
4: it is trained on differences of pixels only, without a perceptual or adversarial loss that would invent lost detail,
and with 6 channels the heads of a dense crowd merge.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from promptmix.miniature.models.loop import fit, state_of
from promptmix.miniature.rendering import corpus

CROP = 32
"""Side of a training crop, in pixels. The network is convolutional, and learns faster in more steps on fewer pixels."""


def build() -> AutoencoderKL:
    """Return an untrained autoencoder of RGB in [-1, 1], (N, 3, H, W), with latents (N, 12, H/4, W/4)."""
    return AutoencoderKL(
        latent_channels=12,
        block_out_channels=(16, 32, 64),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=4,
        sample_size=96,
    )


def to_tensor(images: np.ndarray, mirrored: np.ndarray | None = None) -> Tensor:
    """Return (N, H, W, 3) uint8 as (N, 3, H, W) float32 in [-1, 1]; those with true `mirrored` (N) are mirrored."""
    if mirrored is not None:
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def train(
    folder: Path,
    steps: int,
    seed: int,
    out: Path,
    device: torch.device,
    batch: int = 8,
    learning_rate: float = 2e-3,
    kl_weight: float = 1e-6,
) -> list:
    """Train on the corpus in `folder`, save model and scale of its latents in `out`, and return the history."""
    torch.manual_seed(seed)
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
        error = model.decode(code.sample()).sample - images
        return error.abs().mean() + 5 * error.square().mean() + kl_weight * code.kl().mean() / code.mean[0].numel()

    history = fit(model, loss, steps, learning_rate, state_of(out), decay=0.0)
    deviation = torch.cat([encode(model, pixels, rows, first)[0].flatten() for first in range(0, 400, 100)]).std()
    model.register_to_config(scaling_factor=round(1 / deviation.item(), 4))
    model.save_pretrained(out)
    return history


@torch.inference_mode()
def encode(model: AutoencoderKL, pixels: np.ndarray, rows, first: int, count: int = 32) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of the latents of up to `count` images: rows from `first` on, of that row's size."""
    part = rows.iloc[first : first + count]
    part = part[(part["width"] == part["width"].iloc[0]) & (part["height"] == part["height"].iloc[0])]
    device = next(model.parameters()).device
    code = model.encode(to_tensor(corpus.stack(pixels, part)).to(device)).latent_dist
    return code.mean.cpu(), code.std.cpu()
