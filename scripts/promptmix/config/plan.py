"""From a checked config to its experiments, resolved once.

An experiment is described by what the config says of it in one place (a row of a table, or an entry of `experiments`)
over what `promptmix` says for its dataset, over `promptmix.default`. Experiments with the same settings are one, under
the first name that they are given, so their work is done once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from promptmix.config.blocks import check_number
from promptmix.config.experiments import (
    FAKE_KEYS,
    Annotator,
    Experiment,
    Fake,
    Needs,
    Network,
    prompts_of,
    run_settings,
)
from promptmix.config.pools import expand
from promptmix.datasets import registry as datasets
from promptmix.errors import InputError, did_you_mean
from promptmix.networks import registry as networks
from promptmix.networks.transformers_models import TRANSFORMERS

FILTERS = ("near_duplicates", "clip_score", "leak_guard")
"""The filters of images beyond the paper's, in the order in which they are applied, before r_img."""

FILTER_DEFAULTS: dict[str, dict[str, Any]] = {
    "near_duplicates": {"distance": 6},
    "leak_guard": {"action": "report", "distance": 6},
}
"""What holds for them where the config does not say."""

REQUIRED = {
    "pools": "where the prompts come from",
    "k": "images per prompt",
    "generator": "what makes the images",
    "annotator": "what annotates them",
    "r_mix": "generated images per epoch",
}
"""What has to be said of D_fake, and what it means."""

EDITED = "-edited"
"""What the name of a pool of edited prompts ends with, after that of the pool whose prompts were edited."""

PREFIXES = {
    **{"prompt": "only-", "k": "k", "r_mix": "r", "r_img": "q", "annotator": "by-", "scored_by": "scored-by-"},
    "filters": "filters-",
    "rendered": "rendered-",
}
"""What the names of experiments have before a value of `FAKE_KEYS`, to say what it is of."""

NOT_RENDERED: dict[str, Any] = {"prompt": None, "restorer": None, "prompt_filter": False, "r_img": 100, "filters": {}}
"""What an experiment may not say of D_fake if its images are rendered, and what is as good as not said."""

OF_TRANSFORMERS = ("label", "score", "sigma", "kernel", "unit")
"""Keys of `annotators.<name>` that are settings of a model of transformers."""

SIMILARITY = 0.95
"""From which cosine of CLIP's features on the leak guard takes two images for alike, if the config does not say."""

NO_SETTINGS = ("class", "task", "backbone")
"""Keys of `networks.<name>` that are not settings of the network."""


class Plan:
    """The experiments of a config, and what makes and annotates their images.

    Args:
        config: checked, with its defaults.

    Attributes:
        experiments: by name.
        written: the experiment of each entry of the config's `experiments`; of equal ones it is the same.
        annotators: by name.
        generators: by name: those of the config, and those with another precision or with faces restored that
            experiments ask for. An entry has `model` and settings, or a `generator` and its `restorer`.
        pipelines: the models that are one file and their bases, by a name made of the file's.
        clips: the CLIPs that filters compare images with, by a name made of the model's.
        pools: by name: those of the config, and those of the prompts that `reviewed` edits, which have `edits` and the
            pool that these are `of`.

    Raises:
        InputError: an experiment of `experiments` that cannot be, see `add`.
    """

    def __init__(self, config: Mapping[str, Any]):
        self.config = config
        self.annotators = {name: _annotator(name, config["annotators"]) for name in config["annotators"]}
        self.pools: dict[str, dict] = dict(config["pools"])
        for pool, review in config["reviewed"].items():
            if review["edit"]:
                self._add_edited(pool, review["edit"])
        self.generators: dict[str, dict] = dict(config["generators"])
        self.pipelines = _single_files(self.generators)
        self.clips: dict[str, str] = {}
        self.experiments: dict[str, Experiment] = {}
        self._names: dict[str, str] = {}  # by key
        self.written: dict[str, Experiment] = {}
        for name, entry in config["experiments"].items():
            spec = {key: value for key, value in entry.items() if key != "method"}
            self.written[name] = self.add(spec, entry["method"], f"experiments.{name}", name)

    def add(self, spec: Mapping[str, Any], method: str, where: str, name: str = "") -> Experiment:
        """Return the experiment that a part of the config describes, or the one that it is equal to.

        Args:
            spec: dataset, network, and what differs from `training` and `promptmix`.
            method: a key of `METHODS`.
            where: the place in the config, for messages.
            name: if it has one; else it is made from what differs.

        Raises:
            InputError: something is missing, or the parts are for different tasks.
        """
        baseline = None
        if method != "baseline":
            baseline = self.add({key: spec[key] for key in spec if key not in FAKE_KEYS}, "baseline", where).name
        experiment = self._described(spec, method, where, name, baseline)
        key = experiment.key
        if key in self._names:
            return self.experiments[self._names[key]]
        if experiment.name in self.experiments:
            other = self.experiments[experiment.name]
            raise InputError(
                f"{where}: '{experiment.name}' is also the name of the experiment at {other.where}, which has other "
                "settings; give one of them another name, in `experiments`"
            )
        self._names[key] = experiment.name
        self.experiments[experiment.name] = experiment
        if experiment.fake and experiment.fake.prompt_filter:
            experiment = replace(experiment, single_prompts=dict(self._single_prompts(experiment, experiment.fake)))
            self.experiments[experiment.name] = experiment
        return experiment

    def learning_rates_of(self, annotator: str) -> list[str]:
        """Return the candidates with which an annotator is fine-tuned; its validation error chooses."""
        given = self.annotators[annotator].fine_tune
        return given.get("learning_rates") or self._training_on(given["dataset"])["learning_rates"]

    def fine_tuning_of(self, annotator: str, learning_rate: str) -> dict[str, Any]:
        """Return the arguments of `promptmix.training.settings.TrainingSettings` that an annotator is fine-tuned with.

        What `fine_tune` does not say is as in the training of lightweight networks on that dataset.
        """
        found = self.annotators[annotator]
        given = found.fine_tune
        training = self._training_on(given["dataset"]) | {"density_scale": 1.0}
        training |= {key: given[key] for key in ("epochs", "batch_size") if key in given}
        settings = {"network": found.reference, "network_settings": dict(found.settings), "r_mix": 0}
        return run_settings(training, learning_rate, self.config["seed"]) | settings

    def network_of(self, name: str) -> Network:
        """Return a network of the config, or one of ours that it does not name, at its published size."""
        entry = self.config["networks"].get(name, {})
        settings = {key: value for key, value in entry.items() if key not in NO_SETTINGS}
        reference = entry.get("class", name)
        if reference != name:
            settings |= {"task": entry["task"]}  # a user's class is built with it
        task = entry.get("task") or networks.task_of(name)
        return Network(name, reference, task, settings, entry.get("backbone", ""))

    def published(self, name: str) -> Network:
        """Return a network at its published size; a user's own as it is trained."""
        network = self.network_of(name)
        return replace(network, settings={}, backbone="") if network.reference == name else network

    def task_of(self, dataset: str) -> str:
        """Return "counting" or "depth"."""
        return datasets.TASKS[self.config["datasets"][dataset]["format"]]

    def title_of(self, dataset: str) -> str:
        """Return what tables call a dataset."""
        return self.config["datasets"][dataset]["title"]

    def members_of(self, annotator: str) -> tuple[str, ...]:
        """Return the annotators that an average is of; of any other itself."""
        return self.annotators[annotator].mean_of or (annotator,)

    def prompts_of(self, pool: str) -> int:
        """Return the number of prompts in a pool, M."""
        return prompts_of(self.config, self.pools[pool])

    def texts_of(self, pool: str) -> list[str]:
        """Return the prompts of a pool that is written by hand; nothing of one whose prompts are not in the config."""
        entry = self.pools[pool]
        return expand(entry["prompts"], entry.get("locations", [])) if "prompts" in entry else []

    def writer_of(self, pool: str) -> dict[str, Any]:
        """Return the language model that writes a pool's prompts, with its settings; empty if none does."""
        entry = self.pools[pool]
        return self.pools[entry.get("of", pool)].get("written_by", {})

    def diffusion_of(self, generator: str) -> str:
        """Return the generator whose images one is made from: another, where it restores the faces in them, or itself."""
        entry = self.generators[generator]
        return self.diffusion_of(entry["generator"]) if "generator" in entry else generator

    def precision_of(self, generator: str) -> str:
        """Return the precision of the diffusion model behind a generator."""
        return self.generators[self.diffusion_of(generator)]["precision"]

    def pipeline_of(self, generator: Mapping[str, Any]) -> str:
        """Return the name of a generator's model that is one file, a key of `pipelines`; "" if it is none."""
        return _pipeline(generator) if "base" in generator else ""

    def clip_of(self, model: str) -> str:
        """Return the name of a CLIP that a filter names, a key of `clips`."""
        return _word(model.rstrip("/").rpartition("/")[2])

    # --- What something needs ---

    def needs(self, *names: str) -> Needs:
        """Return what experiments need, with all that has to be made for them."""
        found = Needs()
        for name in names:
            experiment = self.experiments[name]
            found |= Needs(experiments=frozenset([name]), datasets=frozenset([experiment.dataset]))
            fake = experiment.fake
            if fake and fake.rendered == "annotator":
                for annotator in self.members_of(fake.annotator):
                    found |= self.needs_of_annotator(annotator)
            elif fake and not fake.rendered:
                for pool, number in fake.images.items():
                    found |= self.needs_of_images(pool, fake.generator, number)
                    for annotator in {fake.annotator, *self.members_of(fake.annotator), *fake.scored_by}:
                        found |= Needs(annotations={(pool, fake.generator, annotator): number})
                        found |= self.needs_of_annotator(annotator)
                if fake.prompt_filter and experiment.baseline:
                    trained = () if fake.halving else experiment.single_prompts.values()
                    found |= self.needs(experiment.baseline, *trained)
        return found

    def needs_of_images(self, pool: str, generator: str, number: int) -> Needs:
        """Return what the given number of images of a pool needs."""
        entry, made = self.pools[self.pools[pool].get("of", pool)], self.generators[generator]
        found = Needs(images={(pool, generator): number})
        if "dataset" in entry:
            found |= Needs(datasets=frozenset([entry["dataset"]]), captioners=frozenset([entry["captioner"]]))
        if "generator" in made:  # of another's images, with faces restored
            found |= self.needs_of_images(pool, made["generator"], number)
        return found

    def needs_of_annotator(self, name: str) -> Needs:
        """Return what an annotator needs."""
        if members := self.annotators[name].mean_of:
            return reduce(or_, map(self.needs_of_annotator, members))
        found = Needs(annotators=frozenset([name]))
        if given := self.annotators[name].fine_tune:
            found |= Needs(datasets=frozenset([given["dataset"]])) | self.needs_of_annotator(given["annotator"])
        return found

    # --- From a description to an experiment ---

    def _described(self, spec: Mapping, method: str, where: str, name: str, baseline: str | None) -> Experiment:
        for key, meaning in (("dataset", "the real images"), ("network", "the network to train")):
            if key not in spec:
                raise InputError(
                    f"{where}: {key} is missing: {meaning}; say it in the row, or for a table in its `base`"
                )
        dataset, network = spec["dataset"], self.network_of(spec["network"])
        if network.task != (task := self.task_of(dataset)):
            raise InputError(
                f"{where}.network: '{network.name}' is for {network.task}, and the dataset {dataset} is for {task}"
            )
        usual_training = self._training_on(dataset)
        training = usual_training | spec.get("training", {})
        common = {key: self.config["promptmix"].get(key, {}) for key in ("default", dataset)}
        defaults = common["default"] | common[dataset]
        given = {key: value for key, value in (defaults | dict(spec)).items() if key in FAKE_KEYS}
        own = {key: value for key, value in spec.get("training", {}).items() if value != usual_training.get(key)}
        fake, repeated, differing = None, 0, {"training": own}
        if method == "control":
            if "r_mix" not in given:
                raise InputError(
                    f"{where}: r_mix is missing: a control makes as many updates as PromptMix; {_say(dataset)}"
                )
            repeated = given["r_mix"]
            differing |= {"r_mix": repeated} if repeated != defaults.get("r_mix") else {}
        elif method == "promptmix":
            fake = self._fake(spec, given, where)
            usual = {
                "r_img": 100,
                "prompt_filter": False,
                "real_images": True,
                "restorer": None,
                "filters": {},
            } | defaults
            usual.setdefault("precision", self.precision_of(given["generator"]))
            differing |= {key: given[key] for key in FAKE_KEYS if key in spec and spec[key] != usual.get(key)}
        made = "-".join(
            filter(None, [dataset, network.name, "" if method == "baseline" else method, *_words(differing)])
        )
        return Experiment(name or made, where, method, dataset, network, training, fake, repeated, baseline=baseline)

    def _fake(self, spec: Mapping[str, Any], given: Mapping[str, Any], where: str) -> Fake:
        dataset = spec["dataset"]
        for key, meaning in REQUIRED.items():
            if key not in given:
                raise InputError(
                    f"{where}: {key} is missing, for an experiment with generated images: {meaning}; {_say(dataset)}; "
                    "without generated images there is `methods: [baseline]`"
                )
        task = self.task_of(dataset)
        for key, names in (("annotator", [given["annotator"]]), ("scored_by", given.get("scored_by", []))):
            for name in names:
                place = self._place(key, spec, where)
                if (other := self.annotators[name].task) != task:
                    raise InputError(f"{place}: '{name}' is for {other}, and the dataset {dataset} is for {task}")
                if key == "scored_by" and (members := self.annotators[name].mean_of):
                    raise InputError(
                        f"{place}: '{name}' is the average of {', '.join(members)}; q compares annotators, so name these"
                    )
        share, scorers = given.get("r_img", 100), given.get("scored_by", [])
        if share < 100 and len(scorers) < 2:
            raise InputError(
                f"{self._place('r_img', spec, where)}: {share} % of the images are kept by how far annotators disagree; name two in scored_by"
            )
        edited = {entry["of"]: pool for pool, entry in self.pools.items() if "of" in entry}
        pools = [pool for name in given["pools"] for pool in (name, edited.get(name)) if pool]
        fake = Fake(
            pools={pool: self.prompts_of(pool) for pool in pools},
            k=given["k"],
            generator=self._generator(given["generator"], given.get("precision"), given.get("restorer"), where),
            annotator=given["annotator"],
            r_mix=given["r_mix"],
            r_img=share,
            scored_by=tuple(sorted(scorers)) if share < 100 else (),
            filters=self._filters(given, self._place("filters", spec, where)),
            prompt_filter=bool(given.get("prompt_filter")),
            halving=_is_halving(given.get("prompt_filter")),
            real_images=given.get("real_images", True) if given.get("prompt_filter") else True,
            reviewed=self._reviewed(given["pools"], bool(given.get("prompt_filter")), where),
            rendered=self._rendered(given, spec, where),
        )
        if "prompt" in given:
            place = self._place("prompt", spec, where)
            if fake.prompt_filter:
                raise InputError(
                    f"{place}: a prompt filter has nothing to choose from one prompt; take away the one or the other"
                )
            fake = _of_prompt(fake, self._only_prompt(given, fake.reviewed, place))
        if fake.r_mix > (fake.k if fake.prompt and fake.is_open else fake.kept):
            made, prompts = sum(fake.images.values()), sum(fake.pools.values())
            if fake.prompt:
                made, prompts = fake.k, 1
            kept = f", of which a review leaves {fake.left}" if fake.left < made else ""
            by = [
                name
                for name, on in (("clip_score", fake.filters.get("clip_score", {}).get("keep")), ("r_img", share < 100))
                if on
            ]
            kept += (
                f", of which {' and '.join(by)} keep{'s' * (len(by) == 1)} {fake.kept}" if fake.kept < fake.left else ""
            )
            raise InputError(
                f"{self._place('r_mix', spec, where)}: {fake.r_mix} images per epoch, but {made} are made: "
                f"{self._place('k', spec, where).removeprefix(f'{where}: ')} ({fake.k}) x {prompts} "
                f"prompts{kept}. Lower r_mix or raise k"
            )
        try:
            for images in fake.images.values():
                check_number(images)
        except InputError as error:
            raise InputError(f"{self._place('k', spec, where)}: {error}") from None
        return fake

    def _filters(self, given: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
        """Return the filters of images besides r_img, with all of their settings, and remember the CLIPs that they name."""
        said = {name: given["filters"][name] for name in FILTERS if name in given.get("filters", {})}
        found: dict[str, dict[str, Any]] = {}
        for name, entry in said.items():
            found[name] = {"action": entry} if isinstance(entry, str) else dict(entry)
        for name, defaults in FILTER_DEFAULTS.items():
            if name in found:
                found[name] = defaults | found[name]
        if guard := found.get("leak_guard"):
            if "similarity" in guard and "model" not in guard:
                raise InputError(
                    f"{where}.leak_guard.similarity: it is of CLIP's features, and leak_guard.model is missing: name a CLIP, or "
                    "take similarity away"
                )
            if "model" in guard:
                guard.setdefault("similarity", SIMILARITY)
        for name, settings in found.items():
            model = settings.get("model", "")
            if model and (other := self.clips.setdefault(self.clip_of(model), model)) != model:
                raise InputError(
                    f"{where}.{name}.model: '{model}' and '{other}' would both be called {self.clip_of(model)} in names of files; "
                    "use one of them, or rename a folder"
                )
        return found

    def _rendered(self, given: Mapping[str, Any], spec: Mapping[str, Any], where: str) -> str:
        """Return whose labels the rendered images have that are in the place of generated ones; "" if none are."""
        labels = given.get("rendered", "")
        place = self._place("rendered", spec, where)
        if labels and (dataset := spec["dataset"]) not in self.config["render"]:
            known = ", ".join(sorted(self.config["render"])) or "none"
            raise InputError(
                f"{place}: images are rendered like those of {dataset}, which are not rendered: render.{dataset} is missing. "
                f"Rendered datasets: {known}"
            )
        for key, nothing in NOT_RENDERED.items():
            if labels and given.get(key, nothing) != nothing:
                raise InputError(
                    f"{place}: {key} is of generated images, and here as many are rendered in their place; take away the one "
                    f"or the other"
                )
        return labels

    def _place(self, key: str, spec: Mapping[str, Any], where: str) -> str:
        """Return where the config says what an experiment has, for messages: there, or in `promptmix`."""
        if key in spec:
            return f"{where}.{key}"
        said = key in self.config["promptmix"].get(spec["dataset"], {})
        return f"{where}: promptmix.{spec['dataset'] if said else 'default'}.{key}"

    def _generator(self, name: str, precision: str | None, restorer: str | None, where: str) -> str:
        """Return the name of a generator with another precision and with faces restored, and remember what it is."""
        entry = self.generators[name]
        if precision and precision != entry["precision"]:
            name = self._derived(f"{name}-{precision}", entry | {"precision": precision}, where)
        if restorer:
            name = self._derived(f"{name}-{restorer}", {"generator": name, "restorer": restorer}, where)
        return name

    def _derived(self, name: str, entry: dict, where: str) -> str:
        if self.generators.setdefault(name, entry) != entry:
            raise InputError(
                f"{where}: its generator would be called '{name}', as another one is, which has other settings; "
                "give the other one another name, in `generators`"
            )
        return name

    def _single_prompts(self, experiment: Experiment, fake: Fake) -> Iterator[tuple[tuple[str, int], str]]:
        """Yield the pool and number of each prompt, and the training on that prompt's images that its filter looks at."""
        alone = replace(fake, r_mix=min(fake.r_mix, fake.k), prompt_filter=False, halving=False, real_images=True)
        prompts = [(pool, number) for pool, count in fake.pools.items() for number in range(count)]
        for position, prompt in enumerate(prompts):
            if prompt[1] in fake.reviewed.get(prompt[0], {}).get("drop", []):
                continue
            single = replace(
                experiment,
                name=f"{experiment.name}-prompt-{position}",
                fake=_of_prompt(alone, prompt),
                real_images=fake.real_images,
            )
            name = self._names.setdefault(single.key, single.name)
            if name == single.name and name in self.experiments:
                raise InputError(
                    f"{self.experiments[name].where}: the prompt filter of {experiment.name} makes experiments of such "
                    f"names; rename {name}"
                )
            self.experiments.setdefault(name, single)
            yield prompt, name

    def _only_prompt(self, given: Mapping[str, Any], reviewed: Mapping, where: str) -> tuple[str, int]:
        """Return the pool and number of the only prompt whose images count."""
        texts = {text: (pool, i) for pool in reversed(given["pools"]) for i, text in enumerate(self.texts_of(pool))}
        if (text := given["prompt"]) not in texts:
            raise InputError(
                f"{where}: '{text}' is not a prompt that is written by hand in {', '.join(given['pools'])}."
                f"{did_you_mean(text, texts)}"
            )
        pool, number = texts[text]
        if number in reviewed.get(pool, {}).get("drop", []):
            raise InputError(f"{where}: '{text}' is left out by reviewed.{pool}; take away the one or the other")
        return pool, number

    def _reviewed(self, pools: Sequence[str], prompt_filter: bool, where: str) -> dict[str, dict[str, list]]:
        """Return what a review leaves out of some pools: prompts by number where it is known, else by text."""
        found = {}
        for pool in pools:
            if review := self.config["reviewed"].get(pool):
                known = {text: number for number, text in enumerate(self.texts_of(pool))}
                named = [*review["drop"], *(edit["prompt"] for edit in review["edit"])]
                drop = list(dict.fromkeys(known.get(prompt, prompt) for prompt in named))
                if prompt_filter and (texts := [prompt for prompt in drop if isinstance(prompt, str)]):
                    raise InputError(
                        f"{where}: it filters prompts, a training for each, and reviewed.{pool} names '{texts[0]}' by "
                        f"its text; name captions by number there, the row in prompts/{pool}.csv from 0"
                    )
                found[pool] = {"drop": drop, "exclude": sorted(review["exclude"])}
        return found

    def _add_edited(self, pool: str, edits: Sequence[Mapping[str, Any]]) -> None:
        """Make a pool of the prompts that take the place of edited ones."""
        name = f"{pool}{EDITED}"
        if name in self.pools:
            raise InputError(
                f"reviewed.{pool}.edit: the edited prompts would be the pool {name}, as another one is called; rename it"
            )
        self.pools[name] = {"of": pool, "edits": [dict(edit) for edit in edits]}

    def _training_on(self, dataset: str) -> dict[str, Any]:
        if "default" not in self.config["training"]:
            raise InputError(
                "training.default is missing: how networks are trained; give it epochs, batch_size and learning_rates"
            )
        return self.config["training"]["default"] | self.config["training"].get(dataset, {})


def _pipeline(generator: Mapping[str, Any]) -> str:
    return _word(Path(generator["model"]).stem)


def _single_files(generators: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return the models that are one file, each with its base, by name."""
    found: dict[str, tuple[str, str]] = {}
    for name, entry in generators.items():
        if "base" in entry:
            both, key = (entry["model"], entry["base"]), _pipeline(entry)
            if found.setdefault(key, both) != both:
                raise InputError(
                    f"generators.{name}.model: '{entry['model']}' (base: '{entry['base']}') and '{found[key][0]}' (base: "
                    f"'{found[key][1]}') would both be called {key} in names of files; rename one of the files"
                )
    return found


def _annotator(name: str, entries: Mapping[str, Mapping[str, Any]]) -> Annotator:
    entry = entries[name]
    if "mean_of" in entry:
        members = tuple(sorted(entry["mean_of"]))
        return Annotator(name, _annotator(members[0], entries).task, "", mean_of=members)
    if "function" in entry:
        files = tuple(entry.get("files", []))
        return Annotator(name, entry["task"], entry["function"], files=files, flip=entry.get("flip", False))
    if "model" in entry:
        settings = {key: entry[key] for key in OF_TRANSFORMERS if key in entry}
        trained_on, flip = entry.get("trained_on", ""), entry.get("flip", False)
        return Annotator(name, entry["task"], TRANSFORMERS, settings, entry["model"], trained_on=trained_on, flip=flip)
    return Annotator(
        name,
        networks.task_of(entry["network"]),
        entry["network"],
        entry["settings"],
        entry.get("weights", ""),
        entry.get("fine_tune", {}),
        entry.get("trained_on") or entry.get("fine_tune", {}).get("dataset", ""),
        flip=entry.get("flip", False),
        precision=entry.get("precision", "float32"),
    )


def _of_prompt(fake: Fake, prompt: tuple[str, int]) -> Fake:
    """Return the part of D_fake that is made from one prompt; what a review says of others does not concern it.

    If images are filtered, it does, and so do their images: those that are kept are the best of all.
    """
    if fake.is_filtered:
        return replace(fake, prompt=prompt)
    pool, number = prompt
    seeds = [seed for seed in fake.reviewed.get(pool, {}).get("exclude", []) if seed % fake.pools[pool] == number]
    reviewed = {pool: {"drop": [], "exclude": seeds}} if seeds else {}
    return replace(fake, pools={pool: fake.pools[pool]}, prompt=prompt, reviewed=reviewed)


def _is_halving(prompt_filter: Any) -> bool:
    return isinstance(prompt_filter, Mapping) and prompt_filter["method"] == "halving"


def _say(dataset: str) -> str:
    return f"say it here, in promptmix.{dataset} or in promptmix.default"


def _words(differing: Mapping[str, Any]) -> Iterator[str]:
    """Yield what tells an experiment from the dataset's other ones, as parts of its name: "k1", "r20", "q60"."""
    for key, value in differing.items():
        if key == "prompt_filter":
            yield ("prompt-filter" + "-halving" * _is_halving(value)) if value else "no-prompt-filter"
        elif key == "real_images":
            yield "with-real-images" if value else "without-real-images"
        elif key == "training":
            yield from (_word(f"{name}-{_listed(inner)}") for name, inner in value.items())
        elif value is None:
            yield f"no-{key}"
        else:
            yield _word(f"{PREFIXES.get(key, '')}{_listed(value)}")


def _listed(value: Any) -> str:
    if isinstance(value, Mapping):  # of a path its last part, which tells models apart
        parts = (f"{key}-{_listed(inner).rstrip('/').rpartition('/')[2]}" for key, inner in value.items())
        return "-".join(parts) or "none"
    return "-".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
