"""A text-to-image model that is one file makes images through the front door. Under a minute."""

import pytest
from diffusers import StableDiffusionPipeline
from support.pipelines import save_pipeline
from support.single_files import save_single_file
from support.workflow import Workflow, jobs, tiny

RESULTS = "results/tiny"
BLOCKS = [
    f"{RESULTS}/images/black-and-white/{name}/block-00000-00001.csv" for name in ("folder", "one-file", "precise")
]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Workflow:
    """A folder in which images were made by a model in diffusers' format, and by the same as one file."""
    folder = tmp_path_factory.mktemp("one-file")
    save_pipeline(folder / "models/base")
    save_single_file(
        StableDiffusionPipeline.from_pretrained(folder / "models/base"), folder / "models/style.safetensors"
    )
    config = tiny()
    settings = {"steps": 2, "guidance": 3}
    of_file = settings | {"model": "models/style.safetensors", "base": "models/base"}
    config["generators"] = {
        "folder": settings | {"model": "models/base"},
        "one-file": of_file,
        "precise": of_file | {"precision": "bfloat16"},
    }
    config["promptmix"] = {"default": {"generator": "one-file"}}
    figure = {"kind": "colours", "pools": ["black-and-white", "grayscale"], "columns": 2}
    figures = {name: figure | {"generator": name} for name in config["generators"]}
    config |= {"experiments": {}, "tables": {}, "figures": figures}
    workflow = Workflow(folder, config)
    result = workflow.run(*BLOCKS)
    assert result.returncode == 0, result.stdout
    assert jobs(result.stdout)["convert_pipeline"] == 1  # for both
    return workflow


def test_the_images_are_those_of_the_model(made):
    images = [sorted((made / path).with_suffix("").glob("*.jpg")) for path in BLOCKS]
    assert len(images[0]) == 2
    assert [path.read_bytes() for path in images[0]] == [path.read_bytes() for path in images[1]]
    assert images[0][0].read_bytes() != images[2][0].read_bytes()


def test_preflight_and_plan_know_the_file(made):
    made.config["preflight"] = ["one-file"]
    result = made.run("preflight", "plan")
    assert "diffusion model (file)" in result.stdout and "models/style.safetensors" in result.stdout
    assert result.returncode == 0, result.stdout
    (made / "models/style.safetensors").rename(made / "style.safetensors")
    result = made.run("preflight")
    (made / "style.safetensors").rename(made / "models/style.safetensors")
    assert result.returncode and "models/style.safetensors: there is no such file. Put it there" in result.stdout


def test_another_file_makes_other_images(made):
    assert "Nothing to be done" in made.run(*BLOCKS, "-n").stdout
    pipeline = StableDiffusionPipeline.from_pretrained(made / "models/base")
    pipeline.unet.conv_out.weight.data += 1
    save_single_file(pipeline, made / "models/style.safetensors")
    counts = jobs(made.run(*BLOCKS, "-n").stdout)
    assert (counts["convert_pipeline"], counts["generate_images"]) == (1, 2)
