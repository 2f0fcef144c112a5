"""ClipCap (Mokady, Hertz, Bermano: ClipCap: CLIP Prefix for Image Captioning, 2021).

CLIP's features of an image are mapped to a few GPT-2 embeddings, which GPT-2 continues to a caption. With GPT-2 small,
the network has 155 908 608 parameters with the MLP mapper and 166 185 216 with the transformer mapper. The keys are
those of the published checkpoints (github.com/rmokady/CLIP_prefix_caption, MIT).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel

from promptmix.errors import did_you_mean

HEADS = 8
"""Number of attention heads of the transformer mapper."""

GPT_SETTINGS = (
    *("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "activation_function"),
    *("layer_norm_epsilon", "resid_pdrop", "embd_pdrop", "attn_pdrop"),
)
"""Settings that may differ from GPT-2 small's, named as in transformers' `GPT2Config`."""


class ClipCap(nn.Module):
    """Captions of images, given their CLIP features.

    A new network has the initial weights of PyTorch (mapper) and of transformers (GPT-2).

    Args:
        prefix_length: number of embeddings that GPT-2 receives for an image.
        clip_length: number of embeddings that the transformer mapper makes from the features; not for the MLP mapper.
        prefix_size: number of CLIP's features of an image.
        num_layers: layers of the transformer mapper; the MLP mapper always has two.
        mapping: "mlp" or "transformer".
        gpt: settings that differ from GPT-2 small's (`GPT_SETTINGS`), or a `GPT2Config`.

    Raises:
        ValueError: the mapping is unknown, or a key of `gpt` is not one of `GPT_SETTINGS`.
    """

    published = (
        "coco_weights.pt and conceptual_weights.pt are on Google Drive, as 1IdaBtMSvtyzF0ByVaBHtvM0JYSXRExRX and "
        "14pXWwB4Zm82rsDdvbGguLfx9F8aM7ovT (github.com/rmokady/CLIP_prefix_caption)"
    )

    legacy_keys = (r"gpt\.transformer\.h\.\d+\.attn\.bias", r"gpt\.transformer\.h\.\d+\.attn\.masked_bias")
    """Keys of constants that published checkpoints also hold, since transformers 4.10 saved them; to be dropped."""

    def __init__(
        self,
        prefix_length: int = 10,
        clip_length: int = 10,
        prefix_size: int = 512,
        num_layers: int = 8,
        mapping: str = "mlp",
        gpt: GPT2Config | Mapping | None = None,
    ):
        super().__init__()
        self.prefix_length = prefix_length
        self.gpt = GPT2LMHeadModel(gpt if isinstance(gpt, GPT2Config) else gpt2_config(gpt or {}))
        dimension = self.gpt.config.n_embd
        if mapping == "mlp":
            self.clip_project = MLPMapper(prefix_size, prefix_length, dimension)
        elif mapping == "transformer":
            self.clip_project = TransformerMapper(prefix_size, clip_length, prefix_length, dimension, num_layers)
        else:
            raise ValueError(f"{mapping!r} is not a mapping of ClipCap. Known: mlp, transformer.")

    def forward(self, tokens: Tensor, prefix: Tensor, mask: Tensor | None = None):
        """Return GPT-2's output, whose `logits` are (N, prefix_length + T, vocabulary).

        Args:
            tokens: the captions' tokens, (N, T).
            prefix: CLIP's features, (N, prefix_size): unchanged for the MLP mapper, scaled to length 1 for the
                published transformer mapper.
            mask: 1 for tokens and prefix, 0 for padding, (N, prefix_length + T).
        """
        embeddings = torch.cat([self.clip_project(prefix), self.gpt.transformer.wte(tokens)], 1)
        return self.gpt(inputs_embeds=embeddings, attention_mask=mask)

    @torch.no_grad()
    def greedy(self, prefix_embeddings: Tensor, stop_token: int, max_tokens: int = 67) -> list[list[int]]:
        """Return each image's caption, choosing the likeliest token at each step (the authors' `generate2`).

        All images advance together; finished captions are padded until the last one stops.

        Args:
            prefix_embeddings: what `clip_project` returns, (N, prefix_length, embedding).
            stop_token: ends a caption, and is kept in it. If it comes first, the caption is empty. (The authors' code
                fails there.)
            max_tokens: length at which a caption without `stop_token` is cut.

        Raises:
            ValueError: prefix and caption together exceed GPT-2's positions.
        """
        self._check_length(prefix_embeddings, max_tokens)
        running = torch.ones(len(prefix_embeddings), dtype=torch.bool, device=prefix_embeddings.device)
        embeddings, cache, columns = prefix_embeddings, None, []
        for _ in range(max_tokens):
            output = self.gpt(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, logits_to_keep=1)
            token = output.logits[:, -1].argmax(1).where(running, stop_token)
            columns.append(token)
            running = running & (token != stop_token)
            if not running.any():
                break
            embeddings, cache = self.gpt.transformer.wte(token)[:, None], output.past_key_values
        captions = [cut_after(stop_token, row) for row in torch.stack(columns, 1).tolist()]
        return [[] if caption == [stop_token] else caption for caption in captions]

    @torch.no_grad()
    def beam(
        self, prefix_embeddings: Tensor, stop_token: int, max_tokens: int = 67, beams: int = 5
    ) -> list[list[list[int]]]:
        """Return the best captions of each image, best first, by the authors' beam search.

        Hypotheses compete, finished or not, by the mean log-probability of their tokens.

        Args:
            prefix_embeddings: what `clip_project` returns, (N, prefix_length, embedding).
            stop_token: ends a caption, and is kept in it, even if it is the only token (as in the authors' code).
            max_tokens: length at which a caption without `stop_token` is cut.
            beams: number of hypotheses kept, and of captions returned, for each image.

        Raises:
            ValueError: prefix and caption together exceed GPT-2's positions.
        """
        self._check_length(prefix_embeddings, max_tokens)
        images, device = len(prefix_embeddings), prefix_embeddings.device
        output = self.gpt(inputs_embeds=prefix_embeddings, use_cache=True, logits_to_keep=1)
        cache = output.past_key_values
        cache.batch_repeat_interleave(beams)
        total, token = output.logits[:, -1].log_softmax(1).topk(beams)  # log-probability and last token, (N, beams)
        tokens = token[..., None]
        length = torch.ones_like(total)
        stopped = token == stop_token
        for _ in range(max_tokens - 1):
            if stopped.all():
                break
            embeddings = self.gpt.transformer.wte(token).flatten(0, 1)[:, None]
            output = self.gpt(inputs_embeds=embeddings, past_key_values=cache, use_cache=True, logits_to_keep=1)
            gained = output.logits[:, -1].log_softmax(1).unflatten(0, (images, beams))
            # A stopped hypothesis has one continuation, padding, which costs nothing.
            gained = gained.masked_fill(stopped[..., None], -torch.inf)
            gained[..., 0] = gained[..., 0].where(~stopped, 0)
            length = length + ~stopped
            mean = (total[..., None] + gained) / length[..., None]
            best, index = mean.flatten(1).topk(beams)
            source, token = index // mean.shape[-1], index % mean.shape[-1]
            tokens = torch.cat([tokens.gather(1, source[..., None].expand_as(tokens)), token[..., None]], 2)
            length, stopped = length.gather(1, source), stopped.gather(1, source)
            total = best * length
            stopped = stopped | (token == stop_token)
            cache.reorder_cache((source + beams * torch.arange(images, device=device)[:, None]).flatten())
        order = (total / length).argsort(1, descending=True)
        tokens = tokens.gather(1, order[..., None].expand_as(tokens)).tolist()
        return [[cut_after(stop_token, hypothesis) for hypothesis in hypotheses] for hypotheses in tokens]

    def _check_length(self, prefix_embeddings: Tensor, max_tokens: int) -> None:
        prefix, positions = prefix_embeddings.shape[1], self.gpt.config.n_positions
        longest = positions - prefix + 1  # the last token needs no position, since nothing follows it
        if not 1 <= max_tokens <= longest:
            raise ValueError(
                f"max_tokens is {max_tokens}; GPT-2's {positions} positions (gpt.n_positions), "
                f"{prefix} of them the prefix's, allow 1 to {longest}"
            )


def gpt2_config(settings: Mapping) -> GPT2Config:
    """Return GPT-2 small's configuration with some `settings` replaced; an unknown one raises a ValueError."""
    for name in settings:
        if name not in GPT_SETTINGS:
            raise ValueError(
                f"gpt.{name} is not a setting of ClipCap. Known: {', '.join(sorted(GPT_SETTINGS))}."
                f"{did_you_mean(name, GPT_SETTINGS)}"
            )
    # GPT-2's own first and last tokens are outside a smaller vocabulary, and ClipCap does not use them.
    return GPT2Config(**settings, bos_token_id=None, eos_token_id=None)


def cut_after(stop_token: int, tokens: Sequence[int]) -> list[int]:
    """Return the tokens up to and including the first `stop_token`, or all if it does not occur."""
    tokens = list(tokens)
    return tokens[: tokens.index(stop_token) + 1] if stop_token in tokens else tokens


class MLPMapper(nn.Module):
    """Maps features (N, prefix_size) to a prefix (N, prefix_length, embedding): two linear layers with tanh between."""

    def __init__(self, prefix_size: int, prefix_length: int, dimension: int):
        super().__init__()
        self.prefix_length = prefix_length
        outputs = prefix_length * dimension
        self.model = nn.Sequential(nn.Linear(prefix_size, outputs // 2), nn.Tanh(), nn.Linear(outputs // 2, outputs))

    def forward(self, features: Tensor) -> Tensor:
        return self.model(features).unflatten(1, (self.prefix_length, -1))


class TransformerMapper(nn.Module):
    """Maps features (N, prefix_size) to a prefix (N, prefix_length, embedding), by attention.

    The features become `clip_length` embeddings, followed by learnt constants. The prefix is a transformer's output at
    the constants' positions.
    """

    def __init__(self, prefix_size: int, clip_length: int, prefix_length: int, dimension: int, num_layers: int):
        super().__init__()
        self.clip_length = clip_length
        self.prefix_const = nn.Parameter(torch.randn(prefix_length, dimension))
        self.transformer = Transformer(dimension, num_layers)
        self.linear = nn.Linear(prefix_size, clip_length * dimension)

    def forward(self, features: Tensor) -> Tensor:
        embeddings = self.linear(features).unflatten(1, (self.clip_length, -1))
        constants = self.prefix_const.expand(len(features), -1, -1)
        return self.transformer(torch.cat([embeddings, constants], 1))[:, self.clip_length :]


class Transformer(nn.Module):
    """Pre-norm layers in sequence, without a normalisation at the end."""

    def __init__(self, dimension: int, num_layers: int):
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(dimension) for _ in range(num_layers))

    def forward(self, embeddings: Tensor) -> Tensor:
        for layer in self.layers:
            embeddings = layer(embeddings)
        return embeddings


class TransformerLayer(nn.Module):
    """Attention and a feed-forward network of twice the width, each with a normalised input and a skip connection."""

    def __init__(self, dimension: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dimension)
        self.attn = Attention(dimension)
        self.norm2 = nn.LayerNorm(dimension)
        self.mlp = FeedForward(dimension)

    def forward(self, embeddings: Tensor) -> Tensor:
        embeddings = embeddings + self.attn(self.norm1(embeddings))
        return embeddings + self.mlp(self.norm2(embeddings))


class Attention(nn.Module):
    """Self-attention with eight heads, without biases for queries, keys and values."""

    def __init__(self, dimension: int):
        super().__init__()
        if dimension % HEADS:
            raise ValueError(f"gpt.n_embd is {dimension}; expected a multiple of {HEADS} for the transformer mapper")
        self.to_queries = nn.Linear(dimension, dimension, bias=False)
        self.to_keys_values = nn.Linear(dimension, 2 * dimension, bias=False)
        self.project = nn.Linear(dimension, dimension)

    def forward(self, embeddings: Tensor) -> Tensor:
        projected = (self.to_queries(embeddings), *self.to_keys_values(embeddings).chunk(2, -1))
        queries, keys, values = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in projected)
        attended = F.scaled_dot_product_attention(queries, keys, values)
        return self.project(attended.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers, ReLU between them."""

    def __init__(self, dimension: int):
        super().__init__()
        self.fc1 = nn.Linear(dimension, 2 * dimension)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(2 * dimension, dimension)

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.fc2(self.relu(self.fc1(embeddings)))
