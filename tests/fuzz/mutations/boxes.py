"""JSON: COCO and PANDA."""

from dataclasses import replace

import numpy as np

from fuzz.cases import (
    BOXES,
    Case,
    Json,
    Raw,
    Unfit,
    any_of,
)
from fuzz.judge import ANY, ERROR, RIGHT, TOLD
from fuzz.mutations.registry import a_name, a_note, content_at, is_crowd, mutation, note_of, with_name


@mutation(
    ERROR,
    BOXES,
    {"list": "[]", "null": "null", "number": "3", "text": '"a"', "nested": "[" * 100000, "lines": "{}\n{}"},
)
def json_is(case, rng, text):
    case.files[a_note(case, rng, Json)] = Raw(text.encode())


@mutation(ERROR, BOXES)
def json_with_a_comment(case, rng):
    note = a_note(case, rng, Json)
    case.files[note] = Raw(b"// made by hand\n" + case.files[note].dump())


JUNK = {
    "null": None,
    "text": "12",
    "word": "left",
    "list": [1],
    "mapping": {"a": 1},
    "true": True,
    "nan": float("nan"),
    "infinite": float("inf"),
    "huge": 10**400,
    "large": 1e308,
    "minus": -1,
}

UNCLEAR = ("12", "True", "1e+308", "-1")
"""Those that may pass for a number, in words."""


def _a_box(case: Case, rng: np.random.Generator) -> tuple[str, dict]:
    """Return an image's name and the annotation of one of its heads."""
    name = a_name(case, rng, is_crowd)
    value = note_of(case, name, Json).value
    if case.format == "panda":
        return name, any_of(rng, value[case.reference(name)]["objects list"])
    (number,) = [entry["id"] for entry in value["images"] if entry["file_name"] == case.reference(name)]
    return name, any_of(rng, [entry for entry in value["annotations"] if entry["image_id"] == number])


def _lose(case: Case, name: str, entry: dict) -> None:
    """Take a head out of the truth."""
    if case.format == "coco":
        left, top, width, height = entry["bbox"]
        corners = np.array([[left, top], [left + width, top + height]])
    else:
        corners = np.array([[point["x"], point["y"]] for point in entry["rect"].values()]) * case.truths[name].size
    marks = case.truths[name].marks
    at = np.abs(marks - corners).sum(axis=(1, 2)).argmin()
    case.truths[name] = replace(case.truths[name], marks=np.delete(marks, at, axis=0))


@mutation(ERROR, ("coco",), JUNK)
def coco_number_of_a_box(case, rng, value):
    name, entry = _a_box(case, rng)
    _lose(case, name, entry)
    entry["bbox"] = list(entry["bbox"])
    entry["bbox"][int(rng.integers(4))] = value
    return ANY if str(value) in UNCLEAR else None


@mutation(ERROR, ("panda",), {key: value for key, value in JUNK.items() if key != "minus"})
def panda_number_of_a_box(case, rng, value):
    name, entry = _a_box(case, rng)
    _lose(case, name, entry)
    entry["rect"][any_of(rng, ["tl", "br"])][any_of(rng, "xy")] = value
    return ANY if str(value) in UNCLEAR else None


@mutation(ERROR, ("coco",), JUNK | {"missing": "missing", "short": [1, 2, 3], "long": [1, 2, 3, 4, 5], "empty": []})
def coco_box(case, rng, value):
    _, entry = _a_box(case, rng)
    if value == "missing":
        del entry["bbox"]
    else:
        entry["bbox"] = value


@mutation(ERROR, ("coco",))
def coco_boxes_as_corners(case, rng):
    for note in {truth.note for truth in case.truths.values()}:
        for entry in content_at(case, note, Json).value["annotations"]:
            left, top, width, height = entry["bbox"]
            entry["bbox"] = [left, top, left + width, top + height]


@mutation(TOLD | ERROR, BOXES)
def box_turned_inside_out(case, rng):
    _, entry = _a_box(case, rng)
    if case.format == "coco":
        entry["bbox"] = [*entry["bbox"][:2], *(-side for side in entry["bbox"][2:])]
        return ERROR
    entry["rect"]["tl"], entry["rect"]["br"] = entry["rect"]["br"], entry["rect"]["tl"]
    return RIGHT | TOLD | ERROR


@mutation(ERROR, ("coco",), {key: value for key, value in JUNK.items() if key not in ("text", "true", "minus")})
def coco_id(case, rng, value):
    section, key = any_of(
        rng, [("images", "id"), ("annotations", "image_id"), ("annotations", "category_id"), ("categories", "id")]
    )
    sections = content_at(case, a_note(case, rng, Json), Json).value
    entry = any_of(rng, sections[section])
    reference = {"images": "image_id", "categories": "category_id"}.get(section)
    unused = reference and all(other.get(reference) != entry.get(key) for other in sections["annotations"])
    entry[key] = value
    return RIGHT | ERROR if unused else None  # such as the id of an image without heads


@mutation(RIGHT | ERROR, ("coco",), {"text": str, "float": float})
def coco_ids_of_another_kind(case, rng, kind):
    for entry in content_at(case, a_note(case, rng, Json), Json).value["annotations"]:
        entry["image_id"] = kind(entry["image_id"])


@mutation(ERROR, ("coco",), {"images": "images", "categories": "categories"})
def coco_id_twice(case, rng, section):
    value = content_at(case, a_note(case, rng, Json), Json).value
    if section == "categories":
        value[section].append({"id": 1, "name": "person"})
    else:
        if len(value[section]) < 2:
            raise Unfit
        value[section][0]["id"] = value[section][1]["id"]


@mutation(ERROR, ("coco",), {key: value for key, value in JUNK.items() if key not in ("text", "minus")})
def coco_size(case, rng, value):
    note = content_at(case, a_note(case, rng, Json), Json)
    any_of(rng, note.value["images"])[any_of(rng, ["width", "height"])] = value
    return RIGHT | ERROR if value is None else None


@mutation(ERROR, ("coco",), {"none": (-1, -1), "zero": (0, 0), "swapped": None, "text": ("32", "24")})
def coco_sizes(case, rng, size):
    for entry in content_at(case, a_note(case, rng, Json), Json).value["images"]:
        entry["width"], entry["height"] = size or (entry["height"], entry["width"])
    return None if size is None else RIGHT | ERROR


@mutation(ERROR, ("coco",), {key: value for key, value in JUNK.items() if key not in ("text", "word")})
def coco_file_name(case, rng, value):
    any_of(rng, content_at(case, a_note(case, rng, Json), Json).value["images"])["file_name"] = value


@mutation(ERROR, ("coco",), {"images": "images", "annotations": "annotations", "categories": "categories"})
def coco_section(case, rng, section):
    value = content_at(case, a_note(case, rng, Json), Json).value
    change = any_of(rng, ["missing", None, {}, "text", [None], [[]], [3]])
    if change == "missing":
        del value[section]
    else:
        value[section] = change


@mutation(RIGHT, ("coco",))
def coco_another_category_beside_head(case, rng):
    for note in sorted({truth.note for truth in case.truths.values()}):
        value = content_at(case, note, Json).value
        value["categories"].append({"id": 2, "name": "person"})
        value["annotations"] += [
            {"id": 1000 + i, "image_id": entry["id"], "category_id": 2, "bbox": [1, 1, 9, 9]}
            for i, entry in enumerate(value["images"])
        ]


@mutation(RIGHT, ("coco",))
def coco_heads_of_the_test_part_are_other_things(case, rng):
    """`head` is listed in both parts, but happens not to be used in one."""
    if not any(truth.split for truth in case.truths.values()):
        raise Unfit
    for name, truth in list(case.truths.items()):
        value = note_of(case, name, Json).value
        value["categories"] = [{"id": 1, "name": "head"}, {"id": 2, "name": "person"}]
        if truth.split == "test":
            case.truths[name] = replace(truth, marks=truth.marks[:0])
            for entry in value["annotations"]:
                entry["category_id"] = 2


@mutation(ERROR, ("coco",))
def coco_two_categories_and_no_head(case, rng):
    for note in {truth.note for truth in case.truths.values()}:
        value = content_at(case, note, Json).value
        value["categories"] = [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}]
        for entry in value["annotations"][::2]:
            entry["category_id"] = 2


@mutation(RIGHT, ("coco",), {"missing": ..., "null": None, "zero": 0, "text": "0", "false": False, "word": "false"})
def coco_no_crowd(case, rng, value):
    for entry in content_at(case, a_note(case, rng, Json), Json).value["annotations"]:
        if entry.get("iscrowd", 0) != 0:
            raise Unfit
        if value is ...:
            entry.pop("iscrowd", None)
        else:
            entry["iscrowd"] = value
    return RIGHT | ERROR if value == "false" else None


@mutation(TOLD | ERROR, ("coco",), {"number": 1, "true": True, "text": "1"})
def coco_crowd(case, rng, value):
    name, entry = _a_box(case, rng)
    _lose(case, name, entry)
    entry["iscrowd"] = value


@mutation(ANY, ("coco",), {"list": [], "word": "maybe", "mapping": {"a": 1}, "two": 2})
def coco_crowd_that_is_neither(case, rng, value):
    _, entry = _a_box(case, rng)
    entry["iscrowd"] = value


@mutation(RIGHT | TOLD, ("coco",))
def coco_picture_not_listed(case, rng):
    """Images that are not listed are not read."""
    name = a_name(case, rng, lambda truth: truth.split != "test")
    case.files[with_name(case.truths[name].picture, "not_listed")] = case.files[case.truths[name].picture]


@mutation(ERROR, ("coco",))
def coco_picture_listed_twice(case, rng):
    value = content_at(case, a_note(case, rng, Json), Json).value
    value["images"].append(any_of(rng, value["images"]) | {"id": 999})


@mutation(ERROR, ("panda",), JUNK | {"missing": "missing"})
def panda_part(case, rng, value):
    """A part of an entry is of another kind than it should be."""
    name, entry = _a_box(case, rng)
    entries = note_of(case, name, Json).value
    holder, key = any_of(
        rng,
        [
            *((entries, case.reference(name)), (entries[case.reference(name)], "objects list")),
            *((entry, "rect"), (entry, "category"), (entry["rect"], "tl")),
        ],
    )
    if value == "missing" and holder is not entries:
        del holder[key]
    else:
        holder[key] = value
    if key == "category":
        return ANY


@mutation(RIGHT | TOLD, ("panda",))
def panda_other_category(case, rng):
    name, entry = _a_box(case, rng)
    _lose(case, name, entry)
    entry["category"] = "ignore"


@mutation(ERROR, ("panda",))
def panda_no_category_is_a_head(case, rng):
    for entry in content_at(case, a_note(case, rng, Json), Json).value.values():
        for head in entry["objects list"]:
            head["category"] = "person"


@mutation(RIGHT | TOLD | ERROR, ("panda",))
def panda_size_of_another_picture(case, rng):
    entry = any_of(rng, content_at(case, a_note(case, rng, Json), Json).value.values())
    entry["image size"] = any_of(rng, [{"height": 9, "width": 9}, None, "9x9", {}])
