"""Is a config right? What it may hold is in config/schemas/config.schema.yaml; what must agree in it is here.

Snakemake imports this at every start, so it imports little: no torch, and the networks' settings are read from their
source.
"""

import ast
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from promptmix import extensions
from promptmix.config.experiments import prompts_of, split_of
from promptmix.config.loading import load, read_yaml, source_of
from promptmix.config.messages import explain, listed, path_of, shown, target_of
from promptmix.config.plan import NO_SETTINGS, Plan
from promptmix.config.pools import PLACES, about, expand
from promptmix.config.targets import Target, resolve_targets
from promptmix.datasets.registry import OPTIONS, TASKS, TOP
from promptmix.datasets.splits import GROUPED_BY
from promptmix.errors import InputError, did_you_mean
from promptmix.networks import registry as networks
from promptmix.networks.text_to_image import described_by, find_refused_by
from promptmix.networks.transformers_models import find_class
from promptmix.running import hub

REPOSITORY = Path(__file__).resolve().parents[3]
SCHEMA = REPOSITORY / "config" / "schemas" / "config.schema.yaml"

SHIPPED = "resources/models/"
"""What paths begin with that come with the repository."""

SHOWN = 10
"""Problems that are reported at once."""

NOUNS = {
    "datasets": "a dataset",
    "render": "a rendered dataset",
    "captioners": "a captioner",
    "pools": "a pool",
    "generators": "a generator",
    "restorers": "a restorer",
    "annotators": "an annotator",
    "networks": "a network",
    "experiments": "an experiment",
    "tables": "a table",
    "figures": "a figure",
}
"""The sections whose entries are named elsewhere in the config, and what an entry is called."""

WITHOUT_SPLIT = ("panda", "nyu")
"""Formats of datasets whose authors leave the split to others."""

WITH_EITHER = ("points", "coco", "depth_maps")
"""Formats of datasets that may have a split or not."""

WHAT = {"function": "a function", "model": "a model of transformers"}
"""By the key that an annotator without a network has, what it is."""

NOT_RENDERED_FROM = {"shanghaitech": ("rooms",), "nyu": ("part", "locations", "people", "quality")}
"""Keys of `render` that do not apply to a format; `part` and `rooms` do not apply to the formats not named here."""


def read(
    files: Collection[str | Path], over: Mapping[str, Any] | None = None, called: str = "--config"
) -> dict[str, Any]:
    """Return a config from its files, checked, with the defaults of what it leaves out.

    Args:
        files: one after the other; see `promptmix.config.loading.load`.
        over: what overrides all files, such as `--config`.
        called: what messages call `over`.

    Raises:
        InputError: a file that cannot be read, or problems as in `check`, each after the file and line that it is in.
    """
    config, said = load(files, over, called)
    problems = list(find_problems(config))
    if problems:
        given = [str(Path(file)) for file in files]
        named = [f"{source_of(problem, said, given)}: {problem}" for problem in problems[:SHOWN]]
        raise InputError(_shortened([*named, *problems[SHOWN:]]))
    return config


def check(config: dict, source: str = "config/config.yaml") -> None:
    """Check a config, and fill in the defaults of what it leaves out, in place.

    Args:
        config: as read from YAML.
        source: what messages call it.

    Raises:
        InputError: one line per problem, at most `SHOWN`: where, what is wrong, what was expected.
    """
    if problems := list(find_problems(config)):
        raise InputError(_shortened([f"{source}: {problem}" for problem in problems]))


def resolve(config: Mapping[str, Any]) -> tuple[Plan, dict[str, Target]]:
    """Return the experiments, and the tables and figures by name, of a config that is checked.

    Raises:
        InputError: one line per problem.
    """
    plan = Plan(config)
    targets, problems = resolve_targets(config, plan)
    if problems:
        raise InputError("\n".join(problems))
    return plan, targets


def find_problems(config: dict) -> Iterator[str]:
    """Yield what is wrong with a config, and fill in the defaults if its form is right.

    What must agree is looked at only where the form is right, and experiments only where all else is.
    """
    problems = list(_unquoted(config))
    if not problems:
        _spell_learning_rates(config)
        problems = list(_misfits(config))
    if not problems:
        _fill(config, _schema())
        _fill_paths(config)
        _fill_fine_tuned(config["annotators"])
        problems = [problem for rule in RULES for problem in rule(config)]
    if not problems:
        problems = list(_of_experiments(config))
    yield from dict.fromkeys(problems)  # some say the same, such as one for each of two missing keys


def _shortened(lines: list[str]) -> str:
    more = [f"and {len(lines) - SHOWN} more problems"] if len(lines) > SHOWN else []
    return "\n".join([*lines[:SHOWN], *more])


def _of_experiments(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with experiments, tables and figures."""
    alone = {**config, "experiments": {}}
    sound = {}
    for name, entry in config["experiments"].items():  # each by itself, so that one problem does not hide another
        try:
            Plan({**alone, "experiments": {name: entry}})
            sound[name] = entry
        except InputError as error:
            yield str(error)
    if len(sound) < len(config["experiments"]):
        return
    try:
        plan = Plan(config)
        yield from resolve_targets(config, plan)[1]
        yield from _excluded(config, plan)
    except InputError as error:
        yield str(error)


def _excluded(config: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    """Yield which images a review names that no experiment has."""
    fakes = [experiment.fake for experiment in plan.experiments.values() if experiment.fake]
    for pool, review in config["reviewed"].items():
        made = max((fake.images[pool] for fake in fakes if pool in fake.pools), default=0)
        for i, seed in enumerate(review["exclude"]):
            if seed >= made:
                has = (
                    f"the experiments make {made} of {pool}, with the seeds from 0 on"
                    if made
                    else "none uses that pool"
                )
                yield f"reviewed.{pool}.exclude[{i}]: no experiment has an image of seed {seed}: {has}"


# --- Does it fit the schema? ---


@cache
def _schema() -> dict:
    return read_yaml(SCHEMA)


def _misfits(config: dict) -> Iterator[str]:
    """Yield where a config does not fit the schema, in the order of the config."""
    errors = _validator(config).iter_errors(config)
    for error in sorted(errors, key=lambda error: _position(config, error.absolute_path)):
        yield from explain(error, _schema())


def _validator(config: Mapping[str, Any]) -> Draft202012Validator:
    """Return a validator that knows a config's names, and for which 4.0 is not a whole number, nor infinity a number."""

    def whole(_, value) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def number(_, value) -> bool:
        return whole(_, value) or (isinstance(value, float) and math.isfinite(value))

    def names(_, sections, value, schema) -> Iterator[ValidationError]:
        if isinstance(value, str) and value not in (known := _known(config, sections, schema)):
            plural = " or ".join(sections)
            hint = f"Known {plural}: {listed(known)}.{did_you_mean(value, known)}"
            yield ValidationError(f"'{value}' is not {' or '.join(NOUNS[s] for s in sections)}. {hint}")

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": whole, "number": number})
    return validators.extend(Draft202012Validator, {"names": names}, type_checker=checker)(_schema())


def _known(config: Mapping[str, Any], sections: Collection[str], schema: Mapping) -> set[str]:
    """Return the names of the entries of sections, and what else a place may name."""
    entries = (config.get(section) for section in sections)
    return {*schema.get("also", []), *(name for entry in entries if isinstance(entry, Mapping) for name in entry)}


def _unquoted(value: Any, where: tuple = ()) -> Iterator[str]:
    """Yield a problem for each key that YAML did not read as text."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                yield f"{path_of(where)}: the key {shown(key)} is not a text; put it in quotes"
            yield from _unquoted(inner, (*where, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _unquoted(inner, (*where, i))


def _position(config: dict, parts: Collection) -> list[int]:
    """Return where in the config something stands, to sort by: the position at each level."""
    positions = []
    for part in parts:
        positions.append(part if isinstance(part, int) else list(config).index(part))
        config = config[part]
    return positions


def _spell_learning_rates(section: dict[str, Any]) -> None:
    """Give equal learning rates one spelling, as experiments and files are named by it; see `spelled`."""
    for key, value in section.items():
        if key == "learning_rates" and isinstance(value, list):
            value[:] = map(spelled, value)
        elif key == "learning_rate":
            section[key] = spelled(value)
        elif key != "networks":  # whose keys are arguments of a user's class
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, dict):
                    _spell_learning_rates(inner)


def spelled(learning_rate: Any) -> Any:
    """Return a learning rate as a text, the same for 0.001, "0.001", "1e-03" and "1e-3"; what is none as it is."""
    try:
        number = Decimal("" if isinstance(learning_rate, bool) else str(learning_rate)).normalize()
    except InvalidOperation:
        return learning_rate
    return f"{number:e}".replace("+", "") if 0 < float(number) < math.inf else learning_rate


def _fill(value: Any, schema: Mapping[str, Any]) -> None:
    """Fill in the schema's defaults."""
    if "$ref" in schema:
        _fill(value, target_of(schema["$ref"], _schema()))
    if not isinstance(value, dict):
        if isinstance(value, list) and "items" in schema:
            for item in value:
                _fill(item, schema["items"])
        return
    for key, inner in schema.get("properties", {}).items():
        if "default" in inner:
            value.setdefault(key, json.loads(json.dumps(inner["default"])))
    for part in [schema, *schema.get("allOf", [])]:
        if "if" in part:
            fits = Draft202012Validator(part["if"]).is_valid(value)
            _fill(value, part.get("then" if fits else "else", {}))
    for key, inner in value.items():
        _fill(inner, schema.get("properties", {}).get(key, schema.get("additionalProperties") or {}))


def _fill_paths(config: dict) -> None:
    """Fill in where rendered datasets are, and where the repository is if this runs elsewhere."""
    for name, entry in config["render"].items():
        top = entry["part"] if entry["format"] == "shanghaitech" else TOP[entry["format"]]
        config["datasets"][name].setdefault("path", f"results/{config['scale']}/rendered/{name}/{top}")
    _place_beside_the_code(config)


def _place_beside_the_code(part: dict | list) -> None:
    """Give a part of a config the paths of what ships: those beside the code where the working directory has none."""
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        if isinstance(value, dict | list):
            _place_beside_the_code(value)
        elif isinstance(value, str) and value.startswith(SHIPPED) and not Path(value).exists():
            part[key] = str(REPOSITORY / value) if (REPOSITORY / value).exists() else value


def _fill_fine_tuned(annotators: dict[str, dict]) -> None:
    """Fill in network and settings of annotators that are fine-tuned: those of what they start from."""

    def inherited(name: str, key: str, way: tuple[str, ...] = ()) -> Any:
        entry = annotators[name]
        if entry.get(key) or "fine_tune" not in entry or name in way:
            return entry.get(key)
        return inherited(entry["fine_tune"]["annotator"], key, (*way, name))

    for name, entry in annotators.items():
        entry |= {key: found for key in ("network", "settings") if (found := inherited(name, key))}


# --- Do its parts agree? ---


def _datasets(config: Mapping[str, Any]) -> Iterator[str]:
    titles: dict[str, str] = {}
    for name, entry in config["datasets"].items():
        has_split, given = entry["format"] not in WITHOUT_SPLIT, entry["images"]
        if entry["format"] not in WITH_EITHER and has_split == ("all" in given):
            expected = "{train: ..., test: ...}" if has_split else "{all: ...}"
            known = "comes with a test split" if has_split else "has no split"
            yield f"datasets.{name}.images: {shown(given)}, but the format {entry['format']} {known}; give {expected}"
            continue
        if "val" in given and entry["format"] not in WITH_EITHER:
            yield f"datasets.{name}.images.val: the format {entry['format']} has no validation images; take it away"
        yield from _groups(entry, f"datasets.{name}.split")
        try:
            split_of(config, name)
        except InputError as error:
            yield f"datasets.{name}.{error}"
        first = titles.setdefault(entry["title"], name)
        if first != name:
            yield f"datasets.{name}.title: '{entry['title']}' is the title of {first}, and tables show titles"
        for key in OPTIONS.values():
            if key in entry and key != OPTIONS.get(entry["format"]):
                yield f"datasets.{name}.{key}: the format {entry['format']} has none; take it away"
        if name == "default":
            yield "datasets.default: a dataset needs another name; `training.default` is for all datasets"
        if "path" not in entry:
            yield f"datasets.{name}.path is missing: folder of the dataset, or its .mat file for nyu"


def _groups(dataset: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with how a split tells which images belong together."""
    split = dataset.get("split") or {}
    if all(key in split for key in GROUPED_BY):
        yield f"{where}: both 'group' and 'group_column' are given; expected one"
    if "group_column" in split and dataset["format"] != "points":
        yield f"{where}.group_column: the format {dataset['format']} has no table; give a pattern of names as 'group'"
    try:
        re.compile(split.get("group", ""))
    except re.error as error:
        yield f"{where}.group: {shown(split['group'])} is not a regular expression ({error})"


def _render(config: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in config["render"].items():
        for key in ("people", "quality"):
            lowest, highest = entry.get(key, (0, 0))
            if lowest > highest:
                yield f"render.{name}.{key}: {shown(entry[key])}: the first number is the lowest; swap them"
        if entry["format"] == "nyu" and len(entry["sizes"]) > 1:
            yield f"render.{name}.sizes: {shown(entry['sizes'])}: all images of the format nyu have one size; give one"
        for key in NOT_RENDERED_FROM.get(entry["format"], ("part", "rooms")):
            if key in entry:
                yield f"render.{name}.{key}: the format {entry['format']} has none; take it away"
        dataset = config["datasets"][name]
        if entry["format"] != (other := dataset["format"]):
            yield f"render.{name}.format: '{entry['format']}', but the dataset's is '{other}'; make them equal"
        elif not dataset["path"].startswith(folder := f"results/{config['scale']}/rendered/{name}/"):
            yield f"datasets.{name}.path: '{dataset['path']}', but the dataset is rendered into {folder}; leave path out"


def _pools(config: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in config["pools"].items():
        if "prompts" in entry:
            try:
                expand(entry["prompts"], entry["locations"])
            except InputError as error:
                yield f"pools.{name}: {error}"
        if "written_by" in entry:
            yield from _writer(entry, f"pools.{name}.written_by")


def _writer(pool: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with how a language model writes prompts."""
    written, of = pool["written_by"], about(pool)
    if "topic" in written and of == "caption":
        yield f"{where}.topic: the pool has a dataset, whose captions are varied; take away the one or the other"
    if "topic" in written and not written["topic"].strip():
        yield f"{where}.topic is empty; expected words, such as 'people in train stations'"
    if "instruction" in written and PLACES[of] not in written["instruction"]:
        yield f"{where}.instruction: it does not say where the {of} belongs; write {PLACES[of]} in it"


def _generators(config: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in config["generators"].items():
        if entry["negative_prompt"].strip() and entry["guidance"] <= 1:
            yield (
                f"generators.{name}.negative_prompt: it does nothing where guidance is {shown(entry['guidance'])}, as 1 "
                f"or less is none; take it away, or raise guidance"
            )
        yield from _single_file(entry, f"generators.{name}")
        if folder := hub.locate(described_by(entry)):
            for key, why in find_refused_by(folder, entry):
                yield f"generators.{name}.{key}: {entry['model']}: {why}"


def _single_file(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with a generator whose model is one file, or that has a base for no reason."""
    model, ending = entry["model"], Path(entry["model"]).suffix
    if ending in (".ckpt", ".pt", ".pth", ".bin"):
        yield f"{where}.model: {model}: such files can run code when they are read; take the model as .safetensors"
    elif ending == ".safetensors" and "base" not in entry:
        yield (
            f"{where}.base is missing: {model} is one file, which holds weights and nothing else; name a pipeline of its kind in "
            "diffusers' format, such as resources/hub/stable-diffusion-v1-4, whose configs, tokeniser and sampler it gets"
        )
    elif ending != ".safetensors" and "base" in entry:
        yield f"{where}.base: it is for a model that is one file of safetensors, and {model} is none; take it away"
    elif "base" in entry and "variant" in entry:
        yield f"{where}.variant: a model that is one file has no variants; take it away"


def _restorers(config: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in config["restorers"].items():
        sides = {
            f"{part}.settings.{key}": entry[part].get("settings", {}).get(key, 512)
            for part, key in (("parser", "in_size"), ("restorer", "out_size"))
        }
        if len(set(sides.values())) > 1:
            given = " and ".join(f"{key} is {side}" for key, side in sides.items())
            yield f"restorers.{name}: {given}; both get the same faces, so make them equal"


def _annotators(config: Mapping[str, Any]) -> Iterator[str]:
    annotators = config["annotators"]
    starts = {n: e["fine_tune"]["annotator"] for n, e in annotators.items() if "fine_tune" in e}
    for name, entry in annotators.items():
        if "mean_of" in entry:
            yield from _average(annotators, name)
            continue
        if "function" in entry:
            yield from _own_function(entry["function"], f"annotators.{name}.function")
            continue
        if "model" in entry:
            yield from _ready_model(entry, f"annotators.{name}")
            continue
        if "network" in entry:  # else of what it starts from, which has none, as is said there
            yield from _unknown_settings(entry["network"], entry["settings"], f"annotators.{name}.settings")
        if name not in starts:
            continue
        where, start, dataset = f"annotators.{name}.fine_tune", starts[name], entry["fine_tune"]["dataset"]
        if "network" in entry:
            yield from _other_task(config, entry["network"], dataset, f"annotators.{name}.network")
        if circle := _circle(name, starts):
            yield f"{where}.annotator: {circle}"
        elif "network" not in annotators[start] and start not in starts:
            what = next((WHAT[key] for key in WHAT if key in annotators[start]), "an average")
            yield f"{where}.annotator: '{start}' is {what}, which cannot be trained; name one with a network"
        elif "network" in annotators[start] and _kind(entry) != _kind(annotators[start]):
            yield f"{where}.annotator: network and settings are not those of '{start}'; leave them out, or make them equal"


def _average(annotators: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield what is wrong with an average of annotators."""
    where, tasks = f"annotators.{name}.mean_of", dict[str, str]()
    for i, member in enumerate(annotators[name]["mean_of"]):
        entry = annotators[member]
        if "mean_of" in entry:
            yield f"{where}[{i}]: '{member}' is an average itself; name what it is of"
        else:
            tasks.setdefault(entry["task"] if "task" in entry else networks.TASKS[entry["network"]], member)
    if len(tasks) > 1:
        pairs = " and ".join(f"'{member}' is for {task}" for task, member in tasks.items())
        yield f"{where}: {pairs}; only annotations for one task can be averaged"


def _reviewed(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield which prompts of a review there are not, as far as that is known before images are captioned."""
    for pool, review in config["reviewed"].items():
        entry = config["pools"][pool]
        try:
            texts = expand(entry["prompts"], entry["locations"]) if "prompts" in entry else None
            number = prompts_of(config, entry)
        except InputError:  # the pool, or its dataset, cannot be, which is said elsewhere
            continue
        edited = [(f"edit[{i}].prompt", edit["prompt"]) for i, edit in enumerate(review["edit"])]
        seen: dict[int | str, str] = {}
        for place, prompt in [*((f"drop[{i}]", prompt) for i, prompt in enumerate(review["drop"])), *edited]:
            where = f"reviewed.{pool}.{place}"
            if isinstance(prompt, int) and prompt >= number:
                yield f"{where}: there is no prompt {prompt}: {pool} has {number}, counted from 0"
            elif isinstance(prompt, str) and texts is not None and prompt not in texts:
                yield f"{where}: '{prompt}' is not a prompt of {pool}.{did_you_mean(prompt, texts)}"
            else:
                known = texts.index(prompt) if texts is not None and isinstance(prompt, str) else prompt
                if (first := seen.setdefault(known, place)) != place:
                    yield f"{where}: {shown(prompt)} is named at {first} already; name it once"


def _networks(config: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in config["networks"].items():
        if "class" in entry:
            yield from _own_network(name, entry)


def _tables(config: Mapping[str, Any]) -> Iterator[str]:
    own = {name for name, entry in config["networks"].items() if "class" in entry}
    for name, entry in config["tables"].items():
        if entry["kind"] != "cost":
            continue
        for i, row in enumerate(entry["rows"]):
            if "network" not in row:  # that of its annotator, if this is one
                continue
            if row["network"] not in (known := {*networks.TASKS, *own}):
                hint = did_you_mean(row["network"], known)
                where = f"tables.{name}.rows[{i}].network"
                yield f"{where}: {shown(row['network'])} is not a network. Known: {listed(known)}.{hint}"
            elif row["datasets"] and row["network"] not in config["networks"]:
                where = f"tables.{name}.rows[{i}].datasets"
                yield f"{where}: '{row['network']}' is trained there, but networks.{row['network']} is missing"


def _miniature(config: Mapping[str, Any]) -> Iterator[str]:
    annotators = config.get("miniature", {}).get("annotators", {})
    starts = {name: entry["start"] for name, entry in annotators.items() if "/" not in entry.get("start", "/")}
    if annotators and "default" not in config["training"]:
        yield "training.default is missing: the miniature's annotators have its sigma and kernel"
    for name, entry in annotators.items():
        where = f"miniature.annotators.{name}"
        yield from _unknown_settings(entry["network"], entry["settings"], f"{where}.settings")
        yield from _other_task(config, entry["network"], entry["dataset"], f"{where}.network")
    for name, start in starts.items():
        where = f"miniature.annotators.{name}.start"
        if start not in annotators:
            known = f"Known: {listed(annotators)}.{did_you_mean(start, annotators)}"
            yield f"{where}: '{start}' is not trained here. {known}"
        elif circle := _circle(name, starts):
            yield f"{where}: {circle}"
        elif _kind(annotators[name]) != _kind(annotators[start]):
            yield f"{where}: network and settings are not those of '{start}'; make them equal"


RULES = (_datasets, _render, _pools, _reviewed, _generators, _restorers, _annotators, _networks, _tables, _miniature)
"""What must agree, section by section."""


def _other_task(config: Mapping[str, Any], network: str, dataset: str, where: str) -> Iterator[str]:
    """Yield a problem if a network does not do what a dataset is for."""
    ours, theirs = networks.TASKS[network], TASKS[config["datasets"][dataset]["format"]]
    if ours != theirs:
        yield f"{where}: '{network}' is for {ours}, and the dataset {dataset} is for {theirs}"


def _kind(annotator: Mapping[str, Any]) -> tuple:
    return annotator["network"], annotator.get("settings", {})


def _circle(name: str, starts: dict[str, str]) -> str:
    """Return what is wrong if a name, followed to what it starts from and so on, comes back to itself, else ""."""
    way, following = [name], starts.get(name)
    while following is not None and following not in way:
        way.append(following)
        following = starts.get(following)
    return f"it would start from itself: {' from '.join([*way, name])}" if following == name else ""


def _ready_model(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield what is wrong with an annotator of transformers, as far as its config.json says it, if it is there already."""
    if (folder := hub.locate(entry["model"])) is None:
        return
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        find_class(config, entry["task"], entry.get("label", ""), entry.get("unit", ""))
    except InputError as error:
        yield f"{where}.model: {entry['model']}: {error}"
    except (OSError, ValueError, AttributeError):  # no such file, or no keys in it, which the preflight says
        return


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
    stride, expected = extensions.find_constant(entry["class"], "stride"), networks.STRIDES[entry["task"]]
    if stride is not ... and stride != expected:
        found = "no stride" if stride is None else f"stride {stride!r}"
        needed = f"a network for {entry['task']} must have `stride = {expected}`: image pixels per cell of its map"
        yield f"{where}.class: {entry['class']} has {found}; {needed}"
    if arguments is None:
        return
    kind, given = entry["class"].rpartition(":")[2], [key for key in entry if key not in NO_SETTINGS]
    for key in given:
        if key not in arguments.known and not arguments.others:
            hint = did_you_mean(key, arguments.known)
            yield f"{where}.{key} is not an argument of {kind}. Its arguments: {listed(arguments.known)}.{hint}"
    for key in arguments.required:
        if key not in given:
            yield f"{where}.{key} is missing: {kind} has no default for it"


def _unknown_settings(network: str, settings: dict, where: str) -> Iterator[str]:
    known = settings_of(network)
    for key in settings:
        if key not in known:
            hint = did_you_mean(key, known)
            yield f"{where}.{key} is not a setting of {network}. Known settings: {listed(known)}.{hint}"


@cache
def settings_of(network: str) -> list[str]:
    """Return the names of a network's settings, like `promptmix.networks.settings_of`, without importing torch."""
    source = Path(networks.__file__).with_name(f"{network}.py").read_text(encoding="utf-8")
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    (kind,) = (node for node in classes if node.name == networks.NETWORKS[network])
    (init,) = (node for node in kind.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return [argument.arg for argument in (*init.args.args, *init.args.kwonlyargs) if argument.arg != "self"]
