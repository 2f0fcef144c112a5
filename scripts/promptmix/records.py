"""The kinds of CSV that stages hand on to each other: what each column means, and how it is read and written.

A column's name means one thing. `image` is the name of a real image within its dataset; `file` is the file of a
generated image; `stem` is the name of that file without folder and ending. A prompt is known by its `pool` and its
`prompt_number` in it, and a trained network by its `experiment`, `learning_rate` and `repeat`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from promptmix.errors import InputError, command
from promptmix.files import write_csv


@dataclass(frozen=True)
class Record:
    """A kind of CSV.

    Args:
        name: of the kind, with an article, for messages: "a manifest of generated images".
        columns: by name, in the order of the file: type (`str`, `int` or `float`), and meaning with unit.
        others: whether a file has further columns, which are numbers.
    """

    name: str
    columns: Mapping[str, tuple[type, str]]
    others: bool = False

    def read(self, path: str | Path) -> pd.DataFrame:
        """Return a file's rows with the columns of this kind, typed.

        Text stays text, also where it looks like a number or is empty. An empty `float` is NaN.

        Raises:
            InputError: the file is missing or empty, lacks columns, or holds something else than numbers where there
                should be some.
        """
        kinds = {column: kind for column, (kind, _) in self.columns.items()}
        again = f"Delete it and run `{command(path)}`"
        try:
            found = list(pd.read_csv(path, nrows=0).columns)
            if missing := [column for column in kinds if column not in found]:
                raise ValueError(f"missing columns: {', '.join(missing)}; found: {', '.join(found)}")
            # By default pandas takes some texts, such as "" and "NA", for missing ones.
            unknown = {column: [""] for column in found if kinds.get(column) is not str}
            frame = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=unknown)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file; expected {self.name}. Make it with `{command(path)}`") from None
        except pd.errors.EmptyDataError:
            raise InputError(f"{path}: the file is empty; expected {self.name}. {again}") from None
        except ValueError as error:
            raise InputError(f"{path}: not {self.name}: {str(error).strip()}. {again}") from None
        return frame[self._order(frame)]

    def write(self, path: str | Path, rows: pd.DataFrame | Iterable[Mapping[str, Any]]) -> None:
        """Write the columns of this kind, in their order; the file is either complete or absent.

        Args:
            rows: a data frame or one mapping per row. Columns that are not of this kind are left out.

        Raises:
            ValueError: a column is missing.
        """
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        if frame.empty and not len(frame.columns):
            frame = pd.DataFrame(columns=list(self.columns))
        if missing := [column for column in self.columns if column not in frame]:
            raise ValueError(f"{path}: {self.name} needs {', '.join(self.columns)}; missing: {', '.join(missing)}")
        write_csv(path, frame[self._order(frame)])

    def _order(self, frame: pd.DataFrame) -> list[str]:
        further = [column for column in frame if column not in self.columns] if self.others else []
        return [*self.columns, *further]


CAPTIONS = Record(
    "the captions of a dataset",
    {
        "image": (str, "name of the real image within its dataset"),
        "caption": (str, "what the captioner says of it"),
    },
)
"""Captions of a dataset's training images."""

PROMPTS = Record(
    "the prompts of a pool",
    {
        "prompt": (str, "the text"),
        "width": (int, "of the images to generate, pixels"),
        "height": (int, "of the images to generate, pixels"),
        "quality": (int, "of the images to generate, JPEG quality from 1 to 100"),
        "grey": (int, "1 if the captioned image is grey, 0 otherwise"),
        "source": (str, "name of the captioned image within its dataset; empty for a prompt written by hand"),
    },
)
"""The prompts of a pool; a prompt's number is that of its row, from 0."""

PROMPT_KEYS = {
    "pool": (str, "name of the pool of prompts"),
    "prompt_number": (int, "of the prompt within its pool, from 0"),
}
"""What a prompt is known by."""

MANIFEST = Record(
    "a manifest of generated images",
    {
        "file": (str, "name of the image's file, beside the manifest"),
        "seed": (int, "of the noise that the image was made from; no two images of a pool have the same"),
        **PROMPT_KEYS,
        "prompt": (str, "the text"),
        "width": (int, "pixels"),
        "height": (int, "pixels"),
        "quality": (int, "JPEG quality from 1 to 100"),
        "source": (str, "name of the captioned image within its dataset; empty for a prompt written by hand"),
        "faces": (int, "number of faces that were restored"),
        "sha256": (str, "of the file, 64 hexadecimal digits"),
    },
)
"""A block of generated images; see `promptmix.synthesis.manifest`."""

GENERATED_CAPTIONS = Record(
    "the captions of generated images",
    {
        "stem": (str, "of the generated image's file"),
        "caption": (str, "what the captioner says of it"),
    },
)
"""Captions of a block of generated images."""

QUALITY = Record(
    "the quality scores of generated images",
    {
        "stem": (str, "of the generated image's file"),
        "q": (float, "how far annotators disagree, 0 where they agree; see `promptmix.synthesis.quality`"),
    },
)
"""Scores of a block of generated images."""

FILTER = Record(
    "the prompts that a filter keeps",
    {
        **PROMPT_KEYS,
        "prompt": (str, "the text"),
        "val_error": (float, "validation error with this prompt's images alone (people, or metres); empty if diverged"),
        "baseline": (float, "validation error without generated images (people, or metres)"),
        "kept": (int, "1 for a prompt that is kept, 0 otherwise"),
    },
)
"""The prompts of an experiment with a prompt filter."""

FAKE = Record(
    "a list of generated images with annotations",
    {
        "file": (str, "path of the image, relative to the folder of this CSV"),
        "sha256": (str, "of the image's file, 64 hexadecimal digits"),
        "width": (int, "pixels"),
        "height": (int, "pixels"),
        "maps": (str, "path of the file with the image's annotation, relative to the folder of this CSV"),
        "stem": (str, "of the image's file: its name in `maps`"),
        "count": (float, "people in the annotation; empty for depth"),
        **PROMPT_KEYS,
        "prompt": (str, "the text"),
        "faces": (int, "number of faces that were restored"),
    },
)
"""D_fake of an experiment; see `promptmix.synthesis.mixing`."""

RUN_KEYS = {
    "experiment": (str, "name of the experiment, or of the annotator"),
    "learning_rate": (str, "as it is spelled in the config, such as 1e-3; empty for an annotator"),
    "repeat": (int, "from 0"),
}
"""What a trained network is known by."""

HISTORY = Record(
    "the history of a training",
    {
        **RUN_KEYS,
        "epoch": (int, "from 1"),
        "lr": (float, "learning rate in this epoch"),
        "loss": (float, "mean over the images of the epoch"),
        "val_error": (float, "on the validation split: MAE in people, or RMSE in metres; empty where not validated"),
        "images": (int, "images seen in the epoch, real and generated"),
        "generated": (int, "generated images seen in the epoch"),
        "updates": (int, "of the weights in the epoch"),
        "seconds": (float, "that the epoch took, without validation"),
    },
)
"""The epochs of a training; `experiment` and `learning_rate` are empty where it is not part of an experiment."""

PREDICTIONS = Record(
    "the predictions of test images",
    {**RUN_KEYS, "image": (str, "name of the real image within its dataset")},
    others=True,
)
"""Predictions of a dataset's test split by each repeat; the further columns are those of the task, from which its metrics
follow: for counting those of `COUNTS`, for depth those of `promptmix.tasks.depth_metrics.image_sums`."""

COUNTS = Record(
    "the predicted counts of test images",
    {
        **PREDICTIONS.columns,
        "count": (float, "people in the image"),
        "predicted": (float, "people that the network sees"),
        "error": (float, "predicted - count"),
    },
)
"""`PREDICTIONS` of counting."""

ROUNDTRIP = Record(
    "the round trips of generated images",
    {
        "pool": PROMPT_KEYS["pool"],
        "stem": (str, "of the generated image's file"),
        "prompt": (str, "caption that the prompt was made of; a prompt by hand as a whole"),
        "caption": (str, "of the generated image"),
        "words": (int, "in `prompt`"),
        "distance": (int, "words to change from `prompt` to `caption`"),
        "chance": (int, "words to change from `prompt` to the caption of another image of the pool, drawn at random"),
    },
)
"""The first image of each prompt of some pools; see `promptmix.report.roundtrip`."""
