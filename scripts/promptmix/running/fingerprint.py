"""A name for the code that a rule runs, so that a change of the code reruns the rules that use it and no others.

The name covers the rule's script, every module of this project that it imports, directly or not, and the user's own
code. It does not depend on comments, docstrings and layout. Modules that decide how a job runs but not what it computes
are left out.
"""

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path

from promptmix import extensions

SCRIPTS = Path(__file__).resolve().parents[2]

WITHOUT_EFFECT = "promptmix.running"
"""The package whose modules decide how a job runs and not what it computes: changing them changes no result."""


@cache
def fingerprint(script: str, *modules: str) -> str:
    """Return 16 hexadecimal digits for `scripts/{script}.py` and all local modules that it imports.

    Args:
        script: name of the script, without its ending.
        modules: local modules whose names are known only when the script runs, such as a network's, and references to
            the user's own code (`promptmix.extensions`); the modules in its folder that it imports are covered too.

    Raises:
        InputError: a referenced file does not exist or is not Python.
    """
    digest = hashlib.sha256(_code(SCRIPTS / f"{script}.py").encode())
    for text in sorted(f"\n# {module}\n{_code(file)}" for file, module in covered(script, *modules).items()):
        digest.update(text.encode())
    return digest.hexdigest()[:16]


def covered(script: str, *modules: str) -> dict[Path, str]:
    """Return the files whose code a fingerprint names besides the script's own, with their modules; see `fingerprint`."""
    start = {(SCRIPTS, name) for name in _imports(SCRIPTS / f"{script}.py", script)}
    for module in modules:
        if extensions.is_reference(module):
            place = extensions.locate(module)
            start.add((place.folder, place.module))
        else:
            start.add((SCRIPTS, module))
    return _reachable(start)


def _reachable(modules: set[tuple[Path, str]]) -> dict[Path, str]:
    """Return the files of the given modules and of all local modules that they import, with the modules' names.

    Args:
        modules: (folder, module). Imports are looked up in that folder, such as the user's, and then in SCRIPTS.
    """
    found, waiting, seen = {}, list(modules), set()
    while waiting:
        folder, module = waiting.pop()
        if f"{module}.".startswith(f"{WITHOUT_EFFECT}.") or (folder, module) in seen:
            continue
        seen.add((folder, module))
        folder, file = next(
            ((f, file) for f in dict.fromkeys((folder, SCRIPTS)) if (file := _file(f, module))), (folder, None)
        )
        if file is None or file in found:
            continue
        found[file] = module
        inside = f"{module}.__init__" if file.name == "__init__.py" else module
        names = _imports(file, inside)
        if "site-packages" in folder.parts:  # follow imports within an installed package, not into all the others
            names = {name for name in names if name.partition(".")[0] == module.partition(".")[0]}
        waiting.extend((folder, name) for name in names)
    return found


def _file(folder: Path, module: str) -> Path | None:
    """Return the file of a local module; None for modules from elsewhere and for names that a module defines."""
    return next((file for file in extensions.candidates(folder, module) if file.is_file()), None)


@cache
def _tree(file: Path) -> ast.Module:
    tree = extensions.parse(file)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # drop docstrings, also those of attributes
            vars(node)["body"] = [line for line in body if not _is_text(line)] or [ast.Pass()]
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _code(file: Path) -> str:
    return _text(_tree(file))


def _text(node: ast.AST | list | object) -> str:
    """Return a syntax tree as a text that does not depend on Python's version, as `ast.unparse` and `ast.dump` do."""
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    # Versions differ in which empty fields a node has, so these are left out. `kind` marks u"text".
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    return f"{type(node).__name__}({', '.join(f'{name}={_text(value)}' for name, value in fields if name != 'kind')})"


@cache
def _imports(file: Path, module: str) -> set[str]:
    return extensions.imports(_tree(file), module)


if __name__ == "__main__":
    print("\n".join(sorted(covered(*sys.argv[1:]).values())))
