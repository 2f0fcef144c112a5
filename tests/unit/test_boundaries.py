"""Which rules run again if a module is edited: as few as its meaning asks for.

boundaries.yaml lists, for every module of the library, the rules whose fingerprint covers it. A rule that has a network,
a reader or a task loaded by name is listed with that name. An import that makes the list longer makes results of users run
again for an edit that does not concern them, and fails here; one that makes it shorter is welcome. `make boundaries` writes the
list anew; look at what has changed.
"""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
import yaml

from promptmix.datasets.registry import TASKS as FORMATS
from promptmix.datasets.registry import reader_of
from promptmix.networks.registry import NETWORKS, module_of
from promptmix.networks.transformers_models import KINDS, MODULES
from promptmix.running.fingerprint import WITHOUT_EFFECT, covered
from promptmix.synthesis.registry import modules_of_captioner
from promptmix.tasks.registry import module_of as task_module
from promptmix.training.objective import module_of as objective_module

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("boundaries.yaml")
FACES = ("retinaface", "parsenet", "gfpgan")
CAPTIONERS = {"clipcap": modules_of_captioner({}), "transformers": modules_of_captioner({"model": ""})}
REGRESSING = {"csrnet": "counting", "sasnet": "counting", "guidedepth": "depth", "adabins": "depth"}
"""A lightweight and a heavyweight network of each task stand for all."""


def of_networks(*modules_of_task) -> dict[str, tuple[str, ...]]:
    """Return what a rule loads by name, by the name of a network."""
    return {
        network: (module_of(network), *(module(task) for module in modules_of_task))
        for network, task in REGRESSING.items()
    }


def of_annotators(*modules_of_task) -> dict[str, tuple[str, ...]]:
    """Return the same of what annotates: networks, and models of transformers, by what they give."""
    ready = {KINDS[task]: (MODULES[task], *(module(task) for module in modules_of_task)) for task in MODULES}
    return of_networks(*modules_of_task) | ready


VARIANTS = {
    "prepare_dataset": {format: (reader_of(format),) for format in FORMATS},
    "caption_images": CAPTIONERS,
    "caption_generated": CAPTIONERS,
    "restore_faces": {"gfpgan": tuple(map(module_of, FACES))},
    "annotate_images": of_annotators(),
    "evaluate_annotator": of_annotators(task_module),
    "fine_tune_annotator": of_networks(task_module, objective_module),
    "train_network": of_networks(task_module, objective_module),
    "train_rung": of_networks(task_module, objective_module),
    "evaluate_network": of_networks(task_module),
    "count_cost": of_networks(),
    "draw_predictions": of_networks(),
    "export_network": of_networks(),
    "import_checkpoint": {name: (module_of(name),) for name in NETWORKS},
    "miniature/render_fake": {format: (reader_of(format),) for format in ("shanghaitech", "nyu")} | of_annotators(),
    "miniature/measure_bias": of_annotators(),
    "miniature/train_annotator": of_networks(task_module, objective_module),
    "miniature/train_faces": {name: (module_of(name),) for name in FACES},
}
"""What the rules that load modules by name give to their fingerprint, by the name; see rules/*.smk."""


def scripts() -> set[str]:
    """Return the scripts that rules have a fingerprint of."""
    text = "".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    return set(re.findall(r'fingerprint\(\s*"([\w/]+)"', text))


@cache
def rules_by_module() -> dict[str, list[str]]:
    """Return the rules that an edit of each module makes run again, as boundaries.yaml has them."""
    found = defaultdict(set)
    for script in scripts():
        rule = script.removeprefix("miniature/")
        reached = {
            name: set(covered(script, *modules).values()) for name, modules in VARIANTS.get(script, {"": ()}).items()
        }
        everywhere = set.intersection(*reached.values())
        for name, modules in reached.items():
            for module in modules:
                found[module].add(rule if module in everywhere else f"{rule}: {name}")
    for file in (ROOT / "scripts/promptmix").rglob("*.py"):
        module = ".".join(file.relative_to(ROOT / "scripts").with_suffix("").parts).removesuffix(".__init__")
        if not f"{module}.".startswith(f"{WITHOUT_EFFECT}."):
            found[module]  # a module that no rule covers is listed too
    return {module: sorted(rules) for module, rules in sorted(found.items())}


LISTED = yaml.safe_load(LIST.read_text()) if LIST.exists() else {}


def test_every_module_is_listed():
    assert list(LISTED) == list(rules_by_module())


@pytest.mark.parametrize("module", LISTED)
def test_an_edit_makes_no_other_rules_run_again(module):
    assert set(rules_by_module()[module]) <= set(LISTED[module])


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        ("promptmix.datasets.readers.coco", {"prepare_dataset: coco"}),
        ("promptmix.training.loop", {"fine_tune_annotator", "train_network", "train_rung", "train_annotator"}),
        ("promptmix.report.tables", {"write_table", "write_cost_table"}),
        ("promptmix.report.roundtrip", {"write_roundtrip"}),
        ("promptmix.synthesis.generation", {"generate_images", "measure_bias", "train_annotator"}),
        (
            "promptmix.records.histories",
            {
                "draw_curves",
                "show_generated",
                "fine_tune_annotator",
                "select_learning_rate",
                "train_annotator",
                "train_network",
                "train_rung",
                "halve_prompts",
                "conclude_halving",
            },
        ),
    ],
)
def test_an_edit_reaches_what_it_means(module, wanted):
    assert set(LISTED[module]) == wanted


def test_the_loss_of_depth_reaches_only_training_on_depth():
    rules = [rule.split(": ") for rule in LISTED["promptmix.training.depth_loss"]]
    assert {rule for rule, _ in rules} == {"fine_tune_annotator", "train_network", "train_rung", "train_annotator"}
    assert {network for _, network in rules} == {"guidedepth", "adabins"}


def test_nothing_before_training_depends_on_it():
    before = {"prepare_dataset", "caption_images", "write_prompts", "generate_images", "restore_faces"}
    before |= {"annotate_images", "score_images", "mix_dataset"}
    for module, rules in LISTED.items():
        if module.startswith(("promptmix.training", "promptmix.report", "promptmix.preflight")):
            assert not {rule.partition(":")[0] for rule in rules} & before, module


if __name__ == "__main__":
    LIST.write_text(yaml.safe_dump(rules_by_module(), sort_keys=False, width=120))
