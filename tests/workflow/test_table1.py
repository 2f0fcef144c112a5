"""Table I from nothing, at a scale that takes seconds, and what it leaves behind."""

import hashlib
import json
import os
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from promptmix.synthesis.manifest import read_manifest

IMAGES = "results/tiny/images/shtb-captions/stable-diffusion"
RUN = "results/tiny/runs/shtb-rescsrnet-promptmix"


def test_the_table_shows_both_methods_and_the_change(finished):
    table = (finished / "tables/table1.md").read_text()
    for text in ("SHTB", "baseline", "control", "PromptMix", "Change of MAE", "tiny"):
        assert text in table
    assert r"\begin{tabular}" in (finished / "tables/table1.tex").read_text()


def test_only_training_images_are_captioned(finished):
    index = pd.read_csv(finished / "results/tiny/datasets/shtb/index.csv")
    assert index["split"].value_counts().to_dict() == {"train": 6, "test": 4, "val": 2}
    captions = pd.read_csv(finished / "results/tiny/captions/shtb/clipcap.csv")
    assert captions["image"].tolist() == index.loc[index["split"] == "train", "image"].tolist()


def test_every_image_is_in_the_manifest_with_its_seed_and_its_hash(finished):
    manifest = read_manifest(finished / f"{IMAGES}/block-00000-00017.csv")
    assert manifest["seed"].tolist() == list(range(3 * 6))  # k images of each prompt, and no others
    prompts = pd.read_csv(finished / "results/tiny/prompts/shtb-captions.csv")["prompt"]
    assert manifest["prompt"].tolist() == [prompts[g % 6] for g in range(18)]
    assert manifest["prompt_number"].tolist() == [g % 6 for g in range(18)]
    assert set(manifest["pool"]) == {"shtb-captions"}
    for row in manifest.itertuples():
        with open(row.file, "rb") as file:
            assert hashlib.sha256(file.read()).hexdigest() == row.sha256
        with Image.open(row.file) as image:
            assert image.size == (48, 32)


def test_no_other_images_are_made(finished):
    blocks = {
        path.relative_to(finished / "results/tiny/images").as_posix()
        for path in (finished / "results/tiny/images").glob("*/*/*.csv")
    }
    asked = {
        "shtb-captions/stable-diffusion": 18,
        "shtb-captions/stable-diffusion-float16": 18,
        "shtb-captions/stable-diffusion-float16-gfpgan": 18,
        "rooms/stable-diffusion": 10,
        "locations/stable-diffusion": 12,
        "samples/stable-diffusion": 3,
        **{f"{colour}/stable-diffusion": 2 for colour in ("black-and-white", "grayscale", "color")},
    }
    assert blocks == {f"{folder}/block-00000-{number - 1:05d}.csv" for folder, number in asked.items()}
    assert len(list((finished / "results/tiny/images").rglob("*.jpg"))) == sum(asked.values())


def test_the_annotator_s_error_on_the_real_test_images_stands_below(finished):
    errors = pd.read_csv(finished / "results/tiny/annotators/sasnet-shtb/shtb.csv")["error"]
    assert f"sasnet-shtb on SHTB: MAE {errors.abs().mean():.2f}, RMSE" in (finished / "tables/table1.md").read_text()
    assert "adabins-nyu on " in (finished / "tables/table2.md").read_text()
    both = pd.read_csv(finished / "results/tiny/annotators/both/shtb.csv").set_index("image")["predicted"]
    one, other = (
        pd.read_csv(finished / f"results/tiny/annotators/{name}/shtb.csv").set_index("image")["predicted"]
        for name in ("sasnet-shta", "sasnet-shtb")
    )
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-4)
    assert "both on SHTB: MAE " in (finished / "tables/table5.md").read_text()


def test_d_fake_holds_k_images_per_prompt_with_their_counts(finished):
    fake = pd.read_csv(finished / "results/tiny/fake/shtb-rescsrnet-promptmix.csv")
    assert len(fake) == 3 * 6
    assert np.isfinite(fake["count"]).all()


def test_an_epoch_trains_on_the_real_images_and_r_mix_generated_ones(finished):
    histories = {
        name: pd.read_csv(finished / f"results/tiny/runs/{name}/lr-1e-3/repeat-0/history.csv")
        for name in ("shtb-rescsrnet", "shtb-rescsrnet-promptmix")
    }
    assert histories["shtb-rescsrnet"]["images"].tolist() == [6, 6]
    assert histories["shtb-rescsrnet-promptmix"]["images"].tolist() == [10, 10]


def test_the_learning_rate_is_the_validation_error_s_choice(finished):
    choice = json.loads((finished / f"{RUN}/selection.json").read_text())
    history = pd.read_csv(finished / f"{RUN}/lr-1e-3/repeat-1/history.csv")
    assert choice["candidates"]["1e-3"]["repeats"][1]["val_error"] == pytest.approx(history["val_error"].min())


def test_jobs_that_run_together_share_the_cores(finished):
    threads = {
        int(re.search(r"(\d+) threads", log.read_text())[1])
        for log in (finished / "results/tiny/logs/train_network").rglob("*.log")
    }
    assert threads == {max(1, len(os.sched_getaffinity(0)) // 2)}


def test_a_deleted_image_is_named_with_the_command_that_restores_it(finished, tmp_path):
    from promptmix.errors import InputError
    from promptmix.synthesis.manifest import read_verified

    manifest = read_manifest(finished / f"{IMAGES}/block-00000-00017.csv")
    lost = tmp_path / "seed-00007.jpg"
    with pytest.raises(InputError, match=r"seed-00007\.jpg"):
        read_verified(lost, manifest["sha256"][7])
