"""A tiny workflow that nothing has been run of, one that has made everything, and copies of that to be changed."""

import copy
import shutil

import pytest
from support.workflow import Workflow, tiny


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """A tiny workflow of which nothing has been run."""
    return Workflow(tmp_path, tiny())


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """A tiny workflow that has made all tables and figures; tests must not change it."""
    workflow = Workflow(tmp_path_factory.mktemp("tiny"), tiny())
    result = workflow.run("--resources", "gpu=2")
    assert result.returncode == 0, result.stdout
    return workflow


@pytest.fixture
def changed(finished, tmp_path) -> Workflow:
    """A copy of the finished workflow, to be changed."""
    folder = shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Workflow(folder, copy.deepcopy(finished.config))
