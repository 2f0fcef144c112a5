"""D_fake, generated images with annotations, and what each epoch draws from it (paper, section III, fourth stage)."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.errors import InputError, command
from promptmix.files import replacing
from promptmix.synthesis.manifest import read_manifest
from promptmix.synthesis.maps import missing_maps, read_counts

COLUMNS = ["image", "sha256", "width", "height", "maps", "stem", "count", "prompt_number", "prompt", "faces"]


def mix(
    manifests: Sequence[str | Path],
    annotations: Sequence[str | Path],
    limit: int | None = None,
    prompts: int | None = None,
) -> pd.DataFrame:
    """Return D_fake of one pool of prompts: its images with the annotation that each is trained on.

    For several pools, join the results of several calls with `pandas.concat`.

    Args:
        manifests: the blocks of the pool's images, in order.
        annotations: the annotations of each block, as many and in the same order.
        limit: number of images to take, from the first on: k times the number of prompts. Blocks may hold more.
        prompts: number of prompts in the pool, M: image g is of prompt g mod M. None: as many as images.

    Returns:
        one row per image with the columns `COLUMNS`; `image` and `maps` are absolute paths, `count` the annotation's
        (NaN for depth), `prompt_number` counts the pool's prompts from 0, `faces` says how many were restored.

    Raises:
        InputError: an image without annotation, an annotation of another image size, blocks and annotations that
            differ in number, or fewer images than `limit`.
    """
    if len(manifests) != len(annotations):
        raise InputError(
            f"{len(manifests)} blocks of images but {len(annotations)} of annotations; each block needs its own: "
            f"images {_listed(manifests)}, annotations {_listed(annotations)}"
        )
    blocks = []
    for manifest, maps in zip(manifests, annotations, strict=True):
        images = read_manifest(manifest)
        images["stem"] = [Path(image).stem for image in images["image"]]
        counts = read_counts(maps)
        missing = [stem for stem in images["stem"] if stem not in counts.index]
        if missing:
            raise InputError(f"{missing_maps(maps, missing, len(counts))}. The images are those of {manifest}")
        annotated = counts.loc[images["stem"]].reset_index(drop=True)
        other = (annotated[["width", "height"]] != images[["width", "height"]]).any(axis=1)
        if other.any():
            i = int(np.flatnonzero(other)[0])
            seen, said = (f"{size['width'][i]:.0f}x{size['height'][i]:.0f}" for size in (annotated, images))
            raise InputError(
                f"{maps}: {images['stem'][i]} was annotated at {seen} pixels, and {manifest} says {said}. "
                f"Delete the annotations and run `{command(maps)}`"
            )
        images["faces"] = images.get("faces", 0)
        blocks.append(images.assign(maps=str(Path(maps).resolve()), count=annotated["count"]))
    fake = pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame(columns=COLUMNS)
    fake["prompt_number"] = np.arange(len(fake)) % (prompts or max(1, len(fake)))
    if limit is not None:
        if len(fake) < limit:
            raise InputError(f"{limit} generated images are asked for and {_listed(manifests)} hold {len(fake)}")
        fake = fake.iloc[:limit]
    return fake[COLUMNS].reset_index(drop=True)


def write_fake(path: str | Path, fake: pd.DataFrame) -> None:
    """Write D_fake as CSV, its paths relative to the file's folder, so that the results can be moved as a whole."""
    folder = Path(path).resolve().parent
    relative = {column: [os.path.relpath(p, folder) for p in fake[column]] for column in ("image", "maps")}
    with replacing(path) as temporary:
        fake.assign(**relative)[COLUMNS].to_csv(temporary, index=False)


def read_fake(path: str | Path) -> pd.DataFrame:
    """Return D_fake with absolute paths.

    Raises:
        InputError: no such file, or not a D_fake.
    """
    try:
        fake = pd.read_csv(path, dtype={"stem": str, "prompt": str, "sha256": str}, na_filter=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Make it with `{command(path)}`") from None
    missing = [column for column in COLUMNS if column not in fake]
    if missing:
        raise InputError(f"{path}: not a list of generated images: columns {', '.join(missing)} are missing")
    folder = Path(path).resolve().parent
    return fake.assign(**{c: [os.path.normpath(folder / p) for p in fake[c]] for c in ("image", "maps")})


def check_ratio(n_fake: int, r_mix: int, source: str = "D_fake") -> None:
    """Check that an epoch can draw `r_mix` different images out of `n_fake`.

    Raises:
        InputError: it cannot.
    """
    if not 0 <= r_mix <= n_fake:
        raise InputError(
            f"r_mix is {r_mix}: so many generated images are drawn per epoch, without replacement, and {source} holds "
            f"{n_fake}. Lower r_mix, or raise k or the share of images that the filters keep"
        )


def draw_epoch(n_fake: int, r_mix: int, seed: int, epoch: int) -> np.ndarray:
    """Return the `r_mix` positions in D_fake that join the real images in an epoch, all different.

    Each epoch draws afresh; the draw depends on nothing but the arguments.

    Raises:
        InputError: r_mix is larger than D_fake.
    """
    check_ratio(n_fake, r_mix)
    return np.random.default_rng([seed, epoch, 1]).choice(n_fake, size=r_mix, replace=False)


def _listed(paths: Sequence[str | Path]) -> str:
    names = [str(path) for path in paths]
    return ", ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} … {names[-1]}"
