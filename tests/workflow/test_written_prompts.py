"""A captioner of transformers, variations of its captions and prompts on a topic, through the front door. About a minute."""

import pandas as pd
import pytest
from support import language
from support.workflow import Workflow, jobs, tiny

RESULTS = "results/tiny"
PROMPTS = [f"{RESULTS}/prompts/{pool}.csv" for pool in ("varied", "scenes")]
GENERATED = f"{RESULTS}/captions/scenes/stable-diffusion/chat/block-00000-00002.csv"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Workflow:
    """A folder in which real and generated images were captioned, and prompts written."""
    folder = tmp_path_factory.mktemp("written")
    language.save_qwen2_vl(folder / "captioner")
    language.save_writer(folder / "writer")
    config = tiny()
    writer = {"model": "writer", "max_tokens": 6}
    config["captioners"] = {"chat": {"model": "captioner", "instruction": "describe the image", "max_tokens": 6}}
    config["pools"] = {
        "varied": {"dataset": "shtb", "captioner": "chat", "written_by": writer | {"count": 2}},
        "scenes": {
            "written_by": writer | {"count": 3, "topic": "people in the rain"},
            **{"width": 48, "height": 32, "quality": 75},
        },
    }
    config["promptmix"] = {"default": {"generator": "stable-diffusion"}}
    roundtrip = {"kind": "roundtrip", "pools": ["scenes"], "generator": "stable-diffusion", "captioner": "chat"}
    config |= {"experiments": {}, "figures": {}, "tables": {"roundtrip": roundtrip}}
    workflow = Workflow(folder, config)
    result = workflow.run(*PROMPTS, GENERATED)
    assert result.returncode == 0, result.stdout
    return workflow


def read(workflow, path):
    return pd.read_csv(workflow / path, keep_default_na=False)


def test_each_caption_becomes_two_prompts_with_its_image_s_size(written):
    captions = read(written, f"{RESULTS}/captions/shtb/chat.csv")
    texts, prompts = read(written, f"{RESULTS}/texts/varied.csv"), read(written, PROMPTS[0])
    assert captions["caption"].nunique() > 1 and len(captions) == 6
    assert prompts["source"].tolist() == texts["image"].tolist() == captions["image"].tolist() * 2
    for image, text in zip(texts["image"], texts["text"], strict=True):
        assert text != captions.set_index("image")["caption"][image]
    assert not texts.duplicated().any()
    assert prompts["prompt"].str.startswith("large crowd, ").all() and set(prompts["width"]) == {48}


def test_prompts_on_a_topic_are_as_many_as_wanted_and_generated_images_are_captioned(written):
    prompts = read(written, PROMPTS[1])
    assert prompts["prompt"].tolist() == read(written, f"{RESULTS}/texts/scenes.csv")["text"].tolist()
    assert prompts["prompt"].nunique() == len(prompts) == 3 and set(prompts["source"]) == {""}
    assert len(read(written, GENERATED)) == 3


def test_only_what_a_setting_concerns_runs_again(written):
    def again(*settings):
        return jobs(written.run(*PROMPTS, "--dry-run", "--config", *settings).stdout)

    assert "Nothing to be done" in written.run(*PROMPTS, GENERATED, "--dry-run").stdout
    assert again("prompts={prefix: crowd}") == {"write_prompts": 2, "total": 2}
    assert again("pools={varied: {written_by: {seed: 1}}}") == {"write_texts": 1, "write_prompts": 1, "total": 2}
    assert again("captioners={chat: {max_tokens: 7}}") == {
        **{"caption_images": 1, "write_texts": 1, "write_prompts": 1, "total": 3},
    }
