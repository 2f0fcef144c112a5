"""The leading columns of a table of errors: what tells its experiments apart, in the paper's words."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from promptmix.config.experiments import Experiment
from promptmix.config.plan import Plan
from promptmix.networks import registry as networks

NONE = "—"
"""What a cell shows where there is nothing to show."""

HEADINGS = {
    "dataset": "Dataset",
    "method": "Method",
    "rendered": "D_fake",
    "pools": "Prompts",
    "prompt_count": "|P_man|",
    "prompt_format": "Prompt format",
    "prompt": "Only prompt",
    "k": "k",
    "r_mix": "r_mix",
    "pre_training": "Pre-training dataset",
    "annotator": "Annotator",
    "generator": "Generator",
    "precision": "Floating-point precision",
    "restorer": "Face restoration",
    "prompt_filter": "Prompt filtering",
    "real_images": "Real images with one prompt",
    "filters": "Filters",
    "scored_by": "Scored by",
    "r_img": "r_img",
    "training": "Training",
}
"""The columns of a table by what a row can set, or what a table's `columns` names, in their order; the paper's words."""

DERIVED = ("prompt_count", "prompt_format", "pre_training")
"""Columns that no row sets: they show something of what rows set."""

RENDERED = {"": "generated, annotated", "truth": "rendered, true labels", "annotator": "rendered, annotated"}
"""What images D_fake holds, by `Fake.rendered`."""

OF_GENERATED = ("pools", "prompt_count", "prompt_format", "prompt", "generator", "precision", "restorer")
"""Columns that say nothing of rendered images."""

PRECISIONS = {
    "float16": "Half-Precision (float16)",
    "bfloat16": "Half-Precision (bfloat16)",
    "float32": "Full-Precision (float32)",
}


def label_rows(
    plan: Plan,
    experiments: Sequence[Experiment],
    ours: Sequence[bool],
    columns: Sequence[str] | None,
    set_by_rows: Collection[str],
) -> list[dict[str, str]]:
    """Return the leading cells of each row: the table's columns, and what else it takes to tell rows apart.

    Args:
        ours: whether each row is one that the paper's table does not have.
        columns: keys of `HEADINGS`; None for what rows set, and the method.
        set_by_rows: the keys that rows set.
    """
    cells = [_cells(plan, experiment) for experiment in experiments]
    keys = set(columns or {*set_by_rows, "method"} - {"network"})  # the method's cell names the network
    for experiment, is_ours, cell in zip(experiments, ours, cells, strict=True):
        if columns and is_ours and experiment.method != "promptmix":  # below the rule of a table without methods
            first = next(key for key in HEADINGS if key in keys)
            cell[first] = cell[first] if first in ("dataset", "method") else cell["method"]
    for one, other in itertools.combinations(cells, 2):
        if all(one[key] == other[key] for key in keys):
            keys |= {key for key in HEADINGS if one[key] != other[key] and key not in DERIVED}
    labels = [{heading: cell[key] for key, heading in HEADINGS.items() if key in keys} for cell in cells]
    if len({tuple(label.values()) for label in labels}) < len(labels):  # experiments can differ in what has no column
        labels = [{"Experiment": experiment.name, **label} for experiment, label in zip(experiments, labels)]
    return labels


def title_rows(plan: Plan, experiments: Sequence[Experiment]) -> list[str]:
    """Return a title for each row of a figure: the dataset's, and what else it takes to tell the rows apart."""
    titles = []
    labels = label_rows(plan, experiments, [False] * len(experiments), ["dataset"], ())
    for experiment, label in zip(experiments, labels, strict=True):
        dataset = label.pop(HEADINGS["dataset"])
        network = [experiment.network.title] if label.pop(HEADINGS["method"], None) else []
        titles.append(", ".join([dataset, *network, *(f"{heading} {cell}" for heading, cell in label.items())]))
    return titles


def _cells(plan: Plan, experiment: Experiment) -> dict[str, str]:
    """Return what the columns of `HEADINGS` say of an experiment."""
    training = {key: value for key, value in experiment.training.items() if key not in ("learning_rates", "repeats")}
    network = experiment.network.title
    cells = dict.fromkeys(HEADINGS, NONE) | {
        "dataset": plan.title_of(experiment.dataset),
        "method": f"{network}+PromptMix" if experiment.method == "promptmix" else f"{network} ({experiment.method})",
        "k": "0",
        "r_mix": "0",
        "training": _differing(training, plan.config["training"], experiment.dataset),
    }
    if (fake := experiment.fake) is None:
        return cells
    if fake.rendered:
        cells |= {"method": f"{network}+rendered images"}
    restorer = plan.generators[fake.generator].get("restorer")
    texts = [plan.texts_of(fake.prompt[0])[fake.prompt[1]]] if fake.prompt else []
    written = [f"“{text}”" for text in texts] or [
        text for pool in fake.pools for text in _texts_shown(plan.pools[pool])
    ]
    dropped = sum(len(review["drop"]) for review in fake.reviewed.values())
    cells |= {
        "rendered": RENDERED[fake.rendered],
        "pools": ", ".join(fake.pools),
        "prompt_count": str(1 if fake.prompt else sum(fake.pools.values()) - dropped),
        "prompt_format": ", ".join(written) or "captions",
        "prompt": texts[0] if texts else NONE,
        "k": str(fake.k),
        "r_mix": str(fake.r_mix),
        "pre_training": _pre_training(plan, fake.annotator),
        "annotator": fake.annotator,
        "generator": _model_of(plan, fake.generator),
        "precision": PRECISIONS[plan.precision_of(fake.generator)],
        "restorer": NONE if restorer is None else "yes" if len(plan.config["restorers"]) == 1 else restorer,
        "prompt_filter": "by halving" if fake.halving else "yes" if fake.prompt_filter else NONE,
        "real_images": "yes" if fake.real_images else "no",
        "filters": "; ".join(_of_filter(name, settings) for name, settings in fake.filters.items()) or NONE,
        "scored_by": ", ".join(fake.scored_by) or NONE,
        "r_img": f"{fake.r_img:g} %",
    }
    silent = (*(OF_GENERATED if fake.rendered else ()), *(("annotator", "pre_training") * (fake.rendered == "truth")))
    return cells | dict.fromkeys(silent, NONE)


def _of_filter(name: str, settings: Mapping[str, Any]) -> str:
    """Return a filter with its settings: "near-duplicates (distance 6)"."""
    said = (f"{key.replace('_', ' ')} {value}" for key, value in settings.items() if key not in ("model", "action"))
    return f"{name.replace('_', '-' if name == 'near_duplicates' else ' ')} ({', '.join(said)})"


def _texts_shown(pool: Mapping[str, Any]) -> list[str]:
    """Return the texts of a pool as the config writes them, with "[location]", or what a model writes; none of captions."""
    if writer := pool.get("written_by"):
        return [f"on “{writer['topic']}”" if "topic" in writer else "variations of captions"]
    return [f"“{text}”" for text in pool.get("prompts") or [edit["to"] for edit in pool.get("edits", [])]]


def _pre_training(plan: Plan, annotator: str) -> str:
    """Return the dataset that an annotator was trained on, and its network if the paper's Table V has another one."""
    found = plan.annotators[annotator]
    title = plan.title_of(found.trained_on) if found.trained_on else annotator
    return (
        title if found.reference in ("sasnet", "") else f"{title} ({networks.TITLES.get(found.reference, annotator)})"
    )


def _differing(training: Mapping[str, Any], settings: Mapping[str, Any], dataset: str) -> str:
    usual = settings["default"] | settings.get(dataset, {})
    words = [f"{key} {value}" for key, value in training.items() if value != usual[key]]
    return ", ".join(words) or NONE


def _model_of(plan: Plan, generator: str) -> str:
    """Return the generator of the config that one with another precision or with faces restored comes from."""
    if "generator" in (entry := plan.generators[generator]):
        return _model_of(plan, entry["generator"])
    return next(name for name in plan.config["generators"] if generator in (name, f"{name}-{entry['precision']}"))
