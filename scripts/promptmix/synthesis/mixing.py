"""D_fake, generated images with annotations, and what each epoch draws from it (paper, section III, fifth stage).

`promptmix.synthesis.sifting` says which images it holds.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from promptmix.errors import InputError
from promptmix.records.fakes import FAKE


def write_fake(path: str | Path, fake: pd.DataFrame) -> None:
    """Write D_fake as CSV, its paths relative to the file's folder, so that the results can be moved as a whole."""
    folder = Path(path).resolve().parent
    FAKE.write(path, fake.assign(**{c: [os.path.relpath(p, folder) for p in fake[c]] for c in ("file", "maps")}))


def read_fake(path: str | Path) -> pd.DataFrame:
    """Return D_fake with absolute paths.

    Raises:
        InputError: there is no such file, or it is not a D_fake; see `Record.read`.
    """
    fake, folder = FAKE.read(path), Path(path).resolve().parent
    absolute = {c: [os.path.normpath(folder / p) for p in fake[c]] for c in ("file", "maps")}
    return fake.assign(**{c: pd.Series(paths, fake.index, dtype=str) for c, paths in absolute.items()})


def check_ratio(n_fake: int, r_mix: int, source: str = "D_fake") -> None:
    """Check that an epoch can draw `r_mix` different images out of `n_fake`.

    Raises:
        InputError: it cannot.
    """
    if not 0 <= r_mix <= n_fake:
        raise InputError(
            f"r_mix is {r_mix}: each epoch draws this number of generated images, without replacement, and {source} "
            f"holds {n_fake}. Lower r_mix, or raise k or the share of images that the filters keep"
        )


def draw_epoch(n_fake: int, r_mix: int, seed: int, epoch: int) -> np.ndarray:
    """Return the `r_mix` positions in D_fake that join the real images in an epoch, all different.

    Each epoch draws afresh; the draw depends on nothing but the arguments.

    Raises:
        InputError: r_mix is larger than D_fake.
    """
    check_ratio(n_fake, r_mix)
    return np.random.default_rng([seed, epoch, 1]).choice(n_fake, size=r_mix, replace=False)
