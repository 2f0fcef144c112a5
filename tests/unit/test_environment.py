"""The environment: pins that agree with each other, and cover what the code imports."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DIRECT = PROJECT["project"]["dependencies"]
CONSTRAINTS = PROJECT["tool"]["uv"]["constraint-dependencies"]
LOCK = (ROOT / "requirements.lock").read_text()

NOT_IMPORTED = {
    "accelerate",  # diffusers and transformers load models with it
    "snakemake",  # runs the jobs
    "snakemake-executor-plugin-slurm",  # submits them
}


def pinned(requirements):
    """Return {(name, version)} of requirements, which must be exact."""
    found = [re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)( ; .+)?", requirement) for requirement in requirements]
    assert all(found), [r for r, match in zip(requirements, found, strict=True) if not match]
    return {(match[1], match[2]) for match in found}


def locked():
    """Return {(name, version)} of requirements.lock."""
    return pinned(line.removesuffix(" \\") for line in LOCK.splitlines() if re.match(r"[a-z]", line))


def imported(folder):
    """Return the top-level modules that the files of a folder import."""
    names = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module)
    return {name.split(".")[0] for name in names}


def distributions(modules):
    """Return the names of the third-party packages to which modules belong."""
    owners = packages_distributions()
    foreign = modules - set(sys.stdlib_module_names) - {"promptmix"}
    return {re.sub(r"[-_.]+", "-", owner).lower() for module in foreign for owner in owners[module]}


def test_what_the_code_imports_are_direct_dependencies_and_nothing_else_is():
    assert distributions(imported("scripts")) == {name for name, _ in pinned(DIRECT)} - NOT_IMPORTED


def test_conda_jobs_have_the_same_versions():
    environment = yaml.safe_load((ROOT / "envs" / "promptmix.yaml").read_text())
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pinned(pip) == {(name, version) for name, version in pinned(DIRECT) if not name.startswith("snakemake")}


def test_conda_jobs_have_a_python_that_the_project_allows():
    environment = yaml.safe_load((ROOT / "envs" / "promptmix.yaml").read_text())
    (python,) = (entry for entry in environment["dependencies"] if str(entry).startswith("python="))
    assert PROJECT["project"]["requires-python"].startswith(f">={python.removeprefix('python=')}")


def test_the_lock_holds_the_projects_pins_and_its_constraints():
    assert pinned(DIRECT) <= locked()
    assert locked() <= pinned(DIRECT) | pinned(CONSTRAINTS)


def test_direct_dependencies_are_not_constrained_a_second_time():
    direct = pinned(DIRECT) | pinned(PROJECT["dependency-groups"]["dev"])
    assert not {name for name, _ in direct} & {name for name, _ in pinned(CONSTRAINTS)}


def test_every_locked_package_has_a_hash():
    for entry in re.split(r"\n(?=[a-z])", LOCK[LOCK.index("\naccelerate") :].strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@pytest.mark.parametrize("text", [LOCK, "\n".join(CONSTRAINTS)], ids=["requirements.lock", "constraints"])
def test_no_pin_says_where_a_package_comes_from(text):
    assert "://" not in text and "index-url" not in text.replace("--no-emit-index-url", "")


@pytest.mark.parametrize("definition", ["Dockerfile", "apptainer.def"])
def test_containers_hold_the_lock_and_a_python_that_the_project_allows(definition):
    text = (ROOT / "envs" / definition).read_text()
    assert re.search(r"pip install .*--require-hashes -r /tmp/requirements\.lock", text)
    (python,) = re.findall(r"python:(\d\.\d+)-slim", text)
    (folder,) = re.findall(r"pip install .*--no-deps (/\S+)\n", text)
    for source in ("pyproject.toml", "plugin"):  # what is installed
        assert re.search(rf"^\s*(COPY )?{source} {folder}/({source})?$", text, flags=re.M)
    assert PROJECT["project"]["requires-python"].startswith(f">={python}")


def test_the_image_runs_for_a_user_that_it_does_not_know(tmp_path):
    settings = re.findall(r"^ENV (.+)$", (ROOT / "envs" / "Dockerfile").read_text(), flags=re.M)
    variables = dict(setting.split("=") for line in settings for setting in line.split())
    assert "-u " in (ROOT / "envs" / "Dockerfile").read_text()
    unknown = "import pwd\ndef getpwuid(uid): raise KeyError(uid)\npwd.getpwuid = getpwuid\n"
    run = "import sys; from snakemake.cli import main; main(sys.argv[1:])"
    (tmp_path / "Snakefile").write_text("rule all:\n    output: 'made'\n    shell: 'touch {output}'\n")
    done = subprocess.run(
        [sys.executable, "-c", unknown + run, "--cores", "1"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]} | variables | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (tmp_path / "made").exists(), done.stderr
    assert variables["HOME"] == "/tmp"  # where anyone may write


def test_only_snakemakes_plugin_is_installed():
    assert PROJECT["tool"]["uv"].get("package", True)
    backend = PROJECT["tool"]["uv"]["build-backend"]
    (module,) = (path.name for path in (ROOT / backend["module-root"]).iterdir() if path.is_dir())
    assert module == backend["module-name"] and module.startswith("snakemake_logger_plugin_")
    assert "readme" not in PROJECT["project"]  # the images are built without it


def test_github_runs_what_a_change_must_pass_with_every_python_that_the_project_allows():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["test"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    least, most = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["project"]["requires-python"]).groups())
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(least, most)]
    assert job["env"]["UV_PYTHON"] == "${{ matrix.python }}"
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["cancel-in-progress"] is True and "github.ref" in workflow["concurrency"]["group"]


def test_named_tasks_check_the_same_as_ci():
    tasks = dict(re.findall(r"^(\w+):.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.M))
    checks = tasks["lint"].replace("\t$(MAKE) types\n", tasks["types"]) + tasks["test"] + tasks["published"]
    commands = (ROOT / ".ci" / "run").read_text().partition("uv sync --quiet\n")[2].splitlines()
    assert [line for line in commands if line and not line.startswith("#")] == checks.replace("\t", "").splitlines()


def test_the_catalog_finds_what_it_asks_for():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True
    assert (ROOT / "config" / "README.md").is_file() and (ROOT / "Snakefile").is_file()
