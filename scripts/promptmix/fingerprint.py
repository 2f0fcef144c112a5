"""A name for the code that a rule runs, so that changed code reruns what it changed and nothing else.

The name covers the rule's script and every module of this project that it imports, directly or not. It is blind to
comments, docstrings and layout. Modules that decide how a job runs but not what it computes are left out.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]

WITHOUT_EFFECT = {"promptmix.job", "promptmix.devices"}
"""Modules whose changes change no result."""


@cache
def fingerprint(script: str, *modules: str) -> str:
    """Return 16 hexadecimal digits for `scripts/{script}.py` and all local modules that it imports.

    Args:
        script: name of the script, without ending.
        modules: local modules that are imported by a name only known when the script runs, such as a network's.
    """
    digest = hashlib.sha256(_code(SCRIPTS / f"{script}.py").encode())
    for module in sorted(_reachable(_imports(SCRIPTS / f"{script}.py") | set(modules))):
        digest.update(f"\n# {module}\n{_code(_file(module))}".encode())
    return digest.hexdigest()[:16]


def _reachable(modules: set[str]) -> set[str]:
    """Return the local ones of some modules, and the local modules that these import."""
    found, waiting = set(), list(modules)
    while waiting:
        module = waiting.pop()
        file = _file(module)
        if module in found or module in WITHOUT_EFFECT or file is None:
            continue
        found.add(module)
        waiting.extend(_imports(file))
    return found


def _file(module: str) -> Path | None:
    """Return the file of a local module, None for others and for names inside modules."""
    path = SCRIPTS.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


@cache
def _tree(file: Path) -> ast.Module:
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # texts that stand alone: docstrings, of attributes too
            node.body = [line for line in body if not _is_text(line)] or [ast.Pass()]
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _code(file: Path) -> str:
    return ast.unparse(_tree(file))


@cache
def _imports(file: Path) -> set[str]:
    """Return all names that a file imports, wherever the import stands: modules, and what is imported from them."""
    names = set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    # a package's __init__ runs when a module in it is imported
    return names | {".".join(name.split(".")[:i]) for name in names for i in range(1, name.count(".") + 1)}
