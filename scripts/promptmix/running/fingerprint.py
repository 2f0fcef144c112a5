"""A name for the code that a rule runs, so that changed code reruns what it changed and nothing else.

The name covers the rule's script and every module of this project that it imports, directly or not, and a user's own
code. It is blind to comments, docstrings and layout. Modules that decide how a job runs but not what it computes are left
out.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

from promptmix import extensions

SCRIPTS = Path(__file__).resolve().parents[2]

WITHOUT_EFFECT = "promptmix.running"
"""The package whose modules decide how a job runs and not what it computes: their changes change no result."""


@cache
def fingerprint(script: str, *modules: str) -> str:
    """Return 16 hexadecimal digits for `scripts/{script}.py` and all local modules that it imports.

    Args:
        script: name of the script, without ending.
        modules: local modules that are imported by a name only known when the script runs, such as a network's, and
            references to a user's own code (`promptmix.extensions`). Of that, the modules beside it count too.

    Raises:
        InputError: a reference to nothing, or to what is not Python.
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
    """Return the files of some modules and of the local modules that these import, with the modules' names.

    Args:
        modules: each with the folder that it is imported from. A user's code finds its own folder's modules first.
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
        if "site-packages" in folder.parts:  # of an installed package, not of all that is installed
            names = {name for name in names if name.partition(".")[0] == module.partition(".")[0]}
        waiting.extend((folder, name) for name in names)
    return found


def _file(folder: Path, module: str) -> Path | None:
    """Return the file of a local module, None for others and for names inside modules."""
    return next((file for file in extensions.candidates(folder, module) if file.is_file()), None)


@cache
def _tree(file: Path) -> ast.Module:
    tree = extensions.parse(file)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # texts that stand alone: docstrings, of attributes too
            node.body = [line for line in body if not _is_text(line)] or [ast.Pass()]
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _code(file: Path) -> str:
    return _text(_tree(file))


def _text(node: ast.AST | list | object) -> str:
    """Return a syntax tree as a text that is the same in all versions of Python; `ast.unparse` and `ast.dump` are not."""
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    # Which fields there are differs; those that are empty say nothing. `kind` is that of u"text".
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    return f"{type(node).__name__}({', '.join(f'{name}={_text(value)}' for name, value in fields if name != 'kind')})"


@cache
def _imports(file: Path, module: str) -> set[str]:
    return extensions.imports(_tree(file), module)
