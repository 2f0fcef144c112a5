"""Filters beyond the paper's, through the front door: what they score, leave out and list, and where a run stops."""

import copy
import json

import pandas as pd
import pytest
from support.workflow import Workflow, jobs, tiny

FAKE = "results/tiny/fake/it.csv"
CLIP = "resources/models/clip"


def with_filters() -> dict:
    """Return the tiny config with one experiment, whose images are filtered, and nothing to show of it."""
    config = tiny()
    config["pools"] = {"locations": config["pools"]["locations"]}
    config["tables"], config["figures"] = {}, {}
    filters = {
        "near_duplicates": {"distance": 2},
        "clip_score": {"model": CLIP, "keep": 50},
        "leak_guard": {"model": CLIP, "similarity": 1, "distance": 0},
    }
    mixed = {"pools": ["locations"], "k": 6, "annotator": "sasnet-shtb", "r_mix": 4, "filters": filters}
    config["promptmix"] = {"default": config["promptmix"]["default"], "shtb": mixed}
    config["experiments"] = {"it": {"dataset": "shtb", "network": "rescsrnet"}}
    return config


@pytest.fixture(scope="module")
def filtered(tmp_path_factory) -> Workflow:
    workflow = Workflow(tmp_path_factory.mktemp("filters"), with_filters())
    result = workflow.run(FAKE)
    assert result.returncode == 0, result.stdout
    return workflow


def test_images_are_scored_once_per_block_and_left_out_by_their_scores(filtered):
    folder = filtered / "results/tiny/quality/locations/stable-diffusion"
    scores = pd.read_csv(folder / "clip-clip/block-00000-00011.csv").set_index("stem")["clip_score"]
    hashes = pd.read_csv(folder / "phash/block-00000-00011.csv", dtype=str)
    assert len(scores) == len(hashes) == 12 and scores.between(-1, 1).all() and scores.nunique() == 12
    said = json.loads((filtered / "results/tiny/fake/it.json").read_text())["filters"]
    same = said["left_out"].get("filter of near-duplicates", 0)
    fake = pd.read_csv(filtered / FAKE)
    assert len(fake) == (12 - same + 1) // 2 and said["images"] == 12
    assert said["left_out"]["filter of CLIP scores"] == 12 - same - len(fake)
    assert set(fake["stem"]) <= set(scores.sort_values().index[len(fake) - same :])
    assert said["like_test_images"] == 0 and pd.read_csv(filtered / "results/tiny/leaks/it.csv").empty


def test_a_threshold_mixes_anew_and_computes_no_score(filtered):
    changed = Workflow(filtered.folder, copy.deepcopy(filtered.config))
    changed.config["promptmix"]["shtb"]["filters"] |= {
        "clip_score": {"model": CLIP, "at_least": -1},
        "near_duplicates": {},
    }
    assert jobs(changed.run(FAKE, "--dry-run").stdout) == {"mix_dataset": 1, "total": 1}
    changed.config["promptmix"]["shtb"] |= {"filters": {}}
    assert jobs(changed.run(FAKE, "--dry-run").stdout) == {"mix_dataset": 1, "total": 1}
    assert "Nothing to be done" in filtered.run(FAKE, "--dry-run").stdout


def test_the_leak_guard_stops_the_run_and_names_the_images(filtered):
    changed = Workflow(filtered.folder, copy.deepcopy(filtered.config))
    changed.config["promptmix"]["shtb"]["filters"]["leak_guard"] = {"action": "error", "distance": 63}
    result = changed.run(FAKE)
    assert result.returncode == 1 and "images of D_fake are like test images: locations, seed " in result.stdout
    leaks = pd.read_csv(filtered / "results/tiny/leaks/it.csv")
    assert len(leaks) == 12 and leaks["image"].str.startswith("test_data/").all() and leaks["similarity"].isna().all()


def test_too_few_images_say_which_filter_left_out_how_many(filtered):
    changed = Workflow(filtered.folder, copy.deepcopy(filtered.config))
    changed.config["promptmix"]["shtb"]["filters"] = {"clip_score": {"model": CLIP, "at_least": 1}}
    result = changed.run(FAKE)
    assert result.returncode == 1
    assert "0 of 12 generated images are left, and each epoch draws 4" in result.stdout
    assert "the filter of CLIP scores 12. Loosen a filter (clip_score: at_least 1" in result.stdout


def test_the_plan_counts_what_compares_images(workflow):
    workflow.config = with_filters()
    workflow.config["tables"] = {"t": {"rows": ["it"]}}
    assert workflow.run("plan").returncode == 0
    counts = jobs(workflow.run("-n").stdout)
    rows = pd.read_csv(workflow / "results/tiny/plan.csv")
    planned = rows[rows["kind"] == "rule"].set_index("name")["jobs"].to_dict()
    compared = {
        "hash_images",
        "describe_images",
        "score_prompts",
        "hash_test_images",
        "describe_test_images",
        "guard_leaks",
    }
    assert planned == {rule: number for rule, number in counts.items() if rule not in ("all", "total")}
    assert compared <= set(planned)
