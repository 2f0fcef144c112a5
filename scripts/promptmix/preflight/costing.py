"""What a config costs: jobs, images, hours, disk and energy of each table and figure, and what of it is done and was spent.

A job takes the seconds of its start and those of its operations at a device's rate. Where the records of runs are there (Snakemake's
`benchmark`), the jobs that are left are taken to differ from this as those of the same rule did.
"""

import heapq
import textwrap
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from promptmix.config.experiments import Needs
from promptmix.config.plan import Plan
from promptmix.config.targets import Target
from promptmix.errors import InputError
from promptmix.preflight import rates as known_rates
from promptmix.preflight.disk import list_outputs
from promptmix.preflight.jobs import ASSUMED, Job, Jobs
from promptmix.preflight.operations import Operations
from promptmix.preflight.origins import Origins
from promptmix.preflight.rates import Rates
from promptmix.preflight.report import describe_bytes

WIDTH = 100
"""Characters of a line of notes."""

NONE = "–"


@dataclass(frozen=True)
class Rule:
    """What is known of a rule.

    Attributes:
        outputs: the patterns of its files.
        benchmark: the pattern of the record of a job's time; "" for none.
        gpu: whether it computes on a GPU if there is one.
    """

    outputs: Sequence[str]
    benchmark: str = ""
    gpu: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a config costs.

    Attributes:
        targets: a row per table and figure, and one for all: `name`, `kind`, and the columns of `_add_up`.
        rules: a row per rule: `rule`, `jobs`, `done`, `operations`, `hours` (predicted), and of the jobs whose time is recorded
            `recorded`, `recorded_hours_predicted` and `recorded_hours_spent`.
        notes: what numbers rest on.
        unit: "GPU" or "CPU".
    """

    targets: Sequence[Mapping[str, Any]]
    rules: Sequence[Mapping[str, Any]]
    notes: Sequence[str]
    unit: str


def estimate(
    plan: Plan, targets: Mapping[str, Target], rules: Mapping[str, Rule], at_once: int, cores: int, device: str
) -> Estimate:
    """Work out what tables and figures cost, in the current folder.

    Args:
        plan, targets: what `promptmix.config.validation.resolve` makes of a config.
        rules: those of the workflow, by name.
        at_once: GPU jobs at once.
        cores: for other jobs.
        device: "cuda" or "cpu", what this machine computes on.

    Raises:
        InputError: `plan` names an unknown device or contradicts itself, or a record cannot be read.
    """
    config = plan.config
    settings = config["plan"]
    rates = known_rates.read(settings)
    jobs = Jobs(plan, targets, rules["prepare_dataset"].outputs[0], lambda *of: _find_blocks(plan, rules, *of))
    operations = Operations(plan.generators, config["captioners"], config["pools"])
    of_target = {name: jobs.of_target(name) for name in targets}
    every = list(dict.fromkeys(job for found in of_target.values() for job in found))
    counted = {job: _count(job, operations) for job in every}
    spent = {job: seconds for job in every if (seconds := _read_record(job, rules[job.rule])) is not None}
    if settings["calibrate"]:
        works = [work for job in every for work in job.work]
        rates = known_rates.calibrate(works, operations, device, settings.get("watts"))
    elif not rates.known and (
        known := [
            (number, seconds)
            for job, seconds in spent.items()
            if rules[job.rule].gpu and seconds and (number := counted[job])
        ]
    ):
        found = known_rates.of_records(known)
        rates = replace(found, watts=rates.watts, watts_source=rates.watts_source, shared=device == "cpu")
    predicted = {job: _predict(job, operations, rates) for job in every} if rates.known else {}
    factors = _compare(predicted, spent) if predicted else {}
    done: dict[Job, bool] = {}
    for job in every:  # each after what it needs
        done[job] = all(done[one] for one in job.after) and all(
            Path(job.path(pattern)).exists() for pattern in rules[job.rule].outputs
        )
    left = {job: 0.0 if done[job] else seconds * factors.get(job.rule, 1) for job, seconds in predicted.items()}
    rows = []
    for name, found in (*of_target.items(), ("all", every)):
        needs = (
            reduce(or_, (target.needs for target in targets.values()), Needs())
            if name == "all"
            else targets[name].needs
        )
        kind = "total" if name == "all" else "figure" if name in config["figures"] else "table"
        row = _add_up(found, rules, predicted, left, spent, done, rates, at_once, cores)
        written = sum(size for _, paths in list_outputs(plan, needs, jobs.sizes, Origins()) for size in paths.values())
        rows.append({"kind": kind, "name": name} | row | {"bytes": round(written)})
    return Estimate(
        rows,
        _by_rule(every, counted, predicted, spent, done),
        _note(plan, jobs, operations, rates, every, counted, of_target, spent, at_once, settings, bool(predicted)),
        "CPU" if rates.shared else "GPU",
    )


def wall_time(
    jobs: Iterable[Job], seconds: Mapping[Job, float], rules: Mapping[str, Rule], at_once: int, cores: int
) -> float:
    """Return the seconds from the start of the first job to the end of the last, if each starts as soon as it can.

    Args:
        jobs: each after those that it needs.
        seconds: of each; those of 0 seconds need not run.
    """
    jobs = list(jobs)
    waiting, next_ones = {}, dict[Job, list[Job]]()
    for job in jobs:
        waiting[job] = len(job.after)
        for one in job.after:
            next_ones.setdefault(one, []).append(job)
    ready: dict[bool, deque[Job]] = {True: deque(), False: deque()}
    free = {True: at_once, False: cores}
    for job in jobs:
        if not waiting[job]:
            ready[rules[job.rule].gpu].append(job)
    now, count, running = 0.0, 0, list[tuple[float, int, Job]]()
    while running or any(ready.values()):
        for gpu, queue in ready.items():
            while queue and free[gpu]:
                job = queue.popleft()
                free[gpu] -= 1
                count += 1
                heapq.heappush(running, (now + seconds[job], count, job))
        now, _, job = heapq.heappop(running)
        free[rules[job.rule].gpu] += 1
        for one in next_ones.get(job, []):
            waiting[one] -= 1
            if not waiting[one]:
                ready[rules[one.rule].gpu].append(one)
    return now


def _find_blocks(plan: Plan, rules: Mapping[str, Rule], pool: str, diffusion: str) -> set[str]:
    """Return the blocks of a pool's images by a diffusion model, with faces restored or not, that are there."""
    folder = rules["generate_images"].outputs[0]
    same = [name for name in plan.generators if plan.diffusion_of(name) == diffusion]
    found = set()
    for generator in same:
        pattern = Path(folder.format(pool=pool, generator=generator, block="?????-?????"))
        found |= {
            path.name.removeprefix("block-")
            for path in pattern.parent.glob(pattern.name)
            if path.with_suffix(".csv").exists()
        }
    return found


def _count(job: Job, operations: Operations) -> float | None:
    """Return a job's operations; None if some of them cannot be counted."""
    found = [operations.of(work) for work in job.work]
    return None if not job.counted or None in found else sum(each for each in found if each is not None)


def _predict(job: Job, operations: Operations, rates: Rates) -> float:
    """Return a job's seconds, without what cannot be counted."""
    seconds = rates.start
    for work in job.work:
        rate, number = rates.of(work), operations.of(work)
        if rate and number:
            seconds += number / rate
    return seconds


def _read_record(job: Job, rule: Rule) -> float | None:
    """Return the seconds that a job took; None if that is not recorded."""
    path = Path(job.path(rule.benchmark)) if rule.benchmark else None
    if path is None or not path.exists():
        return None
    try:
        return float(pd.read_csv(path, sep="\t")["s"].sum())
    except (KeyError, ValueError, pd.errors.ParserError) as error:  # an empty file is a ValueError too
        raise InputError(
            f"{path}: expected Snakemake's record of a job, with its seconds in the column `s`: {error}. Delete the file; the "
            "job's time is then not known"
        ) from None


def _compare(predicted: Mapping[Job, float], spent: Mapping[Job, float]) -> dict[str, float]:
    """Return by rule how many times longer than predicted the jobs took whose time is recorded."""
    sums: dict[str, list[float]] = {}
    for job, seconds in spent.items():
        one = sums.setdefault(job.rule, [0.0, 0.0])
        one[0] += seconds
        one[1] += predicted[job]
    return {rule: took / thought for rule, (took, thought) in sums.items()}


def _add_up(
    jobs: Sequence[Job],
    rules: Mapping[str, Rule],
    predicted: Mapping[Job, float],
    left: Mapping[Job, float],
    spent: Mapping[Job, float],
    done: Mapping[Job, bool],
    rates: Rates,
    at_once: int,
    cores: int,
) -> dict[str, Any]:
    """Return a row: numbers of jobs and generated images, hours on GPUs, hours from begin to end, and kWh."""
    on_gpu = [job for job in jobs if rules[job.rule].gpu]
    row: dict[str, Any] = {
        "jobs": len(jobs),
        "jobs_done": sum(done[job] for job in jobs),
        "images": sum(job.images for job in jobs),
        "images_done": sum(job.images for job in jobs if done[job]),
        "hours": None,
        "wall_hours": None,
        "kwh": None,
        "hours_left": None,
        "wall_hours_left": None,
        "hours_spent": sum(spent.get(job, 0.0) for job in on_gpu) / 3600,
    }
    if predicted:
        row["hours"] = sum(predicted[job] for job in on_gpu) / 3600
        row["wall_hours"] = wall_time(jobs, predicted, rules, at_once, cores) / 3600
        row["hours_left"] = sum(left[job] for job in on_gpu) / 3600
        row["wall_hours_left"] = wall_time(jobs, left, rules, at_once, cores) / 3600
        if rates.watts:
            row["kwh"] = rates.watts / 1000 * row["wall_hours" if rates.shared else "hours"]
    return row


def _by_rule(
    jobs: Sequence[Job],
    counted: Mapping[Job, float | None],
    predicted: Mapping[Job, float],
    spent: Mapping[Job, float],
    done: Mapping[Job, bool],
) -> list[dict[str, Any]]:
    rows = []
    for rule in dict.fromkeys(job.rule for job in jobs):
        same = [job for job in jobs if job.rule == rule]
        recorded = [job for job in same if job in spent]
        rows.append(
            {
                "rule": rule,
                "jobs": len(same),
                "done": sum(done[job] for job in same),
                "operations": sum(counted[job] or 0 for job in same),
                "hours": sum(predicted[job] for job in same) / 3600 if predicted else None,
                "recorded": len(recorded),
                "recorded_hours_predicted": sum(predicted[job] for job in recorded) / 3600 if predicted else None,
                "recorded_hours_spent": sum(spent[job] for job in recorded) / 3600,
            }
        )
    return rows


def _note(plan, jobs, operations, rates, every, counted, of_target, spent, at_once, settings, known) -> list[str]:
    """Return what numbers rest on, in sentences."""
    unit = "CPU" if rates.shared else "GPU"
    notes = []
    if known:
        notes.append(
            f"Predicted from the operations of the networks and {rates.source}. To each job come {rates.start:.1f} seconds to "
            f"start, {rates.start_source}. "
            f'Hours are those of jobs that compute on a {unit}; "wall" is from begin to end with {at_once} of them at once '
            f"(`--resources gpu={at_once}`)."
        )
    else:
        notes.append(
            "Hours and energy are not known: say `plan: {device: a100}` in the config (or `tflops` and `watts` of another device), measure this "
            "machine with `plan: {calibrate: true}`, or run something first."
        )
    if known:
        notes.append(
            f"Energy: {rates.watts:g} W per {unit}, from {rates.watts_source}; the rest of the machine is not in it."
            if rates.watts
            else "Energy is not known: say `plan.watts`, what a device draws."
        )
    if len(of_target) > 1:
        together = sum(map(len, of_target.values()))
        notes.append(
            f"What tables and figures share is in each of their rows, and once in the last: {together} jobs in the rows, {len(every)} in all."
        )
    notes.append(
        "Done: the job's output is there, and that of all before it. Whether Snakemake would make it anew, because something "
        "changed, `snakemake -n` says. Left: at the rate of the same rule's records, where there are some."
    )
    if spent:
        notes.append(
            f"Spent: the records of {len(spent)} jobs in `benchmarks/`, of the last time that each ran; a job that was killed and resumed "
            "has its last part only."
        )
    if jobs.sizes_assumed:
        notes.append(
            f"The images of {', '.join(jobs.sizes_assumed)} are taken to have {ASSUMED[0]}x{ASSUMED[1]} pixels, until they are prepared."
        )
    if operations.assumed:
        notes.append(f"{', '.join(operations.assumed)} is not there yet, and counted as Stable Diffusion v1.")
    if uncounted := sorted({job.rule for job in every if counted[job] is None}):
        notes.append(
            f"Code of your own, or a model that is not there or cannot be counted, is in jobs of {', '.join(uncounted)}: what it "
            "computes is not counted, so they are too short here, unless there are records."
        )
    if any(job.rule == "restore_faces" for job in every):
        notes.append("Of restoring faces only the search for faces is counted, as nobody knows how many there will be.")
    notes.append("Not counted: downloads and imports, the training of the miniature's models, and reading data.")
    return notes


def as_markdown(found: Estimate, scale: str) -> str:
    """Return an estimate as Markdown that can be read as it is."""
    unit, several = found.unit, len(found.targets) > 2
    heads = [
        "",
        "jobs",
        "done",
        "images",
        f"{unit} h",
        "wall h",
        "disk",
        "kWh",
        "spent h",
        "left h",
        "left wall",
    ]
    rows = [
        (
            *(row["name"], row["jobs"], row["jobs_done"], row["images"], _show(row["hours"]), _show(row["wall_hours"])),
            *(describe_bytes(row["bytes"]), _show(row["kwh"]), _show(row["hours_spent"])),
            *(_show(row["hours_left"]), _show(row["wall_hours_left"])),
        )
        for row in found.targets
        if several or row["kind"] != "total"
    ]
    align = ("left", *("right",) * (len(heads) - 1))
    parts = [f"# What {scale} costs", tabulate(rows, heads, "github", colalign=align, disable_numparse=True)]
    rules = [
        (
            *(
                row["rule"],
                row["jobs"],
                row["done"],
                f"{row['operations'] / 1e12:,.1f}",
                _show(row["hours"]),
                row["recorded"],
            ),
            *(_show(row["recorded_hours_predicted"]), _show(row["recorded_hours_spent"])),
            _show_difference(row),
        )
        for row in found.rules
        if row["operations"] or row["recorded"]
    ]
    recorded = [row for row in found.rules if row["recorded"]]
    if recorded:
        names = ("recorded", "recorded_hours_predicted", "recorded_hours_spent")
        total = {name: sum(row[name] or 0 for row in recorded) for name in names}
        hours = [_show(total[name] if found.rules[0]["hours"] is not None else None) for name in names[1:]]
        rules.append(("all", "", "", "", "", total["recorded"], *hours, _show_difference(total)))
    heads = ["", "jobs", "done", "TFLOP", "h", "recorded", "predicted h", "spent h", "off"]
    if rules:
        align = ("left", *("right",) * (len(heads) - 1))
        parts += [
            "By rule, and what was predicted of the jobs whose time is recorded, beside what they took:",
            tabulate(rules, heads, "github", colalign=align, disable_numparse=True),
        ]
    parts += [
        "\n".join(
            textwrap.fill(
                note, WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )
            for note in found.notes
        )
    ]
    return "\n\n".join(parts)


def _show(hours: float | None) -> str:
    if hours is None:
        return NONE
    return f"{hours:,.0f}" if hours >= 1000 else f"{hours:.1f}" if hours >= 10 else f"{hours:.2f}"


def _show_difference(row: Mapping[str, Any]) -> str:
    """Return by how much the prediction is above or below what was spent."""
    predicted, spent = row["recorded_hours_predicted"], row["recorded_hours_spent"]
    return f"{100 * (predicted / spent - 1):+.0f} %" if predicted is not None and spent else NONE
