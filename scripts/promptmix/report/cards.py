"""What a published D_fake says of itself: a dataset card for people, and Croissant 1.0 (MLCommons) for programs."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from promptmix.files import sha256

PAPER = "https://arxiv.org/abs/2301.12914"
BIBTEX = """@inproceedings{bakhtiarnia2023promptmix,
  title     = {{PromptMix}: Text-to-image diffusion models enhance the performance of lightweight networks},
  author    = {Bakhtiarnia, Arian and Zhang, Qi and Iosifidis, Alexandros},
  booktitle = {International Joint Conference on Neural Networks (IJCNN)},
  year      = {2023},
  note      = {arXiv:2301.12914}
}"""

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "conformsTo": "dct:conformsTo",
} | {
    name: f"cr:{name}"
    for name in (
        *(
            "citeAs",
            "column",
            "extract",
            "field",
            "fileProperty",
            "fileObject",
            "fileSet",
            "format",
            "includes",
            "jsonPath",
        ),
        *(
            "isLiveDataset",
            "key",
            "md5",
            "parentField",
            "path",
            "recordSet",
            "references",
            "regex",
            "repeated",
            "replace",
        ),
        *("separator", "source", "subField", "transform"),
    )
}
"""The JSON-LD context that the specification prescribes."""

TYPES = {"i": "sc:Integer", "f": "sc:Float"}
"""Croissant's types by NumPy's kind of a column; any other is text."""

LAYOUT = {
    "counting": """| `images/` | the generated images, byte for byte as they were annotated |
| `densities/` | for each image the annotation, a density map (`numpy.load`, float32): people per cell of 8x8 pixels, its sum is the count |
| `points.csv` | `image`, `x`, `y` of each [point](#points), 0-based, in pixels |
| `annotations.json` | the same points in COCO's detection format: squares around them, at most 8 pixels wide |
| `ground_truth/` | the same points in ShanghaiTech's format, 1-based |""",
    "depth": """| `images/` | the generated images, byte for byte as they were annotated |
| `depths/` | for each image the annotation, a depth map (`numpy.load`, float16): metres per pixel, 0 where unknown |""",
}

READ = {
    "counting": """As a dataset of [PromptMix](https://arxiv.org/abs/2301.12914)'s workflow, with `format: points` or `format: coco`:

```yaml
datasets:
  fake: {{title: Fake, format: points, path: path/to/this/folder, images: {{all: {images}}}, split: {{val: 0.1, test: 0.1}}}}
```

With code for ShanghaiTech: this folder is a `train_data`, with `images/IMG_1.jpg` and `ground_truth/GT_IMG_1.mat`. Put it, or a
link to it, beside the `test_data` of real images.""",
    "depth": """As a dataset of [PromptMix](https://arxiv.org/abs/2301.12914)'s workflow:

```yaml
datasets:
  fake: {{title: Fake, format: depth_maps, path: path/to/this/folder, images: {{all: {images}}}, split: {{val: 0.1, test: 0.1}}}}
```""",
}

POINTS = """## Points

Annotators give density maps, not points. **The exact counts are those in `metadata.csv` and `densities/`.** Formats with points have the
nearest whole number of them (halves go up, a negative count is 0), so an image's count there is off by at most 0.5, or by what a
count is below 0. A point lies in a cell of the map, and the cells are chosen so that each square of 1, 2, 4, 8 ... cells, from the
upper left corner on, has its share of the points to within one. Where in its cell a point lies means nothing, and neither does the
size of a box: no head was looked for. The same map always gives the same points.

"""

LIMITS = {
    "counting": "The images are generated and the annotations predicted: no person has checked them. Counts have the annotator's "
    "errors, larger on generated images than on those it was trained for. Generated people are often malformed and not to be told "
    "apart; they are nobody. Train on this data, beside real images; do not test on it.",
    "depth": "The images are generated and the annotations predicted: no sensor has measured anything, and a generated room "
    "need not have a consistent geometry. Train on this data, beside real images; do not test on it.",
}


def write_card(
    path: str | Path, images: pd.DataFrame, columns: Mapping[str, str], task: str, facts: Mapping[str, Any]
) -> None:
    """Write README.md, which the Hub shows as the dataset's card.

    Args:
        path: of the file.
        images: metadata.csv.
        columns: what each of its columns means.
        task: "counting" or "depth".
        facts: `experiment`, `scale`, `dataset` (title of the real images that it is for), `generator` and `annotator` (names), `how`
            (sentences on how it was made), `materials` (see `promptmix.config.materials.facts_of`), `creator` and `url` ("" if
            not known).
    """
    own = all(material["own"] for material in facts["materials"])
    front = {
        "license": "mit" if own else "other",
        **({} if own else {"license_name": "inherited"}),
        "pretty_name": _title(facts),
        "task_categories": ["depth-estimation" if task == "depth" else "other"],
        "tags": ["synthetic", "croissant", "promptmix", *(["crowd-counting"] if task == "counting" else [])],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": ["metadata.csv", "images/*.jpg"]}],
            }
        ],
    }
    # JSON is YAML, with one key per line.
    head = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items())
    parts = [
        f"---\n{head}\n---\n\n# {_title(facts)}\n\n{_summary(images, task, facts)}\n",
        "## What is here\n\n| | |\n| --- | --- |\n| `metadata.csv` | a row per image, see below |\n" + LAYOUT[task],
        "| `croissant.json` | the same description for programs (Croissant 1.0) |\n"
        "| `SHA256SUMS` | check with `sha256sum --check --quiet SHA256SUMS` |\n",
        _table(["Column of `metadata.csv`", "Meaning"], [[f"`{name}`", meaning] for name, meaning in columns.items()]),
        "All images are for training: there is no other split.\n",
        "## How to read it\n\n```python\nimport datasets\n\n"
        'images = datasets.load_dataset("imagefolder", data_dir="path/to/this/folder", split="train")\n```\n',
        READ[task].format(images=len(images)) + "\n",
        (POINTS if task == "counting" else "")
        + "## How it was made\n\n"
        + "\n".join(f"- {line}" for line in facts["how"]),
        "",
        "## Licences\n\n" + _licences(facts["materials"], own),
        "## Limits\n\n" + LIMITS[task] + "\n",
        f"## How to cite\n\nThe method is that of the paper:\n\n```bibtex\n{BIBTEX}\n```\n\n{_cite(facts)}\n",
    ]
    Path(path).write_text("\n".join(parts), encoding="utf-8")


def write_croissant(
    path: str | Path, images: pd.DataFrame, columns: Mapping[str, str], task: str, facts: Mapping[str, Any]
) -> None:
    """Write the description of the folder that `path` is in, which has metadata.csv; the other arguments as of `write_card`."""
    table = Path(path).parent / "metadata.csv"
    licences = [terms["url"] if terms.get("url") else terms["name"] for terms in facts["materials"]]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"images/{name}",
            "name": name,
            "description": meaning,
            "dataType": TYPES.get(images[name].dtype.kind, "sc:Text"),
            "source": {"fileObject": {"@id": "metadata.csv"}, "extract": {"column": name}},
        }
        for name, meaning in columns.items()
    ]
    content = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": facts["experiment"],
        "description": _summary(images, task, facts),
        "license": list(dict.fromkeys(licences)),
        "url": facts["url"] or PAPER,
        "creator": {"@type": "sc:Organization", "name": facts["creator"] or "unknown"},
        "datePublished": date.today().isoformat(),
        "version": "1.0.0",
        "citeAs": BIBTEX,
        "keywords": ["synthetic", "crowd counting" if task == "counting" else "depth estimation"],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "metadata.csv",
                "name": "metadata.csv",
                "contentUrl": "metadata.csv",
                "encodingFormat": "text/csv",
                "sha256": sha256(table),
            },
            {
                "@type": "cr:FileSet",
                "@id": "image-files",
                "name": "image-files",
                "description": "The images; file_name in metadata.csv is relative to this folder",
                "encodingFormat": "image/jpeg",
                "includes": "images/*.jpg",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "description": "A record per image",
                "key": {"@id": "images/file_name"},
                "field": fields,
            }
        ],
    }
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _title(facts: Mapping[str, Any]) -> str:
    return f"PromptMix's D_fake {facts['experiment']} ({facts['scale']})"


def _summary(images: pd.DataFrame, task: str, facts: Mapping[str, Any]) -> str:
    prompts = len(images[["pool", "prompt_number"]].drop_duplicates())
    if task == "counting":
        count = images["count"]
        what = f"density maps of people: {count.min():.1f} to {count.max():.1f} an image, {count.mean():.1f} on average"
    else:
        what = f"depth maps of a mean depth of {images['depth'].min():.1f} to {images['depth'].max():.1f} m"
    return (
        f"{len(images)} generated images, of {prompts} prompts, with {what}. {facts['annotator']} has annotated them. They are "
        f"made to be trained on beside the real images of {facts['dataset']}; no real image is among them."
    )


def _licences(materials: Sequence[Mapping[str, Any]], own: bool) -> str:
    if own:
        return (
            "MIT, as the repository of PromptMix's workflow and the models in it, which made everything here. They were trained on "
            "rendered images only.\n"
        )
    rows = [
        [
            material["role"],
            material["title"],
            _terms(material),
            material.get("commercial", "unclear"),
            _inherits(material),
        ]
        for material in materials
    ]
    return (
        "What was used to make this data, under whose terms, and what of these goes with the data. This is not legal advice; read "
        "the terms themselves. Whoever passes this data on passes on this section too.\n\n"
        + _table(["What it does", "What it is", "Licence", "Commercial use", "What is inherited"], rows)
    )


def _terms(material: Mapping[str, Any]) -> str:
    return f"[{material['name']}]({material['url']})" if material.get("url") else material["name"]


def _inherits(material: Mapping[str, Any]) -> str:
    said = [material.get("inherits", ""), material.get("note", "")]
    said += [f"Accepted by whoever publishes this: {material['accepted']}"] if "accepted" in material else []
    return " ".join(" ".join(said).split())


def _cite(facts: Mapping[str, Any]) -> str:
    where = f", {facts['url']}" if facts["url"] else ""
    who = f"{facts['creator']}: " if facts["creator"] else ""
    return f"This data: {who}{_title(facts)}{where}, {date.today().year}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
