"""What a D_fake is made with, under which terms, and whether it may be passed on.

Terms are those of config/sources.yaml, of this repository for the models that ship with it, and else what the config says
in `publish.accept`. What counts is `outputs` in the ledger: whether what was *made with* a model may be passed on. Whether
the model itself may, which is `redistribute` there, is another question: no model is part of a D_fake.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptmix.config import sources
from promptmix.config.experiments import Experiment, Fake
from promptmix.config.plan import Plan
from promptmix.errors import InputError, did_you_mean

OWN = sources.CONFIG.parent / "resources/models"
"""The folder of the models that come with this repository."""

SHIPPED = (
    *("clip", "stable-diffusion", "clipcap.safetensors", "sasnet-shta.safetensors", "sasnet-shtb.safetensors"),
    *("dmcount-qnrf.safetensors", "adabins-nyu.safetensors", "retinaface.safetensors", "parsenet.safetensors"),
    "gfpgan.safetensors",
)
"""What is in that folder; a user may have put other models beside."""

MIT = {
    "name": "MIT",
    "url": "https://spdx.org/licenses/MIT",
    "commercial": "yes",
    "outputs": "yes",
    "inherits": "Nothing: trained on rendered images of the repository PromptMix.",
}

PUBLIC_FACTS = ("name", "url", "commercial", "outputs", "inherits", "note")


@dataclass(frozen=True)
class Material:
    """Something that a D_fake is made with.

    Attributes:
        key: the path, the name on the Hub or the reference to a function, as the config writes it.
        role: what it does.
        title: what it is called.
        terms: `name` and `url` of the licence, `commercial`, `outputs` ("yes", "no" or "unclear"), `inherits`, and `note`
            where there is one; empty where nothing is known.
        own: whether it comes with this repository.
    """

    key: str
    role: str
    title: str
    terms: Mapping[str, str]
    own: bool = False


def experiment_to_publish(plan: Plan, name: str) -> Experiment:
    """Return the experiment of that name, which has generated images.

    Raises:
        InputError: there is no such experiment, it has no generated images, or it is the same as another one, which has the files.
    """
    mixed = {known: each for known, each in plan.experiments.items() if each.fake and not each.fake.rendered}
    if name in mixed:
        return mixed[name]
    if name in plan.written and plan.written[name].name in mixed:
        raise InputError(
            f"{name} has the settings of {plan.written[name].name}: ask for published/{plan.written[name].name}"
        )
    why = "has no generated images" if name in plan.experiments or name in plan.written else "is not an experiment"
    shown = [known for known in mixed if known not in _single(plan)]
    listed = (
        f"Those with generated images: {', '.join(shown)}" if shown else "This config has none with generated images"
    )
    raise InputError(f"'{name}' {why}, so there is nothing to publish. {listed}.{did_you_mean(name, shown)}")


def materials_of(plan: Plan, experiment: str) -> list[Material]:
    """Return what makes the images, prompts and annotations of an experiment's D_fake, each thing once.

    Raises:
        ValueError: the experiment has no D_fake.
    """
    fake = _fake_of(plan, experiment)
    found: dict[str, Material] = {}
    images = () if fake.rendered else (*_of_images(plan, fake.generator), *_of_prompts(plan, fake.pools))
    maps = () if fake.rendered == "truth" else _of_maps(plan, fake)
    for key, role in (*images, *maps, *_of_filters(fake)):
        found.setdefault(key, _material(plan, key, role))
    return list(found.values())


def check_publishable(materials: Iterable[Material], accepted: Mapping[str, str]) -> None:
    """Check that what was made with all of these may be passed on.

    Args:
        accepted: the config's `publish.accept`: the terms of what is not known, by `Material.key`.

    Raises:
        InputError: one line for each that forbids it, or whose terms are not known; what to do about it.
    """
    problems = []
    for material in materials:
        what = f"{material.key} ({material.role})"
        said = f"{material.terms['name']}, {material.terms['url']}" if material.terms else ""
        verdict = material.terms.get("outputs", "unclear")
        if verdict == "no":
            problems.append(
                f"{what}: its licence ({said}) forbids to pass on what is made with it. Use another one, or, if you have a "
                "permission, enter it in config/sources.yaml as `outputs` of its licence"
            )
        elif verdict == "unclear" and material.key not in accepted:
            why = f"config/sources.yaml is in doubt about its licence ({said})" if said else "its licence is not known"
            problems.append(
                f"{what}: {why}. Read its terms; if they allow to pass on what is made with it, name them in the config: "
                f'`publish: {{accept: {{"{material.key}": "name of the licence, and where it stands"}}}}`'
            )
    if problems:
        raise InputError("\n".join(problems))


def facts_of(materials: Iterable[Material], accepted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what a dataset card says of each: `role`, `title`, `own`, and the terms, where `outputs` is what is accepted."""
    facts = []
    for material in materials:
        known = {key: material.terms[key] for key in PUBLIC_FACTS if material.terms.get(key)}
        if material.key in accepted:
            known |= {"name": accepted[material.key]} if not material.terms else {}
            known |= {"accepted": accepted[material.key]}
        facts.append({"role": material.role, "title": material.title, "own": material.own} | known)
    return facts


def terms_of_training(plan: Plan, experiment: str) -> list[dict[str, str]]:
    """Return what a network was trained with whose terms it may inherit: of each `what` it is, its `title`, its `licence`.

    These are the real images, the weights that it starts from, what makes its generated images and annotations, and the
    images that an annotator was fine-tuned on.
    """
    trained = plan.experiments[experiment]
    found = [_of_dataset(plan, trained.dataset, "real images")]
    if trained.network.backbone:
        found.append(_material(plan, trained.network.backbone, "its first weights"))
    if trained.fake:
        found += materials_of(plan, experiment)
        for name in plan.members_of(trained.fake.annotator) if trained.fake.rendered != "truth" else ():
            while given := plan.annotators[name].fine_tune:
                found.append(_of_dataset(plan, given["dataset"], "images that an annotator was trained on"))
                name = given["annotator"]
    by_use = {(one.key, one.role): one for one in found}
    return [{"what": one.role, "title": one.title, "licence": _in_words(one)} for one in by_use.values()]


def _in_words(material: Material) -> str:
    if not material.terms:
        return "not known to this repository: ask its owner"
    if material.own:
        return f"{material.terms['name']}: made by this repository"
    uses = ", ".join(f"{use}: {material.terms[use]}" for use in ("research", "commercial", "redistribute"))
    link = f", {material.terms['url']}" if material.terms["url"] else ""
    return f"{material.terms['name']} ({uses}{link})"


def card_of(plan: Plan, experiment: str) -> dict[str, Any]:
    """Return what `promptmix.report.cards.write_card` says of an experiment's D_fake."""
    fake, publish = _fake_of(plan, experiment), plan.config["publish"]
    return {
        "experiment": experiment,
        "scale": plan.config["scale"],
        "dataset": plan.title_of(plan.experiments[experiment].dataset),
        "generator": fake.generator,
        "annotator": fake.annotator,
        "how": list(_steps(plan, fake)),
        "materials": facts_of(materials_of(plan, experiment), publish["accept"]),
        "creator": publish.get("creator", ""),
        "url": publish.get("url", ""),
    }


def _steps(plan: Plan, fake: Fake) -> Iterator[str]:
    """Yield how a D_fake is made, in the order of the paper's stages."""
    around = plan.config["prompts"]
    for pool, number in fake.pools.items():
        entry = plan.pools[pool]
        if "edits" in entry:
            yield f"Prompts `{pool}`: {number}, each in the place of one of `{entry['of']}` that a person changed."
        elif "prompts" in entry:
            yield f"Prompts `{pool}`: {number}, written by hand."
        elif "dataset" not in entry:
            yield f"Prompts `{pool}`: {number}, {_writing(entry)}, on the topic “{entry['written_by']['topic']}”."
        else:
            words = [f"the prefix “{around['prefix']}”"] if around["prefix"] else []
            words += ["suffixes for grey and coloured images"] if any(around["suffix"].values()) else []
            added = f", with {' and '.join(words)}" if words else ""
            varied = f"{_writing(entry)}: variations of " if "written_by" in entry else ""
            yield (
                f"Prompts `{pool}`: {number}, {varied}captions of training images of {plan.title_of(entry['dataset'])} by "
                f"`{entry['captioner']}`{added}. No such image is here."
            )
    made = plan.generators[plan.diffusion_of(fake.generator)]
    negative = f", negative prompt “{made['negative_prompt']}”" if made["negative_prompt"] else ""
    yield (
        f"Images: {fake.k} per prompt by the latent diffusion model `{made['model']}`{_added(made)}, {made['steps']} steps, "
        f"guidance {made['guidance']:g}{negative}, {made['precision']}. The seed is that of the noise."
    )
    if "restorer" in plan.generators[fake.generator]:
        yield f"Faces: restored by `{plan.generators[fake.generator]['restorer']}`; `faces` says how many."
    members = plan.members_of(fake.annotator)
    mean = f", the mean of {', '.join(members)}" if len(members) > 1 else ""
    tuned = [
        f"{member} is fine-tuned on the training images of {plan.title_of(plan.annotators[member].fine_tune['dataset'])}"
        for member in members
        if plan.annotators[member].fine_tune
    ]
    yield f"Annotations: by `{fake.annotator}`{mean}.{''.join(f' {text}.' for text in tuned)}"
    if fake.reviewed:
        yield "Left out: images and prompts that a person who looked at them did not want."
    yield from _filters(fake)
    if fake.scored_by:
        yield f"Filter of images: the {fake.r_img:g} % with the lowest q, the disagreement of {' and '.join(fake.scored_by)}."
    if fake.prompt_filter:
        shorter = ", as far as trainings that end early tell" if fake.halving else ""
        yield f"Filter of prompts: only those whose images do not raise the validation error of a network trained on them{shorter}."
    if fake.prompt:
        yield "Only the images of one prompt."


def _writing(pool: Mapping[str, Any]) -> str:
    writer = pool["written_by"]
    return f"written by the language model `{writer['model']}` with the seed {writer['seed']} at a temperature of {writer['temperature']:g}"


def _filters(fake: Fake) -> Iterator[str]:
    """Yield what the filters beyond the paper's leave out."""
    if same := fake.filters.get("near_duplicates"):
        yield f"Near-duplicates: of images whose perceptual hashes differ by {same['distance']} bits of 64 or fewer, the first."
    if clip := fake.filters.get("clip_score"):
        which = (
            f"the {clip['keep']:g} % with the highest"
            if "keep" in clip
            else f"those with {clip['at_least']:g} or more as"
        )
        yield f"CLIP score: {which} cosine of the features of image and prompt by `{clip['model']}`."
    if guard := fake.filters.get("leak_guard"):
        by = (
            f", or a cosine of features by `{guard['model']}` of {guard['similarity']:g} or more"
            if "model" in guard
            else ""
        )
        yield (
            f"Compared with the test images (perceptual hashes that differ by {guard['distance']} bits of 64 or fewer{by}); "
            "none is left out by that."
        )


def _added(made: Mapping[str, Any]) -> str:
    """Return what differs from a generator that is a model alone, in words."""
    found = [f"`{lora['model']}` (LoRA, times {lora.get('scale', 1):g})" for lora in made.get("lora", [])]
    if "refiner" in made:
        found.append(f"`{made['refiner']['model']}` from {made['refiner']['from']:.0%} of the steps")
    if "scheduler" in made:
        found.append(f"the sampler {made['scheduler']}")
    if "native" in made:
        side = made["native"]
        found.append(f"the number of pixels of {'x'.join(map(str, [side, side] if isinstance(side, int) else side))}")
    return f" with {', '.join(found)}" if found else ""


def _fake_of(plan: Plan, experiment: str) -> Fake:
    fake = plan.experiments[experiment].fake
    if fake is None:
        raise ValueError(f"{experiment} has no generated images")
    return fake


def _single(plan: Plan) -> set[str]:
    """Return the names of the trainings on one prompt each that prompt filters make."""
    return {name for experiment in plan.experiments.values() for name in experiment.single_prompts.values()}


def _of_images(plan: Plan, generator: str) -> Iterator[tuple[str, str]]:
    entry = plan.generators[generator]
    if "generator" in entry:
        yield from _of_images(plan, entry["generator"])
        restorer = plan.config["restorers"][entry["restorer"]]
        for part, role in (("detector", "finds faces"), ("parser", "finds their parts"), ("restorer", "restores them")):
            yield restorer[part]["weights"], role
    else:
        yield entry["model"], "generates the images"
        if "refiner" in entry:
            yield entry["refiner"]["model"], "refines the images"
        for lora in entry.get("lora", []):
            yield lora["model"], "changes what generates the images (LoRA)"


def _of_prompts(plan: Plan, pools: Iterable[str]) -> Iterator[tuple[str, str]]:
    for pool in pools:
        entry = plan.pools[plan.pools[pool].get("of", pool)]
        if "captioner" in entry:
            captioner = plan.config["captioners"][entry["captioner"]]
            if "model" in captioner:
                yield captioner["model"], "writes captions, which become prompts"
            else:
                yield captioner["clip"], "sees what captions describe"
                yield captioner["tokenizer"], "splits captions into words"
                yield captioner["weights"], "writes captions, which become prompts"
        if "written_by" in entry:
            yield entry["written_by"]["model"], "writes prompts"


def _of_maps(plan: Plan, fake: Fake) -> Iterator[tuple[str, str]]:
    for names, role in (([fake.annotator], "annotates the images"), (fake.scored_by, "scores the images")):
        for name in (member for annotator in names for member in plan.members_of(annotator)):
            annotator = plan.annotators[name]
            while annotator.fine_tune:  # what it starts from; the weights that follow are made here
                annotator = plan.annotators[annotator.fine_tune["annotator"]]
            yield (annotator.reference if annotator.is_function else annotator.weights), role


def _of_filters(fake: Fake) -> Iterator[tuple[str, str]]:
    for name, role in (
        ("clip_score", "compares images with prompts"),
        ("leak_guard", "compares images with test images"),
    ):
        if model := fake.filters.get(name, {}).get("model"):
            yield model, role


def _of_dataset(plan: Plan, name: str, role: str) -> Material:
    """Return the images of a dataset."""
    entry = plan.config["datasets"][name]
    if name in plan.config["render"]:
        return Material(name, role, f"{entry['title']}, rendered", MIT, own=True)
    place = Path(os.path.relpath(entry["path"]))
    for known in sources.load()["datasets"].values():
        if place.is_relative_to(known["path"]):
            return Material(entry["path"], role, known["title"], known["licence"])
    return Material(entry["path"], role, entry["title"], {})


def _material(plan: Plan, key: str, role: str) -> Material:
    name, entry = _in_ledger(key)
    if name is not None:
        return Material(key, role, entry["title"], entry["licence"])
    if _is_own(plan, key):
        return Material(key, role, f"the miniature's {Path(key).stem}", MIT, own=True)
    return Material(key, role, key, {})


def _in_ledger(key: str) -> tuple[str | None, dict[str, Any]]:
    path = Path(os.path.relpath(key))
    for kind, folder, suffix in (("models", sources.HUB, ""), ("checkpoints", sources.CHECKPOINTS, ".safetensors")):
        for name, entry in sources.load()[kind].items():
            if path == Path(folder, name + suffix) or key == entry.get("hub"):
                return name, entry
    return None, {}


def _is_own(plan: Plan, key: str) -> bool:
    if Path(os.path.relpath(key)).is_relative_to(f"results/{plan.config['scale']}/models"):  # trained by a rule
        return True
    path = Path(key).resolve()
    return path.parent == OWN.resolve() and path.name in SHIPPED
