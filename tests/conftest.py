"""Marks tests by how much they take: `workflow`, `cluster`, `fuzz` and `slow`; what has none of these is `quick`."""

import logging
from pathlib import Path

import pytest

from promptmix.running import hub

TESTS = Path(__file__).parent

SLOW = {
    "test_depth_parity",
    "test_face_parity",
    "test_memory",
    "test_models",
    "test_preflight",
    "test_published",
}
"""Modules of slow tests. Slow ones among quick ones are marked where they are."""


def pytest_addoption(parser):
    group = parser.getgroup("fuzz", "odd datasets (tests/fuzz)")
    group.addoption("--fuzz-seconds", type=float, default=60, help="time for all formats together (default: 60)")
    group.addoption("--fuzz-seed", type=int, default=1, help="of all that is drawn (default: 1)")
    group.addoption("--fuzz-case", metavar="FORMAT:MUTATIONS:SEED", help="one case alone, as a failure names it")


def pytest_collection_modifyitems(items):
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in ("workflow", "cluster", "fuzz"):
            item.add_marker(folder)
        elif item.path.stem in SLOW:
            item.add_marker("slow")
        elif not item.get_closest_marker("slow"):
            item.add_marker("quick")


@pytest.fixture(autouse=True)
def logging_as_before():
    """Undo what a job's start sets, by which other tests would see more messages than they expect."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)


@pytest.fixture(autouse=True)
def no_snapshots_of_other_tests(monkeypatch):
    """Let each test find models in the Hub's cache anew: what one found stays for the process and those it starts."""
    monkeypatch.setenv(hub.SNAPSHOTS, "{}")


@pytest.fixture
def one_thread():
    """torch with one thread: the order of additions, and so the last bit, depends on their number."""
    import torch  # most tests do without

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
