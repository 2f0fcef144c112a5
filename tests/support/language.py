"""Tiny models with random weights that write texts, of images or of other texts, in transformers' format."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BartConfig,
    BertConfig,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    BlipProcessor,
    CLIPImageProcessor,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    GitConfig,
    GitForCausalLM,
    GitProcessor,
    GPT2Config,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessor,
)

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>", "<image>")
OF_QWEN = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
WORDS = [
    "a",
    "the",
    "large",
    "small",
    "dense",
    "crowd",
    "of",
    "people",
    "men",
    "women",
    "at",
    "in",
    "on",
    "near",
    "street",
    "station",
    "train",
    "bus",
    "airport",
    "stadium",
    "concert",
    "marathon",
    "beach",
    "market",
    "night",
    "day",
    "rain",
    "light",
    "dark",
    "bright",
    "trees",
    "houses",
    "road",
    "walking",
    "waiting",
    "watching",
    "running",
    ".",
    ",",
    ":",
    "user",
    "assistant",
    "describe",
    "image",
    "sentence",
    "one",
    "photo",
    "topic",
    "words",
]

CHAT = (
    "{% for message in messages %}<|im_start|> {{ message['role'] }} "
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}PLACE {% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    " <|im_end|> {% endfor %}{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)
"""A chat template; PLACE is where an image stands."""

BART = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}
"""The size of BART's encoder, and of its decoder."""

SPREAD = 0.6
"""Standard deviation of the weights: large enough for what is written to depend on what is read."""


def tokenizer(chat: str | None = None, bert: bool = False) -> PreTrainedTokenizerFast:
    """Return a tokeniser of few words: whole ones with BERT's marks around each text, or parts of words as GPT-2's and Qwen's."""
    special = [*SPECIAL, *OF_QWEN]
    if bert:
        names = [*special, *dict.fromkeys(WORDS)]
        inner = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        inner.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    else:
        inner = Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=special, show_progress=False)
        inner.train_from_iterator([" ".join(WORDS)], trainer)
        inner.add_tokens(["<think>", "</think>"])  # which are not special, as in Qwen3
    found = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>" if bert else None,
        sep_token="</s>" if bert else None,
        additional_special_tokens=[*SPECIAL[4:], *OF_QWEN],
    )
    found.chat_template = chat
    return found


def _save(folder: Path, network: torch.nn.Module, *others) -> Path:
    for part in (network, *others):
        part.save_pretrained(folder)
    return folder


def save_vit_gpt2(folder: Path) -> Path:
    """Save an encoder-decoder that takes images alone, and return its folder."""
    torch.manual_seed(0)
    words = tokenizer()
    encoder = ViTConfig(**_size(), image_size=16, patch_size=8, initializer_range=SPREAD)
    decoder = GPT2Config(
        vocab_size=len(words),
        n_positions=64,
        n_embd=16,
        n_layer=1,
        n_head=2,
        initializer_range=SPREAD,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id = words.bos_token_id, words.pad_token_id
    config.eos_token_id = words.eos_token_id
    network = VisionEncoderDecoderModel(config)
    images = ViTImageProcessor(size={"height": 16, "width": 16})
    return _save(folder, network, words, images)


def save_blip(folder: Path) -> Path:
    """Save a BLIP, which takes an image and what its caption begins with."""
    torch.manual_seed(0)
    words = tokenizer(bert=True)
    text = {
        **_size(),
        "vocab_size": len(words),
        "encoder_hidden_size": 16,
        "max_position_embeddings": 64,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "sep_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "initializer_range": SPREAD,
    }
    vision = {**_size(), "image_size": 16, "patch_size": 8, "initializer_range": SPREAD}
    network = BlipForConditionalGeneration(
        BlipConfig(text_config=text, vision_config=vision, projection_dim=16, initializer_range=SPREAD)
    )
    return _save(folder, network, BlipProcessor(BlipImageProcessor(size={"height": 16, "width": 16}), words))


def save_git(folder: Path) -> Path:
    """Save a GIT, a language model that sees an image before its text."""
    torch.manual_seed(0)
    words = tokenizer(bert=True)
    config = GitConfig(
        vision_config={**_size(), "image_size": 16, "patch_size": 8, "initializer_range": SPREAD},
        **_size(),
        vocab_size=len(words),
        max_position_embeddings=64,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        initializer_range=SPREAD,
    )
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    return _save(folder, GitForCausalLM(config), GitProcessor(images, words))


def save_florence2(folder: Path) -> Path:
    """Save a Florence-2, an encoder-decoder that reads an image and the words that its processor has for a task."""
    torch.manual_seed(0)
    inner = tokenizer(bert=True)._tokenizer
    named = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    words = PreTrainedTokenizerFast(tokenizer_object=inner, **named, extra_special_tokens={"image_token": "<image>"})
    text = BartConfig(
        vocab_size=len(words),
        d_model=16,
        max_position_embeddings=128,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        decoder_start_token_id=words.eos_token_id,
        forced_eos_token_id=None,
        init_std=SPREAD,
        **{f"{part}_{what}": n for part in ("encoder", "decoder") for what, n in BART.items()},
    )
    vision = {"depths": (1, 1), "patch_size": (7, 3), "patch_stride": (4, 2), "patch_padding": (3, 1)}
    vision |= {"patch_prenorm": (False, True), "embed_dim": (8, 16), "num_heads": (2, 2), "num_groups": (2, 2)}
    vision |= {"window_size": 4, "projection_dim": 16, "drop_path_rate": 0.0, "initializer_range": SPREAD}
    config = Florence2Config(text_config=text.to_dict(), vision_config=vision, image_token_id=words.image_token_id)
    images = CLIPImageProcessor(size={"height": 32, "width": 32}, do_center_crop=False)
    images.image_seq_length = 17  # 4x4 patches, and one for them all
    return _save(folder, Florence2ForConditionalGeneration(config), Florence2Processor(images, words))


def save_llava(folder: Path, chat: bool = True) -> Path:
    """Save a LLaVA, with a chat template or without."""
    torch.manual_seed(0)
    words = tokenizer(CHAT.replace("PLACE", "<image>") if chat else None)
    text = Qwen2Config(**_language(words))
    vision = {
        **_size(),
        "model_type": "clip_vision_model",
        "image_size": 16,
        "patch_size": 8,
        "projection_dim": 16,
        "initializer_range": SPREAD,
    }
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
        image_seq_length=4,
    )
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    processor = LlavaProcessor(
        images,
        words,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=words.chat_template,
    )
    return _save(folder, LlavaForConditionalGeneration(config), processor)


def save_qwen2_vl(folder: Path) -> Path:
    """Save a Qwen2-VL, whose images are as many tokens as they are large."""
    torch.manual_seed(0)
    words = tokenizer(CHAT.replace("PLACE", "<|vision_start|><|image_pad|><|vision_end|>"))
    ids = {name: words.convert_tokens_to_ids(name) for name in OF_QWEN}
    config = Qwen2VLConfig(
        text_config=_language(words)
        | {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}},
        vision_config={
            "depth": 1,
            "embed_dim": 16,
            "hidden_size": 16,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "initializer_range": SPREAD,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    options = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2, "min_pixels": 64, "max_pixels": 2048}
    images, videos = Qwen2VLImageProcessor(**options), Qwen2VLVideoProcessor(**options)
    processor = Qwen2VLProcessor(images, words, videos, chat_template=words.chat_template)
    return _save(folder, Qwen2VLForConditionalGeneration(config), processor)


def save_writer(folder: Path, chat: bool = True, spread: float = SPREAD) -> Path:
    """Save a language model, for chats or for plain texts."""
    torch.manual_seed(0)
    words = tokenizer(CHAT if chat else None)
    network = Qwen2ForCausalLM(Qwen2Config(**_language(words) | {"initializer_range": spread}))
    return _save(folder, network, words)


def save_text_encoder(folder: Path) -> Path:
    """Save a BERT, which writes nothing."""
    from transformers import BertModel

    words = tokenizer(bert=True)
    return _save(folder, BertModel(BertConfig(**_size(), vocab_size=len(words))), words)


def _size() -> dict[str, int]:
    return {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


def _language(words: PreTrainedTokenizerFast) -> dict:
    return {
        **_size(),
        "vocab_size": len(words),
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "initializer_range": SPREAD,
    }
