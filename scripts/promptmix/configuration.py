"""The configuration: is it right (`check`), and what does it ask for (`Plan`).

Snakemake imports this at every start, so it imports little: no torch, and the networks' settings are read from their
source.
"""

import ast
import json
import math
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from promptmix import networks
from promptmix.datasets.splits import numbers
from promptmix.errors import InputError, did_you_mean

SCHEMA = Path(__file__).resolve().parents[2] / "config" / "schemas" / "config.schema.yaml"

SHOWN = 10
"""Problems that are reported at once."""

NOUNS = {
    "datasets": "a dataset",
    "captioners": "a captioner",
    "pools": "a pool",
    "generators": "a generator",
    "annotators": "an annotator",
    "networks": "a network",
    "experiments": "an experiment",
}
"""The sections whose entries are named elsewhere in the config, and what an entry is called."""

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


class Plan:
    """What a checked config asks for, as the rules need to know it before anything is made."""

    def __init__(self, config: dict):
        self._config = config

    def prompts_of(self, pool: str) -> int:
        """Return the number of prompts in a pool: the texts, or one per training image of its dataset."""
        entry = self._config["pools"][pool]
        return len(entry["prompts"]) if "prompts" in entry else self.split_of(entry["dataset"])["train"]

    def split_of(self, dataset: str) -> dict[str, int]:
        """Return the number of "train", "val" and "test" images of a dataset.

        Raises:
            InputError: an impossible split, see `promptmix.datasets.splits.split`.
        """
        entry = self._config["datasets"][dataset]
        images, shares = entry["images"], entry["split"]
        if "all" in images:
            if "test" not in shares:
                raise InputError("split: the dataset comes without a test split; give 'test' beside 'val'")
            dealt = numbers(shares, images["all"])
        else:
            if "test" in shares:
                raise InputError("split: 'test' is given, but the dataset comes with a test split; give 'val' only")
            dealt = numbers(shares, images["train"]) | {"test": images["test"]}
        if empty := [name for name, number in dealt.items() if number < 1]:
            raise InputError(f"split: {_show(shares)} leaves no image in '{empty[0]}'; expected one or more")
        return dealt

    def images_of(self, pool: str, generator: str) -> int:
        """Return the number of images that all experiments together need of a pool by a generator."""
        fakes = [entry["fake"] for entry in self._config["experiments"].values() if "fake" in entry]
        factors = [f["images_per_prompt"] for f in fakes if pool in f["pools"] and f["generator"] == generator]
        return max(factors, default=0) * self.prompts_of(pool)

    def blocks_of(self, images: int, block_size: int) -> list[str]:
        """Return the names of the blocks that hold so many images: "000", "001" and so on; the last may hold more.

        Raises:
            InputError: more than three digits can number.
        """
        blocks = math.ceil(images / block_size)
        if blocks > 1000:
            raise InputError(
                f"{images} images of one pool are asked for; there can be {1000 * block_size}. "
                "Lower images_per_prompt, or divide the pool"
            )
        return [f"{block:03d}" for block in range(blocks)]

    def training_of(self, experiment: str) -> dict[str, Any]:
        """Return an experiment's training settings: its own, else those for its dataset, else the default."""
        entry = self._config["experiments"][experiment]
        return self._training_on(entry["dataset"]) | entry.get("training", {})

    def settings_of_run(self, experiment: str, learning_rate: str, repeat: int) -> dict[str, Any]:
        """Return the arguments of `promptmix.training.TrainingSettings` for a run.

        A baseline and its PromptMix twin have equal seeds in equal repeats.
        """
        entry = self._config["experiments"][experiment]
        settings = {
            "network": entry["network"],
            "network_settings": self._config["networks"][entry["network"]],
            "r_mix": entry["fake"]["r_mix"] if "fake" in entry else 0,
        }
        return self._run(self.training_of(experiment), learning_rate, repeat) | settings

    def fine_tuning_of(self, annotator: str) -> dict[str, Any]:
        """Return how an annotator is fine-tuned.

        Returns:
            `training`: the arguments of `promptmix.training.TrainingSettings`. What `fine_tune` does not say is as in
            the training of lightweight networks on that dataset. `weights`: the file to start from; "" if that is
            fine-tuned too.
        """
        entry = self._config["annotators"][annotator]
        given = entry["fine_tune"]
        training = self._training_on(given["dataset"])
        training |= {"epochs": given["epochs"], "batch_size": given["batch_size"], "density_scale": 1.0}
        settings = {"network": entry["network"], "network_settings": entry.get("settings", {}), "r_mix": 0}
        return {
            "training": self._run(training, given["learning_rate"], 0) | settings,
            "weights": self._config["annotators"][given["annotator"]].get("weights", ""),
        }

    def canonical(self, experiment: str) -> str:
        """Return the first experiment that has the same settings as this one: their work is done once."""
        settings = self._resolved(experiment)
        return next(name for name in self._config["experiments"] if self._resolved(name) == settings)

    def rows_of_table(self, table: str) -> list[dict[str, Any]]:
        """Return the experiments of a table, each once, in order: what `promptmix.tables.Result.read` takes as names.

        `dataset` is the dataset's title.
        """
        rows = {}
        for row in self._config["tables"][table]:
            for role, method in (("baseline", "baseline"), ("promptmix", "PromptMix")):
                name = self.canonical(row[role])
                entry = self._config["experiments"][name]
                rows.setdefault(
                    name,
                    {
                        "experiment": name,
                        "dataset": self._config["datasets"][entry["dataset"]]["title"],
                        "network": entry["network"],
                        "method": method,
                        "k": entry["fake"]["images_per_prompt"] if "fake" in entry else None,
                        "r_mix": entry["fake"]["r_mix"] if "fake" in entry else 0,
                        "paper_mae": row.get("paper", {}).get(role),
                    },
                )
        return list(rows.values())

    def _training_on(self, dataset: str) -> dict[str, Any]:
        training = self._config["training"]
        return training["default"] | training.get(dataset, {})

    def _run(self, training: dict[str, Any], learning_rate: str, repeat: int) -> dict[str, Any]:
        common = {key: value for key, value in training.items() if key not in ("learning_rates", "repeats")}
        return common | {"learning_rate": float(learning_rate), "seed": self._config["seed"] + repeat}

    def _resolved(self, experiment: str) -> dict[str, Any]:
        return self._config["experiments"][experiment] | {"training": self.training_of(experiment)}


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
                yield f"{_path((*error.absolute_path, key))} is missing{_meaning(schema, key)}"
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


def _meaning(schema: dict, key: str) -> str:
    properties = schema.get("properties") or _target(schema)["properties"]
    description = properties.get(key, {}).get("description")
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
        self._config, self._broken, self._plan = config, broken, Plan(config)

    def problems(self) -> Iterator[str]:
        sections = (*NOUNS, "training", "tables")
        if all(isinstance(self._config.get(section), dict) for section in sections):
            yield from self._datasets()
            yield from self._render()
            yield from self._pools()
            yield from self._annotators()
            yield from self._networks()
            yield from self._training()
            yield from self._experiments()
            yield from self._tables()
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
            try:
                self._plan.split_of(name)
            except InputError as error:
                yield f"datasets.{name}.{error}"
            first = titles.setdefault(entry["title"], name)
            if first != name:
                yield f"datasets.{name}.title: '{entry['title']}' is the title of {first}, and tables show titles"
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
                lowest, highest = entry[key]
                if lowest > highest:
                    yield f"render.{name}.{key}: {_show(entry[key])}: the first number is the lowest; swap them"
            if name in datasets and entry["format"] != datasets[name]["format"]:
                other = datasets[name]["format"]
                yield f"render.{name}.format: '{entry['format']}', but the dataset's is '{other}'; make them equal"

    def _pools(self) -> Iterator[str]:
        for name, entry in self._entries("pools").items():
            if "prompts" not in entry:
                yield from self._unknown("datasets", entry["dataset"], f"pools.{name}.dataset")
                yield from self._unknown("captioners", entry["captioner"], f"pools.{name}.captioner")

    def _networks(self) -> Iterator[str]:
        for name, entry in self._entries("networks").items():
            yield from _unknown_settings(name, entry, f"networks.{name}")

    def _annotators(self) -> Iterator[str]:
        annotators = self._entries("annotators")
        starts = {n: e["fine_tune"]["annotator"] for n, e in annotators.items() if "fine_tune" in e}
        for name, entry in annotators.items():
            yield from _unknown_settings(entry["network"], entry.get("settings", {}), f"annotators.{name}.settings")
            if name not in starts:
                continue
            where, start = f"annotators.{name}.fine_tune", starts[name]
            yield from self._unknown("annotators", start, f"{where}.annotator")
            yield from self._unknown("datasets", entry["fine_tune"]["dataset"], f"{where}.dataset")
            if circle := _circle(name, starts):
                yield f"{where}.annotator: {circle}"
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
            if "fake" in entry:
                yield from self._fake(entry["fake"], f"{where}.fake")

    def _fake(self, fake: dict, where: str) -> Iterator[str]:
        for i, pool in enumerate(fake["pools"]):
            yield from self._unknown("pools", pool, f"{where}.pools[{i}]")
        yield from self._unknown("generators", fake["generator"], f"{where}.generator")
        yield from self._unknown("annotators", fake["annotator"], f"{where}.annotator")
        prompts = sum(map(self._prompts, fake["pools"]))
        made = fake["images_per_prompt"] * prompts
        if fake["r_mix"] > made:
            yield (
                f"{where}.r_mix: {fake['r_mix']} images per epoch, but {made} are made: images_per_prompt "
                f"({fake['images_per_prompt']}) x {prompts} prompts. Lower r_mix or raise images_per_prompt"
            )

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
        experiments = self._entries("experiments")
        for table, rows in self._entries("tables").items():
            for i, row in enumerate(rows):
                where = f"tables.{table}[{i}]"
                for role in ("baseline", "promptmix"):
                    yield from self._unknown("experiments", row[role], f"{where}.{role}")
                if row["baseline"] in experiments and row["promptmix"] in experiments:
                    yield from _pair(row, experiments, where)

    def _miniature(self) -> Iterator[str]:
        annotators = self._entries("miniature").get("annotators", {})
        starts = {name: entry["start"] for name, entry in annotators.items() if "start" in entry}
        rendered = self._entries("render")
        for name, entry in annotators.items():
            if entry["dataset"] not in rendered:
                known = f"Known: {_list(rendered)}.{did_you_mean(entry['dataset'], rendered)}"
                yield f"miniature.annotators.{name}.dataset: '{entry['dataset']}' is not rendered. {known}"
        for name, start in starts.items():
            where = f"miniature.annotators.{name}.start"
            if start not in annotators:
                known = f"Known: {_list(annotators)}.{did_you_mean(start, annotators)}"
                yield f"{where}: '{start}' is not trained here. {known}"
            elif circle := _circle(name, starts):
                yield f"{where}: {circle}"


def _pair(row: dict, experiments: dict, where: str) -> Iterator[str]:
    """Yield what is wrong with a row of a table."""
    baseline, promptmix = experiments[row["baseline"]], experiments[row["promptmix"]]
    if "fake" in baseline:
        yield f"{where}.baseline: '{row['baseline']}' has generated images (fake); expected an experiment without"
    if "fake" not in promptmix:
        yield f"{where}.promptmix: '{row['promptmix']}' has no generated images (fake); expected an experiment with"
    ours, theirs = (f"{entry['network']} on {entry['dataset']}" for entry in (promptmix, baseline))
    if ours != theirs:
        yield f"{where}: '{row['promptmix']}' is {ours}, '{row['baseline']}' is {theirs}; expected the same"


def _kind(annotator: dict) -> tuple:
    return annotator["network"], annotator.get("settings", {})


def _circle(name: str, starts: dict[str, str]) -> str:
    """Return what is wrong if a name, followed to what it starts from and so on, comes back to itself, else ""."""
    way = [name]
    while (following := starts.get(way[-1])) not in (None, *way):
        way.append(following)
    return f"it would start from itself: {' from '.join([*way, name])}" if following == name else ""


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
