"""The jobs behind tables and figures: which rule, for what, after which others, and what each computes on images.

They are those that Snakemake would run if nothing were there yet, as the rules name them. Left out is what is fetched, unpacked,
imported, or trained for the miniature: it is done once and is not part of the method.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from promptmix.config import blocks
from promptmix.config.asking import SIZE
from promptmix.config.experiments import Experiment, Fake, Needs, split_of
from promptmix.config.plan import Plan
from promptmix.config.targets import (
    ChangesFigure,
    ColoursFigure,
    CostTable,
    ErrorTable,
    ExamplesFigure,
    PredictionsFigure,
    RoundTrip,
    SizesFigure,
    Target,
)
from promptmix.preflight.sizes import ImageSizes, Size

ASSUMED: Size = SIZE
"""The size of images that nothing tells the size of yet: Shanghai Tech Part B's."""


@dataclass(frozen=True)
class Work:
    """What a job computes on images.

    Attributes:
        kind: "generate", "predict", "annotate", "train", "caption", "write" or "restore". A model of transformers annotates.
        model: what computes: a network's reference, a model of transformers, or the name of a generator, of a captioner, or
            of a pool that is written.
        settings: of the network, as JSON; of a model of transformers with its `task`.
        precision: "float32", "float16" or "bfloat16".
        size: of an image; one of another size counts as the share that its pixels are of this one's.
        passes: images that are generated, predicted or captioned, or whose loss is minimised, each time anew.
        forward: images that are only predicted besides, as in validation.
        batch: images of an update.
    """

    kind: str
    model: str
    settings: str
    precision: str
    size: Size
    passes: float
    forward: float = 0
    batch: int = 1


@dataclass(frozen=True)
class Job:
    """A job of the workflow.

    Attributes:
        rule: its name.
        wildcards: of its files.
        after: the jobs that it needs.
        work: what it computes; empty if that hardly counts beside its start. An average has one part per member.
        counted: whether all that it computes is in `work`; not so for code of the user's.
        images: those that it generates.
    """

    rule: str
    wildcards: tuple[tuple[str, str], ...]
    after: tuple["Job", ...] = ()
    work: tuple[Work, ...] = ()
    counted: bool = True
    images: int = 0

    def __hash__(self) -> int:  # not of all that is behind it
        return hash((self.rule, self.wildcards))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and (self.rule, self.wildcards) == (other.rule, other.wildcards)

    def path(self, pattern: str) -> str:
        """Return one of its files by its rule's pattern."""
        return pattern.format(**dict(self.wildcards))


def closure(jobs: Iterable[Job]) -> list[Job]:
    """Return jobs and all that they need, each once, after what it needs."""
    found: dict[Job, None] = {}
    stack = [(job, False) for job in jobs]
    while stack:
        job, expanded = stack.pop()
        if job in found:
            continue
        if expanded:
            found[job] = None
        else:
            stack.append((job, True))
            stack += [(one, False) for one in reversed(job.after) if one not in found]
    return list(found)


class Jobs:
    """The jobs of a config's tables and figures.

    Args:
        plan, targets: what `promptmix.config.validation.resolve` makes of the config.
        index: the pattern of the file that says how large a prepared dataset's images are, with `{dataset}`.
        made: returns the blocks of images that are there, of a pool and a diffusion model.

    Attributes:
        sizes: of the images: as prepared, or as the config tells them, or `ASSUMED`.
        sizes_assumed: the datasets whose images are taken to have the size `ASSUMED`.
    """

    def __init__(
        self,
        plan: Plan,
        targets: Mapping[str, Target],
        index: str,
        made: Callable[[str, str], Iterable[str]] = lambda pool, generator: (),
    ):
        self._plan, self._config, self._targets, self._index, self._made = plan, plan.config, targets, index, made
        self._needs = plan.needs(*plan.experiments)
        for target in targets.values():
            self._needs |= target.needs
        self._jobs: dict[tuple, Job] = {}
        self.sizes, self.sizes_assumed = ImageSizes(plan.config), list[str]()
        for dataset in sorted(self._needs.datasets):
            self._find_sizes(dataset)

    @property
    def needs(self) -> Needs:
        """What anything in the config needs."""
        return self._needs

    def of_target(self, name: str) -> list[Job]:
        """Return the jobs of a table or figure, each after those that it needs."""
        target = self._targets[name]
        shown = "show_figure" if name in self._config["figures"] else "show_table"
        key = {"figure" if shown == "show_figure" else "table": name}
        rule, after = self._written(target)
        pictures = self._pictures(name, target) if isinstance(target, ErrorTable) else []
        last = self._job(shown, key, [self._job(rule, key, after), *pictures])
        return closure([last])

    def _pictures(self, name: str, table: ErrorTable) -> list[Job]:
        """Return the jobs that draw what the report shows of a table's datasets."""
        found = []
        for dataset in dict.fromkeys(self._plan.experiments[one].dataset for one in table.experiments):
            key = {"table": name, "dataset": dataset}
            ours = [one for one in table.experiments if self._plan.experiments[one].dataset == dataset]
            found.append(self._job("draw_curves", key, [self._selected(one) for one in ours]))
            mixed = [self._mixed(self._plan.experiments[one]) for one in ours if self._plan.experiments[one].fake]
            if mixed:
                found.append(self._job("show_generated", key, [self._prepared(dataset), *mixed]))
        return found

    def _written(self, target: Target) -> tuple[str, list[Job]]:
        """Return the rule that writes a target, and the jobs that it needs."""
        match target:
            case ErrorTable():
                after = [job for name in target.experiments for job in self._results(name)]
                return "write_table", after + [self._tested(*pair) for pair in target.annotators]
            case CostTable():
                width, height = map(str, target.size)
                after = []
                for row in target.rows:
                    if row.network:
                        after.append(
                            self._job("count_cost", {"network": row.network, "width": width, "height": height})
                        )
                    after += [self._evaluated(name) for name in row.experiments.values()]
                    after += [self._tested(annotator, dataset) for dataset, annotator in row.annotators.items()]
                return "write_cost_table", after
            case RoundTrip():
                after = []
                for pool, prompts in target.pools.items():
                    for block in self._blocks(pool, target.generator, prompts):
                        images = self._images(pool, target.generator, block)
                        key = {"pool": pool, "generator": target.generator, "captioner": target.captioner}
                        work = self._captioning(target.captioner, self.sizes.of_pool(pool), len(blocks.seeds_of(block)))
                        after.append(self._job("caption_generated", key | {"block": block}, [images], [work]))
                return "write_roundtrip", after
            case ColoursFigure():
                return "draw_colours", [
                    self._images(pool, target.generator, block)
                    for pool in target.pools
                    for block in self._blocks(pool, target.generator, target.columns)
                ]
            case ExamplesFigure():
                experiment = self._plan.experiments[target.experiment]
                fake = experiment.fake
                assert fake is not None
                found = self._blocks(target.pool, fake.generator, target.columns)
                after = [self._annotated(target.pool, fake.generator, fake.annotator, block) for block in found]
                return "show_examples", [self._prepared(experiment.dataset), *after]
            case PredictionsFigure():
                return "draw_predictions", [self._selected(name) for name in target.experiments]
            case SizesFigure():
                return "draw_sizes", [self._evaluated(name) for name in target.experiments]
            case ChangesFigure():
                written = {name: self._written(table) for name, table in target.tables.items()}
                return "draw_changes", [
                    self._job(rule, {"table": name}, after) for name, (rule, after) in written.items()
                ]

    # --- Datasets, captions, prompts, images ---

    def _prepared(self, dataset: str) -> Job:
        rendered = dataset in self._config["render"]
        after = [self._job("render_dataset", {"dataset": dataset})] if rendered else []
        return self._job("prepare_dataset", {"dataset": dataset}, after)

    def _prompts(self, pool: str) -> Job:
        entry, after = self._plan.pools[pool], list[Job]()
        if "edits" in entry:
            after = [self._prompts(entry["of"])]
        elif "dataset" in entry:
            dataset, captioner = entry["dataset"], entry["captioner"]
            number = split_of(self._config, dataset)["train"]
            work = self._captioning(captioner, self.sizes.of_dataset(dataset), number)
            prepared = self._prepared(dataset)
            key = {"dataset": dataset, "captioner": captioner}
            after = [prepared, self._job("caption_images", key, [prepared], [work])]
        if "written_by" in entry:
            work = Work("write", pool, "{}", _precision(entry["written_by"]), ASSUMED, self._plan.prompts_of(pool))
            after = [*after, self._job("write_texts", {"pool": pool}, after, [work])]
        return self._job("write_prompts", {"pool": pool}, after)

    def _blocks(self, pool: str, generator: str, number: int) -> list[str]:
        diffusion = self._plan.diffusion_of(generator)
        asked, made = self._needs.images[pool, diffusion], self._made(pool, diffusion)
        return blocks.cover(number, asked, made, self._config["images_per_block"])

    def _images(self, pool: str, generator: str, block: str) -> Job:
        entry = self._plan.generators[generator]
        key = {"pool": pool, "generator": generator, "block": block}
        number, sizes = len(blocks.seeds_of(block)), self.sizes.of_pool(pool)
        if "generator" in entry:
            parts = self._config["restorers"][entry["restorer"]]
            enlarge = parts.get("enlarge", 1)
            settings = parts["detector"].get("settings", {})
            size, passes = _shape([(enlarge * width, enlarge * height) for width, height in sizes], number)
            work = Work("restore", "retinaface", _text(settings), "float32", size, passes)
            return self._job("restore_faces", key, [self._images(pool, entry["generator"], block)], [work])
        size, passes = _shape(sizes, number)
        work = Work("generate", generator, "{}", entry["precision"], size, passes)
        return self._job("generate_images", key, [self._prompts(pool)], [work], images=number)

    def _captioning(self, captioner: str, sizes: Sequence[Size], images: int) -> Work:
        precision = _precision(self._config["captioners"][captioner])
        return Work("caption", captioner, "{}", precision, sizes[0], images)  # captioners take images of one size

    # --- Annotators and annotations ---

    def _annotator(self, name: str) -> list[Job]:
        """Return the job that makes an annotator, if one does."""
        given = self._plan.annotators[name].fine_tune
        if not given:
            return []
        dataset, tuned = given["dataset"], []
        start = [self._prepared(dataset), *self._annotator(given["annotator"])]
        for rate in self._plan.learning_rates_of(name):
            settings = self._plan.fine_tuning_of(name, rate)
            work = self._training(dataset, settings)
            tuned.append(self._job("fine_tune_annotator", {"annotator": name, "lr": rate}, start, [work]))
        return [self._job("select_annotator", {"annotator": name}, tuned)]

    def _predicting(self, name: str, sizes: Sequence[Size], images: int) -> list[Work]:
        """Return the work of an annotator that is not an average; nothing of a function, of which it is not known."""
        annotator = self._plan.annotators[name]
        size, passes = _shape(sizes, images)
        passes *= 1 + annotator.flip
        if annotator.is_of_transformers:
            settings = {**annotator.settings, "task": annotator.task}
            return [Work("annotate", annotator.weights, _text(settings), "float32", size, passes)]
        if not annotator.is_network:
            return []
        return [Work("predict", annotator.reference, _text(annotator.settings), annotator.precision, size, passes)]

    def _annotated(self, pool: str, generator: str, name: str, block: str) -> Job:
        annotator = self._plan.annotators[name]
        key = {"pool": pool, "generator": generator, "annotator": name, "block": block}
        if annotator.mean_of:
            after = [self._annotated(pool, generator, member, block) for member in annotator.mean_of]
            return self._job("average_annotations", key, after)
        work = self._predicting(name, self.sizes.of_pool(pool), len(blocks.seeds_of(block)))
        after = [self._images(pool, generator, block), *self._annotator(name)]
        return self._job("annotate_images", key, after, work, counted=not annotator.is_function)

    def _tested(self, name: str, dataset: str) -> Job:
        members = self._plan.members_of(name)
        images = split_of(self._config, dataset)["test"]
        work = [one for member in members for one in self._predicting(member, self.sizes.of_dataset(dataset), images)]
        after = [self._prepared(dataset), *(job for member in members for job in self._annotator(member))]
        key = {"annotator": name, "dataset": dataset}
        return self._job("evaluate_annotator", key, after, work, counted=len(work) == len(members))

    # --- Experiments ---

    def _mixed(self, experiment: Experiment) -> Job:
        fake = experiment.fake
        assert fake is not None
        after: list[Job] = [self._prepared(experiment.dataset)]
        if fake.rendered:
            names = self._plan.members_of(fake.annotator) if fake.rendered == "annotator" else ()
            sizes = self.sizes.of_dataset(experiment.dataset)
            work = [one for name in names for one in self._predicting(name, sizes, fake.kept)]
            after += [job for name in names for job in self._annotator(name)]
            key = {"experiment": experiment.name}
            return self._job("render_fake", key, after, work, counted=len(work) == len(names))
        for pool, number in fake.images.items():
            for block in self._blocks(pool, fake.generator, number):
                after += [
                    self._images(pool, fake.generator, block),
                    self._annotated(pool, fake.generator, fake.annotator, block),
                ]
                if fake.scored_by:
                    compared = [self._annotated(pool, fake.generator, name, block) for name in fake.scored_by]
                    key = {"pool": pool, "generator": fake.generator, "annotators": "+".join(fake.scored_by)}
                    after.append(self._job("score_images", key | {"block": block}, compared))
                after += self._compared(fake, pool, block)
        if "leak_guard" in fake.filters:
            after.append(self._guarded(experiment))
        if fake.prompt_filter:
            assert experiment.baseline is not None
            prompts = list(map(self._prompts, fake.pools))
            if fake.halving:
                after.append(
                    self._job("conclude_halving", {"experiment": experiment.name}, self._halved(experiment, prompts))
                )
            else:
                trained = [experiment.baseline, *experiment.single_prompts.values()]
                needed = [*map(self._selected, trained), *prompts]
                after.append(self._job("filter_prompts", {"experiment": experiment.name}, needed))
        return self._job("mix_dataset", {"experiment": experiment.name}, after)

    def _halved(self, experiment: Experiment, prompts: list[Job]) -> list[Job]:
        """Return the job of the last rung, after the others.

        Which prompts are decided first is not known: it is taken to be the last ones.
        """
        assert experiment.baseline is not None
        singles = [self._plan.experiments[name] for name in experiment.single_prompts.values()]
        left, rates, trained, halved = len(singles), len(experiment.learning_rates), 0, list[Job]()
        for rung, until in enumerate(experiment.rungs, start=1):
            after: list[Job] = []
            for place, single in enumerate(singles):
                settings = single.run_settings(single.learning_rates[0], 0, self._config["seed"])
                runs = rates * single.repeats if place < left else 0
                assert single.fake is not None
                one = self._training(single.dataset, settings | {"epochs": until - trained}, single.fake.images)
                work = replace(one, passes=one.passes * runs, forward=one.forward * runs)
                key = {"experiment": experiment.name, "single": single.name, "rung": str(rung)}
                needed = [self._prepared(single.dataset), self._mixed(single), *halved]
                after.append(self._job("train_rung", key, needed, [work] if runs else []))
            key = {"experiment": experiment.name, "rung": str(rung)}
            halved = [self._job("halve_prompts", key, [*self._runs(experiment.baseline), *after, *prompts, *halved])]
            left, rates, trained = math.ceil(left / 2), math.ceil(rates / 2), until
        return halved

    def _compared(self, fake: Fake, pool: str, block: str) -> list[Job]:
        """Return the jobs that compare a block's images with each other and with their prompts."""
        key, images = (
            {"pool": pool, "generator": fake.generator, "block": block},
            self._images(pool, fake.generator, block),
        )
        found = [self._job("hash_images", key, [images])] if "near_duplicates" in fake.filters else []
        if clip := fake.filters.get("clip_score"):
            described = self._described(fake, pool, block, clip["model"])
            found.append(
                self._job("score_prompts", key | {"clip": self._plan.clip_of(clip["model"])}, [images, described])
            )
        return found

    def _described(self, fake: Fake, pool: str, block: str, model: str) -> Job:
        key = {"pool": pool, "generator": fake.generator, "clip": self._plan.clip_of(model), "block": block}
        return self._job("describe_images", key, [self._images(pool, fake.generator, block)])

    def _guarded(self, experiment: Experiment) -> Job:
        """Return the job that compares an experiment's images with test images."""
        fake = experiment.fake
        assert fake is not None
        key, prepared = {"dataset": experiment.dataset}, [self._prepared(experiment.dataset)]
        after, model = [self._job("hash_test_images", key, prepared)], fake.filters["leak_guard"].get("model")
        if model:
            clip = {"clip": self._plan.clip_of(model)}
            after.append(self._job("describe_test_images", key | clip, prepared))
        for pool, number in fake.images.items():
            for block in self._blocks(pool, fake.generator, number):
                of_block = {"pool": pool, "generator": fake.generator, "block": block}
                after.append(self._job("hash_images", of_block, [self._images(pool, fake.generator, block)]))
                after += [self._described(fake, pool, block, model)] if model else []
        return self._job("guard_leaks", {"experiment": experiment.name}, after)

    def _training(self, dataset: str, settings: Mapping[str, Any], pools: Mapping[str, int] | None = None) -> Work:
        """Return the work of a training run.

        Args:
            settings: as `promptmix.training.settings.TrainingSettings` takes them.
            pools: images of each pool in D_fake.
        """
        split, sizes = split_of(self._config, dataset), self.sizes.of_dataset(dataset)
        real = split["train"] if settings.get("real_images", True) else 0
        size, passes = _shape(sizes, real + settings.get("repeated", 0))
        for pool, number in (pools or {}).items():  # of which each epoch draws r_mix
            drawn = settings["r_mix"] * number / sum((pools or {}).values())
            passes += drawn * _mean_pixels(self.sizes.of_pool(pool)) / math.prod(size)
        epochs = settings["epochs"]
        validations = math.ceil(epochs / settings["validate_every"])
        return Work(
            "train",
            settings["network"],
            _text(settings["network_settings"]),
            settings["precision"],
            size,
            passes * epochs,
            validations * _shape(sizes, split["val"])[1],
            settings["batch_size"],
        )

    def _runs(self, name: str) -> list[Job]:
        experiment = self._plan.experiments[name]
        after = [self._prepared(experiment.dataset), *([self._mixed(experiment)] if experiment.fake else [])]
        found = []
        for rate in experiment.learning_rates:
            for repeat in range(experiment.repeats):
                key = {"experiment": name, "lr": rate, "repeat": str(repeat)}
                settings = experiment.run_settings(rate, repeat, self._config["seed"])
                pools = experiment.fake.images if experiment.fake else None
                if experiment.fake and experiment.fake.rendered:  # images like the real ones
                    settings |= {"repeated": experiment.fake.r_mix}
                    pools = None
                work = self._training(experiment.dataset, settings, pools)
                found.append(self._job("train_network", key, after, [work]))
        return found

    def _selected(self, name: str) -> Job:
        return self._job("select_learning_rate", {"experiment": name}, lambda: self._runs(name))

    def _evaluated(self, name: str) -> Job:
        experiment = self._plan.experiments[name]
        images = split_of(self._config, experiment.dataset)["test"] * experiment.repeats
        size, passes = _shape(self.sizes.of_dataset(experiment.dataset), images)
        network = experiment.network
        work = Work("predict", network.reference, _text(network.settings), "float32", size, passes)
        after = [self._prepared(experiment.dataset), self._selected(name)]
        return self._job("evaluate_network", {"experiment": name}, after, [work])

    def _results(self, name: str) -> list[Job]:
        experiment = self._plan.experiments[name]
        return [self._evaluated(name), *([self._mixed(experiment)] if experiment.fake else [])]

    # --- What the jobs have in common ---

    def _find_sizes(self, dataset: str) -> None:
        if (index := Path(self._index.format(dataset=dataset))).exists():
            table = pd.read_csv(index, usecols=["width", "height"])
            self.sizes.know(dataset, list(zip(table["width"].tolist(), table["height"].tolist(), strict=True)))
        elif not self.sizes.of_dataset(dataset):
            self.sizes.know(dataset, [ASSUMED] * sum(split_of(self._config, dataset).values()))
            self.sizes_assumed.append(dataset)

    def _job(
        self,
        rule: str,
        wildcards: Mapping[str, str],
        after: Sequence[Job] | Callable[[], Sequence[Job]] = (),
        work: Sequence[Work] = (),
        counted: bool = True,
        images: int = 0,
    ) -> Job:
        """Return a job, the same object each time that it is asked for."""
        key = (rule, tuple(wildcards.items()))
        if key not in self._jobs:
            needed = after() if callable(after) else after
            self._jobs[key] = Job(rule, key[1], tuple(dict.fromkeys(needed)), tuple(work), counted, images)
        return self._jobs[key]


def _precision(entry: Mapping[str, Any]) -> str:
    """Return a model's precision as devices tell them apart: bfloat16 is as fast as float16."""
    return "float32" if entry.get("precision", "float32") == "float32" else "float16"


def _shape(sizes: Sequence[Size], images: float) -> tuple[Size, float]:
    """Return the most frequent size, and how many images of it have as many pixels as `images` of these sizes."""
    size = Counter(sizes).most_common(1)[0][0]
    return size, images * _mean_pixels(sizes) / math.prod(size)


def _mean_pixels(sizes: Sequence[Size]) -> float:
    return sum(map(math.prod, sizes)) / len(sizes)


def _text(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)
