"""Files and folders: missing, too many, hidden, or links."""

from dataclasses import replace
from pathlib import PurePosixPath

from fuzz.cases import (
    FOLDERS,
    MATLAB,
    OWN,
    Case,
    Folder,
    Link,
    Raw,
    Unfit,
    any_of,
)
from fuzz.judge import ERROR, RIGHT, TOLD
from fuzz.mutations.registry import a_folder, a_name, a_note, move, mutation, part_of, with_name

# --- Files that are missing, or too many ---


@mutation(ERROR, FOLDERS)
def picture_missing(case, rng):
    truth = case.truths[a_name(case, rng)]
    del case.files[truth.picture]
    if case.format == "points" and not len(truth.marks):  # only its number is missing
        case.named |= {case.root, truth.picture}
    folder = truth.picture.rpartition("/")[0]
    if not any(path.startswith(f"{folder}/") for path in case.files):  # neither is there any more
        case.named |= {folder}


@mutation(ERROR)
def annotation_missing(case, rng):
    del case.files[a_note(case, rng)]


@mutation(ERROR, MATLAB + ("depth_maps",))
def image_missing_with_its_annotation(case, rng):
    truth = case.truths[a_name(case, rng)]
    del case.files[truth.picture], case.files[truth.note]
    case.named |= {case.root, "images"}


@mutation(ERROR)
def dataset_missing(case, rng):
    case.files.clear()
    case.files["../README.txt"] = Raw(b"nothing else\n")


@mutation(ERROR)
def dataset_is_a_file(case, rng):
    case.files = {"../elsewhere": Raw(b"PK\x03\x04" + bytes(100))}
    case.path = "../elsewhere"
    case.named |= {"elsewhere"}


@mutation(ERROR)
def dataset_is_empty(case, rng):
    case.files = {path: Folder() for path in ("", case.path.rpartition("/")[0])}
    case.named |= {case.root, case.path or case.root}


@mutation(ERROR, FOLDERS)
def folder_missing(case, rng):
    folder = a_folder(case, rng)
    move(case, f"{folder}/", "../elsewhere/")
    case.named |= {folder, case.root}


@mutation(ERROR, FOLDERS)
def folder_empty(case, rng):
    folder = a_folder(case, rng)
    move(case, f"{folder}/", "../elsewhere/")
    case.files[folder] = Folder()
    case.named |= {folder, case.root}


@mutation(ERROR, FOLDERS)
def picture_too_many(case, rng):
    """One that nobody lists: in `points` an image without heads; elsewhere it has no annotation."""
    picture = case.truths[a_name(case, rng)].picture
    case.files[with_name(picture, "extra_77")] = case.files[picture]
    if case.format in ("coco", "panda"):
        return RIGHT | TOLD | ERROR
    case.named |= {case.root, "images"}


@mutation(ERROR, ("shanghaitech", "ucf_qnrf", "depth_maps"))
def annotation_too_many(case, rng):
    note = a_note(case, rng)
    stem = PurePosixPath(note).stem
    extra = {"shanghaitech": "GT_IMG_77", "ucf_qnrf": "img_0077_ann", "depth_maps": f"{stem}_77"}[case.format]
    case.files[with_name(note, extra)] = case.files[note]
    case.named |= {"IMG_77.jpg", "img_0077.jpg"}


HIDDEN = {"apple": b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ", "store": b"\x00\x00\x00\x01Bud1"}


@mutation(RIGHT)
def hidden_files_of_macos(case, rng):
    for path in list(case.files):
        if not path.startswith(".."):
            case.files[str(PurePosixPath(path).with_name("._" + PurePosixPath(path).name))] = Raw(HIDDEN["apple"])
            case.files[str(PurePosixPath(path).with_name(".DS_Store"))] = Raw(HIDDEN["store"])


@mutation(RIGHT)
def folder_of_macos_zip(case, rng):
    for path in list(case.files):
        if not path.startswith(".."):
            case.files[f"__MACOSX/{PurePosixPath(path).with_name('._' + PurePosixPath(path).name)}"] = Raw(
                HIDDEN["apple"]
            )


OTHERS = {
    "windows": "Thumbs.db",
    "settings": "desktop.ini",
    "text": "README.txt",
    "icon": "Icon\r",
    "backup": "list.csv~",
}


@mutation(RIGHT, FOLDERS, OTHERS)
def other_file(case, rng, name):
    folder = a_folder(case, rng)
    case.files[f"{folder}/{name}"] = Raw(b"[.ShellClassInfo]\n")


@mutation(RIGHT | TOLD | ERROR, FOLDERS)
def folder_named_like_a_picture(case, rng):
    picture = case.truths[a_name(case, rng)].picture
    case.files[with_name(picture, "folder")] = Folder()


@mutation(ERROR)
def folder_instead_of_a_file(case, rng):
    truth = case.truths[a_name(case, rng)]
    case.files[any_of(rng, [path for path in (truth.picture, truth.note) if path])] = Folder()
    if case.format == "points" and not len(truth.marks):  # only its number is missing
        case.named |= {case.root, truth.picture}


@mutation(ERROR, FOLDERS)
def file_instead_of_a_folder(case, rng):
    folder = a_folder(case, rng)
    move(case, f"{folder}/", "../elsewhere/")
    case.files[folder] = Raw(b"../elsewhere")
    case.named |= {folder, case.root}


@mutation(RIGHT | TOLD | ERROR, FOLDERS)
def picture_in_a_hidden_folder(case, rng):
    picture = case.truths[a_name(case, rng)].picture
    case.files[str(PurePosixPath(picture).parent / ".thumbnails" / PurePosixPath(picture).name)] = case.files[picture]


# --- Links ---


@mutation(RIGHT)
def file_linked(case, rng):
    path = any_of(rng, sorted(path for path in case.files if not path.startswith("..")))
    case.files["../store/" + (name := PurePosixPath(path).name)] = case.files[path]
    case.files[path] = Link("../" * path.count("/") + f"../store/{name}")


@mutation(RIGHT, FOLDERS)
def folder_linked(case, rng):
    folder = a_folder(case, rng)
    move(case, f"{folder}/", "../store/")
    case.files[folder] = Link("../" * folder.count("/") + "../store")


@mutation(RIGHT)
def dataset_linked(case, rng):
    move(case, "", "../store/")
    case.files[f"../{case.root}"] = Link("store")


@mutation(ERROR)
def link_broken(case, rng):
    truth = case.truths[a_name(case, rng)]
    case.files[any_of(rng, [path for path in (truth.picture, truth.note) if path])] = Link("/nowhere/" + "a" * 8)


@mutation(ERROR)
def link_to_itself(case, rng):
    truth = case.truths[a_name(case, rng)]
    path = any_of(rng, [path for path in (truth.picture, truth.note) if path])
    case.files[path] = Link(PurePosixPath(path).name)


@mutation(RIGHT | TOLD | ERROR, FOLDERS)
def folder_linked_to_its_parent(case, rng):
    folder = a_folder(case, rng)
    case.files[f"{folder}/again"] = Link("..")


@mutation(ERROR, FOLDERS)
def link_to_a_folder_broken(case, rng):
    folder = a_folder(case, rng)
    move(case, f"{folder}/", "../store/")
    case.files[folder] = Link("nowhere")
    case.named |= {folder, case.root}


# --- Folders ---


@mutation(TOLD | ERROR, OWN, {name: name for name in ("val", "valid", "validation", "Val", "dev", "Train", "holdout")})
def another_part(case, rng, folder):
    """A part beside train/ and test/ that the config does not mention."""
    if any(path.startswith(f"{folder}/") for path in case.files):
        raise Unfit
    _copy_part(case, "test/", f"{folder}/")
    case.named |= {folder}


def _copy_part(case: Case, start: str, target: str) -> None:
    inside = {path: content for path, content in case.files.items() if not path.startswith("..")}
    copied = {path: content for path, content in inside.items() if path.startswith(start)}
    if not copied:
        raise Unfit
    case.files |= {target + path.removeprefix(start): content for path, content in copied.items()}


@mutation(TOLD | ERROR, OWN, {"beside": "dev", "val": "val"})
def a_part_beside_images(case, rng, folder):
    """A folder of the form of a part, beside images/."""
    if any(truth.split for truth in case.truths.values()):
        raise Unfit
    _copy_part(case, "", f"{folder}/")
    case.named |= {folder}


@mutation(ERROR, OWN)
def images_beside_parts(case, rng):
    _copy_part(case, "test/", "")
    case.named |= {case.root, "images"}


@mutation(RIGHT, OWN, {"first": str.capitalize, "all": str.upper})
def parts_in_capitals(case, rng, change):
    parts = {part for path in case.files if (part := part_of(path))}
    if not parts or any(path.startswith(change(part)) for path in case.files for part in parts):
        raise Unfit
    for part in parts:
        move(case, part, change(part))

    def moved(path: str) -> str:
        return change(part_of(path)) + path.removeprefix(part_of(path))

    case.truths = {
        moved(name): replace(truth, picture=moved(truth.picture), note=moved(truth.note))
        for name, truth in case.truths.items()
    }


@mutation(ERROR)
def another_number_of_images(case, rng):
    key = any_of(rng, sorted(case.config["images"]))
    case.config["images"] = case.config["images"] | {key: case.config["images"][key] + int(any_of(rng, [-1, 3]))}
    case.named |= {case.root, "images"}
