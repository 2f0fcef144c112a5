"""Write a config for a dataset that was found: one of the two to copy, filled in.

What they say stands there alone: `config/own-counting.yaml` and `config/own-depth.yaml` are read, and their lines are replaced.
"""

import math
import os
import re
import shlex
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from promptmix.config.experiments import split_of
from promptmix.config.loading import load, read_yaml
from promptmix.config.validation import REPOSITORY, read, resolve
from promptmix.datasets.decoding import find_problems
from promptmix.datasets.registry import read_dataset
from promptmix.datasets.sample import UNSPLIT, pick_evenly
from promptmix.datasets.splits import split
from promptmix.errors import InputError
from promptmix.files import replacing
from promptmix.preflight.looking import MAPS, WHOLE_PEOPLE, Found, shown

CONFIGS = REPOSITORY / "config"

TEMPLATES = {"counting": ("own-counting.yaml", "station"), "depth": ("own-depth.yaml", "corridor")}
"""By task the config to copy, and what the dataset is called in it."""

MODELS = {"miniature": "config.yaml", "published": "paper.yaml"}
"""By which models are taken the config that is extended."""

RESIZE = {
    ("counting", "miniature"): ("fit", (128, 96)),
    ("counting", "published"): ("fit", (1024, 768)),
    ("depth", "miniature"): ("exact", (96, 72)),
    ("depth", "published"): ("exact", (640, 480)),
}
"""Size at which images are stored, by task and models: those of the configs to copy."""

ANNOTATORS = {250: "sasnet-shtb", 650: "sasnet-shta", math.inf: "dmcount-qnrf"}
"""What counts people in generated images, by the most people per image, between the means of what these were trained on."""

ANCHORED = {"center": "heads", "top": "whole people"}
"""By the anchor of boxes what these are around."""

PROMPTS = ("corridor interior", "office interior")

MOST = {"counting": 500, "depth": 1000}
"""By task the most generated images in an epoch, as in the paper; of fewer real images there are as many."""

MADE = 7.5
"""How many times r_mix images are generated of prompts by hand, as in the paper."""

FEWEST = 3
"""Images that can be dealt to training, validation and test."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
"""As the schema has it."""


@dataclass(frozen=True)
class Choices:
    """What a person decides about a new config.

    Attributes:
        name: of the dataset.
        models: a key of `MODELS`.
        unit: metres per count, for `depth_maps` only.
        anchor: where in its box a head is counted, for `coco` only.
        prompts: what the images show, for depth only.
        guessed: names of those above that nobody decided.
    """

    name: str
    models: str = "miniature"
    unit: float | None = None
    anchor: str | None = None
    prompts: tuple[str, ...] = ()
    guessed: Collection[str] = ()

    @property
    def title(self) -> str:
        """What tables call the dataset."""
        return self.name.replace("-", " ").capitalize()


def guess(found: Found) -> Choices:
    """Return what fits a dataset best, as far as that can be seen."""
    name, taken, shape = (
        _as_name(found.path.stem if found.path.is_file() else found.path.name),
        _taken(),
        found.box_shape,
    )
    while name in taken or not _is_text(name):
        name = f"my-{name}"
    return Choices(
        name,
        unit=found.units[0].metres if found.units else None,
        anchor=("top" if shape and shape >= WHOLE_PEOPLE else "center") if found.format == "coco" else None,
        prompts=PROMPTS if found.task == "depth" else (),
    )


def check_name(name: str) -> str:
    """Return the name of a dataset if a new one can be called so.

    Raises:
        InputError: it cannot be a name, or is that of something else.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"'{name}' is not a name. Expected small letters, digits and hyphens, such as my-station")
    if not _is_text(name):
        raise InputError(f"'{name}' is not read as text by YAML. Give another name, such as my-{name}")
    if name in _taken():
        raise InputError(f"the name '{name}' is taken by the configs that ship. Give another, such as my-{name}")
    return name


def check_free(out: str | Path) -> None:
    """Raise an `InputError` if a config cannot be written to a path, as there is something."""
    if os.path.lexists(out):
        raise InputError(f"{out} is there already and is never overwritten. Give another --out, or move it elsewhere")


def write_config(out: str | Path, found: Found, choices: Choices) -> None:
    """Write a config with baseline, control and PromptMix on a dataset, once it is checked.

    Raises:
        InputError: there is such a file, there are too few images, or what the preflight would say of the config or of the
            dataset, of whose images some are decoded.
    """
    out = Path(out)
    check_free(out)
    text = compose(out, found, choices)
    with replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
        config = read([temporary])
        resolve(config)
        _check_dataset(config, found, choices)
        check_free(out)


def compose(out: Path, found: Found, choices: Choices) -> str:
    """Return the text of a config."""
    template, called = TEMPLATES[found.task]
    head, body = _divide((CONFIGS / template).read_text(encoding="utf-8"))
    body = re.sub(rf"\b{called}\b(?=[:,\]}}])", choices.name, body)
    published, images, train = choices.models == "published", found.images, _training_images(found)
    rule, (width, height) = RESIZE[found.task, choices.models]
    if upright := found.task == "depth" and found.size[0] < found.size[1]:
        width, height = height, width
    scale, r_mix = _scale(out), min(train, MOST[found.task])
    own = "" if published else None  # what a template says of published models is for those who have others
    lines: dict[str, tuple[Any, str | None]] = {
        "extends": (
            _from(out, CONFIGS / MODELS[choices.models]),
            "" if published else f"published: {_from(out, CONFIGS / MODELS['published'])}",
        ),
        "scale": (scale, f"results are in results/{scale}/"),
        "title": (choices.title, None),
        "format": (found.format, None),
        "path": (shown(found.path), None),
        "images": (images, "another number on disk is an error"),
        "split": (_shares(images), None),
        "resize": ({rule: [width, height]}, own),
        "r_mix": (r_mix, "of all generated images, how many join the real ones in each epoch"),
    }
    if found.task == "counting":
        annotator = next(name for most, name in ANNOTATORS.items() if found.heads <= most)
        note = f"counts people in generated images; guessed from {found.heads:.0f} people per real image"
        lines |= {"annotator": (annotator, note), "k": (min(10, math.ceil(10 * MOST["counting"] / train)), None)}
    else:
        pool = {"prompts": list(choices.prompts)} | ({"quality": found.quality} if found.quality else {})
        pool |= {"width": width, "height": height} if upright else {}
        k = math.ceil(MADE * r_mix / len(choices.prompts))
        lines["rooms"] = pool, f"{_said(choices, 'prompts')}your kinds of room, in words"
        lines["k"] = k, f"generated images per prompt; of all, {MADE:g} times r_mix, as in the paper"
    if choices.unit:
        lines["unit"] = choices.unit, _describe_unit(found, choices)
    if upright and not published:
        lines["resize"] = (
            {rule: [width, height]},
            "as AdaBins wants it; published: [480, 640], and so is the pool's size",
        )
    for key, (value, comment) in lines.items():
        body = _replace_line(body, key, value, comment)
    for key in ("split",) * ("val" in images) + ("unit",) * (found.task == "depth" and not choices.unit):
        body = _line(key).sub("", body)
    if choices.anchor:
        (other,) = ANCHORED.keys() - {choices.anchor}
        around = f"boxes are around {ANCHORED[choices.anchor]}; {other}: around {ANCHORED[other]}"
        body = _line("format").sub(
            lambda line: f"{line[0]}    anchor: {choices.anchor}  # {_said(choices, 'anchor')}{around}\n", body
        )
    return "\n".join([*_head(out, found, head, published), "", body])


def commands(out: str | Path) -> list[str]:
    """Return what to run with a new config."""
    file = shlex.quote(shown(out))
    return [
        f"uv run snakemake preflight --configfile {file} --cores 1",
        f"uv run snakemake tables/table1.md --configfile {file} --cores 8",
    ]


def _as_name(text: str) -> str:
    """Return a name made of a file's or a folder's."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "own"


def _is_text(name: str) -> bool:
    """Return whether YAML reads a name as text, unlike 2023, 2023-05-01, yes and null."""
    return isinstance(yaml.safe_load(name), str)


def _taken() -> set[str]:
    """Return names that a new dataset, and its pool, cannot have: those in the design, which both configs extend."""
    base = load([CONFIGS / "design.yaml"])[0]
    return {"default", *base["datasets"], *base["pools"], *(_as_name(e["title"]) for e in base["datasets"].values())}


def _from(out: Path, file: Path) -> str:
    """Return a file's path from the folder of the new config, whichever links are on the way."""
    return os.path.relpath(file, out.parent.resolve())


def _scale(out: Path) -> str:
    """Return a name for the results, which is that of the file, if no other config has it."""
    others = {_scale_of(file) for file in CONFIGS.glob("*.yaml")}
    scale = _as_name(out.stem)
    while scale in others:
        scale = f"my-{scale}"
    return scale


def _scale_of(file: Path) -> Any:
    try:
        content = read_yaml(file)
    except InputError:  # which is for who reads that one
        return None
    return content.get("scale") if isinstance(content, Mapping) else None


def _shares(images: Mapping[str, int]) -> dict[str, float] | None:
    """Return which images are set aside; None where a dataset comes with all parts."""
    return None if "val" in images else {"val": 0.2} if "train" in images else {"val": 0.2, "test": 0.2}


def _training_images(found: Found) -> int:
    """Return how many images are for training once others are set aside.

    Raises:
        InputError: there are too few.
    """
    images = found.images
    dealt = images.get("train", images.get(UNSPLIT, 0))
    if "val" not in images and dealt < FEWEST:
        raise InputError(
            f"{found.path}: {dealt} images for training. Expected {FEWEST} or more, as some of them are set aside"
        )
    return split_of({"datasets": {"new": {"images": images, "split": _shares(images)}}}, "new")["train"]


def _said(choices: Choices, key: str) -> str:
    """Return how a comment begins: whether what is chosen was guessed."""
    return "guessed: " if key in choices.guessed else ""


def _describe_unit(found: Found, choices: Choices) -> str:
    median = found.units[0].median / found.units[0].metres * (choices.unit or 0)
    others = [f"; {unit.metres:g} could be too" for unit in found.units if unit.metres != choices.unit]
    return f"{_said(choices, 'unit')}metres per count: half is nearer than {median:.3g} m" + "".join(others[:1])


def _check_dataset(config: Mapping[str, Any], found: Found, choices: Choices) -> None:
    """Raise an `InputError` if the preflight would not take the dataset, as far as some of its images tell."""
    entry, samples = config["datasets"][choices.name], found.samples
    if choices.anchor == "top":
        samples = read_dataset(found.format, found.path, entry["images"], anchor="top")
    elif choices.unit:
        samples = [replace(sample, unit=choices.unit) for sample in samples]
    split(samples, entry["split"], config["seed"])
    some = pick_evenly(samples, MAPS)
    if problems := find_problems(some, entry["resize"], min(os.cpu_count() or 1, MAPS)):
        raise InputError(
            "\n- ".join([f"{len(problems)} of {len(some)} images that were looked at are wrong:", *problems])
        )


# --- Text ---


def _divide(text: str) -> tuple[list[str], str]:
    """Return the comment that a config begins with, by paragraphs, and the rest of it."""
    head, _, body = text.partition("\n\n")
    return head.replace("\n#\n", "\n\n").split("\n\n"), body


def _head(out: Path, found: Found, head: Sequence[str], published: bool) -> list[str]:
    """Return the lines of the comment that a new config begins with."""
    schema = _from(out, CONFIGS / "schemas" / "config.schema.yaml")
    first, last = head[0].splitlines()[0], head[-1].splitlines()
    if published:
        last = ["# It takes the published models; the preflight says which of them have to be fetched by hand."]
    return [
        re.sub(r"\$schema=\S+", f"$schema={schema}", first),
        "#",
        "# Baseline, control and PromptMix on images of your own, written by scripts/new_config.py. It found",
        "#",
        *(f"#     {line}" for line in found.describe()),
        "#",
        '# What it guessed is marked so. config/README.md tells what each key means ("Your own dataset"). Run:',
        "#",
        *(f"#     {command}" for command in commands(out)),
        "#",
        *last,
    ]


def _line(key: str) -> re.Pattern:
    """Return the pattern of the line of a config that has a key for itself."""
    return re.compile(rf"^( *){key}: .*?(  # .*)?\n", re.MULTILINE)


def _replace_line(body: str, key: str, value: Any, comment: str | None) -> str:
    """Return a config with another value of a key, and another comment behind it: "" for none, None for the same one."""
    dumped = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf)
    text = dumped.strip().removesuffix("\n...")

    def changed(line: re.Match) -> str:
        note = (line[2] or "") if comment is None else f"  # {comment}" if comment else ""
        return f"{line[1]}{key}: {text}{note}\n"

    return _line(key).sub(changed, body)
