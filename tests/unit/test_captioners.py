"""Captioners of transformers: what they write is a caption alone, whatever the batch, and what cannot caption is refused."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import language as tiny

from promptmix.errors import InputError
from promptmix.synthesis.captioners import Captioner, check_captioner
from promptmix.synthesis.captioning import clean
from promptmix.synthesis.language import text_of

SHIPPED = Path(__file__).parents[2] / "resources/models"
ASK = "describe the image in one sentence"

MODELS = {
    "vit-gpt2": (tiny.save_vit_gpt2, ""),
    "blip": (tiny.save_blip, ""),
    "blip-prefix": (tiny.save_blip, "a photo of"),
    "git": (tiny.save_git, ""),
    "git-prefix": (tiny.save_git, "a photo of"),
    "florence2": (tiny.save_florence2, "<CAPTION>"),
    "llava": (tiny.save_llava, ASK),
    "qwen2-vl": (tiny.save_qwen2_vl, ASK),
}
"""How each is saved, and what it is asked."""


@pytest.fixture(scope="module")
def images():
    """Nine images of several sizes."""
    rng = np.random.default_rng(0)
    sizes = [(32, 48), (64, 24), (40, 40)] * 3
    return [rng.integers(0, 255, (*size, 3), dtype=np.uint8) // (1 + i) for i, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a model, which tests must not change."""
    made = {}

    def get(name):
        save = MODELS[name][0]
        if save not in made:
            made[save] = save(tmp_path_factory.mktemp("models") / save.__name__)
        return made[save]

    return get


@pytest.fixture
def copied(folder, tmp_path):
    """Return a copy of a model's folder, to be changed."""
    return lambda name: shutil.copytree(folder(name), tmp_path / name)


def caption(folder, name, images, batch_size=None, **settings):
    captioner = Captioner(str(folder), **{"instruction": MODELS[name][1], "max_tokens": 8, **settings})
    return list(captioner.caption(images, batch_size))


@pytest.mark.parametrize("name", MODELS)
def test_a_caption_depends_on_the_image_and_not_on_the_batch(name, folder, images):
    captioner = Captioner(str(folder(name)), MODELS[name][1], max_tokens=8)
    alone = list(captioner.caption(images, 1))
    assert len(set(alone)) > 1, alone
    for size in (2, 9):
        assert list(captioner.caption(images, size)) == alone
    assert list(captioner.caption(images[4:5])) == alone[4:5]


@pytest.mark.parametrize("name", MODELS)
def test_a_caption_is_words_alone(name, folder, images):
    for text in caption(folder(name), name, images, max_tokens=20):
        assert re.fullmatch(r"[a-z .,:]*", text), text
        assert not text.startswith(MODELS[name][1] or "<")
        assert len(text.split()) <= 20


@pytest.mark.parametrize("name", MODELS)
def test_a_beam_finds_captions_too(name, folder, images):
    greedy = caption(folder(name), name, images)
    found = caption(folder(name), name, images, decoding="beam")
    assert len(found) == len(images) and found != greedy
    assert all(re.fullmatch(r"[a-z .,:]*", text) for text in found)


def test_a_chat_model_s_caption_is_what_it_answers(folder, images):
    """Computed by hand: the text around the image, as the template says, and the words that follow."""
    captioner = Captioner(str(folder("qwen2-vl")), ASK, max_tokens=8)
    words, network = captioner.asking.tokenizer, captioner.network
    pixels = captioner.asking.processor.image_processor([images[0]], return_tensors="pt")
    places = "<|image_pad|>" * int(pixels["image_grid_thw"].prod() // 4)
    asked = f"<|im_start|> user <|vision_start|>{places}<|vision_end|> {ASK} <|im_end|> <|im_start|> assistant "
    tokens = words(asked, return_tensors="pt")
    mm = (tokens["input_ids"] == network.config.image_token_id).int()
    with torch.inference_mode():
        found = network.generate(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            mm_token_type_ids=mm,
            **pixels,
            max_new_tokens=8,
            do_sample=False,
        )
    (text,) = captioner.caption(images[:1])
    assert text == clean(words.decode(found[0, tokens["input_ids"].shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize("name", ["blip", "git"])
def test_what_a_caption_begins_with_changes_it(name, folder, images):
    assert caption(folder(name), f"{name}-prefix", images) != caption(folder(name), name, images)


def test_half_precision_captions_too(folder, images):
    assert len(caption(folder("qwen2-vl"), "qwen2-vl", images, precision="bfloat16")) == len(images)


def test_a_text_has_no_marks_and_no_thoughts():
    words = tiny.tokenizer()

    def text(said):
        return clean(text_of(words, words(said)["input_ids"]))

    assert text("a crowd <|im_end|> </s> <pad>") == "a crowd"
    assert text("<think> the image </think> a crowd .") == "a crowd."
    assert text("</think> a crowd") == "a crowd"
    assert text("<think> the image of a") == ""
    assert clean("a crowd\nof people\t at night .") == "a crowd of people at night."


# --- What is refused, by the check of the preflight and by the job in the same words ---


def refused(folder, **settings):
    with pytest.raises(InputError) as of_check:
        check_captioner(str(folder), **settings)
    with pytest.raises(InputError) as of_job:
        Captioner(str(folder), **settings)
    assert str(of_check.value) == str(of_job.value)
    return str(of_job.value)


@pytest.mark.parametrize("name", MODELS)
def test_what_captions_is_not_refused(name, folder):
    check_captioner(str(folder(name)), instruction=MODELS[name][1], max_tokens=8, decoding="greedy")


def test_a_missing_model_is_named(tmp_path):
    assert re.search(r"none: there is no such folder.*a captioner", refused(tmp_path / "none"))


@pytest.mark.parametrize("save", [tiny.save_writer, tiny.save_text_encoder])
def test_a_model_of_texts_is_no_captioner(save, tmp_path):
    assert re.search(
        r"captions no images.*of the type (qwen2|bert), which is not an image captioner", refused(save(tmp_path))
    )


def test_a_model_of_images_that_writes_no_text_is_no_captioner():
    assert "of the type clip, which is not an image captioner" in refused(SHIPPED / "clip")


def test_a_type_that_transformers_does_not_know_is_refused(copied):
    model = copied("blip")
    edit(model / "config.json", model_type="tomorrow")
    assert re.search(r"type tomorrow, which transformers \d.* does not know", refused(model))


@pytest.mark.parametrize("name", ["vit-gpt2", "blip", "qwen2-vl"])
def test_missing_weights_are_refused(name, copied):
    model = copied(name)
    weights = load_file(model / "model.safetensors")
    gone = next(key for key in sorted(weights) if "attn" in key or "attention" in key)
    del weights[gone]
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    assert re.search(r"the weights lack 1 tensors of a \w+", refused(model, instruction=MODELS[name][1]))
    (model / "model.safetensors").unlink()
    assert "weights are missing" in refused(model, instruction=MODELS[name][1])


@pytest.mark.parametrize("name", ["vit-gpt2", "blip", "llava"])
def test_a_missing_tokeniser_is_refused(name, copied):
    model = copied(name)
    (model / "tokenizer.json").unlink()
    assert "no tokenizer.json" in refused(model, instruction=MODELS[name][1])


@pytest.mark.parametrize("name", ["vit-gpt2", "blip", "llava"])
def test_a_missing_image_processor_is_refused(name, copied):
    model = copied(name)
    for file in ("preprocessor_config.json", "processor_config.json"):
        (model / file).unlink(missing_ok=True)
    assert re.search(
        r"preprocessor_config\.json.*missing.*what prepares images", refused(model, instruction=MODELS[name][1])
    )


def test_a_tokeniser_of_another_model_is_refused(copied):
    model = copied("vit-gpt2")
    words = json.loads((model / "tokenizer.json").read_text())
    vocabulary = words["model"]["vocab"]
    for word in list(vocabulary)[40:]:
        del vocabulary[word]
    words["model"]["merges"] = []
    (model / "tokenizer.json").write_text(json.dumps(words))
    assert re.search(r"tokeniser has 4\d tokens, and VisionEncoderDecoderModel has \d\d", refused(model))


def test_a_chat_model_has_to_be_asked_something(folder):
    assert "a chat model: say what it is asked, such as `instruction:" in refused(folder("qwen2-vl"))


def test_a_model_of_images_alone_cannot_be_asked_anything(folder):
    assert "take `instruction` away" in refused(folder("vit-gpt2"), instruction=ASK)


def test_without_a_chat_template_the_instruction_says_where_the_image_is(tmp_path, images):
    model = tiny.save_llava(tmp_path / "llava", chat=False)
    message = refused(model, instruction="a photo of")
    assert "some models need a token for the image" in message and "number of <image> tokens" in message
    asked = Captioner(str(model), "user : <image> describe assistant :", max_tokens=8)
    assert len(set(asked.caption(images))) > 1


def test_a_template_that_asks_for_thoughts_is_refused(copied):
    model = copied("qwen2-vl")
    for file in model.glob("*.jinja"):
        file.write_text(file.read_text().replace("assistant ", "assistant <think>"))
    assert "asks for thoughts before the answer" in refused(model, instruction=ASK)


def test_more_tokens_than_the_model_has_positions_are_refused(folder):
    message = refused(folder("vit-gpt2"), max_tokens=100)
    assert "max_tokens is 100" in message and "64 positions" in message


def test_code_that_comes_with_a_model_runs_only_where_the_config_says_so(copied, images):
    model = copied("blip")
    edit(
        model / "config.json",
        model_type="mine",
        auto_map={
            "AutoConfig": "mine.MyConfig",
            "AutoModelForImageTextToText": "mine.MyModel",
        },
    )
    (model / "mine.py").write_text(CODE)
    message = refused(model)
    assert "type mine, which needs code that comes with it" in message and "`trust_remote_code: true`" in message
    check_captioner(str(model), max_tokens=8, trust_remote_code=True)
    assert caption(model, "blip", images, trust_remote_code=True) == caption(copied("blip-prefix"), "blip", images)


CODE = """
from transformers import BlipConfig, BlipForConditionalGeneration


class MyConfig(BlipConfig):
    model_type = "mine"


class MyModel(BlipForConditionalGeneration):
    config_class = MyConfig
"""


def test_no_numbers_are_an_error_and_no_captions(copied, images):
    model = copied("blip")
    weights = load_file(model / "model.safetensors")
    key = next(key for key in weights if "LayerNorm.weight" in key)
    weights[key][:] = float("nan")
    save_file(weights, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"no numbers \(NaN\).*`precision`"):
        caption(model, "blip", images)


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
