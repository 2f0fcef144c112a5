"""config/modern.yaml with models of the same kinds, of few channels and with random weights. About a minute and a half."""

import re

import pandas as pd
import pytest
import yaml
from diffusers import DiffusionPipeline
from PIL import Image
from support.estimators import save_depth_anything
from support.language import save_blip
from support.pipelines import save_family
from support.workflow import ROOT, Workflow, tiny

from promptmix.config.loading import merge

TABLES = ("table1", "table2", "roundtrip")


@pytest.fixture(scope="module")
def modern(tmp_path_factory) -> Workflow:
    """A folder in which three tables were made with what modern.yaml says of models, on small data."""
    folder = tmp_path_factory.mktemp("modern")
    said = yaml.safe_load((ROOT / "config/modern.yaml").read_text())
    config = tiny() | {"experiments": {}, "figures": {}}
    config["tables"] = {name: config["tables"][name] for name in TABLES}
    wanted = {name: said[name] for name in ("captioners", "generators", "annotators", "promptmix")}
    wanted["pools"] = {"shtb-captions": said["pools"]["shtb-captions"]}
    wanted["tables"] = {"roundtrip": said["tables"]["roundtrip"]}
    config = merge(config, wanted)
    for name in ("captioners", "generators", "annotators"):  # as loading a config takes away what is null
        config[name] = {key: entry for key, entry in config[name].items() if said[name].get(key, entry) is not None}
    generator = config["generators"]["sdxl-turbo"]
    generator["native"] = 64  # as the images are small

    save_family(folder / "plain", "sdxl")
    pipeline = DiffusionPipeline.from_pretrained(folder / "plain")
    pipeline.save_pretrained(folder / generator["model"], variant=generator["variant"])
    save_blip(folder / config["captioners"]["blip"]["model"])
    save_depth_anything(folder / config["annotators"]["depth-anything"]["model"])
    workflow = Workflow(folder, config)
    result = workflow.run(*(f"tables/{name}.md" for name in TABLES))
    assert result.returncode == 0, result.stdout
    return workflow


def test_tables_are_made(modern):
    for name, row in (("table1", "ResCSRNet+PromptMix"), ("table2", "GuideDepth+PromptMix"), ("roundtrip", "distance")):
        assert row.lower() in (modern / f"tables/{name}.md").read_text().lower()


def test_images_have_the_wanted_size_and_are_sdxl_s(modern):
    manifest = pd.read_csv(modern / "results/tiny/images/rooms/sdxl-turbo/block-00000-00009.csv")
    assert len(manifest) == 10
    for file in manifest["file"]:
        assert Image.open(modern / "results/tiny/images/rooms/sdxl-turbo" / file).size == (72, 72)
    log = (modern / "results/tiny/logs/generate_images/rooms/sdxl-turbo/00000-00009.log").read_text()
    assert "resources/hub/sdxl-turbo" in log


def test_depth_is_annotated_and_tested(modern):
    errors = pd.read_csv(modern / "results/tiny/annotators/depth-anything/nyu.csv")
    assert len(errors) == 2 and errors["pixels_full"].gt(0).all() and errors["squared_full"].notna().all()
    assert re.search(r"depth-anything on .*RMSE", (modern / "tables/table2.md").read_text())


def test_captions_are_blip_s_and_one_setting_captions_anew(modern):
    captions = pd.read_csv(modern / "results/tiny/captions/shtb/blip.csv", keep_default_na=False)
    assert len(captions) == 6 and captions["caption"].str.len().gt(0).any()
    again = modern.run("tables/table2.md", "--dry-run", "--config", "captioners={blip: {max_tokens: 9}}").stdout
    assert "Nothing to be done" in again  # rooms have no captions
