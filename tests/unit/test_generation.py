"""Images are a function of prompt, seed and settings, come out at the size asked for, and stand in a manifest."""

import copy
import logging
import math
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from PIL import Image
from support.pipelines import MODELS, save_pipeline
from transformers import CLIPTokenizer

from promptmix.datasets.pictures import encode_jpeg, jpeg_quality
from promptmix.errors import InputError
from promptmix.preflight import memory
from promptmix.synthesis import generation
from promptmix.synthesis.families import Reader
from promptmix.synthesis.generation import (
    GeneratorSettings,
    check_prompts,
    generate,
    load_pipeline,
    noise,
    plan,
    write_block,
)
from promptmix.synthesis.manifest import read_manifest, read_verified

TOKENIZER = MODELS / "stable-diffusion" / "tokenizer"
SETTINGS = GeneratorSettings(steps=2, guidance=3.0)
ROUNDING = 2


def prompts(*sizes, quality=75):
    """Return as many prompts as sizes, each (width, height)."""
    texts = ["a large crowd at a concert", "people on a street", "a few people in a stadium", "an airport"]
    rows = [[texts[i % 4], w, h, quality, 0, f"IMG_{i}.jpg"] for i, (w, h) in enumerate(sizes)]
    return pd.DataFrame(rows, columns=["prompt", "width", "height", "quality", "grey", "source"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A latent diffusion model with few channels and random weights, reducing 4x as the miniature's."""
    return save_pipeline(tmp_path_factory.mktemp("models") / "stable-diffusion")


@pytest.fixture(scope="module")
def pipeline(folder):
    return load_pipeline(str(folder), SETTINGS, "cpu")


def pixels(pipeline, images, **more):
    """Return each planned image's pixels, in the plan's order, as int."""
    found = dict(generate(pipeline, images, SETTINGS, **more))
    assert sorted(found) == list(range(len(images)))
    return [found[i].astype(int) for i in range(len(images))]


def difference(a, b):
    return max(np.abs(x - y).max() for x, y in zip(a, b, strict=True))


# --- The plan ---


def test_image_g_has_prompt_g_mod_m_and_seed_g():
    pool = prompts((24, 16), (16, 16), (32, 16))
    images = plan(pool, first=4, count=5)
    assert images["seed"].tolist() == [4, 5, 6, 7, 8]
    assert images["prompt_number"].tolist() == [1, 2, 0, 1, 2]
    assert images["source"].tolist() == ["IMG_1.jpg", "IMG_2.jpg", "IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg"]
    assert images["width"].tolist() == [16, 32, 24, 16, 32]
    assert images.index.tolist() == list(range(5))


def test_a_block_is_a_part_of_the_whole_plan():
    pool = prompts((24, 16), (16, 16), (32, 16))
    whole = plan(pool, 0, 20)
    for first in (0, 10):
        assert plan(pool, first, 10).equals(whole.iloc[first : first + 10].reset_index(drop=True))


# --- The images ---


def test_an_image_is_the_same_in_every_batch_and_block(pipeline):
    pool = prompts((24, 16), (24, 16))
    alone = pixels(pipeline, plan(pool, 0, 6), batch_pixels=1)
    assert difference(alone, pixels(pipeline, plan(pool, 0, 6), batch_pixels=2 * 24 * 16)) <= ROUNDING
    assert difference(alone, pixels(pipeline, plan(pool, 0, 6))) <= ROUNDING
    assert difference(alone[3:], pixels(pipeline, plan(pool, 3, 3))) <= ROUNDING


def test_an_image_is_the_same_where_memory_does_not_suffice_for_its_batch(pipeline, monkeypatch):
    pool = prompts((24, 16), (24, 16), (16, 16))
    expected, sizes, forward = pixels(pipeline, plan(pool, 0, 9)), [], pipeline.unet.forward

    def tight(sample, *args, **more):
        if len(sample) > 2 * 2:  # with guidance, two of each image
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.25 GiB.")
        sizes.append(len(sample))
        return forward(sample, *args, **more)

    monkeypatch.setattr(pipeline.unet, "forward", tight)
    assert difference(expected, pixels(pipeline, plan(pool, 0, 9))) <= ROUNDING
    assert len(expected) == 9 and max(sizes) == 2


def test_a_single_image_for_which_memory_does_not_suffice(pipeline, monkeypatch):
    def full(*args, **more):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.25 GiB.\nSee")

    monkeypatch.setattr(pipeline.unet, "forward", full)
    expected = "^not enough memory for a single image. Set the generator's `precision` to float16, or make the images "
    with pytest.raises(
        InputError, match=expected + r"smaller .*\(CUDA out of memory\. Tried to allocate 2\.25 GiB\.\)$"
    ):
        list(generate(pipeline, plan(prompts((24, 16)), 0, 2), SETTINGS))


def test_another_seed_another_image(pipeline):
    a, _, b = pixels(pipeline, plan(prompts((24, 16), (24, 16)), 0, 3))  # a and b have one prompt
    assert difference([a], [b]) > 10 * ROUNDING


def test_another_prompt_another_image(pipeline):
    images = plan(prompts((24, 16), (24, 16)), 0, 2).assign(seed=0)
    a, b = pixels(pipeline, images)
    assert difference([a], [b]) > 0


def test_guidance_and_negative_prompt_steer(pipeline):
    images = plan(prompts((24, 16)), 0, 1)
    usual = pixels(pipeline, images)
    for settings in (GeneratorSettings(2, 9.0), GeneratorSettings(2, 3.0, negative_prompt="a street")):
        ((_, other),) = generate(pipeline, images, settings)
        assert difference(usual, [other.astype(int)]) > 0


def test_sizes_come_out_exactly_cut_evenly_from_the_next_multiples_of_8(pipeline):
    sizes = [(24, 16), (21, 13), (23, 16), (17, 9)]
    images = plan(prompts(*sizes), 0, 4).assign(prompt="people", seed=1)
    whole, *cut = pixels(pipeline, images)
    assert [image.shape for image in (whole, *cut)] == [(h, w, 3) for w, h in sizes]
    for image, (width, height) in zip(cut, sizes[1:], strict=True):
        left, top = (24 - width) // 2, (16 - height) // 2
        assert difference([image], [whole[top : top + height, left : left + width]]) <= ROUNDING


@pytest.mark.parametrize(("blocks", "whole"), [(3, (40, 40)), (4, (40, 40)), (5, (48, 48))])
def test_sizes_go_by_the_autoencoder_s_own_factor(tmp_path, blocks, whole):
    """It reduces by 4, 8 and 16: 40 pixels are no multiple of 16."""
    pipeline = load_pipeline(str(save_pipeline(tmp_path / "model", blocks=blocks)), SETTINGS, "cpu")
    assert generation.inner_size(40, 40, generation.size_multiple(pipeline)) == whole
    image, larger = pixels(pipeline, plan(prompts((40, 40), whole), 0, 2).assign(prompt="people", seed=1))
    assert image.shape == (40, 40, 3)
    cut = (whole[0] - 40) // 2
    assert difference([image], [larger[cut : cut + 40, cut : cut + 40]]) <= ROUNDING


def test_a_generator_that_makes_another_size_is_an_error(pipeline, monkeypatch):
    small = SimpleNamespace(images=np.zeros((1, 8, 16, 3), np.float32))
    monkeypatch.setattr(type(pipeline), "__call__", lambda *_, **__: small)
    with pytest.raises(InputError, match="images 0: .* made 16x8 pixels and was asked for 24x16"):
        list(generate(pipeline, plan(prompts((24, 16)), 0, 1), SETTINGS))


def test_images_of_many_sizes_are_grouped_and_keep_their_place(pipeline):
    sizes = [(24, 16), (16, 16), (24, 16)]
    found = list(generate(pipeline, plan(prompts(*sizes), 0, 3), SETTINGS))
    assert [position for position, _ in found] == [0, 2, 1]
    assert [image.shape[1] for _, image in found] == [24, 24, 16]
    assert all(image.dtype == np.uint8 for _, image in found)


# --- Large images ---


def test_a_large_image_is_decoded_in_tiles_and_the_same_in_every_batch(pipeline, monkeypatch):
    monkeypatch.setattr(generation, "ALONE_FROM", 16)
    pool = prompts((56, 40), (56, 40))
    whole = pixels(pipeline, plan(pool, 0, 3))
    monkeypatch.setattr(generation, "TILE", 32)
    alone = pixels(pipeline, plan(pool, 0, 3), batch_pixels=1)
    assert difference(whole, alone) > 0
    assert difference(alone, pixels(pipeline, plan(pool, 0, 3))) <= ROUNDING
    assert difference(alone[1:], pixels(pipeline, plan(pool, 1, 2))) <= ROUNDING


def test_the_autoencoder_sees_one_tile_of_one_image_at_a_time(pipeline, monkeypatch):
    seen = []
    monkeypatch.setattr(pipeline.vae.decoder, "forward", lambda z, forward=pipeline.vae.decoder.forward: (
        seen.append(tuple(z.shape)) or forward(z)
    ))  # fmt: skip
    monkeypatch.setattr(generation, "ALONE_FROM", 16)
    monkeypatch.setattr(generation, "TILE", 32)
    list(generate(pipeline, plan(prompts((64, 40), (64, 40)), 0, 2), SETTINGS))
    assert {shape[0] for shape in seen} == {1} and len(seen) == 2 * 3 * 2  # three by two tiles each
    assert max(max(shape[2:]) for shape in seen) == 32 // 4


def test_tiles_fit_together(pipeline, monkeypatch):
    """An autoencoder without normalisation, attention and padding would decode tiles to what it decodes the whole to."""
    vae = copy.deepcopy(pipeline.vae)
    upsample = torch.nn.Upsample(scale_factor=4, mode="nearest")
    monkeypatch.setattr(vae.decoder, "forward", lambda z: upsample(z[:, :3]))
    monkeypatch.setattr(generation, "TILE", 32)
    latents = torch.rand(2, 4, 11, 27, generator=torch.Generator().manual_seed(0))
    generation.decode_in_parts(vae, 4 * 27, 4 * 11)
    assert vae.use_tiling
    with torch.no_grad():
        torch.testing.assert_close(vae.decode(latents).sample, upsample(vae.post_quant_conv(latents)[:, :3]))


def test_a_small_image_stays_what_it_is_beside_a_large_one(pipeline, monkeypatch):
    images = plan(prompts((40, 40), (16, 16), (40, 24)), 0, 3)
    before = pixels(pipeline, images)
    monkeypatch.setattr(generation, "TILE", 32)  # 40x24 pixels are fewer than 32x32
    large, *small = pixels(pipeline, images)
    assert difference([large], before[:1]) > 0
    assert difference(small, before[1:]) == 0


@pytest.mark.parametrize("size", [(18, 20), (45, 80), (23, 17)])
def test_latents_of_any_size_pass_stable_diffusions_unet(size):
    """2560x1440 pixels are latents of 320x180, which are halved three times: 90, 45, and 22.5."""
    narrow = {"block_out_channels": (8, 8, 8, 8), "cross_attention_dim": 8, "norm_num_groups": 4}
    unet = UNet2DConditionModel(**memory.STABLE_DIFFUSION["unet"] | narrow)
    latents = torch.randn(1, 4, *size)
    with torch.no_grad():
        assert unet(latents, 500, torch.randn(1, 77, 8)).sample.shape == latents.shape


def test_attention_is_torchs_own_everywhere():
    """It holds no matrix of all positions by all positions on a GPU."""
    with torch.device("meta"):
        parts = memory.load_diffusion().parts
    attentions = [
        module for name in ("unet", "vae") for module in parts[name].modules() if isinstance(module, Attention)
    ]
    assert len(attentions) == 2 * 16 + 2
    assert {type(module.processor) for module in attentions} == {AttnProcessor2_0}


# --- The block ---


def test_a_block_is_jpegs_of_the_quality_asked_for_and_a_manifest_that_holds(pipeline, tmp_path):
    pool = pd.concat([prompts((21, 16), quality=75), prompts((16, 16), quality=91)], ignore_index=True)
    images = plan(pool, 10, 3)
    files = [str(tmp_path / "images" / f"seed-{g:05d}.jpg") for g in (10, 11, 12)]
    write_block(pipeline, images, SETTINGS, tmp_path / "images", tmp_path / "block.csv", "pool")
    manifest = read_manifest(tmp_path / "block.csv")
    assert manifest["file"].tolist() == files
    assert manifest["pool"].tolist() == ["pool"] * 3
    assert manifest["prompt_number"].tolist() == [0, 1, 0]
    assert manifest["seed"].tolist() == [10, 11, 12]
    assert [jpeg_quality(file) for file in files] == manifest["quality"].tolist() == [75, 91, 75]
    for row in manifest.itertuples():
        assert read_verified(row.file, row.sha256).shape == (row.height, row.width, 3)
    for position, image in generate(pipeline, images, SETTINGS):
        assert Path(files[position]).read_bytes() == encode_jpeg(image, images["quality"][position])
    assert sorted(str(path) for path in (tmp_path / "images").iterdir()) == files


def test_a_killed_block_goes_on_with_the_images_that_are_there(pipeline, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    """Its images are those of a block that was left in peace, byte by byte: of a batch that was begun, all are made anew."""
    pool = pd.concat([prompts((16, 16)), prompts((24, 16))], ignore_index=True)
    images = plan(pool, 0, 12)
    monkeypatch.setattr(generation, "BATCH_PIXELS", {"cpu": 2 * 24 * 16})
    write_block(pipeline, images, SETTINGS, tmp_path / "peace", tmp_path / "peace.csv", "pool", "model")

    def killed(*arguments):
        for number, item in enumerate(generate(*arguments)):
            if number == 5:
                raise KeyboardInterrupt
            yield item

    def begin(made_by):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(generation, "generate", killed)
            write_block(pipeline, images, SETTINGS, tmp_path / "killed", tmp_path / "killed.csv", "pool", made_by)
        assert not (tmp_path / "killed").exists() and not (tmp_path / "killed.csv").exists()

    def finish(made_by):
        made = []

        def watched(*args):
            for item in generate(*args):
                made.append(item[0])
                yield item

        with monkeypatch.context() as patch:
            patch.setattr(generation, "generate", watched)
            write_block(pipeline, images, SETTINGS, tmp_path / "killed", tmp_path / "killed.csv", "pool", made_by)
        ours, theirs = (read_manifest(tmp_path / f"{name}.csv") for name in ("killed", "peace"))
        assert ours["sha256"].tolist() == theirs["sha256"].tolist()
        assert {path.name for path in tmp_path.iterdir()} == {"peace", "peace.csv", "killed", "killed.csv"}
        assert len(list((tmp_path / "killed").iterdir())) == 12
        shutil.rmtree(tmp_path / "killed")
        (tmp_path / "killed.csv").unlink()
        return made

    begin("model")
    assert len(finish("model")) == 12 - 3  # of six images of a size three are a batch: one was finished, and one begun
    assert "Resuming: 5 of 12 images are there" in caplog.text
    begin("model")
    assert len(finish("another")) == 12
    begin("model")
    (damaged,) = tmp_path.glob(".killed.part/seed-00002.jpg")
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert len(finish("model")) == 12  # of the only batch that was finished, one image is not whole


def test_a_pool_that_grows_gets_the_images_that_it_would_have_had_at_once(pipeline, tmp_path):
    pool = prompts((16, 16), (24, 16))
    for name, first, number in (("at-once", 0, 5), ("begun", 0, 3), ("grown", 3, 2)):
        write_block(pipeline, plan(pool, first, number), SETTINGS, tmp_path / name, tmp_path / f"{name}.csv", "pool")
    at_once, begun, grown = (read_manifest(tmp_path / f"{name}.csv") for name in ("at-once", "begun", "grown"))
    together = pd.concat([begun, grown], ignore_index=True)
    assert together.drop(columns=["file", "sha256"]).equals(at_once.drop(columns=["file", "sha256"]))
    ours, theirs = ([np.asarray(Image.open(path), int) for path in frame["file"]] for frame in (together, at_once))
    for i, image in enumerate(ours):  # in batches of other sizes they differ by rounding, before they are compressed
        assert np.abs(image - theirs[i]).mean() < 2
        assert i < 2 or np.abs(image - theirs[i - 2]).mean() > 4


def write(pipeline, folder, number):
    """Write a block of so many images."""
    images = plan(prompts((16, 16)), 0, number)
    write_block(pipeline, images, SETTINGS, folder / "images", folder / "block.csv", "pool")


@pytest.mark.parametrize("level", [-9.0, 9.0, -math.inf])
def test_a_block_of_images_that_show_nothing_is_an_error(pipeline, folder, tmp_path, level):
    """Black ones, and white ones: where numbers overflow, pixels are 0 or 255 and no longer infinite."""
    blank = copy.deepcopy(pipeline)
    torch.nn.init.zeros_(blank.vae.decoder.conv_out.weight)
    torch.nn.init.constant_(blank.vae.decoder.conv_out.bias, level)
    with pytest.raises(InputError, match=rf"^{folder}: all 3 images \(seeds 0, 1, 2\).*black.*`precision` to float32"):
        write(blank, tmp_path, 3)
    assert not (tmp_path / "block.csv").exists()


def test_a_few_images_that_show_nothing_are_counted_and_named(pipeline, tmp_path, monkeypatch, warned):
    def some_black(*arguments):
        for position, image in generate(*arguments):
            yield position, image * (position not in (1, 3))

    monkeypatch.setattr(generation, "generate", some_black)
    write(pipeline, tmp_path, 5)
    (message,) = warned()
    assert "2 of 5 images are of one colour" in message and "seeds 1, 3." in message
    assert len(read_manifest(tmp_path / "block.csv")) == 5


# --- The model ---


def test_loading_and_generating_warn_of_nothing(folder):
    """Warnings of a job are shown on the terminal."""
    with warnings.catch_warnings(action="error", category=FutureWarning):
        pipeline = load_pipeline(str(folder), SETTINGS, "cpu")
        list(generate(pipeline, plan(prompts((16, 16)), 0, 1), SETTINGS))


@pytest.mark.parametrize("name", ["none", "no/such", "no/such/folder"])
def test_a_missing_model_is_named_with_what_was_expected(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"^{name}: there is no such folder.*model_index.json.*correct the config"):
        load_pipeline(name, SETTINGS, "cpu")


def test_a_folder_that_holds_something_else_is_distinguished_from_a_missing_one(tmp_path):
    (tmp_path / "unet").mkdir()
    with pytest.raises(InputError, match="model_index.json is missing in.*such as resources/models/stable-diffusion"):
        load_pipeline(str(tmp_path), SETTINGS, "cpu")


# --- Prompts ---


@pytest.fixture
def warned(caplog):
    """Return a function that gives all warnings, those of the libraries too, which have handlers of their own."""
    libraries = [logging.getLogger(name) for name in ("diffusers", "transformers")]
    for library in libraries:
        library.addHandler(caplog.handler)
    yield lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    for library in libraries:
        library.removeHandler(caplog.handler)


@pytest.fixture(scope="module")
def readers():
    """The shipped one, which reads 32 tokens with start and end."""
    return [Reader("text_encoder", CLIPTokenizer.from_pretrained(TOKENIZER), 32)]


def test_a_prompt_that_fits_is_no_warning(readers, warned):
    check_prompts(readers, ["a crowd", "", "crowd " * 30])
    assert warned() == []


def test_a_prompt_that_is_too_long_is_named_with_the_words_that_are_cut_off(readers, warned):
    long = "Crowd " * 29 + "Concert, Stadium at night"
    check_prompts(readers, [long, "a crowd", long])
    (message,) = warned()
    assert f"36 tokens, including start and end, and the text encoder reads 32: '{long}'" in message
    assert "made without ', Stadium at night'" in message


def test_a_word_that_fits_in_part_is_cut_off_whole(readers, warned):
    pieces = len(readers[0].tokenizer.tokenize("xylophonists"))
    assert pieces > 2
    check_prompts(readers, ["crowd " * 29 + "xylophonists play"])
    assert "made without 'xylophonists play'" in warned()[0]


def test_an_image_of_a_long_prompt_is_made_from_what_fits(pipeline, warned):
    fits = "crowd " * (pipeline.tokenizer.model_max_length - 2)
    images = plan(prompts((16, 16)), 0, 1)
    a, b, c = (
        pixels(pipeline, images.assign(prompt=text)) for text in (fits, fits + "concert", fits + "stadium at night")
    )
    assert difference(a, b) == difference(a, c) == 0
    assert difference(a, pixels(pipeline, images)) > 0
    assert ["made without 'concert'" in m or "made without 'stadium at night'" in m for m in warned()] == [True, True]


def test_a_negative_prompt_that_is_too_long_is_named(pipeline, warned):
    settings = GeneratorSettings(2, 3.0, negative_prompt="crowd " * 60)
    list(generate(pipeline, plan(prompts((16, 16)), 0, 1), settings))
    assert len(warned()) == 1 and "'crowd crowd" in warned()[0]


def test_guidance_of_0_is_none(pipeline):
    images = plan(prompts((24, 16)), 0, 1)
    none, of_one, some = (
        dict(generate(pipeline, images, GeneratorSettings(2, guidance)))[0].astype(int) for guidance in (0, 1, 3)
    )
    assert difference([none], [of_one]) == 0 < difference([none], [some])


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_prompt_is_an_error(pipeline, empty):
    images = plan(prompts((16, 16), (16, 16)), 6, 2)
    images.loc[1, "prompt"] = empty
    with pytest.raises(InputError, match="the prompt of image 7 is empty"):
        list(generate(pipeline, images, SETTINGS))


# --- Precision ---


def test_half_precision_on_a_cpu_is_computed_in_float32_and_differs_by_rounding(folder, pipeline, warned):
    settings = replace(SETTINGS, precision="float16")
    half = load_pipeline(str(folder), settings, "cpu")
    for part in (half.unet, half.vae, half.text_encoder):
        assert all(p.dtype == torch.float32 and p.equal(p.half().float()) for p in part.parameters())
    given = torch.rand(1, half.unet.conv_in.in_channels, 8, 8)
    assert half.unet.conv_in(given).equal(half.unet.conv_in(given).half().float())
    images = plan(prompts((24, 16), (21, 13)), 0, 4)
    assert 0 < difference(pixels(half, images), pixels(pipeline, images)) <= 4 * ROUNDING
    assert warned() == []


def test_pixels_that_half_precision_cannot_hold_are_an_error_on_a_cpu_too(folder):
    half = load_pipeline(str(folder), replace(SETTINGS, precision="float16"), "cpu")
    torch.nn.init.constant_(half.unet.conv_in.bias, 70_000)
    with pytest.raises(InputError, match="in float16, .*not numbers.*`precision` to float32"):
        list(generate(half, plan(prompts((16, 16)), 0, 1), replace(SETTINGS, precision="float16")))


@pytest.mark.parametrize("size", [(8, 8), (40, 56), (72, 8), (1024, 768)])
def test_the_noise_is_that_of_the_seed_in_every_precision_and_batch(size):
    """In half precision torch draws other numbers if their number is not a multiple of 16, as at 40x56."""

    def of(dtype, *seeds):
        pipeline = object.__new__(StableDiffusionPipeline)
        pipeline.unet = SimpleNamespace(config=SimpleNamespace(in_channels=4), dtype=dtype)
        pipeline.vae_scale_factor = 8
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        return noise(pipeline, generators, *size)

    two = of(torch.float32, 3, 4)
    assert two.shape == (2, 4, size[1] // 8, size[0] // 8)
    assert torch.equal(two[1:], of(torch.float32, 4))
    assert torch.equal(two[1], torch.randn(two.shape[1:], generator=torch.Generator("cpu").manual_seed(4)))
    assert torch.equal(of(torch.float16, 3, 4), two.half())


def test_pixels_that_are_no_numbers_are_an_error(pipeline, folder):
    broken = copy.deepcopy(pipeline)
    torch.nn.init.constant_(broken.vae.decoder.conv_out.bias, math.nan)
    with pytest.raises(
        InputError, match=f"images 5, 6: in float32, .*{folder}.*pixels that are not numbers.*`precision` to float32"
    ):
        list(generate(broken, plan(prompts((16, 16)), 5, 2), SETTINGS))
