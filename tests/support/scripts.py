"""Run a rule's script as Snakemake does, but in this process and with an object made by hand in place of Snakemake's."""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run_script(name: str, **parts: Any) -> None:
    """Run `scripts/{name}.py` with these parts of Snakemake's object; `input` and `params` are dicts of their names."""
    named = {part: SimpleNamespace(**parts.pop(part, {})) for part in ("input", "params")}
    job = {"rule": name, "log": [], "threads": 1, "resources": {}, "output": [], "config": {}} | named | parts
    runpy.run_path(str(SCRIPTS / f"{name}.py"), {"snakemake": SimpleNamespace(**job)})
