"""Texts for prompts, written by a causal language model of transformers: variations of captions, or descriptions of a topic.

Each text is drawn by itself, with a random generator of its own, so it is a function of the model, the instruction, the caption or
topic, its number and the seed, however many there are.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from promptmix.config.pools import PLACES
from promptmix.errors import InputError
from promptmix.out_of_memory import explain_lack_of_memory
from promptmix.running.progress import progress
from promptmix.synthesis.captioning import clean
from promptmix.synthesis.language import (
    check_length,
    check_prompt,
    check_words,
    load_writer,
    template_settings,
    text_of,
    write,
)
from promptmix.synthesis.pretrained import explain, load_tokenizer, locate

log = logging.getLogger(__name__)

WANTED = "a causal language model (such as qwen2, llama, gemma or gpt2)"

INSTRUCTIONS = {
    "caption": (
        "Here is the description of a photo: [caption]\n"
        "Write another description of such a photo, with the same kind of scene but other details, in one sentence of at most 25 "
        "words. Answer with the sentence alone."
    ),
    "topic": (
        "Describe one photo on this topic: [topic]\n"
        "Say what is to be seen, where, and in which light, in one sentence of at most 25 words. Answer with the sentence alone."
    ),
}
"""What is asked where the config does not say it."""

ATTEMPTS = 20
"""How many times a text is drawn until it is neither empty nor there already."""

LIST_MARK = re.compile(r"^(?:[-*•]+|\(?\d+[.):])\s+")
"""What begins a line of a list."""

QUOTES = "\"'“”„‘’`*"
"""What a model may put around a text."""


class Writer:
    """A language model, ready to write.

    Args:
        model: folder (or Hub name) of a causal language model, in transformers' format.
        about: "caption" or "topic", what texts are about.
        instruction: what the model is asked, with `PLACES[about]` in it; by default that of `INSTRUCTIONS`.
        seed: another seed, other texts.
        max_tokens: most tokens of a text.
        temperature: below 1 likely words are drawn more often than the model says, above 1 less often.
        precision: "float32", "float16" or "bfloat16".
        trust_remote_code: whether Python that comes with the model may run.
        device: where to compute.

    Raises:
        InputError: the model is missing, incomplete, or writes no text.
    """

    def __init__(
        self,
        model: str,
        about: str,
        instruction: str | None = None,
        seed: int = 0,
        max_tokens: int = 60,
        temperature: float = 0.8,
        precision: str = "float32",
        trust_remote_code: bool = False,
        device: torch.device | str = "cpu",
    ):
        self.instruction = instruction or INSTRUCTIONS[about]
        self.place = PLACES[about]
        self.network, self.tokenizer = _open(model, self.instruction, max_tokens, precision, trust_remote_code, "cpu")
        self.network.to(device)
        self.seed, self.max_tokens, self.temperature = seed, max_tokens, temperature

    def write(self, subjects: Sequence[str], count: int) -> dict[str, list[str]]:
        """Return different texts about each caption or topic, which are not the caption or topic itself.

        Args:
            subjects: captions, or a topic; each is written about once, however often it is there.
            count: texts about each.

        Raises:
            InputError: a caption is empty, the model does not find so many texts, or memory does not suffice.
        """
        if empty := sum(not _key(subject) for subject in subjects):
            raise InputError(
                f"{empty} of {len(subjects)} captions are empty, and there is nothing of them to vary. Take another captioner, or a "
                "pool without `written_by`"
            )
        different = list(dict.fromkeys(subjects))
        found = {subject: list[str]() for subject in different}
        texts = ((subject, text) for subject in different for text in self._texts_about(subject, count))
        for subject, text in progress(texts, count * len(different), "texts written"):
            found[subject].append(text)
        return found

    def _texts_about(self, subject: str, count: int) -> Iterator[str]:
        taken = {_key(subject)}
        for number in range(count):
            for attempt in range(ATTEMPTS):
                text = self._draw(subject, number, attempt)
                if (key := _key(text)) and key not in taken:
                    break
            else:
                raise InputError(
                    f"{number} of {count} different texts about '{subject}' were found: the next was empty or one of them each of "
                    f"{ATTEMPTS} times, the last time '{text}'. Raise `temperature`, lower `count`, or take another `model` or "
                    "`instruction`"
                )
            taken.add(key)
            yield text

    @torch.inference_mode()
    def _draw(self, subject: str, number: int, attempt: int) -> str:
        """Return a text about a subject: its first attempt, or a later one."""
        prompt = self.instruction.replace(self.place, subject)
        inputs = _tokens_of(self.tokenizer, prompt).to(self.network.device)
        check_length(self.network, inputs["input_ids"].shape[1], self.max_tokens)
        devices = [self.network.device] if self.network.device.type == "cuda" else []
        with torch.random.fork_rng(devices), explain_lack_of_memory("a single text", "Take a smaller `model` to write"):
            torch.manual_seed(_seed_of(self.seed, subject, number, attempt))
            (tokens,) = write(
                self.network,
                inputs,
                max_new_tokens=self.max_tokens,
                do_sample=True,
                temperature=float(self.temperature),
                top_k=0,  # of all words; what the model's files say is for chats
                top_p=1.0,
                num_beams=1,
            )
        return tidy(text_of(self.tokenizer, tokens))


def check_writer(
    model: str,
    about: str,
    instruction: str | None = None,
    max_tokens: int = 60,
    precision: str = "float32",
    trust_remote_code: bool = False,
    **_: object,
) -> None:
    """Find out whether a model writes what it is asked for, from its files and without computing.

    Args: those of `Writer`.

    Raises:
        InputError: it does not.
    """
    _open(model, instruction or INSTRUCTIONS[about], max_tokens, precision, trust_remote_code, "meta")


def tidy(text: str) -> str:
    """Return the first line of an answer that is no heading, without marks of a list and without quotes around it."""
    lines = [clean(line) for line in text.splitlines()]
    for line in lines:
        line = LIST_MARK.sub("", line).strip().strip(QUOTES).strip()
        if any(sign.isalnum() for sign in line) and not line.endswith(":"):
            return line
    return ""


def _key(text: str) -> str:
    """Return what texts have in common that say the same: their words."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _seed_of(seed: int, subject: str, number: int, attempt: int) -> int:
    digest = hashlib.sha256(f"{seed}\n{number}\n{attempt}\n{subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # a generator's seed has 63 bits


def _tokens_of(tokenizer: PreTrainedTokenizerBase, prompt: str):
    """Return what a model is to continue: a message of a chat if it is made for that, else a line of text."""
    if tokenizer.chat_template is None:
        found = tokenizer(f"{prompt}\n", return_tensors="pt", return_token_type_ids=False)
        if found["input_ids"][0, -1] == tokenizer.eos_token_id:  # after which it would go on with another text
            found = found.__class__({key: value[:, :-1] for key, value in found.items()})
        return found
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}],
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
        **template_settings(tokenizer.chat_template),
    )


def _open(
    model: str, instruction: str, max_tokens: int, precision: str, trust_remote_code: bool, device: str
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    folder = locate(model, "a language model: a folder in transformers' format")
    try:
        network = load_writer(folder, AutoModelForCausalLM, WANTED, precision, device, trust_remote_code)
        tokenizer = _load_tokenizer(folder, trust_remote_code)
        check_words(tokenizer, network)
        with explain("the instruction, as its tokeniser takes it,"):
            tokens = _tokens_of(tokenizer, instruction)["input_ids"]
            check_prompt(tokenizer.decode(tokens[0]))
        check_length(network, tokens.shape[1], max_tokens)
    except InputError as error:
        raise InputError(f"{model} writes no prompts, or is incomplete: {error}") from error
    return network, tokenizer


def _load_tokenizer(folder: Path, trust_remote_code: bool) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(AutoTokenizer, folder, trust_remote_code)
    if tokenizer.eos_token is None:
        raise InputError("its tokeniser has no mark for the end of a text")
    return tokenizer
