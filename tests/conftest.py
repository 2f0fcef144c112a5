"""Marks tests by how much they take: `workflow`, `cluster` and `slow`; what has none of these is `quick`."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent

SLOW = {
    "test_generation",
    "test_miniature_faces",
    "test_models",
    "test_faces",
    "test_depth_networks",
    "test_memory",
    "test_published",
    "test_face_parity",
    "test_depth_parity",
    "test_preflight",
    "test_training",
    "test_loop",
    "test_retrieval",
    "test_roundtrip",
}
"""Modules of tests that take several seconds each."""


def pytest_collection_modifyitems(items):
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in ("workflow", "cluster"):
            item.add_marker(getattr(pytest.mark, folder))
        elif item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
        else:
            item.add_marker(pytest.mark.quick)
