"""What a violation of a JSON Schema means to the person who wrote the file.

In a schema, `title` ends the sentence "... is not ...", and `description` follows "... is missing:".
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jsonschema import ValidationError

from promptmix.errors import did_you_mean

KINDS = {str: "text", int: "number", float: "number", list: "list", dict: "section"}


def explain(error: ValidationError, whole: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a violation means: where, what is wrong, what was expected.

    Several violations may yield the same text, such as one for each of two missing keys.

    Args:
        error: by jsonschema, or of a keyword of our own, whose message is complete.
        whole: the schema.
    """
    value, schema, found = error.instance, error.schema, error.validator_value
    is_name = "propertyNames" in error.absolute_schema_path
    where = path_of((*error.absolute_path, value) if is_name else error.absolute_path)
    if error.validator == "additionalProperties":
        known = schema["properties"]
        for key in (key for key in value if key not in known):
            place = path_of((*error.absolute_path, key))
            yield f"{place} is not a key. Known keys: {listed(known)}.{did_you_mean(key, known)}"
    elif error.validator == "required":
        for key in (key for key in found if key not in value):
            yield f"{path_of((*error.absolute_path, key))} is missing{_meaning(error, key, whole)}"
    elif error.validator == "oneOf":
        if not isinstance(value, dict):
            return  # which is an error of its own
        keys = [key for branch in found for key in branch["required"]]
        given = " and ".join(f"'{key}'" for key in keys if key in value) or "none"
        yield f"{where}: expected exactly one of {' and '.join(repr(key) for key in keys)}, found {given}"
    elif error.validator == "names":
        yield f"{where}: {error.message}"
    elif error.validator == "enum":
        yield f"{where}: {shown(value)} is not {schema['title']}. Known: {listed(found)}.{did_you_mean(value, found)}"
    elif error.validator == "uniqueItems":
        twice = next(item for i, item in enumerate(value) if item in value[:i])
        yield f"{where}: {shown(twice)} is there twice"
    elif error.validator == "minItems" and not value:
        yield f"{where}: the list is empty; expected one entry or more"
    else:
        kind = f" ({KINDS[type(value)]})" if error.validator == "type" and type(value) in KINDS else ""
        yield f"{where}: {shown(value)}{kind} is not {_wanted(schema)}{_hint(value, error)}"


def target_of(reference: str, whole: Mapping[str, Any]) -> dict:
    """Return the part of a schema that a `$ref` in it refers to."""
    found: Any = whole
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def path_of(parts: Collection[str | int]) -> str:
    """Return a place in a file: tables.table4.rows[1].k; positions in lists count from 0."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "the top level"


def shown(value: Any) -> str:
    """Return a value as a message quotes it, long ones cut."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(names: Collection[str]) -> str:
    """Return names as a message lists them."""
    return ", ".join(sorted(names)) or "none"


def _meaning(error: ValidationError, key: str, whole: Mapping[str, Any]) -> str:
    """Return what a missing key means: its description in the section that asks for it, or in the one around that."""
    layers = found = [whole]
    for part in error.absolute_schema_path:
        inner = [layer[part] for layer in layers if isinstance(layer, list) or part in layer]
        layers = [layer for schema in inner for layer in _layers(schema, whole)]
        found = [*layers, *found]
    nodes = [
        layer
        for section in found
        if isinstance(section, dict)
        for layer in _layers(section.get("properties", {}).get(key, {}), whole)
    ]
    description = next((node["description"] for node in nodes if "description" in node), "")
    return f": {description[0].lower()}{description[1:]}" if description else ""


def _layers(schema: Any, whole: Mapping[str, Any]) -> list:
    """Return a part of the schema, and the definitions that it refers to, if any."""
    layers = [schema]
    while isinstance(layers[-1], dict) and "$ref" in layers[-1]:
        layers.append(target_of(layers[-1]["$ref"], whole))
    return layers


def _wanted(schema: Mapping[str, Any]) -> str:
    return schema.get("title") or {"object": "a section of keys and values", "array": "a list"}[schema["type"]]


def _hint(value: Any, error: ValidationError) -> str:
    """Return how to write a number that YAML has read as text."""
    if error.validator != "type" or error.validator_value not in ("number", "integer") or not isinstance(value, str):
        return ""
    try:
        float(value)
    except ValueError:
        return ""
    return ". YAML reads 1e-4 as text; write 1.0e-4" if "e" in value.lower() else ". Take away the quotes"
