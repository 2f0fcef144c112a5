"""Models of transformers that write texts, of images or of other texts: how they are read, and what their texts are.

Greedy decoding, beams and sampling are those of transformers' `generate`. What is done here is to refuse a model that cannot
do what is asked of it, before anything is computed, and to leave of its tokens the text alone.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from promptmix.errors import InputError
from promptmix.synthesis.pretrained import check_vocabulary, explain, load_part, read_json, silence

PADDED = 0.1
"""Largest share of a language model's embeddings that belong to no token: they are filled up, and kept for later ones."""

THOUGHT = "<think>", "</think>"
"""What models that reason aloud put around their thoughts, before the answer."""

MARK = re.compile(r"<[^<>\s]+>|\[[A-Z_]+\]")
"""What tokens look like that structure a text and are no part of it, such as <|im_end|> and [SEP]."""


def load_writer(
    folder: Path,
    kind: type,
    wanted: str,
    precision: str,
    device: str = "cpu",
    trust_remote_code: bool = False,
    also: tuple[type, ...] = (),
) -> PreTrainedModel:
    """Return a network that writes text, with all of its weights from the files.

    Args:
        folder: of a model in transformers' format.
        kind: transformers' class that finds it, such as `AutoModelForCausalLM`.
        wanted: what it should be, for the message.
        precision: of its weights, a dtype of torch.
        device: "meta" for a check, on which nothing has values.
        trust_remote_code: whether Python that comes with the model may run.
        also: other such classes, as which a model may come with Python of its own.

    Raises:
        InputError: it is none, is incomplete, or needs code that may not run.
    """
    config = _read_config(folder, trust_remote_code)
    own = [one for one in (kind, *also) if one.__name__ in (getattr(config, "auto_map", None) or {})]
    if own and trust_remote_code:
        kind = own[0]
    elif type(config) not in kind._model_mapping:
        hint = f"; with the code that comes with it it may be: {_trust(folder)}" if own else ""
        raise InputError(f"config.json: a model of the type {config.model_type}, which is not {wanted}{hint}")
    network = load_part(kind, folder, getattr(torch, precision), device=device, trust_remote_code=trust_remote_code)
    if not getattr(network, "can_generate", lambda: False)():
        raise InputError(f"config.json: a model of the type {config.model_type}, which does not write text")
    return network


def check_words(tokenizer: PreTrainedTokenizerBase, network: PreTrainedModel) -> None:
    """Compare a tokeniser with the words that a network knows.

    Raises:
        InputError: they do not belong together.
    """
    if not tokenizer.encode("a crowd of people", add_special_tokens=False):
        raise InputError("tokenizer: it finds no words in a text; its files are of another tokeniser than the model's")
    tokens = getattr(network.config.get_text_config(decoder=True), "vocab_size", None)
    if tokens:
        check_vocabulary(tokenizer, tokens, "tokenizer", type(network).__name__, PADDED)


def check_length(network: PreTrainedModel, read: int, max_tokens: int) -> None:
    """Compare how long a text may become with how long the texts are that a network has learnt.

    Args:
        read: tokens of what it continues.
        max_tokens: those that it may write.

    Raises:
        InputError: it has too few positions.
    """
    positions = getattr(network.config.get_text_config(decoder=True), "max_position_embeddings", None)
    if positions and read + max_tokens > positions:
        raise InputError(
            f"max_tokens is {max_tokens}, after {read} tokens that are read first; the model has {positions} positions for "
            f"both. Lower `max_tokens`, or shorten `instruction`"
        )


def check_prompt(text: str) -> None:
    """Raise an InputError if what a model continues makes it write its thoughts, which would be taken for the text."""
    if text.rstrip().endswith(THOUGHT[0]):
        raise InputError(
            "its chat template asks for thoughts before the answer, which cannot be switched off; take a model without"
        )


def template_settings(template: Any) -> dict[str, bool]:
    """Return what a chat template is to be told: not to ask for thoughts, if it can."""
    return {"enable_thinking": False} if "enable_thinking" in str(template) else {}


def write(network: PreTrainedModel, inputs: Mapping[str, Any], **settings: Any) -> list[list[int]]:
    """Return the tokens that a network writes after each text of a batch, without those that it has read.

    Args:
        inputs: those of `generate`, such as `input_ids`, on the network's device.
        settings: further ones, such as `max_new_tokens`.

    Raises:
        InputError: the network computes no numbers (NaN).
    """
    with silence():
        found = network.generate(**inputs, **settings, logits_processor=LogitsProcessorList([_Finite()]))
    read = inputs.get("input_ids")
    # Some models give back what they have read, BLIP all but its last token, and encoder-decoders none of it.
    for part in () if read is None or network.config.is_encoder_decoder else (read, read[:, :-1]):
        if part.shape[1] and torch.equal(found[:, : part.shape[1]], part):
            return found[:, part.shape[1] :].tolist()
    return found.tolist()


def text_of(tokenizer: PreTrainedTokenizerBase, tokens: list[int]) -> str:
    """Return the text of some tokens, without marks of its structure and without the thoughts before an answer."""
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    text = text.rpartition(THOUGHT[1])[2].partition(THOUGHT[0])[0]
    for mark in set(MARK.findall(text)):  # those that the tokeniser does not call special
        if mark in tokenizer.get_added_vocab():
            text = text.replace(mark, " ")
    return text


class _Finite(LogitsProcessor):
    """Raises an error if a network computes no numbers: all texts would be the first token, over and over."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if torch.isnan(scores).any():
            raise InputError(
                "the model computes no numbers (NaN): float16 is too narrow for it, or its weights are damaged. Set `precision` "
                "to bfloat16 or float32"
            )
        return scores


def _read_config(folder: Path, trust_remote_code: bool) -> PretrainedConfig:
    content = read_json(folder / "config.json")
    kind = content.get("model_type")
    if kind not in CONFIG_MAPPING and content.get("auto_map"):
        if not trust_remote_code:
            raise InputError(
                f"config.json: a model of the type {kind}, which needs code that comes with it ({_trust(folder)})"
            )
    elif kind not in CONFIG_MAPPING:
        raise InputError(
            f"config.json: a model of the type {kind}, which transformers {transformers.__version__} does not know"
        )
    with explain(f"{folder.name}/config.json"), silence():
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)


def _trust(folder: Path) -> str:
    return f"read the Python files in {folder}, and if you trust them, set `trust_remote_code: true`"
