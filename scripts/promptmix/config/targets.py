"""Tables and figures: which experiments they show, in which rows, and what sets the rows apart.

A row of a table of errors is what `base` and the row say together. Its columns are what rows set: a table whose rows name
k and r_mix has the columns k and r_mix. Where two rows would look alike, what they differ in is a column too.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from promptmix.config.experiments import FAKE_KEYS, METHODS, Experiment, Needs, prompts_of
from promptmix.config.loading import read_yaml
from promptmix.config.plan import Plan
from promptmix.errors import InputError, did_you_mean

PAPER = Path(__file__).resolve().parents[3] / "config" / "paper-results.yaml"
"""The numbers of the paper's tables: table, row, method, metric."""

NONE = "—"
"""What a cell shows where there is nothing to show."""

HEADINGS = {
    "dataset": "Dataset",
    "network": "Network",
    "method": "Method",
    "pools": "Prompts",
    "k": "k",
    "r_mix": "r_mix",
    "annotator": "Annotator",
    "generator": "Generator",
    "precision": "Precision",
    "restorer": "Face restoration",
    "prompt_filter": "Prompt filter",
    "real_images": "Real images with one prompt",
    "scored_by": "Scored by",
    "r_img": "r_img",
    "training": "Training",
}
"""The columns of a table by what a row can set, in their order."""


@dataclass(frozen=True)
class Row:
    """A row of a table of errors.

    Attributes:
        experiment: its name.
        labels: the leading cells by column.
        baseline, control: the experiments that it is compared with, if any.
        paper: the paper's numbers by metric.
    """

    experiment: str
    labels: Mapping[str, str]
    baseline: str | None = None
    control: str | None = None
    paper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ErrorTable:
    """A table of the errors of experiments on datasets for one task.

    Attributes:
        task: "counting" or "depth".
        rows: each experiment once.
        measured: what is counted in the generated images besides: see `promptmix.report.tables.measure`.
    """

    task: str
    rows: Sequence[Row]
    measured: Sequence[str]
    needs: Needs

    @property
    def experiments(self) -> list[str]:
        """The names of the rows' experiments."""
        return [row.experiment for row in self.rows]


@dataclass(frozen=True)
class CostRow:
    """A row of a table of costs: a network, trained in one way, and where the errors of its runs are.

    Attributes:
        network: whose published size is counted.
        method: how it was trained; "annotator" for a heavyweight network.
        settings: of what was tested, where they differ from the published network's.
        experiments: by dataset.
        annotators: by dataset.
        paper: the paper's numbers: `gmac`, `parameters` (millions), and errors.
    """

    network: str
    method: str
    settings: Mapping[str, Any]
    experiments: Mapping[str, str]
    annotators: Mapping[str, str]
    paper: Mapping[str, float]


@dataclass(frozen=True)
class CostTable:
    """A table of the cost of networks beside the errors of their runs.

    Attributes:
        size: width and height of the image for which operations are counted.
    """

    task: str
    rows: Sequence[CostRow]
    size: tuple[int, int]
    needs: Needs


@dataclass(frozen=True)
class RoundTrip:
    """A table of prompts against the captions of their images.

    Attributes:
        pools: number of prompts by pool; the first image of each prompt is captioned.
    """

    pools: Mapping[str, int]
    generator: str
    captioner: str
    needs: Needs


@dataclass(frozen=True)
class PredictionsFigure:
    """A figure of maps without and with PromptMix: the pairs (baseline, promptmix) of experiments."""

    pairs: Sequence[tuple[str, str]]
    needs: Needs


@dataclass(frozen=True)
class ColoursFigure:
    """A figure of images of grey prompts above those of the same prompts in colour: pools, and how many prompts."""

    grey: str
    colour: str
    generator: str
    columns: int
    needs: Needs


@dataclass(frozen=True)
class ExamplesFigure:
    """A figure of training images above generated images of one experiment."""

    experiment: str
    pool: str
    columns: int
    needs: Needs


Target = ErrorTable | CostTable | RoundTrip | PredictionsFigure | ColoursFigure | ExamplesFigure


def resolve_targets(config: Mapping[str, Any], plan: Plan) -> tuple[dict[str, Target], list[str]]:
    """Return the tables and figures of a config by name, and what is wrong with those that cannot be made.

    The experiments that they show are added to the plan.
    """
    makers: dict[str, Callable[[Plan, str, Mapping[str, Any], str], Target]] = {
        "errors": _error_table,
        "cost": _cost_table,
        "roundtrip": _roundtrip,
        "predictions": _predictions,
        "colours": _colours,
        "examples": _examples,
    }
    found: dict[str, Target] = {}
    problems = []
    for section in ("tables", "figures"):
        for name, entry in config[section].items():
            try:
                if name in found:
                    raise InputError(f"figures.{name}: a table is called {name} too; give the figure another name")
                found[name] = makers[entry["kind"]](plan, name, entry, f"{section}.{name}")
            except InputError as error:
                problems.append(str(error))
    return found, problems


@cache
def paper_results(path: str | Path = PAPER) -> Mapping[str, Any]:
    """Return the numbers of the paper: by table, row, method and metric; a row of Table III has no methods."""
    return read_yaml(path)


# --- Tables of errors ---


def _error_table(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> ErrorTable:
    given = list(_rows(entry, where))
    base, methods = entry["base"], entry["methods"]
    shown: dict[str, Row] = {}
    for place, row in given:
        numbers = _paper(name, row, place) if isinstance(row, Mapping) else {}
        found = _of_row(plan, base, row, methods, place)
        baseline, control = (found[method].name if method in found else None for method in ("baseline", "control"))
        for method, experiment in found.items():
            compared = None if method == "baseline" else baseline
            against = control if method == "promptmix" else None
            shown.setdefault(experiment.name, Row(experiment.name, {}, compared, against, numbers.get(method, {})))
    experiments = [plan.experiments[name] for name in shown]
    tasks = {experiment.task: experiment.name for experiment in experiments}
    if len(tasks) > 1:
        pairs = " and ".join(f"{experiment} is for {task}" for task, experiment in tasks.items())
        raise InputError(f"{where}: {pairs}; a table shows one task, so make two tables of it")
    labels = _labels(plan, experiments, _keys_set(row for _, row in given))
    rows = [replace(row, labels=cells) for row, cells in zip(shown.values(), labels, strict=True)]
    return ErrorTable(next(iter(tasks)), rows, entry["measured"], plan.needs(*shown))


def _rows(entry: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """Yield the place in the config and what is said there of each row."""
    if "vary" in entry:
        for values in itertools.product(*entry["vary"].values()):
            yield f"{where}.vary", dict(zip(entry["vary"], values, strict=True))
        return
    for i, row in enumerate(entry["rows"]):
        yield f"{where}.rows[{i}]", row


def _of_row(plan: Plan, base: Mapping, row: Mapping | str, methods: Sequence[str], where: str) -> dict[str, Experiment]:
    """Return the experiments of a row by method, in the order of `METHODS`; for a name, with its baseline if shown."""
    if isinstance(row, str):
        experiment = plan.written[row]
        found = {experiment.method: experiment}
        if experiment.baseline and "baseline" in methods:
            found = {"baseline": plan.experiments[experiment.baseline], **found}
        return found
    spec = {**base, **{key: value for key, value in row.items() if key != "paper"}}
    if "training" in base and "training" in row:
        spec["training"] = {**base["training"], **row["training"]}
    return {method: plan.add(spec, method, where) for method in METHODS if method in methods}


def _keys_set(rows: Iterator[Mapping[str, Any] | str]) -> set[str]:
    """Return what rows set."""
    return {key for row in rows if isinstance(row, Mapping) for key in row if key != "paper"}


def _labels(plan: Plan, experiments: Sequence[Experiment], keys: set[str]) -> list[dict[str, str]]:
    """Return the leading cells of each row: what rows set, and what else it takes to tell them apart."""
    cells = [_cells(plan, experiment) for experiment in experiments]
    keys = {*keys, "method"}
    for one, other in itertools.combinations(cells, 2):
        if all(one[key] == other[key] for key in keys):
            keys |= {key for key in HEADINGS if one[key] != other[key]}
    labels = [{heading: cell[key] for key, heading in HEADINGS.items() if key in keys} for cell in cells]
    if len({tuple(label.values()) for label in labels}) < len(labels):  # experiments can differ in what has no column
        labels = [{"Experiment": experiment.name, **label} for experiment, label in zip(experiments, labels)]
    return labels


def _cells(plan: Plan, experiment: Experiment) -> dict[str, str]:
    """Return what the columns of `HEADINGS` say of an experiment."""
    training = {key: value for key, value in experiment.training.items() if key not in ("learning_rates", "repeats")}
    cells = dict.fromkeys(FAKE_KEYS, NONE) | {
        "dataset": plan.title_of(experiment.dataset),
        "network": experiment.network.name,
        "method": METHODS[experiment.method],
        "training": _differing(training, plan.config["training"], experiment.dataset),
    }
    if (fake := experiment.fake) is None:
        return cells
    generator = plan.generators[fake.generator]
    return cells | {
        "pools": ", ".join(fake.pools),
        "k": str(fake.k),
        "r_mix": str(fake.r_mix),
        "annotator": fake.annotator,
        "generator": _model_of(plan, fake.generator),
        "precision": plan.precision_of(fake.generator),
        "restorer": generator.get("restorer", "none"),
        "prompt_filter": "yes" if fake.prompt_filter else "no",
        "real_images": "yes" if fake.real_images else "no",
        "scored_by": ", ".join(fake.scored_by) or NONE,
        "r_img": f"{fake.r_img:g} %",
    }


def _differing(training: Mapping[str, Any], settings: Mapping[str, Any], dataset: str) -> str:
    usual = settings["default"] | settings.get(dataset, {})
    words = [f"{key} {value}" for key, value in training.items() if value != usual[key]]
    return ", ".join(words) or NONE


def _model_of(plan: Plan, generator: str) -> str:
    """Return the generator of the config that one with another precision or with faces restored comes from."""
    if "generator" in (entry := plan.generators[generator]):
        return _model_of(plan, entry["generator"])
    return next(name for name in plan.config["generators"] if generator in (name, f"{name}-{entry['precision']}"))


def _paper(table: str, row: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return the paper's numbers for a row, nothing where it names none."""
    if "paper" not in row:
        return {}
    known = paper_results().get(table, {})
    if row["paper"] not in known:
        raise InputError(
            f"{where}.paper: '{row['paper']}' is not a row of {table} in config/{PAPER.name}. "
            f"Known: {', '.join(known) or 'none'}.{did_you_mean(row['paper'], known)}"
        )
    return known[row["paper"]]


# --- Other tables ---


def _cost_table(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> CostTable:
    rows: list[CostRow] = []
    needs, tasks = Needs(), dict[str, str]()
    for i, given in enumerate(entry["rows"]):
        place, network = f"{where}.rows[{i}]", given["network"]
        experiments: dict[str, dict[str, str]] = {method: {} for method in given["methods"] if given["datasets"]}
        for dataset in given["datasets"]:
            for method, of_dataset in experiments.items():
                of_dataset[dataset] = plan.add({"dataset": dataset, "network": network}, method, place).name
        numbers = _paper(name, given, place)
        for dataset in (*given["datasets"], *given["annotators"]):
            tasks.setdefault(plan.task_of(dataset), dataset)
        for dataset, annotator in given["annotators"].items():
            _check_annotator(plan, annotator, network, dataset, f"{place}.annotators.{dataset}")
            needs |= plan.needs_of_annotator(annotator)
            needs |= Needs(datasets=frozenset([dataset]), tests=frozenset([(annotator, dataset)]))
        settings = plan.network_of(network).settings
        for method, of_dataset in experiments.items():
            rows.append(CostRow(network, METHODS[method], settings, of_dataset, {}, numbers))
            needs |= plan.needs(*of_dataset.values())
        if given["annotators"]:
            tested = plan.annotators[next(iter(given["annotators"].values()))].settings
            rows.append(CostRow(network, "annotator", tested, {}, given["annotators"], numbers))
        elif not experiments:
            rows.append(CostRow(network, NONE, {}, {}, {}, numbers))
    if len(tasks) > 1:
        pairs = " and ".join(f"{dataset} is for {task}" for task, dataset in tasks.items())
        raise InputError(f"{where}: {pairs}; a table shows one task, so make two tables of it")
    return CostTable(next(iter(tasks), "counting"), rows, tuple(entry["size"]), needs)


def _check_annotator(plan: Plan, name: str, network: str, dataset: str, where: str) -> None:
    annotator = plan.annotators[name]
    if annotator.reference != network:
        found = "a function" if annotator.is_function else f"of {annotator.reference}"
        raise InputError(f"{where}: '{name}' is {found}; expected one of {network}")
    if annotator.task != (task := plan.task_of(dataset)):
        raise InputError(f"{where}: '{name}' is for {annotator.task}, and the dataset {dataset} is for {task}")


def _roundtrip(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> RoundTrip:
    pools = {pool: _prompts(plan, pool, f"{where}.pools") for pool in entry["pools"]}
    needs = Needs(captioners=frozenset([entry["captioner"]]))
    for pool, prompts in pools.items():
        needs |= plan.needs_of_images(pool, entry["generator"], prompts)
    return RoundTrip(pools, entry["generator"], entry["captioner"], needs)


# --- Figures ---


def _predictions(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> PredictionsFigure:
    pairs = []
    for i, row in enumerate(entry["rows"]):
        place = f"{where}.rows[{i}]"
        found = _of_row(plan, {}, row, ("baseline", "promptmix"), place)
        if "promptmix" not in found:
            raise InputError(f"{place}: '{row}' has no generated images; expected an experiment with PromptMix")
        pairs.append((found["baseline"].name, found["promptmix"].name))
    tasks = {plan.experiments[baseline].task for baseline, _ in pairs}
    if len(tasks) > 1:
        raise InputError(
            f"{where}: rows for counting and for depth; a figure shows one task, so make two figures of it"
        )
    return PredictionsFigure(pairs, plan.needs(*(experiment for pair in pairs for experiment in pair)))


def _colours(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> ColoursFigure:
    chosen, needs = {key: entry[key] for key in ("grey", "colour", "generator", "columns")}, Needs()
    for key in ("grey", "colour"):
        if entry["columns"] > (prompts := _prompts(plan, entry[key], f"{where}.{key}")):
            raise InputError(f"{where}.columns: {entry['columns']} prompts, but {entry[key]} has {prompts}; lower it")
        needs |= plan.needs_of_images(entry[key], entry["generator"], entry["columns"])
    return ColoursFigure(**chosen, needs=needs)


def _examples(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> ExamplesFigure:
    experiment = _of_row(plan, {}, entry["row"], ("promptmix",), f"{where}.row").get("promptmix")
    if experiment is None or experiment.fake is None:
        raise InputError(
            f"{where}.row: '{entry['row']}' has no generated images; expected an experiment with PromptMix"
        )
    fake, pool = experiment.fake, next(iter(experiment.fake.pools))
    needs = Needs(datasets=frozenset([experiment.dataset])) | plan.needs_of_annotator(fake.annotator)
    needs |= plan.needs_of_images(pool, fake.generator, entry["columns"])
    needs |= Needs(annotations={(pool, fake.generator, fake.annotator): entry["columns"]})
    return ExamplesFigure(experiment.name, pool, entry["columns"], needs)


def _prompts(plan: Plan, pool: str, where: str) -> int:
    try:
        return prompts_of(plan.config, pool)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
