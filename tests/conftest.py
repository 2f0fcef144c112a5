"""Marks tests by how much they take: `workflow`, `cluster` and `slow`; what has none of these is `quick`."""

from pathlib import Path

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


def pytest_collection_modifyitems(items):
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in ("workflow", "cluster"):
            item.add_marker(folder)
        elif item.path.stem in SLOW:
            item.add_marker("slow")
        elif not item.get_closest_marker("slow"):
            item.add_marker("quick")
