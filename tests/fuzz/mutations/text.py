"""What an annotation file is as a whole, and CSV."""

from dataclasses import replace

from fuzz.cases import (
    FORMATS,
    Hdf5,
    Json,
    Mat,
    Npy,
    Photo,
    Raw,
    Table,
    any_of,
)
from fuzz.judge import ANY, ERROR, RIGHT, TOLD
from fuzz.mutations.registry import (
    NO_DATA,
    a_name,
    a_note,
    a_picture,
    content_at,
    cut,
    flip,
    is_crowd,
    mutation,
    note_of,
    part_of,
    rename,
    with_name,
)


@mutation(ERROR, FORMATS, NO_DATA)
def annotation_is(case, rng, data):
    case.files[a_note(case, rng)] = Raw(data)


@mutation(ERROR)
def annotation_truncated(case, rng):
    note = a_note(case, rng, (Table, Json, Mat, Hdf5, Npy, Photo))
    content = case.files[note]
    case.files[note] = cut(content.dump(), rng)
    if isinstance(content, Table):
        return ANY  # rows that are not there cannot be missed
    if isinstance(content, Hdf5):
        return ERROR


@mutation(ANY)
def annotation_flipped(case, rng):
    note = a_note(case, rng, (Table, Json, Mat, Hdf5, Npy, Photo))
    content = case.files[note]
    case.files[note] = flip(content.dump(), rng)
    if isinstance(content, Photo):
        return ANY
    if isinstance(content, Mat) and content.options.get("do_compression"):
        return RIGHT | ERROR  # the text of the header, or what a checksum protects


@mutation(
    RIGHT | ERROR,
    ("points", "coco", "panda"),
    {"bom": "utf-8-sig", "utf16": "utf-16", "utf16_le": "utf-16-le", "utf32": "utf-32"},
)
def text_encoded(case, rng, encoding):
    note = a_note(case, rng, (Table, Json))
    content_at(case, note, (Table, Json)).encoding = encoding
    return RIGHT if encoding == "utf-8-sig" else None


@mutation(
    RIGHT | ERROR,
    ("points", "coco", "panda"),
    {"cp1252": ("cp1252", "Zürich"), "gbk": ("gbk", "照片"), "shift_jis": ("shift_jis", "東京")},
)
def text_of_an_old_encoding(case, rng, given):
    encoding, stem = given
    name = a_picture(case, rng)
    name = rename(case, name, with_name(case.truths[name].picture, stem))
    note_of(case, name, (Table, Json)).encoding = encoding


@mutation(ERROR, ("points", "coco", "panda"), {"middle": 0.5, "end": 1.0})
def text_with_zeros(case, rng, share):
    note = a_note(case, rng, (Table, Json))
    data = case.files[note].dump()
    place = int(len(data) * share)
    case.files[note] = Raw(data[:place] + bytes(64) + data[place:])


FORMS = {
    "semicolon": {"delimiter": ";"},
    "tab": {"delimiter": "\t"},
    "crlf": {"lineterminator": "\r\n"},
    "cr": {"lineterminator": "\r"},
    "quoted": {"quoting": 1},
    "single_quotes": {"quoting": 1, "quotechar": "'"},
    "blank_lines": {"lineterminator": "\n\n"},
    "commas": {"lineterminator": ",\n"},
}


@mutation(RIGHT | ERROR, ("points",), FORMS)
def csv_form(case, rng, form):
    content_at(case, a_note(case, rng, Table), Table).form = form
    if set(form.values()) & {"\r\n", "\n\n"} or form == {"quoting": 1}:
        return RIGHT


@mutation(RIGHT | ERROR, ("points",), {"semicolon": ";", "comma": ",", "quoted": '"'})
def csv_decimal_comma(case, rng, form):
    table = content_at(case, a_note(case, rng, Table), Table)
    table.rows[1:] = [[row[0], *(value.replace(".", ",") for value in row[1:])] for row in table.rows[1:]]
    if form == ";":
        table.form = {"delimiter": ";"}
    elif form == ",":
        table.rows[1:] = [",".join(row).split(",") for row in table.rows[1:]]
        return ERROR


HEADERS = {
    "capitals": (["Image", "X", "Y"], RIGHT | ERROR),
    "spaces": ([" image ", " x", "y "], RIGHT | ERROR),
    "swapped": (["image", "y", "x"], TOLD | ERROR),
    "other": (["filename", "cx", "cy"], ERROR),
    "twice": (["image", "x", "x"], ERROR),
    "short": (["image", "x"], ERROR),
    "empty": (["", "", ""], ERROR),
}


@mutation(ERROR, ("points",), HEADERS)
def csv_header(case, rng, given):
    (header, allowed), note = given, a_note(case, rng, Table)
    content_at(case, note, Table).rows[0] = list(header)
    if header[1:] == ["y", "x"]:
        for name, truth in case.truths.items():
            if truth.note == note:
                case.truths[name] = replace(truth, marks=truth.marks[:, ::-1])
    return allowed


@mutation(ERROR, ("points",))
def csv_without_header(case, rng):
    del content_at(case, a_note(case, rng, Table), Table).rows[0]


@mutation(ERROR, ("points",))
def csv_of_a_header_alone(case, rng):
    note = a_note(case, rng, Table)
    del content_at(case, note, Table).rows[1:]
    for name, truth in case.truths.items():
        if truth.note == note:
            case.truths[name] = replace(truth, marks=truth.marks[:0])
    if part_of(note):
        return RIGHT | TOLD | ERROR


@mutation(RIGHT, ("points",))
def csv_columns_in_another_order(case, rng):
    table = content_at(case, a_note(case, rng, Table), Table)
    table.rows[:] = [[row[2], "a label", row[0], row[1]] for row in table.rows]
    table.rows[0][1] = "label"


@mutation(
    RIGHT | ERROR,
    ("points",),
    {"commas": ["", "", ""], "blank": [], "spaces": [" ", " ", " "], "end": ["", "", "", ""]},
)
def csv_blank_rows(case, rng, row):
    table = content_at(case, a_note(case, rng, Table), Table)
    table.rows.insert(int(rng.integers(1, len(table.rows))), list(row))
    table.rows.append(list(row))


@mutation(RIGHT | ERROR, ("points",))
def csv_row_for_an_image_without_heads(case, rng):
    name = a_name(case, rng, lambda truth: not len(truth.marks))
    note_of(case, name, Table).rows.append([case.reference(name), "", ""])


NUMBERS = {
    "empty": ("", ERROR),
    "nan": ("nan", ERROR),
    "none": ("None", ERROR),
    "text": ("left", ERROR),
    "true": ("True", ERROR),
    "huge": ("1e400", ERROR),
    "large": ("1e300", ANY),
    "thousands": ("1,2", ERROR),
    "date": ("2024-01-12", ERROR),
    "hexadecimal": ("0x5", ERROR),
    "unit": ("5px", ERROR),
    "complex": ("5+0j", ERROR),
    "underscore": ("1_0", ERROR),
    "list": ("[5]", ERROR),
    "long": ("9" * 5000, ANY),
}


@mutation(ERROR, ("points",), NUMBERS)
def csv_number(case, rng, given):
    value, allowed = given
    name = a_name(case, rng, is_crowd)
    reference = case.reference(name)
    row = any_of(rng, [row for row in note_of(case, name, Table).rows if row[0] == reference])
    row[int(rng.integers(1, 3))] = value
    return allowed


@mutation(RIGHT, ("points",), {"spaces": " {} ", "plus": "+{}", "exponent": "{}e0", "zeros": "00{}"})
def csv_numbers_written(case, rng, form):
    table = content_at(case, a_note(case, rng, Table), Table)
    table.rows[1:] = [[row[0], *(form.format(value) for value in row[1:])] for row in table.rows[1:]]


@mutation(ERROR, ("points",), {"less": -1, "more": 1})
def csv_row_of_another_length(case, rng, more):
    table = content_at(case, a_note(case, rng, Table), Table)
    row = any_of(rng, table.rows[1:])
    row[:] = row + ["7"] if more > 0 else row[:-1]


@mutation(ERROR, ("points",))
def csv_twice_in_one_file(case, rng):
    table = content_at(case, a_note(case, rng, Table), Table)
    table.rows += [list(row) for row in table.rows]


@mutation(ERROR, ("points",))
def csv_with_an_open_quote(case, rng):
    note = a_note(case, rng, Table)
    data = case.files[note].dump()
    place = data.index(b"\n") + 1
    case.files[note] = Raw(data[:place] + b'"' + data[place:])


@mutation(ERROR, ("points",))
def csv_names_a_picture_that_is_not_there(case, rng):
    any_of(rng, content_at(case, a_note(case, rng, Table), Table).rows[1:])[0] = "nowhere.jpg"
