"""Tables and figures: which experiments they show, in which rows, and what sets the rows apart.

A row of a table of errors is what `base` and the row say together. Its columns are what rows set: a table whose rows name
k and r_mix has the columns k and r_mix. Where two rows would look alike, what they differ in is a column too.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from promptmix.config.columns import NONE, label_rows, title_rows
from promptmix.config.experiments import METHODS, Experiment, Needs
from promptmix.config.paper import Claim, numbers_of, paper_results, said_of
from promptmix.config.plan import Plan
from promptmix.errors import InputError
from promptmix.networks import registry as networks


@dataclass(frozen=True)
class Row:
    """A row of a table of errors.

    Attributes:
        experiment: its name.
        labels: the leading cells by column.
        baseline, control: the experiments that it is compared with, if any.
        paper: the paper's numbers by metric.
        paper_baseline: its numbers of the baseline that the row is compared with.
        ours: whether the paper's table has no such row.
    """

    experiment: str
    labels: Mapping[str, str]
    baseline: str | None = None
    control: str | None = None
    paper: Mapping[str, float] = field(default_factory=dict)
    paper_baseline: Mapping[str, float] = field(default_factory=dict)
    ours: bool = False


@dataclass(frozen=True)
class ErrorTable:
    """A table of the errors of experiments on datasets for one task.

    Attributes:
        task: "counting" or "depth".
        rows: each experiment once.
        measured: what is counted in the generated images besides: see `promptmix.report.tables.measure`.
        claims: what the paper says of these rows.
        notes: what else is to be said of the table.
        annotators: what annotates the rows' generated images, and the dataset on whose test images it is tested for a note.
    """

    task: str
    rows: Sequence[Row]
    measured: Sequence[str]
    needs: Needs
    claims: Sequence[Claim] = ()
    notes: Sequence[str] = ()
    annotators: Sequence[tuple[str, str]] = ()

    @property
    def experiments(self) -> list[str]:
        """The names of the rows' experiments."""
        return [row.experiment for row in self.rows]


@dataclass(frozen=True)
class CostRow:
    """A row of a table of costs: a network, trained in one way, and where the errors of its runs are.

    Attributes:
        network: whose published size is counted; "" of a function or an average, whose cost is not known.
        title: what the table calls it.
        method: how it was trained; "annotator" for a heavyweight network.
        settings: of what was tested, where they differ from the published network's.
        experiments: by dataset.
        annotators: by dataset.
        paper: the paper's numbers: `gmac`, `parameters` (millions), and errors.
        ours: whether the paper's table has no such row.
    """

    network: str
    title: str
    method: str
    settings: Mapping[str, Any]
    experiments: Mapping[str, str]
    annotators: Mapping[str, str]
    paper: Mapping[str, float]
    ours: bool = False


@dataclass(frozen=True)
class CostTable:
    """A table of the cost of networks beside the errors of their runs.

    Attributes:
        size: width and height of the image for which operations are counted.
        claims: what the paper says of a `small` and a `large` network: how many times less `gmac` and `parameters` the
            small one has, and by how many percent its error is lower.
    """

    task: str
    rows: Sequence[CostRow]
    size: tuple[int, int]
    needs: Needs
    claims: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class RoundTrip:
    """A table of prompts against the captions of their images.

    Attributes:
        pools: number of prompts by pool; the first image of each prompt is captioned.
        paper: the largest distance that the paper saw; None for a table that the paper does not have.
    """

    pools: Mapping[str, int]
    generator: str
    captioner: str
    needs: Needs
    paper: int | None = None


@dataclass(frozen=True)
class _RowsFigure:
    """A figure in which experiments are compared.

    Attributes:
        rows: of each row its title, what sets it apart from the others, and its experiments by method.
    """

    rows: Sequence[tuple[str, Mapping[str, str]]]
    needs: Needs

    @property
    def experiments(self) -> list[str]:
        """The names of the rows' experiments."""
        return [name for _, row in self.rows for name in row.values()]


class PredictionsFigure(_RowsFigure):
    """A figure of maps, such as those without and with PromptMix."""


class SizesFigure(_RowsFigure):
    """A figure of errors by the number of people in the image."""


@dataclass(frozen=True)
class ChangesFigure:
    """A figure of the changes in tables of errors, by name."""

    tables: Mapping[str, ErrorTable]
    needs: Needs


@dataclass(frozen=True)
class ColoursFigure:
    """A figure of images of one prompt after the other, from the same seeds: pools of one prompt, and how many seeds."""

    pools: Sequence[str]
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


Target = (
    ErrorTable
    | CostTable
    | RoundTrip
    | PredictionsFigure
    | SizesFigure
    | ChangesFigure
    | ColoursFigure
    | ExamplesFigure
)


def resolve_targets(config: Mapping[str, Any], plan: Plan) -> tuple[dict[str, Target], list[str]]:
    """Return the tables and figures of a config by name, and what is wrong with those that cannot be made.

    The experiments that they show are added to the plan.
    """
    found: dict[str, Target] = {}
    makers: dict[str, Callable[[Plan, str, Mapping[str, Any], str], Target]] = {
        "errors": _error_table,
        "cost": _cost_table,
        "roundtrip": _roundtrip,
        "predictions": _predictions,
        "by_size": _by_size,
        "changes": lambda plan, name, entry, where: _changes(found, entry, where),
        "colours": _colours,
        "examples": _examples,
    }
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


# --- Tables of errors ---


def _error_table(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> ErrorTable:
    base, methods, more = entry["base"], entry["methods"], entry["ours"]
    given, ours = list(_rows(entry, where)), list(_numbered(more["rows"], f"{where}.ours.rows"))

    def is_chosen(row: Mapping[str, Any] | str) -> bool:
        setting = {**base, **row} if isinstance(row, Mapping) else {}
        return all(setting.get(key) == value for key, value in more["where"].items())

    some = any(is_chosen(row) for _, row in (*given, *ours))

    def besides(row: Mapping[str, Any] | str) -> list[str]:
        """Return the methods that are shown of a row besides, below the rule."""
        return more["methods"] if is_chosen(row) or not some else []

    found = [(place, row, _of_row(plan, base, row, {*methods, *besides(row)}, place)) for place, row in (*given, *ours)]
    shown: dict[str, Row] = {}
    of_paper, further = found[: len(given)], found[len(given) :]
    for those, usual, is_ours in ((of_paper, methods, False), (found, None, True), (further, methods, True)):
        for place, row, of_row in those:
            kinds = besides(row) if usual is None else usual
            numbers = numbers_of(name, row, place) if isinstance(row, Mapping) else {}
            known = {method: experiment.name for method, experiment in of_row.items()}
            written = plan.written[row].method if isinstance(row, str) and kinds is methods else None
            for method, experiment in of_row.items():
                if method not in kinds and method != written:
                    continue
                compared = None if method == "baseline" else known.get("baseline")
                against = known.get("control") if method == "promptmix" else None
                theirs = numbers.get(method, {}), numbers.get("baseline", {})
                shown.setdefault(experiment.name, Row(experiment.name, {}, compared, against, *theirs, is_ours))
    experiments = [plan.experiments[name] for name in shown]
    tasks = {experiment.task: experiment.name for experiment in experiments}
    if len(tasks) > 1:
        pairs = " and ".join(f"{experiment} is for {task}" for task, experiment in tasks.items())
        raise InputError(f"{where}: {pairs}; a table shows one task, so make two tables of it")
    labels = label_rows(
        plan,
        experiments,
        [row.ours for row in shown.values()],
        entry.get("columns"),
        _keys_set(row for _, row in given),
    )
    rows = [replace(row, labels=cells) for row, cells in zip(shown.values(), labels, strict=True)]
    claims, notes = said_of(name, found)
    of_fakes = [
        (each.fake.annotator, each.dataset) for each in experiments if each.fake and each.fake.rendered != "truth"
    ]
    annotators = list(dict.fromkeys(of_fakes))
    needs = plan.needs(*shown) | Needs(tests=frozenset(annotators))
    return ErrorTable(next(iter(tasks)), rows, entry["measured"], needs, claims, notes, annotators)


def _numbered(rows: Sequence, where: str) -> Iterator[tuple[str, Any]]:
    for i, row in enumerate(rows):
        yield f"{where}[{i}]", row


def _rows(entry: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any] | str]]:
    """Yield the place in the config and what is said there of each row."""
    if "vary" in entry:
        for values in itertools.product(*entry["vary"].values()):
            yield f"{where}.vary", dict(zip(entry["vary"], values, strict=True))
        return
    yield from _numbered(entry["rows"], f"{where}.rows")


def _of_row(
    plan: Plan, base: Mapping, row: Mapping | str, methods: Collection[str], where: str
) -> dict[str, Experiment]:
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


# --- Other tables ---


def _cost_table(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> CostTable:
    rows: list[CostRow] = []
    needs, tasks = Needs(), dict[str, str]()
    for i, given in enumerate(entry["rows"]):
        place = f"{where}.rows[{i}]"
        network = given.get("network") or _network_of(plan, given, place)
        experiments: dict[str, dict[str, str]] = {method: {} for method in given["methods"] if given["datasets"]}
        for dataset in given["datasets"]:
            for method, of_dataset in experiments.items():
                of_dataset[dataset] = plan.add({"dataset": dataset, "network": network}, method, place).name
        numbers = numbers_of(name, given, place)
        for dataset in (*given["datasets"], *given["annotators"]):
            tasks.setdefault(plan.task_of(dataset), dataset)
        for dataset, annotator in given["annotators"].items():
            _check_annotator(plan, annotator, network, dataset, f"{place}.annotators.{dataset}")
            needs |= plan.needs_of_annotator(annotator)
            needs |= Needs(datasets=frozenset([dataset]), tests=frozenset([(annotator, dataset)]))
        settings = plan.network_of(network).settings if network else {}
        title = networks.TITLES.get(network, network) or next(iter(given["annotators"].values()))
        for method, of_dataset in experiments.items():
            called = title if len(experiments) == 1 and method == "baseline" else f"{title} ({method})"
            called = f"{title}+PromptMix" if method == "promptmix" else called
            paper = _without_method(numbers)
            if method != numbers.get("method", method):  # the paper's error is of another one
                paper = {key: value for key, value in paper.items() if key in ("gmac", "parameters")}
            rows.append(CostRow(network, called, METHODS[method], settings, of_dataset, {}, paper))
            needs |= plan.needs(*of_dataset.values())
        if given["annotators"]:
            tested = plan.annotators[next(iter(given["annotators"].values()))].settings
            of_annotators = given["annotators"]
            rows.append(CostRow(network, title, "annotator", tested, {}, of_annotators, _without_method(numbers)))
        elif not experiments:
            rows.append(CostRow(network, title, NONE, {}, {}, {}, _without_method(numbers)))
    if len(tasks) > 1:
        pairs = " and ".join(f"{dataset} is for {task}" for task, dataset in tasks.items())
        raise InputError(f"{where}: {pairs}; a table shows one task, so make two tables of it")
    alike = Counter(row.title for row in rows)
    for i, row in enumerate(rows):
        if alike[row.title] > 1:
            names = list(row.annotators.values()) or [plan.title_of(dataset) for dataset in row.experiments]
            rows[i] = replace(row, title=", ".join([row.title, *dict.fromkeys(names)]))
    if any(row.paper for row in rows):
        rows = sorted((replace(row, ours=not row.paper) for row in rows), key=lambda row: row.ours)
    named = {given.get("paper") for given in entry["rows"]}
    claims = [c for c in paper_results().get(name, {}).get("claims", []) if {c["small"], c["large"]} <= named]
    return CostTable(next(iter(tasks), "counting"), rows, tuple(entry["size"]), needs, claims)


def _without_method(numbers: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in numbers.items() if key != "method"}


def _network_of(plan: Plan, given: Mapping[str, Any], where: str) -> str:
    """Return the network of a row's annotator where the row names none; "" of any that is none."""
    names = set(given["annotators"].values())
    if given["datasets"] or len(names) != 1:
        raise InputError(
            f"{where}.network is missing: a network, whose size is counted; a row may do without if it has a single "
            "annotator under `annotators`, and no `datasets`"
        )
    annotator = plan.annotators[names.pop()]
    return annotator.reference if annotator.is_network else ""


def _check_annotator(plan: Plan, name: str, network: str, dataset: str, where: str) -> None:
    annotator = plan.annotators[name]
    if network and annotator.reference != network:
        found = "a function" if annotator.is_function else f"of {annotator.reference}"
        found = "an average" if annotator.mean_of else found
        raise InputError(f"{where}: '{name}' is {found}; expected one of {network}")
    if annotator.task != (task := plan.task_of(dataset)):
        raise InputError(f"{where}: '{name}' is for {annotator.task}, and the dataset {dataset} is for {task}")


def _roundtrip(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> RoundTrip:
    pools = {pool: _prompts(plan, pool, f"{where}.pools") for pool in entry["pools"]}
    needs = Needs(captioners=frozenset([entry["captioner"]]))
    for pool, prompts in pools.items():
        needs |= plan.needs_of_images(pool, entry["generator"], prompts)
    return RoundTrip(
        pools, entry["generator"], entry["captioner"], needs, paper_results().get(name, {}).get("distance")
    )


# --- Figures ---


def _predictions(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> PredictionsFigure:
    found = _compared(plan, entry, where)
    if len({plan.experiments[next(iter(row.values()))].task for _, row in found}) > 1:
        raise InputError(
            f"{where}: rows for counting and for depth; a figure shows one task, so make two figures of it"
        )
    return PredictionsFigure(found, plan.needs(*itertools.chain(*(row.values() for _, row in found))))


def _by_size(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> SizesFigure:
    found = _compared(plan, entry, where)
    for experiment in (plan.experiments[name] for _, row in found for name in row.values()):
        if experiment.task != "counting":
            raise InputError(
                f"{where}.rows: {experiment.name} is for {experiment.task}, and the figure shows errors by the number of "
                "people in the image; expected rows for counting alone"
            )
    return SizesFigure(found, plan.needs(*itertools.chain(*(row.values() for _, row in found))))


def _changes(found: Mapping[str, Target], entry: Mapping[str, Any], where: str) -> ChangesFigure:
    tables, needs = dict[str, ErrorTable](), Needs()
    for i, name in enumerate(entry["tables"]):
        if name not in found:  # a table that cannot be made, which is said already
            continue
        table = found[name]
        if not isinstance(table, ErrorTable) or not any(row.baseline for row in table.rows):
            raise InputError(
                f"{where}.tables[{i}]: '{name}' shows no changes; expected a table of errors with rows that are compared "
                "with a baseline"
            )
        tables[name] = table
        needs |= table.needs
    return ChangesFigure(tables, needs)


def _compared(plan: Plan, entry: Mapping[str, Any], where: str) -> list[tuple[str, dict[str, str]]]:
    """Return the title of each row of a figure, and the names of its experiments by method, each row once."""
    rows: dict[tuple[str, ...], dict[str, Experiment]] = {}  # each once
    for i, row in enumerate(entry["rows"]):
        place, methods = f"{where}.rows[{i}]", entry["methods"]
        found = _of_row(plan, {}, row, methods, place)
        if missing := [METHODS[method] for method in methods if method not in found]:
            raise InputError(
                f"{place}: '{row}' is {' and '.join(METHODS[method] for method in found)}, and the figure shows "
                f"{missing[0]} too; name another experiment, or say in `methods` what the figure shows"
            )
        rows[tuple(experiment.name for experiment in found.values())] = found
    titles = title_rows(plan, [list(found.values())[-1] for found in rows.values()])
    names = [{method: experiment.name for method, experiment in found.items()} for found in rows.values()]
    return list(zip(titles, names, strict=True))


def _colours(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> ColoursFigure:
    needs = Needs()
    for i, pool in enumerate(entry["pools"]):
        if (prompts := _prompts(plan, pool, f"{where}.pools[{i}]")) > 1:
            raise InputError(
                f"{where}.pools[{i}]: {pool} has {prompts} prompts; the figure compares prompts from the same seeds, so "
                "give each prompt a pool of its own"
            )
        needs |= plan.needs_of_images(pool, entry["generator"], entry["columns"])
    return ColoursFigure(entry["pools"], entry["generator"], entry["columns"], needs)


def _examples(plan: Plan, name: str, entry: Mapping[str, Any], where: str) -> ExamplesFigure:
    experiment = _of_row(plan, {}, entry["row"], ("promptmix",), f"{where}.row").get("promptmix")
    if experiment is None or experiment.fake is None or experiment.fake.rendered:
        raise InputError(
            f"{where}.row: '{entry['row']}' has no generated images; expected an experiment with PromptMix"
        )
    fake, pool = experiment.fake, next(iter(experiment.fake.pools))
    needs = Needs(datasets=frozenset([experiment.dataset])) | plan.needs_of_annotator(fake.annotator)
    needs |= plan.needs_of_images(pool, fake.generator, entry["columns"])
    for annotator in {fake.annotator, *plan.members_of(fake.annotator)}:
        needs |= Needs(annotations={(pool, fake.generator, annotator): entry["columns"]})
    return ExamplesFigure(experiment.name, pool, entry["columns"], needs)


def _prompts(plan: Plan, pool: str, where: str) -> int:
    try:
        return plan.prompts_of(pool)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
