"""What a user reads when something is missing or broken: what, where, what was expected, what to do."""

import os
import re

import h5py
import pytest

INDEX = "results/tiny/datasets/shtb/index.csv"
RENDERED = "results/tiny/rendered/shtb/part_B_final"
POOL = "locations/stable-diffusion"
ANNOTATIONS = f"results/tiny/annotations/{POOL}"


def failed(workflow, *words: str) -> str:
    result = workflow.run(*words)
    assert result.returncode != 0
    return result.stdout


def test_an_unknown_key_of_the_config(workflow):
    workflow.config["datasets"]["shtb"]["reszie"] = None
    text = failed(workflow, "--dry-run")
    assert "datasets.shtb.reszie" in text and "Did you mean 'resize'?" in text


def test_a_value_of_the_wrong_type(workflow):
    workflow.config["training"]["default"]["epochs"] = "twelve"
    text = failed(workflow, "--dry-run")
    assert "training.default.epochs" in text and "'twelve'" in text and "whole number" in text


def test_an_unknown_pool(workflow):
    workflow.config["promptmix"]["shtb"]["pools"] = ["shtb-captoins"]
    text = failed(workflow, "--dry-run")
    assert "'shtb-captoins' is not a pool" in text and "Did you mean 'shtb-captions'?" in text


def test_an_unknown_annotator(workflow):
    workflow.config["promptmix"]["shtb"]["annotator"] = "sasnet"
    text = failed(workflow, "--dry-run")
    assert "'sasnet' is not an annotator" in text and "sasnet-shtb" in text


def test_an_unknown_restorer(workflow):
    workflow.config["experiments"]["shtb-restored"]["restorer"] = "gfpgam"
    text = failed(workflow, "--dry-run")
    assert "experiments.shtb-restored.restorer: 'gfpgam' is not a restorer" in text
    assert "Did you mean 'gfpgan'?" in text


@pytest.mark.parametrize("share", [0, 101])
def test_an_impossible_share_of_images_to_keep(workflow, share):
    workflow.config["experiments"]["shtb-q50"]["r_img"] = share
    text = failed(workflow, "--dry-run")
    assert f"experiments.shtb-q50.r_img: {share} is not a percentage above 0, at most 100" in text


def test_a_prompt_filter_that_is_none_of_those_there_are(workflow):
    workflow.config["experiments"]["shtb-prompt-filter"]["prompt_filter"] = 3
    text = failed(workflow, "--dry-run")
    assert (
        "experiments.shtb-prompt-filter.prompt_filter" in text and "true, false, or a section with a `method`" in text
    )


def test_a_table_that_the_config_does_not_describe(workflow):
    del workflow.config["tables"]["table7"], workflow.config["figures"]["ablations"]
    text = failed(workflow, "tables/table7.md", "--dry-run")
    assert "tables/table7.md" in text and "MissingRuleException" in text


def test_a_missing_dataset(workflow):
    workflow.config["datasets"]["shtb"]["path"] = "data/ShanghaiTech/part_B"
    del workflow.config["render"]["shtb"]
    assert "prepare_dataset" in workflow.run("--dry-run").stdout  # the plan can be seen without the data
    text = failed(workflow, INDEX)
    assert "data/ShanghaiTech/part_B" in text and "github.com/desenzhou/ShanghaiTechDataset" in text
    assert "Traceback" not in text.split("prepare_dataset failed")[0]


def test_a_name_that_is_not_utf_8(workflow):
    images = workflow.folder / "data/part_B/train_data/images"
    images.mkdir(parents=True)
    (images / os.fsdecode("人群.jpg".encode("gbk"))).touch()
    workflow.config["datasets"]["shtb"]["path"] = "data/part_B"
    del workflow.config["render"]["shtb"]
    plan = workflow.run("--dry-run")
    assert plan.returncode == 0 and r"train_data/images/\udcc8\udccb" in plan.stdout and "convmv" in plan.stdout
    text = failed(workflow, INDEX)
    assert re.search(r"prepare_dataset failed\. .*\\udcc8.*not UTF-8.*convmv", text)
    assert "Traceback" not in text


def test_a_wrong_number_of_images(changed):
    images = changed / f"{RENDERED}/train_data"
    (images / "images/IMG_8.jpg").unlink()
    (images / "ground_truth/GT_IMG_8.mat").unlink()
    (changed / INDEX).unlink()
    text = failed(changed, INDEX)
    assert f"prepare_dataset failed. {RENDERED}: 7 images in 'train', expected 8." in text


def test_a_truncated_jpeg(changed):
    image = changed / f"{RENDERED}/test_data/images/IMG_2.jpg"
    image.write_bytes(image.read_bytes()[:-200])
    (changed / INDEX).unlink()
    text = failed(changed, INDEX)
    assert "IMG_2.jpg" in text and "truncated" in text


def test_a_missing_checkpoint(changed):
    changed.config["annotators"]["sasnet-shtb"]["weights"] = "checkpoints/SHHB.pth"
    text = failed(changed, f"{ANNOTATIONS}/sasnet-shtb/block-00000-00011.h5")
    assert "checkpoints/SHHB.pth" in text and "annotate_images failed" in text
    assert "Google Drive folder" in text


def test_a_checkpoint_of_another_width(changed):
    changed.config["annotators"]["sasnet-shtb"]["settings"] = {"width": 0.5}
    text = failed(changed, f"{ANNOTATIONS}/sasnet-shtb/block-00000-00011.h5")
    assert "sasnet-shtb.safetensors" in text and "width" in text


def test_annotations_of_images_of_different_sizes(changed):
    path = f"{ANNOTATIONS}/sasnet-shta/block-00000-00011.h5"
    with h5py.File(changed / path, "r+") as file:
        file["map/seed-00007"].attrs["width"] = 96
    text = failed(changed, f"results/tiny/quality/{POOL}/sasnet-shta+sasnet-shtb/block-00000-00011.csv")
    assert "score_images failed. seed-00007: sasnet-shta annotated it at 96x32 pixels and sasnet-shtb at 48x32" in text
    assert f"snakemake {path}" in text
