"""The ledger of sources and the guide to its licences agree, and everything that comes from elsewhere is in both."""

import ast
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub.utils import filter_repo_objects
from transformers import CLIPVisionModelWithProjection

from promptmix.config import sources
from promptmix.networks.registry import NETWORKS
from promptmix.synthesis.generation import GeneratorSettings, load_pipeline

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "resources/models"
LEDGER = sources.load()
GUIDE = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
HEADINGS = {
    "datasets": "Datasets",
    "checkpoints": "Checkpoints",
    "models": "Models",
    "networks": "Networks reimplemented from facts",
}
ENTRIES = [pytest.param(kind, name, id=f"{kind}-{name}") for kind in HEADINGS for name in LEDGER[kind]]
FROM_FACTS = ("adabins", "csrnet", "guidedepth")
SHARED = (
    "__init__",
    "build",
    "checkpoints",
    "cost",
    "layers",
    "own",
    "published",
    "registry",
    "text_to_image",
    "transformers_models",
)
"""Files that are not of a published network."""


def rows(kind: str) -> dict[str, list[str]]:
    """Return the rows of a section's table in the guide, without its head, by their first cell."""
    section = GUIDE.split(f"\n## {HEADINGS[kind]}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return {first: others for first, *others in cells[2:]}


def docstring(network: str) -> str:
    path = ROOT / f"scripts/promptmix/networks/{network}.py"
    return " ".join(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).split())


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_the_guide_says_of_an_entry_what_the_ledger_says(kind, name):
    entry = LEDGER[kind][name]
    licence, *verdicts, inherited = rows(kind)[entry["title"]]
    terms = entry["licence"]
    assert licence == f"[{terms['name']}]({terms['url']})"
    assert verdicts == [terms["research"], terms["commercial"], terms["redistribute"]]
    assert inherited


@pytest.mark.parametrize("kind", HEADINGS)
def test_the_guide_has_no_row_of_something_else(kind):
    assert sorted(rows(kind)) == sorted(entry["title"] for entry in LEDGER[kind].values())


def test_the_guide_says_what_is_passed_on_and_that_it_is_not_advice():
    for heading in (
        "What a generated dataset inherits",
        "What a trained lightweight network inherits",
        "This repository's own models",
    ):
        assert f"\n## {heading}\n" in GUIDE
    assert "not legal advice" in GUIDE


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_what_is_said_of_a_licence_goes_together(kind, name):
    terms = LEDGER[kind][name]["licence"]
    if terms["name"] == "none stated":
        assert terms["commercial"] == terms["redistribute"] == "no"  # nothing permits it
    if "non-commercial" in terms["name"] or re.search(r"\bNC\b", terms["name"]):
        assert terms["commercial"] == "no"
    if terms["spdx"]:
        assert terms["spdx"].startswith(terms["name"])


# --- Nothing is left out ---


def test_every_network_is_in_the_ledger():
    files = {path.stem for path in (ROOT / "scripts/promptmix/networks").glob("*.py")} - set(SHARED)
    assert files >= set(NETWORKS)
    assert set(LEDGER["networks"]) == files


def test_all_that_the_paper_s_config_takes_from_elsewhere_is_in_the_ledger():
    text = (ROOT / "config/paper.yaml").read_text(encoding="utf-8")
    known = {entry["path"] for entry in LEDGER["datasets"].values()}
    known |= {f"resources/hub/{name}" for name in LEDGER["models"]}
    known |= {f"resources/checkpoints/{name}.safetensors" for name in LEDGER["checkpoints"]}
    used = set(re.findall(r"resources/[\w./-]+", text))
    assert used - known == set()
    assert {path.split("/")[1] for path in used} == {"datasets", "downloads", "hub", "checkpoints"}
    assert {entry["path"] for entry in yaml.safe_load(text)["datasets"].values()} <= used


def test_no_file_is_given_the_facts_of_another():
    entries = [entry for kind in ("datasets", "checkpoints", "models") for entry in LEDGER[kind].values()]
    for key in ("path", "download", "url", "sha256", "hub", "revision"):
        assert [value for value, times in Counter(e[key] for e in entries if key in e).items() if times > 1] == [], key


def test_a_hash_in_a_file_s_name_is_that_of_the_file():
    named = {e["download"]: e for e in LEDGER["checkpoints"].values() if re.search(r"-[0-9a-f]{8}\.", e["download"])}
    assert sorted(named) == ["resnet18-f37072fd.pth", "vgg16-397923af.pth"]
    for file, entry in named.items():
        assert f"-{entry['sha256'][:8]}." in file


# --- Networks whose code could not have been copied ---


def test_networks_without_a_licence_to_copy_say_that_they_are_written_from_facts():
    closed = {
        name
        for name, entry in LEDGER["networks"].items()
        if entry["source"]["commit"] and (entry["licence"]["name"] in ("none stated", "GPL-3.0"))
    }
    assert closed == set(FROM_FACTS)
    for name in FROM_FACTS:
        assert "written from the facts" in docstring(name)
        assert "from the facts" in LEDGER["networks"][name]["licence"]["inherits"]
    for name, reason in {"adabins": "GPL", "csrnet": "no licence", "guidedepth": "no licence"}.items():
        assert reason in docstring(name)


@pytest.mark.parametrize("name", [name for name in NETWORKS if LEDGER["networks"][name]["source"]["commit"]])
def test_a_network_names_its_authors_repository(name):
    assert LEDGER["networks"][name]["source"]["repository"] in docstring(name)


# --- The files of a model are all that is needed of it ---


def published(folder: Path, model: str, others: list[str]) -> None:
    """Leave of a folder what is fetched of a model, after adding files that its repository has besides."""
    for other in others:
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_bytes(b"must not be fetched")
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    wanted = set(filter_repo_objects(files, allow_patterns=LEDGER["models"][model]["files"]))
    assert wanted.isdisjoint(others)
    for file in set(files) - wanted:
        (folder / file).unlink()


@pytest.mark.parametrize("model", ["stable-diffusion-v1-5", "stable-diffusion-v1-4"])
def test_a_pipeline_loads_from_the_files_that_are_fetched(model, tmp_path):
    shutil.copytree(MODELS / "stable-diffusion", tmp_path, dirs_exist_ok=True)
    index = json.loads((tmp_path / "model_index.json").read_text())
    index = {key: value for key, value in index.items() if key not in ("image_encoder", "requires_safety_checker")}
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "feature_extractor").mkdir()
    shutil.copy(MODELS / "clip/preprocessor_config.json", tmp_path / "feature_extractor")
    others = ["safety_checker/model.safetensors", "safety_checker/config.json", "v1-5-pruned.ckpt", "README.md"]
    weights = ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"]
    published(tmp_path, model, others + [f"{file}.{kind}" for file in weights for kind in ("bin", "fp16.safetensors")])
    pipeline = load_pipeline(str(tmp_path), GeneratorSettings(steps=2, guidance=7.5), "cpu")
    assert pipeline.safety_checker is None
    assert len(pipeline.tokenizer) > 100  # without its files it would be an empty one


def test_clip_loads_from_the_files_that_are_fetched(tmp_path):
    shutil.copytree(MODELS / "clip", tmp_path, dirs_exist_ok=True)
    expected = CLIPVisionModelWithProjection.from_pretrained(MODELS / "clip")
    torch.save(expected.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    published(tmp_path, "clip-vit-base-patch32", ["tf_model.h5", "flax_model.msgpack"])
    found = CLIPVisionModelWithProjection.from_pretrained(tmp_path, local_files_only=True).state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.state_dict().items())
