"""The miniature's CLIP, whose tokeniser and encoders the captioner and the diffusion model use.

Source: "Learning transferable visual models from natural language supervision" (CLIP). Classes and file formats are
transformers'. Unlike there, captions of other images that describe an image equally well are not its negatives: as
there are few locations, a batch holds many of them.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from promptmix.miniature.models.loop import fit, state_of
from promptmix.miniature.rendering import corpus
from promptmix.running.progress import Progress

LENGTH = 32
"""Tokens of a text, including those for its start and end."""

IMAGE_SIZE = 64


def train_tokenizer(rows: pd.DataFrame, seed: int, texts: int = 20_000, vocabulary: int = 1200) -> CLIPTokenizer:
    """Train a byte-pair tokeniser on texts of the corpus, with CLIP's conventions (lower case, "</w>" ends a word)."""
    rng = np.random.default_rng(seed)
    drawn = rows.iloc[rng.integers(len(rows), size=texts)]
    lines = [corpus.prompt(rng, r.place, r.size, r.colours) + "." for r in drawn.itertuples()]
    blank = CLIPTokenizer()
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = blank.backend_tokenizer.normalizer
    learner.pre_tokenizer = blank.backend_tokenizer.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(lines, trainer)
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    # CLIP's vocabulary: every byte, every byte that ends a word, the merges in their order, the start and the end
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = alphabet + [a + "</w>" for a in alphabet] + [a + b for a, b in merges]
    tokens = list(dict.fromkeys(tokens)) + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary_of = {token: i for i, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary_of, merges=merges, model_max_length=LENGTH)


def tokens_of(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Return token ids, (N, LENGTH)."""
    return tokenizer(texts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


def image_processor() -> CLIPImageProcessorPil:
    """Return CLIP's preprocessing (bicubic, centre crop, CLIP's mean and deviation) for 64-pixel images."""
    size = {"shortest_edge": IMAGE_SIZE}
    return CLIPImageProcessorPil(size=size, crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})


def pixel_values(images: list[np.ndarray]) -> Tensor:
    """Return preprocessed images, (N, 3, 64, 64)."""
    return image_processor()(images, return_tensors="pt").pixel_values


def build(tokenizer: CLIPTokenizer, width: int = 128) -> CLIPModel:
    """Return an untrained small CLIP: two transformers, patches of 8 pixels, features of 128 numbers."""
    text = {
        "vocab_size": len(tokenizer),
        "projection_dim": 128,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": LENGTH,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "image_size": IMAGE_SIZE,
        "patch_size": 8,
        "projection_dim": 128,
    }
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=128))


def train(
    folder: Path, steps: int, seed: int, out: Path, device: str, batch: int = 64, learning_rate: float = 1e-3
) -> list:
    """Train on the corpus in `folder`, save CLIP, tokeniser and image processor in `out`, and return the history."""
    torch.manual_seed(seed)
    rows = corpus.read_rows(folder)
    pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    tokenizer = train_tokenizer(rows, seed)
    model = build(tokenizer).to(device)
    prepared = torch.empty((len(rows), 3, IMAGE_SIZE, IMAGE_SIZE), dtype=torch.float16)
    watch = Progress(len(rows), "images prepared")
    for _, group in rows.groupby(["width", "height"]):
        for part in np.array_split(group.index, max(1, len(group) // 500)):
            prepared[part] = pixel_values(list(corpus.stack(pixels, rows.loc[part]))).half()
            watch.add(len(part))
    labels = torch.tensor(rows.groupby(["place", "size", "colours"]).ngroup().to_numpy())

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, step])
        drawn = rng.integers(len(rows), size=batch)
        texts = [corpus.prompt(rng, r.place, r.size, r.colours) for r in rows.iloc[drawn].itertuples()]
        images = prepared[drawn].float().to(device)
        mirrored = torch.from_numpy(rng.random(batch) < 0.5).to(device)
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        tokens = tokens_of(tokenizer, texts).to(device)
        logits = model(input_ids=tokens, pixel_values=images).logits_per_text
        same = (labels[drawn][:, None] == labels[drawn]).float().to(device)
        target = same / same.sum(1, keepdim=True)
        cross_entropy = nn.functional.cross_entropy
        return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2

    history = fit(model, loss, steps, learning_rate, state_of(out), decay=0.05)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    image_processor().save_pretrained(out)
    return history
