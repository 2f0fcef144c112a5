"""The models that ship with the miniature do what they are for."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support.workflow import shipped
from transformers import CLIPModel, CLIPTokenizer

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.registry import read_dataset
from promptmix.datasets.splits import split
from promptmix.miniature.rendering.crowds import LOCATION_WORDS, LOCATIONS
from promptmix.miniature.rendering.datasets import render_dataset
from promptmix.networks.checkpoints import load_network
from promptmix.synthesis.captions import CLIPImageProcessorPil
from promptmix.synthesis.generation import GeneratorSettings, generate, load_pipeline
from promptmix.tasks.batching import density
from promptmix.training.evaluation import predict
from promptmix.training.loop import train
from promptmix.training.settings import TrainingSettings

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "resources/models"
SETTINGS = GeneratorSettings(steps=10, guidance=3.0)
PLACES = {"mecca": "in front of the kaaba in mecca", "train station": "at a train station", "stadium": "in a stadium"}


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline(str(MODELS / "stable-diffusion"), SETTINGS, "cpu")


def images_of(pipeline, prompts: list[str]) -> np.ndarray:
    plan = pd.DataFrame({"prompt": prompts, "seed": range(len(prompts)), "width": 96, "height": 64})
    found = dict(generate(pipeline, plan, SETTINGS))
    return np.stack([found[i] for i in range(len(prompts))])


def test_the_prompt_s_crowd_size_steers_the_number_of_people(pipeline):
    annotator = load_network("sasnet", MODELS / "sasnet-shta.safetensors", width=0.25)
    places = ["at a train station", "on a city street", "at an airport", "at a public speech"]
    counts = []
    for size in ("large crowd, a large crowd of people", "few people, a few people"):
        images = images_of(pipeline, [f"{size} {place}, color image" for place in places] * 2)
        with torch.inference_mode():
            counts.append(density(annotator, list(images), "cpu").sum(dim=(1, 2)).mean().item())
    assert counts[0] > 3 * counts[1]


def test_the_prompt_s_colour_steers_the_image(pipeline):
    prompts = [f"a crowd of people at an airport, {colours} image" for colours in ("grayscale", "color")] * 4
    images = images_of(pipeline, prompts).astype(float)
    spread = (images.max(3) - images.min(3)).mean((1, 2))
    assert spread[::2].mean() < spread[1::2].mean() / 3


def test_clip_finds_the_prompt_s_location_in_the_image(pipeline):
    model = CLIPModel.from_pretrained(MODELS / "clip").float().eval()
    tokenizer = CLIPTokenizer.from_pretrained(MODELS / "clip")
    processor = CLIPImageProcessorPil.from_pretrained(MODELS / "clip")
    names = list(PLACES) + [name for name in LOCATIONS if name not in PLACES]
    texts = [f"people {PLACES.get(name, f'in {LOCATION_WORDS[name]}')}" for name in names]
    images = images_of(pipeline, [f"a crowd of people {place}" for place in PLACES.values()] * 4)
    tokens = tokenizer(texts, padding="max_length", max_length=32, return_tensors="pt").input_ids
    pixels = processor(list(images), return_tensors="pt").pixel_values
    with torch.inference_mode():
        found = model(input_ids=tokens, pixel_values=pixels).logits_per_image.argmax(1)
    assert (found == torch.arange(len(images)) % len(PLACES)).float().mean() > 0.7


@pytest.mark.parametrize(("dataset", "annotator"), [("shtb", "sasnet-shtb"), ("qnrf", "dmcount-qnrf")])
def test_the_annotator_beats_the_lightweight_network_that_it_teaches(dataset, annotator, tmp_path):
    config = shipped()
    settings, render = config["datasets"][dataset], config["render"][dataset]
    render_dataset(tmp_path, render, settings["images"], seed=123)
    folder = next(path for path in tmp_path.iterdir() if path.is_dir())
    samples = split(read_dataset(settings["format"], folder), settings["split"])
    prepare(samples, tmp_path / "prepared", settings.get("resize"))
    index = Index.open(tmp_path / "prepared/index.csv")
    training = TrainingSettings("rescsrnet", 1e-3, 20, 4, 0, {"width": 0.25}, sigma=1.5, kernel=7)
    checkpoint = train(training, index, None, tmp_path / "run", "cpu")
    lightweight = load_network("rescsrnet", checkpoint, width=0.25)
    heavyweight = load_network(annotator.split("-")[0], MODELS / f"{annotator}.safetensors", width=0.25)
    errors = [predict(network, index, "test", "cpu")["error"].abs().mean() for network in (lightweight, heavyweight)]
    assert errors[1] < 0.8 * errors[0]
