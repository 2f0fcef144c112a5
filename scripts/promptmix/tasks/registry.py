"""The tasks of dense regression. What differs between them is in a module named after each task, which has

predict(network, images, device)   a row per image of a `Split`: the predictions.csv of an experiment
"""

import importlib
from types import ModuleType


def module_of(task: str) -> str:
    """Return the name of a task's module; `task` is "counting" or "depth"."""
    return f"promptmix.tasks.{task}"


def load_task(task: str) -> ModuleType:
    """Return the module of "counting" or "depth"."""
    return importlib.import_module(module_of(task))
