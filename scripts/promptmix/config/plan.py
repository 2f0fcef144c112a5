"""What a checked config asks for, as the rules need to know it before anything is made. No torch here."""

import json
import math
from collections.abc import Iterator
from typing import Any

from promptmix.config.pools import expand
from promptmix.datasets.registry import TASKS
from promptmix.datasets.splits import numbers
from promptmix.errors import InputError
from promptmix.networks import registry as networks

NONE = "—"
ROLES = {"baseline": "baseline", "control": "control", "promptmix": "PromptMix"}
"""What tables call the experiments of a comparison."""

NO_SETTINGS = ("class", "backbone")
"""Keys of `networks.<name>` that are no settings of the network."""


class Plan:
    """Answers questions about a config.

    Attributes:
        experiments: those of the config, and those that prompt filters derive from them: one per prompt.
    """

    def __init__(self, config: dict):
        self._config = config
        self.experiments = config["experiments"] | dict(self._of_single_prompts())

    # --- Datasets, pools, images ---

    def task_of(self, dataset: str) -> str:
        """Return "counting" or "depth"."""
        return TASKS[self._config["datasets"][dataset]["format"]]

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
            raise InputError(f"split: {json.dumps(shares)} leaves no image in '{empty[0]}'; expected one or more")
        return dealt

    def prompts_of(self, pool: str) -> int:
        """Return the number of prompts in a pool: the texts, or one per training image of its dataset."""
        entry = self._config["pools"][pool]
        if "prompts" in entry:
            return len(expand(entry["prompts"], entry.get("locations", [])))
        return self.split_of(entry["dataset"])["train"]

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

    # --- Trainings ---

    def training_of(self, experiment: str) -> dict[str, Any]:
        """Return an experiment's training settings: its own, else those for its dataset, else the default."""
        entry = self.experiments[experiment]
        return self._training_on(entry["dataset"]) | entry.get("training", {})

    def settings_of_run(self, experiment: str, learning_rate: str, repeat: int) -> dict[str, Any]:
        """Return the arguments of `promptmix.training.settings.TrainingSettings` for a run.

        A baseline and its PromptMix twin have equal seeds in equal repeats.
        """
        entry = self.experiments[experiment]
        settings = {"network": self.network_of(experiment), "network_settings": self.network_settings_of(experiment)}
        settings["r_mix"] = entry["fake"]["r_mix"] if "fake" in entry else 0
        settings |= {key: entry[key] for key in ("repeated", "real_images") if key in entry}
        return self._run(self.training_of(experiment), learning_rate, repeat) | settings

    def network_of(self, experiment: str) -> str:
        """Return an experiment's network as `promptmix.networks.build` knows it: its name, or a reference to a class."""
        return self._network(self.experiments[experiment]["network"])["network"]

    def network_settings_of(self, experiment: str) -> dict[str, Any]:
        """Return the settings of an experiment's network, as `promptmix.networks.build` takes them."""
        return self._network(self.experiments[experiment]["network"])["settings"]

    def backbone_of(self, experiment: str) -> str:
        """Return the file of weights that the first layers of an experiment's network start from, "" if there is none."""
        return self._config["networks"][self.experiments[experiment]["network"]].get("backbone", "")

    def code_of(self, experiment: str) -> str:
        """Return the code of an experiment's network, as `promptmix.running.fingerprint` knows it."""
        return networks.module_of(self.network_of(experiment))

    def counted(self, network: str) -> dict[str, Any]:
        """Return the network that Table III counts under a name: the published one, or a user's own as it is trained.

        Returns:
            `network` and `settings` for `promptmix.networks.build`, and its `code` for `promptmix.running.fingerprint`.
        """
        found = self._network(network)
        if found["network"] == network:
            found["settings"] = {}
        return found | {"code": networks.module_of(found["network"])}

    def annotator_of(self, annotator: str) -> dict[str, Any]:
        """Return what `promptmix.synthesis.annotation.load_annotator` takes: a network with its weights, or a user's own function.

        Returns:
            `task`, and `network`, `settings` and `weights`, "" if those are made by the workflow; or `function`.
        """
        entry = self._config["annotators"][annotator]
        if "function" in entry:
            return {"function": entry["function"], "task": entry["task"]}
        found = {
            "network": entry["network"],
            "settings": entry.get("settings", {}),
            "weights": entry.get("weights", ""),
        }
        return found | {"task": networks.task_of(entry["network"])}

    def code_of_annotator(self, annotator: str) -> str:
        """Return the code of an annotator, as `promptmix.running.fingerprint` knows it."""
        found = self.annotator_of(annotator)
        return networks.module_of(found.get("function") or found["network"])

    def fine_tuning_of(self, annotator: str) -> dict[str, Any]:
        """Return how an annotator is fine-tuned.

        Returns:
            `training`: the arguments of `promptmix.training.settings.TrainingSettings`. What `fine_tune` does not say is as in
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
        return next(name for name in self.experiments if self._resolved(name) == settings)

    def of_single_prompts(self, experiment: str) -> list[str]:
        """Return the experiments that tell the prompts of an experiment with a prompt filter apart, in their order."""
        pools = self.experiments[experiment]["fake"]["pools"]
        return [self.canonical(f"{experiment}-prompt-{i}") for i in range(sum(self.prompts_of(pool) for pool in pools))]

    # --- Tables ---

    def chosen(self, section: str, name: str) -> Any:
        """Return what the config says of a table or figure.

        Raises:
            InputError: nothing.
        """
        if name not in self._config[section]:
            raise InputError(f"{section}.{name} is missing: the config does not say what is to be shown")
        return self._config[section][name]

    def rows_of_table(self, table: str) -> list[dict[str, Any]]:
        """Return the experiments of a table, each once, in order: what `promptmix.report.tables.write_table` takes.

        Tables I and II hold comparisons: a baseline, its control and PromptMix. The others vary one experiment.

        Raises:
            InputError: the config does not say what the table holds.
        """
        entry = self.chosen("tables", table)
        rows: dict[str, dict] = {}
        for row in self._comparisons(entry) if isinstance(entry, list) else self._variations(table, entry):
            rows.setdefault(row["experiment"], row)
        return list(rows.values())

    def rows_of_costs(self, results: str) -> list[dict[str, Any]]:
        """Return the rows of Table III: what `promptmix.report.tables.write_cost_table` takes.

        Args:
            results: the folder of results.
        """
        rows = []
        for entry in self.chosen("tables", "table3"):
            network = entry["network"]
            found = {
                method: [
                    (self.experiments[name]["dataset"], f"{results}/runs/{self.canonical(name)}/predictions.csv")
                    for name in names
                ]
                for method, names in entry.get("runs", {}).items()
            }
            settings = dict.fromkeys(found, self._network(network)["settings"])
            if annotators := entry.get("annotators", {}):
                found["annotator"] = [(d, f"{results}/annotators/{name}/{d}.csv") for d, name in annotators.items()]
                settings["annotator"] = self._config["annotators"][next(iter(annotators.values()))].get("settings", {})
            for method, predictions in (found or {NONE: []}).items():
                maes = [{"dataset": self._config["datasets"][d]["title"], "predictions": p} for d, p in predictions]
                row = {
                    "network": network,
                    "method": method,
                    "cost": f"{results}/cost/{network}.json",
                    "settings": settings.get(method, {}),  # of what was tested; the published network is counted
                }
                rows.append(row | {"paper": entry.get("paper", {}), "maes": maes})
        return rows

    def comparisons_of_figure(self, figure: str) -> list[dict[str, Any]]:
        """Return what Figure 3 or 4 shows, dataset by dataset: see scripts/draw_predictions.py."""
        found = []
        for pair in self.chosen("figures", figure):
            dataset = self.experiments[pair["baseline"]]["dataset"]
            row = {"title": self._config["datasets"][dataset]["title"]}
            for role in ("baseline", "promptmix"):
                name, training = pair[role], self.training_of(pair[role])
                row[role] = {"network": self.network_of(name), "settings": self.network_settings_of(name)}
                row[role] |= {key: training[key] for key in ("learning_rates", "repeats")}
            found.append(row | {key: training[key] for key in ("sigma", "kernel")})
        return found

    def _comparisons(self, entries: list[dict]) -> Iterator[dict]:
        for entry in entries:
            names = {role: self.canonical(entry[role]) for role in ROLES if role in entry}
            for role, name in names.items():
                experiment = self.experiments[name]
                labels = {
                    "Dataset": self._config["datasets"][experiment["dataset"]]["title"],
                    "Network": experiment["network"],
                    "Method": ROLES[role],
                }
                row = self._row(name, labels, None if role == "baseline" else names["baseline"])
                row |= {"control": names.get("control") if role == "promptmix" else None}
                paper = entry.get("paper", {})
                direction = paper.get("direction") if role == "promptmix" else None
                yield row | {"paper": paper.get(role, {}), "paper_direction": direction}

    def _variations(self, table: str, entry: dict) -> Iterator[dict]:
        baseline = self.canonical(entry["baseline"])
        for given in [entry["baseline"], *entry["rows"]]:
            name = self.canonical(given)
            fake = self.experiments[name].get("fake")
            labels = {column: label(self._config, fake) if fake else NONE for column, label in COLUMNS[table].items()}
            row = self._row(name, {"Method": "PromptMix" if fake else "baseline"} | labels, baseline if fake else None)
            yield row | {"measured": MEASURED[table]}

    def _row(self, name: str, labels: dict[str, str], baseline: str | None) -> dict[str, Any]:
        entry = self.experiments[name]
        return {
            "experiment": name,
            "labels": labels,
            "task": self.task_of(entry["dataset"]),
            "baseline": baseline,
            "control": None,
            "k": entry["fake"]["images_per_prompt"] if "fake" in entry else None,
            "r_mix": entry["fake"]["r_mix"] if "fake" in entry else 0,
            "repeated": entry.get("repeated", 0),
            "paper": {},
            "paper_direction": None,
        }

    def _of_single_prompts(self) -> Iterator[tuple[str, dict]]:
        """Yield an experiment for each prompt of each experiment with a prompt filter: on that prompt's images only."""
        for name, entry in self._config["experiments"].items():
            fake = entry.get("fake", {})
            if "prompt_filter" not in fake:
                continue
            kept = {key: fake[key] for key in ("pools", "images_per_prompt", "generator", "annotator")}
            kept |= {"r_mix": min(fake["r_mix"], fake["images_per_prompt"]), "r_img": 100, "scored_by": []}
            alone = {"real_images": fake["prompt_filter"].get("real_images", True)}
            for i in range(sum(self.prompts_of(pool) for pool in fake["pools"])):
                yield f"{name}-prompt-{i}", entry | alone | {"fake": kept | {"prompt": i}}

    def _network(self, name: str) -> dict[str, Any]:
        """Return `network` and `settings` of a lightweight network, for `promptmix.networks.build`."""
        entry = self._config["networks"].get(name, {})
        settings = {key: value for key, value in entry.items() if key not in NO_SETTINGS}
        return {"network": entry.get("class", name), "settings": settings}

    def _training_on(self, dataset: str) -> dict[str, Any]:
        training = self._config["training"]
        return training["default"] | training.get(dataset, {})

    def _run(self, training: dict[str, Any], learning_rate: str, repeat: int) -> dict[str, Any]:
        common = {key: value for key, value in training.items() if key not in ("learning_rates", "repeats")}
        return common | {"learning_rate": float(learning_rate), "seed": self._config["seed"] + repeat}

    def _resolved(self, experiment: str) -> dict[str, Any]:
        entry = self.experiments[experiment] | {"training": self.training_of(experiment)}
        if "fake" in entry:
            fake = entry["fake"] | {"scored_by": sorted(entry["fake"].get("scored_by", []))}
            if fake.get("r_img", 100) == 100:  # all images are kept, whatever they score
                fake |= {"r_img": 100, "scored_by": []}
            entry["fake"] = fake
        return entry


def _precision(config: dict, fake: dict) -> str:
    generator = config["generators"][fake["generator"]]
    return (
        config["generators"][generator["generator"]]["precision"]
        if "generator" in generator
        else generator["precision"]
    )


COLUMNS = {
    "table4": {"k": lambda _, fake: str(fake["images_per_prompt"]), "r_mix": lambda _, fake: str(fake["r_mix"])},
    "table5": {"Annotator": lambda _, fake: fake["annotator"]},
    "table6": {
        "Precision": _precision,
        "Face restoration": lambda config, fake: config["generators"][fake["generator"]].get("restorer", "none"),
    },
    "table7": {
        "Prompts": lambda _, fake: ", ".join(fake["pools"]),
        "Prompt filter": lambda _, fake: "yes" if "prompt_filter" in fake else "no",
        "r_img": lambda _, fake: f"{fake.get('r_img', 100):g} %",
    },
}
"""What sets the rows of a table apart, as functions of the config and of an experiment's `fake`."""

MEASURED = {
    "table4": ["generated images"],
    "table5": [],
    "table6": ["faces restored"],
    "table7": ["prompts kept", "generated images"],
}
"""What is read from D_fake besides: see scripts/write_table.py."""
