"""The configuration: is it right?

Snakemake imports this at every start, so it imports little: no torch, and the networks' settings are read from their
source.
"""

import ast
import json
import math
import re
from collections.abc import Collection, Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from promptmix import extensions
from promptmix.config.plan import COLUMNS, NO_SETTINGS, ROLES, Plan
from promptmix.config.pools import expand
from promptmix.errors import InputError, did_you_mean
from promptmix.networks import registry as networks

SCHEMA = Path(__file__).resolve().parents[3] / "config" / "schemas" / "config.schema.yaml"

SHOWN = 10
"""Problems that are reported at once."""

NOUNS = {
    "datasets": "a dataset",
    "captioners": "a captioner",
    "pools": "a pool",
    "generators": "a generator",
    "restorers": "a restorer",
    "annotators": "an annotator",
    "networks": "a network",
    "experiments": "an experiment",
}
"""The sections whose entries are named elsewhere in the config, and what an entry is called."""

WITHOUT_SPLIT = ("panda", "nyu")
"""Formats of datasets whose authors leave the split to others."""

WITH_EITHER = ("points", "coco", "depth_maps")
"""Formats of datasets that may have a split or not."""

NOT_RENDERED_FROM = {"shanghaitech": ("rooms",), "nyu": ("part", "locations", "people", "quality")}
"""Keys of `render` that a format has no use for; the others have none for `part` and `rooms`."""

TASK_SHOWN = {"table1": "counting", "table2": "depth", "table3": "counting", "figure3": "counting", "figure4": "depth"}
"""What the datasets are for that a table or figure shows; the other tables show either."""

KINDS = {str: "text", int: "number", float: "number", list: "list", dict: "section"}


def check(config: dict, source: str = "config/config.yaml") -> None:
    """Check a config, and fill in the defaults of what it leaves out, in place.

    Args:
        config: as read from YAML.
        source: what messages call it.

    Raises:
        InputError: one line per problem, at most `SHOWN`: where, what is wrong, what was expected.
    """
    problems = list(_unquoted(config))
    if not problems:
        errors = sorted(_validator().iter_errors(config), key=lambda error: _position(config, error.absolute_path))
        # Some errors say the same, such as one for each of two missing keys.
        problems = list(dict.fromkeys(line for error in errors for line in _explain(error)))
        problems += _References(config, {tuple(error.absolute_path)[:2] for error in errors}).problems()
    if problems:
        lines = [f"{source}: {problem}" for problem in problems[:SHOWN]]
        if len(problems) > SHOWN:
            lines.append(f"{source}: {len(problems) - SHOWN} more")
        raise InputError("\n".join(lines))
    _fill(config, _schema())


def as_text(value: Any) -> str:
    """Return JSON with sorted keys: equal values are equal texts, so that a rule's parameter only changes with them."""
    return json.dumps(value, sort_keys=True)


# --- Does it fit the schema? ---


@cache
def _schema() -> dict:
    # The loader in C, where PyYAML has it, takes a tenth of the time.
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _target(schema: dict) -> dict:
    """Return the definition that a part of the schema refers to."""
    target = _schema()
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return target


def _whole(schema: Any) -> Any:
    """Return a part of the schema together with the definition that it refers to, if it does."""
    return _target(schema) | schema if isinstance(schema, dict) and "$ref" in schema else schema


@cache
def _validator() -> Draft202012Validator:
    """Return a validator for which 4.0 is no whole number, and infinity no number."""

    def whole(_, value) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def number(_, value) -> bool:
        return whole(_, value) or (isinstance(value, float) and math.isfinite(value))

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": whole, "number": number})
    return validators.extend(Draft202012Validator, type_checker=checker)(_schema())


def _unquoted(value: Any, where: tuple = ()) -> Iterator[str]:
    """Yield a problem for each key that YAML did not read as text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield f"{_path(where)}: the key {_show(key)} is no text; put it in quotes"
            yield from _unquoted(inner, (*where, key))


def _explain(error: ValidationError) -> Iterator[str]:
    """Yield what a violation of the schema means to the person who wrote the config."""
    value, schema = error.instance, error.schema
    is_name = "propertyNames" in error.absolute_schema_path
    where = _path((*error.absolute_path, value) if is_name else error.absolute_path)
    if error.validator == "additionalProperties":
        known = schema["properties"]
        for key in value:
            if key not in known:
                place = _path((*error.absolute_path, key))
                yield f"{place} is not a key. Known keys: {_list(known)}.{did_you_mean(key, known)}"
    elif error.validator == "required":
        for key in error.validator_value:
            if key not in value:
                yield f"{_path((*error.absolute_path, key))} is missing{_meaning(error, key)}"
    elif error.validator == "oneOf":
        if not isinstance(value, dict):
            return  # which is an error of its own
        keys = [key for branch in error.validator_value for key in branch["required"]]
        found = " and ".join(f"'{key}'" for key in keys if key in value) or "none"
        yield f"{where}: expected exactly one of {' and '.join(repr(key) for key in keys)}, found {found}"
    elif error.validator == "enum":
        known = error.validator_value
        yield f"{where}: {_show(value)} is not {schema['title']}. Known: {_list(known)}.{did_you_mean(value, known)}"
    elif error.validator == "uniqueItems":
        twice = next(item for i, item in enumerate(value) if item in value[:i])
        yield f"{where}: {_show(twice)} stands there twice"
    elif error.validator == "minItems" and not value:
        yield f"{where}: the list is empty; expected one entry or more"
    else:
        kind = f" ({KINDS[type(value)]})" if error.validator == "type" and type(value) in KINDS else ""
        yield f"{where}: {_show(value)}{kind} is not {_wanted(schema)}{_hint(value, error)}"


def _meaning(error: ValidationError, key: str) -> str:
    """Return what a missing key means: its description in the section that asks for it, or in the one around that."""
    sections = [_schema()]
    for part in error.absolute_schema_path:
        sections.append(_whole(sections[-1])[part])
    found = [_whole(section).get("properties", {}).get(key) for section in sections if isinstance(section, dict)]
    description = next((node["description"] for node in reversed(found) if node and "description" in node), "")
    return f": {description[0].lower()}{description[1:]}" if description else ""


def _wanted(schema: dict) -> str:
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


def _position(config: dict, parts: Collection) -> list[int]:
    """Return where in the config something stands, to sort by: the position at each level."""
    positions = []
    for part in parts:
        positions.append(part if isinstance(part, int) else list(config).index(part))
        config = config[part]
    return positions


def _path(parts: Collection) -> str:
    """Return a place in the config: experiments.shtb-csrnet.fake.pools[1]; positions in lists count from 0."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "the config"


def _show(value: Any) -> str:
    """Return a value as a message quotes it, long ones cut."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _fill(value: Any, schema: dict) -> None:
    """Fill in the schema's defaults."""
    if "$ref" in schema:
        _fill(value, _target(schema))
    if isinstance(value, dict):
        if "if" in schema:
            fits = all(key in value for key in schema["if"]["required"])
            _fill(value, schema["then" if fits else "else"])
        for key, inner in schema.get("properties", {}).items():
            if "default" in inner:
                value.setdefault(key, json.loads(json.dumps(inner["default"])))
        for key, inner in value.items():
            rest = schema.get("additionalProperties") or {}
            _fill(inner, schema.get("properties", {}).get(key, rest))


# --- Do the names in it exist, and do the numbers agree? ---


class _References:
    """What holds between the entries of a config.

    Args:
        config: the config.
        broken: (section, entry) or (section,) of what the schema finds wrong; it is not looked at again.
    """

    def __init__(self, config: dict, broken: set[tuple]):
        # A config may lack these; the others it must have, and is checked only if it does.
        self._config = {"render": {}, "restorers": {}, "figures": {}} | config
        self._broken, self._plan = broken, Plan(config | {"experiments": {}})

    def problems(self) -> Iterator[str]:
        sections = (*NOUNS, "training", "tables")
        if all(isinstance(self._config.get(section), dict) for section in sections):
            yield from self._datasets()
            yield from self._render()
            yield from self._pools()
            yield from self._generators()
            yield from self._restorers()
            yield from self._annotators()
            yield from self._networks()
            yield from self._training()
            yield from self._experiments()
            yield from self._tables()
            yield from self._figures()
            yield from self._miniature()

    def _entries(self, section: str) -> dict[str, Any]:
        """Return the entries of a section in which the schema finds nothing wrong."""
        entries = self._config.get(section, {})
        if (section,) in self._broken or not isinstance(entries, dict):
            return {}
        return {name: entry for name, entry in entries.items() if (section, name) not in self._broken}

    def _unknown(self, section: str, name: str, where: str) -> Iterator[str]:
        """Yield a problem if a section has no entry of this name."""
        known = self._config[section]
        if name not in known:
            yield (
                f"{where}: '{name}' is not {NOUNS[section]}. "
                f"Known {section}: {_list(known)}.{did_you_mean(name, known)}"
            )

    def _datasets(self) -> Iterator[str]:
        titles: dict[str, str] = {}
        for name, entry in self._entries("datasets").items():
            has_split, given = entry["format"] not in WITHOUT_SPLIT, entry["images"]
            if entry["format"] not in WITH_EITHER and has_split == ("all" in given):
                expected = "{train: ..., test: ...}" if has_split else "{all: ...}"
                known = "comes with a test split" if has_split else "has no split"
                yield f"datasets.{name}.images: {_show(given)}, but the format {entry['format']} {known}; give {expected}"
                continue
            try:
                self._plan.split_of(name)
            except InputError as error:
                yield f"datasets.{name}.{error}"
            first = titles.setdefault(entry["title"], name)
            if first != name:
                yield f"datasets.{name}.title: '{entry['title']}' is the title of {first}, and tables show titles"
            if "unit" in entry and entry["format"] != "depth_maps":
                yield f"datasets.{name}.unit: the format {entry['format']} has none; take it away"
            if name == "default":
                yield "datasets.default: a dataset needs another name; `training.default` is for all datasets"
            yield from self._rendered(name, entry["path"])

    def _rendered(self, name: str, path: str) -> Iterator[str]:
        """Yield a problem if a dataset is looked for where renderings lie, and none is made there."""
        place = re.match(r"results/([^/]+)/rendered/([^/]+)", path)
        if place is None:
            return
        folder = f"results/{self._config.get('scale')}/rendered/{name}"
        if place[0] != folder:
            yield f"datasets.{name}.path: '{path}', but it is rendered into {folder}; give the path of a folder in there"
        elif ("render",) not in self._broken and name not in self._config.get("render", {}):
            yield f"datasets.{name}.path: '{path}', but there is no render.{name} that says what to render there"

    def _render(self) -> Iterator[str]:
        datasets = self._entries("datasets")
        for name, entry in self._entries("render").items():
            yield from self._unknown("datasets", name, f"render.{name}")
            for key in ("people", "quality"):
                lowest, highest = entry.get(key, (0, 0))
                if lowest > highest:
                    yield f"render.{name}.{key}: {_show(entry[key])}: the first number is the lowest; swap them"
            if entry["format"] == "nyu" and len(entry["sizes"]) > 1:
                yield f"render.{name}.sizes: {_show(entry['sizes'])}: all images of the format nyu have one size; give one"
            for key in NOT_RENDERED_FROM.get(entry["format"], ("part", "rooms")):
                if key in entry:
                    yield f"render.{name}.{key}: the format {entry['format']} has none; take it away"
            if name in datasets and entry["format"] != datasets[name]["format"]:
                other = datasets[name]["format"]
                yield f"render.{name}.format: '{entry['format']}', but the dataset's is '{other}'; make them equal"

    def _pools(self) -> Iterator[str]:
        for name, entry in self._entries("pools").items():
            if "prompts" in entry:
                try:
                    expand(entry["prompts"], entry.get("locations", []))
                except InputError as error:
                    yield f"pools.{name}: {error}"
            else:
                yield from self._unknown("datasets", entry["dataset"], f"pools.{name}.dataset")
                yield from self._unknown("captioners", entry["captioner"], f"pools.{name}.captioner")

    def _generators(self) -> Iterator[str]:
        generators = self._entries("generators")
        for name, entry in generators.items():
            if "restorer" not in entry:
                continue
            where = f"generators.{name}"
            yield from self._unknown("restorers", entry["restorer"], f"{where}.restorer")
            yield from self._unknown("generators", entry["generator"], f"{where}.generator")
            if "restorer" in generators.get(entry["generator"], {}):
                yield f"{where}.generator: the faces of '{entry['generator']}' are restored already; name a diffusion model"

    def _restorers(self) -> Iterator[str]:
        for name, entry in self._entries("restorers").items():
            sides = {
                f"{part}.settings.{key}": entry[part].get("settings", {}).get(key, 512)
                for part, key in (("parser", "in_size"), ("restorer", "out_size"))
            }
            if len(set(sides.values())) > 1:
                given = " and ".join(f"{key} is {side}" for key, side in sides.items())
                yield f"restorers.{name}: {given}; both get the same faces, so make them equal"

    def _networks(self) -> Iterator[str]:
        for name, entry in self._entries("networks").items():
            if "class" in entry:
                yield from _own_network(name, entry)

    def _annotators(self) -> Iterator[str]:
        annotators = self._entries("annotators")
        starts = {n: e["fine_tune"]["annotator"] for n, e in annotators.items() if "fine_tune" in e}
        for name, entry in annotators.items():
            if "function" in entry:
                yield from _own_function(entry["function"], f"annotators.{name}.function")
                continue
            yield from _unknown_settings(entry["network"], entry.get("settings", {}), f"annotators.{name}.settings")
            if name not in starts:
                continue
            where, start = f"annotators.{name}.fine_tune", starts[name]
            dataset = entry["fine_tune"]["dataset"]
            yield from self._unknown("annotators", start, f"{where}.annotator")
            yield from self._unknown("datasets", dataset, f"{where}.dataset")
            yield from self._of_one_task(dataset, "annotators", name, "network", f"annotators.{name}")
            if circle := _circle(name, starts):
                yield f"{where}.annotator: {circle}"
            elif "function" in annotators.get(start, {}):
                yield f"{where}.annotator: '{start}' is a function, which cannot be trained; name one with a network"
            elif start in annotators and _kind(entry) != _kind(annotators[start]):
                yield f"{where}.annotator: network and settings are not those of '{start}'; make them equal"

    def _training(self) -> Iterator[str]:
        known = [*self._config["datasets"], "default"]
        for name in self._entries("training"):
            if name not in known:
                yield f"training.{name}: '{name}' is not a dataset. Known: {_list(known)}.{did_you_mean(name, known)}"

    def _experiments(self) -> Iterator[str]:
        for name, entry in self._entries("experiments").items():
            where = f"experiments.{name}"
            yield from self._unknown("datasets", entry["dataset"], f"{where}.dataset")
            yield from self._unknown("networks", entry["network"], f"{where}.network")
            yield from self._of_one_task(entry["dataset"], "networks", entry["network"], "network", where)
            if "fake" in entry:
                yield from self._fake(entry, where)
            if "prompt_filter" in entry.get("fake", {}):
                yield from self._prompt_filter(name, entry, where)

    def _fake(self, entry: dict, where: str) -> Iterator[str]:
        fake, where = entry["fake"], f"{where}.fake"
        for i, pool in enumerate(fake["pools"]):
            yield from self._unknown("pools", pool, f"{where}.pools[{i}]")
        yield from self._unknown("generators", fake["generator"], f"{where}.generator")
        scorers = fake.get("scored_by", [])
        named = {"annotator": fake["annotator"]} | {f"scored_by[{i}]": scorer for i, scorer in enumerate(scorers)}
        for key, annotator in named.items():
            yield from self._unknown("annotators", annotator, f"{where}.{key}")
            yield from self._of_one_task(entry["dataset"], "annotators", annotator, key, where)
        share = fake.get("r_img", 100)
        if share < 100 and len(scorers) < 2:
            yield f"{where}.r_img: {share} % of the images are kept by how far annotators disagree; name two in scored_by"
        prompts = sum(map(self._prompts, fake["pools"]))
        made = fake["images_per_prompt"] * prompts
        left = made if made == math.inf else math.ceil(made * Fraction(str(share)) / 100)
        if fake["r_mix"] > left:
            kept = f", of which r_img keeps {left}" if left < made else ""
            yield (
                f"{where}.r_mix: {fake['r_mix']} images per epoch, but {made} are made: images_per_prompt "
                f"({fake['images_per_prompt']}) x {prompts} prompts{kept}. Lower r_mix or raise images_per_prompt"
            )

    def _prompt_filter(self, name: str, entry: dict, where: str) -> Iterator[str]:
        baseline = entry["fake"]["prompt_filter"]["baseline"]
        yield from self._unknown("experiments", baseline, f"{where}.fake.prompt_filter.baseline")
        if baseline in self._entries("experiments"):
            place, compared = f"{where}.fake.prompt_filter.baseline", self._entries("experiments")[baseline]
            yield from _generated(False, baseline, compared, place)
            yield from _alike(baseline, compared, name, entry, place)
        prompts = sum(map(self._prompts, entry["fake"]["pools"]))
        for other in self._config["experiments"]:
            number = re.fullmatch(rf"{re.escape(name)}-prompt-(0|[1-9]\d*)", other)
            if number and int(number[1]) < prompts:
                yield f"experiments.{other}: the prompt filter of {name} makes experiments of such names; rename it"

    def _of_one_task(self, dataset: str, section: str, name: str, key: str, where: str) -> Iterator[str]:
        """Yield a problem if a network or an annotator does not do what a dataset is for.

        Args:
            section: "networks" or "annotators", where the name stands.
            key: under which it is named at `where`.
        """
        entry = self._entries(section).get(name, {})
        network = entry.get("network") if section == "annotators" else name
        other = entry.get("task", networks.TASKS.get(network))
        if dataset in self._entries("datasets") and other and other != (task := self._plan.task_of(dataset)):
            shown = network if key == "network" else name
            yield f"{where}.{key}: '{shown}' is for {other}, and the dataset {dataset} is for {task}"

    def _prompts(self, pool: str) -> float:
        """Return the number of prompts in a pool, infinity if something is wrong with the pool or its dataset."""
        entry = self._entries("pools").get(pool)
        if entry is None or ("prompts" not in entry and entry["dataset"] not in self._entries("datasets")):
            return math.inf
        try:
            return self._plan.prompts_of(pool)
        except InputError:
            return math.inf

    def _tables(self) -> Iterator[str]:
        for table in ("table1", "table2"):
            yield from self._comparisons("tables", table)
        for i, row in enumerate(self._entries("tables").get("table3", [])):
            yield from self._cost(row, f"tables.table3[{i}]")
        for table, entry in self._entries("tables").items():
            if table in COLUMNS:
                yield from self._variations(entry, f"tables.{table}")
        yield from self._pictured("tables", "roundtrip", generators="generator", captioners="captioner")

    def _variations(self, entry: dict, where: str) -> Iterator[str]:
        """Yield what is wrong with a table whose rows vary one experiment."""
        experiments, baseline = self._entries("experiments"), entry["baseline"]
        yield from self._unknown("experiments", baseline, f"{where}.baseline")
        if baseline in experiments:
            yield from _generated(False, baseline, experiments[baseline], f"{where}.baseline")
        for i, name in enumerate(entry["rows"]):
            place = f"{where}.rows[{i}]"
            yield from self._unknown("experiments", name, place)
            if name in experiments:
                yield from _generated(True, name, experiments[name], place)
                if baseline in experiments:
                    yield from _alike(name, experiments[name], baseline, experiments[baseline], place)

    def _comparisons(self, section: str, shown: str) -> Iterator[str]:
        """Yield what is wrong with a table or figure that compares experiments with their baselines."""
        experiments = self._entries("experiments")
        for i, row in enumerate(self._entries(section).get(shown, [])):
            where = f"{section}.{shown}[{i}]"
            roles = [role for role in ROLES if role in row]
            for role in roles:
                yield from self._unknown("experiments", row[role], f"{where}.{role}")
            if all(row[role] in experiments for role in roles):
                yield from _comparison(row, experiments, where)
                yield from self._for_task(TASK_SHOWN[shown], experiments[row["baseline"]]["dataset"], where)

    def _cost(self, row: dict, where: str) -> Iterator[str]:
        """Yield what is wrong with a row of Table III."""
        experiments, annotators = self._entries("experiments"), self._entries("annotators")
        own = [name for name, entry in self._entries("networks").items() if "class" in entry]
        if row["network"] not in (known := {*networks.TASKS, *own}):
            hint = did_you_mean(row["network"], known)
            yield f"{where}.network: {_show(row['network'])} is not a network. Known: {_list(known)}.{hint}"
            return
        for method, names in row.get("runs", {}).items():
            tested: dict[str, str] = {}
            for i, name in enumerate(names):
                place = f"{where}.runs.{method}[{i}]"
                yield from self._unknown("experiments", name, place)
                if name in experiments:
                    yield from _of_network(row["network"], name, experiments[name]["network"], place)
                    dataset = experiments[name]["dataset"]
                    yield from self._for_task(TASK_SHOWN["table3"], dataset, place)
                    if (first := tested.setdefault(dataset, name)) != name:
                        yield f"{place}: '{name}' is on {dataset}, as '{first}' is; a row has one error per dataset"
        for dataset, name in row.get("annotators", {}).items():
            place = f"{where}.annotators.{dataset}"
            yield from self._unknown("datasets", dataset, f"{where}.annotators")
            yield from self._unknown("annotators", name, place)
            yield from self._for_task(TASK_SHOWN["table3"], dataset, place)
            if name in annotators:
                yield from _of_network(row["network"], name, annotators[name].get("network", "no network"), place)

    def _for_task(self, task: str, dataset: str, where: str) -> Iterator[str]:
        """Yield a problem if a dataset is for another task than the one that a table or figure shows."""
        if dataset in self._entries("datasets") and (other := self._plan.task_of(dataset)) != task:
            yield f"{where}: {dataset} is for {other}; expected a dataset for {task}"

    def _figures(self) -> Iterator[str]:
        yield from self._pictured("figures", "figure2", generators="generator", pools=("grey", "colour"))
        sheet = self._entries("figures").get("figure2", {})
        for key in ("grey", "colour"):
            if key in sheet and sheet["columns"] > (prompts := self._prompts(sheet[key])):
                yield f"figures.figure2.columns: {sheet['columns']} prompts, but {sheet[key]} has {prompts}; lower it"
        for figure in ("figure3", "figure4"):
            yield from self._comparisons("figures", figure)

    def _pictured(self, section: str, name: str, **keys: str | tuple) -> Iterator[str]:
        """Yield a problem for each name, under the keys of each kind, that is unknown."""
        entry = self._entries(section).get(name, {})
        for kind, names in keys.items():
            for key in (names,) if isinstance(names, str) else names:
                if key in entry:
                    yield from self._unknown(kind, entry[key], f"{section}.{name}.{key}")
        for i, pool in enumerate(entry.get("pools", [])):
            yield from self._unknown("pools", pool, f"{section}.{name}.pools[{i}]")

    def _miniature(self) -> Iterator[str]:
        annotators = self._entries("miniature").get("annotators", {})
        starts = {name: entry["start"] for name, entry in annotators.items() if "start" in entry}
        rendered = self._entries("render")
        for name, entry in annotators.items():
            where = f"miniature.annotators.{name}"
            yield from _unknown_settings(entry["network"], entry["settings"], f"{where}.settings")
            yield from self._of_one_task(entry["dataset"], "networks", entry["network"], "network", where)
            if entry["dataset"] not in rendered:
                known = f"Known: {_list(rendered)}.{did_you_mean(entry['dataset'], rendered)}"
                yield f"{where}.dataset: '{entry['dataset']}' is not rendered. {known}"
        for name, start in starts.items():
            where = f"miniature.annotators.{name}.start"
            if start not in annotators:
                known = f"Known: {_list(annotators)}.{did_you_mean(start, annotators)}"
                yield f"{where}: '{start}' is not trained here. {known}"
            elif circle := _circle(name, starts):
                yield f"{where}: {circle}"
            elif _kind(annotators[name]) != _kind(annotators[start]):
                yield f"{where}: network and settings are not those of '{start}'; make them equal"


def _comparison(row: dict, experiments: dict, where: str) -> Iterator[str]:
    """Yield what is wrong with a comparison of a baseline, a control and PromptMix."""
    entries = {role: experiments[row[role]] for role in ROLES if role in row}
    for role, entry in entries.items():
        place, name = f"{where}.{role}", row[role]
        yield from _generated(role == "promptmix", name, entry, place)
        if role == "control" and "repeated" not in entry:
            yield f"{place}: '{name}' sees no real images again (repeated), so it is no control"
        if role == "baseline" and "repeated" in entry:
            yield f"{place}: '{name}' sees real images again (repeated), so it is a control"
        yield from _alike(name, entry, row["baseline"], entries["baseline"], where)
    again = entries.get("control", {}).get("repeated")
    mixed = entries["promptmix"].get("fake", {}).get("r_mix", again)
    if again not in (None, mixed):
        yield (
            f"{where}.control: '{row['control']}' sees {again} real images again (repeated), and "
            f"'{row['promptmix']}' {mixed} generated ones (r_mix); make them equal"
        )


def _generated(wanted: bool, name: str, experiment: dict, where: str) -> Iterator[str]:
    """Yield a problem if an experiment has generated images and should not, or has none and should."""
    if ("fake" in experiment) != wanted:
        found, expected = ("no generated", "with") if wanted else ("generated", "without")
        yield f"{where}: '{name}' has {found} images (fake); expected an experiment {expected}"


def _alike(name: str, experiment: dict, other: str, compared: dict, where: str) -> Iterator[str]:
    """Yield a problem if two experiments, which are compared, are not of one network and dataset."""
    ours, theirs = (f"{entry['network']} on {entry['dataset']}" for entry in (experiment, compared))
    if ours != theirs:
        yield f"{where}: '{name}' is {ours}, '{other}' is {theirs}; expected the same"


def _of_network(network: str, name: str, other: str, where: str) -> Iterator[str]:
    """Yield a problem if an experiment or an annotator is of another network than its row in Table III."""
    if other != network:
        yield f"{where}: '{name}' is of {other}; expected one of {network}"


def _kind(annotator: dict) -> tuple:
    return annotator["network"], annotator.get("settings", {})


def _circle(name: str, starts: dict[str, str]) -> str:
    """Return what is wrong if a name, followed to what it starts from and so on, comes back to itself, else ""."""
    way = [name]
    while (following := starts.get(way[-1])) not in (None, *way):
        way.append(following)
    return f"it would start from itself: {' from '.join([*way, name])}" if following == name else ""


def _own_function(reference: str, where: str) -> Iterator[str]:
    """Yield what is wrong with an annotator of a user's own."""
    try:
        arguments = extensions.check(reference, "function")
    except InputError as error:
        yield f"{where}: {error}"
        return
    if arguments and len(arguments.required) > 1:
        yield f"{where}: it is called with the images alone, and needs {', '.join(arguments.required)}"


def _own_network(name: str, entry: dict) -> Iterator[str]:
    """Yield what is wrong with a network of a user's own."""
    where = f"networks.{name}"
    if name in networks.NETWORKS:
        yield f"{where}: a network of ours is called {name}; give yours another name"
    try:
        arguments = extensions.check(entry["class"], "class")
    except InputError as error:
        yield f"{where}.class: {error}"
        return
    if arguments is None:
        return
    kind, given = entry["class"].rpartition(":")[2], [key for key in entry if key not in (*NO_SETTINGS, "task")]
    for key in given:
        if key not in arguments.known and not arguments.others:
            hint = did_you_mean(key, arguments.known)
            yield f"{where}.{key} is not an argument of {kind}. Its arguments: {_list(arguments.known)}.{hint}"
    for key in arguments.required:
        if key not in given:
            yield f"{where}.{key} is missing: {kind} has no default for it"


def _unknown_settings(network: str, settings: dict, where: str) -> Iterator[str]:
    known = settings_of(network)
    for key in settings:
        if key not in known:
            hint = did_you_mean(key, known)
            yield f"{where}.{key} is not a setting of {network}. Known settings: {_list(known)}.{hint}"


@cache
def settings_of(network: str) -> list[str]:
    """Return the names of a network's settings, like `promptmix.networks.settings_of`, without importing torch."""
    source = Path(networks.__file__).with_name(f"{network}.py").read_text(encoding="utf-8")
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    (kind,) = (node for node in classes if node.name == networks.NETWORKS[network])
    (init,) = (node for node in kind.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return [argument.arg for argument in (*init.args.args, *init.args.kwonlyargs) if argument.arg != "self"]
