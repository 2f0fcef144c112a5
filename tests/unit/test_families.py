"""Each family of pipelines keeps the promises: an image is a function of prompt, seed and settings; what it does not take is an error."""

import json
import logging
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import (
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    StableDiffusion3Pipeline,
)
from safetensors.torch import load_file, save_file
from support.pipelines import FAMILIES, save_family, save_pipeline

from promptmix.errors import InputError
from promptmix.preflight import memory
from promptmix.preflight.models import find_problems, find_unfit_settings
from promptmix.synthesis import families, generation
from promptmix.synthesis.generation import GeneratorSettings, fit, generate, inner_size, load_pipeline
from promptmix.synthesis.pipelines import size_multiple

SETTINGS = GeneratorSettings(steps=2, guidance=3.0)
NAMES = [name for name in FAMILIES if name != "refiner"]
ROUNDING = 3
PROMPTS = ["a large crowd at a concert", "people on a street"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a function that saves a pipeline of each family once."""
    place, saved = tmp_path_factory.mktemp("models"), {}

    def folder(name: str) -> Path:
        if name not in saved:
            saved[name] = save_pipeline(place / "sd") if name == "sd" else save_family(place / name, name)
        return saved[name]

    return folder


@pytest.fixture
def copied(folders, tmp_path):
    """Return a function that copies a pipeline, to be damaged."""
    return lambda name: shutil.copytree(folders(name), tmp_path / "models" / name)


def planned(number: int = 3, size: tuple[int, int] = (21, 13), first: int = 0) -> pd.DataFrame:
    seeds = range(first, first + number)
    prompts = [PROMPTS[seed % 2] for seed in seeds]
    return pd.DataFrame({"prompt": prompts, "seed": seeds, "width": size[0], "height": size[1]})


def made(pipeline, images: pd.DataFrame, settings: GeneratorSettings = SETTINGS, **more) -> list[np.ndarray]:
    found = dict(generate(pipeline, images, settings, **more))
    return [found[i].astype(int) for i in range(len(images))]


def images_of(folder: Path, settings: GeneratorSettings = SETTINGS, **more) -> list[np.ndarray]:
    return made(load_pipeline(str(folder), settings, "cpu"), planned(**more), settings)


def difference(a, b) -> int:
    return max(np.abs(x - y).max() for x, y in zip(a, b, strict=True))


def edit(file: Path, **changes) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refused(folder: Path, **settings) -> str:
    """Return what preflight says of settings, after comparing it with what the job says."""
    settings = {"steps": 2, "guidance": 0.0} | settings
    problem = find_unfit_settings({"model": str(folder)} | settings)
    with pytest.raises(InputError) as error:
        load_pipeline(str(folder), GeneratorSettings(**settings), "cpu")
    assert str(error.value) == problem
    return problem


# --- The promises ---


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_a_function_of_prompt_seed_and_settings(folders, name):
    assert find_problems(str(folders(name)), ["pipeline"]) == []
    pipeline = load_pipeline(str(folders(name)), SETTINGS, "cpu")
    together = made(pipeline, planned())
    assert [image.shape for image in together] == [(13, 21, 3)] * 3
    assert difference(together, made(pipeline, planned(), batch_pixels=1)) <= ROUNDING
    again = load_pipeline(str(folders(name)), SETTINGS, "cpu")
    torch.rand(7)  # torch's own state does not count
    assert difference(together[2:], made(again, planned(1, first=2))) <= ROUNDING
    assert difference(together[:1], together[2:]) > 5 * ROUNDING  # of one prompt, and other seeds
    other = made(again, planned(1).assign(prompt=PROMPTS[1]))
    assert difference(together[:1], other) > 0
    assert min(np.std(image) for image in together) > 5


def test_every_family_that_is_known_is_tested():
    made_here = {FAMILIES[name][0] for name in NAMES} | {"StableDiffusionPipeline"}
    assert made_here == {family.kind.__name__ for family in families.FAMILIES.values()}


@pytest.mark.parametrize(("name", "multiple"), [("sd", 8), ("sdxl", 8), ("sd3", 8), ("flux", 8), ("sana", 32)])
def test_sides_are_multiples_of_what_the_pipeline_takes(folders, name, multiple):
    assert size_multiple(load_pipeline(str(folders(name)), SETTINGS, "cpu")) == multiple


def test_the_published_sides_are_multiples_of_what_diffusers_asks_for():
    assert families.STABLE_DIFFUSION.multiple(8, 1) == families.SDXL.multiple(8, 1) == 8
    assert families.SD3.multiple(8, 2) == families.FLUX.multiple(8, 1) == families.PIXART_SIGMA.multiple(8, 2) == 16
    assert families.SANA.multiple(32, 1) == 32


@pytest.mark.parametrize("name", ["sd3", "sana"])
def test_bfloat16_is_real_and_differs_by_rounding(folders, name):
    half = load_pipeline(str(folders(name)), replace(SETTINGS, precision="bfloat16"), "cpu")
    assert {p.dtype for p in half.transformer.parameters()} == {torch.bfloat16}
    a, b = made(half, planned(1)), images_of(folders(name), number=1)
    assert 0 < np.abs(a[0] - b[0]).mean() < 12


def test_what_waits_in_the_computers_memory_does_not_matter_without_a_gpu(folders):
    for offload in ("model", "sequential"):
        assert difference(images_of(folders("sd"), replace(SETTINGS, offload=offload)), images_of(folders("sd"))) == 0


# --- What a model does not take ---


@pytest.mark.parametrize("name", ["lcm", "flux"])
def test_a_network_with_guidance_built_in_takes_no_negative_prompt(folders, name):
    message = refused(folders(name), guidance=3.0, negative_prompt="a street")
    assert "distilled with its guidance, so a negative prompt does nothing; take `negative_prompt` away" in message


def test_a_network_that_needs_no_guidance_takes_none(tmp_path):
    schnell = save_family(tmp_path / "schnell", "flux", guidance_embeds=False)
    turbo = save_family(
        tmp_path / "turbo", "sdxl", scheduler=EulerAncestralDiscreteScheduler(timestep_spacing="trailing")
    )
    for folder in (schnell, turbo):
        assert "without guidance, and guidance is 3; write `guidance: 0`" in refused(folder, guidance=3.0)
        assert find_unfit_settings({"model": str(folder), "steps": 1, "guidance": 0}) == ""
    few = GeneratorSettings(1, 0)
    pipeline = load_pipeline(str(turbo), few, "cpu")
    assert difference(made(pipeline, planned(), few), made(pipeline, planned(), few, batch_pixels=1)) <= ROUNDING


def test_only_sdxl_has_a_refiner_and_pixart_no_lora(folders):
    assert "only SDXL has; take `refiner` away" in refused(
        folders("sd"), refiner={"model": str(folders("refiner")), "from": 0.5}
    )
    assert "no form of a LoRA for PixArt-Sigma" in refused(folders("pixart-sigma"), lora=[{"model": "none"}])


def test_the_refiner_is_no_model_of_its_own(folders):
    (message,) = find_problems(str(folders("refiner")), ["pipeline"])
    assert (
        "a StableDiffusionXLImg2ImgPipeline; expected one of" in message and "in the generator's `refiner`" in message
    )


# --- Parts that belong together ---


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (
            "sdxl",
            {"cross_attention_dim": 16},
            "text_encoder and text_encoder_2 give 32 numbers per token, and unet takes 16",
        ),
        ("sdxl", {"addition_embed_type": None}, "unet takes no sizes"),
        (
            "sdxl",
            {"projection_class_embeddings_input_dim": 56},
            "text_encoder_2 gives 16 numbers per text, and unet takes 8",
        ),
        ("sd3", {"joint_attention_dim": 40}, "text_encoder_3 gives 32 numbers per token, and transformer takes 40"),
        ("sd3", {"pooled_projection_dim": 16}, "give 32 numbers per text, and transformer takes 16"),
        ("flux", {"pooled_projection_dim": 24}, "text_encoder gives 16 numbers per text, and transformer takes 24"),
        ("flux", {"in_channels": 64}, "vae has latents of 4 channels, and transformer takes 16 and gives 16"),
        ("pixart-alpha", {"caption_channels": 24}, "text_encoder gives 32 numbers per token, and transformer takes 24"),
        ("sana", {"in_channels": 8}, "vae has latents of 4 channels, and transformer takes 8 and gives 4"),
    ],
)
def test_networks_that_do_not_fit_together_are_named(tmp_path, name, changes, said):
    (message,) = find_problems(str(save_family(tmp_path / name, name, **changes)), ["pipeline"])
    assert said in message


@pytest.mark.parametrize(
    ("name", "file", "key"),
    [
        ("sd3", "text_encoder_3/model.safetensors", "encoder.block.0.layer.0.SelfAttention.q.weight"),
        ("flux", "transformer/diffusion_pytorch_model.safetensors", "x_embedder.bias"),
        ("sana", "vae/diffusion_pytorch_model.safetensors", "decoder.conv_in.bias"),
    ],
)
def test_weights_that_a_file_lacks_are_named(copied, name, file, key):
    folder = copied(name)
    weights = load_file(folder / file)
    del weights[key]
    save_file(weights, folder / file, {"format": "pt"})
    (message,) = find_problems(str(folder), ["pipeline"])
    assert f"{Path(file).parent}/: the weights lack 1 tensors" in message and key in message


def test_parts_that_are_missing_or_of_another_class_are_named(copied):
    folder = copied("sd3")
    edit(folder / "model_index.json", text_encoder_2=[None, None], text_encoder=["transformers", "CLIPTextModel"])
    shutil.rmtree(folder / "tokenizer_3")
    (message,) = find_problems(str(folder), ["pipeline"])
    assert "text_encoder_2 is missing" in message
    assert "text_encoder is a CLIPTextModel, and Stable Diffusion 3 has a CLIPTextModelWithProjection" in message
    assert "tokenizer_3: no tokenizer.json, and no spiece.model" in message


def test_stable_diffusion_3_works_without_its_largest_text_encoder(tmp_path):
    folder = save_family(tmp_path / "sd3", "sd3", with_t5=False)
    assert find_problems(str(folder), ["pipeline"]) == []
    assert len(images_of(folder, number=1)) == 1


class Harm:
    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (self.place, "w")


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_pickled_weights_are_read_only_if_they_are_nothing_else(copied, tmp_path, part):
    folder = copied("sd")
    (file,) = (folder / part).glob("*.safetensors")
    weights = load_file(file)
    file.unlink()
    pickled = file.with_name("pytorch_model.bin" if part == "text_encoder" else "diffusion_pytorch_model.bin")
    torch.save(weights, pickled)
    assert find_problems(str(folder), ["pipeline"]) == []
    pickled.write_bytes(pickle.dumps({"harm": Harm(str(tmp_path / "ran"))}))
    (message,) = find_problems(str(folder), ["pipeline"])
    assert f"{part}/ could not be read" in message
    assert not (tmp_path / "ran").exists()


def test_a_variant_is_read_where_it_is_asked_for(copied):
    folder = copied("sd")
    for file in folder.glob("*/*.safetensors"):
        weights = {key: tensor * (0 if "conv_out" in key else 1) for key, tensor in load_file(file).items()}
        save_file(weights, file.with_suffix(".ema.safetensors"), {"format": "pt"})
    assert np.ptp(images_of(folder, replace(SETTINGS, variant="ema"), number=1)[0]) == 0
    assert np.ptp(images_of(folder, number=1)[0]) > 0
    assert "unet/: no weights of the variant fp16; there are those without a variant, ema" in refused(
        folder, variant="fp16"
    )


# --- Prompts ---


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sdxl", ["text_encoder reads 32 of", "text_encoder_2 reads 32 of", "what all leave out is not in the image"]),
        ("sd3", ["text_encoder_2 reads 32 of", "text_encoder_3 reads it all"]),
        ("flux", ["text_encoder reads 32 of", "text_encoder_2 reads it all"]),
    ],
)
def test_a_prompt_that_is_too_long_is_said_of_each_encoder(folders, name, said, caplog):
    prompt = "crowd " * 30 + "stadium"
    pipeline = load_pipeline(str(folders(name)), SETTINGS, "cpu")
    made(pipeline, planned(1).assign(prompt=prompt))
    (message,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert all(text in message for text in [*said, f"'{prompt}'", "without 'stadium'"])


@pytest.mark.parametrize(("name", "letters"), [("pixart-alpha", 118), ("pixart-sigma", 298), ("sana", 298)])
def test_where_a_pipeline_reads_less_than_its_tokeniser_its_length_counts(folders, name, letters, caplog):
    """A letter is a token here; so are the start and the end of a text for T5, and the start for Gemma, after an instruction."""
    pipeline = load_pipeline(str(folders(name)), SETTINGS, "cpu")
    shorter, whole, longer = (planned(1).assign(prompt="x" * number) for number in (letters - 1, letters, letters + 1))
    a, b, c = (generation._run(pipeline, images, (32, 32), SETTINGS) for images in (shorter, whole, longer))
    assert not np.array_equal(a, b) and np.array_equal(b, c)
    made(pipeline, whole)
    assert not caplog.records
    made(pipeline, longer)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "The image is made without" in message


# --- Samplers ---


def test_another_sampler_makes_other_images_that_can_be_made_again(folders):
    euler = replace(SETTINGS, scheduler="EulerAncestralDiscreteScheduler")
    pipeline = load_pipeline(str(folders("sd")), euler, "cpu")
    assert type(pipeline.scheduler) is EulerAncestralDiscreteScheduler
    assert pipeline.scheduler.config.prediction_type == "v_prediction"  # as the model was trained
    images = made(pipeline, planned(), euler)
    assert difference(images, made(pipeline, planned(), euler, batch_pixels=1)) <= ROUNDING
    assert difference(images, images_of(folders("sd"))) > ROUNDING


@pytest.mark.parametrize(
    ("name", "scheduler", "said"),
    [
        ("sd", "EulerDiscretScheduler", "has no EulerDiscretScheduler. Did you mean 'EulerDiscreteScheduler'?"),
        ("sd", "UNet2DConditionModel", "diffusers has no UNet2DConditionModel"),
        ("sd", "FlowMatchEulerDiscreteScheduler", "which is not for Stable Diffusion 1 or 2"),
        ("sdxl", "FlowMatchEulerDiscreteScheduler", "which is not for SDXL"),
        ("sd", "IPNDMScheduler", "was trained with beta_start 0.0001, which a IPNDMScheduler cannot be told"),
        ("sd", "DPMSolverSDEScheduler", "needs torchsde"),
        ("sd3", "DPMSolverMultistepScheduler", "straight paths from noise to images"),
        ("flux", "FlowMatchHeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"),
    ],
)
def test_a_sampler_that_does_not_fit_is_refused(folders, name, scheduler, said):
    message = refused(folders(name), scheduler=scheduler)
    assert said in message and "scheduler" in message


def test_a_sampler_that_draws_noise_is_refused_where_its_pipeline_gives_it_no_generator(tmp_path):
    random = FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)
    (message,) = find_problems(str(save_family(tmp_path / "sd3", "sd3", scheduler=random)), ["pipeline"])
    assert (
        "draws noise which the image's seed does not decide (Stable Diffusion 3 gives its `step` no generator)"
        in message
    )


# --- The size that a model is good at ---


@pytest.mark.parametrize(
    ("size", "multiple", "native", "inner"),
    [
        ((1024, 768), 8, None, (1024, 768)),
        ((21, 13), 8, None, (24, 16)),
        ((96, 64), 8, 1024, (1256, 840)),
        ((640, 480), 64, [1024, 1024], (1152, 896)),
        ((2560, 1440), 16, 1024, (1360, 768)),
        ((4000, 10), 8, 64, (1280, 8)),
    ],
)
def test_an_image_is_generated_with_the_pixels_that_the_model_is_good_at(size, multiple, native, inner):
    assert inner_size(*size, multiple, native) == inner


def test_an_image_is_brought_to_its_size_without_distortion():
    """A disc stays a disc, in the middle."""
    y, x = np.mgrid[:64, :128]
    disc = np.repeat(((np.hypot(x - 63.5, y - 31.5) < 24) * 255).astype(np.uint8)[..., None], 3, axis=2)
    small = fit(disc, 40, 32, native=1)
    assert small.shape == (32, 40, 3)
    rows, columns = np.nonzero(small[..., 0] > 127)
    assert (rows.min(), rows.max()) == (4, 27) and (columns.min(), columns.max()) == (8, 31)
    assert fit(disc, 300, 100, native=1).shape == (100, 300, 3)
    assert np.array_equal(fit(disc, 126, 62), disc[1:63, 1:127])


def test_native_images_have_exactly_the_size_and_do_not_depend_on_the_batch(folders):
    native = replace(SETTINGS, native=48)
    pipeline = load_pipeline(str(folders("sd")), native, "cpu")
    together = made(pipeline, planned(2), native)
    assert together[0].shape == (13, 21, 3)
    assert difference(together, made(pipeline, planned(2), native, batch_pixels=1)) <= ROUNDING
    assert difference(together, images_of(folders("sd"), number=2)) > ROUNDING


# --- SDXL's refiner ---


def test_a_refiner_goes_on_where_the_model_stops(folders):
    four = replace(SETTINGS, steps=4)
    refined = replace(four, refiner={"model": str(folders("refiner")), "from": 0.5})
    pipeline = load_pipeline(str(folders("sdxl")), refined, "cpu")
    images = made(pipeline, planned(2), refined)
    assert images[0].shape == (13, 21, 3)
    assert difference(images, made(pipeline, planned(2), refined, batch_pixels=1)) <= ROUNDING
    assert difference(images, images_of(folders("sdxl"), four, number=2)) > ROUNDING


def test_a_refiner_without_a_step_to_make_is_an_error(folders, tmp_path):
    refiner = {"model": str(folders("refiner"))}
    assert "the refiner has no step to make" in refused(folders("sdxl"), refiner=refiner | {"from": 0.99})
    leading = diffusers.DDIMScheduler(timestep_spacing="leading")  # its two steps are at 500 and 0 of 1000
    early = save_family(tmp_path / "sdxl", "sdxl", scheduler=leading)
    assert "the model has no step to make" in refused(early, refiner=refiner | {"from": 0.3})


def test_a_refiner_of_other_latents_is_an_error(folders, copied):
    other = copied("refiner")
    edit(other / "vae/config.json", scaling_factor=0.13)
    assert "is not that of" in refused(folders("sdxl"), refiner={"model": str(other), "from": 0.5})
    assert "a StableDiffusionXLPipeline; expected one of StableDiffusionXLImg2ImgPipeline" in refused(
        folders("sdxl"), refiner={"model": str(folders("sdxl")), "from": 0.5}
    )


# --- LoRAs ---

LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"


def lora_of(file: Path, rank: int = 2, alpha: float | None = None, kohya: bool = False, **more: torch.Tensor) -> Path:
    """Save a LoRA of one layer of 16x16 weights of the U-Net, and return its file."""
    generator = torch.Generator().manual_seed(0)
    down, up = (torch.randn(shape, generator=generator) for shape in ((rank, 16), (16, rank)))
    if kohya:
        name = f"lora_unet_{LAYER.replace('.', '_')}"
        tensors = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        tensors |= {f"{name}.alpha": torch.tensor(alpha)} if alpha is not None else {}
    else:
        tensors = {f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}
    save_file(tensors | more, file)
    return file


@pytest.mark.parametrize(("kohya", "alpha", "times"), [(False, None, 1), (True, None, 1), (True, 1.0, 0.5)])
def test_a_lora_is_added_to_the_weights(folders, tmp_path, kohya, alpha, times):
    file = lora_of(tmp_path / "style.safetensors", kohya=kohya, alpha=alpha)
    settings = replace(SETTINGS, lora=[{"model": str(file), "scale": 0.7}])
    plain = load_pipeline(str(folders("sd")), SETTINGS, "cpu").unet.get_submodule(LAYER).weight
    pipeline = load_pipeline(str(folders("sd")), settings, "cpu")
    down, up = (tensor for key, tensor in sorted(load_file(file).items()) if tensor.ndim == 2)
    changed = pipeline.unet.get_submodule(LAYER).weight
    torch.testing.assert_close(changed, plain + 0.7 * times * up @ down)
    assert difference(made(pipeline, planned(1)), images_of(folders("sd"), number=1)) > 0
    assert find_unfit_settings({"model": str(folders("sd")), "steps": 1, "guidance": 1, "lora": settings.lora}) == ""


def test_several_loras_are_added_one_after_the_other(folders, tmp_path):
    file = lora_of(tmp_path / "style.safetensors")
    once, twice = (
        load_pipeline(str(folders("sd")), replace(SETTINGS, lora=list(given)), "cpu").unet.get_submodule(LAYER).weight
        for given in ([{"model": str(file), "scale": 1.0}], [{"model": str(tmp_path), "scale": 0.5}] * 2)
    )
    torch.testing.assert_close(once, twice)


def test_a_lora_changes_convolutions_text_encoders_and_transformers_too(folders, tmp_path):
    layers = {"unet.conv_in": (8, 4, 3, 3), "text_encoder.text_model.encoder.layers.0.self_attn.q_proj": (16, 16)}
    for name, of in (("sd", layers), ("flux", {"transformer.x_embedder": (32, 16)})):
        tensors = {}
        for layer, (out, *given) in of.items():
            tensors[f"{layer}.lora_A.weight"] = torch.ones(1, *given)
            tensors[f"{layer}.lora_B.weight"] = torch.ones(out, 1, *[1] * (len(given) - 1))
        save_file(tensors, tmp_path / f"{name}.safetensors")
        with_lora = replace(SETTINGS, lora=[{"model": str(tmp_path / f"{name}.safetensors"), "scale": 1}])
        plain, changed = (load_pipeline(str(folders(name)), settings, "cpu") for settings in (SETTINGS, with_lora))
        for layer in of:
            part, _, path = layer.partition(".")
            path = path.removeprefix("text_model.")
            a, b = (dict(getattr(each, part).named_modules()) for each in (plain, changed))
            (key,) = [key for key in a if key.removeprefix("text_model.") == path]
            torch.testing.assert_close(b[key].weight, a[key].weight + 1)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"unet.no.lora_A.weight": torch.ones(2, 16), "unet.no.lora_B.weight": torch.ones(16, 2)},
            "a layer unet.no, which",
        ),
        (
            {"unet.conv_in.lora_A.weight": torch.ones(2, 16), "unet.conv_in.lora_B.weight": torch.ones(8, 2)},
            "(8, 4, 3, 3)",
        ),
        ({"unet.conv_in.lora_A.weight": torch.ones(2, 4, 3, 3)}, "one of two matrices of unet.conv_in"),
        ({f"unet.{LAYER}.dora_scale": torch.ones(16)}, "more than a LoRA"),
        ({"unet.conv_in.bias": torch.ones(8)}, "none of a LoRA's: unet.conv_in.bias"),
    ],
)
def test_a_lora_that_does_not_fit_is_refused(folders, tmp_path, more, said):
    file = lora_of(tmp_path / "style.safetensors", **more)
    message = refused(folders("sd"), lora=[{"model": str(file), "scale": 1}])
    assert said in message and "style.safetensors" in message


def test_a_file_of_a_lora_is_found_or_said_to_be_missing(folders, tmp_path):
    for name in ("a.safetensors", "b.safetensors"):
        lora_of(tmp_path / name)
    given = {"model": str(tmp_path), "scale": 1}
    assert "several (a.safetensors, b.safetensors); say which in `file`" in refused(folders("sd"), lora=[given])
    assert "there is no c.safetensors; it holds a.safetensors, b.safetensors" in refused(
        folders("sd"), lora=[given | {"file": "c.safetensors"}]
    )
    assert "no such file or folder" in refused(folders("sd"), lora=[given | {"model": "owner/none"}])
    chosen = {"model": str(folders("sd")), "steps": 1, "guidance": 1, "lora": [given | {"file": "a.safetensors"}]}
    assert find_unfit_settings(chosen) == ""


# --- What it costs ---


@pytest.mark.parametrize("name", ["sd", *NAMES, "refiner"])
def test_the_memory_of_each_family_is_that_of_its_networks(folders, name):
    parts = [
        memory.generation(32, 32, "float32", 1, folders(name), offload=offload, overhead=False)
        for offload in (None, "model", "sequential")
    ]
    stored = sum(file.stat().st_size for file in folders(name).glob("*/*.safetensors"))
    assert stored < parts[0] and parts[0] > parts[1] > parts[2] > 0


@pytest.mark.parametrize(("name", "passes"), [("sd", 2), ("sdxl", 2), ("lcm", 1), ("sd3", 2), ("flux", 1), ("sana", 2)])
def test_a_step_takes_the_network_twice_only_where_guidance_is_not_built_in(folders, name, passes):
    with torch.device("meta"):
        diffusion = memory.load_diffusion(folders(name))
    assert diffusion.passes == passes


def test_published_classes_have_the_arguments_that_we_give_them():
    """So a new version of diffusers is noticed that passes over one."""
    for family in families.FAMILIES.values():
        given = {"prompt", "num_inference_steps", "guidance_scale", "generator", "latents", "output_type", *family.call}
        given |= {"max_sequence_length"} if family.lengths else set()
        known = set(diffusers.__dict__[family.kind.__name__].__call__.__wrapped__.__code__.co_varnames)
        assert given <= known, family.title
    for kind in (FluxPipeline, StableDiffusion3Pipeline):  # their samplers get no generator
        assert "prepare_extra_step_kwargs" not in dir(kind)
