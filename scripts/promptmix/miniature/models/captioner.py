"""The miniature's ClipCap: an MLP mapper and a small GPT-2, trained together on captions of the corpus.

Source: "ClipCap: CLIP prefix for image captioning"; the network is `promptmix.networks.clipcap`.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer, CLIPVisionModelWithProjection

from promptmix.miniature.models import clip
from promptmix.miniature.models.loop import fit, state_of
from promptmix.miniature.rendering import corpus
from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.running.progress import Progress


def settings(vocabulary: int) -> dict:
    """Return ClipCap's settings for the miniature."""
    gpt = {"vocab_size": vocabulary, "n_positions": 48, "n_embd": 96, "n_layer": 3, "n_head": 4}
    return {"prefix_length": 4, "prefix_size": 128, "gpt": gpt}


def train(
    folder: Path,
    clip_folder: Path,
    steps: int,
    seed: int,
    out: Path,
    device: str,
    batch: int = 128,
    learning_rate: float = 2e-3,
) -> list:
    """Train on the corpus in `folder` with the frozen CLIP of `clip_folder`, save to `out`, and return the history."""
    rows = corpus.read_rows(folder)
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    tokenizer = CLIPTokenizer.from_pretrained(clip_folder)
    encoder = CLIPVisionModelWithProjection.from_pretrained(clip_folder).float().eval().to(device)
    features = torch.empty(len(rows), encoder.config.projection_dim)
    watch = Progress(len(rows), "images encoded")
    with torch.inference_mode():
        for _, group in rows.groupby(["width", "height"]):
            for first in range(0, len(group), 128):
                part = group.iloc[first : first + 128]
                images = clip.pixel_values(list(corpus.stack(pixels, part)))
                features[part.index.to_numpy()] = encoder(pixel_values=images.to(device)).image_embeds.cpu()
                watch.add(len(part))
    torch.manual_seed(seed)
    network = build("clipcap", **settings(len(tokenizer))).to(device)

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step])
        drawn = rng.integers(len(rows), size=batch)
        texts = [corpus.caption(rng, r.place, r.size) for r in rows.iloc[drawn].itertuples()]
        encoded = tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt").to(device)
        torch.manual_seed(seed + step)
        mask = nn.functional.pad(encoded.attention_mask, (network.prefix_length, 0), value=1)
        logits = network(encoded.input_ids, features[drawn].to(device), mask).logits[:, network.prefix_length - 1 : -1]
        wanted = encoded.input_ids.masked_fill(encoded.attention_mask == 0, -100)
        return nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100)

    history = fit(network, loss, steps, learning_rate, state_of(out))
    save_weights(out, network, {"network": "clipcap"}, torch.float16)
    return history
