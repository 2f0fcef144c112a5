"""What a config's tables and figures need is found, or named with what to do about it; a wrong copy is told from a right one."""

import copy
import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
import yaml
from support import language as tiny
from support.estimators import save_depth_anything
from support.scripts import run_script

from promptmix.config.validation import check, read, resolve
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.miniature.rendering.datasets import render_dataset
from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.preflight import memory
from promptmix.preflight.report import WIDTH, Item, report
from promptmix.preflight.survey import survey as look_for
from promptmix.running import hub, job

ROOT = Path(__file__).parents[2]
SHIPPED = read([ROOT / "config" / "config.yaml"])
LICENCE = {"name": "MIT", "spdx": "MIT", "url": "https://example.org/licence", "inherits": "Nothing."}
LICENCE |= dict.fromkeys(("research", "commercial", "redistribute"), "yes")
NYU = "resources/downloads/nyu_depth_v2_labeled.mat"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder with the models of the miniature, on a machine without a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (tmp_path / "resources" / "downloads").mkdir(parents=True)
    (tmp_path / "resources" / "models").symlink_to(ROOT / "resources" / "models")
    return tmp_path


@pytest.fixture
def config():
    return copy.deepcopy(SHIPPED)


@pytest.fixture(scope="session")
def shtb(tmp_path_factory):
    """Shanghai Tech Part B as rendered, 3 training and 2 test images, to be copied."""
    folder = tmp_path_factory.mktemp("shtb")
    render_dataset(folder, SHIPPED["render"]["shtb"], {"train": 3, "test": 2}, seed=1)
    return folder / "part_B_final"


def survey(config, *targets, **sources):
    """Return the items by what they are.

    Args:
        targets: tables and figures.
        sources: sections of the ledger.
    """
    sections = {kind: {} for kind in ("datasets", "checkpoints", "models", "networks")} | sources
    for kind, entries in sources.items():
        sections[kind] = {name: {"title": f"The {name}", "licence": LICENCE} | e for name, e in entries.items()}
    content = yaml.safe_dump(sections)
    ledger = Path(f"sources-{hash(content)}.yaml").absolute()  # files that are read stay in memory, by name
    ledger.write_text(content)
    items = look_for(config, *resolve(config), targets or None, ledger)
    assert len({item.what for item in items}) == len(items)
    return {item.what: item for item in items}


def only_shtb(config, path, **facts):
    """Return a config whose Part B of 3 + 2 images lies elsewhere, with Table I of its baseline and PromptMix."""
    entry = {"path": str(path), "images": {"train": 3, "test": 2}, "split": {"val": 1}, "facts": facts}
    config["datasets"]["shtb"] |= entry
    config["promptmix"]["shtb"] |= {"r_mix": 4}
    rows = [{"dataset": "shtb", "network": "csrnet"}]
    config["tables"] = {"table1": config["tables"]["table1"] | {"rows": rows, "methods": ["baseline", "promptmix"]}}
    config["figures"] = {}
    return config


def assert_matches(text, pattern):
    assert re.search(pattern, text), text


# --- Everything is there ---


def test_the_miniature_needs_nothing(config):
    items = survey(config)
    assert all(item.ok and not item.advice for item in items.values())
    assert set(items) == {
        *(f"dataset {name}" for name in config["datasets"]),
        *(f"annotator {name}" for name in config["annotators"]),
        *(f"captioner {name}" for name in config["captioners"]),
        *(f"{part} of {name}" for name in config["restorers"] for part in ("detector", "parser", "restorer")),
        *("diffusion model", "CLIP, tokeniser", "GPU", "disk"),
    }
    assert {items[f"dataset {name}"].state for name in config["datasets"]} == {"will be made"}
    assert items["diffusion model"].where == "resources/models/stable-diffusion"
    assert items["annotator sasnet-panda"].where == "results/miniature/annotators/sasnet-panda.safetensors"
    assert items["annotator sasnet-panda"].state == "will be made"
    for name in (
        "diffusion model",
        "CLIP, tokeniser",
        "annotator adabins-nyu",
        "captioner clipcap",
        "parser of gfpgan",
    ):
        assert items[name].state == "found"
    assert items["GPU"].state == "none; CPU suffices"
    assert items["disk"].state.startswith("found (")
    assert report(list(items.values())).endswith(f"{len(items)} things needed: nothing missing, nothing wrong")


def test_only_what_the_targets_need_is_looked_for(config):
    assert set(survey(config, "table2")) == {
        *("dataset nyu", "diffusion model", "annotator adabins-nyu", "GPU", "disk"),  # rooms need no captions
    }
    assert set(survey(config, "figure2")) == {"diffusion model", "GPU", "disk"}
    fine_tuned = survey(config, "table1")["annotator sasnet-panda"]
    config["tables"]["table1"]["rows"] = [{"dataset": "panda", "network": "csrnet"}]
    assert survey(config, "table1")["annotator sasnet-panda"] == fine_tuned
    assert "annotator sasnet-shta" in survey(config, "table1")  # the fine-tuning starts from it


def test_who_needs_what(config):
    items = survey(config, "table3", "table6", "table7", "roundtrip", "figure4")
    assert items["dataset shtb"].needed_by == ("table3", "table6", "table7")
    assert items["annotator sasnet-shta"].needed_by == ("table7",)  # only to score images
    assert items["restorer of gfpgan"].needed_by == ("table6",)
    assert items["captioner clipcap"].needed_by == ("table3", "roundtrip")
    assert items["annotator adabins-nyu"].needed_by == ("figure4",)
    assert items["diffusion model"].needed_by == ("table3", "table6", "table7", "roundtrip", "figure4")


def test_annotators_that_are_tested_are_needed(config):
    config["tables"]["table3"]["rows"] = [
        config["tables"]["table3"]["rows"][-1] | {"annotators": {"shta": "sasnet-shta"}}
    ]
    assert set(survey(config, "table3")) == {"dataset shta", "annotator sasnet-shta", "GPU", "disk"}


def test_an_unknown_target(config):
    config["preflight"] = ["tabel1"]
    with pytest.raises(
        InputError, match=r"preflight\[0\]: 'tabel1' is not a table or a figure\. Known.* table1, .*mean 'table1'\?"
    ):
        check(config)


# --- Datasets ---


def test_a_dataset_is_read(config, shtb):
    items = survey(only_shtb(config, shtb, size=[96, 64], quality=75))
    assert items["dataset shtb"] == Item("dataset shtb", str(shtb), "found", ("table1",))


def test_a_missing_dataset_says_how_to_get_it(config):
    path = "resources/datasets/ShanghaiTech/part_B_final"
    known = {"shtb": {"path": path, "by_hand": "Fetch ShanghaiTech.zip by the link at https://example.org"}}
    item = survey(only_shtb(config, path), datasets=known)["dataset shtb"]
    assert (item.state, item.where) == ("MISSING", path)
    assert "Fetch ShanghaiTech.zip by the link at https://example.org" in item.advice
    assert path in item.advice


def test_a_missing_dataset_of_one_s_own(config):
    item = survey(only_shtb(config, "mine/part_B_final"))["dataset shtb"]
    assert item.state == "MISSING"
    assert "mine/part_B_final: the dataset is missing, there is no such folder" in item.advice


def test_a_dataset_that_a_rule_fetches(config):
    path = "resources/datasets/UCF-QNRF_ECCV18"
    config["datasets"]["qnrf"]["path"] = path
    known = {"path": path, "url": "https://example.org/qnrf.zip", "download": "qnrf.zip"}
    state = survey(config, "table1", datasets={"qnrf": known})["dataset qnrf"].state
    assert state == "will be fetched"
    known["bytes"] = 4_200_000_000
    assert survey(config, "table1", datasets={"qnrf": known})["dataset qnrf"].state == "will be fetched (4.2 GB)"


def test_a_dataset_that_a_rule_unpacks(config):
    path, archive = "resources/datasets/UCF-QNRF_ECCV18", Path("resources/downloads/qnrf.zip")
    config["datasets"]["qnrf"]["path"] = path
    known = {"path": path, "url": "https://example.org/qnrf.zip", "download": archive.name, "bytes": 100}
    archive.write_bytes(bytes(100))
    assert survey(config, "table1", datasets={"qnrf": known})["dataset qnrf"].state == "found, will be unpacked"
    archive.write_bytes(bytes(99))
    item = survey(config, "table1", datasets={"qnrf": known})["dataset qnrf"]
    assert (item.state, item.where) == ("WRONG", str(archive))
    assert f"{archive} has 99 bytes, and the published file 100: it is truncated" in item.advice
    assert f"Remove {archive}, and the workflow fetches it again." in item.advice


def test_a_dataset_with_an_image_fewer(config, shtb, folder):
    copied = shutil.copytree(shtb, folder / "part_B_final")
    (copied / "train_data" / "images" / "IMG_2.jpg").unlink()
    (copied / "train_data" / "ground_truth" / "GT_IMG_2.mat").unlink()
    item = survey(only_shtb(config, copied))["dataset shtb"]
    assert item.state == "WRONG"
    assert "part_B_final: 2 images in 'train', expected 3" in item.advice


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"quality": 91}, r"quality: 5 of 5 images .*: 75; expected 91"),
        ({"size": [1024, 768]}, r"size: 5 of 5 images .*: 96x64; expected 1024x768"),
        ({"heads": 100000}, r"heads: \d+ in all images; expected 100000"),
    ],
)
def test_a_dataset_of_other_facts(config, shtb, facts, message):
    item = survey(only_shtb(config, shtb, **facts))["dataset shtb"]
    assert item.state == "WRONG"
    lines = item.advice.splitlines()
    assert lines[0] == f"{shtb} is another dataset than the config says:"
    assert_matches(lines[1], f"^- {message}")


def test_what_preparation_would_refuse_in_pixels_is_named(config, shtb, folder):
    copied = shutil.copytree(shtb, folder / "part_B_final")
    for name in ("train_data/images/IMG_2.jpg", "test_data/images/IMG_1.jpg"):
        (copied / name).write_bytes((copied / name).read_bytes()[:-200])
    item = survey(only_shtb(config, copied))["dataset shtb"]
    assert item.state == "WRONG"
    lines = item.advice.splitlines()
    assert lines[0] == "2 of 5 images are wrong:"
    assert_matches(lines[1], r"train_data/images/IMG_2\.jpg: .*truncated")
    assert_matches(lines[2], r"test_data/images/IMG_1\.jpg: .*truncated")


def test_a_split_that_is_impossible_is_named(config, shtb):
    config = only_shtb(config, shtb)
    config["datasets"]["shtb"]["split"] = {"val": 1, "group": "images"}
    assert "part_B_final: split: all 3 images are of one group" in survey(config)["dataset shtb"].advice


def test_what_nobody_foresaw_does_not_end_the_report(config, shtb, monkeypatch):
    def fail(*_):
        raise ValueError("what no one thought of")

    monkeypatch.setattr("promptmix.preflight.survey.read_split", fail)
    items = survey(only_shtb(config, shtb))
    assert items["dataset shtb"].state == "WRONG" and "disk" in items
    assert items["dataset shtb"].advice == f"{shtb}: ValueError: what no one thought of"


def nyu(path, images):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((images, 3, 96, 72), np.uint8)
        file["depths"] = np.ones((images, 96, 72), np.float32)
    return path.stat().st_size


def test_a_downloaded_dataset_that_is_truncated(config, folder):
    size = nyu(folder / NYU, config["datasets"]["nyu"]["images"]["all"])
    config["datasets"]["nyu"]["path"] = NYU
    known = {"path": NYU, "url": "https://example.org/nyu.mat", "download": Path(NYU).name}
    assert survey(config, "table2", datasets={"nyu": known | {"bytes": size}})["dataset nyu"].state == "found"
    item = survey(config, "table2", datasets={"nyu": known | {"bytes": size + 1}})["dataset nyu"]
    assert item.state == "WRONG"
    assert (
        f"{NYU} has {size} bytes, and the published file {size + 1}: it is truncated, or another file." in item.advice
    )


# --- Checkpoints ---


def published(**changes):
    """Return the ledger's entry of a checkpoint that can be fetched, of a small ResCSRNet."""
    entry = {"network": "rescsrnet", "url": "https://example.org/a.pth", "download": "a.pth"} | changes
    return {"small": {key: value for key, value in entry.items() if value is not None}}


@pytest.fixture
def small(config):
    """A config that annotates Table I with a small ResCSRNet, which is published."""
    weights = "resources/checkpoints/small.safetensors"
    config["annotators"]["sasnet-shtb"] = {"network": "rescsrnet", "settings": {"width": 0.1}, "weights": weights}
    return only_shtb(config, SHIPPED["datasets"]["shtb"]["path"])


def save(path, width=0.1, name="rescsrnet"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    network = build(name, width=width)
    if Path(path).suffix == ".safetensors":
        save_weights(path, network)
    else:
        torch.save({"state_dict": network.state_dict(), "epoch": 4}, path)
    return Path(path)


def test_a_checkpoint_that_can_be_fetched(small):
    item = survey(small, checkpoints=published(bytes=86_005_202))["annotator sasnet-shtb"]
    assert (item.where, item.state) == ("resources/checkpoints/small.safetensors", "will be fetched (87 MB)")


def test_a_checkpoint_to_be_fetched_by_hand(small):
    known = published(url=None, by_hand="Open https://example.org/drive and take a.pth")
    item = survey(small, checkpoints=known)["annotator sasnet-shtb"]
    assert item.state == "MISSING"
    assert "Open https://example.org/drive and take a.pth" in item.advice
    assert "resources/downloads/a.pth" in item.advice


def test_a_checkpoint_that_was_downloaded(small):
    file = save("resources/downloads/a.pth")
    for known in (published(), published(bytes=file.stat().st_size, sha256=sha256(file))):
        assert survey(small, checkpoints=known)["annotator sasnet-shtb"].state == "found, will be imported"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bytes": 86_005_202}, r"a\.pth has \d+ bytes, and the published file 86005202: it is truncated"),
        ({"sha256": "0" * 64}, r"a\.pth has the SHA-256 [0-9a-f]{64}, and the published file 0{64}: it is damaged"),
        ({}, r"a\.pth does not fit ResCSRNet"),
    ],
)
def test_a_download_that_is_not_what_was_published(small, change, message):
    save("resources/downloads/a.pth", width=0.1 if change else 0.2)
    item = survey(small, checkpoints=published(**change))["annotator sasnet-shtb"]
    assert (item.state, item.where) == ("WRONG", "resources/downloads/a.pth")
    assert_matches(item.advice, message)
    assert "Remove resources/downloads/a.pth, and the workflow fetches it again." in item.advice
    by_hand = published(**change, url=None, by_hand="Open https://example.org/drive")
    assert "Open https://example.org/drive" in survey(small, checkpoints=by_hand)["annotator sasnet-shtb"].advice


def test_a_truncated_download_of_unknown_size(small):
    file = save("resources/downloads/a.pth")
    file.write_bytes(file.read_bytes()[:-1000])
    item = survey(small, checkpoints=published())["annotator sasnet-shtb"]
    assert item.state == "WRONG"
    assert_matches(item.advice, r"resources/downloads/a\.pth is damaged or cut off")


def test_an_imported_checkpoint(small):
    file = save("resources/checkpoints/small.safetensors")
    known = published(sha256="1" * 64)
    assert survey(small, checkpoints=known)["annotator sasnet-shtb"].state == "found"
    save_weights(file, build("rescsrnet", width=0.1), {"source_sha256": "2" * 64})
    item = survey(small, checkpoints=known)["annotator sasnet-shtb"]
    assert item.state == "WRONG"
    assert f"was made of a file with the SHA-256 {'2' * 64}; the published one has {'1' * 64}" in item.advice


def test_a_checkpoint_of_another_network(small):
    save("resources/checkpoints/small.safetensors", name="csrnet")
    item = survey(small, checkpoints=published())["annotator sasnet-shtb"]
    assert item.state == "WRONG"
    assert_matches(item.advice, r"(?s)small\.safetensors does not fit ResCSRNet.*Remove resources/checkpoints/small")


def test_a_checkpoint_that_nobody_knows(small):
    small["annotators"]["sasnet-shtb"]["weights"] = "mine/counter.pth"
    item = survey(small)["annotator sasnet-shtb"]
    assert item.state == "MISSING"
    assert item.advice == (
        "mine/counter.pth: there is no such file. Put the checkpoint there, or correct the path in the config."
    )


@pytest.mark.parametrize("right", [True, False])
def test_a_backbone(config, right):
    config = only_shtb(config, SHIPPED["datasets"]["shtb"]["path"])
    config["networks"]["csrnet"] = {"backbone": "vgg16.safetensors"}
    keys = {
        f"features.{layer}.{part}": torch.zeros((out, *((given, 3, 3) if part == "weight" else ())))
        for layer, given, out in VGG
        for part in ("weight", "bias")
    }
    save_weights("vgg16.safetensors", keys if right else {"conv1.weight": torch.zeros(64, 3, 7, 7)})
    item = survey(config)["backbone of csrnet"]
    assert item.state == ("found" if right else "WRONG")
    assert right or "vgg16.safetensors does not fit VGG-16" in item.advice


VGG = [(0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256), (12, 256, 256), (14, 256, 256)]
VGG += [(17, 256, 512), (19, 512, 512), (21, 512, 512), (24, 512, 512), (26, 512, 512), (28, 512, 512)]


# --- Models of the Hub ---


def test_the_clips_of_filters_are_looked_at(config, folder):
    shutil.copytree(ROOT / "resources" / "models" / "clip", folder / "words")
    filters = {"clip_score": {"model": "words", "at_least": 0.2}, "leak_guard": {"model": "resources/hub/pictures"}}
    config["promptmix"]["shtb"]["filters"] = filters
    hub = {"pictures": {"hub": "owner/name", "revision": "0" * 40, "files": ["*"]}}
    found = survey(config, "table4", models=hub)
    assert found["CLIP, CLIP's encoder of texts"] == Item(
        "CLIP, CLIP's encoder of texts", "words", "found", ("table4",)
    )
    assert found["CLIP"].state == "will be fetched"
    (folder / "words" / "tokenizer.json").unlink()
    item = survey(config, "table4", models=hub)["CLIP, CLIP's encoder of texts"]
    assert item.state == "WRONG" and "words is no CLIP that understands texts, or is incomplete" in item.advice


@pytest.fixture
def pipeline(config, folder):
    """A config that makes the images of Figure 2 with a model of the Hub, which is there."""
    config["generators"]["stable-diffusion"]["model"] = "resources/hub/sd"
    shutil.copytree(ROOT / "resources" / "models" / "stable-diffusion", folder / "resources" / "hub" / "sd")
    return config


HUB = {"sd": {"hub": "owner/name", "revision": "0" * 40, "files": ["*"]}}


def test_a_model_that_is_there(pipeline):
    item = survey(pipeline, "figure2", models=HUB)["diffusion model"]
    assert item == Item("diffusion model", "resources/hub/sd", "found", ("figure2",))


def test_a_model_that_can_be_fetched(pipeline):
    shutil.rmtree("resources/hub/sd")
    assert survey(pipeline, "figure2", models=HUB)["diffusion model"].state == "will be fetched"


def test_a_model_that_nobody_knows(pipeline, monkeypatch):
    for name in ("mine/sd", "resources/hub/other"):
        pipeline["generators"]["stable-diffusion"]["model"] = name
        item = survey(pipeline, "figure2", models=HUB)["diffusion model"]
        assert item.state == "MISSING"
        assert f"{name}: there is no such folder, and the Hub's cache has no model of this name" in item.advice
        assert "in the format of diffusers" in item.advice


def test_a_model_in_the_cache_of_the_hub(pipeline, monkeypatch, folder):
    monkeypatch.setattr(hub, "find_snapshot", lambda name: folder / "resources/hub/sd")
    pipeline["generators"]["stable-diffusion"]["model"] = "owner/name"
    assert survey(pipeline, "figure2")["diffusion model"].state == "found"


def test_a_setting_that_the_model_does_not_take_is_wrong(pipeline):
    pipeline["generators"]["stable-diffusion"] |= {"scheduler": "FlowMatchEulerDiscreteScheduler"}
    found = survey(pipeline, "figure2", models=HUB)
    assert found["diffusion model"].state == "found"
    item = found["generator stable-diffusion"]
    assert item.state == "WRONG" and "which is not for Stable Diffusion 1 or 2" in item.advice


def test_what_is_added_to_a_model_is_looked_for(pipeline, folder):
    pipeline["generators"]["stable-diffusion"] |= {"lora": [{"model": "loras/style.safetensors", "scale": 1}]}
    item = survey(pipeline, "figure2", models=HUB)["LoRA"]
    assert item.state == "MISSING" and item.where == "loras/style.safetensors"


def truncate(file):
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("unet/diffusion_pytorch_model.safetensors", truncate, "unet/diffusion_pytorch_model.safetensors is cut off"),
        ("vae/diffusion_pytorch_model.safetensors", Path.unlink, "vae/: weights are missing"),
        ("text_encoder/model.safetensors", Path.unlink, "text_encoder/: weights are missing"),
        ("unet/config.json", Path.unlink, "config.json is missing in resources/hub/sd/unet"),
        (
            "scheduler/scheduler_config.json",
            lambda f: f.write_text("<html>"),
            "scheduler_config.json in .* is not JSON",
        ),
        ("tokenizer/tokenizer.json", Path.unlink, "tokenizer: no tokenizer.json, and no vocab.json and no merges.txt"),
        ("model_index.json", Path.unlink, "model_index.json is missing in resources/hub/sd"),
        (
            "model_index.json",
            lambda f: f.write_text(json.dumps({"_class_name": "KandinskyPipeline"})),
            "model_index.json: a KandinskyPipeline; expected one of StableDiffusionPipeline",
        ),
    ],
)
def test_a_model_that_is_incomplete_or_another(pipeline, file, change, message):
    change(Path("resources/hub/sd", file))
    item = survey(pipeline, "figure2", models=HUB)["diffusion model"]
    assert item.state == "WRONG"
    assert_matches(item.advice, r"resources/hub/sd is incomplete, or another model:\n- ")
    assert_matches(item.advice, message)
    assert "Remove resources/hub/sd, and the workflow fetches it again." in item.advice


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("model.safetensors", truncate, "model.safetensors is cut off"),
        ("preprocessor_config.json", Path.unlink, "preprocessor_config.json is missing"),
        ("tokenizer.json", Path.unlink, "clip: no tokenizer.json, and no vocab.json"),
        ("config.json", lambda f: f.write_text('{"model_type": "gpt2"}'), "a model of the type gpt2; expected clip"),
    ],
)
def test_a_captioner_whose_clip_is_wrong(config, folder, file, change, message):
    clip = shutil.copytree(ROOT / "resources" / "models" / "clip", folder / "clip")
    config["captioners"]["clipcap"] |= {"clip": "clip", "tokenizer": "clip"}
    assert survey(config, "roundtrip")["CLIP, tokeniser"].state == "found"
    change(clip / file)
    item = survey(config, "roundtrip")["CLIP, tokeniser"]
    assert item.state == "WRONG"
    assert_matches(item.advice, message)


def test_models_that_write_captions_and_prompts_are_looked_at_as_they_are_asked(config, folder):
    tiny.save_qwen2_vl(folder / "vlm")
    tiny.save_writer(folder / "writer")
    config["captioners"]["clipcap"] = {"model": "vlm", "instruction": "describe the image", "max_tokens": 20}
    config["pools"]["samples"] = {
        **{"written_by": {"model": "writer", "count": 2, "topic": "people"}, "width": 48, "height": 32, "quality": 75},
    }
    items = survey(config, "roundtrip")
    assert [items[name].state for name in ("captioner clipcap", "writer of prompts")] == ["found", "found"]
    assert "CLIP, tokeniser" not in items
    config["captioners"]["clipcap"]["instruction"] = ""
    (folder / "writer/model.safetensors").unlink()
    items = survey(config, "roundtrip")
    assert "say what it is asked" in items["captioner clipcap"].advice
    assert "writer/: weights are missing" in items["writer of prompts"].advice
    config["captioners"]["clipcap"]["model"] = "nowhere"
    assert survey(config, "roundtrip")["captioner clipcap"].state == "MISSING"


def test_a_model_that_annotates(config, folder):
    save_depth_anything(folder / "resources/hub/depth")
    config["annotators"]["adabins-nyu"] = {"model": "resources/hub/depth", "task": "depth"}
    what, known = "annotator adabins-nyu", {"depth": {"hub": "owner/depth", "revision": "0" * 40, "files": ["*"]}}
    assert survey(config, "table2", models=known)[what] == Item(what, "resources/hub/depth", "found", ("table2",))
    truncate(Path("resources/hub/depth/model.safetensors"))
    item = survey(config, "table2", models=known)[what]
    assert item.state == "WRONG"
    assert_matches(item.advice, "resources/hub/depth cannot annotate for depth.*model.safetensors is cut off")
    shutil.rmtree("resources/hub/depth")
    assert survey(config, "table2", models=known)[what].state == "will be fetched"
    item = survey(config, "table2")[what]
    assert item.state == "MISSING"
    assert "resources/hub/depth: there is no such folder" in item.advice


# --- A user's own code ---


def test_an_annotator_and_a_network_of_one_s_own(config):
    config["annotators"]["adabins-nyu"] = {"function": "mine.py:depth", "task": "depth"}
    config["networks"]["guidedepth"] = {"class": "mine.py:Net", "task": "depth"}
    items = survey(config, "table2")
    assert [items[name].state for name in ("annotator adabins-nyu", "network guidedepth")] == ["MISSING"] * 2
    assert "mine.py: no such file" in items["network guidedepth"].advice
    Path("mine.py").write_text("def depht(images):\n    return 1 / 0\n\n\nclass Net:\n    pass\n")
    items = survey(config, "table2")
    assert items["network guidedepth"].state == "found"
    assert items["annotator adabins-nyu"].state == "WRONG"
    assert_matches(items["annotator adabins-nyu"].advice, r"has no function 'depth'.*Did you mean 'depht'\?")


def test_the_files_that_a_function_reads(config):
    Path("mine.py").write_text("def depth(images):\n    return 1 / 0\n")
    Path("weights.pt").touch()
    config["annotators"]["adabins-nyu"] = {"function": "mine.py:depth", "task": "depth", "files": ["weights.pt"]}
    assert survey(config, "table2")["file of adabins-nyu"].state == "found"
    Path("weights.pt").unlink()
    item = survey(config, "table2")["file of adabins-nyu"]
    assert item.state == "MISSING"
    assert_matches(item.advice, r"weights\.pt: there is no such file.*correct the path")


# --- GPU ---


@pytest.fixture
def large(config, monkeypatch):
    """A config whose Figure 2 has images of the paper's size; its needs are given, as working them out takes time."""
    for pool in ("grayscale", "color"):
        config["pools"][pool] |= {"width": 1024, "height": 768}
    monkeypatch.setattr(memory, "generation", lambda width, height, precision, **_: width * height * 10_000)
    return config


def gpus(monkeypatch, *gigabytes):
    found = [SimpleNamespace(name=f"GPU of {size}", total_memory=size * 10**9) for size in gigabytes]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: found[number])


def test_no_gpu_at_the_paper_s_size(large):
    item = survey(large, "figure2")["GPU"]
    assert (item.state, item.where) == ("MISSING", "7.9 GB for generating images of 1024x768 in float32")
    assert "There is no GPU here, and images of 0.8 megapixels are to be generated or trained on" in item.advice
    assert "srun --gres=gpu:1" in item.advice


def test_a_gpu_that_is_large_enough(large, monkeypatch):
    gpus(monkeypatch, 8)
    assert survey(large, "figure2")["GPU"].state == "found (8.0 GB)"


def test_the_smallest_gpu_counts(large, monkeypatch):
    gpus(monkeypatch, 80, 7)
    item = survey(large, "figure2")["GPU"]
    assert item.state == "WRONG (7.0 GB)"
    assert item.advice == (
        "GPU of 7 has 7.0 GB. Use a larger GPU, or change what does not fit:\n- generating images of 1024x768 in float32 needs "
        "about 7.9 GB (grayscale, color): set the generator's `precision` to float16"
    )


def test_training_counts_for_the_gpu(config, monkeypatch):
    config["datasets"]["shtb"] |= {"path": "nowhere", "facts": {"size": [1024, 768]}}
    config["training"]["shtb"] = {"batch_size": 32}
    calls = []
    monkeypatch.setattr(memory, "training", lambda *args: calls.append(args) or 30 * 10**9)
    monkeypatch.setattr(memory, "generation", lambda *_, **__: 10**9)
    monkeypatch.setattr(memory, "annotation", lambda *_, **__: 10**9)
    gpus(monkeypatch, 24)
    item = survey(config, "table4")["GPU"]
    assert calls[0] == ("rescsrnet", 1024, 768, 32, "float32", {"width": 0.25})
    assert item.state == "WRONG (24.0 GB)"
    _, *others = item.advice.splitlines()
    assert len(others) == 1 and others[0].startswith(
        "- training rescsrnet on 32 images of 1024x768 at once needs about 30.0 GB ("
    )
    assert others[0].endswith("): make the images smaller (`resize` of the dataset, `width` and `height` of the pool)")


def test_everything_that_does_not_fit_the_gpu_is_named_with_its_experiments(config, monkeypatch):
    config["datasets"]["shtb"] |= {"path": "nowhere", "facts": {"size": [1024, 768]}}
    config["datasets"]["shta"] |= {"path": "nowhere", "facts": {"size": [640, 480]}}
    needed = {("csrnet", 1024): 50, ("csrnet", 640): 30, ("rescsrnet", 1024): 20, ("rescsrnet", 640): 10}
    monkeypatch.setattr(memory, "training", lambda name, width, *_: needed.get((name, width), 1) * 10**9)
    monkeypatch.setattr(memory, "generation", lambda *_, **__: 25 * 10**9)
    monkeypatch.setattr(memory, "annotation", lambda *_, **__: 10**9)
    gpus(monkeypatch, 24)
    item = survey(config, "table1")["GPU"]
    assert item.where.startswith("50.0 GB for training csrnet on 4 images of 1024x768 at once")
    lines = item.advice.splitlines()[1:]
    assert [line.split("): ")[0] for line in lines if line.startswith("- training")] == [
        "- training csrnet on 4 images of 1024x768 at once needs about 50.0 GB (shtb-csrnet, shtb-csrnet-promptmix",
        "- training csrnet on 4 images of 640x480 at once needs about 30.0 GB (shta-csrnet, shta-csrnet-promptmix",
    ]
    made = [line.split("): ")[0] for line in lines if line.startswith("- generating")]
    assert made[0] == "- generating images of 1024x768 in float32 needs about 25.0 GB (shtb-captions"


@pytest.mark.parametrize(
    ("one", "remedy"),
    [
        (0.4, None),
        (1.0, "set `precision` to bfloat16, or `accumulate` to 2, which keeps updates of 32 images"),
        (2.0, "set `accumulate` to 4, which keeps updates of 32 images"),
        (3.9, "set `accumulate` to 8, which keeps updates of 32 images"),
        (15, "set `precision` to bfloat16 and `accumulate` to 16"),
        (50, "make the images smaller"),
    ],
)
def test_what_brings_a_training_into_the_gpu_s_memory_is_said(config, monkeypatch, one, remedy):
    """An image takes so many GB, and in mixed precision 0.6 times as many; the GPU has 24."""
    config["datasets"]["shtb"] |= {"path": "nowhere", "facts": {"size": [1024, 768]}}
    config["training"]["shtb"] = {"batch_size": 32}
    shares = {"float32": 1, "bfloat16": 0.6}

    def predict(network, width, height, batch, precision, settings):
        return batch * one * shares[precision] * 10**9

    monkeypatch.setattr(memory, "training", predict)
    monkeypatch.setattr(memory, "generation", lambda *_, **__: 10**9)
    monkeypatch.setattr(memory, "annotation", lambda *_, **__: 10**9)
    gpus(monkeypatch, 24)
    item = survey(config, "table4")["GPU"]
    if remedy is None:
        assert item.state == "found (24.0 GB)"
    else:
        assert f": {remedy}" in item.advice


def test_what_brings_an_annotation_into_the_gpu_s_memory_is_said(config, monkeypatch):
    monkeypatch.setattr(memory, "training", lambda *_: 10**9)
    monkeypatch.setattr(memory, "generation", lambda *_, **__: 10**9)
    monkeypatch.setattr(memory, "annotation", lambda *_, precision: (30 if precision == "float32" else 20) * 10**9)
    gpus(monkeypatch, 24)
    lines = survey(config, "table4")["GPU"].advice.splitlines()
    assert lines[1].startswith("- annotating images of 96x64 with sasnet needs about 30.0 GB (sasnet-shtb")
    assert lines[1].endswith("): set the annotator's `precision` to bfloat16")
    config["annotators"]["sasnet-shtb"]["precision"] = "bfloat16"
    assert survey(config, "table4")["GPU"].ok


def test_each_precision_counts_for_the_gpu(config, monkeypatch):
    """Once, with and without faces restored."""
    calls = []
    monkeypatch.setattr(memory, "training", lambda *_: 10**9)
    monkeypatch.setattr(memory, "generation", lambda *size, **_: calls.append(size) or 10**9)
    monkeypatch.setattr(memory, "annotation", lambda *_, **__: 10**9)
    gpus(monkeypatch, 24)
    assert survey(config, "table6")["GPU"].ok
    assert sorted(calls) == [(96, 64, "float16"), (96, 64, "float32")]


def test_the_memory_of_the_miniature_is_worked_out(config, monkeypatch):
    gpus(monkeypatch, 24)
    item = survey(config, "figure2")["GPU"]
    assert item.state == "found (24.0 GB)"
    assert_matches(item.where, r"^2\.\d GB for generating images of 96x64 in float32$")  # Stable Diffusion: 18 GB


def test_sizes_that_are_not_known(config, monkeypatch):
    config["datasets"]["shtb"] |= {"path": "nowhere"}
    gpus(monkeypatch, 24)
    monkeypatch.setattr(memory, "generation", lambda *_, **__: 10**9)
    items = survey(config, "figure2", "table3")
    assert items["GPU"].where == "1.0 GB for generating images of 96x64 in float32; sizes not known yet: shtb"
    assert items["disk"].where.endswith("; sizes not known yet: shtb")
    assert survey(config, "table3")["GPU"] == Item("GPU", "sizes not known yet: shtb", "not known yet", ("table3",))


# --- Disk ---


def test_no_room(config, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3_000_000))
    item = survey(config, "table2")["disk"]
    assert item.state == "MISSING (3 MB free)"
    assert_matches(
        item.advice, r"results/miniature: about \d+ MB are still to be written, and 3 MB are free\. Make room"
    )


def test_what_will_be_written(config):
    """Of 2 experiments at 4 learning rates in 3 repeats, 9 999 images."""
    config["pools"]["rooms"] |= {"width": 640, "height": 480}
    config["promptmix"]["nyu"] |= {"k": 3333}
    config["training"]["nyu"] |= {"learning_rates": ["1e-3", "1e-4", "1e-5", "1e-6"], "repeats": 3}
    config["networks"]["guidedepth"] = {}
    config["tables"]["table2"] |= {"ours": {"methods": [], "where": {}, "rows": []}}
    where = survey(config, "table2")["disk"].where
    numbers = sum(tensor.numel() for tensor in build("guidedepth").state_dict().values())
    pixels = 9_999 * 640 * 480
    assert f"images {pixels * 0.5 / 1e9:.1f} GB" in where
    assert f"annotations {pixels * 2 / 1e9:.1f} GB" in where
    assert f"networks {2 * 4 * 3 * 4 * numbers / 1e9:.1f} GB" in where


def test_what_is_written_already_takes_no_room(config, folder):
    before = survey(config, "figure2")["disk"].where
    images = folder / "results" / "miniature" / "images" / "grayscale" / "stable-diffusion"
    images.mkdir(parents=True)
    (images / "seed-00000.jpg").write_bytes(bytes(10**6))
    assert (before, survey(config, "figure2")["disk"].where) == ("about 1 MB to write", "about 1 MB to write")
    for pool in ("black-and-white", "color"):
        (images.parents[1] / pool / "stable-diffusion").mkdir(parents=True)
        (images.parents[1] / pool / "stable-diffusion" / "seed-00000.jpg").write_bytes(bytes(10**6))
    assert survey(config, "figure2")["disk"].where == "about 0 MB to write"


# --- The report ---


def test_the_report():
    items = [
        Item(
            "dataset shtb",
            "a/b",
            "MISSING",
            ("table1", "stations", "figure3"),
            "Get it.\n- here: https://a.b/" + "c" * 120,
        ),
        Item("disk", "x" * 65 + " crowd-counting", "found (3.0 GB free)", ("table1", "table4", "stations", "figure3")),
        Item("GPU", "8.0 GB", "WRONG (7.0 GB)", ("table4",), "word " * 40),
    ]
    lines = report(items).splitlines()
    assert lines[0].split() == ["what", "where", "state", "needed", "by"]
    assert set(lines[1]) == {"-", " "}
    assert lines[2].split() == ["dataset", "shtb", "a/b", "MISSING", "[1]", "table1", "stations"]
    assert lines[3].split() == ["figure3"]
    assert lines[4].split() == ["disk", "x" * 54, "found", "(3.0", "GB", "all"]
    assert lines[5].split() == ["x" * 11, "crowd-counting", "free)"]
    assert lines[6].split() == ["GPU", "8.0", "GB", "WRONG", "(7.0", "GB)", "[2]", "table4"]
    assert lines[8:12] == ["[1] dataset shtb: MISSING", "    Get it.", "    - here:", f"    https://a.b/{'c' * 120}"]
    assert lines[13] == "[2] GPU: WRONG (7.0 GB)"
    assert lines[-1] == "3 things needed: 1 missing, 1 wrong"
    assert all(len(line) <= WIDTH for line in lines if "https" not in line)


# --- The script ---


@pytest.mark.parametrize("path", ["nowhere", None])
def test_the_job_fails_if_something_is_missing(config, shtb, path, capsys, caplog, monkeypatch):
    monkeypatch.setattr(job, "_log_to", lambda path: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which the job sets
    config = only_shtb(config, path or shtb) | {"preflight": ["table1"]}
    with caplog.at_level("INFO"), pytest.raises(SystemExit) if path else nullcontext():
        run_script("preflight", config=config)
    table = capsys.readouterr().out
    assert table in f"{caplog.text}\n"
    if path:
        assert "[1] dataset shtb: MISSING" in table
        assert "preflight failed. 1 of 7 things are missing or wrong; the table says what to do" in caplog.text
    else:
        assert table.endswith("7 things needed: nothing missing, nothing wrong\n")
