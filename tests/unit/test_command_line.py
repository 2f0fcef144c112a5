"""Where targets may stand on Snakemake's command line: anywhere, once the project is installed."""

import importlib.util
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake import cli
from snakemake.settings.types import Quietness

ROOT = Path(__file__).parents[2]

PLUGIN = "snakemake_logger_plugin_promptmix"

T1, T2 = "tables/table1.md", "tables/table2.md"


@pytest.fixture(scope="module")
def parser():
    """Snakemake's parser as its users have it, with the plugins that are installed."""
    assert importlib.util.find_spec(PLUGIN), "the project is not installed: uv sync"
    return cli.get_argument_parser()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with configs and a finished table."""
    monkeypatch.chdir(tmp_path)
    for file in ("own.yaml", "more.yml", "config", T1):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()


LINES = {
    # The line on the project's card, and others that Snakemake's own parser fails at.
    f"--cores 8 --resources gpu=2 {T1}": {"targets": [T1], "cores": 8},
    f"--resources gpu=2 mem_mb=900 {T1} {T2} --cores 8": {"targets": [T1, T2]},
    f"--cores 8 --res gpu=2 {T1} -n": {"targets": [T1], "dryrun": True},
    f"--cores 8 --resource gpu=2 {T1}": {"targets": [T1]},
    "--cores 8 --resources gpu=2 all": {"targets": ["all"]},
    f"--resources gpu=2 {T1} mem_mb=900": {"targets": [T1]},
    f"--set-threads train_network=2 {T1}": {"targets": [T1]},
    f"--set-resources train_network:mem_mb=900 {T1}": {"targets": [T1]},
    f"--default-resources mem_mb=900 {T1}": {"targets": [T1]},
    f"--groups train_network=a {T1}": {"targets": [T1], "groups": {"train_network": "a"}},
    f"--config seed=1 scale=own {T1}": {"targets": [T1], "config": ["seed=1", "scale=own"]},
    f"-C seed=1 {T1}": {"targets": [T1], "config": ["seed=1"]},
    f"--configfile own.yaml {T1}": {"targets": [T1], "configfile": [Path("own.yaml")]},
    f"--configfile own.yaml more.yml {T2} -n": {"targets": [T2], "configfile": [Path("own.yaml"), Path("more.yml")]},
    f"--configfiles own.yaml config {T2}": {"targets": [T2], "configfile": [Path("own.yaml"), Path("config")]},
    "--configfile own.yaml preflight": {"targets": ["preflight"], "configfile": [Path("own.yaml")]},
    f"--quiet {T1}": {"targets": [T1], "quiet": {Quietness.PROGRESS, Quietness.RULES}},
    f"--quiet rules progress {T1}": {"targets": [T1], "quiet": {Quietness.PROGRESS, Quietness.RULES}},
    f"-nq rules {T1}": {"targets": [T1], "quiet": {Quietness.RULES}, "dryrun": True},
    f"--rerun-triggers mtime {T1}": {"targets": [T1]},
    f"--sdm conda {T1}": {"targets": [T1]},
    f"--logger promptmix {T1}": {"targets": [T1], "logger": ["promptmix"]},
    f"--dag {T1}": {"targets": [T1], "dag": "dot"},
    f"{T1} --cores 8 {T2}": {"targets": [T1, T2]},
    f"--resources gpu=2 {T1} -- {T2}": {"targets": [T1, T2]},
    # Behind rules, a path is a target where there is no other.
    f"--forcerun train_network {T1}": {"targets": [T1], "forcerun": {"train_network"}},
    f"-R train_network mix_dataset {T1} --cores 8": {"targets": [T1], "forcerun": {"train_network", "mix_dataset"}},
    f"--until mix_dataset {T1}": {"targets": [T1], "until": {"mix_dataset"}},
    f"--omit-from train_network {T1} {T2}": {"targets": [T1, T2], "omit_from": {"train_network"}},
    f"--allowed-rules write_table show_table {T1}": {"targets": [T1], "allowed_rules": ["write_table", "show_table"]},
}

KEPT = {
    # An option's own words stay with it.
    f"{T1} --cores 8 --resources gpu=2": {"targets": [T1]},
    f"--cores 8 --resources gpu=2 -- {T1}": {"targets": [T1]},
    f"--resources gpu=2 --cores 8 {T1}": {"targets": [T1], "cores": 8},
    f"--forcerun a.csv {T1}": {"targets": [], "forcerun": {"a.csv", T1}},
    f"{T2} --forcerun train_network {T1}": {"targets": [T2], "forcerun": {"train_network", T1}},
    f"--forcerun {T1}": {"targets": [], "forcerun": {T1}},
    "--until train_network mix_dataset": {"targets": [], "until": {"train_network", "mix_dataset"}},
    "--quiet rules": {"targets": [], "quiet": {Quietness.RULES}},
    "--quiet all": {"targets": [], "quiet": {Quietness.ALL}},
    "--configfile own.yaml typo.yaml": {"targets": [], "configfile": [Path("own.yaml"), Path("typo.yaml")]},
    "--config prompts=a/b.txt": {"targets": [], "config": ["prompts=a/b.txt"]},
    f"-j8 {T1}": {"targets": [T1]},
    f"--cores=8 {T1}": {"targets": [T1], "cores": 8},
    f"--wait-for-files a.csv {T1}": {"targets": [], "wait_for_files": {"a.csv", T1}},
    f"--report report.html {T1}": {"targets": [T1], "report": Path("report.html")},
    "": {"targets": []},
}


@pytest.mark.parametrize(("line", "expected"), (LINES | KEPT).items())
def test_targets_may_stand_anywhere_and_options_keep_what_is_theirs(line, expected, parser, folder):
    args = parser.parse_args(shlex.split(line))
    found = {key: getattr(args, key) for key in expected}
    found["targets"] = list(args.targets)
    assert found == expected


@pytest.mark.parametrize("line", KEPT)
def test_what_snakemake_itself_reads_is_read_as_by_snakemake(line, parser, folder):
    words = shlex.split(line)
    found, by_snakemake = vars(parser.parse_args(words)), vars(sys.modules[PLUGIN]._parse_args(parser, words))
    assert [
        key for key in found if repr(found[key]).split(" at 0x")[0] != repr(by_snakemake[key]).split(" at 0x")[0]
    ] == []


def test_a_path_behind_rules_is_said_to_be_taken_as_a_target(parser, capsys):
    parser.parse_args(["--forcerun", "evaluate_network", "figures/figure3.png"])
    assert "Taken as targets: figures/figure3.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        f"--resources gpu=2 {T1} --mode subprocess",  # a job's
        f"--unknown --resources gpu=2 {T1}",
        f"--cores -1 {T1}",
        "--resources gpu",  # Snakemake says what is wrong with a word that the option must have
        f"--resources {T1}",
        f"--configfile {T1}",
    ],
)
def test_what_is_not_understood_stays_as_it_is(line, parser):
    assert sys.modules[PLUGIN].in_order(parser, shlex.split(line)) == shlex.split(line)


# --- As users type it ---


def snakemake(line):
    """Run `snakemake {line}` in the repository, as a dry run."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", *shlex.split(line)], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "line",
    [
        f"--cores 8 --resources gpu=2 {T1}",
        f"--cores 8 --configfile config/config.yaml --config seed=42 {T1} --quiet reason",
        f"--cores 8 --forcerun write_table --quiet rules {T1}",
        f"--cores 8 --until render_dataset {T1} --resources gpu=2",
    ],
)
def test_the_command_on_the_projects_card_makes_that_table_and_no_other(line):
    done = snakemake(line)
    assert done.returncode == 0, done.stderr
    stats = done.stdout + done.stderr
    assert "render_dataset" in stats
    assert "write_cost_table" not in stats and "show_figure" not in stats


def test_the_display_can_be_named_as_a_logger():
    done = snakemake(f"--cores 1 --logger promptmix --quiet rules --resources gpu=2 {T1}")
    assert done.returncode == 0, done.stderr
    assert "render_dataset" in done.stdout and "This was a dry-run" in done.stdout
