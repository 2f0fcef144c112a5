"""Caption images with an image captioner of transformers, in the place of ClipCap.

There are three ways to ask: an image alone (ViT-GPT2, BLIP, GIT), an image and a text that the model goes on from or takes as a
task (BLIP, Florence-2), and a chat with an image in it (LLaVA, Qwen2-VL and their kin). Which one it is, the model's files say:
whether there is a chat template, and whether the config has an `instruction`.
"""

import inspect
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    BaseImageProcessor,
    BatchFeature,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from promptmix.errors import InputError
from promptmix.synthesis.captioning import ImageCaptioner, clean
from promptmix.synthesis.language import (
    check_length,
    check_prompt,
    check_words,
    load_writer,
    template_settings,
    text_of,
    write,
)
from promptmix.synthesis.pretrained import check_tokenizer_files, explain, load_tokenizer, locate, silence

WANTED = "an image captioner (such as vision-encoder-decoder, blip, git, florence2, llava or qwen2_vl)"

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Files of which one says how images are prepared."""

OF_TEXTS = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids", "position_ids")
"""What a model gets of a text; what it gets besides is of the image."""

BEAMS = 5
"""Captions that `decoding: beam` continues at once."""

TRIED = 64, 64
"""Height and width of the image with which a model's files are tried, in pixels."""


class Captioner(ImageCaptioner):
    """A captioner of transformers, ready to caption.

    Args:
        model: folder (or Hub name) of a model that writes texts of images, in transformers' format.
        instruction: what is asked of a chat model, or what the caption of another one begins with; it is no part of the caption.
        max_tokens: most tokens of a caption.
        decoding: "greedy" or "beam".
        precision: "float32", "float16" or "bfloat16".
        trust_remote_code: whether Python that comes with the model may run.
        device: where to compute.

    Raises:
        InputError: the model is missing, incomplete or no captioner, or cannot be asked in this way.
    """

    advice = "Use a smaller `model` for the captioner, or set its `precision` to float16 or bfloat16"
    batch_size = 8

    def __init__(
        self,
        model: str,
        instruction: str = "",
        max_tokens: int = 67,
        decoding: str = "greedy",
        precision: str = "float32",
        trust_remote_code: bool = False,
        device: torch.device | str = "cpu",
    ):
        self.network, self.asking = _open(model, instruction, max_tokens, precision, trust_remote_code, "cpu")
        self.network.to(device)
        self.max_tokens, self.beams = max_tokens, BEAMS if decoding == "beam" else 1

    @torch.inference_mode()
    def _captions_of(self, images: list[np.ndarray]) -> list[str]:
        inputs = self.asking.prepare(images, self.network).to(self.network.device, self.network.dtype)
        found = write(self.network, inputs, max_new_tokens=self.max_tokens, do_sample=False, num_beams=self.beams)
        return [clean(text_of(self.asking.tokenizer, tokens)) for tokens in found]


def check_captioner(
    model: str,
    instruction: str = "",
    max_tokens: int = 67,
    precision: str = "float32",
    trust_remote_code: bool = False,
    **_: str,
) -> None:
    """Find out whether a model captions images as it is asked to, from its files and without computing.

    Args: those of `Captioner`.

    Raises:
        InputError: it does not.
    """
    _open(model, instruction, max_tokens, precision, trust_remote_code, "meta")


@dataclass(frozen=True)
class _Asking:
    """How a model is asked for a caption: it gets images, and perhaps a text.

    Attributes:
        processor: prepares images, and texts where it is not for images alone.
        tokenizer: of the captions.
        instruction: the text; "" for none.
        chat: whether it is a message of a chat.
    """

    processor: ProcessorMixin | BaseImageProcessor
    tokenizer: PreTrainedTokenizerBase
    instruction: str
    chat: bool

    def prepare(self, images: list[np.ndarray], network: PreTrainedModel) -> BatchFeature:
        """Return what a network gets for some images, each (H, W, 3) uint8 RGB."""
        pictures = [Image.fromarray(image) for image in images]
        if self.chat:
            found = self.processor.apply_chat_template(
                [self._message(picture) for picture in pictures],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                processor_kwargs={"padding": True},
                **template_settings(self.processor.chat_template),
            )
        elif self.instruction:
            texts = [self.instruction] * len(pictures)
            found = self.processor(images=pictures, text=texts, padding=True, return_tensors="pt")
        else:
            found = self.processor(images=pictures, return_tensors="pt")
        if "token_type_ids" not in inspect.signature(network.forward).parameters:
            found.pop("token_type_ids", None)
        if self.instruction and not self.chat:
            self._leave_open(found, network)
        return found

    def try_out(self, network: PreTrainedModel, max_tokens: int) -> None:
        """Raise an InputError if a network cannot be asked in this way."""
        if self.chat and not self.instruction:
            raise InputError(
                "a chat model: say what it is asked, such as `instruction: Describe the image in one sentence.`"
            )
        how = ", with `instruction`, in which some models need a token for the image," if self.instruction else ","
        with explain(f"an image, prepared as its processor says{how}"):
            if self.chat:
                settings = template_settings(self.processor.chat_template)
                asked = [self._message(Image.new("RGB", TRIED))]
                check_prompt(self.processor.apply_chat_template(asked, add_generation_prompt=True, **settings)[0])
            found = self.prepare([np.zeros((*TRIED, 3), np.uint8)], network)
        if not set(found) - set(OF_TEXTS):
            raise InputError("its processor passes nothing of an image on to it")
        read = found["input_ids"] if "input_ids" in found else torch.zeros(1, 1)
        check_length(network, 1 if network.config.is_encoder_decoder else read.shape[1], max_tokens)

    def _message(self, picture: Image.Image) -> list[dict]:
        content = [{"type": "image", "image": picture}, {"type": "text", "text": self.instruction}]
        return [{"role": "user", "content": content}]

    def _leave_open(self, inputs: BatchFeature, network: PreTrainedModel) -> None:
        """Take away the mark of a text's end, after which a model would go on with another text."""
        ends = {self.tokenizer.eos_token_id, self.tokenizer.sep_token_id}
        if network.config.is_encoder_decoder or network.config.model_type == "blip":  # which does so itself
            return
        if "input_ids" in inputs and all(last in ends for last in inputs["input_ids"][:, -1].tolist()):
            for key in {"input_ids", "attention_mask", "token_type_ids"} & set(inputs):
                inputs[key] = inputs[key][:, :-1]


def _open(
    model: str, instruction: str, max_tokens: int, precision: str, trust_remote_code: bool, device: str
) -> tuple[PreTrainedModel, _Asking]:
    folder = locate(model, "a captioner: a folder in transformers' format")
    try:
        network = load_writer(
            folder, AutoModelForImageTextToText, WANTED, precision, device, trust_remote_code, (AutoModelForCausalLM,)
        )
        asking = _read_asking(folder, instruction, trust_remote_code)
        if not network.config.is_encoder_decoder:  # else a caption would go on after what fills up its text
            asking.tokenizer.padding_side = "left"
        if asking.tokenizer.pad_token is None:
            asking.tokenizer.pad_token = asking.tokenizer.eos_token
        check_words(asking.tokenizer, network)
        asking.try_out(network, max_tokens)
    except InputError as error:
        raise InputError(f"{model} captions no images, or is incomplete: {error}") from error
    return network, asking


def _read_asking(folder: Path, instruction: str, trust_remote_code: bool) -> _Asking:
    """Return how a model is asked: by its processor, or by an image processor alone where it has no other."""
    check_tokenizer_files(folder, trust_remote_code)
    if not any((folder / name).exists() for name in PROCESSORS):
        raise InputError(f"{' and '.join(PROCESSORS)} are missing in {folder}: what prepares images")
    options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    with explain(f"the processor of {folder.name}/"), silence():
        processor = AutoProcessor.from_pretrained(folder, **options)
        if isinstance(processor, ProcessorMixin):
            processor.chat_template = processor.chat_template or processor.tokenizer.chat_template
            return _Asking(processor, processor.tokenizer, instruction, processor.chat_template is not None)
        processor = AutoImageProcessor.from_pretrained(folder, **options)
    if instruction:
        raise InputError("it captions images without being asked anything; take `instruction` away")
    return _Asking(processor, load_tokenizer(AutoTokenizer, folder, trust_remote_code), "", False)
