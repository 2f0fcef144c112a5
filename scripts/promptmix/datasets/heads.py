"""Judge the heads of a whole dataset, whatever its format: their unit, their axes, and which are outside their image.

Formats do not say in which unit coordinates are, so a wrong one is told from where the heads then lie. One head may lie
anywhere; hundreds do not all lie in the upper left corner, and not outside their image.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from promptmix.datasets.sample import Sample
from promptmix.errors import InputError

logger = logging.getLogger(__name__)

RIGHT = "Expected x and y in pixels of the image file"

UNITS = {100: "percentages", 1000: "thousandths"}
"""Units in which coordinates end at the same number along both axes, whatever the image's size."""

UNLIKELY = np.log(1e-5)
"""Logarithm of the chance below which it is no accident where heads lie."""

FAR = 0.1
"""Share of the image's width and height; a head farther outside is not one that was cut off by the image's edge."""

ENOUGH, CONFINED = 30, 0.6
"""So many heads spread over more than this share of their images' width and height."""


@dataclass(frozen=True, eq=False)
class _Heads:
    """Heads of many images, in one array.

    Attributes:
        path: of the dataset.
        samples: all of it.
        owner: (N,) position in `samples` of each head's image.
        points: (N, 2) x and y as annotated.
        sizes: (N, 2) width and height of each head's image.
        which: such as " of the split 'test'", or "" for all heads of the dataset.
    """

    path: Path
    samples: Sequence[Sample]
    owner: np.ndarray
    points: np.ndarray
    sizes: np.ndarray
    which: str = ""

    def take(self, kept: np.ndarray, which: str) -> "_Heads":
        return _Heads(self.path, self.samples, self.owner[kept], self.points[kept], self.sizes[kept], which)

    def place(self, head: int) -> str:
        """Return where a head is, such as "(90, 9) in images/1.jpg of 64x48 pixels"."""
        sample, (x, y) = self.samples[self.owner[head]], self.points[head]
        return f"({x:g}, {y:g}) in {sample.name} of {sample.width}x{sample.height} pixels"

    def file(self, head: int) -> Path | None:
        """Return the file that a head comes from."""
        return self.samples[self.owner[head]].annotation

    @property
    def files(self) -> Path | None:
        """The file that all heads come from, or the dataset if they come from several."""
        found = {self.samples[i].annotation for i in np.unique(self.owner)}
        return found.pop() if len(found) == 1 else self.path

    def inside(self, points: np.ndarray) -> np.ndarray:
        """Return which of these points are in their head's image or on its edge."""
        return ((points >= 0) & (points <= self.sizes)).all(axis=1)


def settle(samples: Sequence[Sample], path: str | Path, origin: int = 0) -> list[Sample]:
    """Return samples with heads as `Sample` describes them, without those outside their image.

    A head is outside if x < 0, x > width, y < 0 or y > height in the annotation's own coordinates, as in DM-Count.

    Args:
        samples: of the whole dataset, in the coordinates of its files.
        path: of the dataset, for messages.
        origin: 1 if coordinates begin at 1, as in MATLAB. They are reduced by 1 (not below 0), so that a head falls
            into the pixel where the authors' density code puts it (floor of the coordinate).

    Raises:
        InputError: the dataset, or its training part, has no heads; or coordinates are not finite, or not pixels of the
            images: they are fractions, percentages or thousandths, x and y are swapped, or most heads of an image are
            outside it.
    """
    counts = [sample.count for sample in samples]
    owner = np.repeat(np.arange(len(samples)), counts)
    sizes = np.array([(sample.width, sample.height) for sample in samples], dtype=np.float64).reshape(-1, 2)
    points = np.concatenate([sample.points for sample in samples]).astype(np.float64).reshape(-1, 2)
    heads = _Heads(Path(path), samples, owner, points, sizes[owner])
    _check_numbers(heads)
    groups = _group(heads)
    for group in groups:
        _check_fractions(group)
        _check_units(group)
        _check_axes(group)
    _check_fractions_of_images(heads)
    kept = heads.inside(points)
    _check_outside(heads, kept)
    _report(groups, kept)
    ends = np.cumsum(counts)[:-1]
    return [
        replace(
            sample,
            points=np.maximum(sample.points[inside] - origin, 0),
            boxes=None if sample.boxes is None else sample.boxes[inside] - origin,
            outside=int((~inside).sum()),
        )
        for sample, inside in zip(samples, np.split(kept, ends), strict=True)
    ]


def _check_numbers(heads: _Heads) -> None:
    finite = np.isfinite(heads.points).all(axis=1)
    if not finite.all():
        wrong = int(np.argmin(finite))
        raise InputError(
            f"{heads.file(wrong)}: some coordinates are not finite numbers, such as {heads.place(wrong)}. {RIGHT}. "
            "Fetch or copy the file again, or correct them"
        )
    splits = sorted({sample.split for sample in heads.samples}) if len(heads.owner) else [""]
    for split in splits:
        part = [sample for sample in heads.samples if split in ("", sample.split)]
        if any(sample.count for sample in part):
            continue
        which = f" in any image of '{split}'" if split else ""
        if split in ("", "train"):
            files = {sample.annotation for sample in part}
            place = files.pop() if len(files) == 1 else heads.path
            raise InputError(f"{place}: no heads{which}. Expected at least one in all images together")
        logger.warning("%s: no heads%s: its error is that on empty scenes", heads.path, which)


def _group(heads: _Heads) -> list[_Heads]:
    """Return all heads, and those of each split: their annotations may have been made in different ways."""
    splits = np.array([sample.split for sample in heads.samples])[heads.owner]
    found = np.unique(splits)
    return [heads, *(heads.take(splits == name, f" of '{name}'") for name in found if len(found) > 1)]


def _are_fractions(points: np.ndarray) -> np.ndarray:
    """Return for each head whether it lies within a pixel of the corner; some fractions lie a little beyond the edge."""
    return (np.abs(points) <= 1.05).all(axis=1)


def _refuse_fractions(heads: _Heads, found: np.ndarray, where: str) -> None:
    file = heads.file(int(np.argmax(found)))
    share = "all" if found.all() else f"most ({found.sum()} of {len(found)})"
    raise InputError(
        f"{file}: {share} coordinates{where} are between 0 and 1, like fractions of the image. Expected pixels: "
        "multiply them by the image's width and height"
    )


def _check_fractions(heads: _Heads) -> None:
    found = _are_fractions(heads.points)
    if 2 * found.sum() > len(found) and (not heads.which or len(found) > 2):
        _refuse_fractions(heads, found, heads.which)


def _check_fractions_of_images(heads: _Heads) -> None:
    """Check each image: three heads or more do not share its first pixel."""
    found, number = _are_fractions(heads.points), len(heads.samples)
    of_image = np.bincount(heads.owner[found], minlength=number)
    wrong = np.flatnonzero((of_image > 2) & (2 * of_image > np.bincount(heads.owner, minlength=number)))
    if len(wrong):
        one = heads.owner == wrong[0]
        _refuse_fractions(heads.take(one, ""), found[one], f" in {heads.samples[wrong[0]].name}")


def _check_units(heads: _Heads) -> None:
    """Check that heads do not fill a square from the corner of their images that ends at 100 or at 1000."""
    if len(heads.points) < 3:
        return
    for end, unit in UNITS.items():
        within = ((heads.points >= 0) & (heads.points <= 1.01 * end)).all(axis=1)
        reach = heads.points[within].max(axis=0, initial=0)
        chance = np.log(np.minimum(end / heads.sizes, 1)).sum(axis=1)  # of each head, to lie in the square
        fills = reach.min() > (0.6 if end == 100 else 0.9) * end
        if within.mean() > 0.99 and fills and chance.sum() < UNLIKELY and chance.mean() < np.log(0.5):
            raise InputError(
                f"{heads.files}: all coordinates{heads.which} are between 0 and {end}, and x and y reach "
                f"{reach[0]:g} and {reach[1]:g} in images of {_range(heads.sizes)} pixels, like {unit}. "
                f"Expected pixels: multiply x by the image's width and y by its height, and divide by {end}"
            )


def _range(sizes: np.ndarray) -> str:
    (width, height), (widest, highest) = sizes.min(axis=0).astype(int), sizes.max(axis=0).astype(int)
    return f"{width}x{height}" + (f" to {widest}x{highest}" if (width, height) != (widest, highest) else "")


def _check_axes(heads: _Heads) -> None:
    """Check that it is not only with x and y swapped that all heads are inside."""
    outside = ~heads.inside(heads.points)
    if not outside.any() or not heads.inside(heads.points[:, ::-1]).all():
        return
    shorter, longer = heads.sizes.min(axis=1), heads.sizes.max(axis=1)
    chance = np.log(shorter / longer)[~outside].sum()  # that all others are inside both ways
    if outside.mean() > 0.15 or (outside.mean() > 0.01 and chance < np.log(0.01)):
        first = int(np.argmax(outside))
        raise InputError(
            f"{heads.file(first)}: {outside.sum()} of {len(outside)} heads{heads.which} are outside their image, such "
            f"as {heads.place(first)}, and with x and y swapped none would be. Expected x to the right and y "
            "downwards: swap x and y, or correct these heads"
        )


def _check_outside(heads: _Heads, kept: np.ndarray) -> None:
    """Check that most heads are inside, of all images and of each: it may be one that was resized."""
    beyond = np.maximum(-heads.points, heads.points - heads.sizes) / heads.sizes
    owners = (heads.owner, heads.owner[~kept], heads.owner[(beyond > FAR).any(axis=1)])
    total, lost, far = (np.bincount(owner, minlength=len(heads.samples)) for owner in owners)
    if not lost.any():
        return
    remedy = f"{RIGHT}. Was it resized or turned after it was annotated, or are these other units?"
    first = int(np.argmin(kept))
    found = f"{lost.sum()} of {len(kept)} heads are outside their image, such as {heads.place(first)}"
    if 2 * lost.sum() > len(kept):
        raise InputError(f"{heads.files}: {found}. {remedy}")
    if len(wrong := np.flatnonzero((2 * lost > total) & (far > 0))):
        first = int(np.argmax((heads.owner == wrong[0]) & ~kept))
        more = f" ({len(wrong)} such images in all)" if len(wrong) > 1 else ""
        raise InputError(
            f"{heads.file(first)}: {lost[wrong[0]]} of {total[wrong[0]]} heads of an image are outside it, such as "
            f"{heads.place(first)}{more}. {remedy}"
        )
    logger.warning("%s: %s: dropped (%d images have such heads)", heads.files, found, (lost > 0).sum())


def _report(groups: Sequence[_Heads], kept: np.ndarray) -> None:
    """Log the number of heads, and what is odd about the images and the heads but may be right."""
    heads = groups[0]
    if again := _repeated(heads):
        logger.warning(
            "%s: %d heads are at exactly the place of another one, such as %s. Each is counted; remove those that were "
            "annotated twice",
            *(heads.files, len(again), heads.place(again[0])),
        )
    for group in groups:
        right, low = np.quantile(group.points / group.sizes, 0.995, axis=0)
        if len(group.points) >= ENOUGH and min(right, low) < CONFINED:
            logger.warning(
                "%s: no head%s is farther right than %.0f %% or farther down than %.0f %% of its image. %s: were the "
                "images enlarged after they were annotated?",
                *(group.files, group.which, 100 * right, 100 * low, RIGHT),
            )
            break
    if turned := [sample for sample in heads.samples if sample.orientation != 1]:
        logger.warning(
            "%s: %d images have an EXIF tag Orientation, such as %s (%d). It is passed over: heads are taken to be in "
            "the pixels as stored. If they refer to the upright picture, turn the pixels (mogrify -auto-orient)",
            *(heads.path, len(turned), turned[0].name, turned[0].orientation),
        )
    total, empty = len(heads.samples), len(heads.samples) - len(np.unique(heads.owner[kept]))
    logger.info("%s: %d heads in %d images, %d of them without heads", heads.path, kept.sum(), total, empty)


def _repeated(heads: _Heads) -> list[int]:
    """Return the heads that are at exactly the place of another head of their image, without the first of them."""
    order = np.lexsort((heads.points[:, 1], heads.points[:, 0], heads.owner))
    rows = np.column_stack([heads.owner, heads.points])[order]
    return order[1:][(rows[1:] == rows[:-1]).all(axis=1)].tolist()
