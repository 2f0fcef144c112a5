"""The commands in the manuals are such as Snakemake takes."""

import re
import shlex
from pathlib import Path

import pytest
from snakemake.cli import parse_args
from support.workflow import ROOT

MANUALS = ("config/README.md", "results/README.md", "docs/cluster.md", "docs/study.md", "CONTRIBUTING.md")

YOURS = ("config/mine.yaml", "mine.yaml", "reviewed-shtb-rescsrnet-promptmix.yaml")
"""Configs that a reader writes, the second in a folder of the reader's own, or saves from a gallery."""


def commands() -> list[str]:
    """Return all commands of Snakemake in blocks of the manuals, and in their text those with words behind it."""
    found = []
    for manual in MANUALS:
        text = (ROOT / manual).read_text(encoding="utf-8").replace("\\\n", " ")
        blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
        found += re.findall(r"^[^#\n]*?\bsnakemake\b[^#\n]*", blocks, re.MULTILINE)
        found += re.findall(
            r"`((?:uv run [^`\n]*?)?snakemake [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        )
    return list(dict.fromkeys(command.strip() for command in found))


def test_the_manuals_have_commands():
    assert len(commands()) > 15


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_manuals_is_one_that_snakemake_takes(command):
    words = shlex.split(command.replace("{name}", "figure3"))
    words = words[words.index("snakemake") + 1 :]
    _, options = parse_args(words)
    runs = not (options.dryrun or options.lint or options.report)
    assert options.cores or options.workflow_profile or not runs, "--cores is missing"
    for config in options.configfile or []:
        assert str(config) in YOURS or (ROOT / config).is_file()
    assert not [target for target in options.targets if Path(target).is_dir()]


def test_the_rules_that_use_a_gpu_are_all_named():
    rules = {
        rule
        for file in (ROOT / "rules").glob("*.smk")
        if file.stem != "miniature"
        for rule, body in re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", file.read_text(), flags=re.S | re.M)
        if "gpu=1" in body
    }
    (named,) = re.findall(r"The rules that use a GPU are (.*?)\.\n", (ROOT / "docs/cluster.md").read_text(), flags=re.S)
    assert set(re.findall(r"`(\w+)`", named)) == rules
