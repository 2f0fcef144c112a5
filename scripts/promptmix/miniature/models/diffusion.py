"""The miniature's latent diffusion model, saved as a Stable Diffusion pipeline.

Source: "High-resolution image synthesis with latent diffusion models". The classes are diffusers'. As in Stable
Diffusion v1, the text encoder is CLIP's and is frozen, and one text in ten is empty, for classifier-free guidance.
Unlike there, the UNet predicts the velocity, which small models learn in fewer steps.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from promptmix.miniature.models import autoencoder, clip
from promptmix.miniature.models.loop import fit, state_of
from promptmix.miniature.rendering import corpus
from promptmix.running.progress import Progress

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}


def build(channels: int, text_width: int) -> UNet2DConditionModel:
    """Return an untrained UNet for latents of `channels` channels: three levels, attention to the text in two."""
    return UNet2DConditionModel(
        sample_size=(16, 24),
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=(64, 96, 160),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=text_width,
        attention_head_dim=8,
        norm_num_groups=16,
    )


def latents_of(vae: AutoencoderKL, pixels: np.ndarray, rows, device) -> dict[int, tuple[Tensor, Tensor]]:
    """Return mean and deviation of each image's latents, (channels, H/4, W/4) in half precision, by the row's label."""
    found, watch = {}, Progress(len(rows), "images encoded")
    for _, group in rows.groupby(["width", "height"]):
        for first in range(0, len(group), 32):
            part = group.iloc[first : first + 32]
            mean, deviation = autoencoder.encode(vae, pixels, part, 0)
            found.update(zip(part.index, zip(mean.half(), deviation.half(), strict=True), strict=True))
            watch.add(len(part))
    return found


def train(
    folder: Path,
    vae_folder: Path,
    clip_folder: Path,
    steps: int,
    seed: int,
    out: Path,
    device: torch.device,
    batch: int = 16,
    learning_rate: float = 1e-3,
    rooms_share: float = 0.3,
) -> list:
    """Train the UNet on the corpus in `folder`, save the whole pipeline in `out`, and return the history.

    Args:
        vae_folder, clip_folder: the autoencoder and CLIP, which are not trained.
        rooms_share: share of the batches that show rooms.
    """
    rows = corpus.read_rows(folder)
    is_room = (rows["size"] == "").to_numpy()
    parts = rows[~is_room], rows[is_room]
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    vae = AutoencoderKL.from_pretrained(vae_folder).to(device).eval().requires_grad_(False)
    encoder = CLIPTextModel.from_pretrained(clip_folder).float().to(device).eval().requires_grad_(False)
    tokenizer = CLIPTokenizer.from_pretrained(clip_folder)
    scheduler = DDPMScheduler(**SCHEDULE)
    latents = latents_of(vae, pixels, rows, device)
    torch.manual_seed(seed)
    unet = build(vae.config.latent_channels, encoder.config.hidden_size)
    unet.to(device, memory_format=torch.channels_last)

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step, 1])
        part = parts[int(rng.random() < rooms_share)]
        drawn = corpus.batches_of_one_size(part, batch, seed, step)
        texts = [
            corpus.prompt(rng, r.place, r.size, r.colours) if rng.random() > 0.1 else "" for r in drawn.itertuples()
        ]
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        mean, deviation = (torch.stack(part).float() for part in zip(*(latents[i] for i in drawn.index), strict=True))
        clean = (mean + deviation * torch.randn(mean.shape, generator=generator)) * vae.config.scaling_factor
        noise = torch.randn(mean.shape, generator=generator)
        times = torch.randint(0, SCHEDULE["num_train_timesteps"], (batch,), generator=generator)
        noisy = scheduler.add_noise(clean, noise, times).to(device, memory_format=torch.channels_last)
        with torch.no_grad():
            condition = encoder(clip.tokens_of(tokenizer, texts).to(device)).last_hidden_state
        predicted = unet(noisy, times.to(device), condition).sample
        return nn.functional.mse_loss(predicted, scheduler.get_velocity(clean, noise, times).to(device))

    history = fit(unet, loss, steps, learning_rate, state_of(out), ema=0.9995)
    save(unet, vae, encoder, tokenizer, out)
    return history


def save(unet, vae, encoder, tokenizer, out: Path) -> None:
    """Save a pipeline for `StableDiffusionPipeline.from_pretrained`, in half precision."""
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DPMSolverMultistepScheduler(**SCHEDULE, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    vae.register_to_config(_name_or_path="")  # the path on the machine that trained it would be saved otherwise
    pipeline.to(torch.float16).save_pretrained(out)
