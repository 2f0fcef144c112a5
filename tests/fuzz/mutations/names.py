"""Names of pictures and folders, and how annotations call them."""

import os
import unicodedata
from dataclasses import replace
from pathlib import PurePosixPath

from fuzz.cases import (
    AUTHORS,
    FOLDERS,
    FORMATS,
    MATLAB,
    OWN,
    Json,
    Table,
    Unfit,
)
from fuzz.judge import ANY, ERROR, RIGHT, TOLD
from fuzz.mutations.registry import a_name, content_at, mutation, rename, with_name

STEMS = {
    "spaces": "a b  c",
    "edges": " a ",
    "braces": "{data}",
    "brackets": "[1]",
    "star": "a*b?",
    "comma": "a,b",
    "quote": "a\"b'c",
    "hash": "#1",
    "percent": "%20%s{0}",
    "dash": "-rf",
    "composed": unicodedata.normalize("NFC", "Zürich é"),
    "decomposed": unicodedata.normalize("NFD", "Zürich é"),
    "hangul": unicodedata.normalize("NFD", "서울역"),
    "emoji": "🚆",
    "not_utf8": os.fsdecode("照片".encode("gbk")),
    "latin1": os.fsdecode("Z\xfcrich".encode("latin-1")),
    "newline": "a\nb",
    "tab": "a\tb",
    "backslash": "a\\b",
    "dots": "a.b.c",
    "long": "n" * 200,
    "nan": "nan",
    "number": "0012",
    "formula": "=1+1",
    "capitals": "FRAME_1_A",
    "control": "a\x07b",
}
AS_IT_IS = ("edges", "not_utf8", "latin1", "newline", "tab", "backslash", "control")
"""Names that may be refused in any format."""


@mutation(RIGHT, FOLDERS, {label: (label, stem) for label, stem in STEMS.items()})
def picture_named(case, rng, named):
    label, stem = named
    name = a_name(case, rng)
    prefix = {"shanghaitech": "IMG_", "ucf_qnrf": "img_"}.get(case.format, "")
    rename(case, name, with_name(case.truths[name].picture, prefix + stem))
    return RIGHT | ERROR if label in AS_IT_IS or case.format in AUTHORS else None


@mutation(RIGHT, FOLDERS, {suffix: suffix for suffix in (".JPG", ".jpeg", ".Jpg", ".PNG", ".jpe", ".webp", ".tif")})
def picture_with_suffix(case, rng, suffix):
    name = a_name(case, rng)
    old = PurePosixPath(case.truths[name].picture)
    rename(case, name, with_name(str(old), old.stem, suffix))
    common = suffix.lower() in (".jpg", ".jpeg", ".png")
    if common and case.format in OWN:
        return RIGHT
    return RIGHT | ERROR if common or case.format in AUTHORS else ERROR


@mutation(RIGHT | ERROR, MATLAB, {suffix: suffix for suffix in (".JPG", ".jpeg", ".png")})
def pictures_with_suffix(case, rng, suffix):
    for name, truth in list(case.truths.items()):
        old = PurePosixPath(truth.picture)
        rename(case, name, with_name(str(old), old.stem, suffix))


@mutation(RIGHT, ("points", "coco", "panda", "depth_maps"), {"disk": "NFD", "table": "NFC"})
def names_composed_differently(case, rng, on_disk):
    """The annotation, or the depth map, has the other of the two forms of a name that look the same."""
    name = a_name(case, rng)
    other = {"NFC": "NFD", "NFD": "NFC"}[on_disk]
    written = with_name(case.truths[name].picture, unicodedata.normalize(other, "Zürich"))
    name = rename(case, name, written)
    truth, stored = case.truths[name], unicodedata.normalize(on_disk, written)
    case.files[stored] = case.files.pop(written)
    case.truths[name] = replace(truth, picture=stored)


@mutation(RIGHT | TOLD | ERROR, ("points", "coco", "panda"))
def names_alike(case, rng):
    """Two pictures whose names look the same."""
    first, second = list(case.truths)[:2]
    folder = PurePosixPath(case.truths[first].picture).parent
    rename(case, first, f"{folder}/{unicodedata.normalize('NFC', 'é')}.jpg")
    rename(case, second, f"{folder}/{unicodedata.normalize('NFD', 'é')}.jpg")


@mutation(RIGHT, FORMATS, {label: stem for label, stem in STEMS.items() if label not in ("long", "number", "nan")})
def dataset_named(case, rng, name):
    if f"../{case.root}" in case.files:
        raise Unfit
    case.root = name
    if name in (STEMS["not_utf8"], STEMS["latin1"], STEMS["newline"], STEMS["control"]):
        return RIGHT | ERROR


REFERENCES = {
    "images": lambda name: f"images/{name}",
    "dot": lambda name: f"./{name}",
    "backslash": lambda name: name.replace("/", "\\") if "/" in name else f".\\{name}",
    "absolute": lambda name: f"/home/me/images/{name}",
    "capitals": lambda name: name.upper(),
    "suffix": lambda name: name.rpartition(".")[0],
    "space": lambda name: f" {name} ",
    "up": lambda name: f"../images/{name}",
    "address": lambda name: f"https://example.org/{name}",
    "empty": lambda name: "",
}


@mutation(RIGHT | ERROR, ("points", "coco", "panda"), REFERENCES)
def pictures_called(case, rng, change):
    """The annotation calls every picture in another way."""
    for note in {truth.note for truth in case.truths.values()}:
        if case.format == "points":
            for row in content_at(case, note, Table).rows[1:]:
                row[0] = change(row[0])
        elif case.format == "coco":
            for entry in content_at(case, note, Json).value["images"]:
                entry["file_name"] = change(entry["file_name"])
        else:
            content = content_at(case, note, Json)
            content.value = {change(name): value for name, value in content.value.items()}
            if change is REFERENCES["suffix"]:
                return ANY  # its images are called as the file calls them
