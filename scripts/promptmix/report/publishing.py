"""A D_fake in a folder for others: images, annotations in several formats, what each image was made from.

    README.md, croissant.json   see `promptmix.report.cards`
    SHA256SUMS                  of all other files, as `sha256sum --check` reads it
    metadata.csv                a row per image, see `COLUMNS`
    images/IMG_{n}.jpg          the generated files, byte for byte; n from 1, in the order of D_fake
    counting:
      densities/IMG_{n}.npy     the annotation, (h, w) float32, people per cell of 8x8 pixels
      points.csv, annotations.json, ground_truth/GT_IMG_{n}.mat
                                points made from it, see `promptmix.tasks.points`, in the formats `points` and `coco` of this
                                project and in ShanghaiTech's, whose train_data/ such a folder can be
    depth:
      depths/IMG_{n}.npy        the annotation, (H, W) float16, metres, 0 = unknown: the format `depth_maps` of this project

`datasets.load_dataset("imagefolder", ...)` reads the folder. It would take files and folders that are called train or test for
splits, and any other picture for an image: hence images have numbers, and maps are no pictures.
"""

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from promptmix.datasets.writing import encode_shanghaitech
from promptmix.errors import InputError, command
from promptmix.files import replacing_folder, sha256
from promptmix.networks.registry import STRIDES
from promptmix.records.likeness import CLIP_SCORES
from promptmix.records.record import Record
from promptmix.records.scores import QUALITY
from promptmix.report.cards import write_card, write_croissant
from promptmix.synthesis.manifest import read_manifest
from promptmix.synthesis.maps import open_maps, read_map
from promptmix.synthesis.mixing import read_fake
from promptmix.tasks.points import place_points

COLUMNS = {
    "file_name": "the image, relative to this folder",
    "split": "always train: all of this dataset is for training",
    "width": "of the image, pixels",
    "height": "of the image, pixels",
    "count": "people, the sum of the density map",
    "points": "number of points made from it: the count, rounded",
    "density": "the density map, people per cell of 8x8 pixels (NumPy, float32)",
    "depth": "mean of the known depths, metres",
    "depth_map": "the depth map, metres per pixel, 0 where it is unknown (NumPy, float16)",
    "prompt": "what the image was generated from",
    "pool": "name of the prompts that this one is of",
    "prompt_number": "of the prompt in its pool, from 0",
    "seed": "of the noise that the image was generated from",
    "generator": "name of what generated it",
    "faces": "number of faces that were restored",
    "annotator": "name of what annotated it",
    "q": "how far annotators disagree, 0 where they agree",
    "clip_score": "cosine of CLIP's features of image and prompt",
    "sha256": "of the image's file",
}
"""What metadata.csv says of each image: `count`, `points` and `density` of counting only, `depth` and `depth_map` of depth only,
`q` and `clip_score` only if the experiment filters images by them."""

logger = logging.getLogger(__name__)

CELL = STRIDES["counting"]
WRITER = "PromptMix"


def publish(
    folder: str | Path,
    fake: str | Path,
    manifests: Sequence[str | Path],
    scores: Mapping[str, Sequence[str | Path]],
    task: str,
    facts: Mapping[str, Any],
    clip_scores: Mapping[str, Sequence[str | Path]] | None = None,
) -> None:
    """Write the folder, which appears when it is complete.

    Args:
        folder: to write; what is there is replaced.
        fake: the list of its images, see `promptmix.records.fakes`.
        manifests: of all blocks that its images are in.
        scores: files of q by pool; empty if images are not filtered.
        task: "counting" or "depth".
        facts: what the card says: see `promptmix.report.cards.write_card`.
        clip_scores: files of CLIP scores by pool; empty if images are not filtered by them.

    Raises:
        InputError: D_fake is empty, or lists an image that is missing, is not the one that was generated, or is in no
            manifest, or has no annotation or no score.
    """
    images = read_fake(fake)
    if images.empty:
        raise InputError(
            f"{fake}: no image is left to publish: the filters or the review leave out all of them. Loosen r_img, "
            "filters, prompt_filter or `reviewed` of this experiment, or publish another one"
        )
    images = _with_origins(images, fake, manifests, ((scores, QUALITY), (clip_scores or {}, CLIP_SCORES)))
    with replacing_folder(folder) as part:
        rows = pd.DataFrame(_write_images(part, images, task))
        rows["generator"], rows["annotator"] = facts["generator"], facts["annotator"]
        other = "depth" if task == "counting" else "count"  # of the other task, empty
        rows = rows[[column for column in COLUMNS if column in rows and column != other]]
        rows.to_csv(part / "metadata.csv", index=False, lineterminator="\n")
        columns = {column: COLUMNS[column] for column in rows}
        write_card(part / "README.md", rows, columns, task, facts)
        write_croissant(part / "croissant.json", rows, columns, task, facts)
        files = sorted(file.relative_to(part).as_posix() for file in part.rglob("*") if file.is_file())
        sums = "".join(f"{sha256(part / file)}  {file}\n" for file in files)
        (part / "SHA256SUMS").write_text(sums, encoding="utf-8")


def _with_origins(
    images: pd.DataFrame,
    fake: str | Path,
    manifests: Sequence[str | Path],
    scored: Sequence[tuple[Mapping[str, Sequence[str | Path]], Record]],
) -> pd.DataFrame:
    """Return D_fake with the seed of each image, and with the kinds of scores that there are."""
    made = pd.concat([read_manifest(manifest) for manifest in manifests])[["pool", "stem", "seed"]]
    images = images.merge(made, "left", ["pool", "stem"], validate="one_to_one")
    for scores, kind in scored:
        if found := [kind.read(path).assign(pool=pool) for pool, paths in scores.items() for path in paths]:
            images = images.merge(pd.concat(found), "left", ["pool", "stem"], validate="one_to_one")
    for column, what in (("seed", "manifest"), ("q", "score"), ("clip_score", "CLIP score")):
        if column in images and (absent := images[column].isna()).any():
            first = images[absent].iloc[0]
            raise InputError(
                f"{fake}: {first['stem']} of the pool {first['pool']} is in no {what}. Delete {fake} and run "
                f"`{command(fake)}`"
            )
    return images.astype({"seed": int})


def _write_images(folder: Path, images: pd.DataFrame, task: str) -> Iterator[dict[str, Any]]:
    """Write images and annotations; yield what metadata.csv says of each image."""
    maps = "densities" if task == "counting" else "depths"
    for name in ("images", maps, *(["ground_truth"] if task == "counting" else [])):
        (folder / name).mkdir()
    images = images.assign(number=range(1, len(images) + 1))
    heads = []
    for file, block in groupby(images.to_dict("records"), itemgetter("maps")):
        with open_maps(file) as opened:
            for image in block:
                name = f"IMG_{image['number']}"
                _copy(Path(image["file"]), folder / f"images/{name}.jpg", image["sha256"])
                found = read_map(opened, image["stem"])
                np.save(folder / f"{maps}/{name}.npy", found)
                if task == "counting":
                    size = image["width"], image["height"]
                    points = place_points(found, image["count"], CELL, *size)
                    heads.append(points)
                    annotation = encode_shanghaitech(points, *size, WRITER)
                    (folder / f"ground_truth/GT_{name}.mat").write_bytes(annotation)
                    own = {"points": len(points), "density": f"{maps}/{name}.npy"}
                else:
                    own = {"depth_map": f"{maps}/{name}.npy"}
                yield image | own | {"file_name": f"images/{name}.jpg", "split": "train"}
    if task == "counting":
        _write_heads(folder, images, heads)


def _copy(source: Path, target: Path, expected: str) -> None:
    again = f"Delete the folder {source.parent} and generate its images again with `{command(source.parent)}`"
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise InputError(f"{source}: the image is missing. {again}") from None
    if (found := sha256(target)) != expected:
        raise InputError(
            f"{source}: not the image that was generated: its SHA-256 is {found}, D_fake says {expected}. {again}"
        )


def _write_heads(folder: Path, images: pd.DataFrame, heads: Sequence[np.ndarray]) -> None:
    """Write all points in the formats `points` and `coco`."""
    numbers = np.repeat(images["number"].to_numpy(), [len(points) for points in heads])
    points = np.concatenate(heads)
    if not len(points):
        logger.warning(
            "%s: no image has half a person, so the formats with points have none, and readers may refuse them", folder
        )
    names = {number: f"IMG_{number}.jpg" for number in images["number"]}
    table = pd.DataFrame({"image": pd.Series(numbers).map(names), "x": points[:, 0], "y": points[:, 1]})
    table.to_csv(folder / "points.csv", index=False, lineterminator="\n")
    sizes = np.repeat(images[["width", "height"]].to_numpy(), [len(points) for points in heads], axis=0)
    half = np.minimum(CELL / 2, np.minimum(points, sizes - points))  # the point is the centre, and all is in the image
    boxes = np.round(np.concatenate([points - half, 2 * half], axis=1), 2)
    coco = {
        "info": {"description": "Squares of a density map's cells around points made from it: no sizes of heads"},
        "categories": [{"id": 1, "name": "head"}],
        "images": [
            {"id": i, "file_name": names[i], "width": width, "height": height}
            for i, width, height in images[["number", "width", "height"]].itertuples(index=False)
        ],
        "annotations": [
            {"id": i, "image_id": image, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i, (image, box) in enumerate(zip(numbers.tolist(), boxes.tolist(), strict=True), start=1)
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(coco), encoding="utf-8")
