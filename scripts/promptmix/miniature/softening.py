"""Make a sharp image as soft as a generated one that a diffusion model made perfectly: pass it through its autoencoder."""

import numpy as np
import torch
from diffusers import DiffusionPipeline


@torch.inference_mode()
def pass_through(pipeline: DiffusionPipeline, image: np.ndarray) -> np.ndarray:
    """Return an image, (H, W, 3) uint8 RGB, encoded and decoded by a pipeline's autoencoder, without noise."""
    height, width = image.shape[:2]
    multiple = pipeline.vae_scale_factor
    whole = np.pad(image, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")
    pixels = torch.from_numpy(whole).permute(2, 0, 1)[None].to(pipeline.device, pipeline.vae.dtype) / 127.5 - 1
    encoded = pipeline.vae.encode(pixels)
    latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
    decoded = pipeline.vae.decode(latents).sample[0].float()
    found = ((decoded + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return found[:height, :width]
