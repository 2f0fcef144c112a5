"""A pipeline is what its model_index.json says, whole and with parts that belong together, or is refused before it runs."""

import json
import logging
import re
import shutil
from pathlib import Path

import diffusers
import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import LatentConsistencyModelPipeline, LCMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from support.pipelines import MODELS, save_pipeline

from promptmix.errors import InputError
from promptmix.preflight.models import find_problems
from promptmix.running import hub
from promptmix.synthesis.generation import GeneratorSettings, generate, load_pipeline
from promptmix.synthesis.pipelines import check_pipeline

SETTINGS = GeneratorSettings(steps=2, guidance=3.0)
UNET, VAE = ("unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors")
TEXTS = "text_encoder/model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save_pipeline(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def folder(saved, tmp_path):
    """A model to be damaged, alone in a folder."""
    return shutil.copytree(saved, tmp_path / "models" / "model")


def edit(file: Path, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_weights(file: Path, change):
    weights = load_file(file)
    save_file(change(weights), file, {"format": "pt"})


def without(part: str):
    """Return a change of weights: those whose key has `part` in it are left out."""
    return lambda weights: {key: tensor for key, tensor in weights.items() if part not in key}


def refused(folder: Path) -> str:
    """Return what preflight says, after comparing it with what the job says."""
    (problem,) = find_problems(str(folder), ["pipeline"])
    with pytest.raises(InputError) as error:
        load_pipeline(str(folder), SETTINGS, "cpu")
    assert str(error.value) == problem
    return problem


def images_of(folder: Path, settings=SETTINGS, prompts=("a large crowd",)) -> list[np.ndarray]:
    plan = pd.DataFrame({"prompt": list(prompts), "seed": range(len(prompts)), "width": 24, "height": 16})
    return [image for _, image in sorted(generate(load_pipeline(str(folder), settings, "cpu"), plan, settings))]


# --- Weights ---


@pytest.mark.parametrize(
    ("file", "lacking"),
    [(UNET, "down_blocks.1.resnets.0.conv1"), (VAE, "decoder.conv_out"), (TEXTS, "layers.0.self_attn.q_proj")],
)
def test_weights_that_a_file_lacks_are_named(folder, file, lacking):
    edit_weights(folder / file, without(lacking))
    message = refused(folder)
    assert f"{Path(file).parent}/: the weights lack 2 tensors" in message
    assert f"{lacking}.bias" in message and f"{lacking}.weight" in message


def test_weights_with_prefixes_of_another_model_are_named(folder):
    edit_weights(folder / TEXTS, lambda weights: {f"bert.{key}": tensor for key, tensor in weights.items()})
    message = refused(folder)
    assert "text_encoder/: the weights lack" in message and "instead there are bert." in message


def test_weights_of_another_size_are_named(folder):
    edit_weights(folder / UNET, lambda weights: weights | {"conv_in.bias": torch.zeros(5)})
    assert "conv_in.bias" in refused(folder)
    edit_weights(folder / TEXTS, lambda weights: {key: torch.zeros(3) for key in weights})
    message = refused(folder)
    assert re.search(r"text_encoder/: \d\d tensors have other sizes.* \(3,\), and not \(", message)


def test_weights_that_no_part_uses_are_a_warning(folder, caplog):
    edit_weights(folder / UNET, lambda weights: weights | {"up_blocks.7.bias": torch.zeros(5)})
    check_pipeline(str(folder))
    (message,) = caplog.messages
    assert "1 tensors of its weights are not used" in message and "up_blocks.7.bias" in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            lambda old: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "only a pointer of git-lfs",
        ),
        (lambda old: old[:-1], "cut off or damaged"),
        (lambda old: b"<html>", "cut off or damaged"),
    ],
)
def test_what_is_no_file_of_weights_is_named(folder, content, said):
    for file in (UNET, TEXTS):
        (folder / file).write_bytes(content((folder / file).read_bytes()))
    message = refused(folder)
    assert all(f"{file} is {said}" in message for file in (UNET, TEXTS))


def test_files_of_a_variant_are_found_and_those_without_one_come_first(folder):
    before = images_of(folder)
    shutil.copytree(folder, folder.with_name("half"))
    for file in (UNET, VAE, TEXTS):
        whole = folder / file
        whole.rename(whole.with_suffix(".fp16.safetensors"))
    assert np.array_equal(images_of(folder), before)
    for file in (UNET, VAE, TEXTS):
        (folder.with_name("half") / file).with_suffix(".fp16.safetensors").write_bytes(b"broken, and not read")
    assert np.array_equal(images_of(folder.with_name("half")), before)


def test_several_variants_are_named(folder):
    for variant in ("bf16", "non_ema"):
        shutil.copy(folder / UNET, (folder / UNET).with_suffix(f".{variant}.safetensors"))
    (folder / UNET).unlink()
    assert "unet/: weights of several variants, bf16, non_ema" in refused(folder)


def test_parts_that_are_not_used_need_not_be_there(folder):
    before = images_of(folder)
    edit(
        folder / "model_index.json",
        feature_extractor=["transformers", "CLIPImageProcessor"],
        safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
    )
    assert np.array_equal(images_of(folder), before)


# --- Which pipeline ---


@pytest.mark.parametrize(
    "name",
    [
        *("StableDiffusionXLImg2ImgPipeline", "KandinskyPipeline", "HunyuanDiTPipeline", "SanaSprintPipeline"),
        *("StableDiffusionControlNetPipeline", "AltDiffusionPipeline", "StableDiffusionInpaintPipeline"),
    ],
)
def test_a_pipeline_that_is_not_supported_is_refused_by_its_name(folder, name):
    edit(folder / "model_index.json", _class_name=name)
    assert f"model_index.json: a {name}; expected one of StableDiffusionPipeline" in refused(folder)


def test_a_class_that_came_with_the_model_is_refused_and_not_run(folder, tmp_path):
    for name in ("mine", "unet/mine"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")
    edit(folder / "model_index.json", _class_name=["mine", "Mine"])
    assert "model_index.json: a Mine of mine" in refused(folder)
    edit(folder / "model_index.json", _class_name="StableDiffusionPipeline", unet=["mine", "Mine"])
    assert "unet is a Mine of mine, which came with the model" in refused(folder)
    edit(folder / "model_index.json", unet=["diffusers", "UNetOfTomorrow"])
    assert "unet is a UNetOfTomorrow, which diffusers does not have" in refused(folder)
    assert not (tmp_path / "ran").exists()


def test_a_part_that_the_class_does_not_have_is_named(folder):
    edit(folder / "model_index.json", controlnet=["diffusers", "ControlNetModel"])
    assert "a StableDiffusionPipeline with controlnet" in refused(folder)


def test_a_pipeline_for_images_of_images_has_the_same_parts(folder):
    before = images_of(folder)
    edit(folder / "model_index.json", _class_name="StableDiffusionImg2ImgPipeline")
    assert np.array_equal(images_of(folder), before)


def test_a_latent_consistency_model_is_loaded_as_one(tmp_path):
    folder = save_pipeline(tmp_path / "lcm", time_cond_proj_dim=8)
    edit(
        folder / "model_index.json",
        _class_name="LatentConsistencyModelPipeline",
        scheduler=["diffusers", "LCMScheduler"],
    )
    LCMScheduler().save_pretrained(folder / "scheduler")
    assert type(load_pipeline(str(folder), SETTINGS, "cpu")) is LatentConsistencyModelPipeline
    one, two = images_of(folder, prompts=["a large crowd", "a large crowd"])
    assert not np.array_equal(one, two)
    assert np.array_equal(images_of(folder, prompts=["a large crowd", "a large crowd"]), [one, two])
    with pytest.raises(InputError, match="a negative prompt does nothing.*take `negative_prompt` away"):
        load_pipeline(str(folder), GeneratorSettings(2, 3.0, negative_prompt="a street"), "cpu")


def test_a_single_file_is_named_as_such(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert "is a single file" in (message := refused(tmp_path / "model.safetensors"))
    assert "name in the generator's `base` a pipeline of the same kind" in message


# --- Parts that belong together ---


def test_a_tokeniser_of_another_vocabulary_is_refused(folder):
    shutil.rmtree(folder / "tokenizer")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer/vocab.json").write_text(json.dumps({"<|startoftext|>": 0, "<|endoftext|>": 1}))
    assert "tokenizer: no tokenizer.json, and no merges.txt" in refused(folder)
    (folder / "tokenizer/merges.txt").write_text("#version: 0.2\n")
    assert "tokenizer: the tokeniser has 2 tokens, and text_encoder has 877" in refused(folder)


@pytest.mark.parametrize("own", [10**30, 77])
def test_a_text_is_as_long_as_tokeniser_and_text_encoder_can_read(folder, own):
    before = images_of(folder, prompts=["crowd " * 60])
    edit(folder / "tokenizer/tokenizer_config.json", model_max_length=own)
    assert load_pipeline(str(folder), SETTINGS, "cpu").tokenizer.model_max_length == 32
    assert np.array_equal(images_of(folder, prompts=["crowd " * 60]), before)


@pytest.mark.parametrize(
    ("unet", "said"),
    [
        ({"in_channels": 9}, "vae has latents of 4 channels, and unet takes 9 and gives 4"),
        ({"out_channels": 8}, "unet takes 4 and gives 8"),
        ({"cross_attention_dim": 24}, "text_encoder gives 16 numbers per token, and unet takes 24"),
        ({"class_embed_type": "timestep"}, "unet takes more than a text (class_embed_type)"),
    ],
)
def test_networks_that_do_not_fit_together_are_named(tmp_path, unet, said):
    assert said in refused(save_pipeline(tmp_path / "model", **unet))


# --- Samplers ---


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("EulerAncestralDiscreteScheduler", {}),
        ("PNDMScheduler", {"skip_prk_steps": True}),
        ("DDPMScheduler", {}),
    ],
)
def test_a_sampler_whose_noise_a_seed_decides_is_taken(folder, name, settings):
    edit(folder / "model_index.json", scheduler=["diffusers", name])
    getattr(diffusers, name)(**settings).save_pretrained(folder / "scheduler")
    prompts = ["a large crowd"] * 2
    (*_, last) = images_of(folder, prompts=prompts)
    assert np.array_equal(images_of(folder, prompts=prompts)[-1], last)


class OwnNoise(diffusers.EulerDiscreteScheduler):
    """Draws noise from torch's state, as DPM++ SDE does."""

    def step(self, model_output, timestep, sample, return_dict=True):
        found = super().step(model_output, timestep, sample)
        found.prev_sample = found.prev_sample + 0.1 * torch.randn_like(sample)
        return found


class SameNoise(diffusers.EulerDiscreteScheduler):
    """Draws the same noise for each batch, so that an image depends on its place in it."""

    def step(self, model_output, timestep, sample, return_dict=True):
        found = super().step(model_output, timestep, sample)
        noise = torch.randn(sample.shape, generator=torch.Generator().manual_seed(0))
        found.prev_sample = found.prev_sample + 0.1 * noise
        return found


@pytest.mark.parametrize("kind", [OwnNoise, SameNoise])
def test_a_sampler_with_noise_of_its_own_is_refused(folder, kind, monkeypatch):
    monkeypatch.setattr(diffusers, kind.__name__, kind, raising=False)
    edit(folder / "model_index.json", scheduler=["diffusers", kind.__name__])
    message = refused(folder)
    assert (
        f"a {kind.__name__} that draws noise" in message
        and "no generator" in message
        and "another scheduler" in message
    )


def test_a_sampler_that_needs_what_is_not_installed_is_refused(folder):
    edit(folder / "model_index.json", scheduler=["diffusers", "DPMSolverSDEScheduler"])
    message = refused(folder)
    assert "a DPMSolverSDEScheduler, which needs torchsde" in message and "another scheduler" in message


def test_a_sampler_of_another_kind_of_model_is_refused(folder):
    edit(folder / "model_index.json", scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"])
    assert "a FlowMatchEulerDiscreteScheduler, which is not for Stable Diffusion 1 or 2" in refused(folder)


# --- What is not used ---


@pytest.mark.parametrize("place", ["pytorch_lora_weights.safetensors", "../style.safetensors", "learned_embeds.bin"])
def test_what_would_be_added_to_a_model_is_said_not_to_be_used(folder, place, caplog):
    load_pipeline(str(folder), SETTINGS, "cpu")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    save_file({"unet.down_blocks.0.lora_A.weight": torch.zeros(2)}, folder / place)
    load_pipeline(str(folder), SETTINGS, "cpu")
    (message,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert f"not used: {Path(place).name}." in message


# --- Names on the Hub ---


@pytest.fixture
def cache(saved, tmp_path, monkeypatch):
    """A Hub's cache with two commits of owner/name, and a function that moves its reference."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    model = tmp_path / "hub/models--owner--name"
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(saved, model / "snapshots" / commit)
    (model / "refs").mkdir()

    def move(commit):
        (model / "refs/main").write_text(commit)

    move("a" * 40)
    return move


def test_a_name_on_the_hub_is_the_snapshot_that_the_cache_has(cache, folder, monkeypatch):
    assert hub.locate("owner/name").name == "a" * 40
    assert find_problems("owner/name", ["pipeline"]) == []
    assert np.array_equal(images_of("owner/name"), images_of(folder))
    monkeypatch.setenv(hub.SNAPSHOTS, "{}")
    cache("b" * 40)
    assert hub.locate("owner/name").name == "b" * 40


def test_a_run_and_its_jobs_keep_to_a_snapshot(cache):
    assert hub.locate("owner/name").name == "a" * 40
    cache("b" * 40)
    assert hub.locate("owner/name").name == "a" * 40


@pytest.mark.parametrize("name", ["owner/other", "no/such/folder", "a b", ""])
def test_what_is_neither_a_folder_nor_in_the_cache_is_nowhere(cache, name):
    assert hub.locate(name) is None


def test_the_shipped_model_is_taken():
    assert find_problems(str(MODELS / "stable-diffusion"), ["pipeline"]) == []
    assert (
        StableDiffusionPipeline.__name__
        == json.loads((MODELS / "stable-diffusion/model_index.json").read_text())["_class_name"]
    )
