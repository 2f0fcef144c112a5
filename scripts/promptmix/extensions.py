"""The user's own code, outside this repository; configs name it as `my_counter.py:count` or `my_package.counter:count`.

Checks read the source and do not run it: Snakemake makes them at every start, without importing torch.
"""

import ast
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from promptmix.errors import InputError, did_you_mean

KINDS = {"function": ast.FunctionDef, "class": ast.ClassDef}

CALLERS = (f"{Path(__file__).parent}/", "importlib")
"""Texts that mark a file in a traceback as one of this package or of importlib, and not the user's."""


class Place(NamedTuple):
    """Where code is: a file, the folder from which it imports, its module's name from there, and a name in it."""

    file: Path
    folder: Path
    module: str
    name: str


class Arguments(NamedTuple):
    """A function's arguments without `self`: all names, those without a default, and whether it takes any others."""

    known: list[str]
    required: list[str]
    others: bool


def is_reference(name: str) -> bool:
    """Return whether a name refers to the user's own code, and not to something in this project."""
    return ":" in name


def locate(reference: str) -> Place:
    """Return where the code is that a reference names. Nothing is imported.

    Args:
        reference: "<file>:<name>" with a file relative to the working directory, or "<module>:<name>" with a module
            there or on PYTHONPATH.

    Raises:
        InputError: no such file or module.
    """
    source, _, name = reference.rpartition(":")
    file = Path(source).expanduser()
    if file.suffix == ".py":
        if not file.is_file():
            known = [path.name for path in file.parent.glob("*.py")] if file.parent.is_dir() else []
            looked = "" if file.is_absolute() else f", looked for as {file.absolute()}"
            hint = "" if file.is_absolute() else " A relative path starts in the folder in which snakemake runs."
            raise InputError(f"{source}: no such file{looked}.{hint}{did_you_mean(file.name, known)}")
        file = file.resolve()
        return Place(file, file.parent, file.stem, name)
    if not all(part.isidentifier() for part in source.split(".")):
        raise InputError(f"'{source}' is neither a file that ends in .py nor the name of a module")
    for folder in (Path.cwd(), *map(Path, sys.path)):
        for file in candidates(folder.resolve(), source):
            if file.is_file():
                return Place(file, folder.resolve(), source, name)
    raise InputError(
        f"no module '{source}' in {Path.cwd()} or on PYTHONPATH. Add its folder to PYTHONPATH, or name its file, such "
        f"as {source.replace('.', '/')}.py"
    )


def check(reference: str, kind: str) -> Arguments | None:
    """Check in the source that a reference names something, and return the arguments it takes.

    Args:
        reference: see `locate`.
        kind: what is expected, "function" or "class".

    Returns:
        The arguments; those of `__init__` for a class. None where the source does not show them: the name is imported,
        assigned or decorated, or the class inherits its `__init__`.

    Raises:
        InputError: no such file or module, a file that is not Python, no such name in it, or a name of the other kind.
    """
    place = locate(reference)
    tree = parse(place.file)
    bound = dict(_find_bound(tree.body))
    if place.name not in bound:
        if "*" in bound:
            return None
        known = [name for name, node in bound.items() if isinstance(node, KINDS[kind])]
        listed = f"{'es' if kind == 'class' else 's'} there: {', '.join(sorted(known)) or 'none'}"
        raise InputError(
            f"{place.file} has no {kind} '{place.name}'. {kind.capitalize()}{listed}.{did_you_mean(place.name, known)}"
        )
    node = bound[place.name]
    for other, wrong in KINDS.items():
        if isinstance(node, wrong) and other != kind:
            raise InputError(f"'{place.name}' in {place.file} is a {other}; expected a {kind}")
    if node is None or node.decorator_list:
        return None
    if kind == "class":
        node = dict(_find_bound(node.body)).get("__init__")
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            return None
    return _arguments(node.args, skip=kind == "class")


def find_constant(reference: str, name: str) -> Any:
    """Return the constant that a class has under a name, as its source says.

    Args:
        reference: to the class, see `locate`.
        name: of the class's attribute.

    Returns:
        the constant; None if the class surely has none; `...` where the source does not show it: it is computed, set
        elsewhere, or perhaps inherited from a class in another file.
    """
    place = locate(reference)
    tree = parse(place.file)
    stored = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    if any(node.attr == name for node in stored) or "setattr" in ast.dump(tree):
        return ...
    return _constant(tree, place.name, name)


def _constant(tree: ast.Module, kind: str, name: str) -> Any:
    """Return the same as `find_constant`, for the class `kind` of a module in which no attribute of the name is set."""
    node = dict(_find_bound(tree.body)).get(kind)
    if not isinstance(node, ast.ClassDef) or node.decorator_list or node.keywords:
        return ...
    for line in reversed(node.body):
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        if isinstance(target, ast.Name) and target.id == name:
            try:
                return ast.literal_eval(line.value) if isinstance(line, ast.Assign | ast.AnnAssign) else ...
            except (ValueError, TypeError):  # it is computed, or only annotated
                return ...
    if name in dict(_find_bound(node.body)):
        return ...
    for base in node.bases:
        if ast.unparse(base) not in ("nn.Module", "torch.nn.Module"):
            found = _constant(tree, ast.unparse(base), name)
            if found is not None:
                return found
    return None


def load(reference: str) -> Any:
    """Import the user's code, once, and return what a reference names. The code imports from its own folder first.

    Raises:
        InputError: the file, module or name does not exist, or cannot be imported.
    """
    place = locate(reference)
    with attribute_errors(reference, "cannot be imported"):
        if str(place.folder) not in sys.path:
            sys.path.insert(0, str(place.folder))
        module = _import_file(place.file) if ".py:" in reference else importlib.import_module(place.module)
    _check_siblings(place)
    if not hasattr(module, place.name):
        raise InputError(f"{place.file} has no '{place.name}'")
    return getattr(module, place.name)


@cache
def _import_file(file: Path) -> ModuleType:
    """Import a file as a module, under a unique name, since two files may have the same name."""
    name = f"{file.stem}_{sha256(bytes(file)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses, for one, look it up here
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_siblings(place: Place) -> None:
    """Raise an InputError if a module beside the file, which it imports, is shadowed by another one already loaded."""
    for name in {name.partition(".")[0] for name in imports(parse(place.file), place.module)}:
        beside = next((file for file in candidates(place.folder, name) if file.is_file()), None)
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if beside is not None and loaded is not None and Path(loaded).resolve() != beside.resolve():
            raise InputError(
                f"{place.file} imports '{name}', which is beside it, but another module of that name is already "
                f"loaded: {loaded}. Rename {beside.name}"
            )


@contextmanager
def attribute_errors(reference: str, what: str) -> Iterator[None]:
    """Turn an error in the user's code into an InputError that names the code, with the traceback from that code on.

    Args:
        reference: names the code that the `with` block calls.
        what: what follows the reference in the message, such as "failed on 4 images".
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        trace = error.__traceback__
        while trace is not None and any(part in trace.tb_frame.f_code.co_filename for part in CALLERS):
            trace = trace.tb_next
        text = "".join(traceback.format_exception(type(error), error, trace)).rstrip()
        raise InputError(f"{reference} {what}:\n{text}") from error


# --- Reading source code ---


def parse(file: Path) -> ast.Module:
    """Return a file's syntax tree.

    Raises:
        InputError: the file is not Python.
    """
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if getattr(error, "lineno", None) else ""
        raise InputError(f"{file}{line}: not Python: {getattr(error, 'msg', error)}") from None


def imports(tree: ast.Module, module: str) -> set[str]:
    """Return all names that a module imports when it runs, anywhere in its code: modules, and names from modules.

    Args:
        tree: the module's syntax tree.
        module: its name, from which relative imports start; for a package, with `.__init__` at the end.
    """
    names = set()
    for node in _walk_executed(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            source = ".".join([*package, *([node.module] if node.module else [])])
            names |= {".".join(filter(None, (source, alias.name))) for alias in node.names} | {source}
    # a package's __init__ runs when a module in it is imported
    names |= {".".join(name.split(".")[:i]) for name in names for i in range(1, name.count(".") + 1)}
    return names - {""}


def _walk_executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a syntax tree except those that only a type checker sees, the bodies of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for line in child.orelse:
                yield from _walk_executed(line)
                yield line
            continue
        yield child
        yield from _walk_executed(child)


def candidates(folder: Path, module: str) -> tuple[Path, Path]:
    """Return the two paths that a module may have in a folder: as a file, and as a package."""
    path = folder.joinpath(*module.split("."))
    return path.with_suffix(".py"), path / "__init__.py"


def _find_bound(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST | None]]:
    """Yield the names that statements bind, with their definition or None; "*" stands for names bound elsewhere."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((alias.asname or alias.name.partition(".")[0], None) for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (inner for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name))
            yield from ((name.id, None) for name in names)
        else:  # with, if, try, for: any of their branches
            for block in ("body", "orelse", "finalbody"):
                yield from _find_bound(getattr(node, block, []))
            for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
                yield from _find_bound(part.body)


def _arguments(given: ast.arguments, skip: bool) -> Arguments:
    positional = [argument.arg for argument in (*given.posonlyargs, *given.args)][skip:]
    required = positional[: len(positional) - len(given.defaults)] if given.defaults else list(positional)
    named = [argument.arg for argument in given.kwonlyargs]
    required += [name for name, default in zip(named, given.kw_defaults, strict=True) if default is None]
    return Arguments([*positional, *named], required, bool(given.kwarg))
