"""What a config's tables and figures need, and whether it is there, before weeks of computing begin.

Everything is looked into as far as it takes to know a wrong copy: datasets are read (images counted, annotations read,
sizes and qualities compared), downloads compared with the published size and SHA-256, checkpoints with their network's
tensors. No image is decoded and nothing is computed, so it is a matter of minutes at the paper's size.
"""

import json
import logging
import math
import shutil
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open

from promptmix import extensions
from promptmix.config import sources
from promptmix.config.plan import Plan
from promptmix.config.validation import as_text
from promptmix.datasets.facts import check_facts
from promptmix.datasets.pictures import training_size
from promptmix.datasets.registry import read_dataset
from promptmix.errors import InputError, did_you_mean
from promptmix.extensions import is_reference
from promptmix.files import sha256
from promptmix.networks import checkpoints
from promptmix.networks.build import build
from promptmix.preflight import memory

log = logging.getLogger(__name__)

FOUND, IMPORTED, UNPACKED, MADE = "found", "found, will be imported", "found, will be unpacked", "will be made"
FETCHED = "will be fetched"
MISSING, WRONG = "MISSING", "WRONG"

WIDTH = 120
"""Characters of a line of the report."""

LARGE = 512 * 512
"""Image pixels from which on generating or training without a GPU takes too long to be meant."""

HASHED = 10**9
"""Bytes up to which a file's SHA-256 is computed: some seconds."""

JPEG = 0.5
"""Bytes per pixel of a generated image. UCF-QNRF's photographs, of quality 91 on average, take 0.51; others fewer."""

Size = tuple[int, int]
"""Width and height."""

NAMES = {"pipeline": "diffusion model", "clip": "CLIP", "tokenizer": "tokeniser"}
"""What is taken from a folder in diffusers' or transformers' format."""

PREPARED = {"counting": 3, "depth": 7}
"""Bytes per pixel of a prepared dataset: RGB, and depth in float32."""

ANNOTATED = {"counting": 4 / 64, "depth": 2}
"""Bytes per pixel of an image of its annotation: float32 per 8x8 pixels, float16 per pixel."""

RESTORER = {"detector": "retinaface", "parser": "parsenet", "restorer": "gfpgan"}
"""The networks of a restorer's parts."""


@dataclass(frozen=True)
class Item:
    """A line of the table.

    Attributes:
        what: what is needed.
        where: path, or what is known of it.
        state: one of the constants above, or a longer text that begins with one, or what else there is to say.
        needed_by: tables and figures.
        advice: what is wrong and what to do about it, if something is.
    """

    what: str
    where: str
    state: str
    needed_by: tuple[str, ...]
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether computing can begin, as far as this goes."""
        return not self.state.startswith((MISSING, WRONG))


def survey(
    config: Mapping[str, Any],
    plan: Plan,
    targets: Collection[str] | None = None,
    ledger: str | Path = sources.SOURCES,
) -> list[Item]:
    """Look for everything that tables and figures need, in the current folder.

    Args:
        config: checked, with its defaults.
        plan: of this config.
        targets: such as ["table1", "figure3"]; all tables and figures of the config by default.
        ledger: the file that says where things come from.

    Raises:
        InputError: a target that the config does not describe.
    """
    known = [*config["tables"], *config["figures"]]
    for target in targets or ():
        if target not in known:
            hint = did_you_mean(target, known)
            raise InputError(
                f"preflight: '{target}' is not a table or figure of this config. Known: {', '.join(known)}.{hint}"
            )
    needs = {target: _Needs(config, plan, target) for target in targets or known}
    return list(_Survey(config, plan, needs, ledger).items())


def report(items: Sequence[Item]) -> str:
    """Return the table, and below it, numbered, what to do about each thing that is missing or wrong.

    Addresses and paths stay whole there, to be copied; in the table long ones are broken.
    """
    targets = {target for item in items for target in item.needed_by}
    problems = [item for item in items if not item.ok]
    rows = [("what", "where", "state", "needed by")]
    for item in items:
        number = "" if item.ok else f" [{problems.index(item) + 1}]"
        users = "all" if len(targets) > 1 and set(item.needed_by) == targets else _shortened(item.needed_by)
        rows.append((item.what, item.where, item.state + number, users))
    columns = [*zip(*rows, strict=True)]
    longest = max(len(word) for cell in columns[1] for word in cell.split())  # a path, where none is too long
    limits = (22, min(max(longest, 40), 60), 24)
    widths = [min(limit, max(map(len, column))) for limit, column in zip(limits, columns, strict=False)]
    widths.append(WIDTH - sum(widths) - 2 * len(widths))
    lines = [line for row in rows for line in _wrapped(row, widths)]
    lines.insert(1, "-" * max(map(len, lines)))
    for number, item in enumerate(problems, 1):
        lines += ["", f"[{number}] {item.what}: {item.state}"]
        for paragraph in item.advice.splitlines():
            indent = " " * (len(paragraph) - len(paragraph.lstrip()) + 4)
            given = {"initial_indent": indent, "subsequent_indent": indent}
            lines += textwrap.wrap(paragraph, WIDTH, **given, break_long_words=False, break_on_hyphens=False)
    missing = sum(item.state.startswith(MISSING) for item in problems)
    found = f"{missing} missing, {len(problems) - missing} wrong" if problems else "nothing missing, nothing wrong"
    return "\n".join([*lines, "", f"{len(items)} things needed: {found}"])


def _shortened(targets: Iterable[str]) -> str:
    """Return ["table1", "table4", "roundtrip", "figure2", "figure3"] as "table1,4 roundtrip figure2,3"."""
    words: list[str] = []
    before = ""
    for target in targets:
        kind = target.rstrip("0123456789")
        if kind == before != target:
            words[-1] += f",{target.removeprefix(kind)}"
        else:
            words.append(target)
        before = kind
    return " ".join(words)


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    cells = [
        textwrap.wrap(cell, width, break_on_hyphens=False) or [""] for cell, width in zip(row, widths, strict=True)
    ]
    for parts in zip_longest(*cells, fillvalue=""):
        yield "  ".join(f"{part:{width}}" for part, width in zip(parts, widths, strict=True)).rstrip()


class _Needs:
    """What a table or figure needs, all that has to be made for it included.

    Attributes:
        experiments, datasets, captioners, annotators: their names.
        images: number by (pool, generator).
        annotations: number by (pool, generator, annotator).
        tests: (annotator, dataset) to evaluate.
    """

    def __init__(self, config: Mapping[str, Any], plan: Plan, target: str):
        self._config, self._plan = config, plan
        self.experiments: set[str] = set()
        self.datasets: set[str] = set()
        self.captioners: set[str] = set()
        self.annotators: set[str] = set()
        self.images: dict[tuple[str, str], int] = {}
        self.annotations: dict[tuple[str, str, str], int] = {}
        self.tests: set[tuple[str, str]] = set()
        entry = plan.chosen("tables" if target in config["tables"] else "figures", target)
        if target == "figure2":
            for pool in (entry["grey"], entry["colour"]):
                self._generated(pool, entry["generator"], entry["columns"])
        elif target == "roundtrip":
            self.captioners.add(entry["captioner"])
            for pool in entry["pools"]:
                self._generated(pool, entry["generator"], plan.prompts_of(pool))
        elif target == "table3":
            for row in entry:
                for name in (name for names in row.get("runs", {}).values() for name in names):
                    self._experiment(name)
                for dataset, annotator in row.get("annotators", {}).items():
                    self.datasets.add(dataset)
                    self._annotator(annotator)
                    self.tests.add((annotator, dataset))
        elif target in ("figure3", "figure4"):
            for pair in entry:
                self._experiment(pair["baseline"])
                self._experiment(pair["promptmix"])
        else:
            for row in plan.rows_of_table(target):
                self._experiment(row["experiment"])

    def _experiment(self, name: str) -> None:
        name = self._plan.canonical(name)
        if name in self.experiments:
            return
        self.experiments.add(name)
        entry = self._plan.experiments[name]
        self.datasets.add(entry["dataset"])
        fake = entry.get("fake")
        if not fake:
            return
        annotators = {fake["annotator"], *(fake.get("scored_by", []) if fake.get("r_img", 100) < 100 else [])}
        for pool in fake["pools"]:
            number = fake["images_per_prompt"] * self._plan.prompts_of(pool)
            self._generated(pool, fake["generator"], number)
            for annotator in annotators:
                self._annotator(annotator)
                key = (pool, fake["generator"], annotator)
                self.annotations[key] = max(number, self.annotations.get(key, 0))
        if "prompt_filter" in fake:
            for other in (fake["prompt_filter"]["baseline"], *self._plan.of_single_prompts(name)):
                self._experiment(other)

    def _generated(self, pool: str, generator: str, number: int) -> None:
        self.images[pool, generator] = max(number, self.images.get((pool, generator), 0))
        entry = self._config["pools"][pool]
        if "dataset" in entry:
            self.datasets.add(entry["dataset"])
            self.captioners.add(entry["captioner"])
        if "generator" in (made := self._config["generators"][generator]):  # of another's images, with faces restored
            self._generated(pool, made["generator"], number)

    def _annotator(self, name: str) -> None:
        self.annotators.add(name)
        if "fine_tune" in (entry := self._config["annotators"][name]):
            self.datasets.add(entry["fine_tune"]["dataset"])
            self._annotator(entry["fine_tune"]["annotator"])


class _Survey:
    """Looks for what some targets need."""

    def __init__(self, config: Mapping, plan: Plan, needs: Mapping[str, _Needs], ledger: str | Path):
        self._config, self._plan, self._needs, self._ledger = config, plan, needs, ledger
        self._sources = sources.load(ledger)
        self._results = f"results/{config['scale']}"
        self._sizes: dict[str, list[Size]] = {}  # of the images of the datasets that are there, at training size
        self._fetched: dict[str, int] = {}  # bytes of what will lie at a path
        self._unsized: list[str] = []  # what will be fetched whose size nobody knows

    def items(self) -> Iterator[Item]:
        """Yield datasets, models, checkpoints, plug-ins, GPU and disk, in this order."""
        for name in self._config["datasets"]:
            if users := self._users(lambda needs, name=name: name in needs.datasets):
                yield self._dataset(name, users)
        for path, (parts, users) in self._models().items():
            yield self._model(path, parts, users)
        for path, (what, check, users) in self._checkpoints().items():
            yield self._checkpoint(path, what, check, users)
        for place, (what, kind, users) in self._plugins().items():
            yield _plugin(place, what, kind, users)
        if (steps := self._steps()) or self._unknown():
            yield self._gpu(steps)
        yield self._disk()

    # --- Who needs what ---

    def _users(self, needed: Callable[[_Needs], bool]) -> tuple[str, ...]:
        return tuple(target for target, needs in self._needs.items() if needed(needs))

    def _in_order(self, users: Collection[str]) -> tuple[str, ...]:
        return tuple(target for target in self._needs if target in users)

    @cached_property
    def _experiments(self) -> dict[str, tuple[str, ...]]:
        names = self._plan.experiments
        found = {name: self._users(lambda needs, name=name: name in needs.experiments) for name in names}
        return {name: users for name, users in found.items() if users}

    @cached_property
    def _annotators(self) -> dict[str, tuple[str, ...]]:
        names = self._config["annotators"]
        found = {name: self._users(lambda needs, name=name: name in needs.annotators) for name in names}
        return {name: users for name, users in found.items() if users}

    # --- Where things come from ---

    def _source(self, kind: str, path: str) -> tuple[str | None, dict[str, Any]]:
        """Return name and entry in the ledger of what belongs at a path, or None and nothing."""
        for name, entry in self._sources[kind].items():
            place = {"checkpoints": f"{sources.CHECKPOINTS}/{name}.safetensors", "models": f"{sources.HUB}/{name}"}
            if Path(path).is_relative_to(place.get(kind) or entry["path"]):
                return name, entry
        return None, {}

    def _made(self, path: str) -> bool:
        """Tell whether a rule makes a file out of nothing that is fetched."""
        return path.startswith(f"{self._results}/")

    def _absent(
        self, what: str, path: str, users: tuple[str, ...], kind: str, error: str, check: Callable = lambda path: None
    ) -> Item:
        """Return the state of what is not there: what a rule fetches, unpacks or imports, or what is missing.

        Args:
            error: what is wrong, if nobody knows where it comes from.
            check: of what was downloaded; raises `InputError`.
        """
        name, entry = self._source(kind, path)
        if name is None:
            return Item(what, path, MISSING, users, error)
        download = _download(entry)
        if download and download != path:
            self._fetched[path] = entry.get("bytes", 0)
        if download and Path(download).exists():
            problem = _wrong_file(download, entry) or _refused(check, download)
            if problem:
                return Item(what, download, WRONG, users, self._mended(problem, kind, path, download))
            return Item(what, path, {"datasets": UNPACKED, "checkpoints": IMPORTED}[kind], users)
        if "by_hand" in entry:
            return Item(what, path, MISSING, users, sources.how_to_get(kind, name, self._ledger))
        if "bytes" not in entry:
            self._unsized.append(name)
            return Item(what, path, FETCHED, users)
        self._fetched[download or path] = entry["bytes"]
        return Item(what, path, f"{FETCHED} ({_size(entry['bytes'])})", users)

    def _mended(self, problem: str, kind: str, path: str, file: str = "") -> str:
        """Return what is wrong with what lies at a path, or with its download, and what to do if the ledger knows."""
        name, entry = self._source(kind, path)
        if name is None:
            return problem
        if "by_hand" in entry:
            return f"{problem}\n{sources.how_to_get(kind, name, self._ledger)}"
        return f"{problem}\nRemove {file or path}, and the workflow fetches it again."

    # --- Datasets ---

    def _dataset(self, name: str, users: tuple[str, ...]) -> Item:
        entry = self._config["datasets"][name]
        what, path = f"dataset {name}", entry["path"]
        if self._made(path):
            return Item(what, path, FOUND if Path(path).exists() else MADE, users)
        _, known = self._source("datasets", path)
        problem = _wrong_file(path, known) if Path(path).is_file() and _download(known) == path else ""
        log.info("%s: reading %s", what, path)
        try:
            if not problem:
                unit = {"unit": entry["unit"]} if "unit" in entry else {}
                samples = read_dataset(entry["format"], path, entry["images"], **unit)
                self._sizes[name] = [training_size(s.width, s.height, entry.get("resize")) for s in samples]
                log.info("%s: %d images, comparing them with what is known of the dataset", what, len(samples))
                found = check_facts(samples, entry.get("facts", {}))
                problem = "\n- ".join([f"{path} is another dataset than the config says:", *found]) if found else ""
        except InputError as error:
            if not Path(path).exists():
                return self._absent(what, path, users, "datasets", str(error))
            problem = str(error)
        if problem:
            return Item(what, path, WRONG, users, self._mended(problem, "datasets", path))
        return Item(what, path, FOUND, users)

    def _sizes_of(self, name: str) -> list[Size]:
        """Return the sizes of a dataset's images at training size, where they are not known as large as they can be.

        Nothing is returned where nothing is known.
        """
        if name in self._sizes:
            return self._sizes[name]
        entry = self._config["datasets"][name]
        resize, fact = entry.get("resize"), entry.get("facts", {}).get("size")
        sizes = self._config.get("render", {}).get(name, {}).get("sizes", []) if self._made(entry["path"]) else []
        sizes = [training_size(*size, resize) for size in sizes or ([fact] if fact else (resize or {}).values())]
        return [max(sizes, key=math.prod)] * sum(self._plan.split_of(name).values()) if sizes else []

    def _sizes_of_pool(self, name: str) -> list[Size]:
        entry = self._config["pools"][name]
        return self._sizes_of(entry["dataset"]) if "dataset" in entry else [(entry["width"], entry["height"])]

    # --- Models in diffusers' or transformers' format ---

    def _models(self) -> dict[str, tuple[list[str], tuple[str, ...]]]:
        """Return which parts of a model are needed, and by whom, by its path."""
        found: dict[str, tuple[set[str], set[str]]] = {}
        for target, needs in self._needs.items():
            wanted = [(self._config["generators"][generator].get("model"), "pipeline") for _, generator in needs.images]
            for name in needs.captioners:
                wanted += [(self._config["captioners"][name][part], part) for part in ("clip", "tokenizer")]
            for path, part in wanted:
                if path:  # a generator with a restorer has none of its own
                    parts, users = found.setdefault(path, (set(), set()))
                    parts.add(part)
                    users.add(target)
        return {path: (sorted(parts), self._in_order(users)) for path, (parts, users) in found.items()}

    def _model(self, path: str, parts: list[str], users: tuple[str, ...]) -> Item:
        what = ", ".join(NAMES[part] for part in parts)
        folder = Path(path) if Path(path).exists() else _cached(path)
        if folder is None:
            if self._made(path):
                return Item(what, path, MADE, users)
            error = (
                f"{path}: there is no such folder, and the Hub's cache has no model of this name. Put a folder in the "
                f"format of {'diffusers' if 'pipeline' in parts else 'transformers'} there, or correct the config."
            )
            return self._absent(what, path, users, "models", error)
        problems = [problem for part in parts for problem in PROBLEMS[part](folder)]
        if problems:
            text = "\n- ".join([f"{path} is incomplete, or another model:", *problems])
            return Item(what, path, WRONG, users, self._mended(text, "models", path))
        return Item(what, path, FOUND, users)

    # --- Checkpoints ---

    def _checkpoints(self) -> dict[str, tuple[str, Callable, tuple[str, ...]]]:
        """Return what each checkpoint is, a function that checks a file, and who needs it, by path."""
        found: dict[str, tuple[str, Callable, set[str]]] = {}

        def add(path: str, what: str, users: Collection[str], network: str, settings: Mapping, backbone=False) -> None:
            read = checkpoints.read_backbone if backbone else checkpoints.check_weights
            found.setdefault(path, (what, lambda file: read(network, file, **settings), set()))[2].update(users)

        for name, users in self._annotators.items():
            entry = self._config["annotators"][name]
            if "network" in entry:
                path = entry.get("weights", f"{self._results}/annotators/{name}.safetensors")
                add(path, f"annotator {name}", users, entry["network"], entry.get("settings", {}))
        for target, needs in self._needs.items():
            for name in sorted(needs.captioners):
                entry = self._config["captioners"][name]
                add(entry["weights"], f"captioner {name}", [target], "clipcap", entry.get("settings", {}))
            for generator in sorted({generator for _, generator in needs.images}):
                if name := self._config["generators"][generator].get("restorer"):
                    for part, network in RESTORER.items():
                        entry = self._config["restorers"][name][part]
                        add(entry["weights"], f"{part} of {name}", [target], network, entry.get("settings", {}))
        for name, users in self._experiments.items():
            if path := self._plan.backbone_of(name):
                network, settings = self._plan.network_of(name), self._plan.network_settings_of(name)
                what = f"backbone of {self._plan.experiments[name]['network']}"
                add(path, what, users, network, settings, backbone=True)
        return {path: (what, check, self._in_order(users)) for path, (what, check, users) in found.items()}

    def _checkpoint(self, path: str, what: str, check: Callable, users: tuple[str, ...]) -> Item:
        log.info("%s: checking %s", what, path)
        if not Path(path).exists():
            if self._made(path):
                return Item(what, path, MADE, users)
            error = f"{path}: there is no such file. Put the checkpoint there, or correct the path in the config."
            return self._absent(what, path, users, "checkpoints", error, check)
        published = self._source("checkpoints", path)[1].get("sha256")
        if not (problem := _refused(check, path)) and published:
            imported = checkpoints.read_metadata(path).get("source_sha256", published)
            if imported != published:
                problem = f"{path} was made of a file with the SHA-256 {imported}; the published one has {published}."
        if problem:
            return Item(what, path, WRONG, users, self._mended(problem, "checkpoints", path))
        return Item(what, path, FOUND, users)

    # --- Plug-ins ---

    def _plugins(self) -> dict[str, tuple[str, str, tuple[str, ...]]]:
        """Return what a user's own code is for, its kind, and who needs it, by its place: "file.py:name"."""
        found: dict[str, tuple[str, str, set[str]]] = {}
        for name, users in self._annotators.items():
            if place := self._config["annotators"][name].get("function"):
                found.setdefault(place, (f"annotator {name}", "function", set()))[2].update(users)
        for name, users in self._experiments.items():
            if is_reference(place := self._plan.network_of(name)):
                what = f"network {self._plan.experiments[name]['network']}"
                found.setdefault(place, (what, "class", set()))[2].update(users)
        return {place: (what, kind, self._in_order(users)) for place, (what, kind, users) in found.items()}

    # --- GPU ---

    def _steps(self) -> dict[tuple, Size]:
        """Return the largest images by what is done with them: a function of `promptmix.preflight.memory`, and its settings."""
        steps: dict[tuple, Size] = {}

        def add(sizes: Iterable[Size], *step) -> None:
            sizes = [*sizes, *([steps[step]] if step in steps else [])]
            if sizes:
                steps[step] = max(sizes, key=math.prod)

        for needs in self._needs.values():
            for pool, generator in needs.images:
                if model := (entry := self._config["generators"][generator]).get("model"):
                    add(self._sizes_of_pool(pool), "generation", model, entry["precision"])
            annotated = [(annotator, self._sizes_of_pool(pool)) for pool, _, annotator in needs.annotations]
            annotated += [(annotator, self._sizes_of(dataset)) for annotator, dataset in needs.tests]
            for annotator, sizes in annotated:
                entry = self._config["annotators"][annotator]
                if "network" in entry:
                    add(sizes, "annotation", entry["network"], as_text(entry.get("settings", {})))
        trained = []
        for name in self._annotators:
            if "fine_tune" in (entry := self._config["annotators"][name]):
                training = self._plan.fine_tuning_of(name)["training"]
                sizes = self._sizes_of(entry["fine_tune"]["dataset"])
                trained.append((sizes, entry["network"], entry.get("settings", {}), training))
        for name in self._experiments:
            entry, network = self._plan.experiments[name], self._plan.network_of(name)
            if not is_reference(network):  # what a user's own needs is not known
                pools = entry.get("fake", {}).get("pools", [])
                sizes = [*self._sizes_of(entry["dataset"]), *(s for pool in pools for s in self._sizes_of_pool(pool))]
                trained.append((sizes, network, self._plan.network_settings_of(name), self._plan.training_of(name)))
        for sizes, network, settings, training in trained:
            add(sizes, "training", network, as_text(settings), training["batch_size"], training["precision"])
        return steps

    def _gpu(self, steps: Mapping[tuple, Size]) -> Item:
        users, unknown = tuple(self._needs), ", ".join(self._unknown())
        large = max((math.prod(size) for (what, *_), size in steps.items() if what != "annotation"), default=0)
        here = torch.cuda.is_available()
        if unknown and (not steps or (large < LARGE and not here)):
            return Item("GPU", f"sizes not known yet: {unknown}", "not known yet", users)
        if large < LARGE and not here:
            return Item("GPU", "no large images to generate or to train on", "none; CPU suffices", users)
        log.info("GPU: working out the memory of %d kinds of steps", len(steps))
        try:
            need, text, lower = max(_memory(size, *step) for step, size in steps.items())
        except InputError as error:
            return Item("GPU", "unknown", WRONG, users, str(error))
        where = f"{_size(need)} for {text}"
        if unknown:
            where += f"; sizes not known yet: {unknown}"
        if not here:
            advice = (
                f"There is no GPU here, and images of {large / 1e6:.1f} megapixels are to be generated or trained on, "
                "which takes far too long on a CPU. If jobs run on other machines, as on a cluster, look there, for example "
                "by `srun --gres=gpu:1 uv run snakemake preflight ...`."
            )
            return Item("GPU", where, MISSING, users, advice)
        devices = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
        device = min(devices, key=lambda device: device.total_memory)
        has = _size(device.total_memory)
        if device.total_memory >= need:
            return Item("GPU", where, f"{FOUND} ({has})", users)
        advice = f"{device.name} has {has}, and {text} needs about {_size(need)}. Use a larger GPU, or {lower}."
        return Item("GPU", where, f"{WRONG} ({has})", users, advice)

    # --- Disk ---

    def _disk(self) -> Item:
        """Return what remains to be written, beside what is free."""
        log.info("disk: adding up what will be written")
        still: dict[str, float] = {}
        for what, sizes in self._writes():
            still[what] = sum(max(0, size - _on_disk(path)) for path, size in sizes.items())
        need, folder = sum(still.values()), Path(self._results)
        free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
        parts = ", ".join(f"{what} {_size(size)}" for what, size in still.items() if size >= max(0.01 * need, 1e6))
        where = f"about {_size(need)} to write" + (f": {parts}" if parts else "")
        if unknown := [*self._unknown(), *(f"download of {name}" for name in self._unsized)]:
            where += f"; sizes not known yet: {', '.join(unknown)}"
        users = tuple(self._needs)
        if free >= need:
            return Item("disk", where, f"{FOUND} ({_size(free)} free)", users)
        advice = (
            f"{self._results}: about {_size(need)} are still to be written, and {_size(free)} are free. Make room, put "
            "`results` on a larger disk (a symbolic link will do), or choose fewer tables in `preflight` and make those first."
        )
        return Item("disk", where, f"{MISSING} ({_size(free)} free)", users, advice)

    def _writes(self) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield what is written, with the bytes that each path will hold in the end."""
        yield "downloads", self._fetched
        prepared: dict[str, float] = {}
        for name in {name for needs in self._needs.values() for name in needs.datasets}:
            pixels = sum(map(math.prod, self._sizes_of(name)))
            prepared[f"{self._results}/datasets/{name}"] = PREPARED[self._plan.task_of(name)] * pixels
        yield "datasets", prepared
        images: dict[str, float] = {}
        for (pool, generator), number in _largest(needs.images for needs in self._needs.values()).items():
            images[f"{self._results}/images/{pool}/{generator}"] = JPEG * self._pixels(pool, number)
        yield "images", images
        annotations: dict[str, float] = {}
        for (pool, generator, name), number in _largest(needs.annotations for needs in self._needs.values()).items():
            size = ANNOTATED[self._plan.annotator_of(name)["task"]] * self._pixels(pool, number)
            annotations[f"{self._results}/annotations/{pool}/{generator}/{name}"] = size
        yield "annotations", annotations
        yield "networks", {f"{self._results}/runs/{name}": self._runs(name) for name in self._experiments}

    def _pixels(self, pool: str, images: int) -> float:
        """Return the pixels of so many images of a pool together."""
        sizes = self._sizes_of_pool(pool)
        return images * sum(map(math.prod, sizes)) / len(sizes) if sizes else 0

    def _runs(self, experiment: str) -> int:
        """Return the bytes of the checkpoints of all runs of an experiment; 0 for a network of a user's own."""
        name, training = self._plan.network_of(experiment), self._plan.training_of(experiment)
        if is_reference(name):
            return 0
        numbers = _parameters(name, as_text(self._plan.network_settings_of(experiment)))
        return 4 * numbers * len(training["learning_rates"]) * training["repeats"]

    def _unknown(self) -> list[str]:
        """Return the datasets whose images' sizes cannot be known before they are there."""
        datasets = dict.fromkeys(name for needs in self._needs.values() for name in sorted(needs.datasets))
        return [name for name in datasets if not self._sizes_of(name)]


def _largest(numbers: Iterable[Mapping[tuple, int]]) -> dict[tuple, int]:
    """Return the largest number under each key: the images of one target are the first of another's."""
    found: dict[tuple, int] = {}
    for some in numbers:
        found |= {key: max(number, found.get(key, 0)) for key, number in some.items()}
    return found


# --- Is this the right file? ---


def _download(entry: Mapping[str, Any]) -> str:
    """Return where a file lies as its authors published it; "" where there is none."""
    return f"{sources.DOWNLOADS}/{entry['download']}" if "download" in entry else ""


def _wrong_file(path: str, entry: Mapping[str, Any]) -> str:
    """Return how a file differs from the published one: in size, or in its SHA-256; "" if in nothing known."""
    size, published = Path(path).stat().st_size, entry.get("bytes")
    if published and size != published:
        return f"{path} has {size} bytes, and the published file {published}: it is truncated, or another file."
    if "sha256" in entry and size <= HASHED:
        log.info("%s: computing the SHA-256", path)
        if (found := sha256(path)) != entry["sha256"]:
            return f"{path} has the SHA-256 {found}, and the published file {entry['sha256']}: it is damaged, or another file."
    return ""


def _refused(check: Callable[[str], object], path: str) -> str:
    """Return what a check says against a file; "" if nothing."""
    try:
        check(path)
    except InputError as error:
        return str(error)
    return ""


def _cached(name: str) -> Path | None:
    """Return the folder of a model in the Hub's cache, or None."""
    for file in ("model_index.json", "config.json", "tokenizer_config.json"):
        try:
            found = try_to_load_from_cache(name, file)
        except ValueError:  # not a name that the Hub could have
            return None
        if isinstance(found, str):
            return Path(found).parent
    return None


def _pipeline_problems(folder: Path) -> Iterator[str]:
    index, problem = _json(folder / "model_index.json")
    if problem:
        yield problem
    elif (kind := index.get("_class_name")) != "StableDiffusionPipeline":
        yield f"model_index.json: a {kind}; expected a StableDiffusionPipeline, as of Stable Diffusion 1"
    else:
        yield from _config_problems(folder, "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json")
        yield from _config_problems(folder, "text_encoder/config.json")
        yield from _weights_problems(folder, "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model")
        yield from _weights_problems(folder, "text_encoder/model", older="text_encoder/pytorch_model")
        yield from _tokenizer_problems(folder / "tokenizer")


def _clip_problems(folder: Path) -> Iterator[str]:
    config, problem = _json(folder / "config.json")
    if problem:
        yield problem
    elif not str(kind := config.get("model_type")).startswith("clip"):
        yield f"config.json: a model of the type {kind}; expected clip"
    else:
        yield from _config_problems(folder, "preprocessor_config.json")
        yield from _weights_problems(folder, "model", older="pytorch_model")


def _tokenizer_problems(folder: Path) -> Iterator[str]:
    if not (folder / "tokenizer.json").exists():  # or the two files that it was made of
        for name in ("vocab.json", "merges.txt"):
            if not (folder / name).exists():
                yield f"{folder.name}: no tokenizer.json, and no {name}"


def _config_problems(folder: Path, *names: str) -> Iterator[str]:
    yield from (problem for name in names if (problem := _json(folder / name)[1]))


def _weights_problems(folder: Path, *stems: str, older: str = "") -> Iterator[str]:
    """Yield what is wrong with weights: of .safetensors header and length, of an older .bin only that it is there."""
    for stem in stems:
        files = sorted(folder.glob(f"{stem}.safetensors")) or sorted(folder.glob(f"{stem}-*-of-*.safetensors"))
        if not files and not (folder / f"{older or stem}.bin").exists():
            yield f"{stem}.safetensors is missing"
        for file in files:
            try:
                with safe_open(file, "pt"):
                    pass
            except (SafetensorError, OSError) as error:
                yield f"{file.relative_to(folder)} is cut off or damaged ({error})"


def _json(path: Path) -> tuple[dict[str, Any], str]:
    """Return what a file of keys and values holds, and what is wrong with it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, f"{path.name} is missing in {path.parent}"
    except (OSError, ValueError) as error:
        return {}, f"{path.name} in {path.parent} is no JSON ({error})"
    return (content, "") if isinstance(content, dict) else ({}, f"{path.name} in {path.parent} holds no keys")


PROBLEMS = {"pipeline": _pipeline_problems, "clip": _clip_problems, "tokenizer": _tokenizer_problems}
"""What is wrong with a folder in diffusers' or transformers' format, by the part that is needed."""


def _plugin(place: str, what: str, kind: str, users: tuple[str, ...]) -> Item:
    try:
        extensions.check(place, kind)
    except InputError as error:
        file_there = Path(place.rpartition(":")[0]).is_file()
        return Item(what, place, WRONG if file_there else MISSING, users, f"{error}. Mend it, or correct the config.")
    return Item(what, place, FOUND, users)


# --- How much ---


def _memory(size: Size, what: str, *step) -> tuple[int, str, str]:
    """Return the bytes of GPU memory that a step needs, the step in words, and what to do if they are too many."""
    width, height = size
    images = f"images of {width}x{height}"
    smaller = "make the images smaller (`resize` of the dataset, `width` and `height` of the pool)"
    if what == "generation":
        model, precision = step
        text, configs = f"generating {images} in {precision}", Path(model, "unet", "config.json").exists()
        lower = smaller if precision == "float16" else "set the generator's `precision` to float16"
        need = memory.generation(width, height, precision, model=model if configs else None)
        return need, text, lower
    network, settings, *training = step
    settings = json.loads(settings)
    if what == "annotation":
        need = memory.annotation(network, width, height, settings)
        return need, f"annotating {images} with {network}", smaller
    batch, precision = training
    need = memory.training(network, width, height, batch, precision, settings)
    lower = "lower `batch_size`" if batch > 1 else smaller
    return need, f"training {network} on {batch} {images} at once", lower


@cache
def _parameters(network: str, settings: str) -> int:
    """Return the numbers in a network's checkpoint; settings are JSON."""
    with torch.device("meta"):
        return sum(t.numel() for t in build(network, **json.loads(settings)).state_dict().values())


def _on_disk(path: str) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 where there is nothing."""
    found = Path(path)
    if found.is_file():
        return found.stat().st_size
    return sum(file.stat().st_size for file in found.rglob("*") if file.is_file())


def _size(number: float) -> str:
    """Return bytes in words."""
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{math.ceil(number / 1e6)} MB"
