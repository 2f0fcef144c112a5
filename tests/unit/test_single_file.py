"""A text-to-image model that is one file becomes a folder in diffusers' format, with the base's configs, whole or not at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file
from support.configs import put, small
from support.pipelines import _clip, save_family, save_pipeline
from support.single_files import save_single_file

from promptmix.config.plan import Plan
from promptmix.config.validation import check
from promptmix.errors import InputError
from promptmix.preflight.models import find_problems
from promptmix.synthesis.generation import GeneratorSettings, generate, load_pipeline
from promptmix.synthesis.single_file import check_single_file, convert


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder with pipelines, "sd" and "sdxl", as folders and as files."""
    folder = tmp_path_factory.mktemp("models")
    save_pipeline(folder / "sd")
    encoders = {**_clip(), **_clip("_2", projected=True, width=32)}
    sizes = {"cross_attention_dim": 48, "projection_class_embeddings_input_dim": 32 + 48}
    save_family(folder / "sdxl", "sdxl", encoders=encoders, **sizes)
    for name, kind in (("sd", StableDiffusionPipeline), ("sdxl", StableDiffusionXLPipeline)):
        save_single_file(kind.from_pretrained(folder / name), folder / f"{name}.safetensors")
    return folder


def changed(models, tmp_path, change, name="sd") -> str:
    """Write a file whose tensors are changed, and return its path."""
    tensors = load_file(models / f"{name}.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "changed.safetensors")
    return str(tmp_path / "changed.safetensors")


def another(models: Path, tmp_path: Path, name: str) -> Path:
    """Return a base of the same kind with other weights, which are not to be seen again."""
    kind = {"sd": StableDiffusionPipeline, "sdxl": StableDiffusionXLPipeline}[name]
    pipeline = kind.from_pretrained(models / name)
    for part in ("unet", "vae", "text_encoder"):
        for parameter in getattr(pipeline, part).parameters():
            torch.nn.init.constant_(parameter, 0.5)
    pipeline.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_the_weights_are_the_file_s_and_the_images_those_of_the_model(models, tmp_path, name):
    convert(str(models / f"{name}.safetensors"), str(another(models, tmp_path, name)), tmp_path / "out")
    made = [images_of(folder) for folder in (models / name, tmp_path / "out")]
    for one, other in zip(*made, strict=True):
        np.testing.assert_array_equal(one, other)


def images_of(folder):
    settings = GeneratorSettings(steps=2, guidance=3.0)
    planned = pd.DataFrame({"prompt": ["a street", "a crowd"], "seed": [0, 1], "width": 32, "height": 32})
    return [image for _, image in sorted(generate(load_pipeline(str(folder), settings, "cpu"), planned, settings))]


def test_numbers_stay_as_precise_as_they_are(models, tmp_path):
    file = changed(models, tmp_path, lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()}))
    convert(file, str(models / "sd"), tmp_path / "out")
    tensors = load_file(tmp_path / "out/unet/diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.input_blocks.1.0.in_layers.2.weight",
        "first_stage_model.decoder.conv_in.weight",
        "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight",
    ],
)
def test_a_weight_that_the_file_lacks_is_an_error(models, tmp_path, key):
    file = changed(models, tmp_path, lambda tensors: tensors.pop(key))
    with pytest.raises(InputError, match=rf"{file} lacks weights that .*/sd has, .*saved in part"):
        convert(file, str(models / "sd"), tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def with_a_block_more(tensors):
    more = {name.replace("output_blocks.3.", "output_blocks.4."): tensor.clone() for name, tensor in tensors.items()}
    tensors.update({name: tensor for name, tensor in more.items() if name not in tensors})


def with_a_layer_more(tensors):
    more = {name.replace("encoder.layers.0.", "encoder.layers.1."): tensor.clone() for name, tensor in tensors.items()}
    tensors.update({name: tensor for name, tensor in more.items() if name not in tensors})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_a_block_more, r"holds \d+ tensors of the unet, and that of .* has \d+: it is of another kind"),
        (with_a_layer_more, "holds a text encoder of 2 layers, and that of .* has 1: it is of another kind"),
    ],
)
def test_what_the_base_would_leave_out_of_a_file_is_an_error(models, tmp_path, change, message):
    """diffusers reads what it knows of the base, and says nothing of the rest: another model would make the images."""
    with pytest.raises(InputError, match=message):
        convert(changed(models, tmp_path, change), str(models / "sd"), tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.parametrize(("name", "base"), [("sd", "sdxl"), ("sdxl", "sd")])
def test_a_base_of_another_kind_is_an_error(models, tmp_path, name, base):
    with pytest.raises(InputError, match=str(models / f"{name}.safetensors")):
        convert(str(models / f"{name}.safetensors"), str(models / base), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_base_of_a_family_without_such_files_is_an_error(models, tmp_path):
    sana = save_family(tmp_path / "sana", "sana")
    with pytest.raises(InputError, match="base: .* is Sana, of which single files are not read here"):
        convert(str(models / "sd.safetensors"), str(sana), tmp_path / "out")


@pytest.mark.parametrize(
    ("keep", "lacking"),
    [
        ("model.diffusion_model", "an autoencoder nor a text encoder"),
        ("first_stage_model", "a U-Net nor a text encoder"),
        ("nothing", "a U-Net nor an autoencoder nor a text encoder"),
    ],
)
def test_a_file_that_is_no_whole_model_is_an_error(models, tmp_path, keep, lacking):
    def change(tensors):
        for name in list(tensors):
            if not name.startswith(keep):
                tensors[f"lora_unet_{name}"] = tensors.pop(name)

    file = changed(models, tmp_path, change)
    with pytest.raises(InputError, match=rf"and not {lacking}: expected a whole model. Of a LoRA"):
        check_single_file(file)
    assert len(find_problems(file, ["file"])) == 1


def test_a_file_that_is_none_or_damaged_is_an_error(models, tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        check_single_file(str(tmp_path / "none.safetensors"))
    (tmp_path / "cut.safetensors").write_bytes((models / "sd.safetensors").read_bytes()[:1000])
    with pytest.raises(InputError, match="is damaged, or not of safetensors"):
        check_single_file(str(tmp_path / "cut.safetensors"))
    assert find_problems(str(models / "sd.safetensors"), ["file"]) == []


# --- The config ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "a.safetensors"}, r"generators.diffusion.base is missing: a.safetensors is one file"),
        ({"base": "models/sd"}, r"generators.diffusion.base: it is for a model that is one file of safetensors"),
        ({"model": "a.ckpt", "base": "models/sd"}, r"generators.diffusion.model: a.ckpt: such files can run code"),
        (
            {"model": "a.safetensors", "base": "models/sd", "variant": "fp16"},
            "generators.diffusion.variant: .* no variants",
        ),
    ],
)
def test_a_base_belongs_to_a_model_that_is_one_file(changes, message):
    config = small()
    config["generators"]["diffusion"] |= changes
    with pytest.raises(InputError, match=message):
        check(config)


def test_files_of_one_name_cannot_be_told_apart():
    config = small()
    config["generators"]["diffusion"] |= {"model": "a/style.safetensors", "base": "models/sd"}
    put(config, "generators.other", config["generators"]["diffusion"] | {"precision": "float16"})
    check(config)
    plan = Plan(config)
    assert plan.pipelines == {"style": ("a/style.safetensors", "models/sd")}
    assert plan.pipeline_of(config["generators"]["other"]) == "style"
    put(config, "generators.other.model", "b/style.safetensors")
    with pytest.raises(InputError, match=r"generators.other.model: .* would both be called style"):
        Plan(config)
