"""What jobs ask for: the facts of networks are those that torch counts, and the paper's jobs get what they need."""

import pytest
from support.workflow import ROOT

from promptmix.config.asking import LEAST, LONGEST, NETWORKS, PREDICTED, Asking
from promptmix.config.loading import load
from promptmix.config.validation import read, resolve
from promptmix.networks import cost
from promptmix.networks.build import build
from promptmix.preflight import memory
from promptmix.tasks.batching import BATCH_PIXELS

PAPER = ROOT / "config" / "paper.yaml"


def asking(gpu: bool, *files) -> Asking:
    return Asking(resolve(read(list(files or [PAPER]), {}))[0], gpu)


def experiment(of: Asking, dataset: str, network: str, method: str = "promptmix"):
    found = of._plan.experiments.values()
    return next(e for e in found if (e.dataset, e.network.name, e.method) == (dataset, network, method))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_facts_of_a_network_are_those_that_are_counted(name):
    facts, (width, height) = NETWORKS[name], (640, 480)
    counted = cost.count(name, height=height, width=width)
    assert facts.parameters == pytest.approx(counted["parameters"] / 1e6, rel=0.02)
    assert facts.operations == pytest.approx(counted["gmac"] * 1e9 / (width * height), rel=0.05)
    weights = sum(p.nbytes for p in build(name).parameters())
    predicting = memory.annotation(name, width, height, batch=4, overhead=False) - weights
    assert facts.predicting == pytest.approx(predicting / (4 * width * height), rel=0.1)
    updating = memory.training(name, width, height, 4, overhead=False) - 4 * weights
    assert facts.updating == pytest.approx(updating / (4 * width * height), rel=0.1)


def test_the_pixels_of_a_batch_are_those_of_batching():
    assert PREDICTED == BATCH_PIXELS


def test_the_papers_jobs_ask_for_time_by_what_they_compute():
    of = asking(gpu=True)
    minutes = {
        (dataset, network): of.minutes_of_training(experiment(of, dataset, network))
        for dataset, network in [("shtb", "rescsrnet"), ("qnrf", "csrnet"), ("shta", "csrnet"), ("nyu", "guidedepth")]
    }
    assert minutes["qnrf", "csrnet"] == LONGEST  # 55 hours of an A6000: it goes on where it was
    assert LEAST < minutes["shtb", "rescsrnet"] < 600 and minutes["shtb", "rescsrnet"] < minutes["shta", "csrnet"]
    baseline = of.minutes_of_training(experiment(of, "shtb", "rescsrnet", "baseline"))
    assert LEAST <= baseline < minutes["shtb", "rescsrnet"]
    assert of.minutes_of_fine_tuning("sasnet-panda") > 600
    small, large = (of.minutes_of_generation(pool, {"steps": 50}, 240, 0) for pool in ("large-crowd", "panda-captions"))
    assert LEAST <= small < large / 5 < LONGEST / 5


def test_a_job_with_a_gpu_asks_for_the_process_and_the_images_that_are_read_again():
    of = asking(gpu=True)
    assert of.memory_of_training(experiment(of, "shtb", "rescsrnet", "baseline")) == 6000
    assert of.memory_of_training(experiment(of, "shtb", "rescsrnet")) == 6000 + 16000
    assert 6000 < of.memory_of_training(experiment(of, "panda", "csrnet")) <= 6000 + 16000
    assert of.memory_of_generation("rooms", 0) < of.memory_of_generation("rooms", 33 * 10**9) == 6000 + 66000


def test_a_job_without_a_gpu_asks_for_its_tensors_too():
    of = asking(gpu=False)
    csrnet = of.memory_of_training(experiment(of, "shtb", "csrnet", "baseline"))
    assert csrnet == pytest.approx(
        1500 + 1.25 * memory.training("csrnet", 1024, 768, 32, overhead=False) / 1e6, rel=0.1
    )
    sasnet = of.memory_of_predicting("sasnet", {}, pool="large-crowd")
    assert sasnet == pytest.approx(1500 + 1.25 * memory.annotation("sasnet", 1024, 768, overhead=False) / 1e6, rel=0.1)
    assert sasnet < of.memory_of_predicting("sasnet", {}, dataset="panda")
    assert of.memory_of_predicting("sasnet", {"width": 0.25}, pool="large-crowd") < 0.4 * sasnet
    for settings in ({}, {"width": 64}):  # not known: the largest, whatever its settings mean
        assert of.memory_of_predicting("my_networks.py:Own", settings, pool="large-crowd") == sasnet


def test_parts_of_a_batch_and_small_images_ask_for_less(tmp_path):
    config = tmp_path / "parts.yaml"
    config.write_text(f"extends: {PAPER}\ntraining: {{shtb: {{accumulate: 8}}}}\n")
    whole, parts = asking(False), asking(False, config)
    assert parts.memory_of_training(experiment(parts, "shtb", "csrnet")) < 0.4 * whole.memory_of_training(
        experiment(whole, "shtb", "csrnet")
    )
    miniature = asking(False, ROOT / "config" / "config.yaml")
    for each in miniature._plan.experiments.values():
        assert miniature.memory_of_training(each) < 2500 and miniature.minutes_of_training(each) == LEAST
    assert load([config])[0]["training"]["shtb"]["batch_size"] == 32
