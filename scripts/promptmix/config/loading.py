"""Read a config, together with what it extends.

A config may say `extends: design.yaml`, a path relative to it. What it says itself then overrides what that file says:
sections are merged key by key, lists and values are replaced, and null takes away what the other file says. A null that
has nothing to take away stays, for the schema to judge: it may be a misspelt name. `restorer: null` always stays: it
says that faces are not restored, whatever `promptmix` says.
"""

import copy
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from promptmix.errors import InputError

EXTENDS = "extends"

WITH_NULL = ("restorer",)
"""Keys for which null is a value."""

REMOVED = ...
"""Marks what null has taken away until all files are read. No YAML can hold it."""

PLACES = re.compile(r"^[^\s:]+|(?<= )[\w-]+(?:\.[\w-]+|\[\d+\])+(?=:| \()")
"""The places that a problem names: it begins with one, and others end with a colon or have their value after them."""

OPTION = "--config"
"""Snakemake's option. It passes all that is inside a section or a list on as text."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C, where PyYAML has it, takes a tenth of the time."""


def load(
    files: Iterable[str | Path], over: Mapping[str, Any] | None = None, called: str = OPTION
) -> tuple[dict, dict[str, Mapping]]:
    """Return a config as its files and what they extend say, and what each of these files says, in the order in which they override each other.

    Args:
        files: a later one overrides an earlier one.
        over: what overrides all files, such as `--config`. It may be Snakemake's config, which repeats the files.

    Raises:
        InputError: a file that is missing or is not YAML, or that extends itself.
    """
    said: dict[str, Mapping] = {}
    config: dict = {}
    plain: dict = {}  # without what the files extend, as Snakemake reads them
    for file in files:
        chain = _chain(Path(file))
        for name, content in chain:
            said[str(name)] = content
            config = merge(config, content)
        plain = merge(plain, chain[-1][1])
    if differing := _differing(over or {}, plain):
        if called == OPTION:
            differing = {key: _read_values(value) for key, value in differing.items()}
        said[called] = differing
        config = merge(config, differing)
    config.pop(EXTENDS, None)
    return _without_removed(config), said


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two sections as one; see the module's docstring. What null has taken away is `REMOVED`."""
    merged = copy.deepcopy(dict(below))
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        elif value is None and key in merged and key not in WITH_NULL:
            merged[key] = REMOVED
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def source_of(problem: str, said: Mapping[str, Mapping], given: Collection[str]) -> str:
    """Return the file and the line that a problem is about, such as "config/mine.yaml:12".

    Of the places that it names, it is the one that the last file says: "tables.table1.rows[0]: promptmix.shtb.r_mix: ..."
    is about a row of the design, which is right, and a number in a file that extends it.

    Args:
        problem: begins with a place, such as "datasets.shtb.path"; see `PLACES`.
        said: what each file says, in the order in which they override each other.
        given: the files that were named, each after those that it extends.
    """
    places = [place.replace("[", ".").replace("]", "").split(".") for place in PLACES.findall(problem)]
    found, parts = "", places[0]
    for file, content in said.items():
        for place in places:
            if _depth(content, place) == len(place):
                found, parts = file, place
    if not found:  # it is missing in the first file that should say it, and not in what is laid over that
        depths = {file: _depth(content, parts) for file, content in said.items()}
        for file, depth in depths.items():
            found = file if depth == max(depths.values()) else found
            if found and file in given:
                break
    if not Path(found).is_file():  # the command line, or the workflow that uses this one as a module
        return found
    line = _line(yaml.compose(Path(found).read_text(encoding="utf-8"), LOADER), parts)
    return f"{found}:{line}" if line else found


def read_yaml(file: str | Path) -> Any:
    """Return what a YAML file holds.

    Raises:
        InputError: no such file, or it is not YAML.
    """
    try:
        return yaml.load(Path(file).read_text(encoding="utf-8"), Loader=LOADER)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}). Check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not YAML: {error}") from None


def _chain(file: Path, above: tuple[Path, ...] = ()) -> list[tuple[Path, Mapping]]:
    """Return what a file extends, the farthest first, and the file itself, each with its content."""
    content = read_yaml(file)
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        raise InputError(f"{file}: holds a {type(content).__name__}; expected a section of keys and values")
    try:
        json.dumps(content, default=str, skipkeys=True)
    except ValueError:
        raise InputError(f"{file}: an alias (*) is within what it stands for; write out what is meant") from None
    extended = content.get(EXTENDS)
    if extended is None:
        return [(file, content)]
    if not isinstance(extended, str):
        raise InputError(f"{file}: extends: {extended!r} is not the path of a config, such as design.yaml")
    other = file.parent / extended
    if other.resolve() in {path.resolve() for path in (*above, file)}:
        raise InputError(f"{file}: extends {extended}, which extends this file; leave one of the two out")
    if not other.is_file():
        raise InputError(f"{file}: extends: '{extended}', but there is no {other}. The path starts beside {file.name}")
    return [*_chain(other, (*above, file)), (file, content)]


def _differing(over: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not as the files say: Snakemake's config holds their content too."""
    found = {}
    for key, value in over.items():
        here = config.get(key)
        if isinstance(value, Mapping) and isinstance(here, Mapping):
            if inner := _differing(value, here):
                found[key] = inner
        elif value != here and (value, here) != (None, REMOVED):
            found[key] = value
    return found


def _read_values(value: Any) -> Any:
    """Return what YAML makes of the texts in a section or a list: numbers, flags and null are no texts."""
    if isinstance(value, Mapping):
        return {key: _read_value(inner) for key, inner in value.items()}
    return [_read_value(inner) for inner in value] if isinstance(value, list) else value


def _read_value(value: Any) -> Any:
    if not isinstance(value, str):
        return _read_values(value)
    try:
        found = yaml.load(value, LOADER)
    except yaml.YAMLError:
        return value
    return found if found is None or isinstance(found, bool | int | float) else value


def _without_removed(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section without what null has taken away."""
    return {
        key: _without_removed(value) if isinstance(value, Mapping) else value
        for key, value in section.items()
        if value is not REMOVED
    }


def _depth(content: Any, parts: list[str]) -> int:
    """Return how many steps of the way to a place a file's content has."""
    for depth, part in enumerate(parts):
        if isinstance(content, Mapping) and part in content:
            content = content[part]
        elif isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        else:
            return depth
    return len(parts)


def _line(node: yaml.Node | None, parts: list[str]) -> int | None:
    """Return the line of a place in a YAML document, or of the nearest section around it; None if it has neither."""
    line = None
    for part in parts:
        if isinstance(node, yaml.MappingNode):
            keys = dict(_keys(node))
            if part not in keys:
                return line
            key, node = keys[part]
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            key = node = node.value[int(part)]
        else:
            return line
        line = key.start_mark.line + 1
    return line


def _keys(node: yaml.MappingNode) -> Iterator[tuple[str, tuple[yaml.Node, yaml.Node]]]:
    """Yield the keys of a section with their nodes and values, first those that `<<` takes over from others."""
    for key, value in node.value:
        if key.value == "<<":
            for other in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from _keys(other)
    yield from ((key.value, (key, value)) for key, value in node.value)
