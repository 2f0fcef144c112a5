"""What a config's tables and figures need, and whether it is there, before weeks of computing begin.

Everything is read as far as is needed to recognise what a job would refuse. Datasets are read and divided, and each image
and depth map is decoded as its preparation does it, since damage and wrong units are in the pixels; sizes and qualities are
compared. Downloads are compared with the published size and SHA-256, checkpoints with their network's tensors. Nothing else
is computed and nothing is stored, so it is a matter of minutes at the paper's size.
"""

import logging
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from promptmix import extensions
from promptmix.config import sources
from promptmix.config.experiments import Needs
from promptmix.config.plan import Plan
from promptmix.config.pools import about
from promptmix.config.targets import Target
from promptmix.datasets.decoding import find_problems
from promptmix.datasets.facts import check_facts
from promptmix.datasets.registry import read_split
from promptmix.errors import InputError
from promptmix.extensions import is_reference
from promptmix.networks import checkpoints
from promptmix.networks.text_to_image import described_by
from promptmix.preflight import models
from promptmix.preflight.disk import check_disk
from promptmix.preflight.gpu import check_gpu
from promptmix.preflight.origins import (
    Check,
    Origins,
    compare_with_published,
    describe_problem,
    is_made,
    locate_download,
)
from promptmix.preflight.report import FOUND, MADE, MISSING, WRONG, Item
from promptmix.preflight.sizes import ImageSizes
from promptmix.running import hub
from promptmix.synthesis.captioners import check_captioner
from promptmix.synthesis.captions import check_weights
from promptmix.synthesis.writers import check_writer

log = logging.getLogger(__name__)

RESTORER = {"detector": "retinaface", "parser": "parsenet", "restorer": "gfpgan"}
"""The networks of a restorer's parts."""

SHOWN = 10
"""Wrong images of a dataset that are named."""

Users = tuple[str, ...]
"""Tables and figures."""

Use = TypeVar("Use")
"""What something at a path is needed as."""


def survey(
    config: Mapping[str, Any],
    plan: Plan,
    targets: Mapping[str, Target],
    wanted: Collection[str] | None = None,
    ledger: str | Path = sources.SOURCES,
    workers: int = 1,
) -> list[Item]:
    """Look for everything that tables and figures need, in the current folder.

    Args:
        config: checked, with its defaults.
        plan, targets: what `promptmix.config.validation.resolve` makes of it.
        wanted: some of the targets, such as ["table1", "figure3"]; all by default.
        ledger: the file that says where things come from.
        workers: number of threads that decode images.

    Returns:
        Datasets, models, checkpoints, plug-ins, GPU and disk, in this order.
    """
    needs = {name: targets[name].needs for name in wanted or targets}
    looking = _Survey(config, plan, needs, ledger, workers)
    items = [
        *looking.check_datasets(),
        *looking.check_models(),
        *looking.check_writers(),
        *looking.check_generators(),
        *looking.check_checkpoints(),
        *looking.check_plugins(),
    ]
    gpu = check_gpu(plan, needs, looking.sizes)
    return [*items, *([gpu] if gpu else []), check_disk(plan, needs, looking.sizes, looking.origins)]


class _Survey:
    """Looks for what some targets need: for files, and for the user's own code.

    Attributes:
        sizes: of the images of the datasets that were read.
        origins: of what was looked for.
    """

    def __init__(
        self, config: Mapping[str, Any], plan: Plan, needs: Mapping[str, Needs], ledger: str | Path, workers: int
    ):
        self._config, self._plan, self._needs, self._workers = config, plan, needs, workers
        self.sizes, self.origins = ImageSizes(config), Origins(ledger)

    # --- Datasets ---

    def check_datasets(self) -> Iterator[Item]:
        """Yield the datasets, in the config's order."""
        for name, users in self._users_of(self._config["datasets"], lambda needs: needs.datasets):
            yield self._check_dataset(name, users)

    def _check_dataset(self, name: str, users: Users) -> Item:
        entry = self._config["datasets"][name]
        what, path = f"dataset {name}", entry["path"]
        if is_made(self._config, path):
            return Item(what, path, FOUND if Path(path).exists() else MADE, users)
        try:
            problem = self._compare_with_download(path) or self._read_dataset(name)
        except InputError as error:
            if not Path(path).exists():
                return self.origins.describe_absent(what, path, users, "datasets", str(error))
            problem = str(error)
        except Exception as error:  # which the job would end with; the report goes on to what else is needed
            log.info("%s", traceback.format_exc())
            problem = f"{path}: {type(error).__name__}: {error}"
        if problem:
            return Item(what, path, WRONG, users, self.origins.advise(problem, "datasets", path))
        return Item(what, path, FOUND, users)

    def _compare_with_download(self, path: str) -> str:
        """Return how a dataset that is one file, as it was downloaded, differs from the published file."""
        _, known = self.origins.find("datasets", path)
        is_download = Path(path).is_file() and locate_download(known) == path
        return compare_with_published(path, known) if is_download else ""

    def _read_dataset(self, name: str) -> str:
        """Read a dataset, and return what is wrong with it, or how it differs from what is known of it; "" if nothing."""
        entry = self._config["datasets"][name]
        log.info("dataset %s: reading %s", name, entry["path"])
        settings = entry.get("unit"), entry["split"], self._config["seed"], entry.get("anchor")
        samples = read_split(entry["format"], entry["path"], entry["images"], *settings)
        self.sizes.remember(name, samples)
        log.info("dataset %s: %d images, comparing them with what is known of it", name, len(samples))
        if found := check_facts(samples, entry.get("facts", {})):
            return "\n- ".join([f"{entry['path']} is another dataset than the config says:", *found])
        log.info("dataset %s: looking at each image", name)
        found = find_problems(samples, entry["resize"], self._workers)
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        return (
            "\n- ".join([f"{len(found)} of {len(samples)} images are wrong:", *found[:SHOWN], *more]) if found else ""
        )

    # --- Models in diffusers' or transformers' format ---

    def check_models(self) -> Iterator[Item]:
        """Yield the folders of models."""
        for path, (parts, users) in self._group(self._list_models()).items():
            names = sorted(set(parts))
            library = "diffusers" if {"pipeline", "refiner", "LoRA", "file"} & {*names} else "transformers"
            what = ", ".join(models.NAMES[part] for part in names)
            yield self._check_model(path, what, partial(models.find_problems, parts=names), users, library)
        for name, users in self._users_of(self._plan.annotators, lambda needs: needs.annotators):
            if (annotator := self._plan.annotators[name]).is_of_transformers:
                check = partial(models.check_annotator, task=annotator.task, settings=annotator.settings)
                find = partial(_find_problems, [check])
                yield self._check_model(annotator.weights, f"annotator {name}", find, users, "transformers")

    def _list_models(self) -> Iterator[tuple[str, str, Users]]:
        """Yield the path of a model, which part of it is needed, and by whom."""
        for name, users in self._users_of(self._plan.generators, _list_generators):
            if "model" in (generator := self._plan.generators[name]):  # one with a restorer has none of its own
                yield described_by(generator), "pipeline", users
                if "base" in generator:
                    yield generator["model"], "file", users
                if "refiner" in generator:
                    yield generator["refiner"]["model"], "refiner", users
                for lora in generator.get("lora", []):
                    yield lora["model"], "LoRA", users
        for name, users in self._users_of(self._config["captioners"], lambda needs: needs.captioners):
            if "model" not in (captioner := self._config["captioners"][name]):
                for part in ("clip", "tokenizer"):
                    yield captioner[part], part, users
        for name, users in self._users_of(self._plan.experiments, lambda needs: needs.experiments):
            if fake := self._plan.experiments[name].fake:
                for filter, settings in fake.filters.items():
                    for part in ("clip", "texts") if filter == "clip_score" else ("clip",):
                        if "model" in settings:
                            yield settings["model"], part, users

    def _check_model(self, path: str, what: str, find: Callable[[str], list[str]], users: Users, library: str) -> Item:
        if hub.locate(path) is None:
            if is_made(self._config, path):
                return Item(what, path, MADE, users)
            error = (
                f"{path}: there is no such folder, and the Hub's cache has no model of this name. Put a folder in the "
                f"format of {library} there, or correct the config."
            )
            if path.endswith(".safetensors"):
                error = f"{path}: there is no such file. Put it there, or correct the config."
            return self.origins.describe_absent(what, path, users, "models", error)
        log.info("%s: checking %s", what, path)
        if problems := find(path):
            return Item(what, path, WRONG, users, self.origins.advise("\n".join(problems), "models", path))
        return Item(what, path, FOUND, users)

    def check_generators(self) -> Iterator[Item]:
        """Yield the generators whose model does not take their settings."""
        for name, users in self._users_of(self._plan.generators, _list_generators):
            entry = self._plan.generators[name]
            if "model" not in entry:  # one with a restorer has none of its own
                continue
            named = [
                described_by(entry),
                entry.get("refiner", {}).get("model"),
                *(lora["model"] for lora in entry.get("lora", [])),
            ]
            if any(path and hub.locate(path) is None for path in named):
                continue
            problem = models.find_unfit_settings(entry)
            if problem and not models.find_problems(described_by(entry), ["pipeline"]):  # else it is said of the model
                yield Item(f"generator {name}", entry["model"], WRONG, users, problem)

    def check_writers(self) -> Iterator[Item]:
        """Yield the models that write captions and prompts, as they are asked to."""
        for path, (uses, users) in self._group(self._list_writers()).items():
            what = ", ".join(dict.fromkeys(name for name, _ in uses))
            find = partial(_find_problems, [check for _, check in uses])
            yield self._check_model(path, what, find, users, "transformers")

    def _list_writers(self) -> Iterator[tuple[str, tuple[str, Check], Users]]:
        """Yield the path of a model that writes texts, what it is, a function that checks it, and who needs it."""
        for name, users in self._users_of(self._config["captioners"], lambda needs: needs.captioners):
            if "model" in (captioner := self._config["captioners"][name]):
                settings = {key: value for key, value in captioner.items() if key != "model"}
                yield captioner["model"], (f"captioner {name}", partial(check_captioner, **settings)), users
        for pool, users in self._users_of(self._plan.pools, _list_pools):
            if writer := self._plan.writer_of(pool):
                settings = {key: value for key, value in writer.items() if key != "model"}
                of = about(self._plan.pools[self._plan.pools[pool].get("of", pool)])
                yield writer["model"], ("writer of prompts", partial(check_writer, about=of, **settings)), users

    # --- Checkpoints ---

    def check_checkpoints(self) -> Iterator[Item]:
        """Yield the files of weights."""
        for path, (uses, users) in self._group(self._list_checkpoints()).items():
            yield self._check_checkpoint(path, *uses[0], users)

    def _list_checkpoints(self) -> Iterator[tuple[str, tuple[str, Check], Users]]:
        """Yield the path of a checkpoint, what it is, a function that checks a file, and who needs it."""
        for name, users in self._users_of(self._plan.annotators, lambda needs: needs.annotators):
            annotator = self._plan.annotators[name]
            if annotator.is_network:
                path = annotator.weights or f"results/{self._config['scale']}/annotators/{name}.safetensors"
                check: Check = partial(checkpoints.read_fitting, annotator.reference, **annotator.settings)
                yield path, (f"annotator {name}", check), users
        for name, users in self._users_of(self._config["captioners"], lambda needs: needs.captioners):
            if "model" in (captioner := self._config["captioners"][name]):
                continue
            check = partial(check_weights, **{key: captioner[key] for key in ("clip", "tokenizer", "settings")})
            yield captioner["weights"], (f"captioner {name}", check), users
        for name, users in self._users_of(self._plan.generators, _list_generators):
            if restorer := self._plan.generators[name].get("restorer"):
                for part, network in RESTORER.items():
                    entry = self._config["restorers"][restorer][part]
                    yield _describe_part(f"{part} of {restorer}", network, entry, users)
        for name, users in self._users_of(self._plan.experiments, lambda needs: needs.experiments):
            trained = self._plan.experiments[name].network
            if trained.backbone:
                check = partial(checkpoints.read_backbone, trained.reference, **trained.settings)
                yield trained.backbone, (f"backbone of {trained.name}", check), users

    def _check_checkpoint(self, path: str, what: str, check: Check, users: Users) -> Item:
        log.info("%s: checking %s", what, path)
        if not Path(path).exists():
            if is_made(self._config, path):
                return Item(what, path, MADE, users)
            error = f"{path}: there is no such file. Put the checkpoint there, or correct the path in the config."
            return self.origins.describe_absent(what, path, users, "checkpoints", error, check)
        published = self.origins.find("checkpoints", path)[1].get("sha256")
        if not (problem := describe_problem(check, path)) and published:
            imported = checkpoints.read_metadata(path).get("source_sha256", published)
            if imported != published:
                problem = f"{path} was made of a file with the SHA-256 {imported}; the published one has {published}."
        if problem:
            return Item(what, path, WRONG, users, self.origins.advise(problem, "checkpoints", path))
        return Item(what, path, FOUND, users)

    # --- Plug-ins ---

    def check_plugins(self) -> Iterator[Item]:
        """Yield the user's own code, and the files that it reads."""
        for place, (uses, users) in self._group(self._list_plugins()).items():
            yield _check_plugin(place, *uses[0], users)
        for name, users in self._users_of(self._plan.annotators, lambda needs: needs.annotators):
            for path in self._plan.annotators[name].files:
                what = f"file of {name}"
                if Path(path).exists() or is_made(self._config, path):
                    yield Item(what, path, FOUND if Path(path).exists() else MADE, users)
                else:
                    error = f"{path}: there is no such file. Put it there, or correct the path in the config."
                    yield self.origins.describe_absent(what, path, users, "checkpoints", error)

    def _list_plugins(self) -> Iterator[tuple[str, tuple[str, str], Users]]:
        """Yield the place of a user's own code, "file.py:name", what it is for and its kind, and who needs it."""
        for name, users in self._users_of(self._plan.annotators, lambda needs: needs.annotators):
            if (annotator := self._plan.annotators[name]).is_function:
                yield annotator.reference, (f"annotator {name}", "function"), users
        for name, users in self._users_of(self._plan.experiments, lambda needs: needs.experiments):
            if is_reference((network := self._plan.experiments[name].network).reference):
                yield network.reference, (f"network {network.name}", "class"), users

    # --- Who needs what ---

    def _users_of(self, names: Iterable[str], part: Callable[[Needs], Collection[str]]) -> Iterator[tuple[str, Users]]:
        """Yield the names that are in a part of what a target needs, with these targets."""
        for name in names:
            if users := tuple(target for target, needs in self._needs.items() if name in part(needs)):
                yield name, users

    def _group(self, found: Iterable[tuple[str, Use, Users]]) -> dict[str, tuple[list[Use], Users]]:
        """Return as what each path is needed, and by whom in their order: one file can serve more than one purpose."""
        uses: dict[str, list[Use]] = {}
        users: dict[str, set[str]] = {}
        for path, use, of_use in found:
            uses.setdefault(path, []).append(use)
            users.setdefault(path, set()).update(of_use)
        return {path: (uses[path], tuple(name for name in self._needs if name in users[path])) for path in uses}


def _find_problems(checks: Iterable[Check], path: str) -> list[str]:
    """Return what some checks say against a model, each thing once."""
    return list(dict.fromkeys(filter(None, (describe_problem(check, path) for check in checks))))


def _list_generators(needs: Needs) -> set[str]:
    return {generator for _, generator in needs.images}


def _list_pools(needs: Needs) -> set[str]:
    return {pool for pool, _ in needs.images}


def _describe_part(
    what: str, network: str, entry: Mapping[str, Any], users: Users
) -> tuple[str, tuple[str, Check], Users]:
    """Return the same as `_list_checkpoints`, for an entry of the config with `weights` and perhaps `settings`."""
    check = partial(checkpoints.read_fitting, network, **entry.get("settings", {}))
    return entry["weights"], (what, check), users


def _check_plugin(place: str, what: str, kind: str, users: Users) -> Item:
    try:
        extensions.check(place, kind)
    except InputError as error:
        file_there = Path(place.rpartition(":")[0]).is_file()
        return Item(what, place, WRONG if file_there else MISSING, users, f"{error}. Mend it, or correct the config.")
    return Item(what, place, FOUND, users)
