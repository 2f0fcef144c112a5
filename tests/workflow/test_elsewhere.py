"""The workflow from elsewhere: as a module of a second repository, and with --directory."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image
from support.workflow import ROOT, jobs, tiny

SECOND = """
configfile: "config.yaml"


rule report:
    input:
        "{prefix}tables/table1.md",
    output:
        "report.md",
    shell:
        "cp {{input}} {{output}}"


module promptmix:
    snakefile:
        "{root}/Snakefile"
    config:
        config["promptmix"]
{statement}

use rule * from promptmix as promptmix_*
"""


def snakemake(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Run `snakemake {words}` in a folder; stdout and stderr come together."""
    command = [sys.executable, "-m", "snakemake", *words, "--cores", "2"]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def second(folder: Path, config: dict, prefix: str) -> Path:
    """Write a repository that uses this one's rules with a config, part of its own, and under a prefix if it is not ""."""
    statement = f'    prefix:\n        "{prefix}"\n' if prefix else ""
    shown = f"{prefix}/" if prefix else ""
    (folder / "Snakefile").write_text(SECOND.format(root=ROOT, prefix=shown, statement=statement))
    (folder / "config.yaml").write_text(yaml.safe_dump({"mine": 1, "promptmix": config}, sort_keys=False))
    return folder


@pytest.mark.parametrize("prefix", ["", "crowds"])
def test_a_second_repository_plans_this_ones_rules(prefix, tmp_path):
    folder = second(tmp_path, tiny(), prefix)
    result = snakemake(folder, "--dry-run", "--quiet", "rules")
    assert result.returncode == 0, result.stdout
    assert "is missing, looked for" not in result.stdout
    planned = jobs(result.stdout)
    alone = tmp_path / "alone.yaml"
    alone.write_text(yaml.safe_dump(tiny()))
    words = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "alone.yaml", "--directory", "."]
    expected = jobs(snakemake(folder, "tables/table1.md", "--dry-run", "--quiet", "rules", *words).stdout)
    assert planned.pop("report") == 1
    assert planned.pop("total") == expected.pop("total") + 1
    assert {name.removeprefix("promptmix_"): count for name, count in planned.items()} == expected


def test_jobs_of_a_module_write_under_its_prefix_and_find_what_ships(tmp_path):
    folder = second(tmp_path, tiny(), "crowds")
    captions = "crowds/results/tiny/captions/shtb/clipcap.csv"
    result = snakemake(folder, captions)
    assert result.returncode == 0, result.stdout
    assert len(pd.read_csv(folder / captions)) == 6  # the training images
    assert {path.name for path in folder.iterdir()} == {"Snakefile", "config.yaml", "crowds", ".snakemake"}


def test_a_modules_config_may_extend_a_file(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(tiny()))
    folder = second(tmp_path, {"extends": "base.yaml", "scale": "mine"}, "")
    result = snakemake(folder, "results/mine/datasets/nyu/index.csv", "--dry-run", "--quiet", "rules")
    assert jobs(result.stdout) == {"promptmix_render_dataset": 1, "promptmix_prepare_dataset": 1, "total": 2}


def test_a_mistake_in_a_modules_config_is_said_to_be_there(tmp_path):
    folder = second(tmp_path, tiny() | {"scael": "mine"}, "")
    result = snakemake(folder, "--dry-run")
    assert result.returncode != 0
    assert "the module's config: scael" in result.stdout and "Did you mean 'scale'" in result.stdout


def test_the_shipped_config_and_models_are_found_from_anywhere(tmp_path):
    words = ["--snakefile", str(ROOT / "Snakefile"), "--directory", "there", "--dry-run", "--quiet", "rules"]
    (tmp_path / "there").mkdir()
    result = snakemake(tmp_path, "tables/table1.md", *words)
    assert result.returncode == 0, result.stdout
    assert "is missing, looked for" not in result.stdout
    assert jobs(result.stdout)["show_table"] == 1


def test_a_dry_run_names_what_is_missing_and_the_command_that_says_what_to_do(tmp_path):
    config = tiny()
    config["annotators"]["sasnet-shtb"]["weights"] = "models/none.pth"
    (tmp_path / "there").mkdir()
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    words = ["--snakefile", str(ROOT / "Snakefile"), "--directory", "there", "--configfile", "own.yaml"]
    result = snakemake(tmp_path, "tables/table1.md", "--dry-run", "--quiet", "rules", *words)
    assert result.returncode == 0, result.stdout
    assert f"models/none.pth is missing, looked for as {tmp_path}/there/models/none.pth" in result.stdout
    (advice,) = re.findall(r"`snakemake (.+)`", result.stdout)
    result = snakemake(tmp_path / "there", *advice.split())
    assert re.search(r"sasnet-shtb.*models/none\.pth.*MISSING", result.stdout), result.stdout


def test_a_path_may_hold_what_snakemake_takes_for_wildcards(tmp_path):
    data = tmp_path / "my {data} <here>"
    (data / "images").mkdir(parents=True)
    for i in range(8):
        Image.new("RGB", (48, 32), (i, i, i)).save(data / f"images/{i}.jpg", quality=95)
    heads = [{"image": f"{i}.jpg", "x": 10 + j, "y": 20} for i in range(8) for j in range(i + 1)]
    pd.DataFrame(heads).to_csv(data / "points.csv", index=False)
    config = tiny()
    own = {"title": "Own", "format": "points", "path": data.name, "images": {"all": 8}, "split": {"val": 2, "test": 2}}
    config["datasets"]["own"] = own
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(config))
    words = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "own.yaml", "--directory", "."]
    index = "results/tiny/datasets/own/index.csv"
    result = snakemake(tmp_path, index, *words)
    assert result.returncode == 0, result.stdout
    assert pd.read_csv(tmp_path / index)["count"].sum() == sum(range(9))
    pd.DataFrame(heads[1:]).to_csv(data / "points.csv", index=False)  # what it holds is followed all the same
    assert jobs(snakemake(tmp_path, index, "--dry-run", "--quiet", "rules", *words).stdout)["prepare_dataset"] == 1
